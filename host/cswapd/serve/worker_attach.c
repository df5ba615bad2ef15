// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker_attach.c - how a worker takes on a virtqueue, and lets go of it.
 *
 * Theory of operation: a ring that was detached and goes on where it stopped keeps what is
 * held of it; another one begins with nothing.
 *
 * What is in hand is also noted where another process finds it (inflight.c). A
 * ring whose server died is attached like any other; then it goes on from the
 * notes: what was taken and not given back is run again, what was run and not
 * answered is answered.
 */
#include <string.h>

#include "worker_parts.h"

/* --- a ring that goes on, or begins anew --- */

void attach_forget_balloon(struct worker *worker, void *arg)
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
		attach_forget_balloon(worker, NULL);
		/* A ring that is in the middle: who served it told we don't know what. */
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

	pair->lost = false;
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
	uint16_t head;

	pair->ack_heads.count = 0;
	pair_init_data(&pair->data);
	for (head = 0; head < VRING_MAX_NUM; head++) {
		if (pair->log->response[head] != INFLIGHT_HELD)
			continue;
		if (vring_walk(vring, head, &worker->chain) != VRING_OK) {
			pair_break(pair, &pair->response, vring->broken);
			return;
		}
		pair_hold_response(pair, &worker->chain);
		pair_pin_segments(worker, &worker->chain);
	}
}

/* What somebody else noted of a LOAD is checked as if the guest had said it. */
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

static void recover_requests(struct pair *pair)
{
	unsigned int i;

	pair->lost = false;
	request_init_all(pair);
	for (i = 0; i < REQUESTS_PER_PAIR; i++) {
		/* Once and for all: the front end may write there. */
		const struct inflight_request log = fetch_noted(&pair->log->request[i]);
		struct request *request;

		if (log.chain == INFLIGHT_FREE) {
			pair->free[pair->num_free++] = (uint16_t)i;
			continue;
		}
		request = request_use(pair, (uint16_t)i);
		request->head = log.head;
		switch (log.chain) {
		case INFLIGHT_HELD:
			list_append(&pair->again, request);
			break;
		default:
			recover_request(pair, request, &log);
		}
	}
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

static void use_ring(struct worker *worker, struct ring *ring)
{
	pin_ring(worker, &ring->vring);
	ring->num_pushed = 0;
	ring->log->from = ring->vring.used_idx;
	ring->log->to = ring->vring.used_idx;
	INFLIGHT_SET(ring->log->live, true);
	INFLIGHT_SET(ring->log->parked, false);
	ring->known = true;
	ring->attached = true;
	vring_disable_kicks(&ring->vring);
	loop_watch_ring(worker, ring);
}

/* Nobody died, but somebody else served it: does it go on where the log says? */
static bool is_parked_here(struct worker *worker, struct ring *ring,
			   const struct vring_setup *setup)
{
	struct vring_setup found = *setup;

	return ring->log->parked && !ring->known &&
	       !find_base(worker, ring, &found) && found.base == setup->base;
}

void attach_begin(struct worker *worker, void *arg)
{
	struct attach *attach = arg;
	struct ring *ring = attach->ring;
	struct pair *pair = ring->pair;
	struct worker_ring setup = *attach->setup;
	bool orphan = ring->log->live || (setup.resume && !ring->known) ||
		      is_parked_here(worker, ring, &setup.setup);

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

void attach_end(struct worker *worker, void *arg)
{
	struct ring *ring = arg;

	ring->attached = false;
	ring->known = !ring->pair || !ring->pair->lost;
	if (!worker->set->leaving) {
		INFLIGHT_SET(ring->log->parked, true);
		INFLIGHT_SET(ring->log->live, false);
	}
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

static void relocate_ring(struct worker *worker, struct ring *ring)
{
	const char *wrong;

	if (!ring_live(ring))
		return;
	wrong = vring_relocate(&ring->vring, &ring->setup.setup);
	if (wrong)
		loop_break_ring(worker, ring, wrong);
}

void attach_relocate(struct worker *worker, void *arg)
{
	struct pair *pair;

	(void)arg;
	for_each_pair(worker, pair) {
		relocate_ring(worker, &pair->request);
		relocate_ring(worker, &pair->response);
	}
	relocate_ring(worker, &worker->control.ring);
}

void attach_use_log(struct worker *worker, void *arg)
{
	struct worker_set *set = worker->set;
	struct inflight *log = arg;
	unsigned int i;

	worker->control.log = &log->control;
	worker->control.ring.log = &log->control.ring;
	worker->control.ring.known = false;
	for (i = worker->index; i < set->num_pairs; i += set->config.workers) {
		pair_use_log(&set->pairs[i], &log->pair[i]);
		set->pairs[i].request.known = false;
		set->pairs[i].response.known = false;
	}
}
