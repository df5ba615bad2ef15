/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * worker.h - the threads that carry requests between the rings and the store.
 *
 * Everything here is called by the one thread that owns the set (the one that
 * talks to the front end); each call returns when the workers have done it. A call that
 * needs something to stand still waits for the standstill, which takes as long as the medium
 * does; so a caller that can't wait asks for the standstill beforehand (worker_ask()).
 */
#ifndef CSWAPD_WORKER_H
#define CSWAPD_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "balloon/balloon.h"
#include "device.h"
#include "rings/inflight.h"
#include "frontend/memory.h"
#include "life/sandbox.h"
#include "store/store.h"
#include "store/store_room.h"
#include "rings/vring.h"
#include "life/watchdog.h"

#define WORKER_MAX_WORKERS VIRTIO_CSWAP_MAX_QUEUE_PAIRS
/* Those of each, and what another daemon counted before this one. */
#define WORKER_NUM_COUNTERS (WORKER_MAX_WORKERS + 1)

struct worker_counters {
	uint64_t stores;		/* pages, by outcome OK */
	uint64_t loads;
	uint64_t discards;		/* slots */
	uint64_t given_back;		/* slots, to the medium */
	uint64_t released;		/* bytes, RELEASEd with outcome OK */
	uint64_t reclaimed;		/* bytes, RECLAIMed */
	uint64_t punches;		/* of guest memory */
	uint64_t events;		/* targets told */
	uint64_t reports;
	uint64_t errors_io;		/* requests, by outcome */
	uint64_t errors_nospc;
	uint64_t errors_invalid;	/* INVALID and UNSUPP */
	uint64_t merged;		/* requests that joined an earlier one */
	uint64_t store_ops;		/* operations given to the store */
	uint64_t broken;		/* queues broken by the guest */
	uint64_t sleeps;
	uint64_t calls;
};

struct worker_config {
	unsigned int workers;
	unsigned int poll_us;
	struct device_limits limits;
	struct store *store;
	struct store_room *room;	/* of its medium; NULL: it isn't known */
	const struct memory *memory;	/* changes only while paused */
	struct balloon *balloon;
	bool punch;			/* discard what is RELEASEd */
	enum sandbox_mode sandbox;	/* of the io_urings */
	struct inflight *log;		/* NULL: what is in hand dies with us */
	/* WORKER_NUM_COUNTERS of them, which go on where they are; NULL: from 0. */
	struct worker_counters *counters;
	struct watchdog_beats *beats;	/* NULL: no monitor watches the threads */
	int beat_fd;			/* wakes them to answer; never read */
};

/* A ring as the front end set it up; the descriptors stay the caller's. */
struct worker_ring {
	struct vring_setup setup;
	int kick_fd;
	int call_fd;			/* -1: the guest needs no calls */
	int err_fd;			/* -1: the front end doesn't want to know */
	/*
	 * Another process served it, or was about to end that: it goes on from the log,
	 * whatever setup.base says, as soon as all of it is in memory. Otherwise it does so
	 * if setup.base is where it stopped, and begins anew if not.
	 */
	bool take_over;
};

/* What stands still: nothing of it is begun, and what was under way has ended. */
enum worker_still {
	WORKER_RUNS,			/* nothing: all is served */
	WORKER_TABLE,			/* looks at guest memory and its table; operations go on */
	WORKER_RING,			/* a virtqueue, with the other one of its pair */
	WORKER_MEMORY,			/* as TABLE, and all operations in guest memory */
	WORKER_ALL,			/* as MEMORY, and all requests */
};

struct worker_need {
	enum worker_still still;
	unsigned int index;		/* RING: the virtqueue */
};

struct worker_set;

/* NULL, logged, if the threads can't be started. */
struct worker_set *worker_start(const struct worker_config *config);

/* Let all requests end, then end the threads. */
void worker_stop(struct worker_set *set);

/*
 * Have something stand still, instead of what was asked for before; WORKER_RUNS: go on.
 * Doesn't wait: when worker_is_still() may have become true the descriptor is readable.
 */
void worker_ask(struct worker_set *set, struct worker_need need);
bool worker_is_still(struct worker_set *set);
int worker_still_fd(const struct worker_set *set);

/* Begin to serve virtqueue @index. NULL, or what is wrong with the ring. */
const char *worker_attach(struct worker_set *set, unsigned int index,
			  const struct worker_ring *ring);

/* Stop serving a virtqueue, which stands still for it. Returns the next available index. */
uint16_t worker_detach(struct worker_set *set, unsigned int index);

/* Use other descriptors for a virtqueue from now on, those of @ring; it's served meanwhile. */
void worker_set_fds(struct worker_set *set, unsigned int index,
		    const struct worker_ring *ring);

/* Memory stands still between these two, or, if it is only to become more, its table. */
void worker_pause(struct worker_set *set);
void worker_pause_table(struct worker_set *set);
void worker_resume(struct worker_set *set);

/* What the guest may send on the control queue: what was negotiated. */
void worker_set_features(struct worker_set *set, bool discard, bool balloon,
			 bool report, bool again);

/* The guest is another one from now on, or has been reset; no ring is attached. */
void worker_forget(struct worker_set *set);

/*
 * Note what is in hand in @log from now on, as far as it reaches for the pairs
 * there are, and go on from what it says; NULL: in the one of worker_start(). No
 * ring is attached.
 */
void worker_use_log(struct worker_set *set, struct inflight *log);

/* We end, but what is detached from now on isn't over: the log is to say so. */
void worker_leave(struct worker_set *set);

/* The balloon's target has changed. */
void worker_tell_target(struct worker_set *set);

/* Wait for everything under way, even what the store holds back. */
void worker_drain(struct worker_set *set);

/* What the store holds back, and could let go, is to go. Waits for nothing. */
void worker_hurry(struct worker_set *set);

void worker_count(struct worker_set *set, struct worker_counters *sum);
/* For how long the oldest operation that is at the store has been there; 0: none is. */
uint64_t worker_waits_ns(const struct worker_set *set);
/* From now on as if @sum had been counted. */
void worker_set_counted(struct worker_set *set, const struct worker_counters *sum);

/* What is noted of what is in hand, wherever it lies. No ring is attached. */
struct inflight *worker_log(const struct worker_set *set);

#endif
