// SPDX-License-Identifier: GPL-2.0-only
/*
 * tags_mem.c - the tags of a store's slots in memory: 16 bytes a slot, by its number.
 *
 * Theory of operation: to touch a page of the file that isn't there makes the page, and where
 * there is no memory that is a signal. So a page is reserved by fallocate() first, which fails
 * instead. (In a cgroup that is full the kernel kills a process instead: tags_room.c looks for
 * room before.) A map of bits says which pages are there. The map is the process's own; the
 * next process makes the same map by looking for holes.
 *
 * The file can't change its size. The unit keeps the host from swapping it out
 * (MemorySwapMax=0): a tag that's on a disk would be another read for each page.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "tags_mem.h"

#define BITS 64

const struct virtio_cswap_tag tag_none;
const struct virtio_cswap_tag tag_owed = {
	{ 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 }
};

static uint64_t file_bytes(uint64_t slots)
{
	return (slots * STORE_TAG_SIZE + TAGS_MEM_PAGE - 1) & ~(uint64_t)(TAGS_MEM_PAGE - 1);
}

int tags_mem_create(uint64_t slots)
{
	int fd = memfd_create("cswapd-tags", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && !ftruncate(fd, (off_t)file_bytes(slots)) &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return fd;
	log_err("no memory for the tags of %ju slots: %s", (uintmax_t)slots, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* --- which pages are there --- */

bool tags_mem_has(const struct tags_mem *tags, uint64_t slot, uint64_t count)
{
	uint64_t page = slot / TAGS_MEM_SLOTS, last = (slot + count - 1) / TAGS_MEM_SLOTS;

	for (; page <= last; page++)
		if (!(__atomic_load_n(&tags->present[page / BITS], __ATOMIC_ACQUIRE) &
		      1ULL << page % BITS))
			return false;
	return true;
}

bool tags_mem_may_grow(const struct tags_mem *tags, uint64_t slot, uint64_t count)
{
	return tags_room_has(&tags->room, tags_mem_bytes(slot, count));
}

uint64_t tags_mem_offset(uint64_t slot)
{
	return slot / TAGS_MEM_SLOTS * TAGS_MEM_PAGE;
}

uint64_t tags_mem_bytes(uint64_t slot, uint64_t count)
{
	return tags_mem_offset(slot + count - 1) + TAGS_MEM_PAGE - tags_mem_offset(slot);
}

void tags_mem_note(struct tags_mem *tags, uint64_t slot, uint64_t count)
{
	uint64_t page = slot / TAGS_MEM_SLOTS, last = (slot + count - 1) / TAGS_MEM_SLOTS;

	for (; page <= last; page++)
		if (!(__atomic_fetch_or(&tags->present[page / BITS], 1ULL << page % BITS,
					__ATOMIC_ACQ_REL) & 1ULL << page % BITS))
			__atomic_fetch_add(&tags->pages, 1, __ATOMIC_RELAXED);
}

static bool is_empty(const struct tags_mem *tags, uint64_t page)
{
	const uint64_t *word = (const uint64_t *)&tags->tag[page * TAGS_MEM_SLOTS];
	unsigned int i;

	for (i = 0; i < TAGS_MEM_PAGE / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

void tags_mem_free_page(struct tags_mem *tags, uint64_t slot)
{
	const uint64_t page = slot / TAGS_MEM_SLOTS;

	if (!tags_mem_has(tags, slot, 1) || !is_empty(tags, page))
		return;
	__atomic_fetch_and(&tags->present[page / BITS], ~(1ULL << page % BITS),
			   __ATOMIC_ACQ_REL);
	__atomic_fetch_sub(&tags->pages, 1, __ATOMIC_RELAXED);
	/* What isn't given back is zeros, and no harm. */
	(void)!fallocate(tags->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)(page * TAGS_MEM_PAGE), TAGS_MEM_PAGE);
}

enum tag_state tags_mem_state(const struct tags_mem *tags, uint64_t slot)
{
	uint64_t word[STORE_TAG_SIZE / sizeof(uint64_t)];

	if (!tags_mem_has(tags, slot, 1))
		return TAG_NONE;
	memcpy(word, &tags->tag[slot], sizeof(word));
	if (!(word[0] | word[1]))
		return TAG_NONE;
	return (word[0] & word[1]) == UINT64_MAX ? TAG_OWED : TAG_STORED;
}

/* --- mapping --- */

/* What another process has reserved. */
static bool find_pages(struct tags_mem *tags)
{
	off_t at = 0, end;

	while ((at = lseek(tags->fd, at, SEEK_DATA)) >= 0) {
		end = lseek(tags->fd, at, SEEK_HOLE);
		if (end < 0)
			return false;
		tags_mem_note(tags, (uint64_t)at / STORE_TAG_SIZE,
			      (uint64_t)(end - at) / STORE_TAG_SIZE);
		at = end;
	}
	return errno == ENXIO;
}

bool tags_mem_map(struct tags_mem *tags, int fd, uint64_t slots)
{
	const uint64_t bytes = file_bytes(slots);

	*tags = (struct tags_mem) { .slots = slots, .fd = fd };
	tags->present = calloc(bytes / TAGS_MEM_PAGE / BITS + 1, sizeof(*tags->present));
	if (tags->present)
		tags->tag = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (!tags->present || tags->tag == MAP_FAILED || !find_pages(tags)) {
		log_err("can't map the tags of %ju slots: %s", (uintmax_t)slots,
			strerror(errno));
		tags_mem_unmap(tags);
		return false;
	}
	tags_room_open(&tags->room, "/sys/fs/cgroup", "");
	return true;
}

bool tags_mem_forget(struct tags_mem *tags)
{
	const uint64_t bytes = file_bytes(tags->slots);

	if (fallocate(tags->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes))
		return false;
	memset(tags->present, 0, (bytes / TAGS_MEM_PAGE / BITS + 1) * sizeof(*tags->present));
	__atomic_store_n(&tags->pages, 0, __ATOMIC_RELAXED);
	return true;
}

void tags_mem_unmap(struct tags_mem *tags)
{
	if (tags->tag && tags->tag != MAP_FAILED)
		munmap(tags->tag, file_bytes(tags->slots));
	free(tags->present);
	tags_room_close(&tags->room);
	tags->tag = NULL;
	tags->present = NULL;
	tags->pages = 0;
}
