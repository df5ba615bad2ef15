// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk.c - a guest with a virtio-blk disk: the baseline of the benchmarks.
 *
 * Pages travel unsealed, by one copy each way as in guest_pair.c, so that the
 * difference to it is the device's (and the sealing's, where that is on).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <asm/byteorder.h>
#include <linux/virtio_blk.h>

#include "blk.h"

#define SECTORS_PER_PAGE	(IO_PAGE_BYTES / 512)

static struct blk_queue *queue_of_io(struct io_queue *q)
{
	return (struct blk_queue *)((char *)q - offsetof(struct blk_queue, io));
}

static int queue_submit(struct io_queue *io, struct io_op *op)
{
	struct blk_queue *q = queue_of_io(io);
	struct frontend *fe = &q->blk->fe;
	struct virtio_blk_outhdr header = {
		.type = cpu_to_le32(op->kind == IO_STORE ? VIRTIO_BLK_T_OUT :
				    VIRTIO_BLK_T_IN),
		.sector = cpu_to_le64(op->slot * SECTORS_PER_PAGE),
	};
	struct blk_request *r;

	if (!q->free_requests)
		return -EBUSY;
	r = &q->requests[q->free_request[--q->free_requests]];
	r->op = op;
	memcpy(r->header, &header, sizeof(header));
	*r->status = 0xff;
	if (op->kind == IO_STORE)
		memcpy(r->page, op->page, IO_PAGE_BYTES);
	return vq_add(&q->vq, (const struct vq_segment[]){
		{ fe_guest_address(fe, r->header), sizeof(header), false },
		{ fe_guest_address(fe, r->page), IO_PAGE_BYTES, op->kind == IO_LOAD },
		{ fe_guest_address(fe, r->status), 1, true },
	}, 3, r);
}

static void queue_flush(struct io_queue *io)
{
	vq_publish(&queue_of_io(io)->vq);
}

static void complete(struct blk_queue *q, struct blk_request *r)
{
	struct io_records *records = &q->blk->records;
	struct io_op *op = r->op;

	op->result = *r->status == VIRTIO_BLK_S_OK ? IO_OK : IO_IOERR;
	if (op->kind == IO_STORE) {
		records->counter[op->slot] = op->result == IO_OK ? op->counter : 0;
	} else {
		op->counter = records->counter[op->slot];
		memcpy(op->page, r->page, IO_PAGE_BYTES);
	}
	r->op = NULL;
	q->free_request[q->free_requests++] = r - q->requests;
	op->done(op, op->arg);
}

static int queue_poll(struct io_queue *io)
{
	struct blk_queue *q = queue_of_io(io);
	int rc, done = 0;
	void *token;
	u32 used;

	for (; (rc = vq_take(&q->vq, &token, &used)) > 0; done++)
		complete(q, token);
	return rc < 0 ? io_fail(io, "a request came back that was not out") : done;
}

static int queue_wait(struct io_queue *io)
{
	struct blk_queue *q = queue_of_io(io);
	struct pollfd fds[] = {
		{ .fd = q->vq.call_fd, .events = POLLIN },
		{ .fd = q->blk->fe.socket, .events = POLLIN },
	};
	int rc;

	if (vq_spin(&q->vq, q->spin_ns) || !vq_arm(&q->vq))
		return 0;
	rc = poll(fds, 2, FE_PATIENCE_MS);
	vq_drain_call(&q->vq);
	if (!rc)
		return io_fail(io, "no answer from the device");
	if (rc > 0 && !fds[0].revents && fe_is_closed(&q->blk->fe))
		return io_fail(io, "the backend has hung up");
	return 0;
}

static void queue_count_signals(struct io_queue *io, u64 *kicks, u64 *interrupts)
{
	struct blk_queue *q = queue_of_io(io);

	vq_drain_call(&q->vq);
	*kicks = q->vq.kicks;
	*interrupts = q->vq.interrupts;
}

static const struct io_queue_ops queue_ops = {
	.submit = queue_submit,
	.flush = queue_flush,
	.poll = queue_poll,
	.wait = queue_wait,
	.count_signals = queue_count_signals,
};

static int fail(struct blk *b, const char *why)
{
	snprintf(b->error, sizeof(b->error), "%s", why);
	return -1;
}

static int init_queue(struct blk *b, unsigned int index, const struct guest_options *o)
{
	const unsigned int depth = o->ring_size / 3;
	struct blk_queue *q = &b->queue[index];
	u8 *headers = fe_alloc(&b->fe, 64 * depth, 64);
	u8 *pages = fe_alloc(&b->fe, IO_PAGE_BYTES * depth, IO_PAGE_BYTES);
	unsigned int i;

	if (!headers || !pages || fe_init_vq(&b->fe, &q->vq, index, o->ring_size))
		return -1;
	q->blk = b;
	q->spin_ns = o->spin_ns;
	q->io.ops = &queue_ops;
	q->io.max_stores = q->io.max_loads = depth;
	q->free_requests = depth;
	for (i = 0; i < depth; i++) {
		q->requests[i].header = headers + 64 * i;
		q->requests[i].status = headers + 64 * i + 32;
		q->requests[i].page = pages + IO_PAGE_BYTES * i;
		q->free_request[i] = i;
	}
	return 0;
}

static int make_records(struct blk *b)
{
	__le64 capacity;	/* the first field, 512-byte sectors */

	if (fe_read_config(&b->fe, 0, &capacity, sizeof(capacity)))
		return -1;
	b->records.slots = le64_to_cpu(capacity) / SECTORS_PER_PAGE;
	b->records.next = 1;
	b->records.counter = calloc(b->records.slots, sizeof(u64));
	return b->records.counter ? 0 : fe_fail(&b->fe, "no memory for records");
}

static int start(struct blk *b, const struct guest_options *o)
{
	unsigned int i;

	/* No flush: a swap disk has none either. */
	if (make_records(b) || fe_start(&b->fe))
		return -1;
	for (i = 0; i < b->queues; i++)
		if (init_queue(b, i, o) || fe_start_vq(&b->fe, &b->queue[i].vq, 0))
			return -1;
	return 0;
}

int blk_connect(struct blk *b, const char *path, const struct guest_options *options)
{
	struct guest_options o = *options;
	struct fe_options fe = { .style = FE_STYLE_QEMU, .regions = 1 };

	o.ring_size = o.ring_size ? o.ring_size : BLK_RING_SIZE;
	memset(b, 0, sizeof(*b));
	b->queues = o.pairs ? o.pairs : 1;
	b->queue = calloc(b->queues, sizeof(*b->queue));
	if (!b->queue)
		return fail(b, "no memory");
	fe.memory_bytes = b->queues * (o.ring_size / 3 + 16) * (size_t)(IO_PAGE_BYTES + 64);
	if (fe_connect(&b->fe, path, &fe))
		return fail(b, b->fe.error);
	if (b->fe.queues_offered < b->queues)
		return fail(b, "the backend has fewer queues");
	return start(b, &o) ? fail(b, b->fe.error) : 0;
}

/* A range is a request of its own: QEMU takes no more. */
static int discard_range(struct blk_queue *q, const struct guest_range *range)
{
	const struct virtio_blk_outhdr header = { .type = cpu_to_le32(VIRTIO_BLK_T_DISCARD) };
	const struct virtio_blk_discard_write_zeroes sectors = {
		.sector = cpu_to_le64(range->start * SECTORS_PER_PAGE),
		.num_sectors = cpu_to_le32((u32)range->count * SECTORS_PER_PAGE),
	};
	struct blk_request *r = &q->requests[q->free_request[q->free_requests - 1]];
	struct frontend *fe = &q->blk->fe;
	void *token;
	u32 used;
	int rc;

	memcpy(r->header, &header, sizeof(header));
	memcpy(r->page, &sectors, sizeof(sectors));
	*r->status = 0xff;
	rc = vq_add(&q->vq, (const struct vq_segment[]){
		{ fe_guest_address(fe, r->header), sizeof(header), false },
		{ fe_guest_address(fe, r->page), sizeof(sectors), false },
		{ fe_guest_address(fe, r->status), 1, true },
	}, 3, r);
	vq_publish(&q->vq);
	while (!rc && !(rc = vq_take(&q->vq, &token, &used)))
		rc = queue_wait(&q->io);
	return rc > 0 && *r->status == VIRTIO_BLK_S_OK ? 0 : -1;
}

int blk_discard(struct blk *b, const struct guest_range *ranges, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (discard_range(&b->queue[0], &ranges[i]))
			return fail(b, "a discard failed");
	return 0;
}

void blk_disconnect(struct blk *b)
{
	unsigned int i;

	for (i = 0; i < b->queues && b->queue; i++)
		vq_close(&b->queue[i].vq);
	fe_disconnect(&b->fe);
	free(b->queue);
	free(b->records.counter);
	b->queue = NULL;
	b->records.counter = NULL;
}
