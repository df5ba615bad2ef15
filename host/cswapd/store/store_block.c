// SPDX-License-Identifier: GPL-2.0-only
/*
 * store_block.c - the engine whose pages lie on a block device.
 *
 * The process that lives longest holds O_EXCL, which keeps others from mounting the device
 * (store_files.c); the process that serves has the lock of an open file of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

#include "common/log.h"
#include "store_files.h"
#include "store_uring.h"

static bool block_activate(struct store *store)
{
	struct store_uring *uring = (struct store_uring *)store;

	uring->fd = store_files_reopen(uring->files, STORE_DATA_FILE, O_DIRECT);
	if (uring->fd < 0 && errno == EINVAL)
		log_err("%s: no O_DIRECT on this device: it can't be a store",
			uring->files->paths.name[STORE_DATA_FILE]);
	return uring->fd >= 0;
}

static bool block_idle(struct store *store)
{
	struct store_uring *uring = (struct store_uring *)store;

	uring->fd = store_files_reopen_idle(uring->files, STORE_DATA_FILE, O_DIRECT);
	return uring->fd >= 0;
}

static const struct store_move_ops block_move_ops = {
	.idle = block_idle,
	.take = store_uring_take,
	.yield = store_uring_yield,
};

static struct store *block_open(const struct store_files *files, uint64_t slots)
{
	struct store *store = store_uring_open(files, slots, &store_block_ops);
	int fd = files->fd[STORE_DATA_FILE];

	if (!store)
		return NULL;
	store->facts.medium = store_uring_medium(fd);
	store->facts.trim_bytes = (uint32_t)store_uring_queue_fact(fd, "discard_granularity", 0);
	return store;
}

const struct store_ops store_block_ops = {
	.name = "block device",
	.open = block_open,
	.activate = block_activate,
	.deactivate = store_uring_deactivate,
	.lane_open = store_uring_lane_open,
	.read = store_uring_read,
	.write = store_uring_write,
	.trim = store_uring_trim,
	.complete = store_uring_complete,
	.hurry = store_uring_hurry,
	.lane_close = store_uring_lane_close,
	.close = store_uring_close,
	.move = &block_move_ops,
};
