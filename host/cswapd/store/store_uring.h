/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * store_uring.h - the data path that engines have in common whose pages lie in something
 * that can be opened: store_file.c, store_block.c.
 */
#ifndef CSWAPD_STORE_URING_H
#define CSWAPD_STORE_URING_H

#include "store.h"

struct store_uring {
	struct store store;
	const struct store_files *files;
	int fd;				/* -1: not active */
};

/* Slot n is page n behind the signature. NULL: no memory. */
struct store *store_uring_open(const struct store_files *files, uint64_t slots,
			       const struct store_ops *ops);

struct store_lane *store_uring_lane_open(struct store *store, struct io_uring *ring,
					 unsigned int depth, store_done_fn *done,
					 void *context);
void store_uring_read(struct store_lane *lane, struct store_op *op);
void store_uring_write(struct store_lane *lane, struct store_op *op);
void store_uring_trim(struct store_lane *lane, struct store_op *op);
void store_uring_complete(struct store_lane *lane, struct store_op *op,
			  enum store_part part, int result);
void store_uring_hurry(struct store_lane *lane);
void store_uring_lane_close(struct store_lane *lane);
void store_uring_deactivate(struct store *store);
void store_uring_close(struct store *store);
/* Of an engine whose idle() is its own. */
enum store_taken store_uring_take(struct store *store, const struct store_ticket *ticket);
bool store_uring_yield(struct store *store);

/* A number that the kernel has of the queue of the disk below @fd; @missing: there is none. */
uint64_t store_uring_queue_fact(int fd, const char *name, uint64_t missing);
/* What kind of disk that is: VIRTIO_CSWAP_MEDIUM_*. */
uint8_t store_uring_medium(int fd);

#endif
