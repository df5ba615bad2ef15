/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * balloon.h - what the guest has released, and what it is asked to.
 *
 * Between two threads: the operator's sets the target and looks at the rest;
 * the worker of the control queue does all else.
 */
#ifndef CSWAPD_BALLOON_H
#define CSWAPD_BALLOON_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "blockmap.h"
#include "device.h"
#include "memory.h"

/* Granularity at which memory that the device uses is kept from being released. */
#define BALLOON_PIN_BYTES MEMORY_PAGE_SIZE

/* What there is to know; all but @told_bytes is the guest's word. */
struct balloon_state {
	uint64_t told_bytes;		/* the last target that it was told */
	uint64_t released_bytes;	/* RELEASEd and not RECLAIMed */
	uint64_t reports;		/* that ever came; never set back */
	bool has_report;
	uint64_t report_ms;		/* when it came, CLOCK_MONOTONIC */
	struct device_report report;	/* the last one */
};

struct balloon {
	struct blockmap released;	/* the worker's */
	struct blockmap pinned;		/* marked by all workers */
	uint64_t target_bytes;		/* changes at any time */
	pthread_mutex_t lock;		/* guards @state */
	struct balloon_state state;
};

void balloon_init(struct balloon *balloon, uint32_t block_bytes);
void balloon_free(struct balloon *balloon);

/* --- the thread that owns the workers, while they are paused --- */

/* The memory table has changed. */
void balloon_follow(struct balloon *balloon, const struct memory *memory);

/* --- the operator's thread --- */

void balloon_set_target(struct balloon *balloon, uint64_t bytes);
void balloon_get(struct balloon *balloon, struct balloon_state *state);

/* --- workers --- */

/* What is at @host is in use by the device: it can't be released. */
void balloon_pin(struct balloon *balloon, const struct memory *memory,
		 const void *host, uint64_t len);
/* No ring is attached. */
void balloon_unpin_all(struct balloon *balloon);

uint64_t balloon_get_target(const struct balloon *balloon);
void balloon_tell(struct balloon *balloon, uint64_t bytes);
void balloon_set_released(struct balloon *balloon,
			  const struct device_control *control, bool released);
void balloon_take_report(struct balloon *balloon,
			 const struct device_report *report);

/* The guest begins anew: nothing is released, nothing was told. */
void balloon_forget(struct balloon *balloon);

#endif
