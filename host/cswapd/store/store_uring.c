// SPDX-License-Identifier: GPL-2.0-only
/*
 * store_uring.c - slots in a file or a block device, by io_uring.
 *
 * Theory of operation: slot n is page n of the data behind its signature, read and
 * written by O_DIRECT between the medium and the guest's own pages, and 16 bytes of
 * the tags, a file of its own, likewise (store_files.h says where they begin). Tags go by plain buffered
 * reads and writes of exactly those bytes: 256 tags share a block, so whoever
 * read, changed and wrote a block would lose a neighbour's tag, and that is a
 * page; the page cache does it right. They are never mapped: a full disk would
 * be a SIGBUS.
 *
 * An operation has two parts, data and tags, and ends with the later. A part
 * that did less than asked goes on where it stopped, here and nowhere else.
 * Nothing is synced: what swap holds dies with its guest.
 *
 * Where a file was cut, or its blocks were discarded, it reads as zeros: without an
 * error, if it is long enough (again). A sealed page and a tag are never all zeros,
 * but for odds of 2^-128; so a LOAD that finds one of them so fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/log.h"
#include "store_files.h"

#define MAX_RETRIES 16
#define BLOCK_SIZE_BYTES 4096

/* Indices of the files that each lane registers with its ring. */
enum { DATA_FILE, TAGS_FILE, NUM_FILES };

struct store_uring {
	struct store store;
	int data_fd;
	int tags_fd;
};

/* --- the data path --- */

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

/* It ends at the first word in all cases but the one. */
static bool is_zero(const void *from, size_t bytes)
{
	const uint64_t *word = from;
	size_t i;

	for (i = 0; i < bytes / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

/* Is one of the pages that were read none that was stored? */
static bool is_hollow(const struct store_op *op)
{
	uint64_t i;

	for (i = 0; i < op->count; i++) {
		/* What was read is behind what is left to read. */
		const uint8_t *end = op->data[i].iov_base;

		if (is_zero(end - STORE_SLOT_SIZE, STORE_SLOT_SIZE) ||
		    is_zero(&op->tag[i], sizeof(op->tag[i])))
			return true;
	}
	return false;
}

static void part_end(struct store_lane *lane, struct store_op *op, int error)
{
	if (error && !op->error)
		op->error = error;
	if (--op->parts)
		return;
	if (op->kind == STORE_READ && !op->error && is_hollow(op))
		op->error = -ENODATA;
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
		part_end(lane, op, -EAGAIN);
		return;
	}
	if (op->kind == STORE_WRITE)
		io_uring_prep_writev(sqe, DATA_FILE, op->data_left, n, offset);
	else
		io_uring_prep_readv(sqe, DATA_FILE, op->data_left, n, offset);
	sqe->flags |= IOSQE_FIXED_FILE;
	store_tag_sqe(sqe, op, STORE_PART_DATA);
}

static void submit_tags(struct store_lane *lane, struct store_op *op)
{
	struct io_uring_sqe *sqe = store_get_sqe(lane->ring);
	uint32_t done = op->tag_bytes_done;
	uint32_t left = (uint32_t)op->count * STORE_TAG_SIZE - done;
	uint64_t offset = STORE_TAGS_OFFSET + op->slot * STORE_TAG_SIZE + done;
	uint8_t *tags = (uint8_t *)op->tag + done;

	if (!sqe) {
		part_end(lane, op, -EAGAIN);
		return;
	}
	if (op->kind == STORE_WRITE)
		io_uring_prep_write(sqe, TAGS_FILE, tags, left, offset);
	else
		io_uring_prep_read(sqe, TAGS_FILE, tags, left, offset);
	sqe->flags |= IOSQE_FIXED_FILE;
	store_tag_sqe(sqe, op, STORE_PART_TAGS);
}

static void submit_punch(struct store_lane *lane, struct store_op *op,
			 enum store_part part, uint64_t begin, uint64_t end)
{
	struct io_uring_sqe *sqe = store_get_sqe(lane->ring);

	if (!sqe) {
		part_end(lane, op, -EAGAIN);
		return;
	}
	io_uring_prep_fallocate(sqe,
				part == STORE_PART_DATA ? DATA_FILE : TAGS_FILE,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)begin, (off_t)(end - begin));
	sqe->flags |= IOSQE_FIXED_FILE;
	store_tag_sqe(sqe, op, part);
}

/*
 * Of the tags only whole blocks are punched: the rest of a block belongs to
 * slots that may be written just now. One that began in an earlier piece of the same
 * range goes with the piece that ends it.
 */
static void submit_discard(struct store_lane *lane, struct store_op *op)
{
	uint64_t block = BLOCK_SIZE_BYTES;
	uint64_t data = STORE_DATA_OFFSET + op->slot * STORE_SLOT_SIZE;
	/* The tags' offset is a block, too. */
	uint64_t begin = STORE_TAGS_OFFSET + (op->slot - op->before) * STORE_TAG_SIZE;
	uint64_t tags = (STORE_TAGS_OFFSET + op->slot * STORE_TAG_SIZE) & ~(block - 1);
	uint64_t tags_end = (STORE_TAGS_OFFSET + (op->slot + op->count) * STORE_TAG_SIZE) &
			    ~(block - 1);

	if (tags < begin)
		tags += block;
	op->parts = tags < tags_end ? 2 : 1;
	if (tags < tags_end)
		submit_punch(lane, op, STORE_PART_TAGS, tags, tags_end);
	submit_punch(lane, op, STORE_PART_DATA, data,
		     data + op->count * STORE_SLOT_SIZE);
}

static void uring_submit(struct store_lane *lane, struct store_op *op)
{
	op->error = 0;
	op->retries = 0;
	if (op->kind == STORE_DISCARD) {
		submit_discard(lane, op);
		return;
	}
	op->parts = 2;
	op->data_left = op->data;
	op->data_bytes_left = (uint32_t)op->count * STORE_SLOT_SIZE;
	op->tag_bytes_done = 0;
	submit_data(lane, op);
	submit_tags(lane, op);
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

/* Some kinds of failure are worth another try; the rest is the outcome. */
static bool worth_retry(struct store_op *op, int result)
{
	return (result == -EAGAIN || result == -EINTR) &&
	       op->retries++ < MAX_RETRIES;
}

static void data_complete(struct store_lane *lane, struct store_op *op,
			  int result)
{
	if (result > 0) {
		data_advance(op, (uint32_t)result);
		if (!op->data_bytes_left)
			part_end(lane, op, 0);
		else
			submit_data(lane, op);
	} else if (worth_retry(op, result)) {
		submit_data(lane, op);
	} else {
		/* Nothing done and no error: somebody cut the file short. */
		part_end(lane, op, result ? result : -EIO);
	}
}

static void tags_complete(struct store_lane *lane, struct store_op *op,
			  int result)
{
	if (result > 0) {
		op->tag_bytes_done += (uint32_t)result;
		if (op->tag_bytes_done == op->count * STORE_TAG_SIZE)
			part_end(lane, op, 0);
		else
			submit_tags(lane, op);
	} else if (worth_retry(op, result)) {
		submit_tags(lane, op);
	} else {
		part_end(lane, op, result ? result : -EIO);
	}
}

static void discard_complete(struct store_lane *lane, struct store_op *op,
			     int result)
{
	/* A medium that can't give space back has done all it can. */
	if (result == -EOPNOTSUPP || result == -ENOSYS || result == -ENODEV)
		result = 0;
	part_end(lane, op, result < 0 ? result : 0);
}

static void uring_complete(struct store_lane *lane, struct store_op *op,
			   enum store_part part, int result)
{
	if (op->kind == STORE_DISCARD)
		discard_complete(lane, op, result);
	else if (part == STORE_PART_DATA)
		data_complete(lane, op, result);
	else
		tags_complete(lane, op, result);
}

static void uring_hurry(struct store_lane *lane)
{
	(void)lane;
}

/* --- opening and closing --- */

static struct store_lane *uring_lane_open(struct store *store,
					  struct io_uring *ring,
					  unsigned int depth,
					  store_done_fn *done, void *context)
{
	struct store_uring *uring = (struct store_uring *)store;
	const int files[NUM_FILES] = { uring->data_fd, uring->tags_fd };
	struct store_lane *lane = calloc(1, sizeof(*lane));
	int error;

	(void)depth;
	if (!lane)
		return NULL;
	error = io_uring_register_files(ring, files, NUM_FILES);
	if (error) {
		free(lane);
		errno = -error;
		return NULL;
	}
	lane->store = store;
	lane->ring = ring;
	lane->done = done;
	lane->context = context;
	return lane;
}

static void uring_lane_close(struct store_lane *lane)
{
	io_uring_unregister_files(lane->ring);
	free(lane);
}

static void uring_close(struct store *store)
{
	struct store_uring *uring = (struct store_uring *)store;

	if (uring->data_fd >= 0)
		close(uring->data_fd);
	if (uring->tags_fd >= 0)
		close(uring->tags_fd);
	free(uring);
}

static const struct store_ops store_uring_ops = {
	.lane_open = uring_lane_open,
	.submit = uring_submit,
	.complete = uring_complete,
	.hurry = uring_hurry,
	.lane_close = uring_lane_close,
	.close = uring_close,
};

/* Does the file take O_DIRECT in pages? Some say yes at open and no at read. */
static bool direct_works(int fd)
{
	void *page = NULL;
	ssize_t n;

	if (posix_memalign(&page, STORE_SLOT_SIZE, STORE_SLOT_SIZE))
		return false;
	n = pread(fd, page, STORE_SLOT_SIZE, 0);
	free(page);
	return n >= 0 || errno != EINVAL;
}

static int open_data(const struct store_files *files)
{
	int fd = store_files_reopen(files, STORE_DATA_FILE, O_DIRECT);

	if (fd >= 0 && direct_works(fd))
		return fd;
	if (fd < 0 && errno != EINVAL)
		return fd;
	if (fd >= 0)
		close(fd);
	log_warning("%s: no O_DIRECT on this file system; writing through the page cache, where a failed write-back loses stored pages",
		    files->paths.name[STORE_DATA_FILE]);
	return store_files_reopen(files, STORE_DATA_FILE, 0);
}

/* What the kernel says of the disk below, if there is one to ask. */
static uint8_t find_medium(int fd)
{
	char path[96];
	struct statfs fs;
	struct stat st;
	char answer = 0;
	FILE *file;
	dev_t dev;

	if (fstat(fd, &st) || fstatfs(fd, &fs))
		return VIRTIO_CSWAP_MEDIUM_UNKNOWN;
	if (fs.f_type == TMPFS_MAGIC)
		return VIRTIO_CSWAP_MEDIUM_MEMORY;
	dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/queue/rotational",
		 major(dev), minor(dev));
	file = fopen(path, "re");
	if (!file) {
		/* A partition has no queue of its own. */
		snprintf(path, sizeof(path),
			 "/sys/dev/block/%u:%u/../queue/rotational",
			 major(dev), minor(dev));
		file = fopen(path, "re");
	}
	if (!file)
		return VIRTIO_CSWAP_MEDIUM_UNKNOWN;
	if (fread(&answer, 1, 1, file) != 1)
		answer = 0;
	fclose(file);
	return answer == '1' ? VIRTIO_CSWAP_MEDIUM_DISK :
			       VIRTIO_CSWAP_MEDIUM_FLASH;
}

struct store *store_uring_open(const struct store_files *files)
{
	struct store_uring *uring = calloc(1, sizeof(*uring));

	if (!uring)
		return NULL;
	uring->store.ops = &store_uring_ops;
	uring->store.slots = files->slots;
	uring->store.merge_pages = STORE_MAX_PAGES;
	uring->tags_fd = -1;
	uring->data_fd = open_data(files);
	if (uring->data_fd >= 0)
		uring->tags_fd = store_files_reopen(files, STORE_TAGS_FILE, 0);
	if (uring->tags_fd < 0) {
		uring_close(&uring->store);
		return NULL;
	}
	uring->store.medium = find_medium(uring->data_fd);
	return &uring->store;
}
