// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker_control.c - the control queue, served by the first of the workers.
 *
 * Theory of operation: its requests are served beside each other, so that a slow
 * one, such as the discarding of much memory, holds up none of the others; a
 * RELEASE is answered when the memory is discarded, never before. EVENTs are set
 * aside until there is another target to tell.
 *
 * A file system discards under the same lock as it reads, so a discard of much would
 * keep LOADs waiting for as long as it takes. The worker cuts discards into pieces, and of all
 * requests together one piece is at the store at a time, of each request in turn: so
 * discards take one of the operations that the data path needs, and a short request
 * doesn't wait for a long one. What a piece costs depends on how the file is
 * fragmented, which can't be known beforehand; so the length of a piece follows what the
 * last ones took. After each piece, if pages are served meanwhile, discarding rests for some
 * times as long as the piece took. When the queue is to stand still the worker doesn't cut what
 * is left: then the front end's thread waits for its end.
 */
#include <fcntl.h>
#include <string.h>

#include "worker_parts.h"

/* Of guest memory, under way at a time. */
#define MAX_PUNCHES 16
/* Slots in a piece of a discard. */
#define MAX_PIECE_SLOTS 512
#define FIRST_PIECE_SLOTS 16
/* A piece is to take as long as a read, but it needn't be shorter than this. */
#define PIECE_NS 25000
/* How many times as long as a piece took discarding rests, and the longest rest. */
#define REST_FACTOR 3
#define MAX_REST_NS 1000000000

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

/* Note that @length more of the present range was begun. */
static void advance(struct control_request *request, uint64_t length)
{
	request->range_done += length;
	if (request->range_done < request->wire.range[request->next_range].count)
		return;
	request->range_done = 0;
	request->next_range++;
}

/* --- discards --- */

void control_init_discard(struct worker *worker)
{
	worker->control.discard.slots = FIRST_PIECE_SLOTS;
}

static void start_piece(struct worker *worker, struct control_request *request)
{
	const struct device_range *range =
		&request->wire.range[request->next_range];
	struct discard *discard = &worker->control.discard;
	uint64_t left = range->count - request->range_done;
	uint64_t most = worker_stands(worker, NULL) ? left : discard->slots;
	struct store_op *op = op_get(worker);

	op->kind = STORE_DISCARD;
	op->slot = range->start + request->range_done;
	op->count = left < most ? left : most;
	op->before = request->range_done;
	op->user = request;
	request->running++;
	discard->running = true;
	discard->served = worker_count_served(worker);
	advance(request, op->count);
	op_submit(worker, op);
}

/* The next length, by what one of @slots took. */
static void adapt_piece(struct discard *discard, uint64_t slots, uint64_t taken_ns,
			uint64_t aim_ns)
{
	if (taken_ns < aim_ns && slots == discard->slots)
		discard->slots *= 2;
	else if (taken_ns > 2 * aim_ns)
		discard->slots = slots * aim_ns / taken_ns;
	if (discard->slots > MAX_PIECE_SLOTS)
		discard->slots = MAX_PIECE_SLOTS;
	if (!discard->slots)
		discard->slots = 1;
}

static void end_piece(struct worker *worker, const struct store_op *op)
{
	struct control_request *request = op->user;
	struct discard *discard = &worker->control.discard;
	uint64_t now = worker_now_ns(), taken = now - op->begun_ns;
	uint64_t rest = REST_FACTOR * taken, aim = worker->read_ns;

	request->running--;
	/* What is answered with an error needn't be done. */
	if (op->error)
		request->next_range = request->wire.count;
	adapt_piece(discard, op->count, taken, aim < PIECE_NS ? PIECE_NS : aim);
	discard->running = false;
	worker->discarded_ns = now;
	if (worker_count_served(worker) == discard->served)
		rest = 0;
	discard->next_ns = now + (rest < MAX_REST_NS ? rest : MAX_REST_NS);
}

void control_finish_discard(struct worker *worker, struct store_op *op)
{
	struct control_request *request = op->user;

	end_piece(worker, op);
	if (op->error) {
		op_report_error(worker, op);
		request->status = op_status(op->error);
		COUNT(worker, errors_io, 1);
	} else {
		COUNT(worker, discards, op->count);
	}
	op_put(worker, op);
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
	uint64_t gpa = range->start + request->range_done;
	uint64_t len = range->count - request->range_done;
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
	advance(request, len);
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

/* True if the request needs an operation and it was begun. Discards: run_discards(). */
static bool start_operation(struct worker *worker,
			    struct control_request *request)
{
	if (request->next_range == request->wire.count)
		return false;
	switch (request->wire.op) {
	case DEVICE_DISCARD:
		return false;
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

static bool is_discard_left(const struct control_request *request)
{
	return request->wire.op == DEVICE_DISCARD &&
	       request->next_range < request->wire.count;
}

/* When may the next piece begin? A thread that waits for the queue's end is in a hurry. */
static uint64_t next_piece_ns(const struct worker *worker)
{
	return worker_stands(worker, NULL) ? 0 : worker->control.discard.next_ns;
}

/* Begin the next piece, of the request that waits longest for one. */
static unsigned int run_discards(struct worker *worker)
{
	struct control *control = &worker->control;
	struct control_request **at = &control->busy, *request;

	if (control->discard.running || !worker->free_ops)
		return 0;
	while (*at && !is_discard_left(*at))
		at = &(*at)->next;
	request = *at;
	if (!request || worker_now_ns() < next_piece_ns(worker))
		return 0;
	*at = request->next;
	request->next = NULL;
	while (*at)
		at = &(*at)->next;
	*at = request;
	start_piece(worker, request);
	return 1;
}

uint64_t control_wait_ns(const struct worker *worker)
{
	const struct control_request *request = worker->control.busy;
	uint64_t now, next;

	while (request && !is_discard_left(request))
		request = request->next;
	if (!request || worker->control.discard.running || !worker->free_ops)
		return 0;
	now = worker_now_ns();
	next = next_piece_ns(worker);
	return next > now ? next - now : 1;
}

static bool is_done(const struct control_request *request)
{
	return request->next_range == request->wire.count && !request->running;
}

/* What is done and can't be answered now isn't under way. */
bool control_is_busy(const struct worker *worker, bool memory)
{
	const struct control *control = &worker->control;
	const bool away = control->ring.state == RING_AWAY || control->stalled;
	const struct control_request *request = control->busy;

	while (request && ((memory && request->wire.op == DEVICE_DISCARD) ||
			   (away && is_done(request))))
		request = request->next;
	return request;
}

/* vring_pop() sees to it that no more are out than the ring has; this is where it would hurt. */
static void hold_event(struct worker *worker, uint16_t head)
{
	struct heads *events = &worker->control.events;

	if (events->count >= RESPONSE_HEADS)
		control_break(worker, "more events than the ring has");
	else
		events->head[events->count++] = head;
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
	request->range_done = 0;
	if (request->status != VIRTIO_CSWAP_S_OK) {
		request->wire.count = 0;
		COUNT(worker, errors_invalid, 1);
	} else if (request->wire.op == DEVICE_EVENT) {
		hold_event(worker, request->head);
		return;
	}
	control->free = request->next;
	request->next = NULL;
	while (*last)
		last = &(*last)->next;
	*last = request;
}

unsigned int control_take(struct worker *worker)
{
	struct control *control = &worker->control;
	struct vring_device *vring = &control->ring.vring;
	unsigned int taken = 0;

	while (control->free && ring_live(&control->ring) && !control->stalled) {
		switch (vring_pop(vring, &worker->chain)) {
		case VRING_AWAY:
			control->stalled = true;
			return taken;
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

/* A ring that is gone for good has no chain, but nothing is to wait for one either. */
static bool can_answer(struct worker *worker, uint16_t head)
{
	struct control *control = &worker->control;

	if (ring_live(&control->ring) && !control->stalled)
		control->stalled = vring_walk(&control->ring.vring, head, &worker->chain) ==
				   VRING_AWAY;
	return control->ring.state != RING_AWAY && !control->stalled;
}

/* Use an EVENT if there is a target that the guest hasn't been told, or it is to release anew. */
static unsigned int run_events(struct worker *worker)
{
	struct balloon *balloon = worker->set->config.balloon;
	struct control *control = &worker->control;
	struct heads *events = &control->events;
	const bool ask = worker->set->config.limits.again && balloon_wants_again(balloon);
	/* Before the guest is shown it: what is asked for from now on is told once more. */
	const uint64_t number = balloon_again_number(balloon);
	uint64_t target = balloon_get_wanted(balloon);
	uint16_t head;

	if (!events->count || !ring_live(&control->ring) ||
	    (control->told_known && target == control->told_bytes && !ask))
		return 0;
	head = events->head[0];
	if (!can_answer(worker, head))
		return 0;
	events->count--;
	memmove(events->head, events->head + 1,
		events->count * sizeof(events->head[0]));
	if (!answer_event(worker, head, target, ask ? VIRTIO_CSWAP_EVENT_AGAIN : 0))
		return 0;
	if (ask)
		control->again = number;
	control->told_bytes = target;
	control->told_known = true;
	balloon_tell(balloon, target);
	COUNT(worker, events, 1);
	return 1;
}

unsigned int control_begin(struct worker *worker)
{
	struct control_request *request;
	unsigned int work = 0;

	for (request = worker->control.busy; request; request = request->next)
		while (start_operation(worker, request))
			work++;
	return work + run_discards(worker);
}

unsigned int control_answer(struct worker *worker)
{
	struct control *control = &worker->control;
	struct control_request **at, *request;
	unsigned int work = 0;

	for (at = &control->busy; (request = *at);) {
		if (!is_done(request) || !can_answer(worker, request->head)) {
			at = &request->next;
			continue;
		}
		*at = request->next;
		settle_control(worker, request);
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
	unsigned int i;

	control->told_bytes = control->log->told_bytes;
	control->told_known = control->log->told_known;
	balloon_tell(worker->set->config.balloon, control->told_bytes);
	control->events.count = 0;
	for (i = 0; i < worker->held.count; i++) {
		if (!control->free ||
		    vring_walk(vring, worker->held.head[i], &worker->chain) != VRING_OK) {
			control_break(worker, vring->broken ? vring->broken :
				      "control chain changed while in use");
			return;
		}
		accept_control(worker);
		if (!ring_live(&control->ring))
			return;
	}
}
