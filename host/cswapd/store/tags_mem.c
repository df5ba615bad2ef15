// SPDX-License-Identifier: GPL-2.0-only
/*
 * tags_mem.c - tags in anonymous memory, beside pages that are there as well.
 *
 * Memory is reserved by touching it only, and shared with the processes that come after
 * this one. All ends inside the call.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/log.h"
#include "tags.h"

struct tags_mem {
	struct tags tags;
	struct virtio_cswap_tag *tag;
	uint64_t slots;
};

static struct virtio_cswap_tag *tag_of(const struct tags_lane *lane, const struct store_op *op)
{
	return &((const struct tags_mem *)lane->tags)->tag[op->slot];
}

static void mem_read(struct tags_lane *lane, struct store_op *op)
{
	memcpy(op->tag, tag_of(lane, op), op->count * STORE_TAG_SIZE);
	lane->done(lane->context, op, 0);
}

static void mem_write(struct tags_lane *lane, struct store_op *op)
{
	memcpy(tag_of(lane, op), op->tag, op->count * STORE_TAG_SIZE);
	lane->done(lane->context, op, 0);
}

/* A page of them is given back only if all of it is. */
static void mem_forget(struct tags_lane *lane, struct store_op *op)
{
	const struct tags_mem *mem = (const struct tags_mem *)lane->tags;
	const uint64_t page = STORE_SLOT_SIZE;
	uint64_t from = op->slot * STORE_TAG_SIZE & ~(page - 1);
	uint64_t to = (op->slot + op->count) * STORE_TAG_SIZE & ~(page - 1);
	int error = 0;

	if (from < (op->slot - op->before) * STORE_TAG_SIZE)
		from += page;
	if (to > from && madvise((uint8_t *)mem->tag + from, to - from, MADV_REMOVE))
		error = -errno;
	lane->done(lane->context, op, error);
}

static void mem_complete(struct tags_lane *lane, struct store_op *op, int result)
{
	(void)lane;
	(void)op;
	(void)result;
}

static struct tags_lane *mem_lane_open(struct tags *tags, struct io_uring *ring,
				       tags_done_fn *done, void *context)
{
	struct tags_lane *lane = calloc(1, sizeof(*lane));

	if (lane)
		*lane = (struct tags_lane) { tags, ring, done, context };
	return lane;
}

static void mem_lane_close(struct tags_lane *lane)
{
	free(lane);
}

static bool mem_activate(struct tags *tags)
{
	(void)tags;
	return true;
}

static void mem_deactivate(struct tags *tags)
{
	(void)tags;
}

static void mem_close(struct tags *tags)
{
	struct tags_mem *mem = (struct tags_mem *)tags;

	munmap(mem->tag, mem->slots * STORE_TAG_SIZE);
	free(mem);
}

static const struct tags_ops tags_mem_ops = {
	.activate = mem_activate,
	.deactivate = mem_deactivate,
	.lane_open = mem_lane_open,
	.read = mem_read,
	.write = mem_write,
	.forget = mem_forget,
	.complete = mem_complete,
	.lane_close = mem_lane_close,
	.close = mem_close,
};

struct tags *tags_mem_open(uint64_t slots)
{
	struct tags_mem *mem = calloc(1, sizeof(*mem));

	if (!mem)
		return NULL;
	mem->tag = mmap(NULL, slots * STORE_TAG_SIZE, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem->tag == MAP_FAILED) {
		log_err("can't reserve tags of %ju slots: %s", (uintmax_t)slots,
			strerror(errno));
		free(mem);
		return NULL;
	}
	mem->tags.ops = &tags_mem_ops;
	mem->slots = slots;
	return &mem->tags;
}
