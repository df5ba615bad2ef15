/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vring.h - the device's side of a split virtqueue.
 *
 * Pure: works on mapped memory alone; no I/O, no allocation, no clock. Whatever
 * the guest put there, each call ends, touches only shared memory, and at worst
 * says that the ring is broken, which it then stays.
 */
#ifndef CSWAPD_VRING_H
#define CSWAPD_VRING_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/virtio_ring.h>

#include "frontend/memory.h"

#define VRING_MAX_NUM 1024
/* As many as descriptors, and some for those that cross a region's border. */
#define VRING_MAX_SEGMENTS (VRING_MAX_NUM + MEMORY_MAX_REGIONS)

enum vring_result {
	VRING_AWAY = -2,	/* a part of the chain lies in memory that has gone, and may come again */
	VRING_BROKEN = -1,	/* vring.broken says why */
	VRING_EMPTY = 0,
	VRING_OK = 1,
};

struct vring_device {
	const struct memory *memory;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t num;			/* descriptors, a power of two */
	uint16_t last_avail;		/* the next entry to pop */
	uint16_t used_idx;		/* the next entry to push */
	uint16_t used_published;	/* what the guest was shown */
	uint16_t used_signalled;	/* when it was last asked about a call */
	bool signalled_valid;
	bool event_idx;
	bool log;			/* what is written to the used ring */
	uint64_t used_gpa;		/* ... which is there for the log */
	const char *broken;		/* why, NULL if it isn't */
};

/* Where a ring lies, in the front end's addresses, and where to go on. */
struct vring_setup {
	uint64_t desc_uva;
	uint64_t avail_uva;
	uint64_t used_uva;
	uint64_t used_gpa;		/* for the dirty log alone, if @log */
	uint16_t num;
	uint16_t base;
	bool event_idx;
	bool log;			/* note what is written to the used ring */
};

struct vring_segment {
	uint8_t *host;
	uint64_t len;			/* never 0 */
};

/* A chain: first the readable segments, then the writable ones. */
struct vring_chain {
	uint16_t head;
	unsigned int readable;		/* segments */
	unsigned int writable;		/* segments */
	uint64_t readable_bytes;
	uint64_t writable_bytes;
	struct vring_segment segment[VRING_MAX_SEGMENTS];
};

/* Find a ring in @memory. Returns NULL, or what is wrong with the setup. */
const char *vring_attach(struct vring_device *ring,
			 const struct memory *memory,
			 const struct vring_setup *setup);

/* Do all parts of the ring lie in @memory? */
bool vring_is_shared(const struct memory *memory, const struct vring_setup *setup);

/* Of a ring whose parts don't, but may come again: only where it goes on is known until it's attached. */
void vring_await(struct vring_device *ring, const struct vring_setup *setup);

/* The used index of a ring that isn't attached. Returns NULL, or what is wrong. */
const char *vring_read_used(const struct memory *memory,
			    const struct vring_setup *setup, uint16_t *used);

/*
 * Find an attached ring again after @memory has changed. Returns NULL, or what is wrong. A part
 * that isn't in memory at all may come again: until then the ring isn't here.
 */
const char *vring_relocate(struct vring_device *ring,
			   const struct vring_setup *setup);
bool vring_is_here(const struct vring_device *ring);

/* Fetch the next available chain. */
enum vring_result vring_pop(struct vring_device *ring,
			    struct vring_chain *chain);

/* Fetch the chain at @head again: popped before, not pushed yet. */
enum vring_result vring_walk(struct vring_device *ring, uint16_t head,
			     struct vring_chain *chain);

/* Is there anything to pop? A broken ring says no. */
bool vring_has_avail(const struct vring_device *ring);

/* Buffers popped and not pushed. */
uint16_t vring_outstanding(const struct vring_device *ring);

/* Give a chain back with @written bytes; the guest sees it once published. */
void vring_push(struct vring_device *ring, uint16_t head, uint32_t written);

/*
 * Note in memory's dirty log that the first @written bytes of the chain at @head, which isn't pushed yet,
 * were written, if there is a log. @scratch is the caller's. A chain that isn't one any more breaks the ring.
 */
void vring_log_chain(struct vring_device *ring, uint16_t head, uint32_t written,
		     struct vring_chain *scratch);

/* Show the guest what was pushed. True if there was something new. */
bool vring_publish(struct vring_device *ring);

/* Must the guest be called about what was published since the last question? */
bool vring_call_due(struct vring_device *ring);

/* Ask for kicks; then look once more whether something is available. */
void vring_enable_kicks(struct vring_device *ring);
void vring_disable_kicks(struct vring_device *ring);

/*
 * Copy between private memory and @count segments, from @offset on; the
 * caller has checked that the segments hold that much.
 */
void vring_copy_from(void *to, const struct vring_segment *segment,
		     uint64_t offset, uint64_t len);
void vring_copy_to(const struct vring_segment *segment, uint64_t offset,
		   const void *from, uint64_t len);

#endif
