// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker_control.c - the control queue, served by the first of the workers.
 *
 * Theory of operation: its requests are served beside each other, so that a slow
 * one, such as the discarding of much memory, holds up none of the others; a
 * RELEASE is answered when the memory is discarded, never before. EVENTs are set
 * aside until there is another target to tell.
 */
#include <endian.h>
#include <fcntl.h>
#include <string.h>

#include "worker_parts.h"

/* Of guest memory, under way at a time. */
#define MAX_PUNCHES 16

/* --- answers --- */

void control_break(struct worker *worker, const char *why)
{
	struct ring *ring = &worker->control.ring;

	ring->vring.broken = why;
	worker_report_broken(worker, ring, "control queue", 0, why);
}

static void push_control(struct worker *worker, uint16_t head, uint32_t len)
{
	INFLIGHT_SET(worker->control.log->chain[head], INFLIGHT_PUSHED);
	worker_push(worker, &worker->control.ring, head, len, head);
}

/* Find a control chain again that shall be answered. False: the ring is broken. */
static bool find_answer(struct worker *worker, uint16_t head, size_t room)
{
	struct vring_device *vring = &worker->control.ring.vring;

	if (!ring_live(&worker->control.ring))
		return false;
	if (vring_walk(vring, head, &worker->chain) == VRING_OK &&
	    worker->chain.writable_bytes >= room)
		return true;
	control_break(worker, vring->broken ? vring->broken :
		      "control chain changed while in use");
	return false;
}

/* Use the chain that find_answer() found, into which @len bytes were put. */
static void push_answer(struct worker *worker, uint16_t head, uint32_t len,
			const struct worker_lie *lie)
{
	const uint32_t one = htole32(1);

	if (lie->reserved_bits)
		vring_copy_to(worker->chain.segment + worker->chain.readable,
			      offsetof(struct virtio_cswap_ctrl_response, reserved0),
			      &one, sizeof(one));
	push_control(worker, head, lie->used_bytes ? lie->used_bytes : len);
	if (lie->twice)
		push_control(worker, head, len);
}

static void answer_control(struct worker *worker,
			   const struct control_request *request)
{
	if (find_answer(worker, request->head,
			sizeof(struct virtio_cswap_ctrl_response)))
		push_answer(worker, request->head,
			    device_put_control(&worker->chain, &request->wire,
					       request->status),
			    &request->lie);
}

/* What needs no operation, or is due when all of them have ended. */
static void settle_control(struct worker *worker,
			   const struct control_request *request)
{
	struct balloon *balloon = worker->set->config.balloon;
	unsigned int i;

	if (request->status != VIRTIO_CSWAP_S_OK)
		return;
	switch (request->wire.op) {
	case DEVICE_RELEASE:
		for (i = 0; i < request->wire.count; i++)
			COUNT(worker, released, request->wire.range[i].count);
		balloon_set_released(balloon, &request->wire, true);
		break;
	case DEVICE_RECLAIM:
		for (i = 0; i < request->wire.count; i++)
			COUNT(worker, reclaimed, request->wire.range[i].count);
		balloon_set_released(balloon, &request->wire, false);
		break;
	case DEVICE_REPORT:
		COUNT(worker, reports, 1);
		balloon_take_report(balloon, &request->wire.report);
		break;
	case DEVICE_DISCARD:
	case DEVICE_EVENT:
		break;
	}
}

/* Discard a range of a slot's worth or more. False: not now. */
static bool start_discard(struct worker *worker, struct control_request *request)
{
	const struct device_range *range =
		&request->wire.range[request->next_range];
	struct store_op *op;

	if (!worker->free_ops)
		return false;
	op = worker_get_op(worker);
	op->kind = STORE_DISCARD;
	op->slot = range->start;
	op->count = range->count;
	op->user = request;
	request->next_range++;
	request->running++;
	worker_submit_op(worker, op);
	return true;
}

static void submit_punch(struct worker *worker, struct io_uring_sqe *sqe,
			 struct control_request *request,
			 const struct memory_region *region, uint64_t gpa,
			 uint64_t len)
{
	/* Without a file it fails there, as everything else. */
	io_uring_prep_fallocate(sqe, region->fd,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)(region->offset + (gpa - region->gpa)),
				(off_t)len);
	io_uring_sqe_set_data64(sqe, (uintptr_t)request | TOKEN_PUNCH);
	worker->control.punches++;
	request->running++;
	COUNT(worker, punches, 1);
}

/*
 * Discard what is behind a range, or as much of it as one region has: a punch
 * is one operation, however long. False: not now.
 */
static bool start_punch(struct worker *worker, struct control_request *request)
{
	const struct device_range *range =
		&request->wire.range[request->next_range];
	uint64_t gpa = range->start + request->next_byte;
	uint64_t len = range->count - request->next_byte;
	const struct memory_region *region =
		memory_find_region(worker->set->config.memory, gpa, &len);
	struct io_uring_sqe *sqe;

	if (worker->control.punches == MAX_PUNCHES)
		return false;
	sqe = store_get_sqe(&worker->uring);
	if (!sqe)
		return false;
	/* The table was checked, and changes only when nothing is under way. */
	submit_punch(worker, sqe, request, region, gpa, len);
	request->next_byte += len;
	if (request->next_byte == range->count) {
		request->next_byte = 0;
		request->next_range++;
	}
	return true;
}

void control_punch_done(struct worker *worker, struct control_request *request,
		       int result)
{
	worker->control.punches--;
	request->running--;
	if (result >= 0)
		return;
	log_limited(&worker->punch_rate, LOG_WARNING,
		    "can't discard released memory: %s", strerror(-result));
	request->status = VIRTIO_CSWAP_S_IOERR;
	COUNT(worker, errors_io, 1);
}

/* True if the request needs an operation and it was begun. */
static bool start_operation(struct worker *worker,
			    struct control_request *request)
{
	if (request->next_range == request->wire.count)
		return false;
	switch (request->wire.op) {
	case DEVICE_DISCARD:
		return start_discard(worker, request);
	case DEVICE_RELEASE:
		if (worker->set->config.punch)
			return start_punch(worker, request);
		break;
	default:
		break;
	}
	request->next_range = request->wire.count;
	return false;
}

static void control_free(struct control *control,
			 struct control_request *request)
{
	request->next = control->free;
	control->free = request;
}

/* Let a test have its way with a request. False: nothing comes of it. */
static bool lie_control(struct worker *worker, struct control_request *request)
{
	struct worker_lie *lie = &request->lie;
	struct io_uring_sqe *sqe;

	worker->set->config.hooks->control(request->wire.op, lie);
	if (lie->status) {
		request->status = lie->status;
		request->wire.count = 0;
	}
	if (lie->early)
		answer_control(worker, request);
	request->stalled = lie->stall;
	if (lie->delay_ms && (sqe = store_get_sqe(&worker->uring))) {
		request->delay.tv_sec = (long long)(lie->delay_ms / 1000);
		request->delay.tv_nsec = (long long)(lie->delay_ms % 1000 * 1000000);
		io_uring_prep_timeout(sqe, &request->delay, 0, 0);
		io_uring_sqe_set_data64(sqe, (uintptr_t)request | TOKEN_DELAY);
		request->running++;
	}
	return !lie->never;
}

/* Has a test held it up? What is stalled goes on when all shall end. */
static bool is_held(const struct control_request *request)
{
	return request->stalled || (request->lie.delay_ms && request->running &&
				    !request->next_range && !request->next_byte);
}

void control_hurry(struct worker *worker)
{
	struct control_request *request;

	for (request = worker->control.busy; request; request = request->next)
		request->stalled = false;
}

bool control_is_busy(const struct worker *worker, bool memory)
{
	const struct control_request *request = worker->control.busy;

	while (request && memory && request->wire.op == DEVICE_DISCARD)
		request = request->next;
	return request;
}

static void note_control(struct control *control, uint16_t head)
{
	control->log->order[head] = control->log->next_order++;
	INFLIGHT_SET(control->log->chain[head], INFLIGHT_HELD);
}

/* Take a chain that is an EVENT, or a request that is to be done or answered. */
static void accept_control(struct worker *worker)
{
	const struct worker_config *config = &worker->set->config;
	struct control *control = &worker->control;
	struct control_request *request = control->free;
	struct control_request **last = &control->busy;
	const char *wrong;

	wrong = device_parse_control(&config->limits, config->memory,
				     &config->balloon->pinned, &worker->chain,
				     &request->wire);
	if (wrong) {
		control_break(worker, wrong);
		return;
	}
	request->head = worker->chain.head;
	request->status = request->wire.status;
	request->next_range = 0;
	request->next_byte = 0;
	request->lie = (struct worker_lie) { 0 };
	if (request->status != VIRTIO_CSWAP_S_OK) {
		request->wire.count = 0;
		COUNT(worker, errors_invalid, 1);
	} else if (request->wire.op == DEVICE_EVENT) {
		/* vring_pop() sees to it that no more are out than the ring has. */
		control->events.head[control->events.count++] = request->head;
		return;
	}
	control->free = request->next;
	request->next = NULL;
	while (*last)
		last = &(*last)->next;
	if (config->hooks && request->status == VIRTIO_CSWAP_S_OK &&
	    !lie_control(worker, request))
		control_free(control, request);
	else
		*last = request;
}

unsigned int control_take(struct worker *worker)
{
	struct control *control = &worker->control;
	struct vring_device *vring = &control->ring.vring;
	unsigned int taken = 0;

	while (control->free && ring_live(&control->ring)) {
		switch (vring_pop(vring, &worker->chain)) {
		case VRING_EMPTY:
			return taken;
		case VRING_BROKEN:
			control_break(worker, vring->broken);
			return taken;
		case VRING_OK:
			note_control(control, worker->chain.head);
			accept_control(worker);
			taken++;
		}
	}
	return taken;
}

/* Use an EVENT if there is a target that the guest hasn't been told. */
static unsigned int run_events(struct worker *worker)
{
	struct balloon *balloon = worker->set->config.balloon;
	struct control *control = &worker->control;
	const struct worker_hooks *hooks = worker->set->config.hooks;
	struct heads *events = &control->events;
	struct virtio_cswap_event event;
	uint64_t target = balloon_get_target(balloon);
	struct worker_lie lie = { 0 };
	uint16_t head;

	if (!events->count || !ring_live(&control->ring))
		return 0;
	if (hooks ? !hooks->target(control->told_bytes, &target) :
		    control->told_known && target == control->told_bytes)
		return 0;
	if (hooks)
		hooks->control(DEVICE_EVENT, &lie);
	head = events->head[0];
	events->count--;
	memmove(events->head, events->head + 1,
		events->count * sizeof(events->head[0]));
	if (!find_answer(worker, head, sizeof(event)))
		return 0;
	event = device_make_event(lie.status, target);
	if (!lie.never)
		push_answer(worker, head,
			    device_put_event(&worker->chain, &event), &lie);
	control->told_bytes = target;
	control->told_known = true;
	balloon_tell(balloon, target);
	COUNT(worker, events, 1);
	return 1;
}

unsigned int control_run(struct worker *worker)
{
	struct control *control = &worker->control;
	struct control_request **at, *request;
	unsigned int work = 0;

	for (request = control->busy; request; request = request->next)
		while (!is_held(request) && start_operation(worker, request))
			work++;
	work += worker_finish_ops(worker);
	for (at = &control->busy; (request = *at);) {
		if (request->next_range != request->wire.count ||
		    request->running || request->stalled) {
			at = &request->next;
			continue;
		}
		*at = request->next;
		settle_control(worker, request);
		if (!request->lie.early)
			answer_control(worker, request);
		control_free(control, request);
		work++;
	}
	return work + run_events(worker);
}

/* In the order in which they came: a RECLAIM may follow its RELEASE. */
void control_recover(struct worker *worker)
{
	struct control *control = &worker->control;
	struct vring_device *vring = &control->ring.vring;
	unsigned int left = VRING_MAX_NUM;
	uint64_t order;
	int head;

	control->told_bytes = control->log->told_bytes;
	control->told_known = control->log->told_known;
	balloon_tell(worker->set->config.balloon, control->told_bytes);
	control->events.count = 0;
	/* The front end may write there meanwhile: that mustn't keep us here. */
	for (order = 0; left-- &&
	     (head = inflight_next_control(control->log, &order)) >= 0; order++) {
		if (!control->free ||
		    vring_walk(vring, (uint16_t)head, &worker->chain) != VRING_OK) {
			control_break(worker, vring->broken ? vring->broken :
				      "control chain changed while in use");
			return;
		}
		accept_control(worker);
		if (!ring_live(&control->ring))
			return;
	}
}
