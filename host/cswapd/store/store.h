/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * store.h - what keeps the slots: the contract between the workers and a medium.
 *
 * A store is opened once. Each worker opens a lane of it, which belongs to that
 * worker's thread and io_uring. Operations are submitted to a lane and come
 * back by its callback, in any order, from inside submit() or complete().
 */
#ifndef CSWAPD_STORE_H
#define CSWAPD_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <liburing.h>
#include <linux/virtio_cswap.h>

#define STORE_SLOT_SIZE VIRTIO_CSWAP_SLOT_SIZE
#define STORE_TAG_SIZE VIRTIO_CSWAP_TAG_SIZE
/* Pages in one operation. */
#define STORE_MAX_PAGES 64

enum store_kind {
	STORE_WRITE,
	STORE_READ,
	STORE_DISCARD,
};

/*
 * An operation's io_uring requests carry its address and which part of it they
 * are; the owner of the ring uses the lower values for itself.
 */
enum store_part {
	STORE_PART_DATA = 4,
	STORE_PART_TAGS = 5,
	STORE_PART_TIMER = 6,
};

#define STORE_PART_MASK 7

struct store_op {
	struct store_op *next;		/* the present owner's */
	void *user;			/* the submitter's, as is @rest */
	void *rest;
	enum store_kind kind;
	int error;			/* outcome: 0 or -errno */
	uint64_t slot;			/* the first */
	uint64_t count;			/* slots; WRITE, READ: up to STORE_MAX_PAGES */
	uint64_t before;		/* DISCARD: slots before it that it goes on from */
	uint64_t begun_ns;		/* the submitter's */
	struct iovec data[STORE_MAX_PAGES]; /* WRITE, READ: a page each; a store may change them */
	struct virtio_cswap_tag tag[STORE_MAX_PAGES]; /* in for WRITE, out for READ */

	/* The store's own. */
	struct iovec *data_left;
	uint32_t data_bytes_left;
	uint32_t tag_bytes_done;
	uint8_t parts;			/* under way */
	uint8_t retries;
	struct __kernel_timespec delay;	/* store_fault.c */
};

struct store;
struct store_lane;

typedef void store_done_fn(void *context, struct store_op *op);

struct store_ops {
	/*
	 * A lane for the calling thread, on its @ring, for up to @depth
	 * operations at a time. NULL with errno set.
	 */
	struct store_lane *(*lane_open)(struct store *store,
					struct io_uring *ring,
					unsigned int depth,
					store_done_fn *done, void *context);
	/* Never fails: errors come by the callback, in op->error. */
	void (*submit)(struct store_lane *lane, struct store_op *op);
	/* A completion on the ring that carries @op and @part. */
	void (*complete)(struct store_lane *lane, struct store_op *op,
			 enum store_part part, int result);
	/* Hold nothing back any longer: somebody waits for all to end. */
	void (*hurry)(struct store_lane *lane);
	void (*lane_close)(struct store_lane *lane);
	void (*close)(struct store *store);
};

struct store {
	const struct store_ops *ops;
	uint64_t slots;
	unsigned int merge_pages;	/* 1: don't merge requests; else up to this */
	uint8_t medium;			/* VIRTIO_CSWAP_MEDIUM_* */
};

struct store_lane {
	struct store *store;
	struct io_uring *ring;
	store_done_fn *done;
	void *context;
};

struct store_files;

/* The process's own open files of those, which stay the caller's. */
struct store *store_uring_open(const struct store_files *files);
/* Anonymous memory: for tests, and where the host's own swap is the medium. */
struct store *store_mem_open(uint64_t slots);

static inline void store_close(struct store *store)
{
	store->ops->close(store);
}

/* A submission entry for @part of @op, or NULL if the ring is stuck. */
struct io_uring_sqe *store_get_sqe(struct io_uring *ring);
void store_tag_sqe(struct io_uring_sqe *sqe, struct store_op *op,
		   enum store_part part);

#endif
