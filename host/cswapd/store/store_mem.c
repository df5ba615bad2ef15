// SPDX-License-Identifier: GPL-2.0-only
/*
 * store_mem.c - slots in anonymous memory.
 *
 * For tests, and for comparing against a medium that costs nothing. Operations
 * end inside submit(). Memory is reserved by touching it only, and shared with
 * the processes that come after this one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/log.h"
#include "store.h"

struct store_mem {
	struct store store;
	uint8_t *data;
	struct virtio_cswap_tag *tag;
};

static struct store_lane *mem_lane_open(struct store *store,
					struct io_uring *ring,
					unsigned int depth,
					store_done_fn *done, void *context)
{
	struct store_lane *lane = calloc(1, sizeof(*lane));

	(void)depth;
	if (!lane)
		return NULL;
	lane->store = store;
	lane->ring = ring;
	lane->done = done;
	lane->context = context;
	return lane;
}

/* Give back what is covered; a tag's page only if all of it is. */
static int mem_discard(const struct store_mem *mem, const struct store_op *op)
{
	const uint64_t page = STORE_SLOT_SIZE;
	uint64_t begin = op->slot * STORE_TAG_SIZE & ~(page - 1);
	uint64_t end = (op->slot + op->count) * STORE_TAG_SIZE & ~(page - 1);

	if (begin < (op->slot - op->before) * STORE_TAG_SIZE)
		begin += page;
	if (madvise(mem->data + op->slot * page, op->count * page, MADV_REMOVE))
		return -errno;
	if (end > begin && madvise((uint8_t *)mem->tag + begin, end - begin,
				   MADV_REMOVE))
		return -errno;
	return 0;
}

static void mem_submit(struct store_lane *lane, struct store_op *op)
{
	struct store_mem *mem = (struct store_mem *)lane->store;
	uint8_t *at = mem->data + op->slot * STORE_SLOT_SIZE;
	uint64_t i;

	op->error = 0;
	switch (op->kind) {
	case STORE_WRITE:
		for (i = 0; i < op->count; i++, at += STORE_SLOT_SIZE)
			memcpy(at, op->data[i].iov_base, STORE_SLOT_SIZE);
		memcpy(&mem->tag[op->slot], op->tag, op->count * STORE_TAG_SIZE);
		break;
	case STORE_READ:
		for (i = 0; i < op->count; i++, at += STORE_SLOT_SIZE)
			memcpy(op->data[i].iov_base, at, STORE_SLOT_SIZE);
		memcpy(op->tag, &mem->tag[op->slot], op->count * STORE_TAG_SIZE);
		break;
	case STORE_DISCARD:
		op->error = mem_discard(mem, op);
		break;
	}
	lane->done(lane->context, op);
}

static void mem_complete(struct store_lane *lane, struct store_op *op,
			 enum store_part part, int result)
{
	(void)lane;
	(void)op;
	(void)part;
	(void)result;
}

static void mem_hurry(struct store_lane *lane)
{
	(void)lane;
}

static void mem_lane_close(struct store_lane *lane)
{
	free(lane);
}

static void mem_close(struct store *store)
{
	struct store_mem *mem = (struct store_mem *)store;

	munmap(mem->data, store->slots * STORE_SLOT_SIZE);
	munmap(mem->tag, store->slots * STORE_TAG_SIZE);
	free(mem);
}

static const struct store_ops store_mem_ops = {
	.lane_open = mem_lane_open,
	.submit = mem_submit,
	.complete = mem_complete,
	.hurry = mem_hurry,
	.lane_close = mem_lane_close,
	.close = mem_close,
};

static void *map_anonymous(uint64_t bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

struct store *store_mem_open(uint64_t slots)
{
	struct store_mem *mem = calloc(1, sizeof(*mem));

	if (!mem)
		return NULL;
	mem->data = map_anonymous(slots * STORE_SLOT_SIZE);
	mem->tag = map_anonymous(slots * STORE_TAG_SIZE);
	if (!mem->data || !mem->tag) {
		log_err("can't reserve %ju slots of memory: %s",
			(uintmax_t)slots, strerror(errno));
		if (mem->data)
			munmap(mem->data, slots * STORE_SLOT_SIZE);
		if (mem->tag)
			munmap(mem->tag, slots * STORE_TAG_SIZE);
		free(mem);
		return NULL;
	}
	mem->store.ops = &store_mem_ops;
	mem->store.slots = slots;
	mem->store.merge_pages = STORE_MAX_PAGES;
	mem->store.medium = VIRTIO_CSWAP_MEDIUM_MEMORY;
	return &mem->store;
}
