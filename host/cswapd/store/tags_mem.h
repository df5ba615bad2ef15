/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tags_mem.h - the tags of a store's slots in memory: 16 bytes a slot, by its number.
 *
 * The memory is a file without a name (memfd), so that each process that holds its descriptor
 * has the tags: the workers that follow each other, and the next daemon. Slot n's tag is at
 * 16 * n. Its value says what the slot is (enum tag_state), and code that walks the slots needs
 * nothing else. Pages of the file exist as far as slots are in use.
 */
#ifndef CSWAPD_TAGS_MEM_H
#define CSWAPD_TAGS_MEM_H

#include <stdbool.h>
#include <stdint.h>

#include "store.h"
#include "tags_room.h"

#define TAGS_MEM_PAGE 4096
/* Slots whose tags share a page. */
#define TAGS_MEM_SLOTS (TAGS_MEM_PAGE / STORE_TAG_SIZE)

/*
 * A tag that a cipher has made is neither all zeros nor all ones, but for odds of
 * 2^-127. A guest that says so hurts itself: its page can't be read.
 */
enum tag_state {
	TAG_NONE,			/* all zeros: there is no page */
	TAG_OWED,			/* all ones: discarded, but the medium still has the page */
	TAG_STORED,
};

struct tags_mem {
	uint64_t slots;
	int fd;				/* the caller's */
	struct virtio_cswap_tag *tag;	/* NULL: not mapped */
	uint64_t *present;		/* a bit a page: it may be touched */
	uint64_t pages;			/* of those */
	struct tags_room room;
};

/* A descriptor of as much memory, of which there is nothing yet. -1: logged. */
int tags_mem_create(uint64_t slots);

/* Map it, and find out which pages are there. False: logged. */
bool tags_mem_map(struct tags_mem *tags, int fd, uint64_t slots);
void tags_mem_unmap(struct tags_mem *tags);

/*
 * No slot has a tag any more, and no page is there. The mapping stays, as locked as it was, and so does what tells
 * of the cgroup's room: in the sandbox neither could be had anew. False: some may be there still; errno says why.
 */
bool tags_mem_forget(struct tags_mem *tags);

/* May the process take memory for the pages of these slots? */
bool tags_mem_may_grow(const struct tags_mem *tags, uint64_t slot, uint64_t count);

/* Are the pages of these slots there? If not they have to be reserved, then noted. */
bool tags_mem_has(const struct tags_mem *tags, uint64_t slot, uint64_t count);
/* Where in the file these pages begin, and how long they are. */
uint64_t tags_mem_offset(uint64_t slot);
uint64_t tags_mem_bytes(uint64_t slot, uint64_t count);
void tags_mem_note(struct tags_mem *tags, uint64_t slot, uint64_t count);

/* Give the page of this slot back if no tag is in it. Nobody else may use it meanwhile. */
void tags_mem_free_page(struct tags_mem *tags, uint64_t slot);

/* Of a slot whose page may not be there. */
enum tag_state tags_mem_state(const struct tags_mem *tags, uint64_t slot);

extern const struct virtio_cswap_tag tag_owed, tag_none;

#endif
