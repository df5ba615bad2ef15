// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker_attach.c - how a worker takes on a virtqueue, and gives it up.
 *
 * Theory of operation: a ring that was detached and goes on where it stopped keeps what is
 * held of it; another one begins with nothing. The ring's state (enum ring_state) says which.
 *
 * What is in hand is also noted where another process finds it (inflight.c). A
 * ring whose worker died is attached like any other; then the worker goes on from the
 * notes: it runs again what was taken and not given back, and answers what was run and not
 * answered. Requests are answered in response buffers, so a request ring
 * that goes on from the notes is HALF served until its pair's other ring is there. So is any ring
 * that does so while a part of it, or a buffer that is held of it, is in memory that was removed and
 * may come again: whenever memory changes, the notes are read anew.
 * The front end may write to the notes at any time. So what they say of a ring is fetched
 * once, and no more of it is kept than the ring was found to have out.
 */
#include <string.h>

#include "worker_parts.h"

/* --- a ring that goes on, or begins anew --- */

/* The guest that comes has released nothing and was told no target. */
static void forget_balloon(struct worker *worker)
{
	struct control *control = &worker->control;

	control->events.count = 0;
	/* Which is what a guest takes for told that begins anew. */
	control->told_bytes = 0;
	control->told_known = true;
	control->again = 0;
	control->log->told_bytes = 0;
	control->log->told_known = true;
	balloon_forget(worker->set->config.balloon);
}

static void forget_ring(struct ring *ring)
{
	ring->state = RING_LOGGED;
	ring->log->state = INFLIGHT_RING_NEW;
}

void attach_forget(struct worker *worker, void *arg)
{
	struct pair *pair;

	(void)arg;
	for_each_pair(worker, pair) {
		forget_ring(&pair->request);
		forget_ring(&pair->response);
	}
	if (worker->index)
		return;
	forget_ring(&worker->control.ring);
	forget_balloon(worker);
}

static void reconcile_control(struct worker *worker, bool resumed,
			      unsigned int out)
{
	struct control *control = &worker->control;

	if (!resumed) {
		memset(control->log->chain, 0, sizeof(control->log->chain));
		forget_balloon(worker);
		/*
		 * A ring that goes on in its middle: what its last server told the guest isn't
		 * known.
		 */
		control->told_known = !control->ring.setup.setup.base;
	} else if (out != control->events.count) {
		control->events.count = 0;
	}
}

/* All of them are free, whatever they were. */
static void reset_requests(struct pair *pair)
{
	struct inflight_request *log = pair->log->request;
	unsigned int i;

	request_init_all(pair);
	for (i = 0; i < REQUESTS_PER_PAIR; i++) {
		pair->free[pair->num_free++] = (uint16_t)i;
		if (log[i].chain == INFLIGHT_FREE && log[i].answer == INFLIGHT_FREE)
			continue;
		INFLIGHT_SET(log[i].chain, INFLIGHT_FREE);
		INFLIGHT_SET(log[i].answer, INFLIGHT_FREE);
	}
}

/* Of requests that wait for a buffer to be answered in. */
static unsigned int held_chains(const struct pair *pair)
{
	return REQUESTS_PER_PAIR - pair->num_free - pair->num_returned;
}

/*
 * If the ring is the one that was detached and goes on where it stopped, what is
 * held is still wanted. The ring itself says how many buffers are out.
 */
static void reconcile(struct worker *worker, struct ring *ring, bool resumed)
{
	struct pair *pair = ring->pair;
	unsigned int out = vring_outstanding(&ring->vring);

	if (!pair) {
		reconcile_control(worker, resumed, out);
		return;
	}
	if (ring == &pair->response) {
		if (resumed &&
		    out == pair->ack_heads.count + pair->data.count) {
			pair_pin_posted(pair);
			return;
		}
		pair->ack_heads.count = 0;
		pair_init_data(&pair->data);
		memset(pair->log->response, 0, sizeof(pair->log->response));
	} else if (!resumed || out != held_chains(pair)) {
		reset_requests(pair);
	}
	if (!ring_attached(&pair->request) || !ring_attached(&pair->response))
		pair->broken = false;
}

/* --- a ring whose server died --- */

/* It was in memory when that served it, and may be again. */
static bool is_away(const struct worker *worker, const struct worker_ring *setup)
{
	return setup->take_over && !vring_is_shared(worker->set->config.memory, &setup->setup);
}

/*
 * Where the ring goes on: what the guest has back, and behind that what it
 * hasn't, which is in worker->held. The log is brought up to date on the way.
 */
static const char *find_base(struct worker *worker, struct ring *ring,
			     struct worker_ring *setup)
{
	struct inflight_held *held = &worker->held;
	struct pair *pair = ring->pair;
	const char *wrong;
	uint16_t used;
	bool seen;

	if (is_away(worker, setup))
		wrong = inflight_last_shown(ring->log, &used);
	else
		wrong = vring_read_used(worker->set->config.memory, &setup->setup, &used);
	if (!wrong)
		wrong = inflight_seen(ring->log, used, &seen);
	if (wrong)
		return wrong;
	if (!pair)
		inflight_settle_control(worker->control.log, seen, held);
	else if (ring == &pair->response)
		inflight_settle_responses(pair->log, seen, held);
	else
		held->count = inflight_settle_requests(pair->log, seen);
	setup->setup.base = (uint16_t)(used + held->count);
	return NULL;
}

static void recover_responses(struct pair *pair)
{
	struct worker *worker = pair->worker;
	struct vring_device *vring = &pair->response.vring;
	unsigned int i;

	pair->ack_heads.count = 0;
	pair_init_data(&pair->data);
	for (i = 0; i < worker->held.count; i++) {
		const uint16_t head = worker->held.head[i];

		if (vring_walk(vring, head, &worker->chain) != VRING_OK) {
			pair_break(pair, &pair->response, vring->broken ? vring->broken :
				   "a buffer's memory has gone");
			return;
		}
		if (!pair_hold_response(pair, &worker->chain))
			return;
		pair_pin_segments(worker, &worker->chain);
		/* A worker that died may have written there, and told nothing. */
		vring_log_chain(vring, head, UINT32_MAX, &worker->log_chain);
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

static struct inflight_request fetch_noted(const struct inflight_request *log)
{
	struct inflight_request noted;

	memcpy(&noted, log, sizeof(noted));
	/* So that the compiler doesn't read there again. */
	__asm__ volatile("" : "+m" (noted));
	return noted;
}

/* Go on with a request whose chain was given back, or is being. */
static void recover_request(struct pair *pair, struct request *request,
			    const struct inflight_request *log)
{
	struct device_request *wire = &request->wire;

	wire->load = log->load;
	wire->status = check_noted(pair, log);
	wire->count = log->count;
	wire->cookie = log->cookie;
	wire->slot = log->slot;
	if (log->chain == INFLIGHT_PUSHED)
		pair_push_request(pair, request);
	request_note_returned(request, true);
	if (wire->load) {
		pair_await_data(pair, request);
	} else {
		list_append(&pair->done, request);
		pair->acks++;
	}
}

/* The heads of a ring's requests that are out: a bit each. */
struct out {
	unsigned int count;
	uint64_t bits[VRING_MAX_NUM / 64];
};

/* False: it isn't a head of the ring, or was noted before. */
static bool note_out(struct out *out, const struct vring_device *vring, uint16_t head)
{
	const uint64_t bit = 1ULL << head % 64;

	if (head >= vring->num || out->bits[head / 64] & bit)
		return false;
	out->bits[head / 64] |= bit;
	out->count++;
	return true;
}

/* Take up what is noted of the request @index. False: it can't have been noted so. */
static bool recover_noted(struct pair *pair, unsigned int index,
			  const struct inflight_request *log, struct out *out)
{
	struct request *request;

	if (log->chain == INFLIGHT_FREE) {
		pair->free[pair->num_free++] = (uint16_t)index;
		return true;
	}
	if ((log->chain == INFLIGHT_HELD || log->chain == INFLIGHT_PUSHED) &&
	    !note_out(out, &pair->request.vring, log->head))
		return false;
	request = request_use(pair, (uint16_t)index);
	request->head = log->head;
	if (log->chain == INFLIGHT_HELD)
		list_append(&pair->again, request);
	else
		recover_request(pair, request, log);
	return true;
}

static void recover_requests(struct pair *pair)
{
	const unsigned int counted = vring_outstanding(&pair->request.vring);
	struct out out = { 0 };
	bool fits = true;
	unsigned int i;

	pair->request.state = RING_SERVED;
	request_init_all(pair);
	for (i = 0; i < REQUESTS_PER_PAIR && fits; i++) {
		/* Once and for all: the front end may write there. */
		const struct inflight_request log = fetch_noted(&pair->log->request[i]);

		fits = recover_noted(pair, i, &log, &out);
	}
	if (!fits || out.count != counted)
		pair_break(pair, &pair->request, "in-flight log changed while it was read");
}

/* Take over a ring that is attached now; a pair goes on when both are. */
static void recover_ring(struct worker *worker, struct ring *ring)
{
	struct pair *pair = ring->pair;

	if (!pair)
		control_recover(worker);
	else if (ring == &pair->response)
		recover_responses(pair);
	/* Whether the guest was called for what it has we don't know. */
	signal_fd(ring->setup.call_fd);
}

/* --- attaching and detaching --- */

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

static void set_attached(struct worker *worker, struct ring *ring, enum ring_state state)
{
	INFLIGHT_SET(ring->log->state, INFLIGHT_RING_SERVED);
	ring->state = state;
	if (!ring->watched)
		loop_watch_ring(worker, ring);
}

static void use_ring(struct worker *worker, struct ring *ring, enum ring_state state)
{
	pin_ring(worker, &ring->vring);
	ring->num_pushed = 0;
	ring->log->from = ring->vring.used_idx;
	ring->log->to = ring->vring.used_idx;
	set_attached(worker, ring, state);
	vring_disable_kicks(&ring->vring);
}

/*
 * Does it go on from what the log says? Then the base in @setup and worker->held are of one copy of
 * that. NULL, or what is wrong with the log.
 */
static const char *look_in_log(struct worker *worker, struct ring *ring,
			       struct worker_ring *setup, bool *in_log)
{
	const uint8_t state = __atomic_load_n(&ring->log->state, __ATOMIC_RELAXED);
	const bool died = setup->take_over || state == INFLIGHT_RING_SERVED;
	struct worker_ring found = *setup;
	const char *wrong;

	*in_log = died || (ring->state == RING_LOGGED && state == INFLIGHT_RING_PARKED);
	if (!*in_log)
		return NULL;
	wrong = find_base(worker, ring, &found);
	/* No worker died, but another daemon served the ring: does it go on where that one stopped? */
	if (!died && (wrong || found.setup.base != setup->setup.base)) {
		*in_log = false;
		return NULL;
	}
	*setup = found;
	return wrong;
}

/* Both rings of the pair are attached, and what is held of one is in the log. */
static bool can_recover_requests(const struct pair *pair)
{
	return !pair->broken && pair->request.state == RING_HALF &&
	       vring_is_here(&pair->request.vring) && pair->response.state == RING_SERVED;
}

/* NULL, or what is wrong. */
static const char *find_ring(struct worker *worker, struct ring *ring,
			     const struct worker_ring *setup, bool in_log)
{
	const char *wrong;

	if (is_away(worker, setup)) {
		vring_await(&ring->vring, &setup->setup);
		return NULL;
	}
	wrong = vring_attach(&ring->vring, worker->set->config.memory, &setup->setup);
	/* The index is fetched twice, and what is kept of the ring must be what is out. */
	if (!wrong && in_log && vring_outstanding(&ring->vring) != worker->held.count)
		wrong = "used index changed while it was read";
	return wrong;
}

/* Is a buffer away that is held? Requests are looked up when they are begun again. */
static bool is_held_away(struct worker *worker, struct ring *ring)
{
	unsigned int i;

	if (ring->pair && ring == &ring->pair->request)
		return false;
	for (i = 0; i < worker->held.count; i++)
		if (vring_walk(&ring->vring, worker->held.head[i], &worker->chain) == VRING_AWAY)
			return true;
	return false;
}

/* Go on from the log with a ring that was found, or isn't in memory now. */
static void take_up(struct worker *worker, struct ring *ring)
{
	/* Its memory may go once more before all of it is there. */
	ring->setup.take_over = true;
	if (!vring_is_here(&ring->vring) || is_held_away(worker, ring)) {
		set_attached(worker, ring, RING_HALF);
		return;
	}
	use_ring(worker, ring, ring->pair && ring == &ring->pair->request ?
				       RING_HALF : RING_SERVED);
	recover_ring(worker, ring);
}

void attach_begin(struct worker *worker, void *arg)
{
	struct attach *attach = arg;
	struct ring *ring = attach->ring;
	struct pair *pair = ring->pair;
	struct worker_ring setup = *attach->setup;
	bool in_log, resumed;

	attach->wrong = look_in_log(worker, ring, &setup, &in_log);
	resumed = !in_log && ring->state == RING_PARKED &&
		  setup.setup.base == ring->vring.last_avail;
	if (!attach->wrong)
		attach->wrong = find_ring(worker, ring, &setup, in_log);
	if (attach->wrong)
		return;
	ring->setup = setup;
	if (in_log) {
		take_up(worker, ring);
	} else {
		reconcile(worker, ring, resumed);
		use_ring(worker, ring, RING_SERVED);
	}
	if (pair)
		pair->stalled = false;
	else
		worker->control.stalled = false;
	if (pair && can_recover_requests(pair))
		recover_requests(pair);
}

/* Control requests that are done are in the log alone if they can't be put back now. */
static bool is_all_known(const struct worker *worker, const struct ring *ring)
{
	return ring->state == RING_SERVED && (ring->pair || !worker->control.stalled);
}

void attach_end(struct worker *worker, void *arg)
{
	struct ring *ring = arg;

	ring->state = is_all_known(worker, ring) ? RING_PARKED : RING_LOGGED;
	if (!ring->pair) {
		worker->control.stalled = false;
		control_answer(worker);
	}
	if (!worker->set->leaving)
		INFLIGHT_SET(ring->log->state, INFLIGHT_RING_PARKED);
	loop_unwatch_ring(worker, ring);
}

void attach_set_fds(struct worker *worker, void *arg)
{
	const struct attach *attach = arg;
	struct ring *ring = attach->ring;

	ring->setup.call_fd = attach->setup->call_fd;
	ring->setup.err_fd = attach->setup->err_fd;
	if (ring->setup.kick_fd == attach->setup->kick_fd)
		return;
	ring->setup.kick_fd = -1;
	loop_unwatch_ring(worker, ring);
	ring->setup.kick_fd = attach->setup->kick_fd;
	loop_watch_ring(worker, ring);
}

/* --- another place in memory, another log --- */

/* The marks of memory that went are gone, too. */
static void pin_again(struct worker *worker, struct ring *ring)
{
	pin_ring(worker, &ring->vring);
	if (ring->pair && ring == &ring->pair->response)
		pair_pin_posted(ring->pair);
}

/* More of it may be in memory now, or less. */
static void relocate_half(struct worker *worker, struct ring *ring)
{
	const char *wrong;

	if (ring->pair && ring->pair->broken)
		return;
	wrong = find_base(worker, ring, &ring->setup);
	if (!wrong)
		wrong = find_ring(worker, ring, &ring->setup, true);
	if (wrong)
		loop_break_ring(worker, ring, wrong);
	else
		take_up(worker, ring);
}

static void relocate_ring(struct worker *worker, struct ring *ring)
{
	const char *wrong;

	if (!ring_attached(ring) || ring->vring.broken)
		return;
	if (ring->state == RING_HALF) {
		relocate_half(worker, ring);
		return;
	}
	wrong = vring_relocate(&ring->vring, &ring->setup.setup);
	if (!vring_is_here(&ring->vring)) {
		ring->state = RING_AWAY;
	} else if (wrong) {
		loop_break_ring(worker, ring, wrong);
	} else {
		ring->state = RING_SERVED;
		pin_again(worker, ring);
	}
}

void attach_relocate(struct worker *worker, void *arg)
{
	struct pair *pair;

	(void)arg;
	for_each_pair(worker, pair) {
		relocate_ring(worker, &pair->request);
		relocate_ring(worker, &pair->response);
		pair->stalled = false;
		if (can_recover_requests(pair))
			recover_requests(pair);
	}
	relocate_ring(worker, &worker->control.ring);
	worker->control.stalled = false;
}

void attach_use_log(struct worker *worker, void *arg)
{
	struct worker_set *set = worker->set;
	struct inflight *log = arg;
	unsigned int i;

	worker->control.log = &log->control;
	worker->control.ring.log = &log->control.ring;
	worker->control.ring.state = RING_LOGGED;
	for (i = worker->index; i < set->num_pairs; i += set->config.workers) {
		pair_use_log(&set->pairs[i], &log->pair[i]);
		set->pairs[i].request.state = RING_LOGGED;
		set->pairs[i].response.state = RING_LOGGED;
	}
}
