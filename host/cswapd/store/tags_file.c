// SPDX-License-Identifier: GPL-2.0-only
/*
 * tags_file.c - tags in a file of their own (--tags).
 *
 * Theory of operation: tags are read and written by plain buffered I/O of exactly their bytes.
 * 256 tags share a block, so a thread that read, changed and wrote a whole block could lose a
 * neighbour's tag, and with the tag a page; the page cache does it right. Tags are never
 * mapped: a full disk would be a SIGBUS. A read or write that did less than was asked goes on
 * where it stopped.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "store_files.h"
#include "tags.h"

#define BLOCK_BYTES 4096

struct tags_file {
	struct tags tags;
	const struct store_files *files;
	int fd;				/* -1: not active */
};

/* --- the data path --- */

static void end(struct tags_lane *lane, struct store_op *op, int error)
{
	lane->done(lane->context, op, error);
}

static void submit_tags(struct tags_lane *lane, struct store_op *op)
{
	struct io_uring_sqe *sqe = store_get_sqe(lane->ring);
	uint32_t done = op->tag_bytes_done;
	uint32_t left = (uint32_t)op->count * STORE_TAG_SIZE - done;
	uint64_t offset = STORE_TAGS_OFFSET + op->slot * STORE_TAG_SIZE + done;
	uint8_t *tags = (uint8_t *)op->tag + done;

	if (!sqe) {
		end(lane, op, -EAGAIN);
		return;
	}
	if (op->kind == STORE_WRITE)
		io_uring_prep_write(sqe, STORE_FD_TAGS, tags, left, offset);
	else
		io_uring_prep_read(sqe, STORE_FD_TAGS, tags, left, offset);
	sqe->flags |= IOSQE_FIXED_FILE;
	store_tag_sqe(sqe, op, STORE_PART_TAGS);
}

static void begin(struct tags_lane *lane, struct store_op *op)
{
	op->tag_bytes_done = 0;
	op->tag_retries = 0;
	submit_tags(lane, op);
}

/*
 * Only whole blocks are punched: the rest of a block belongs to slots that may be written
 * just now. One that began in an earlier piece of the same range goes with the piece that
 * ends it.
 */
static void file_forget(struct tags_lane *lane, struct store_op *op)
{
	uint64_t block = BLOCK_BYTES;
	/* The tags' offset is a block, too. */
	uint64_t begins = STORE_TAGS_OFFSET + (op->slot - op->before) * STORE_TAG_SIZE;
	uint64_t from = (STORE_TAGS_OFFSET + op->slot * STORE_TAG_SIZE) & ~(block - 1);
	uint64_t to = (STORE_TAGS_OFFSET + (op->slot + op->count) * STORE_TAG_SIZE) &
		      ~(block - 1);
	struct io_uring_sqe *sqe;

	if (from < begins)
		from += block;
	if (from >= to) {
		end(lane, op, 0);
		return;
	}
	sqe = store_get_sqe(lane->ring);
	if (!sqe) {
		end(lane, op, -EAGAIN);
		return;
	}
	io_uring_prep_fallocate(sqe, STORE_FD_TAGS,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)from, (off_t)(to - from));
	sqe->flags |= IOSQE_FIXED_FILE;
	store_tag_sqe(sqe, op, STORE_PART_TAGS);
}

static void forget_complete(struct tags_lane *lane, struct store_op *op, int result)
{
	/* A file system that can't give space back has done all it can. */
	if (result == -EOPNOTSUPP || result == -ENOSYS || result == -ENODEV)
		result = 0;
	end(lane, op, result < 0 ? result : 0);
}

static void file_complete(struct tags_lane *lane, struct store_op *op, int result)
{
	if (op->kind == STORE_DISCARD) {
		forget_complete(lane, op, result);
	} else if (result > 0) {
		op->tag_bytes_done += (uint32_t)result;
		if (op->tag_bytes_done == op->count * STORE_TAG_SIZE)
			end(lane, op, 0);
		else
			submit_tags(lane, op);
	} else if (store_worth_retry(result, &op->tag_retries)) {
		submit_tags(lane, op);
	} else {
		end(lane, op, result ? result : -EIO);
	}
}

/* --- opening and closing --- */

static struct tags_lane *file_lane_open(struct tags *tags, struct io_uring *ring,
					tags_done_fn *done, void *context)
{
	const struct tags_file *file = (struct tags_file *)tags;
	struct tags_lane *lane = calloc(1, sizeof(*lane));
	int error;

	if (!lane)
		return NULL;
	error = store_register_fd(ring, STORE_FD_TAGS, file->fd);
	if (error) {
		free(lane);
		errno = -error;
		return NULL;
	}
	*lane = (struct tags_lane) { tags, ring, done, context };
	return lane;
}

static void file_lane_close(struct tags_lane *lane)
{
	store_unregister_fds(lane->ring);
	free(lane);
}

static bool file_activate(struct tags *tags)
{
	struct tags_file *file = (struct tags_file *)tags;

	file->fd = store_files_reopen(file->files, STORE_TAGS_FILE, 0);
	return file->fd >= 0;
}

/* The lock goes with the open file. */
static void file_deactivate(struct tags *tags)
{
	struct tags_file *file = (struct tags_file *)tags;

	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

/* --- moving with the guest --- */

static bool file_idle(struct tags *tags)
{
	struct tags_file *file = (struct tags_file *)tags;

	file->fd = store_files_reopen_idle(file->files, STORE_TAGS_FILE, 0);
	return file->fd >= 0;
}

static bool file_take(struct tags *tags)
{
	const struct tags_file *file = (struct tags_file *)tags;

	return store_files_take(file->files, STORE_TAGS_FILE, file->fd);
}

static bool file_yield(struct tags *tags)
{
	return store_files_yield(((struct tags_file *)tags)->fd);
}

static off_t offset_of(uint64_t slot)
{
	return (off_t)(STORE_TAGS_OFFSET + slot * STORE_TAG_SIZE);
}

static bool file_get(struct tags *tags, uint64_t slot, struct virtio_cswap_tag *to,
		     unsigned int count)
{
	ssize_t bytes = (ssize_t)count * STORE_TAG_SIZE;

	return pread(((struct tags_file *)tags)->fd, to, (size_t)bytes, offset_of(slot)) == bytes;
}

/*
 * The file may be the one that the source had: then this changes nothing, whenever it ends. What it says
 * of other slots stays, and is nobody's.
 */
static bool file_put(struct tags *tags, uint64_t slot, const struct virtio_cswap_tag *from,
		     unsigned int count)
{
	ssize_t bytes = (ssize_t)count * STORE_TAG_SIZE;

	return pwrite(((struct tags_file *)tags)->fd, from, (size_t)bytes, offset_of(slot)) == bytes;
}

static void file_close(struct tags *tags)
{
	file_deactivate(tags);
	free(tags);
}

static const struct tags_ops tags_file_ops = {
	.activate = file_activate,
	.deactivate = file_deactivate,
	.lane_open = file_lane_open,
	.read = begin,
	.write = begin,
	.forget = file_forget,
	.complete = file_complete,
	.lane_close = file_lane_close,
	.close = file_close,
	.idle = file_idle,
	.take = file_take,
	.yield = file_yield,
	.get = file_get,
	.put = file_put,
};

struct tags *tags_file_open(const struct store_files *files)
{
	struct tags_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->tags.ops = &tags_file_ops;
	file->files = files;
	file->fd = -1;
	return &file->tags;
}
