/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtqueue.h - the driver's half of a split virtqueue.
 *
 * Pure over the memory it is given, but for the eventfds. Not thread-safe: a
 * ring belongs to one thread.
 */
#ifndef SIM_VIRTQUEUE_H
#define SIM_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/virtio_ring.h>

#define VQ_MAX_SIZE	1024

struct vq_segment {
	uint64_t address;		/* guest address */
	uint32_t bytes;
	bool writable;			/* by the device */
};

struct virtqueue {
	unsigned int index;
	unsigned int size;
	bool event_idx;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	int kick_fd, call_fd, error_fd;

	/* Private to the driver; shared memory is never read back. */
	uint16_t avail_index;
	uint16_t kicked_index;		/* avail_index at the last decision to kick */
	uint16_t last_used;
	unsigned int free;		/* descriptors */
	uint16_t free_head;
	uint16_t next[VQ_MAX_SIZE];
	uint16_t chain[VQ_MAX_SIZE];	/* descriptors, by head; 0 = not out */
	void *token[VQ_MAX_SIZE];

	uint64_t kicks;
	uint64_t interrupts;
};

#define VQ_DESC_BYTES(size)	(16 * (size))
#define VQ_AVAIL_BYTES(size)	(6 + 2 * (size))
#define VQ_USED_BYTES(size)	(6 + 8 * (size))

/* Forget all that is outstanding and begin at index @base. */
void vq_reset(struct virtqueue *vq, uint16_t base);

/* Close its eventfds, if it was ever made. */
void vq_close(struct virtqueue *vq);

/* Queue a chain; the device sees it after vq_publish(). -1 if it won't fit. */
int vq_add(struct virtqueue *vq, const struct vq_segment *segments,
	      unsigned int count, void *token);
/* Expose what was added, and kick if the device asks for it. */
void vq_publish(struct virtqueue *vq);
void vq_kick(struct virtqueue *vq);

/*
 * Take one used chain. Returns 1 and its token, 0 if there is none, -1 if the
 * device returned what it didn't have.
 */
int vq_take(struct virtqueue *vq, void **token, uint32_t *used_bytes);

/* Look for a used chain for so long before sleeping; whether there is one. */
bool vq_spin(const struct virtqueue *vq, unsigned int ns);
/* Ask for an interrupt on the next used chain; false if one is there already. */
bool vq_arm(struct virtqueue *vq);
/* Collect signals that have arrived. */
void vq_drain_call(struct virtqueue *vq);

#endif /* SIM_VIRTQUEUE_H */
