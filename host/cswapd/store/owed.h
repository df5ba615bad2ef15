/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * owed.h - what is discarded of a store, and not given back to the medium yet.
 *
 * The tags (tags_mem.h) say which slots are owed; the counts are by chunks. A chunk of which
 * something is being given back is closed: a thread that wants to write there waits. Any
 * thread may call any of these functions.
 */
#ifndef CSWAPD_OWED_H
#define CSWAPD_OWED_H

#include "tags_mem.h"

/* Slots of a chunk: as the guest spreads them over its queues, so they rarely share one. */
#define OWED_CHUNK 512

struct owed {
	struct tags_mem *tags;
	uint64_t chunks;
	uint32_t *gate;			/* of each chunk: writers, or that it's closed */
	uint16_t *count;		/* of each chunk: slots owed */
	uint64_t total;			/* slots owed */
	uint64_t given;			/* slots given back so far */
	uint64_t next;			/* the chunk to look at first */
	uint32_t unit;			/* slots: the medium gives back no less than this */
};

/* Slots of one chunk, which is closed for them. */
struct owed_run {
	uint64_t slot;
	uint64_t count;
};

/* Counts what the tags say. False: no memory. */
bool owed_open(struct owed *owed, struct tags_mem *tags, uint32_t trim_bytes);
void owed_close(struct owed *owed);
/* The tags are others than before; nobody uses them meanwhile. Takes no memory. */
void owed_count_anew(struct owed *owed);

/* Somebody is about to write there. False: not now. The tags' pages may not be there. */
bool owed_enter(struct owed *owed, uint64_t slot, uint64_t count);
void owed_leave(struct owed *owed, uint64_t slot, uint64_t count);

/* What the slots hold is stored from now on, under these tags. Inside. */
void owed_store(struct owed *owed, uint64_t slot, const struct virtio_cswap_tag *tag,
		uint64_t count);
/* What the slots hold is nothing to anybody from now on. */
void owed_discard(struct owed *owed, uint64_t slot, uint64_t count);

/*
 * Find up to @most slots to give back, or a unit if that's more. False: there are none now,
 * or not where it looked; the next call looks elsewhere.
 */
bool owed_pick(struct owed *owed, uint64_t most, struct owed_run *run);
/* They are given back, or can't be; the chunk is open again. */
void owed_settle(struct owed *owed, const struct owed_run *run, bool given);

uint64_t owed_total(const struct owed *owed);
uint64_t owed_given(const struct owed *owed);

#endif
