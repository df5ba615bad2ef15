// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker_pair.c - a queue pair's requests, on their way from its rings to the store and back.
 *
 * Theory of operation: posted response buffers are collected; requests are popped, checked
 * and staged; what the store is done with is settled; then the guest is shown what ended:
 * first the request chains, then acks and data.
 *
 * A STORE's chain is held until its pages are written, a LOAD's only until its
 * header is copied. A LOAD doesn't start before it has a data buffer with room for
 * its pages, whatever else is posted or waits; acks that find no buffer wait, and with
 * them the state of their requests. Each pair has enough such states for all that the ring
 * can hold, so what waits for a buffer stops nothing else, and a guest that posts no buffers
 * stops only itself.
 *
 * Of a response buffer only the head is kept. The buffer is looked up and checked again
 * whenever it is used, so no pointer into guest memory outlives an operation,
 * and a change of the memory table needs no more than a quiet moment.
 */
#include <string.h>

#include "worker_parts.h"

/* Behind the last buffer of a list. */
#define DATA_LAST UINT16_MAX
/* Acks worth sending before their pair runs out of other things to do. */
#define ACK_BATCH 15
/*
 * Requests that a pair takes in a round. They go to the store then, so the medium works on them while the
 * next are looked at: io_uring holds what is submitted together until the last of it is prepared.
 */
#define TAKE_BATCH 8

void pair_break(struct pair *pair, const struct ring *ring, const char *why)
{
	if (pair->broken)
		return;
	pair->broken = true;
	ring_report_broken(pair->worker, ring, "queue pair", pair->index, why);
}

/* --- posted data buffers --- */

void pair_init_data(struct data_buffers *data)
{
	uint16_t i;

	data->count = 0;
	data->rooms = 0;
	data->free = 0;
	for (i = 0; i < RESPONSE_HEADS; i++)
		data->buffer[i].next = (uint16_t)(i + 1);
}

/* There are no more than RESPONSE_HEADS: pair_hold_response(). */
static void data_add(struct data_buffers *data, uint16_t head, unsigned int room)
{
	uint16_t i = data->free;

	data->free = data->buffer[i].next;
	data->buffer[i].head = head;
	data->buffer[i].next = data->rooms & 1U << room ? data->first[room] :
							  DATA_LAST;
	data->first[room] = i;
	data->rooms |= 1U << room;
	data->count++;
}

/* The list of the smallest that have room for @pages, so that the large ones are left; there is one. */
static unsigned int data_find(const struct data_buffers *data, unsigned int pages)
{
	return (unsigned int)__builtin_ctz(data->rooms >> pages << pages);
}

/* The one of a list that is taken next. */
static uint16_t data_peek(const struct data_buffers *data, unsigned int room)
{
	return data->buffer[data->first[room]].head;
}

static uint16_t data_take(struct data_buffers *data, unsigned int room)
{
	uint16_t i = data->first[room];

	data->first[room] = data->buffer[i].next;
	if (data->first[room] == DATA_LAST)
		data->rooms &= ~(1U << room);
	data->buffer[i].next = data->free;
	data->free = i;
	data->count--;
	return data->buffer[i].head;
}

/* --- what the guest gets back --- */

void pair_push_request(struct pair *pair, struct request *request)
{
	ring_push(pair->worker, &pair->request, request->head, 0,
		  (uint16_t)(request - pair->requests));
}

static void push_response(struct pair *pair, uint16_t head, uint32_t len)
{
	INFLIGHT_SET(pair->log->response[head], INFLIGHT_PUSHED);
	ring_push(pair->worker, &pair->response, head, len, head);
}

/* Its answer is in the buffer that is pushed next, or was pushed last. */
static void note_answered(struct request *request)
{
	INFLIGHT_SET(request->log->answer, INFLIGHT_PUSHED);
	list_append(&request->pair->answered, request);
}

/* --- outcomes: store -> status -> guest --- */

static void count_outcome(struct worker *worker, const struct request *request)
{
	unsigned int pages = request->wire.count;

	switch (request->wire.status) {
	case VIRTIO_CSWAP_S_OK:
		if (request->wire.load)
			COUNT(worker, loads, pages);
		else
			COUNT(worker, stores, pages);
		break;
	case VIRTIO_CSWAP_S_IOERR:
		COUNT(worker, errors_io, 1);
		break;
	case VIRTIO_CSWAP_S_NOSPC:
		COUNT(worker, errors_nospc, 1);
		break;
	default:
		COUNT(worker, errors_invalid, 1);
	}
}

/*
 * The chain may be reused from now on; it's published before any ack is. What
 * the answer needs doesn't come from the chain again.
 */
static void return_chain(struct request *request)
{
	struct inflight_request *log = request->log;

	if (!pair_live(request->pair))
		return;
	log->load = request->wire.load;
	log->count = (uint16_t)request->wire.count;
	log->status = request->wire.status;
	log->cookie = request->wire.cookie;
	log->slot = request->wire.slot;
	INFLIGHT_SET(log->chain, INFLIGHT_PUSHED);
	pair_push_request(request->pair, request);
	request_note_returned(request, true);
}

/*
 * The guest can use it for another request then, so there is a bound; beyond it chains
 * are held until the answer goes out, and the guest's ring is the bound.
 */
static void return_chain_early(struct request *request)
{
	if (request->pair->num_returned < INFLIGHT_RETURNED)
		return_chain(request);
}

static void finish_store(struct request *request)
{
	struct pair *pair = request->pair;

	count_outcome(pair->worker, request);
	return_chain_early(request);
	if (!pair_live(pair)) {
		request_put(request);
		return;
	}
	list_append(&pair->done, request);
	pair->acks++;
}

/* Answer a LOAD in its data buffer, with pages if its status is OK. */
static void finish_load(struct request *request)
{
	struct pair *pair = request->pair;
	struct worker *worker = pair->worker;
	struct vring_device *vring = &pair->response.vring;
	struct virtio_cswap_ack ack;
	unsigned int pages = 0;
	uint32_t len;

	count_outcome(worker, request);
	if (!pair_live(pair))
		goto put;
	if (vring_walk(vring, request->data_head, &worker->chain) != VRING_OK ||
	    device_sort_response(&worker->chain) != DEVICE_BUFFER_DATA) {
		pair_break(pair, &pair->response,
			   vring->broken ? vring->broken :
					   "data buffer changed while in use");
		goto put;
	}
	if (!request_is_returned(request))
		return_chain(request);
	if (request->wire.status == VIRTIO_CSWAP_S_OK)
		pages = request->wire.count;
	ack = device_make_ack(&request->wire);
	len = device_put_data(&worker->chain, &ack, request->wire.tag, pages);
	push_response(pair, request->data_head, len);
	note_answered(request);
	return;
put:
	request_put(request);
}

static void finish_request(struct request *request)
{
	if (request->wire.load)
		finish_load(request);
	else
		finish_store(request);
}

static void settle_request(struct request *request, const struct store_op *op,
			   uint32_t status)
{
	uint64_t first = request->wire.slot - op->slot;

	request->wire.status = status;
	request->pair->running--;
	if (request->wire.load)
		memcpy(request->wire.tag, &op->tag[first],
		       request->wire.count * sizeof(op->tag[0]));
	else
		request->pair->storing--;
	finish_request(request);
}

/* A discard in pieces is measured by what reads take, of which none had to wait for one. */
static void measure_read(struct worker *worker, const struct store_op *op)
{
	const uint64_t taken = worker_now_ns() - op->begun_ns;

	if (op->begun_ns <= worker->discarded_ns || worker->control.discard.running ||
	    worker->giving.running)
		return;
	worker->read_ns = worker->read_ns ? (7 * worker->read_ns + taken) / 8 : taken;
}

void pair_finish_op(struct worker *worker, struct store_op *op)
{
	struct request *request = op->user;
	struct request *rest = op->rest;
	uint32_t status = op_status(op->error);

	op->rest = NULL;
	if (op->kind == STORE_READ)
		measure_read(worker, op);
	if (op->error)
		op_report_error(worker, op);
	if (op->error && request->next) {
		op_retry_alone(worker, op, request);
		return;
	}
	while (request) {
		struct request *next = request->next;

		settle_request(request, op, status);
		request = next;
	}
	if (!op_retry_alone(worker, op, rest))
		op_put(worker, op);
}

/* --- guest -> store --- */

void pair_pin_segments(struct worker *worker, const struct vring_chain *chain)
{
	const struct worker_config *config = &worker->set->config;
	unsigned int i;

	if (!config->limits.balloon)
		return;
	for (i = 0; i < chain->readable + chain->writable; i++)
		balloon_pin(config->balloon, config->memory,
			    chain->segment[i].host, chain->segment[i].len);
}

/* vring_pop() sees to it that no more are out than the ring has; this is where it would hurt. */
bool pair_hold_response(struct pair *pair, const struct vring_chain *chain)
{
	struct heads *acks = &pair->ack_heads;

	if (acks->count + pair->data.count >= RESPONSE_HEADS) {
		pair_break(pair, &pair->response, "more response buffers than the ring has");
		return false;
	}
	if (device_sort_response(chain) == DEVICE_BUFFER_DATA)
		data_add(&pair->data, chain->head, device_data_room(chain));
	else
		acks->head[acks->count++] = chain->head;
	return true;
}

/* When the last ring went, so did the marks of what is posted. */
static void pin_head(struct pair *pair, uint16_t head)
{
	struct worker *worker = pair->worker;

	if (vring_walk(&pair->response.vring, head, &worker->chain) == VRING_OK)
		pair_pin_segments(worker, &worker->chain);
}

void pair_pin_posted(struct pair *pair)
{
	const struct data_buffers *data = &pair->data;
	uint32_t left = data->rooms;
	unsigned int i;

	for (i = 0; i < pair->ack_heads.count; i++)
		pin_head(pair, pair->ack_heads.head[i]);
	for (; left; left &= left - 1)
		for (i = data->first[__builtin_ctz(left)]; i != DATA_LAST;
		     i = data->buffer[i].next)
			pin_head(pair, data->buffer[i].head);
}

/* Buffers of the pair's can be taken, and used: none is known to be away. */
static bool can_take(const struct pair *pair)
{
	return pair_live(pair) && !pair->stalled;
}

/* Collect the response buffers that the guest has posted. */
static unsigned int take_responses(struct pair *pair)
{
	struct vring_device *vring = &pair->response.vring;
	struct vring_chain *chain = &pair->worker->chain;
	enum vring_result result;
	unsigned int taken = 0;

	while ((result = vring_pop(vring, chain)) == VRING_OK) {
		switch (device_sort_response(chain)) {
		case DEVICE_BUFFER_ACKS:
		case DEVICE_BUFFER_DATA:
			break;
		default:
			pair_break(pair, &pair->response,
				   "response buffer is useless");
			return taken;
		}
		INFLIGHT_SET(pair->log->response[chain->head], INFLIGHT_HELD);
		if (!pair_hold_response(pair, chain))
			return taken;
		pair_pin_segments(pair->worker, chain);
		taken++;
	}
	if (result == VRING_BROKEN)
		pair_break(pair, &pair->response, vring->broken);
	pair->stalled |= result == VRING_AWAY;
	return taken;
}

/* One that failed needs no room for pages. */
static unsigned int room_needed(const struct request *request)
{
	return request->wire.status == VIRTIO_CSWAP_S_OK ? request->wire.count : 1;
}

void pair_await_data(struct pair *pair, struct request *request)
{
	unsigned int room = room_needed(request);

	request->order = pair->next_order++;
	list_append(&pair->loads[room], request);
	pair->loads_waiting |= 1U << room;
}

/*
 * Take the oldest of the LOADs for which there is a data buffer. A look at each list is
 * all that it costs, however much waits or is posted. NULL: there is none.
 */
static struct request *next_load(struct pair *pair)
{
	uint32_t left = pair->loads_waiting, older;
	unsigned int room, found = 0;
	struct request *request;

	for (; left; left &= left - 1) {
		room = (unsigned int)__builtin_ctz(left);
		if (!(pair->data.rooms >> room))
			break;
		older = pair->loads[room].first->order;
		if (!found || (int32_t)(older - pair->loads[found].first->order) < 0)
			found = room;
	}
	if (!found)
		return NULL;
	request = list_shift(&pair->loads[found]);
	if (!pair->loads[found].first)
		pair->loads_waiting &= ~(1U << found);
	return request;
}

/* Its data buffer is away. */
static void await_memory(struct pair *pair, struct request *request)
{
	unsigned int room = room_needed(request);

	list_unshift(&pair->loads[room], request);
	pair->loads_waiting |= 1U << room;
	pair->stalled = true;
}

/* A LOAD has a data buffer now: find its pages, or answer that it can't be. */
static void start_load(struct pair *pair, struct request *request)
{
	struct worker *worker = pair->worker;
	struct vring_device *vring = &pair->response.vring;
	unsigned int room = data_find(&pair->data, room_needed(request));
	enum vring_result result;

	result = vring_walk(vring, data_peek(&pair->data, room), &worker->chain);
	if (result == VRING_AWAY) {
		await_memory(pair, request);
		return;
	}
	request->data_head = data_take(&pair->data, room);
	if (request->wire.status == VIRTIO_CSWAP_S_OK) {
		if (result != VRING_OK) {
			pair_break(pair, &pair->response, vring->broken);
			request_put(request);
			return;
		}
		if (device_place_pages(&worker->chain, request->wire.count,
				       request->wire.page)) {
			op_stage(worker, request);
			return;
		}
		request->wire.status = VIRTIO_CSWAP_S_INVALID;
	}
	finish_load(request);
}

static unsigned int start_loads(struct pair *pair)
{
	struct request *request;
	unsigned int started = 0;

	while (can_take(pair) && pair->worker->free_ops &&
	       (request = next_load(pair))) {
		start_load(pair, request);
		started++;
	}
	return started;
}

/* Check a request and begin with it. False if the pair broke. */
static bool accept_request(struct pair *pair, struct request *request,
			   const struct vring_chain *chain)
{
	const struct device_limits *limits = &pair->worker->set->config.limits;
	const char *wrong;

	request->head = chain->head;
	request->log->head = chain->head;
	INFLIGHT_SET(request->log->chain, INFLIGHT_HELD);
	wrong = device_parse_request(limits, chain, &request->wire);
	if (wrong) {
		request_put(request);
		pair_break(pair, &pair->request, wrong);
		return false;
	}
	if (request->wire.load) {
		/* Its header is all that it had, and that's copied. */
		return_chain_early(request);
		pair_await_data(pair, request);
	} else if (request->wire.status == VIRTIO_CSWAP_S_OK) {
		op_stage(pair->worker, request);
	} else {
		finish_store(request);
	}
	return true;
}

/* Requests that a worker took before it died. */
static unsigned int take_again(struct pair *pair)
{
	struct vring_device *vring = &pair->request.vring;
	struct vring_chain *chain = &pair->worker->chain;
	unsigned int taken = 0;

	while (pair->again.first && pair->worker->free_ops) {
		enum vring_result result = vring_walk(vring, pair->again.first->head, chain);
		struct request *request;

		if (result == VRING_AWAY) {
			pair->stalled = true;
			break;
		}
		request = list_shift(&pair->again);
		if (result != VRING_OK) {
			request_put(request);
			pair_break(pair, &pair->request, vring->broken);
			break;
		}
		if (!accept_request(pair, request, chain))
			break;
		taken++;
	}
	return taken;
}

static unsigned int take_requests(struct pair *pair)
{
	struct vring_device *vring = &pair->request.vring;
	struct vring_chain *chain = &pair->worker->chain;
	enum vring_result result = VRING_EMPTY;
	unsigned int taken = 0;

	while (taken < TAKE_BATCH && pair->num_free && pair->worker->free_ops) {
		result = vring_pop(vring, chain);
		if (result != VRING_OK ||
		    !accept_request(pair, request_get(pair), chain))
			break;
		taken++;
	}
	if (result == VRING_BROKEN)
		pair_break(pair, &pair->request, vring->broken);
	pair->stalled |= result == VRING_AWAY;
	return taken;
}

unsigned int pair_run(struct pair *pair)
{
	unsigned int work = 0;

	if (!can_take(pair) || worker_stands(pair->worker, pair))
		return 0;
	work += take_responses(pair);
	if (can_take(pair))
		work += take_again(pair);
	if (can_take(pair))
		work += take_requests(pair);
	if (can_take(pair))
		work += start_loads(pair);
	return work;
}

/* --- store -> guest --- */

/* Take the acks that fit into one buffer off the list. */
static unsigned int collect_acks(struct pair *pair, unsigned int room,
				 struct virtio_cswap_ack *acks)
{
	unsigned int count = 0;

	while (pair->done.first && count < room) {
		struct request *request = list_shift(&pair->done);

		acks[count++] = device_make_ack(&request->wire);
		if (!request_is_returned(request))
			return_chain(request);
		note_answered(request);
		pair->acks--;
	}
	return count;
}

static void send_acks(struct pair *pair)
{
	struct worker *worker = pair->worker;
	struct vring_device *vring = &pair->response.vring;
	struct virtio_cswap_ack acks[DEVICE_MAX_ACKS];
	struct heads *heads = &pair->ack_heads;
	const uint16_t head = heads->head[heads->count - 1];
	const enum vring_result result = vring_walk(vring, head, &worker->chain);
	unsigned int count, room;

	if (result == VRING_AWAY) {
		pair->stalled = true;
		return;
	}
	heads->count--;
	if (result != VRING_OK) {
		pair_break(pair, &pair->response, vring->broken);
		return;
	}
	room = device_ack_room(&worker->chain);
	if (!room || worker->chain.readable) {
		pair_break(pair, &pair->response,
			   "ack buffer changed while posted");
		return;
	}
	count = collect_acks(pair, room, acks);
	push_response(pair, head, device_put_acks(&worker->chain, acks, count));
}

void pair_deliver(struct pair *pair, bool all)
{
	struct worker *worker = pair->worker;

	if (!pair_live(pair))
		return;
	if (!pair->storing || pair->acks == pair->acks_before)
		all = true;
	while (pair->acks && pair->ack_heads.count && can_take(pair) &&
	       (all || pair->acks >= ACK_BATCH))
		send_acks(pair);
	pair->acks_before = pair->acks;
	if (!pair_live(pair))
		return;
	/* Publish the chains before the acks that speak of them. */
	ring_publish(worker, &pair->request);
	ring_publish(worker, &pair->response);
}

/* --- the pair --- */

void pair_use_log(struct pair *pair, struct inflight_pair *log)
{
	pair->log = log;
	pair->request.log = &log->request_ring;
	pair->response.log = &log->response_ring;
}

void pair_init(struct pair *pair, struct worker *worker, unsigned int index,
	       struct inflight_pair *log)
{
	unsigned int i;

	pair->worker = worker;
	pair->index = index;
	pair->request.pair = pair;
	pair->response.pair = pair;
	pair_use_log(pair, log);
	pair_init_data(&pair->data);
	request_init_all(pair);
	for (i = 0; i < REQUESTS_PER_PAIR; i++)
		pair->free[pair->num_free++] = (uint16_t)i;
}
