// SPDX-License-Identifier: GPL-2.0-only
/*
 * store_uring.c - pages of a file or a block device, by io_uring.
 *
 * Theory of operation: slot n is page n behind the signature (store_files.h), read and
 * written by O_DIRECT between the medium and the guest's own pages. A read or write that did
 * less than was asked goes on where it stopped, here and nowhere else. Nothing is synced: what
 * swap holds dies with its guest.
 *
 * Where a file was cut, or its blocks were discarded, it reads as zeros, without an error,
 * if it is long enough (again): a fact that store_tagged.c goes by.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "store_files.h"
#include "store_uring.h"

/* --- the data path --- */

static void end(struct store_lane *lane, struct store_op *op, int error)
{
	op->error = error;
	lane->done(lane->context, op);
}

static void submit_data(struct store_lane *lane, struct store_op *op)
{
	struct io_uring_sqe *sqe = store_get_sqe(lane->ring);
	uint32_t bytes = (uint32_t)op->count * STORE_SLOT_SIZE;
	uint64_t offset = STORE_DATA_OFFSET + op->slot * STORE_SLOT_SIZE + bytes -
			  op->data_bytes_left;
	unsigned int n = (unsigned int)(op->data + op->count - op->data_left);

	if (!sqe) {
		end(lane, op, -EAGAIN);
		return;
	}
	if (op->kind == STORE_WRITE)
		io_uring_prep_writev(sqe, STORE_FD_DATA, op->data_left, n, offset);
	else
		io_uring_prep_readv(sqe, STORE_FD_DATA, op->data_left, n, offset);
	sqe->flags |= IOSQE_FIXED_FILE;
	store_tag_sqe(sqe, op, STORE_PART_DATA);
}

static void begin_data(struct store_lane *lane, struct store_op *op)
{
	op->retries = 0;
	op->data_left = op->data;
	op->data_bytes_left = (uint32_t)op->count * STORE_SLOT_SIZE;
	submit_data(lane, op);
}

void store_uring_read(struct store_lane *lane, struct store_op *op)
{
	begin_data(lane, op);
}

void store_uring_write(struct store_lane *lane, struct store_op *op)
{
	begin_data(lane, op);
}

void store_uring_trim(struct store_lane *lane, struct store_op *op)
{
	struct io_uring_sqe *sqe;

	/* To punch a hole the kernel writes zeros to a device that can do that and can't discard. */
	if (!lane->store->facts.trim_bytes) {
		end(lane, op, 0);
		return;
	}
	sqe = store_get_sqe(lane->ring);
	if (!sqe) {
		end(lane, op, -EAGAIN);
		return;
	}
	io_uring_prep_fallocate(sqe, STORE_FD_DATA,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)(STORE_DATA_OFFSET + op->slot * STORE_SLOT_SIZE),
				(off_t)(op->count * STORE_SLOT_SIZE));
	sqe->flags |= IOSQE_FIXED_FILE;
	store_tag_sqe(sqe, op, STORE_PART_DATA);
}

static void data_advance(struct store_op *op, uint32_t bytes)
{
	op->data_bytes_left -= bytes;
	while (bytes) {
		struct iovec *iov = op->data_left;
		uint32_t n = bytes < iov->iov_len ? bytes :
						    (uint32_t)iov->iov_len;

		iov->iov_base = (uint8_t *)iov->iov_base + n;
		iov->iov_len -= n;
		bytes -= n;
		if (!iov->iov_len)
			op->data_left++;
	}
}

static void data_complete(struct store_lane *lane, struct store_op *op,
			  int result)
{
	if (result > 0) {
		data_advance(op, (uint32_t)result);
		if (!op->data_bytes_left)
			end(lane, op, 0);
		else
			submit_data(lane, op);
	} else if (store_worth_retry(result, &op->retries)) {
		submit_data(lane, op);
	} else {
		/* Nothing done and no error: the file was cut short. */
		end(lane, op, result ? result : -EIO);
	}
}

static void trim_complete(struct store_lane *lane, struct store_op *op, int result)
{
	/* A medium that can't give space back has done all it can. */
	if (result == -EOPNOTSUPP || result == -ENOSYS || result == -ENODEV)
		result = 0;
	end(lane, op, result < 0 ? result : 0);
}

void store_uring_complete(struct store_lane *lane, struct store_op *op,
			  enum store_part part, int result)
{
	(void)part;
	if (op->kind == STORE_DISCARD)
		trim_complete(lane, op, result);
	else
		data_complete(lane, op, result);
}

void store_uring_hurry(struct store_lane *lane)
{
	(void)lane;
}

/* --- opening and closing --- */

struct store_lane *store_uring_lane_open(struct store *store, struct io_uring *ring,
					 unsigned int depth, store_done_fn *done,
					 void *context)
{
	const struct store_uring *uring = (struct store_uring *)store;
	struct store_lane *lane = calloc(1, sizeof(*lane));
	int error;

	(void)depth;
	if (!lane)
		return NULL;
	error = store_register_fd(ring, STORE_FD_DATA, uring->fd);
	if (error) {
		free(lane);
		errno = -error;
		return NULL;
	}
	*lane = (struct store_lane) { store, ring, done, context };
	return lane;
}

void store_uring_lane_close(struct store_lane *lane)
{
	store_unregister_fds(lane->ring);
	free(lane);
}

/* The lock goes with the open file. */
void store_uring_deactivate(struct store *store)
{
	struct store_uring *uring = (struct store_uring *)store;

	if (uring->fd >= 0)
		close(uring->fd);
	uring->fd = -1;
}

enum store_taken store_uring_take(struct store *store, const struct store_ticket *ticket)
{
	const struct store_uring *uring = (struct store_uring *)store;

	/* The lock says it all. */
	return store_files_take(uring->files, STORE_DATA_FILE, uring->fd) ? STORE_TAKEN : store_not_taken(ticket);
}

bool store_uring_yield(struct store *store)
{
	return store_files_yield(((struct store_uring *)store)->fd);
}

void store_uring_close(struct store *store)
{
	store_uring_deactivate(store);
	free(store);
}

struct store *store_uring_open(const struct store_files *files, uint64_t slots,
			       const struct store_ops *ops)
{
	struct store_uring *uring = calloc(1, sizeof(*uring));

	if (!uring)
		return NULL;
	uring->store.ops = ops;
	uring->store.facts = (struct store_facts) {
		.slots = slots,
		.merge_pages = STORE_MAX_PAGES,
		.flags = STORE_READS_ZEROS,
	};
	uring->files = files;
	uring->fd = -1;
	return &uring->store;
}

/* --- facts --- */

uint64_t store_uring_queue_fact(int fd, const char *name, uint64_t missing)
{
	/* A partition has no queue of its own. */
	static const char *const formats[] = {
		"/sys/dev/block/%u:%u/queue/%s",
		"/sys/dev/block/%u:%u/../queue/%s",
	};
	FILE *file = NULL;
	char path[96], line[32];
	struct stat st;
	unsigned int i;
	bool found;
	dev_t dev;

	if (fstat(fd, &st))
		return missing;
	dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	for (i = 0; i < 2 && !file; i++) {
		snprintf(path, sizeof(path), formats[i], major(dev), minor(dev), name);
		file = fopen(path, "re");
	}
	if (!file)
		return missing;
	found = fgets(line, sizeof(line), file);
	fclose(file);
	return found ? strtoull(line, NULL, 10) : missing;
}

uint8_t store_uring_medium(int fd)
{
	switch (store_uring_queue_fact(fd, "rotational", UINT64_MAX)) {
	case UINT64_MAX:
		return VIRTIO_CSWAP_MEDIUM_UNKNOWN;
	case 1:
		return VIRTIO_CSWAP_MEDIUM_DISK;
	default:
		return VIRTIO_CSWAP_MEDIUM_FLASH;
	}
}
