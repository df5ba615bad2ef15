/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * handover.h - the guest moves: its state goes to another daemon or comes from one, and the store with it.
 *
 * All of it is called by the thread that talks to the front end. Nothing waits, but for I/O of the tags.
 */
#ifndef CSWAPD_HANDOVER_H
#define CSWAPD_HANDOVER_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "balloon/balloon.h"
#include "serve/device.h"
#include "serve/worker.h"
#include "store/store.h"
#include "store/store_files.h"

/* Which daemon may write to the store; kept for the next process of this daemon. */
enum handover_holder {
	HANDOVER_OURS,			/* this daemon, whose rings may run */
	HANDOVER_LOADED,		/* this one: the guest's state is here, and no ring has run yet */
	HANDOVER_AWAY,			/* another daemon, maybe: no ring may run */
	HANDOVER_LEAVING,		/* this one, which is giving the store back: it was LOADED, and no ring may run */
	HANDOVER_PASSED_ON,		/* as AWAY; it was LOADED, and is again if the store is taken back */
};

/* May another daemon write, now or in a moment? Then a process begins without taking the store. */
static inline bool handover_is_away(uint32_t holder)
{
	return holder == HANDOVER_AWAY || holder == HANDOVER_LEAVING || holder == HANDOVER_PASSED_ON;
}

struct handover_config {
	struct store *store;		/* NULL: none that could move */
	const struct store_identity *identity;
	const struct device_limits *limits;
	struct memory *memory;
	struct balloon *balloon;
	struct worker_set *workers;
	uint32_t *holder;		/* enum handover_holder, where it's kept */
};

/* A state that comes, as it's kept for a successor: where it's read from, and where it is. */
struct handover_transfer {
	int fd;				/* -1: there's no more of it */
	int state_fd;			/* -1: nothing comes */
	uint64_t serial;		/* another one: another state */
};

/*
 * Of a state that goes or comes. The front end begins it, and at the end asks how it went: then it's NONE again.
 *
 *	NONE --SET_DEVICE_STATE_FD--> SAVING --written, store given up--> SAVED ----CHECK_DEVICE_STATE--> NONE
 *	                         `--> LOADING --all there, and right--> CHECKED --CHECK_DEVICE_STATE--> NONE
 *
 * SAVING, LOADING and CHECKED may become FAILED instead: the state is worth nothing any more. A ring that runs, and the
 * end of the front end, make it NONE at any time.
 */
enum handover_phase {
	HANDOVER_NONE,
	HANDOVER_SAVING,		/* the state is being written to the front end */
	HANDOVER_SAVED,
	HANDOVER_LOADING,		/* it's being read */
	HANDOVER_CHECKED,		/* it was, and the store is to be taken for it */
	HANDOVER_FAILED,
};

struct handover {
	struct handover_config config;
	enum handover_phase phase;
	const char *wrong;		/* FAILED: what is, if the log hasn't said so */
	int fd;				/* -1: there is nothing to write or read any more */
	int state_fd;			/* of a state that comes: a file that has it */
	uint64_t serial;		/* of such files */
	struct handover_came *came;	/* in such a file, in front of @state */
	uint8_t *state;
	uint64_t room;			/* of @state */
	uint64_t bytes;			/* SAVING: of it, in all */
	uint64_t done;			/* SAVING: bytes written */
};

void handover_init(struct handover *handover, const struct handover_config *config);

/* What of it has to be kept; and go on with it, in another process: the descriptors are ours from now on. */
struct handover_transfer handover_save(const struct handover *handover);
void handover_restore(struct handover *handover, const struct handover_transfer *transfer);

/* Could the guest move? */
bool handover_is_offered(const struct handover *handover);

/*
 * Begin to write the state to @fd, or to read one: a pipe or a socket, ours if the result is NULL, which
 * otherwise says what is wrong. No ring is attached.
 */
const char *handover_begin(struct handover *handover, bool load, int fd);

/* What to poll for that, and for a store that takes time; what to do then. */
struct pollfd handover_poll(const struct handover *handover);
void handover_run(struct handover *handover);

/*
 * The store is to be taken, which may take time: ask again in a moment, for so many ms in all. 0: it's taken, or there's
 * no use in waiting. to_load: for a state that comes, by its ticket; a state that isn't all there, or is wrong, isn't
 * waited for. to_run: because rings are to run here, or to be saved; a state that comes is given up for that.
 */
unsigned int handover_waits_to_load(struct handover *handover);
unsigned int handover_waits_to_run(struct handover *handover);

/* Nobody asks that any more. */
void handover_give_up(struct handover *handover);

/*
 * What was taken for a guest that doesn't come is being given back, by this process or by one before it, which takes
 * some seconds at most: until then handover_run() is to be called every now and then, and nothing else.
 */
bool handover_leaves(const struct handover *handover);

/* Has it gone well? If a state was read it is the device's from now on, and so is the store. */
bool handover_check(struct handover *handover);

/* May rings run, with nothing to be done before? */
bool handover_is_ours(const struct handover *handover);

/*
 * Is the state here, and not yet in use, if the store is this daemon's or can be taken back? Then the rings go on from
 * the workers' log.
 */
bool handover_is_loaded(const struct handover *handover);

/* May rings run? Takes the store if it can be had. False: another daemon has it. */
bool handover_take(struct handover *handover);

/* A ring is about to run, for whatever reason: the move is over. NULL, or why it must not. */
const char *handover_end(struct handover *handover);

/* The front end is gone: a guest that came and never ran here is another daemon's. */
void handover_lose(struct handover *handover);

#endif
