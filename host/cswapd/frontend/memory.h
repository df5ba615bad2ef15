/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * memory.h - the guest memory that the front end shares: addresses -> pointers.
 */
#ifndef CSWAPD_MEMORY_H
#define CSWAPD_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dirty_log.h"

/* As many as KVM's slots leave a VMM: memory devices take one or more each. */
#define MEMORY_MAX_REGIONS 509
#define MEMORY_PAGE_SIZE 4096
/* Of all regions. */
#define MEMORY_MAX_BYTES (1ULL << 45)

struct memory_region {
	uint64_t gpa;			/* as the device addresses it */
	uint64_t uva;			/* as the front end addresses it */
	uint64_t size;
	uint8_t *host;			/* as we address it */
	void *map;			/* what to unmap, NULL if not ours */
	size_t map_size;
	int fd;				/* the file it is of, ours; -1 if unknown */
	uint64_t serial;		/* no other region ever had it */
	uint64_t offset;		/* in the file */
	uint64_t page_bytes;		/* of the file; larger for hugetlb */
};

/* The regions in the order of one of their addresses, to be found by halves. */
struct memory_sorted {
	uint64_t begin[MEMORY_MAX_REGIONS];
	uint16_t index[MEMORY_MAX_REGIONS];
};

/* Addresses of the guest's that were shared once. */
struct memory_gone {
	uint64_t gpa;
	uint64_t size;
};

struct memory {
	unsigned int count;
	/* Where a region stays until it goes, and the last takes its place. */
	struct memory_region region[MEMORY_MAX_REGIONS];
	struct memory_sorted by_gpa;
	struct memory_sorted by_host;
	unsigned int num_gone;
	struct memory_gone gone[MEMORY_MAX_REGIONS]; /* the last that were removed; oldest first */
	struct dirty_log dirty;		/* what we write there; memory_clear() leaves it */
	bool vanished;			/* by any thread: memory_has_vanished() */
};

/*
 * Map @size bytes of @fd at @offset as the region at @gpa and @uva. @fd stays
 * the caller's; the region has a duplicate. Returns NULL, or what is wrong with
 * the region.
 */
const char *memory_add(struct memory *memory, uint64_t gpa, uint64_t uva,
		       uint64_t size, uint64_t offset, int fd);

/* The same, of memory that is mapped already and stays the caller's. */
const char *memory_add_mapped(struct memory *memory, uint64_t gpa,
			      uint64_t uva, uint64_t size, void *host);

/*
 * Unmap the region that has exactly these properties. A front end that changes a region
 * removes it and adds another: so what was there may come again.
 */
const char *memory_remove(struct memory *memory, uint64_t gpa, uint64_t uva,
			  uint64_t size);
/* Is @gpa not shared, but was until a region was removed? */
bool memory_is_gone(const struct memory *memory, uint64_t gpa);
/* The same of what another process knew: @size bytes at @gpa were shared, and may come again. */
void memory_expect(struct memory *memory, uint64_t gpa, uint64_t size);
/* The table begins anew: nothing is expected to come again. */
void memory_clear(struct memory *memory);

/*
 * From now on a page of @memory that its file has lost reads as zeros, instead of being the end
 * of the process that touches it. One memory a process; NULL: none any longer.
 */
void memory_guard(struct memory *memory);

/* Has that happened since the table was empty? Then nothing that was read is to be trusted. */
bool memory_has_vanished(const struct memory *memory);

/*
 * The pointer to guest address @gpa, and in *@len how many of the *@len bytes
 * wanted lie there in one piece (1 or more). NULL if @gpa isn't shared.
 */
void *memory_from_gpa(const struct memory *memory, uint64_t gpa, uint64_t *len);

/* Does all of it lie in shared memory, be it in several regions? */
bool memory_covers(const struct memory *memory, uint64_t gpa, uint64_t len);
/* The same of memory that is shared, or was until a region was removed. */
bool memory_knows(const struct memory *memory, uint64_t gpa, uint64_t len);

/* The same as memory_from_gpa(), of a pointer into shared memory. */
bool memory_to_gpa(const struct memory *memory, const void *host, uint64_t *gpa);

/*
 * The region that @gpa lies in, and in *@len how many of the *@len bytes wanted
 * do. NULL if @gpa isn't shared.
 */
const struct memory_region *memory_find_region(const struct memory *memory,
					       uint64_t gpa, uint64_t *len);

/* Bytes shared. */
uint64_t memory_size(const struct memory *memory);

/* The pointer to @len bytes at the front end's address @uva, or NULL. */
void *memory_from_uva(const struct memory *memory, uint64_t uva, uint64_t len);

#endif
