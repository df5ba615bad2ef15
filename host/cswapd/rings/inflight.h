/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * inflight.h - what the device has in hand, kept where a successor finds it.
 *
 * The log lies in memory that outlives the process: the daemon's own (keep.h), or the front
 * end's, if the front end keeps the log (vhost_user.c). The thread that serves the ring writes
 * it; after that thread is dead, a thread of a later process reads it and goes on with the
 * ring. The front end could write there, too, at any time.
 */
#ifndef CSWAPD_INFLIGHT_H
#define CSWAPD_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/virtio_cswap.h>

#include "store/store_files.h"
#include "vring.h"

/*
 * Requests that a pair has in hand at a time: those whose buffers it holds, of which
 * the ring has no more, and those whose buffers are back but not their answers.
 */
#define INFLIGHT_RETURNED 256
#define INFLIGHT_REQUESTS (VRING_MAX_NUM + INFLIGHT_RETURNED)

/* Of a buffer, and of an answer. */
enum inflight_state {
	INFLIGHT_FREE,			/* the guest's */
	INFLIGHT_HELD,			/* ours */
	INFLIGHT_PUSHED,		/* in the used ring; seen by the guest or not */
	INFLIGHT_SHOWN,			/* seen by the guest */
};

/* What a ring is worth to the thread that serves it next. */
enum inflight_ring_state {
	INFLIGHT_RING_NEW,		/* nothing that is held of it is wanted */
	INFLIGHT_RING_SERVED,		/* a thread serves it, or died serving it */
	INFLIGHT_RING_PARKED,		/* no thread does, and what is held is wanted again */
};

/* What all rings have. */
struct inflight_ring {
	uint16_t from;			/* the used index that the guest was shown */
	uint16_t to;			/* ... and is being shown */
	uint8_t state;			/* enum inflight_ring_state */
};

/* A request of a queue pair; all but @head is void while the chain is held. */
struct inflight_request {
	uint8_t chain;			/* enum inflight_state */
	uint8_t answer;			/* ... FREE: there is none yet */
	uint8_t load;
	uint16_t head;
	uint16_t count;			/* pages */
	uint32_t status;
	uint64_t cookie;
	uint64_t slot;
};

struct inflight_pair {
	struct inflight_ring request_ring;
	struct inflight_ring response_ring;
	struct inflight_request request[INFLIGHT_REQUESTS];
	uint8_t response[VRING_MAX_NUM]; /* enum inflight_state, by head */
};

struct inflight_control {
	struct inflight_ring ring;
	uint8_t told_known;		/* else @told_bytes is void */
	uint64_t told_bytes;		/* the target in the last event shown */
	uint64_t next_order;
	uint64_t order[VRING_MAX_NUM];	/* in which the heads came */
	uint8_t chain[VRING_MAX_NUM];	/* enum inflight_state, by head */
};

struct inflight {
	struct inflight_control control;
	struct inflight_pair pair[VIRTIO_CSWAP_MAX_QUEUE_PAIRS];
};

/* A log in a file that the front end keeps: as many pairs as the device has. */
struct inflight_file {
	uint64_t magic;
	uint64_t bytes;
	struct store_identity store;	/* where its slots are */
	struct inflight log;
};

/* The file in a memfd that can't change its size, or -1. */
int inflight_create_file(unsigned int pairs, const struct store_identity *store);
/* Have a new one say what @log says. False: no memory. */
bool inflight_fill_file(int fd, unsigned int pairs, const struct inflight *log);
/* Have another log say the same. */
void inflight_copy(struct inflight *to, const struct inflight *from, unsigned int pairs);
/* Map such a file, which may come from anywhere. NULL, or what is wrong with it. */
const char *inflight_map_file(int fd, unsigned int pairs,
			      const struct store_identity *store,
			      struct inflight **log);
void inflight_unmap_file(struct inflight *log, unsigned int pairs);
uint64_t inflight_file_bytes(unsigned int pairs);

/* One store, after all that came before it in the program; a test dies around it. */
#ifndef INFLIGHT_SET
#define INFLIGHT_SET(field, value) \
	__atomic_store_n(&(field), (value), __ATOMIC_RELEASE)
#endif

/* Around the one store that shows the guest what was pushed. */
void inflight_show(struct inflight_ring *ring, uint16_t used);
void inflight_shown(struct inflight_ring *ring);

/*
 * After a death: was what was pushed seen? @used is the used index that the
 * guest has. NULL, or what is wrong with it.
 */
const char *inflight_seen(const struct inflight_ring *ring, uint16_t used,
			  bool *seen);

/*
 * The used index that the guest has, of a ring that can't be asked: nothing was being shown when its memory went.
 * NULL, or what is wrong.
 */
const char *inflight_last_shown(const struct inflight_ring *ring, uint16_t *used);

/* What a ring's server held of it, fetched once: the front end may write to the log. */
struct inflight_held {
	unsigned int count;
	uint16_t head[VRING_MAX_NUM];	/* each once; of the control queue in the order in which they came */
};

/*
 * Bring the states of a ring to what they are worth now that it's known whether
 * the guest has @seen what was pushed. In @held, or returned, is how many buffers the
 * guest doesn't have back. May die at any time and be begun again.
 */
unsigned int inflight_settle_requests(struct inflight_pair *pair, bool seen);
void inflight_settle_responses(struct inflight_pair *pair, bool seen,
			       struct inflight_held *held);
void inflight_settle_control(struct inflight_control *control, bool seen,
			     struct inflight_held *held);

#endif
