// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker_answer.c - what the control queue's chains are answered with.
 *
 * Theory of operation: of a chain only the head is kept. The chain is looked up and checked
 * again when it's answered; a guest that has changed the chain meanwhile has broken the ring.
 */
#include "worker_parts.h"

void control_break(struct worker *worker, const char *why)
{
	struct ring *ring = &worker->control.ring;

	ring->vring.broken = why;
	ring_report_broken(worker, ring, "control queue", 0, why);
}

static void push_control(struct worker *worker, uint16_t head, uint32_t len)
{
	INFLIGHT_SET(worker->control.log->chain[head], INFLIGHT_PUSHED);
	ring_push(worker, &worker->control.ring, head, len, head);
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

void answer_control(struct worker *worker, const struct control_request *request)
{
	if (find_answer(worker, request->head,
			sizeof(struct virtio_cswap_ctrl_response)))
		push_control(worker, request->head,
			     device_put_control(&worker->chain, &request->wire,
						request->status));
}

bool answer_event(struct worker *worker, uint16_t head, uint64_t target_bytes, uint32_t flags)
{
	struct virtio_cswap_event event = device_make_event(VIRTIO_CSWAP_S_OK, target_bytes);

	event.flags = htole32(flags);
	if (!find_answer(worker, head, sizeof(event)))
		return false;
	push_control(worker, head, device_put_event(&worker->chain, &event));
	return true;
}
