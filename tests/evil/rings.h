/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rings.h - a virtqueue as the malicious device sees it, and what is about to be used.
 */
#ifndef EVIL_RINGS_H
#define EVIL_RINGS_H

#include "liar.h"
#include "rings/vring.h"

/* Room for whatever is in a response buffer for one page. */
#define ANSWER_BYTES VIRTIO_CSWAP_DATA_BUFFER_SIZE(VIRTIO_CSWAP_MAX_REQUEST_PAGES)
#define MAX_STOLEN 4			/* of each size */
#define MAX_HELD 16

/* A buffer that waits to be used at a later time. */
struct held {
	uint16_t head;
	uint32_t written;
	uint64_t due_ns;
};

struct evil_ring {
	struct vring_device *vring;	/* NULL: not attached */
	unsigned int queue;
	int kick_fd, call_fd;
	/* response buffers that the daemon has never seen; [1]: data buffers */
	uint16_t stolen[2][MAX_STOLEN];
	unsigned int num_stolen[2];
	struct held held[MAX_HELD];
	unsigned int num_held;
	unsigned int lost[2];		/* answers, or chains, that the guest will never have */
};

/* A buffer that is about to be used: what a lie may change. */
struct use {
	struct evil_ring *ring;
	struct vring_chain *chain;
	uint16_t head;
	uint32_t written;
};

static inline bool chain_is_data(const struct vring_chain *chain)
{
	return chain->writable_bytes >= VIRTIO_CSWAP_DATA_BUFFER_SIZE(1);
}

/* --- lies.c: what is said --- */

/* A request was seen: its cookie, slot and page may be of use later. */
void lies_note_request(const struct vring_chain *chain);
/* Change what @use says. False: that can't be done with it. */
bool lies_change_answer(struct use *use, enum lie lie);
/* An answer of its own in @use->chain; @written is set. */
bool lies_forge(struct use *use, enum lie lie);
/* An answer to the request in @request, which nobody has served. */
void lies_forge_early(struct use *use, const struct vring_chain *request);
void lies_change_control(struct use *use);
uint32_t lies_wild_length(uint32_t length);

#endif
