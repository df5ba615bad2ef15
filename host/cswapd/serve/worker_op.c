// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker_op.c - operations of the store, and how requests are gathered into them.
 *
 * Theory of operation: a worker has a fixed number of operations; code that takes one has looked
 * before whether one is free. A request joins an operation that was staged before and ends where
 * the request begins; all that is staged goes to the store in the same round. The store may
 * complete an operation before the call that began it returns: so the completion is only noted,
 * and the loop finishes the operation.
 */
#include <errno.h>
#include <string.h>

#include "worker_parts.h"

uint32_t op_status(int error)
{
	switch (-error) {
	case 0:
		return VIRTIO_CSWAP_S_OK;
	case ENOSPC:
	case EDQUOT:
		return VIRTIO_CSWAP_S_NOSPC;
	default:
		return VIRTIO_CSWAP_S_IOERR;
	}
}

void op_report_error(struct worker *worker, const struct store_op *op)
{
	static const char *const verb[] = {
		[STORE_WRITE] = "write",
		[STORE_READ] = "read",
		[STORE_DISCARD] = "discard",
		[STORE_GIVE_BACK] = "giving back",
	};

	log_limited(&worker->store_rate, LOG_WARNING,
		    "store: %s of %ju slots from %ju: %s", verb[op->kind],
		    (uintmax_t)op->count, (uintmax_t)op->slot,
		    strerror(-op->error));
}

struct store_op *op_get(struct worker *worker)
{
	struct store_op *op = worker->free_ops;

	worker->free_ops = op->next;
	op->next = NULL;
	op->user = NULL;
	op->count = 0;
	op->before = 0;
	return op;
}

void op_put(struct worker *worker, struct store_op *op)
{
	op->next = worker->free_ops;
	worker->free_ops = op;
	__atomic_store_n(&op->begun_ns, 0, __ATOMIC_RELAXED);
}

void op_submit(struct worker *worker, struct store_op *op)
{
	worker->busy_ops++;
	__atomic_store_n(&op->begun_ns, worker_now_ns(), __ATOMIC_RELAXED);
	COUNT(worker, store_ops, 1);
	store_submit(worker->lane, op);
}

void op_done(void *context, struct store_op *op)
{
	struct worker *worker = context;

	op->next = worker->done_ops;
	worker->done_ops = op;
}

/* Add a request's pages to an operation. op->user: its requests, last first. */
static void op_add(struct store_op *op, struct request *request)
{
	unsigned int i;

	for (i = 0; i < request->wire.count; i++, op->count++) {
		op->data[op->count].iov_base = request->wire.page[i];
		op->data[op->count].iov_len = STORE_SLOT_SIZE;
		op->tag[op->count] = request->wire.tag[i];
	}
	request->next = op->user;
	op->user = request;
}

static void op_begin(struct store_op *op, struct request *request)
{
	op->kind = request->wire.load ? STORE_READ : STORE_WRITE;
	op->slot = request->wire.slot;
	op->count = 0;
	op->user = NULL;
	op_add(op, request);
}

static bool op_can_take(const struct worker *worker, const struct store_op *op,
			const struct request *request)
{
	enum store_kind kind = request->wire.load ? STORE_READ : STORE_WRITE;

	return op->kind == kind && op->slot + op->count == request->wire.slot &&
	       op->count + request->wire.count <=
	       worker->set->config.store->facts.merge_pages;
}

void op_flush(struct worker *worker)
{
	unsigned int i;

	for (i = 0; i < worker->num_open; i++)
		op_submit(worker, worker->open_ops[i]);
	worker->num_open = 0;
}

void op_stage(struct worker *worker, struct request *request)
{
	struct store_op *op;
	unsigned int i;

	request->pair->running++;
	if (!request->wire.load)
		request->pair->storing++;
	for (i = 0; i < worker->num_open; i++) {
		op = worker->open_ops[i];
		if (op_can_take(worker, op, request)) {
			op_add(op, request);
			COUNT(worker, merged, 1);
			return;
		}
	}
	if (worker->num_open == OPEN_OPS)
		op_flush(worker);
	op = op_get(worker);
	op_begin(op, request);
	worker->open_ops[worker->num_open++] = op;
}

bool op_retry_alone(struct worker *worker, struct store_op *op,
		    struct request *rest)
{
	struct request *request = rest;

	if (!request)
		return false;
	op->rest = request->next;
	request->next = NULL;
	op_begin(op, request);
	op_submit(worker, op);
	return true;
}
