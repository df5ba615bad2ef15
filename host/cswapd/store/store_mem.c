// SPDX-License-Identifier: GPL-2.0-only
/*
 * store_mem.c - the engine whose pages lie in anonymous memory.
 *
 * For tests, and for comparing against a medium that costs nothing. Operations
 * end inside read() and write(). Memory is reserved only when it's touched, and shared with
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
};

static bool mem_activate(struct store *store)
{
	(void)store;
	return true;
}

static void mem_deactivate(struct store *store)
{
	(void)store;
}

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

static uint8_t *place_of(const struct store_lane *lane, const struct store_op *op)
{
	return ((const struct store_mem *)lane->store)->data + op->slot * STORE_SLOT_SIZE;
}

static void mem_read(struct store_lane *lane, struct store_op *op)
{
	const uint8_t *from = place_of(lane, op);
	uint64_t i;

	for (i = 0; i < op->count; i++, from += STORE_SLOT_SIZE)
		memcpy(op->data[i].iov_base, from, STORE_SLOT_SIZE);
	lane->done(lane->context, op);
}

static void mem_write(struct store_lane *lane, struct store_op *op)
{
	uint8_t *to = place_of(lane, op);
	uint64_t i;

	for (i = 0; i < op->count; i++, to += STORE_SLOT_SIZE)
		memcpy(to, op->data[i].iov_base, STORE_SLOT_SIZE);
	lane->done(lane->context, op);
}

static void mem_trim(struct store_lane *lane, struct store_op *op)
{
	if (madvise(place_of(lane, op), op->count * STORE_SLOT_SIZE, MADV_REMOVE))
		op->error = -errno;
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

	munmap(mem->data, store->facts.slots * STORE_SLOT_SIZE);
	free(mem);
}

static struct store *mem_open(const struct store_files *files, uint64_t slots)
{
	struct store_mem *mem = calloc(1, sizeof(*mem));

	(void)files;
	if (!mem)
		return NULL;
	mem->data = mmap(NULL, slots * STORE_SLOT_SIZE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem->data == MAP_FAILED) {
		log_err("can't reserve %ju slots of memory: %s",
			(uintmax_t)slots, strerror(errno));
		free(mem);
		return NULL;
	}
	mem->store.ops = &store_mem_ops;
	mem->store.facts = (struct store_facts) {
		.slots = slots,
		.trim_bytes = STORE_SLOT_SIZE,
		.merge_pages = STORE_MAX_PAGES,
		.medium = VIRTIO_CSWAP_MEDIUM_MEMORY,
		.pages = mem->data,
		.pages_bytes = slots * STORE_SLOT_SIZE,
	};
	return &mem->store;
}

const struct store_ops store_mem_ops = {
	.name = "memory",
	.open = mem_open,
	.activate = mem_activate,
	.deactivate = mem_deactivate,
	.lane_open = mem_lane_open,
	.read = mem_read,
	.write = mem_write,
	.trim = mem_trim,
	.complete = mem_complete,
	.hurry = mem_hurry,
	.lane_close = mem_lane_close,
	.close = mem_close,
};
