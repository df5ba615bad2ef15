/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * balloon.h - what the guest has released, and what it is asked to release.
 *
 * Two threads share it: the operator's thread sets the target and looks at the rest;
 * the worker of the control queue does all else.
 */
#ifndef CSWAPD_BALLOON_H
#define CSWAPD_BALLOON_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "blockmap.h"
#include "serve/device.h"
#include "frontend/memory.h"

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

/*
 * What outlives the process. Blocks are numbered from guest address 0; those
 * beyond the last bit (above 2 TiB if they are of 4 KiB) are forgotten.
 */
#define BALLOON_LOG_WORDS (1 << 23)

struct balloon_log {
	uint64_t target_bytes;
	uint64_t reports;		/* that ever came */
	uint64_t again_wanted, again_told; /* as in struct balloon */
	_Alignas(MEMORY_PAGE_SIZE) uint64_t released[BALLOON_LOG_WORDS]; /* mostly holes */
};

struct balloon {
	struct blockmap released;	/* the worker's */
	struct blockmap pinned;		/* marked by all workers */
	struct balloon_log *log;	/* NULL: nothing outlives us */
	bool log_has_more;		/* maybe: of memory that was taken away, and may come again */
	uint64_t target_bytes;		/* changes at any time, as does the next */
	uint64_t shrink_bytes;		/* asked for meanwhile, if that's more; ends with the process */
	/*
	 * How often there was reason to have the guest release anew what it has released (the operator's
	 * thread's), and up to which of these it was told so (the worker's).
	 */
	uint64_t again_wanted, again_told;
	pthread_mutex_t lock;		/* guards @state */
	struct balloon_state state;
};

void balloon_init(struct balloon *balloon, uint32_t block_bytes);
void balloon_free(struct balloon *balloon);

/* --- the thread that owns the workers, while they are paused --- */

/* The memory table has changed. What was released in memory that comes again is known again. */
void balloon_follow(struct balloon *balloon, const struct memory *memory);

/* From now on note in @log what a successor needs; what it says already counts. */
void balloon_keep(struct balloon *balloon, struct balloon_log *log);

/*
 * Take over what the log says is released, of the memory that there is, and of what comes later. Before any ring
 * is attached the workers needn't be paused.
 */
void balloon_restore(struct balloon *balloon);

/*
 * What another daemon's log said: the target, the number of reports, and @num_words of what is released,
 * unaligned; it counts from balloon_restore() on. No ring is attached.
 */
void balloon_load(struct balloon *balloon, uint64_t target_bytes, uint64_t reports,
		  const void *words, uint64_t num_words);

/* --- the operator's thread --- */

void balloon_set_target(struct balloon *balloon, uint64_t bytes);
void balloon_get(struct balloon *balloon, struct balloon_state *state);
/* What a client asks for while it is connected, and 0 when it has left. The target stays what it is. */
void balloon_shrink(struct balloon *balloon, uint64_t bytes);
uint64_t balloon_get_shrink(const struct balloon *balloon);
/*
 * The host may have memory again behind what is released: a front end has read it, and reading a hole fills
 * it. The daemon mustn't discard that by itself: a guest may use a released block before it says so. So the
 * guest is asked to release all of it anew.
 */
void balloon_want_again(struct balloon *balloon);

/* --- workers --- */

/* What is at @host is in use by the device: it can't be released. */
void balloon_pin(struct balloon *balloon, const struct memory *memory,
		 const void *host, uint64_t len);
/* No ring is attached. */
void balloon_unpin_all(struct balloon *balloon);

uint64_t balloon_get_target(const struct balloon *balloon);
/* What the guest is to be told. */
uint64_t balloon_get_wanted(const struct balloon *balloon);
void balloon_tell(struct balloon *balloon, uint64_t bytes);
/* Is the guest to release anew what it has released? */
bool balloon_wants_again(const struct balloon *balloon);
/*
 * The number of the last such wish. It's for balloon_note_again(), when the guest has been shown it; a death before that
 * has it told once more.
 */
uint64_t balloon_again_number(const struct balloon *balloon);
void balloon_note_again(struct balloon *balloon, uint64_t number);
void balloon_set_released(struct balloon *balloon,
			  const struct device_control *control, bool released);
void balloon_take_report(struct balloon *balloon,
			 const struct device_report *report);

/* The guest begins anew: nothing is released, nothing was told. */
void balloon_forget(struct balloon *balloon);

#endif
