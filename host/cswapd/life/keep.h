/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * keep.h - what outlives the process that serves the guest.
 *
 * A worker process serves the guest; a monitor process (monitor.c) holds what the
 * next worker needs. Here is what the two share, and what they tell each other.
 */
#ifndef CSWAPD_KEEP_H
#define CSWAPD_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "balloon/balloon.h"
#include "conf.h"
#include "operator/health.h"
#include "frontend/handover.h"
#include "rings/inflight.h"
#include "frontend/vhost_user.h"
#include "frontend/vu_message.h"
#include "watchdog.h"
#include "serve/worker.h"

/* What the state is of: another daemon goes on from it only if all of it is the same. */
struct keep_kind {
	uint64_t magic;
	uint64_t bytes;			/* of struct keep_state */
	uint64_t slots;			/* what was promised to the guest */
	uint32_t queue_pairs;
	uint32_t block_bytes;
	uint32_t report_period_ms;
	uint32_t release;
	struct store_identity store;	/* where the guest's pages are */
};

/* In a memfd, mapped by both. */
struct keep_state {
	struct keep_kind kind;
	struct store_names names;	/* what the store was called */
	uint32_t active;		/* which of @front counts; the monitor's */
	struct watchdog_beats beats;
	struct vhost_user_saved front[2];
	/* By which name each descriptor of @front is kept, several by one if they are of one open file; 0: there is none. */
	uint64_t kept_as[2][VHOST_USER_MAX_FDS];
	uint64_t last_name;		/* that was ever given; the monitor's, as are those */
	_Alignas(64) struct worker_counters counters[WORKER_NUM_COUNTERS];
	uint32_t holder;		/* enum handover_holder: which daemon may write to the store */
	uint64_t patient_until_ms;	/* with another daemon that has the store; 0: it wasn't asked yet */
	struct inflight inflight;
	struct health_log health;
	struct store_server_log server;
	struct balloon_log balloon;	/* of whole pages */
};

/* What the monitor has the worker do, one at a time. */
enum keep_event_kind {
	KEEP_CONNECT,			/* fd: the connection */
	KEEP_MESSAGE,
	KEEP_DISCONNECT,
};

struct keep_event {
	enum keep_event_kind kind;
	struct vu_message message;
};

/* What the worker answers, each in one piece: it's done, or it never happened. */
enum keep_answer_kind {
	KEEP_READY,			/* to serve; not an answer to anything */
	KEEP_DONE,			/* the other copy of @front counts from now on */
};

/* Set in a key: there is a descriptor, which comes along; else there is none any more. */
#define KEEP_HAS_FD 0x8000

struct keep_answer {
	enum keep_answer_kind kind;
	bool alive;			/* else the front end is to be dropped */
	bool reply;			/* send @message to it */
	unsigned int num_keys;
	uint16_t key[VHOST_USER_MAX_FDS]; /* whose descriptor changed */
	uint16_t reply_key;		/* with KEEP_HAS_FD: whose goes along with the reply */
	struct vu_message message;
};

enum keep_packet {
	KEEP_WHOLE,
	KEEP_BAD,			/* of another size */
	KEEP_NONE,			/* the other end is gone */
};

/*
 * Both directions. The descriptors of a packet are in @fd, *@num_fds of them,
 * VU_MAX_FDS at most, also those of a bad one. False: the other end is gone.
 */
bool keep_send(int channel, const void *packet, size_t bytes, const int *fd,
	       unsigned int num_fds);
enum keep_packet keep_receive(int channel, void *packet, size_t bytes, int *fd,
			      unsigned int *num_fds);

/*
 * A word for the layout of all that: another version goes on from it only if it has
 * the same word.
 */
const char *keep_layout(void);

/* The state in a memfd of its own; NULL, logged. Without @files the store is memory. */
struct keep_state *keep_create(const struct conf *conf, const struct store_files *files,
			       int *fd);
/* One that exists; NULL if it was written by another version, or is none. */
struct keep_state *keep_map(int fd);
/* An option that isn't as it was for this state, or NULL; --store and --tags aside. */
const char *keep_find_difference(const struct keep_state *state, const struct conf *conf);

/* --- the worker's side --- */

struct keep {
	struct keep_state *state;
	int channel;
	struct vhost_user_fd kept[VHOST_USER_MAX_FDS];
};

/* Take note of what the monitor has anyway, after a restore by @fd; what didn't come of that isn't wanted any more. */
void keep_begin(struct keep *keep, const struct vhost_user *vu, const int fd[VHOST_USER_MAX_FDS]);

/* The next event. False: the monitor is gone. */
bool keep_next(struct keep *keep, struct keep_event *event);

/* It's done: from now on it won't be done again. */
bool keep_done(struct keep *keep, const struct vhost_user *vu, bool alive,
	       const struct vu_message *reply);

bool keep_ready(struct keep *keep);

#endif
