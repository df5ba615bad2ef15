// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker.c - the threads that carry requests between the rings and the store.
 *
 * Theory of operation: a worker owns some queue pairs (the first one also the
 * control queue), an io_uring and a lane of the store. All of that is touched
 * by its thread alone, so there are no locks; the front end's thread has it run
 * a function, between two rounds and with nothing in flight, and waits.
 *
 * One round, in the order of the code: completions are reaped; posted response
 * buffers are collected; requests are popped, checked and staged, neighbours
 * merged into one operation; operations go to the store; what ended is
 * delivered: first the request chains, then acks and data, then the calls.
 * A worker without work polls for a moment and then sleeps in io_uring, which
 * watches the kick descriptors as well.
 *
 * A STORE's chain is held until its pages are written, a LOAD's only until its
 * header is copied. A LOAD doesn't start before it has a data buffer; acks
 * that find no buffer wait, and with them the request's own state, of which
 * each pair has a fixed number. So a guest that posts no buffers stops itself.
 *
 * The control queue's requests are served beside each other, so that a slow one,
 * such as the discarding of much memory, holds up none of the others; a RELEASE
 * is answered when the memory is discarded, never before. EVENTs are set aside
 * until there is another target to tell.
 *
 * Of a response buffer only the head is kept. It's looked up and checked again
 * whenever it is used, so no pointer into guest memory outlives an operation,
 * and a change of the memory table needs no more than a quiet moment.
 *
 * What is in hand is also noted where another process finds it (inflight.c). A
 * ring whose server died is attached like any other; then it goes on from the
 * notes: what was taken and not given back is run again, what was run and not
 * answered is answered.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "worker.h"

#define REQUESTS_PER_PAIR INFLIGHT_REQUESTS
#define OPS_PER_WORKER 256
#define OPEN_OPS 8			/* staged operations that may still grow */
#define RING_ENTRIES 1024
#define REAP_BATCH 64
/* Acks worth sending before their pair runs out of other things to do. */
#define ACK_BATCH 15
#define RESPONSE_HEADS VRING_MAX_NUM
/* Control requests served at a time; EVENTs set aside don't count. */
#define CONTROL_REQUESTS 32
/* Of guest memory, under way at a time. */
#define MAX_PUNCHES 16

/* What a completion is about, if not an operation of the store's. */
enum { TOKEN_NONE = 0, TOKEN_KICK = 1, TOKEN_MAIL = 2, TOKEN_PUNCH = 3, TOKEN_DELAY = 7 };
#define TOKEN_MASK STORE_PART_MASK

/* A virtqueue, as its worker sees it. */
struct ring {
	struct vring_device vring;
	struct pair *pair;		/* NULL: the control queue */
	struct inflight_ring *log;
	struct worker_ring setup;
	bool attached;
	bool watched;			/* a poll of kick_fd is under way */
	bool known;			/* what is held of it is known here, not only in the log */
	unsigned int num_pushed;	/* and not shown yet: */
	uint16_t pushed[VRING_MAX_NUM];	/* heads; request rings: indices of requests */
};

struct request {
	struct request *next;
	struct pair *pair;
	struct inflight_request *log;
	uint16_t head;			/* of the request chain */
	uint16_t data_head;		/* LOAD under way: of the data buffer */
	struct device_request wire;
};

struct request_list {
	struct request *first;
	struct request **last;
};

struct heads {
	unsigned int count;
	uint16_t head[RESPONSE_HEADS];
};

struct pair {
	struct worker *worker;
	unsigned int index;
	struct ring request;
	struct ring response;
	struct inflight_pair *log;
	bool broken;
	bool lost;			/* its requests are known to the log only */
	unsigned int storing;		/* STOREs at the store */
	unsigned int acks;		/* length of @done */
	unsigned int acks_before;	/* ... at the last delivery */
	struct request *free;
	struct request_list again;	/* taken by who died, to be begun anew */
	struct request_list loads;	/* waiting for a data buffer */
	struct request_list done;	/* STOREs whose ack isn't delivered */
	struct request_list answered;	/* which the guest isn't shown yet */
	struct heads ack_heads;		/* posted buffers */
	struct heads data_heads;
	struct request requests[REQUESTS_PER_PAIR];
};

struct control_request {
	struct control_request *next;
	uint16_t head;
	uint32_t status;
	unsigned int next_range;	/* to begin with */
	uint64_t next_byte;		/* in it; RELEASE */
	unsigned int running;		/* operations at the store, or punches */
	struct device_control wire;

	/* With hooks only: */
	struct worker_lie lie;
	bool stalled;
	struct __kernel_timespec delay;
};

struct control {
	struct ring ring;
	struct inflight_control *log;
	struct control_request *free;
	struct control_request *busy;	/* oldest first */
	unsigned int punches;		/* of all of them */
	struct heads events;		/* EVENTs set aside, oldest first */
	uint64_t told_bytes;		/* the target in the last one used */
	bool told_known;
	struct control_request requests[CONTROL_REQUESTS];
};

typedef void worker_fn(struct worker *worker, void *arg);

struct worker {
	struct worker_set *set;
	unsigned int index;
	pthread_t thread;
	struct io_uring uring;
	struct store_lane *lane;
	bool paused;
	bool quit;
	unsigned int busy_ops;		/* at the store */
	struct store_op *free_ops;
	struct store_op *done_ops;
	struct store_op *open_ops[OPEN_OPS];
	unsigned int num_open;
	struct store_op *ops;
	struct control control;
	uint64_t poll_ns;		/* how long to poll now; adapts */
	struct worker_counters counters;
	struct log_rate error_rate;
	struct vring_chain chain;	/* scratch: it's large */

	/* The mailbox: @lock guards these; @mail_fd wakes the thread. */
	pthread_mutex_t lock;
	pthread_cond_t replied;
	int mail_fd;
	bool mail_watched;
	worker_fn *mail;
	void *mail_arg;
	int start_error;
	bool started;
};

struct worker_set {
	struct worker_config config;
	struct inflight *own_log;	/* if we weren't given one */
	unsigned int num_pairs;
	unsigned int attached;		/* rings */
	struct pair *pairs;
	struct worker *workers;
};

/* Counters have one writer; the reader may be late, but never sees half. */
#define COUNT(worker, field, n) \
	__atomic_store_n(&(worker)->counters.field, \
			 (worker)->counters.field + (n), __ATOMIC_RELAXED)

/* --- small helpers --- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void list_init(struct request_list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void list_append(struct request_list *list, struct request *request)
{
	request->next = NULL;
	*list->last = request;
	list->last = &request->next;
}

static struct request *list_shift(struct request_list *list)
{
	struct request *request = list->first;

	list->first = request->next;
	if (!list->first)
		list->last = &list->first;
	return request;
}

static struct request *request_get(struct pair *pair)
{
	struct request *request = pair->free;

	pair->free = request->next;
	return request;
}

static void request_make_free(struct request *request)
{
	request->next = request->pair->free;
	request->pair->free = request;
}

/* The guest has the answer, or will never have one. */
static void request_put(struct request *request)
{
	INFLIGHT_SET(request->log->chain, INFLIGHT_FREE);
	INFLIGHT_SET(request->log->answer, INFLIGHT_FREE);
	request_make_free(request);
}

static void drop_list(struct request_list *list)
{
	while (list->first)
		request_put(list_shift(list));
}

static struct pair *next_pair(const struct worker *worker, struct pair *pair)
{
	struct worker_set *set = worker->set;
	unsigned int i = pair ? pair->index + set->config.workers :
				worker->index;

	return i < set->num_pairs ? &set->pairs[i] : NULL;
}

#define for_each_pair(worker, pair) \
	for ((pair) = next_pair(worker, NULL); (pair); \
	     (pair) = next_pair(worker, pair))

static void signal_fd(int fd)
{
	const uint64_t one = 1;

	/* The other end may be a full pipe: then it has enough to read. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

static void report_broken(struct worker *worker, const struct ring *ring,
			  const char *queue, unsigned int index,
			  const char *why)
{
	log_warning("%s %u: %s; not served until it is reset", queue, index,
		    why);
	COUNT(worker, broken, 1);
	signal_fd(ring->setup.err_fd);
}

/* The guest broke the rules of one of the rings: the pair ends, nothing else. */
static void break_pair(struct pair *pair, const struct ring *ring,
		       const char *why)
{
	if (pair->broken)
		return;
	pair->broken = true;
	report_broken(pair->worker, ring, "queue pair", pair->index, why);
}

static void break_control(struct worker *worker, const char *why)
{
	struct ring *ring = &worker->control.ring;

	ring->vring.broken = why;
	report_broken(worker, ring, "control queue", 0, why);
}

static bool ring_live(const struct ring *ring)
{
	return ring->attached && !ring->vring.broken;
}

static bool pair_live(const struct pair *pair)
{
	return !pair->broken && pair->request.attached &&
	       pair->response.attached;
}

/* --- what the guest gets back --- */

/* The guest has seen what was pushed; nothing of it will ever be done again. */
static void note_shown(struct worker *worker, struct ring *ring)
{
	struct control *control = &worker->control;
	struct pair *pair = ring->pair;
	unsigned int i;

	for (i = 0; i < ring->num_pushed; i++) {
		uint16_t index = ring->pushed[i];

		if (!pair)
			INFLIGHT_SET(control->log->chain[index], INFLIGHT_FREE);
		else if (ring == &pair->response)
			INFLIGHT_SET(pair->log->response[index], INFLIGHT_FREE);
		else if (pair->log->request[index].chain == INFLIGHT_PUSHED)
			INFLIGHT_SET(pair->log->request[index].chain,
				     INFLIGHT_SHOWN);
	}
	ring->num_pushed = 0;
	if (!pair) {
		INFLIGHT_SET(control->log->told_bytes, control->told_bytes);
		INFLIGHT_SET(control->log->told_known, control->told_known);
	} else if (ring == &pair->response) {
		drop_list(&pair->answered);
	}
}

/* Show the guest what was pushed. False: nothing was. */
static bool show(struct worker *worker, struct ring *ring)
{
	inflight_show(ring->log, ring->vring.used_idx);
	if (!vring_publish(&ring->vring))
		return false;
	note_shown(worker, ring);
	inflight_shown(ring->log);
	return true;
}

static void publish(struct worker *worker, struct ring *ring)
{
	if (!show(worker, ring) || !vring_call_due(&ring->vring))
		return;
	COUNT(worker, calls, 1);
	signal_fd(ring->setup.call_fd);
}

/* @index: of what is noted as pushed. */
static void push(struct worker *worker, struct ring *ring, uint16_t head,
		 uint32_t len, uint16_t index)
{
	if (ring->num_pushed == VRING_MAX_NUM)
		show(worker, ring);
	vring_push(&ring->vring, head, len);
	ring->pushed[ring->num_pushed++] = index;
}

static void push_request(struct pair *pair, struct request *request)
{
	push(pair->worker, &pair->request, request->head, 0,
	     (uint16_t)(request - pair->requests));
}

static void push_response(struct pair *pair, uint16_t head, uint32_t len)
{
	INFLIGHT_SET(pair->log->response[head], INFLIGHT_PUSHED);
	push(pair->worker, &pair->response, head, len, head);
}

static void push_control(struct worker *worker, uint16_t head, uint32_t len)
{
	INFLIGHT_SET(worker->control.log->chain[head], INFLIGHT_PUSHED);
	push(worker, &worker->control.ring, head, len, head);
}

/* Its answer is in the buffer that is pushed next, or was pushed last. */
static void note_answered(struct request *request)
{
	INFLIGHT_SET(request->log->answer, INFLIGHT_PUSHED);
	list_append(&request->pair->answered, request);
}

/* --- outcomes: store -> status -> guest --- */

static uint32_t status_of_error(int error)
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

static void report_error(struct worker *worker, const struct store_op *op)
{
	static const char *const verb[] = {
		[STORE_WRITE] = "write",
		[STORE_READ] = "read",
		[STORE_DISCARD] = "discard",
	};
	uint64_t suppressed;

	if (log_rate_allows(&worker->error_rate, &suppressed))
		log_warning("store: %s of %ju slots from %ju: %s (%ju such errors not logged before)",
			    verb[op->kind], (uintmax_t)op->count,
			    (uintmax_t)op->slot, strerror(-op->error),
			    (uintmax_t)suppressed);
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
	push_request(request->pair, request);
}

static void finish_store(struct request *request)
{
	struct pair *pair = request->pair;

	count_outcome(pair->worker, request);
	return_chain(request);
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
	const struct worker_hooks *hooks;
	struct pair *pair = request->pair;
	struct worker *worker = pair->worker;
	struct vring_device *vring = &pair->response.vring;
	struct worker_ack ack = { .slot = request->wire.slot, .load = true };
	struct virtio_cswap_ack unused;
	unsigned int pages = 0;
	unsigned int lies;
	uint32_t len;

	count_outcome(worker, request);
	if (!pair_live(pair))
		goto put;
	if (vring_walk(vring, request->data_head, &worker->chain) != VRING_OK ||
	    device_sort_response(&worker->chain) != DEVICE_BUFFER_DATA) {
		break_pair(pair, &pair->response,
			   vring->broken ? vring->broken :
					   "data buffer changed while in use");
		goto put;
	}
	if (request->wire.status == VIRTIO_CSWAP_S_OK)
		pages = request->wire.count;
	ack.ack = device_make_ack(request->wire.cookie, request->wire.status);
	hooks = worker->set->config.hooks;
	lies = hooks ? hooks->ack(&ack, &unused) : 0;
	len = device_put_data(&worker->chain, &ack.ack, request->wire.tag,
			      pages);
	push_response(pair, request->data_head,
		      lies & WORKER_LIE_LENGTH ? WORKER_WILD_LENGTH : len);
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

/* --- operations --- */

static void op_put(struct worker *worker, struct store_op *op)
{
	op->next = worker->free_ops;
	worker->free_ops = op;
}

static struct store_op *op_get(struct worker *worker)
{
	struct store_op *op = worker->free_ops;

	worker->free_ops = op->next;
	op->next = NULL;
	op->user = NULL;
	op->count = 0;
	return op;
}

/* The store's callback. Called inside submit, too: so it only takes note. */
static void op_done(void *context, struct store_op *op)
{
	struct worker *worker = context;

	op->next = worker->done_ops;
	worker->done_ops = op;
}

static void op_submit(struct worker *worker, struct store_op *op)
{
	worker->busy_ops++;
	COUNT(worker, store_ops, 1);
	worker->lane->store->ops->submit(worker->lane, op);
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

static void flush_open(struct worker *worker)
{
	unsigned int i;

	for (i = 0; i < worker->num_open; i++)
		op_submit(worker, worker->open_ops[i]);
	worker->num_open = 0;
}

static bool op_can_take(const struct worker *worker, const struct store_op *op,
			const struct request *request)
{
	enum store_kind kind = request->wire.load ? STORE_READ : STORE_WRITE;

	return op->kind == kind && op->slot + op->count == request->wire.slot &&
	       op->count + request->wire.count <=
	       worker->set->config.store->merge_pages;
}

/* Join an operation that it continues, or begin one. A free one is there. */
static void stage(struct worker *worker, struct request *request)
{
	struct store_op *op;
	unsigned int i;

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
		flush_open(worker);
	op = op_get(worker);
	op_begin(op, request);
	worker->open_ops[worker->num_open++] = op;
}

static void settle_request(struct request *request, const struct store_op *op,
			   uint32_t status)
{
	uint64_t first = request->wire.slot - op->slot;

	request->wire.status = status;
	if (request->wire.load)
		memcpy(request->wire.tag, &op->tag[first],
		       request->wire.count * sizeof(op->tag[0]));
	else
		request->pair->storing--;
	finish_request(request);
}

/*
 * One bad page must not fail its neighbours: after an error, the requests of a
 * merged operation are tried one by one. @op->rest keeps those still to try.
 */
static bool op_retry_alone(struct worker *worker, struct store_op *op,
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

static void finish_data_op(struct worker *worker, struct store_op *op)
{
	struct request *request = op->user;
	struct request *rest = op->rest;
	uint32_t status = status_of_error(op->error);

	op->rest = NULL;
	if (op->error)
		report_error(worker, op);
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

static void finish_discard_op(struct worker *worker, struct store_op *op)
{
	struct control_request *request = op->user;

	request->running--;
	if (op->error) {
		report_error(worker, op);
		request->status = status_of_error(op->error);
		COUNT(worker, errors_io, 1);
	} else {
		COUNT(worker, discards, op->count);
	}
	op_put(worker, op);
}

static unsigned int finish_ops(struct worker *worker)
{
	unsigned int finished = 0;

	while (worker->done_ops) {
		struct store_op *op = worker->done_ops;

		worker->done_ops = op->next;
		worker->busy_ops--;
		finished++;
		if (op->kind == STORE_DISCARD)
			finish_discard_op(worker, op);
		else
			finish_data_op(worker, op);
	}
	return finished;
}

/* --- guest -> store --- */

/* What the device may write to must not be released under it. */
static void pin_segments(struct worker *worker, const struct vring_chain *chain)
{
	const struct worker_config *config = &worker->set->config;
	unsigned int i;

	if (!config->limits.balloon)
		return;
	for (i = 0; i < chain->readable + chain->writable; i++)
		balloon_pin(config->balloon, config->memory,
			    chain->segment[i].host, chain->segment[i].len);
}

/* Collect the response buffers that the guest has posted. */
static unsigned int take_responses(struct pair *pair)
{
	struct vring_device *vring = &pair->response.vring;
	struct vring_chain *chain = &pair->worker->chain;
	enum vring_result result;
	unsigned int taken = 0;
	struct heads *heads;

	while ((result = vring_pop(vring, chain)) == VRING_OK) {
		switch (device_sort_response(chain)) {
		case DEVICE_BUFFER_ACKS:
			heads = &pair->ack_heads;
			break;
		case DEVICE_BUFFER_DATA:
			heads = &pair->data_heads;
			break;
		default:
			break_pair(pair, &pair->response,
				   "response buffer is useless");
			return taken;
		}
		/* vring_pop() sees to it that no more are out than the ring has. */
		INFLIGHT_SET(pair->log->response[chain->head], INFLIGHT_HELD);
		heads->head[heads->count++] = chain->head;
		pin_segments(pair->worker, chain);
		taken++;
	}
	if (result == VRING_BROKEN)
		break_pair(pair, &pair->response, vring->broken);
	return taken;
}

/* A LOAD has a data buffer now: find its pages, or answer that it can't be. */
static void start_load(struct pair *pair, struct request *request)
{
	struct worker *worker = pair->worker;
	struct vring_device *vring = &pair->response.vring;

	request->data_head =
		pair->data_heads.head[--pair->data_heads.count];
	if (request->wire.status == VIRTIO_CSWAP_S_OK) {
		if (vring_walk(vring, request->data_head, &worker->chain) !=
		    VRING_OK) {
			break_pair(pair, &pair->response, vring->broken);
			request_put(request);
			return;
		}
		if (device_place_pages(&worker->chain, request->wire.count,
				       request->wire.page)) {
			stage(worker, request);
			return;
		}
		request->wire.status = VIRTIO_CSWAP_S_INVALID;
	}
	finish_load(request);
}

static unsigned int start_loads(struct pair *pair)
{
	unsigned int started = 0;

	while (pair->loads.first && pair->data_heads.count && pair_live(pair) &&
	       pair->worker->free_ops) {
		start_load(pair, list_shift(&pair->loads));
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
		break_pair(pair, &pair->request, wrong);
		return false;
	}
	if (request->wire.load) {
		/* Its header is all that it had, and that's copied. */
		return_chain(request);
		list_append(&pair->loads, request);
	} else if (request->wire.status == VIRTIO_CSWAP_S_OK) {
		stage(pair->worker, request);
	} else {
		finish_store(request);
	}
	return true;
}

/* Requests that somebody took who died. */
static unsigned int take_again(struct pair *pair)
{
	struct vring_device *vring = &pair->request.vring;
	struct vring_chain *chain = &pair->worker->chain;
	unsigned int taken = 0;

	while (pair->again.first && pair->worker->free_ops) {
		struct request *request = list_shift(&pair->again);

		if (vring_walk(vring, request->head, chain) != VRING_OK) {
			request_put(request);
			break_pair(pair, &pair->request, vring->broken);
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

	while (pair->free && pair->worker->free_ops) {
		result = vring_pop(vring, chain);
		if (result != VRING_OK ||
		    !accept_request(pair, request_get(pair), chain))
			break;
		taken++;
	}
	if (result == VRING_BROKEN)
		break_pair(pair, &pair->request, vring->broken);
	return taken;
}

/* --- the control queue --- */

/* Find a control chain again that shall be answered. False: the ring is broken. */
static bool find_answer(struct worker *worker, uint16_t head, size_t room)
{
	struct vring_device *vring = &worker->control.ring.vring;

	if (!ring_live(&worker->control.ring))
		return false;
	if (vring_walk(vring, head, &worker->chain) == VRING_OK &&
	    worker->chain.writable_bytes >= room)
		return true;
	break_control(worker, vring->broken ? vring->broken :
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
	op = op_get(worker);
	op->kind = STORE_DISCARD;
	op->slot = range->start;
	op->count = range->count;
	op->user = request;
	request->next_range++;
	request->running++;
	op_submit(worker, op);
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

static void punch_done(struct worker *worker, struct control_request *request,
		       int result)
{
	uint64_t suppressed;

	worker->control.punches--;
	request->running--;
	if (result >= 0)
		return;
	if (log_rate_allows(&worker->error_rate, &suppressed))
		log_warning("can't discard released memory: %s (%ju such errors not logged before)",
			    strerror(-result), (uintmax_t)suppressed);
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

static void hurry_control(struct worker *worker)
{
	struct control_request *request;

	for (request = worker->control.busy; request; request = request->next)
		request->stalled = false;
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
		break_control(worker, wrong);
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

static unsigned int take_control(struct worker *worker)
{
	struct control *control = &worker->control;
	struct vring_device *vring = &control->ring.vring;
	unsigned int taken = 0;

	while (control->free && ring_live(&control->ring)) {
		switch (vring_pop(vring, &worker->chain)) {
		case VRING_EMPTY:
			return taken;
		case VRING_BROKEN:
			break_control(worker, vring->broken);
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

	/* While paused the ring may be gone from memory. */
	if (!events->count || worker->paused || !ring_live(&control->ring))
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

static unsigned int run_control(struct worker *worker)
{
	struct control *control = &worker->control;
	struct control_request **at, *request;
	unsigned int work = 0;

	for (request = control->busy; request; request = request->next)
		while (!is_held(request) && start_operation(worker, request))
			work++;
	work += finish_ops(worker);
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

/* --- store -> guest --- */

/* Take the acks that fit into one buffer off the list; *@lies: see hooks. */
static unsigned int collect_acks(struct pair *pair, unsigned int room,
				 struct virtio_cswap_ack *acks,
				 unsigned int *lies)
{
	const struct worker_hooks *hooks = pair->worker->set->config.hooks;
	const unsigned int need = hooks && room > 1 ? 2 : 1;
	unsigned int count = 0;

	*lies = 0;
	while (pair->done.first && count + need <= room) {
		struct request *request = list_shift(&pair->done);
		struct worker_ack ack = { .slot = request->wire.slot };
		unsigned int lie = 0;

		ack.ack = device_make_ack(request->wire.cookie,
					  request->wire.status);
		note_answered(request);
		pair->acks--;
		if (hooks)
			lie = hooks->ack(&ack, &acks[count + need - 1]);
		acks[count] = ack.ack;
		count += lie & WORKER_LIE_EXTRA ? need : 1;
		*lies |= lie;
	}
	return count;
}

static void send_acks(struct pair *pair)
{
	struct worker *worker = pair->worker;
	struct vring_device *vring = &pair->response.vring;
	struct virtio_cswap_ack acks[DEVICE_MAX_ACKS];
	unsigned int count, room, lies;
	uint16_t head;
	uint32_t len;

	head = pair->ack_heads.head[--pair->ack_heads.count];
	if (vring_walk(vring, head, &worker->chain) != VRING_OK) {
		break_pair(pair, &pair->response, vring->broken);
		return;
	}
	room = device_ack_room(&worker->chain);
	if (!room || worker->chain.readable) {
		break_pair(pair, &pair->response,
			   "ack buffer changed while posted");
		return;
	}
	count = collect_acks(pair, room, acks, &lies);
	len = device_put_acks(&worker->chain, acks, count);
	push_response(pair, head,
		      lies & WORKER_LIE_LENGTH ? WORKER_WILD_LENGTH : len);
}

/*
 * Show the guest what ended. Acks are worth gathering while the pair has more
 * to come, but only as long as each round brings some: never sit on an ack.
 */
static void deliver(struct pair *pair, bool all)
{
	struct worker *worker = pair->worker;

	if (!pair_live(pair))
		return;
	if (!pair->storing || pair->acks == pair->acks_before)
		all = true;
	while (pair->acks && pair->ack_heads.count && pair_live(pair) &&
	       (all || pair->acks >= ACK_BATCH))
		send_acks(pair);
	pair->acks_before = pair->acks;
	if (!pair_live(pair))
		return;
	/* Publish the chains before the acks that speak of them. */
	publish(worker, &pair->request);
	publish(worker, &pair->response);
}

/* --- the loop --- */

static void watch(struct worker *worker, int fd, uint64_t token)
{
	struct io_uring_sqe *sqe = store_get_sqe(&worker->uring);

	if (!sqe)
		return;
	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	io_uring_sqe_set_data64(sqe, token);
}

static struct ring *ring_of_token(uint64_t token)
{
	return (struct ring *)(uintptr_t)(token & ~(uint64_t)TOKEN_MASK);
}

static void break_ring(struct worker *worker, struct ring *ring,
		       const char *why)
{
	if (ring->pair)
		break_pair(ring->pair, ring, why);
	else
		break_control(worker, why);
}

/*
 * The kick descriptor became readable. It's never read: a multishot poll
 * reports every write to it.
 */
static void kick_event(struct worker *worker, struct ring *ring,
		       const struct io_uring_cqe *cqe)
{
	if (cqe->flags & IORING_CQE_F_MORE)
		return;
	ring->watched = false;
	if (!ring->attached)
		return;
	if (cqe->res < 0 || cqe->res & (POLLERR | POLLHUP | POLLNVAL)) {
		break_ring(worker, ring, "kick descriptor is dead");
		return;
	}
	watch(worker, ring->setup.kick_fd, (uintptr_t)ring | TOKEN_KICK);
	ring->watched = true;
}

static void handle_cqe(struct worker *worker, const struct io_uring_cqe *cqe)
{
	uint64_t token = io_uring_cqe_get_data64(cqe);
	enum store_part part;

	switch (token & TOKEN_MASK) {
	case TOKEN_NONE:
		break;
	case TOKEN_KICK:
		kick_event(worker, ring_of_token(token), cqe);
		break;
	case TOKEN_MAIL:
		worker->mail_watched = cqe->flags & IORING_CQE_F_MORE;
		break;
	case TOKEN_PUNCH:
		punch_done(worker, (struct control_request *)(uintptr_t)(token & ~(uint64_t)TOKEN_MASK),
			   cqe->res);
		break;
	case TOKEN_DELAY:
		((struct control_request *)(uintptr_t)(token & ~(uint64_t)TOKEN_MASK))->running--;
		break;
	default:
		part = token & STORE_PART_MASK;
		worker->lane->store->ops->complete(worker->lane,
			(struct store_op *)(uintptr_t)(token & ~(uint64_t)STORE_PART_MASK),
			part, cqe->res);
	}
}

static unsigned int reap(struct worker *worker)
{
	struct io_uring_cqe *cqes[REAP_BATCH];
	unsigned int n, i;

	n = io_uring_peek_batch_cqe(&worker->uring, cqes, REAP_BATCH);
	for (i = 0; i < n; i++) {
		/* Handling may submit, never reap: the entries stay ours. */
		handle_cqe(worker, cqes[i]);
	}
	io_uring_cq_advance(&worker->uring, n);
	return finish_ops(worker);
}

static void submit(struct worker *worker)
{
	flush_open(worker);
	if (io_uring_sq_ready(&worker->uring))
		io_uring_submit(&worker->uring);
}

static unsigned int run_pair(struct pair *pair)
{
	unsigned int work = 0;

	if (!pair_live(pair))
		return 0;
	work += take_responses(pair);
	if (!pair->broken)
		work += take_again(pair);
	if (!pair->broken)
		work += take_requests(pair);
	if (!pair->broken)
		work += start_loads(pair);
	return work;
}

/*
 * Something that was read, or written, wasn't there any more: all that ended since is void, and
 * nothing goes on before the memory is shared anew. Asked before anything is published.
 */
static void check_memory(struct worker *worker)
{
	static const char why[] = "guest memory has vanished";
	struct pair *pair;

	if (!memory_has_vanished(worker->set->config.memory))
		return;
	for_each_pair(worker, pair)
		if (pair_live(pair))
			break_pair(pair, &pair->request, why);
	if (ring_live(&worker->control.ring))
		break_control(worker, why);
}

/* One round; returns how much there was to do. */
static unsigned int run_round(struct worker *worker)
{
	unsigned int work = reap(worker);
	struct pair *pair;

	if (worker->paused)
		return work;
	for_each_pair(worker, pair)
		work += run_pair(pair);
	submit(worker);
	work += finish_ops(worker);
	work += take_control(worker);
	work += run_control(worker);
	submit(worker);
	check_memory(worker);
	for_each_pair(worker, pair)
		deliver(pair, false);
	if (ring_live(&worker->control.ring))
		publish(worker, &worker->control.ring);
	return work;
}

/* Ask for kicks where one would give work. True if there is work already. */
static bool enable_kicks(struct worker *worker)
{
	struct vring_device *control = &worker->control.ring.vring;
	struct pair *pair;
	bool more = false;

	for_each_pair(worker, pair) {
		if (!pair_live(pair))
			continue;
		/* Buffers are wanted only while something waits for them. */
		if (pair->loads.first || pair->done.first) {
			vring_enable_kicks(&pair->response.vring);
			more |= vring_has_avail(&pair->response.vring);
		}
		if (!pair->free || !worker->free_ops)
			continue;
		vring_enable_kicks(&pair->request.vring);
		more |= vring_has_avail(&pair->request.vring);
	}
	if (ring_live(&worker->control.ring) && worker->control.free) {
		vring_enable_kicks(control);
		more |= vring_has_avail(control);
	}
	return more;
}

static void disable_kicks(struct worker *worker)
{
	struct pair *pair;

	for_each_pair(worker, pair) {
		if (!pair_live(pair))
			continue;
		vring_disable_kicks(&pair->request.vring);
		vring_disable_kicks(&pair->response.vring);
	}
	if (ring_live(&worker->control.ring))
		vring_disable_kicks(&worker->control.ring.vring);
}

static bool has_mail(const struct worker *worker)
{
	return __atomic_load_n(&worker->mail, __ATOMIC_ACQUIRE);
}

static void sleep_in_uring(struct worker *worker)
{
	const uint64_t max_ns = (uint64_t)worker->set->config.poll_us * 1000;
	uint64_t begin;

	if (!worker->mail_watched) {
		watch(worker, worker->mail_fd, TOKEN_MAIL);
		worker->mail_watched = true;
	}
	if (!worker->paused && enable_kicks(worker))
		goto out;
	if (has_mail(worker))
		goto out;
	COUNT(worker, sleeps, 1);
	begin = now_ns();
	io_uring_submit_and_wait(&worker->uring, 1);
	/* A short sleep is one that polling would have saved. */
	if (now_ns() - begin < 4 * max_ns)
		worker->poll_ns = max_ns;
out:
	if (!worker->paused)
		disable_kicks(worker);
}

/* Poll for a moment. True if something came up. */
static bool poll_awhile(struct worker *worker)
{
	uint64_t end;

	if (!worker->poll_ns || worker->paused)
		return false;
	end = now_ns() + worker->poll_ns;
	do {
		if (has_mail(worker) || run_round(worker))
			return true;
	} while (now_ns() < end);
	worker->poll_ns /= 2;
	return false;
}

/*
 * Until nothing is at the store, no memory is being discarded, and the control
 * requests are answered. Outcomes that have no buffer stay, as do EVENTs.
 */
static void drain(struct worker *worker)
{
	struct pair *pair;

	submit(worker);
	for (;;) {
		worker->lane->store->ops->hurry(worker->lane);
		hurry_control(worker);
		finish_ops(worker);
		run_control(worker);
		if (!worker->busy_ops && !worker->control.busy)
			break;
		io_uring_submit_and_wait(&worker->uring, 1);
		reap(worker);
	}
	if (worker->paused)
		return;
	check_memory(worker);
	for_each_pair(worker, pair)
		deliver(pair, true);
	if (ring_live(&worker->control.ring))
		publish(worker, &worker->control.ring);
}

static void read_mail(struct worker *worker)
{
	drain(worker);
	pthread_mutex_lock(&worker->lock);
	worker->mail(worker, worker->mail_arg);
	__atomic_store_n(&worker->mail, NULL, __ATOMIC_RELEASE);
	pthread_cond_signal(&worker->replied);
	pthread_mutex_unlock(&worker->lock);
}

static void worker_loop(struct worker *worker)
{
	while (!worker->quit) {
		if (has_mail(worker))
			read_mail(worker);
		else if (!run_round(worker) && !poll_awhile(worker))
			sleep_in_uring(worker);
	}
}

/* --- start and end of a thread --- */

static int open_uring(struct worker *worker)
{
	struct io_uring_params params = {
		/* Completions wait for us instead of interrupting us. */
		.flags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
			 IORING_SETUP_R_DISABLED,
	};
	int error;

	error = io_uring_queue_init_params(RING_ENTRIES, &worker->uring,
					   &params);
	if (error == -EINVAL) {
		memset(&params, 0, sizeof(params));
		params.flags = IORING_SETUP_R_DISABLED;
		error = io_uring_queue_init_params(RING_ENTRIES,
						   &worker->uring, &params);
	}
	return error;
}

static int open_worker(struct worker *worker)
{
	struct store *store = worker->set->config.store;
	int error = open_uring(worker);

	if (error)
		return error;
	worker->lane = store->ops->lane_open(store, &worker->uring,
					     OPS_PER_WORKER, op_done, worker);
	error = worker->lane ? sandbox_enable_uring(worker->set->config.sandbox,
						    &worker->uring) : -errno;
	if (!error)
		return 0;
	if (worker->lane)
		store->ops->lane_close(worker->lane);
	io_uring_queue_exit(&worker->uring);
	return error;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	int error = open_worker(worker);
	char name[16];

	snprintf(name, sizeof(name), "cswapd-%u", worker->index);
	pthread_setname_np(pthread_self(), name);
	pthread_mutex_lock(&worker->lock);
	worker->start_error = error;
	worker->started = true;
	pthread_cond_signal(&worker->replied);
	pthread_mutex_unlock(&worker->lock);
	if (error)
		return NULL;
	worker_loop(worker);
	worker->lane->store->ops->lane_close(worker->lane);
	io_uring_queue_exit(&worker->uring);
	return NULL;
}

/* --- what the front end's thread has a worker do --- */

static void run_in_worker(struct worker *worker, worker_fn *fn, void *arg)
{
	pthread_mutex_lock(&worker->lock);
	worker->mail_arg = arg;
	__atomic_store_n(&worker->mail, fn, __ATOMIC_RELEASE);
	signal_fd(worker->mail_fd);
	while (worker->mail)
		pthread_cond_wait(&worker->replied, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
}

static void run_in_all(struct worker_set *set, worker_fn *fn)
{
	unsigned int i;

	for (i = 0; i < set->config.workers; i++)
		run_in_worker(&set->workers[i], fn, NULL);
}

struct attach {
	struct ring *ring;
	const struct worker_ring *setup;
	const char *wrong;
};

static void forget_balloon(struct worker *worker, void *arg)
{
	struct control *control = &worker->control;

	(void)arg;
	control->events.count = 0;
	/* Which is what a guest takes for told that begins anew. */
	control->told_bytes = 0;
	control->told_known = true;
	control->log->told_bytes = 0;
	control->log->told_known = true;
	balloon_forget(worker->set->config.balloon);
}

static void reconcile_control(struct worker *worker, bool resumed,
			      unsigned int out)
{
	struct control *control = &worker->control;

	if (!resumed) {
		memset(control->log->chain, 0, sizeof(control->log->chain));
		forget_balloon(worker, NULL);
		/* A ring that is in the middle: who served it told we don't know what. */
		control->told_known = !control->ring.setup.setup.base;
	} else if (out != control->events.count) {
		control->events.count = 0;
	}
}

/* All of them are free, whatever they were. */
static void reset_requests(struct pair *pair)
{
	unsigned int i;

	pair->free = NULL;
	pair->lost = false;
	pair->acks = 0;
	list_init(&pair->again);
	list_init(&pair->loads);
	list_init(&pair->done);
	list_init(&pair->answered);
	for (i = 0; i < REQUESTS_PER_PAIR; i++)
		request_put(&pair->requests[i]);
}

/* When the last ring went, so did the marks of what is posted. */
static void pin_heads(struct pair *pair, const struct heads *heads)
{
	struct worker *worker = pair->worker;
	unsigned int i;

	for (i = 0; i < heads->count; i++)
		if (vring_walk(&pair->response.vring, heads->head[i],
			       &worker->chain) == VRING_OK)
			pin_segments(worker, &worker->chain);
}

static void pin_ring(struct worker *worker, const struct vring_device *vring)
{
	const struct worker_config *config = &worker->set->config;

	if (!config->limits.balloon)
		return;
	balloon_pin(config->balloon, config->memory, vring->desc,
		    sizeof(vring->desc[0]) * vring->num);
	balloon_pin(config->balloon, config->memory, vring->avail,
		    sizeof(*vring->avail) +
		    sizeof(vring->avail->ring[0]) * vring->num);
	balloon_pin(config->balloon, config->memory, vring->used,
		    sizeof(*vring->used) +
		    sizeof(vring->used->ring[0]) * vring->num);
}

/*
 * Is the ring the one that was detached, going on where it stopped? Then what
 * is held is still wanted. The ring itself says how many buffers are out.
 */
static void reconcile(struct worker *worker, struct ring *ring)
{
	struct pair *pair = ring->pair;
	unsigned int out = vring_outstanding(&ring->vring);
	bool resumed = ring->setup.resume;

	if (!pair) {
		reconcile_control(worker, resumed, out);
		return;
	}
	if (ring == &pair->response) {
		if (resumed &&
		    out == pair->ack_heads.count + pair->data_heads.count) {
			pin_heads(pair, &pair->ack_heads);
			pin_heads(pair, &pair->data_heads);
			return;
		}
		pair->ack_heads.count = 0;
		pair->data_heads.count = 0;
		memset(pair->log->response, 0, sizeof(pair->log->response));
	} else if (!resumed || out) {
		reset_requests(pair);
	}
	if (!pair->request.attached || !pair->response.attached)
		pair->broken = false;
}

/* --- a ring whose server died --- */

/*
 * Where the ring goes on: what the guest has back, and behind that what it
 * hasn't. The log is brought up to date on the way.
 */
static const char *find_base(struct worker *worker, struct ring *ring,
			     struct vring_setup *setup)
{
	struct pair *pair = ring->pair;
	unsigned int held;
	const char *wrong;
	uint16_t used;
	bool seen;

	wrong = vring_read_used(worker->set->config.memory, setup, &used);
	if (!wrong)
		wrong = inflight_seen(ring->log, used, &seen);
	if (wrong)
		return wrong;
	if (!pair)
		held = inflight_settle_control(worker->control.log, seen);
	else if (ring == &pair->response)
		held = inflight_settle_responses(pair->log, seen);
	else
		held = inflight_settle_requests(pair->log, seen);
	setup->base = (uint16_t)(used + held);
	return NULL;
}

static void recover_responses(struct pair *pair)
{
	struct worker *worker = pair->worker;
	struct vring_device *vring = &pair->response.vring;
	struct heads *heads;
	uint16_t head;

	pair->ack_heads.count = 0;
	pair->data_heads.count = 0;
	for (head = 0; head < VRING_MAX_NUM; head++) {
		if (pair->log->response[head] != INFLIGHT_HELD)
			continue;
		if (vring_walk(vring, head, &worker->chain) != VRING_OK) {
			break_pair(pair, &pair->response, vring->broken);
			return;
		}
		heads = device_sort_response(&worker->chain) == DEVICE_BUFFER_DATA ?
				&pair->data_heads : &pair->ack_heads;
		heads->head[heads->count++] = head;
		pin_segments(worker, &worker->chain);
	}
}

/* In the order in which they came: a RECLAIM may follow its RELEASE. */
static void recover_control(struct worker *worker)
{
	struct control *control = &worker->control;
	struct vring_device *vring = &control->ring.vring;
	uint64_t order;
	int head;

	control->told_bytes = control->log->told_bytes;
	control->told_known = control->log->told_known;
	balloon_tell(worker->set->config.balloon, control->told_bytes);
	control->events.count = 0;
	for (order = 0; (head = inflight_next_control(control->log, &order)) >= 0;
	     order++) {
		if (!control->free ||
		    vring_walk(vring, (uint16_t)head, &worker->chain) != VRING_OK) {
			break_control(worker, vring->broken ? vring->broken :
				      "control chain changed while in use");
			return;
		}
		accept_control(worker);
		if (!ring_live(&control->ring))
			return;
	}
}

/* What another process noted of a LOAD is checked as if the guest had said it. */
static uint32_t check_noted(const struct pair *pair, const struct inflight_request *log)
{
	const struct device_limits *limits = &pair->worker->set->config.limits;

	if (log->status != VIRTIO_CSWAP_S_OK || !log->load)
		return log->status;
	return log->count && log->count <= DEVICE_MAX_PAGES &&
	       log->slot < limits->capacity &&
	       log->count <= limits->capacity - log->slot ?
		       VIRTIO_CSWAP_S_OK : VIRTIO_CSWAP_S_INVALID;
}

/* Go on with a request whose chain was given back, or is being. */
static void recover_request(struct pair *pair, struct request *request)
{
	const struct inflight_request *log = request->log;
	struct device_request *wire = &request->wire;

	wire->load = log->load;
	wire->status = check_noted(pair, log);
	wire->count = log->count;
	wire->cookie = log->cookie;
	wire->slot = log->slot;
	if (log->chain == INFLIGHT_PUSHED)
		push_request(pair, request);
	if (wire->load) {
		list_append(&pair->loads, request);
	} else {
		list_append(&pair->done, request);
		pair->acks++;
	}
}

static void recover_requests(struct pair *pair)
{
	unsigned int i;

	pair->lost = false;
	pair->free = NULL;
	for (i = 0; i < REQUESTS_PER_PAIR; i++) {
		struct request *request = &pair->requests[i];

		request->head = request->log->head;
		switch (request->log->chain) {
		case INFLIGHT_FREE:
			request_make_free(request);
			break;
		case INFLIGHT_HELD:
			list_append(&pair->again, request);
			break;
		default:
			recover_request(pair, request);
		}
	}
}

/* Take over a ring that is attached now; a pair goes on when both are. */
static void recover_ring(struct worker *worker, struct ring *ring)
{
	struct pair *pair = ring->pair;

	if (!pair)
		recover_control(worker);
	else if (ring == &pair->response)
		recover_responses(pair);
	/* Whether the guest was called for what it has we don't know. */
	signal_fd(ring->setup.call_fd);
}

/* --- attaching and detaching --- */

static void use_ring(struct worker *worker, struct ring *ring)
{
	pin_ring(worker, &ring->vring);
	ring->num_pushed = 0;
	ring->log->from = ring->vring.used_idx;
	ring->log->to = ring->vring.used_idx;
	INFLIGHT_SET(ring->log->live, true);
	ring->known = true;
	ring->attached = true;
	vring_disable_kicks(&ring->vring);
	watch(worker, ring->setup.kick_fd, (uintptr_t)ring | TOKEN_KICK);
	ring->watched = true;
}

static void attach_ring(struct worker *worker, void *arg)
{
	struct attach *attach = arg;
	struct ring *ring = attach->ring;
	struct pair *pair = ring->pair;
	struct worker_ring setup = *attach->setup;
	bool orphan = ring->log->live || (setup.resume && !ring->known);

	if (orphan)
		attach->wrong = find_base(worker, ring, &setup.setup);
	if (!attach->wrong)
		attach->wrong = vring_attach(&ring->vring,
					     worker->set->config.memory,
					     &setup.setup);
	if (attach->wrong)
		return;
	ring->setup = setup;
	if (!orphan)
		reconcile(worker, ring);
	use_ring(worker, ring);
	if (orphan)
		recover_ring(worker, ring);
	if (!pair)
		return;
	if (orphan && ring == &pair->request)
		pair->lost = true;
	if (pair->lost && pair_live(pair))
		recover_requests(pair);
}

static void detach_ring(struct worker *worker, void *arg)
{
	struct ring *ring = arg;
	struct io_uring_sqe *sqe;

	ring->attached = false;
	ring->known = !ring->pair || !ring->pair->lost;
	INFLIGHT_SET(ring->log->live, false);
	if (!ring->watched)
		return;
	while (!(sqe = store_get_sqe(&worker->uring)))
		reap(worker);
	io_uring_prep_cancel64(sqe, (uintptr_t)ring | TOKEN_KICK, 0);
	io_uring_sqe_set_data64(sqe, TOKEN_NONE);
	/* The poll holds a reference to the descriptor: see it go. */
	while (ring->watched) {
		io_uring_submit_and_wait(&worker->uring, 1);
		reap(worker);
	}
}

static void set_call(struct worker *worker, void *arg)
{
	struct attach *attach = arg;

	(void)worker;
	attach->ring->setup.call_fd = attach->setup->call_fd;
}

static void pause_worker(struct worker *worker, void *arg)
{
	(void)arg;
	worker->paused = true;
}

static void relocate_ring(struct worker *worker, struct ring *ring)
{
	const char *wrong;

	if (!ring_live(ring))
		return;
	wrong = vring_relocate(&ring->vring, &ring->setup.setup);
	if (wrong)
		break_ring(worker, ring, wrong);
}

static void resume_worker(struct worker *worker, void *arg)
{
	struct pair *pair;

	(void)arg;
	for_each_pair(worker, pair) {
		relocate_ring(worker, &pair->request);
		relocate_ring(worker, &pair->response);
	}
	relocate_ring(worker, &worker->control.ring);
	worker->paused = false;
}

static void quit_worker(struct worker *worker, void *arg)
{
	(void)arg;
	worker->quit = true;
}

static void nothing(struct worker *worker, void *arg)
{
	(void)worker;
	(void)arg;
}

/* --- the set --- */

static struct worker *worker_of(struct worker_set *set, unsigned int index,
				struct ring **ring)
{
	struct pair *pair;

	if (index == VIRTIO_CSWAP_VQ_CONTROL) {
		*ring = &set->workers[0].control.ring;
		return &set->workers[0];
	}
	pair = &set->pairs[(index - 1) / 2];
	*ring = index & 1 ? &pair->request : &pair->response;
	return pair->worker;
}

const char *worker_attach(struct worker_set *set, unsigned int index,
			  const struct worker_ring *setup)
{
	struct attach attach = { .setup = setup };
	struct worker *worker = worker_of(set, index, &attach.ring);

	run_in_worker(worker, attach_ring, &attach);
	if (!attach.wrong)
		set->attached++;
	return attach.wrong;
}

uint16_t worker_detach(struct worker_set *set, unsigned int index)
{
	struct ring *ring;
	struct worker *worker = worker_of(set, index, &ring);

	run_in_worker(worker, detach_ring, ring);
	if (!--set->attached)
		balloon_unpin_all(set->config.balloon);
	return ring->vring.last_avail;
}

void worker_set_call(struct worker_set *set, unsigned int index, int call_fd)
{
	const struct worker_ring setup = { .call_fd = call_fd };
	struct attach attach = { .setup = &setup };
	struct worker *worker = worker_of(set, index, &attach.ring);

	run_in_worker(worker, set_call, &attach);
}

void worker_pause(struct worker_set *set)
{
	run_in_all(set, pause_worker);
}

void worker_resume(struct worker_set *set)
{
	balloon_follow(set->config.balloon, set->config.memory);
	run_in_all(set, resume_worker);
}

void worker_drain(struct worker_set *set)
{
	run_in_all(set, nothing);
}

void worker_set_features(struct worker_set *set, bool discard, bool balloon,
			 bool report)
{
	/* The workers look at it while they run. */
	worker_pause(set);
	set->config.limits.discard = discard;
	set->config.limits.balloon = balloon;
	set->config.limits.report = report;
	worker_resume(set);
}

void worker_forget(struct worker_set *set)
{
	struct inflight *log = set->config.log;
	unsigned int i;

	run_in_worker(&set->workers[0], forget_balloon, NULL);
	/* Nobody serves them, so nobody else writes here. */
	log->control.ring.live = false;
	for (i = 0; i < set->num_pairs; i++) {
		log->pair[i].request_ring.live = false;
		log->pair[i].response_ring.live = false;
	}
}

void worker_tell_target(struct worker_set *set)
{
	/* It looks at the target in each round: wake it for one. */
	signal_fd(set->workers[0].mail_fd);
}

void worker_count(struct worker_set *set, struct worker_counters *sum)
{
	const size_t words = sizeof(*sum) / sizeof(uint64_t);
	uint64_t *to = (uint64_t *)sum;
	unsigned int i, j;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; i < set->config.workers; i++) {
		const uint64_t *from =
			(const uint64_t *)&set->workers[i].counters;

		for (j = 0; j < words; j++)
			to[j] += __atomic_load_n(&from[j], __ATOMIC_RELAXED);
	}
}

/* The log is left as it is: it may be all that is known. */
static void init_pair(struct pair *pair, struct worker *worker,
		      unsigned int index, struct inflight_pair *log)
{
	unsigned int i;

	pair->worker = worker;
	pair->index = index;
	pair->log = log;
	pair->request.pair = pair;
	pair->request.log = &log->request_ring;
	pair->response.pair = pair;
	pair->response.log = &log->response_ring;
	list_init(&pair->again);
	list_init(&pair->loads);
	list_init(&pair->done);
	list_init(&pair->answered);
	for (i = 0; i < REQUESTS_PER_PAIR; i++) {
		struct request *request = &pair->requests[i];

		request->pair = pair;
		request->log = &log->request[i];
		request_make_free(request);
	}
}

static int init_worker(struct worker *worker, struct worker_set *set,
		       unsigned int index)
{
	unsigned int i;

	worker->set = set;
	worker->index = index;
	worker->control.log = &set->config.log->control;
	worker->control.ring.log = &worker->control.log->ring;
	worker->control.told_known = true;
	for (i = 0; i < CONTROL_REQUESTS; i++) {
		worker->control.requests[i].next = worker->control.free;
		worker->control.free = &worker->control.requests[i];
	}
	worker->poll_ns = (uint64_t)set->config.poll_us * 1000;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->replied, NULL);
	worker->mail_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	worker->ops = calloc(OPS_PER_WORKER, sizeof(*worker->ops));
	if (worker->mail_fd < 0 || !worker->ops)
		return -ENOMEM;
	for (i = 0; i < OPS_PER_WORKER; i++)
		op_put(worker, &worker->ops[i]);
	return 0;
}

static int start_thread(struct worker *worker)
{
	int error = pthread_create(&worker->thread, NULL, worker_main, worker);

	if (error)
		return -error;
	pthread_mutex_lock(&worker->lock);
	while (!worker->started)
		pthread_cond_wait(&worker->replied, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
	if (worker->start_error)
		pthread_join(worker->thread, NULL);
	return worker->start_error;
}

static void free_set(struct worker_set *set)
{
	unsigned int i;

	for (i = 0; i < set->config.workers; i++) {
		struct worker *worker = &set->workers[i];

		/* Not initialized if an earlier one could not be started. */
		if (!worker->set)
			continue;
		if (worker->mail_fd >= 0)
			close(worker->mail_fd);
		pthread_cond_destroy(&worker->replied);
		pthread_mutex_destroy(&worker->lock);
		free(worker->ops);
	}
	free(set->workers);
	free(set->pairs);
	free(set->own_log);
	free(set);
}

static void stop_threads(struct worker_set *set, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		run_in_worker(&set->workers[i], quit_worker, NULL);
		pthread_join(set->workers[i].thread, NULL);
	}
}

struct worker_set *worker_start(const struct worker_config *config)
{
	struct worker_set *set = calloc(1, sizeof(*set));
	unsigned int i;
	int error = 0;

	if (!set)
		return NULL;
	set->config = *config;
	if (!config->log)
		set->config.log = set->own_log = calloc(1, sizeof(*set->own_log));
	set->num_pairs = config->limits.queue_pairs;
	set->pairs = calloc(set->num_pairs, sizeof(*set->pairs));
	set->workers = calloc(config->workers, sizeof(*set->workers));
	if (!set->pairs || !set->workers || !set->config.log) {
		free(set->pairs);
		free(set->workers);
		free(set->own_log);
		free(set);
		return NULL;
	}
	for (i = 0; i < set->num_pairs; i++)
		init_pair(&set->pairs[i], &set->workers[i % config->workers],
			  i, &set->config.log->pair[i]);
	for (i = 0; i < config->workers && !error; i++) {
		error = init_worker(&set->workers[i], set, i);
		if (!error)
			error = start_thread(&set->workers[i]);
	}
	if (!error)
		return set;
	log_err("can't start a worker: %s", strerror(-error));
	stop_threads(set, i - 1);
	free_set(set);
	return NULL;
}

void worker_stop(struct worker_set *set)
{
	stop_threads(set, set->config.workers);
	free_set(set);
}
