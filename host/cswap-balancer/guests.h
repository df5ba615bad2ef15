/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * guests.h - the guests' daemons: found by their sockets, asked, told.
 */
#ifndef CSWAP_BALANCER_GUESTS_H
#define CSWAP_BALANCER_GUESTS_H

#include <limits.h>
#include <poll.h>

#include "config.h"
#include "common/log.h"
#include "modes.h"

#define GUESTS_HISTORY 16
#define GUESTS_LINE_BYTES 16384		/* an answer is shorter */

struct guest_change {
	uint64_t ms, from, to;
	enum policy_reason reason;
};

struct guest {
	char name[64];
	const struct config_guest *config;
	bool seen;			/* its folder is there, by the look that is under way */
	bool found;			/* it was seen once, and that was said */
	uint64_t gone_ms;		/* since when its folder is missing; 0: it's there */
	uint64_t left_ms;		/* since when its VMM isn't at its daemon any more; 0: it's there, or never was */

	/* the connection */
	int fd;				/* -1: none */
	bool awaiting;			/* a request is under way */
	uint64_t sent_ms, answered_ms;
	char *in;			/* GUESTS_LINE_BYTES, while connected */
	size_t in_bytes;

	/* what the daemon said last */
	bool has_status;
	char balloon[16];
	uint64_t report_age_ms;
	uint64_t memory;
	struct log_rate rate;		/* lines about that */

	/* what was done */
	unsigned int answer;		/* in force, of policy_guest.answer; notes.c has what it changed */
	struct guest_change history[GUESTS_HISTORY];
	unsigned int changes;
	bool stuck;			/* and said so */
};

struct guests {
	const struct config *config;
	struct modes *modes;
	int inotify_fd;			/* -1: none */
	int lock_fd;			/* the folder, locked; -1: it isn't there yet, or is another balancer's */
	bool lockless;			/* it's a dry run */
	bool watching;			/* the folder itself is being watched */
	unsigned int ticks;
	uint64_t late_ms;
	char order_path[PATH_MAX];	/* where that order is kept; "": nowhere */
	bool reordered;			/* since it was kept */
	/* in the order in which they came; parallel, as the policy wants them */
	struct guest *guest;
	struct policy_guest_sample *sample;
	struct policy policy;
	size_t room, most;
	size_t left_out;		/* beyond that, and said so */
	struct log_rate rate;		/* lines about what can't be opened */
};

/*
 * @most: guests there are descriptors for. @order_path: where an earlier balancer has kept in which order the guests
 * came, and where it's kept; NULL: nothing is read, and nothing written.
 */
void guests_open(struct guests *guests, const struct config *config, struct modes *modes, size_t most,
		 const char *order_path);
void guests_close(struct guests *guests);

/*
 * Have the guests to itself: two balancers would take back what the other has decided. False (said why): another
 * one has them. A folder that isn't there yet is locked when it is. A dry run, which tells no daemon
 * anything, doesn't call this.
 */
bool guests_lock(struct guests *guests);

/* Find which guests came and went; connect; ask each for its status. Never waits. */
void guests_tick(struct guests *guests, uint64_t now_ms);

/* For the caller's loop: what to poll for, and what came of it. */
size_t guests_max_polls(const struct guests *guests);
size_t guests_prepare_poll(const struct guests *guests, struct pollfd *fds);
void guests_run(struct guests *guests, const struct pollfd *fds, size_t polls, uint64_t now_ms);

/* Are all guests heard that answer at all? Then there is no reason to wait. */
bool guests_are_heard(const struct guests *guests);

/* Tell each daemon whose target has changed; @dry_run: only say so. */
void guests_tell(struct guests *guests, uint64_t now_ms, bool dry_run);

struct guest *guests_find(const struct guests *guests, const char *name);

/* An operator's word for guest @i, which is kept. */
void guests_set_mode(struct guests *guests, size_t i, enum policy_mode mode);

#endif
