/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * blockmap.h - a bit for each block of the guest's memory.
 *
 * A block belongs to the region that its first byte lies in; blocks that begin
 * nowhere have no bit. The map takes 1/32768 of the guest's memory at blocks of 4 KiB,
 * whatever the guest does, and nothing where no bit was ever set.
 */
#ifndef CSWAPD_BLOCKMAP_H
#define CSWAPD_BLOCKMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/memory.h"

struct blockmap_region {
	uint64_t first;			/* block; numbered from guest address 0 */
	uint64_t end;			/* and the one behind the last */
	uint64_t *bits;			/* from the word that @first is in */
	uint64_t set;
	bool is_new;			/* since blockmap_follow() was called last */
	uint64_t *touched;		/* a bit for each page of @bits that isn't all zeros */
};

struct blockmap {
	uint64_t block_bytes;
	uint64_t set;			/* by blockmap_set(), not by blockmap_mark() */
	unsigned int count;
	struct blockmap_region region[MEMORY_MAX_REGIONS]; /* in order */
};

void blockmap_init(struct blockmap *map, uint64_t block_bytes);
void blockmap_free(struct blockmap *map);

/*
 * Have bits for what @memory is now, and keep those that still have a block.
 * False if there is no memory for them: then the map covers nothing.
 */
bool blockmap_follow(struct blockmap *map, const struct memory *memory);

/* All off. */
void blockmap_clear(struct blockmap *map);

/* Set or clear the blocks that begin in a range; one user at a time. */
void blockmap_set(struct blockmap *map, uint64_t gpa, uint64_t len, bool on);

/* Is any block on that begins in the range? */
bool blockmap_any(const struct blockmap *map, uint64_t gpa, uint64_t len);

/*
 * Copy the blocks that begin in a range to @words, which are numbered from guest
 * address 0; or set all blocks that are on there. What lies behind isn't.
 */
void blockmap_save(struct blockmap *map, uint64_t gpa, uint64_t len,
		   uint64_t *words, uint64_t num_words);
void blockmap_load(struct blockmap *map, const uint64_t *words,
		   uint64_t num_words);
/* The same of regions that are new since blockmap_follow(). */
void blockmap_load_new(struct blockmap *map, const uint64_t *words,
		       uint64_t num_words);

/* Clear all blocks that begin in a range in such @words, also those that have no bit in @map. */
void blockmap_forget(const struct blockmap *map, uint64_t gpa, uint64_t len,
		     uint64_t *words, uint64_t num_words);

/*
 * Set all blocks that a range touches, by any thread at any time: it writes
 * only if there is something to change.
 */
void blockmap_mark(struct blockmap *map, uint64_t gpa, uint64_t len);

#endif
