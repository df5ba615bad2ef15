/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * worker_parts.h - what the parts of a worker share. Each calls those before it alone:
 *
 *   worker_request.c  a pair's requests
 *   worker_ring.c     what is given back on a virtqueue
 *   worker_op.c       operations of the store
 *   worker_pair.c     queue pairs
 *   worker_answer.c   what the control queue's chains are answered with
 *   worker_owed.c     what the store gives back to its medium
 *   worker_control.c  the control queue
 *   worker_loop.c     the thread
 *   worker_attach.c   virtqueues that come and go
 *   worker.c          the set of workers
 *
 * All of it is the worker's thread's, but where it says otherwise.
 */
#ifndef CSWAPD_WORKER_PARTS_H
#define CSWAPD_WORKER_PARTS_H

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "worker.h"

#define REQUESTS_PER_PAIR INFLIGHT_REQUESTS
#define OPS_PER_WORKER 256
#define OPEN_OPS 8			/* staged operations that may still grow */
#define RESPONSE_HEADS VRING_MAX_NUM
/* Control requests served at a time; EVENTs set aside don't count. */
#define CONTROL_REQUESTS 32

/* What a completion is about, if not an operation of the store's. */
enum { TOKEN_NONE = 0, TOKEN_KICK = 1, TOKEN_MAIL = 2, TOKEN_PUNCH = 3 };
/* There is no pointer with it, as with TOKEN_MAIL. */
#define TOKEN_BEAT (TOKEN_MAIL | 8)
#define TOKEN_MASK STORE_PART_MASK

/*
 * Who knows what is held of a ring, and whether it is served:
 *
 *	 forgotten, or another log
 *   +------------------------------------+
 *   v					  |
 * LOGGED -- attach, from the log --> HALF
 *   |  ^				| | all of it is in memory; of request rings,
 *   |  +--------- detach -------------+ | both rings of the pair are attached
 *   |  |				  v
 *   +--|- attach, anew or from the log --> SERVED -- detach --> PARKED
 *	|				  |  ^  ^			 |
 *	|     its memory goes		  |  |  +------- attach -------+
 *	|				  v  | its memory is back
 *	+--------- detach ------------- AWAY
 *
 * PARKED goes to LOGGED as well when it's forgotten, or there is another log. What the log
 * says of a ring is the state that a successor begins with (enum inflight_ring_state).
 * While one ring of a pair is AWAY nothing is taken from either, and nothing put back.
 */
enum ring_state {
	RING_LOGGED,			/* not served; only the log knows, or there is nothing */
	RING_PARKED,			/* not served; what is held is known here */
	RING_HALF,			/* attached; what is held is still known to the log only */
	RING_SERVED,			/* attached; what is held is known here */
	RING_AWAY,			/* the same, but it isn't in memory now, which may come again */
};

/* A virtqueue, as its worker sees it. */
struct ring {
	struct vring_device vring;
	struct pair *pair;		/* NULL: the control queue */
	struct inflight_ring *log;
	struct worker_ring setup;
	enum ring_state state;
	bool watched;			/* a poll of kick_fd is under way */
	unsigned int num_pushed;	/* and not shown yet: */
	uint16_t pushed[VRING_MAX_NUM];	/* heads; request rings: indices of requests */
};

struct request {
	struct request *next;
	struct pair *pair;
	struct inflight_request *log;
	uint16_t head;			/* of the request chain */
	uint16_t data_head;		/* LOAD under way: of the data buffer */
	uint32_t order;			/* LOAD that waits: in which they came */
	struct device_request wire;
};

struct request_list {
	struct request *first;
	struct request **last;
};

/*
 * Posted data buffers, by the pages that they have room for: a list each, and a bit
 * for each list that isn't empty. So one with enough room is found at once, in
 * whatever order the guest posted them.
 */
#define ROOMS (DEVICE_MAX_PAGES + 1)

struct data_buffers {
	unsigned int count;
	uint32_t rooms;
	uint16_t first[ROOMS];
	uint16_t free;
	struct {
		uint16_t head;
		uint16_t next;
	} buffer[RESPONSE_HEADS];
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
	bool stalled;			/* a chain is away: nothing is taken until memory comes */
	unsigned int running;		/* requests at the store */
	unsigned int storing;		/* STOREs among them */
	unsigned int acks;		/* length of @done */
	unsigned int acks_before;	/* ... at the last delivery */
	unsigned int num_free;
	uint16_t free[REQUESTS_PER_PAIR]; /* their indices */
	unsigned int num_returned;	/* whose chains are back, but not their answers */
	bool returned[REQUESTS_PER_PAIR];
	struct request_list again;	/* taken by a worker that died, to be begun anew */
	/* LOADs that wait for a data buffer, by the room that they need; 1: for any. */
	struct request_list loads[ROOMS];
	uint32_t loads_waiting;		/* a bit for each list */
	uint32_t next_order;
	struct request_list done;	/* STOREs whose ack isn't delivered */
	struct request_list answered;	/* which the guest isn't shown yet */
	struct heads ack_heads;		/* posted buffers */
	struct data_buffers data;
	struct request requests[REQUESTS_PER_PAIR];
};

struct control_request {
	struct control_request *next;
	uint16_t head;
	uint32_t status;
	unsigned int next_range;	/* to begin with */
	uint64_t range_done;		/* of it: slots or bytes that were begun */
	unsigned int running;		/* operations at the store, or punches */
	struct device_control wire;
};

/* The discarding of slots, a piece at a time: worker_control.c. */
struct discard {
	bool running;			/* a piece is at the store */
	uint64_t slots;			/* in the next; adapts */
	uint64_t served;		/* pages, when the last one began */
	uint64_t next_ns;		/* not before */
};

/* The giving back of what the store owes: worker_owed.c. */
struct giving {
	bool running;			/* a piece is at the store */
	bool is_much;			/* is owed */
	bool is_short;			/* of room, the medium, when looked at last */
	uint64_t look_ns;		/* ... again */
	uint64_t slots;			/* in the next piece; adapts */
	uint64_t served;		/* pages, when looked at last */
	uint64_t quiet_ns;		/* since when that hasn't changed; 0: the worker hasn't looked */
	uint64_t next_ns;		/* no piece before */
};

struct control {
	struct ring ring;
	struct inflight_control *log;
	struct control_request *free;
	struct control_request *busy;	/* oldest first */
	bool stalled;			/* as a pair's */
	unsigned int punches;		/* of all of them */
	struct discard discard;
	struct heads events;		/* EVENTs set aside, oldest first */
	uint64_t told_bytes;		/* the target in the last one used */
	bool told_known;
	uint64_t again;			/* for balloon_note_again(), when it's shown; 0: nothing */
	struct control_request requests[CONTROL_REQUESTS];
};

/*
 * Whether it pays to poll before a sleep depends on what is waited for: the store answers at its pace, the guest
 * at another. So each has odds of its own: worker_loop.c.
 */
enum wait_for { WAIT_STORE, WAIT_GUEST, WAIT_KINDS };

struct polling {
	unsigned int odds;		/* rise with a poll that something came of, fall with one in vain */
	unsigned int slept;		/* waits without a poll since the last one with */
};

/* What a worker has stand still: worker.h. */
struct standstill {
	enum worker_still still;
	const struct ring *ring;	/* RING: which, if it's the worker's */
};

typedef void worker_fn(struct worker *worker, void *arg);

struct worker {
	struct worker_set *set;
	unsigned int index;
	pthread_t thread;
	struct io_uring uring;
	struct store_lane *lane;
	struct standstill stand;	/* what was asked for last */
	unsigned int stand_number;
	bool paused;			/* it stands, and no ring is looked at */
	bool quit;
	unsigned int busy_ops;		/* at the store */
	struct store_op *free_ops;
	struct store_op *done_ops;
	struct store_op *open_ops[OPEN_OPS];
	unsigned int num_open;
	struct store_op *ops;
	struct control control;
	struct giving giving;		/* the first worker's */
	struct polling polling[WAIT_KINDS];
	uint64_t read_ns;		/* what a read of the store takes without a discard */
	uint64_t discarded_ns;		/* when the last piece of one ended */
	struct worker_counters *counters;
	struct log_rate broken_rate;	/* lines about rings, */
	struct log_rate store_rate;	/* the store, */
	struct log_rate punch_rate;	/* and memory to discard */
	struct vring_chain chain;	/* scratch: it's large */
	struct vring_chain log_chain;	/* ring_push()'s */
	struct inflight_held held;	/* of the ring that is being attached */

	/*
	 * The mailbox: @lock guards these; @mail_fd wakes the thread from io_uring, @word
	 * when it's paused. @ask_number changes
	 * with @ask; it becomes @still_number when that stands still.
	 */
	pthread_mutex_t lock;
	pthread_cond_t replied;
	pthread_cond_t word;		/* there is mail, or an ask */
	int mail_fd;
	bool mail_watched;
	bool beats_watched;		/* this thread's, as is the one above */
	worker_fn *mail;
	void *mail_arg;
	struct standstill ask;
	unsigned int ask_number;
	unsigned int still_number;
	int start_error;
	bool started;
};

struct worker_set {
	struct worker_config config;
	struct inflight *own_log;	/* if we weren't given one */
	struct worker_counters *counters; /* of all threads that there may be */
	struct worker_counters *own_counters; /* if we weren't given them */
	struct inflight *home_log;	/* the one of worker_start() */
	bool leaving;			/* rings stay live in the log */
	struct worker_need need;	/* asked for last */
	struct worker_need before_pause;
	int still_fd;
	unsigned int num_pairs;
	unsigned int attached;		/* rings */
	struct pair *pairs;
	struct worker *workers;
};

/* Counters have one writer; the reader may be late, but never sees half. */
#define COUNT(worker, field, n) \
	__atomic_store_n(&(worker)->counters->field, \
			 (worker)->counters->field + (n), __ATOMIC_RELAXED)

/* --- small helpers --- */

static inline uint64_t worker_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline void signal_fd(int fd)
{
	const uint64_t one = 1;

	/* The other end may be a full pipe: then it has enough to read. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

static inline void list_init(struct request_list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static inline void list_append(struct request_list *list, struct request *request)
{
	request->next = NULL;
	*list->last = request;
	list->last = &request->next;
}

static inline void list_unshift(struct request_list *list, struct request *request)
{
	request->next = list->first;
	if (!list->first)
		list->last = &request->next;
	list->first = request;
}

static inline struct request *list_shift(struct request_list *list)
{
	struct request *request = list->first;

	list->first = request->next;
	if (!list->first)
		list->last = &list->first;
	return request;
}

static inline bool ring_attached(const struct ring *ring)
{
	return ring->state == RING_HALF || ring->state == RING_SERVED ||
	       ring->state == RING_AWAY;
}

static inline bool ring_live(const struct ring *ring)
{
	return ring->state == RING_SERVED && !ring->vring.broken;
}

static inline bool pair_live(const struct pair *pair)
{
	return !pair->broken && pair->request.state == RING_SERVED &&
	       pair->response.state == RING_SERVED;
}

/* Is the pair, or without one the control queue, to begin nothing? */
static inline bool worker_stands(const struct worker *worker, const struct pair *pair)
{
	const struct standstill *stand = &worker->stand;

	switch (stand->still) {
	case WORKER_RING:
		return stand->ring && stand->ring->pair == pair;
	case WORKER_MEMORY:
	case WORKER_ALL:
		return true;
	default:
		return false;
	}
}

static inline struct pair *next_pair(const struct worker *worker, struct pair *pair)
{
	struct worker_set *set = worker->set;
	unsigned int i = pair ? pair->index + set->config.workers :
				worker->index;

	return i < set->num_pairs ? &set->pairs[i] : NULL;
}

#define for_each_pair(worker, pair) \
	for ((pair) = next_pair(worker, NULL); (pair); \
	     (pair) = next_pair(worker, pair))

/* --- worker_request.c: a pair's requests --- */

/* None is in hand. None is free either: that's the caller's to say. */
void request_init_all(struct pair *pair);

/* The one with this index, which isn't free any more. */
struct request *request_use(struct pair *pair, uint16_t index);

/* A free one. The caller has looked whether there is one. */
struct request *request_get(struct pair *pair);

/* The guest has the answer, or will never have one. */
void request_put(struct request *request);
void request_put_all(struct request_list *list);

/* Is its chain back? */
bool request_is_returned(const struct request *request);
void request_note_returned(struct request *request, bool returned);

/* --- worker_ring.c: virtqueues, whatever they are for --- */

/* Use a buffer; @index: of what is noted as pushed. The guest sees it when the round ends. */
void ring_push(struct worker *worker, struct ring *ring, uint16_t head,
	       uint32_t len, uint16_t index);

/* Show the guest what was pushed, and call it if it wants that. */
void ring_publish(struct worker *worker, struct ring *ring);

/* Say that a ring isn't served any more, to the log and to the front end. */
void ring_report_broken(struct worker *worker, const struct ring *ring,
			const char *queue, unsigned int index,
			const char *why);

/* --- worker_op.c: operations of the store --- */

/* What the guest is told of an operation that ended so. */
uint32_t op_status(int error);
void op_report_error(struct worker *worker, const struct store_op *op);

/* The caller has looked whether one is free. */
struct store_op *op_get(struct worker *worker);
void op_put(struct worker *worker, struct store_op *op);
void op_submit(struct worker *worker, struct store_op *op);

/* The store's callback. Called inside submit, too: so it only takes note. */
void op_done(void *context, struct store_op *op);

/* Join an operation that it continues, or begin one. A free one is there. */
void op_stage(struct worker *worker, struct request *request);

/* Give the store all that was staged. */
void op_flush(struct worker *worker);

/*
 * One bad page must not fail its neighbours: after an error, the requests of a
 * merged operation are tried one by one. @op->rest keeps those still to try.
 * False: there are none.
 */
bool op_retry_alone(struct worker *worker, struct store_op *op,
		    struct request *rest);

/* --- worker_pair.c: for the loop --- */

void pair_init(struct pair *pair, struct worker *worker, unsigned int index,
	       struct inflight_pair *log);

/* The log is left as it is: it may be all that is known. */
void pair_use_log(struct pair *pair, struct inflight_pair *log);

/* The guest broke the rules of one of the rings: the pair ends, nothing else. */
void pair_break(struct pair *pair, const struct ring *ring, const char *why);

/* Take what there is, and begin with it. Returns how much that was. */
unsigned int pair_run(struct pair *pair);

/* The store is done with an operation, for requests of whatever pairs. */
void pair_finish_op(struct worker *worker, struct store_op *op);

/*
 * Show the guest what ended. Acks are worth gathering while the pair has more
 * to come, but only as long as each round brings some: never sit on an ack.
 */
void pair_deliver(struct pair *pair, bool all);

/* --- worker_pair.c: for worker_attach.c --- */

/* No data buffer is posted. */
void pair_init_data(struct data_buffers *data);

/* A response buffer was taken from the ring, now or before. False: the pair broke. */
bool pair_hold_response(struct pair *pair, const struct vring_chain *chain);

/* What the device may write to must not be released under it. */
void pair_pin_segments(struct worker *worker, const struct vring_chain *chain);
void pair_pin_posted(struct pair *pair);

/* Give a chain back whose answer comes later. */
void pair_push_request(struct pair *pair, struct request *request);

/* A LOAD waits for a data buffer with room for it. */
void pair_await_data(struct pair *pair, struct request *request);

/* --- worker_answer.c: answers of the control queue --- */

/* The guest broke the rules of the ring: nothing of it is served any more. */
void control_break(struct worker *worker, const char *why);

/* Answer a request that is done, or isn't to be. */
void answer_control(struct worker *worker, const struct control_request *request);

/* Use an EVENT's chain, to tell the target, and VIRTIO_CSWAP_EVENT_*. False: the ring is broken. */
bool answer_event(struct worker *worker, uint16_t head, uint64_t target_bytes, uint32_t flags);

/* --- worker_owed.c: what is given back to the medium --- */

/* Pages that all workers have served: only whether it changes is of interest. */
uint64_t worker_count_served(const struct worker *worker);

void owed_init_giving(struct worker *worker);

/* Begin a piece if it's time for one. Returns how many were begun. */
unsigned int owed_begin(struct worker *worker);

void owed_finish(struct worker *worker, struct store_op *op);

/* How long until one is due; 0: none will be. */
uint64_t owed_wait_ns(const struct worker *worker);

/* --- worker_control.c: for the loop --- */

/* Take what there is, as far as there's room. Returns how much that was. */
unsigned int control_take(struct worker *worker);

/* Go on with what was taken. Returns how much that was. */
unsigned int control_begin(struct worker *worker);

/* Answer what is done, after the operations that have ended were finished. */
unsigned int control_answer(struct worker *worker);

void control_init_discard(struct worker *worker);

/* A piece of a discard has ended. */
void control_finish_discard(struct worker *worker, struct store_op *op);

/* How long until there is something to do without being told to; 0: until then. */
uint64_t control_wait_ns(const struct worker *worker);

/* Is a request in hand, or, with @memory, one that is about guest memory? */
bool control_is_busy(const struct worker *worker, bool memory);

void control_punch_done(struct worker *worker, struct control_request *request,
			int result);

/* Go on from the log, with a ring that was attached and what is held of it. */
void control_recover(struct worker *worker);

/* --- worker_loop.c: a worker's thread --- */

/* The thread, of a struct worker; says when it has started, or why it hasn't. */
void *loop_main(void *arg);

/* Have kicks wake the thread; without room for that, before it sleeps. */
void loop_watch_ring(struct worker *worker, struct ring *ring);

/* The poll holds a reference to the kick descriptor: see it go. */
void loop_unwatch_ring(struct worker *worker, struct ring *ring);

/* A ring can't be served any more: nothing of it is, or of its pair. */
void loop_break_ring(struct worker *worker, struct ring *ring, const char *why);

/* --- worker_attach.c: run by a worker for the front end's thread --- */

struct attach {
	struct ring *ring;
	const struct worker_ring *setup;
	const char *wrong;
};

/* Serve a ring, of a struct attach. */
void attach_begin(struct worker *worker, void *arg);

/* Don't serve a struct ring any more, which stands still. */
void attach_end(struct worker *worker, void *arg);

/* Use the descriptors of a struct attach. */
void attach_set_fds(struct worker *worker, void *arg);

/* Guest memory has moved, gone or come: find the rings in it again. */
void attach_relocate(struct worker *worker, void *arg);

/* Note what is in hand in this struct inflight; what is held is known to that alone. */
void attach_use_log(struct worker *worker, void *arg);

/* Nothing is held of any ring, none of which is attached; nor is anything released. */
void attach_forget(struct worker *worker, void *arg);

#endif
