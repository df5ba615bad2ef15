// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker_ring.c - what is given back on a virtqueue, a pair's or the control queue.
 *
 * Theory of operation: used buffers are pushed one by one and shown to the guest together, when the
 * round ends. Before and after that the log says how far the guest can have seen them (inflight.c),
 * so that the next server of the ring neither repeats nor forgets one.
 */
#include "worker_parts.h"

void ring_report_broken(struct worker *worker, const struct ring *ring,
			const char *queue, unsigned int index,
			const char *why)
{
	/* a guest may break a ring as often as it likes */
	log_limited(&worker->broken_rate, LOG_WARNING,
		    "%s %u: %s; not served until it is reset", queue, index, why);
	COUNT(worker, broken, 1);
	signal_fd(ring->setup.err_fd);
}

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
		if (control->again)
			balloon_note_again(worker->set->config.balloon, control->again);
		control->again = 0;
	} else if (ring == &pair->response) {
		request_put_all(&pair->answered);
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

void ring_publish(struct worker *worker, struct ring *ring)
{
	if (!show(worker, ring) || !vring_call_due(&ring->vring))
		return;
	COUNT(worker, calls, 1);
	signal_fd(ring->setup.call_fd);
}

void ring_push(struct worker *worker, struct ring *ring, uint16_t head,
	       uint32_t len, uint16_t index)
{
	if (ring->num_pushed == VRING_MAX_NUM)
		show(worker, ring);
	/* It was written, and isn't shown yet. */
	vring_log_chain(&ring->vring, head, len, &worker->log_chain);
	vring_push(&ring->vring, head, len);
	ring->pushed[ring->num_pushed++] = index;
}
