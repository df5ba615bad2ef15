// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtqueue.c - the driver's half of a split virtqueue.
 *
 * Theory of operation: the driver keeps its free list and the shape of every
 * chain in private memory, as Linux does since it distrusts devices; what the
 * device writes is limited to the used ring and avail_event. Without a wait
 * the event index is left behind, so that a busy driver gets no interrupts.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "virtqueue.h"

static uint16_t *used_event(struct virtqueue *vq)
{
	return &vq->avail->ring[vq->size];
}

static uint16_t *avail_event(struct virtqueue *vq)
{
	return (uint16_t *)&vq->used->ring[vq->size];
}

void vq_reset(struct virtqueue *vq, uint16_t base)
{
	unsigned int i;

	memset(vq->desc, 0, VQ_DESC_BYTES(vq->size));
	memset(vq->avail, 0, VQ_AVAIL_BYTES(vq->size));
	memset(vq->used, 0, VQ_USED_BYTES(vq->size));
	if (!vq->event_idx)
		vq->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	for (i = 0; i < vq->size; i++) {
		vq->next[i] = i + 1;
		vq->chain[i] = 0;
		vq->token[i] = NULL;
	}
	vq->free = vq->size;
	vq->free_head = 0;
	vq->avail_index = base;
	vq->kicked_index = base;
	vq->last_used = base;
	vq->avail->idx = base;
	vq->used->idx = base;
	*used_event(vq) = base - 1;
}

int vq_add(struct virtqueue *vq, const struct vq_segment *segments,
	      unsigned int count, void *token)
{
	uint16_t head = vq->free_head, at = head;
	unsigned int i;

	if (!count || count > vq->free)
		return -1;
	for (i = 0; i < count; i++) {
		const struct vq_segment *s = &segments[i];

		vq->desc[at].addr = s->address;
		vq->desc[at].len = s->bytes;
		vq->desc[at].flags = (s->writable ? VRING_DESC_F_WRITE : 0) |
				     (i + 1 < count ? VRING_DESC_F_NEXT : 0);
		vq->desc[at].next = vq->next[at];
		at = vq->next[at];
	}
	vq->free_head = at;
	vq->free -= count;
	vq->chain[head] = count;
	vq->token[head] = token;
	vq->avail->ring[vq->avail_index % vq->size] = head;
	vq->avail_index++;
	return 0;
}

void vq_kick(struct virtqueue *vq)
{
	const uint64_t one = 1;

	vq->kicks++;
	while (write(vq->kick_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void vq_publish(struct virtqueue *vq)
{
	uint16_t old = vq->kicked_index;
	bool needed;

	if (vq->avail_index == old)
		return;
	__atomic_store_n(&vq->avail->idx, vq->avail_index, __ATOMIC_RELEASE);
	/* The index must be seen before we look whether the device sleeps. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	vq->kicked_index = vq->avail_index;
	if (vq->event_idx)
		needed = vring_need_event(__atomic_load_n(avail_event(vq),
							  __ATOMIC_RELAXED),
					  vq->avail_index, old);
	else
		needed = !(__atomic_load_n(&vq->used->flags, __ATOMIC_RELAXED) &
			   VRING_USED_F_NO_NOTIFY);
	if (needed)
		vq_kick(vq);
}

int vq_take(struct virtqueue *vq, void **token, uint32_t *used_bytes)
{
	struct vring_used_elem element;
	uint16_t used = __atomic_load_n(&vq->used->idx, __ATOMIC_ACQUIRE);
	unsigned int i, at, count;

	if (used == vq->last_used)
		return 0;
	element = vq->used->ring[vq->last_used % vq->size];
	if (element.id >= vq->size || !vq->chain[element.id])
		return -1;
	vq->last_used++;

	count = vq->chain[element.id];
	vq->chain[element.id] = 0;
	for (i = 1, at = element.id; i < count; i++)
		at = vq->next[at];
	vq->next[at] = vq->free_head;
	vq->free_head = element.id;
	vq->free += count;

	*token = vq->token[element.id];
	*used_bytes = element.len;
	return 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

bool vq_spin(const struct virtqueue *vq, unsigned int ns)
{
	uint64_t until;

	if (!ns)
		return false;
	until = now_ns() + ns;
	do {
		if (__atomic_load_n(&vq->used->idx, __ATOMIC_RELAXED) != vq->last_used)
			return true;
	} while (now_ns() < until);
	return false;
}

bool vq_arm(struct virtqueue *vq)
{
	if (vq->event_idx)
		__atomic_store_n(used_event(vq), vq->last_used, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&vq->avail->flags, 0, __ATOMIC_RELAXED);
	/* The wish must be seen before we look for the last time. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&vq->used->idx, __ATOMIC_ACQUIRE) == vq->last_used)
		return true;
	if (!vq->event_idx)
		__atomic_store_n(&vq->avail->flags, VRING_AVAIL_F_NO_INTERRUPT,
				 __ATOMIC_RELAXED);
	return false;
}

void vq_drain_call(struct virtqueue *vq)
{
	uint64_t signals;

	if (read(vq->call_fd, &signals, sizeof(signals)) == sizeof(signals))
		vq->interrupts += signals;
	if (!vq->event_idx)
		__atomic_store_n(&vq->avail->flags, VRING_AVAIL_F_NO_INTERRUPT,
				 __ATOMIC_RELAXED);
}

void vq_close(struct virtqueue *vq)
{
	int *fds[] = { &vq->kick_fd, &vq->call_fd, &vq->error_fd };
	unsigned int i;

	if (!vq->size)
		return;
	for (i = 0; i < 3; i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	vq->size = 0;
}
