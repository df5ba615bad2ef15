/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * blk.h - a guest with a virtio-blk disk: the baseline of the benchmarks, over
 * the same front end and under the same load.
 */
#ifndef SIM_BLK_H
#define SIM_BLK_H

#include "frontend.h"
#include "guest.h"
#include "io.h"

#define BLK_RING_SIZE	256		/* if nobody says otherwise */
#define BLK_MAX_DEPTH	(VQ_MAX_SIZE / 3)

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
	struct blk_request requests[BLK_MAX_DEPTH];
	unsigned int free_request[BLK_MAX_DEPTH], free_requests;
	unsigned int spin_ns;
};

struct blk {
	struct frontend fe;
	struct io_records records;	/* pages of 4 KiB */
	unsigned int queues;
	struct blk_queue *queue;
	char error[512];
};

/* Of @options: pairs (0: one queue), ring_size, spin_ns. 0, or -1 with the reason in blk->error. */
int blk_connect(struct blk *b, const char *path, const struct guest_options *options);
/* While nothing else is under way. 0, or -1 with the reason in blk->error. */
int blk_discard(struct blk *b, const struct guest_range *ranges, unsigned int count);
void blk_disconnect(struct blk *b);

#endif /* SIM_BLK_H */
