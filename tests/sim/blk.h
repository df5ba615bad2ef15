/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * blk.h - a guest with a virtio-blk disk: the baseline of the benchmarks, over
 * the same front end and under the same load.
 */
#ifndef SIM_BLK_H
#define SIM_BLK_H

#include "frontend.h"
#include "io.h"

#define BLK_RING_SIZE	256
#define BLK_DEPTH	(BLK_RING_SIZE / 3)

struct blk_request {
	struct io_op *op;
	u8 *header, *status;		/* shared */
	u8 *page;			/* shared */
};

struct blk;

struct blk_queue {
	struct io_queue io;
	struct blk *blk;
	struct virtqueue vq;
	struct blk_request requests[BLK_DEPTH];
	unsigned int free_request[BLK_DEPTH], free_requests;
	unsigned int spin_ns;
};

struct blk {
	struct frontend fe;
	struct io_records records;	/* pages of 4 KiB */
	unsigned int queues;
	struct blk_queue *queue;
	char error[512];
};

/* 0, or -1 with the reason in blk->error. */
int blk_connect(struct blk *b, const char *path, unsigned int queues,
		unsigned int spin_ns);
void blk_disconnect(struct blk *b);

#endif /* SIM_BLK_H */
