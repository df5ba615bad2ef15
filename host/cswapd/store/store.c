// SPDX-License-Identifier: GPL-2.0-only
/*
 * store.c - which engine a store is, and what all of them use.
 */
#include <errno.h>

#include "store_files.h"
#include "store_slots.h"
#include "tags.h"

#define MAX_RETRIES 16

static const struct store_ops *engine_of(const struct store_files *files)
{
	if (!files)
		return &store_mem_ops;
	if (files->server)
		return &store_nbd_ops;
	return files->is_device ? &store_block_ops : &store_file_ops;
}

struct store *store_open(const struct store_files *files, uint64_t slots)
{
	struct store *engine = engine_of(files)->open(files, slots);

	if (!engine)
		return NULL;
	if (!files || files->tags_in_memory)
		return store_slots_wrap(engine, files ? files->fd[STORE_TAGS_FILE] : -1);
	return store_tagged_wrap(engine, tags_file_open(files));
}

bool store_worth_retry(int result, uint8_t *retries)
{
	return (result == -EAGAIN || result == -EINTR) && (*retries)++ < MAX_RETRIES;
}

bool store_is_zero(const void *from, size_t bytes)
{
	const uint64_t *word = from;
	size_t i;

	for (i = 0; i < bytes / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

struct io_uring_sqe *store_get_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (sqe)
		return sqe;
	io_uring_submit(ring);
	return io_uring_get_sqe(ring);
}

void store_tag_sqe(struct io_uring_sqe *sqe, struct store_op *op,
		   enum store_part part)
{
	io_uring_sqe_set_data64(sqe, (uintptr_t)op | part);
}

int store_register_fd(struct io_uring *ring, unsigned int index, int fd)
{
	int none[STORE_NUM_FDS], error;
	unsigned int i;

	error = io_uring_register_files_update(ring, index, &fd, 1);
	if (error != -ENXIO)
		return error < 0 ? error : 0;
	/* It's the first, and there is no table yet. */
	for (i = 0; i < STORE_NUM_FDS; i++)
		none[i] = i == index ? fd : -1;
	return io_uring_register_files(ring, none, STORE_NUM_FDS);
}

void store_unregister_fds(struct io_uring *ring)
{
	io_uring_unregister_files(ring);
}
