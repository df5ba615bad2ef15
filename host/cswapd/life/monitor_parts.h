/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * monitor_parts.h - what the parts of the monitor share. Each calls those before it alone:
 *
 *   monitor_kept.c  what outlives workers, and what an earlier monitor left
 *   monitor_talk.c  the front end's messages, and the worker's answers to them
 *   monitor.c       workers come and go; the loop
 *
 * There is one thread.
 */
#ifndef CSWAPD_MONITOR_PARTS_H
#define CSWAPD_MONITOR_PARTS_H

#include "common/clock.h"
#include "common/log.h"
#include "fdstore.h"
#include "link.h"
#include "monitor.h"

/* A pause, as long as something doesn't come right. */
#define LONG_PAUSE_MS 1000

/* What goes on with the front end, in this order. */
enum talk {
	TALK_READING,			/* a message; @done bytes of it are there */
	TALK_READ,			/* there is an event for the worker */
	TALK_TOLD,			/* the present worker has it */
	TALK_KEEPING,			/* it's done; systemd doesn't have yet what came with it */
	TALK_REPLYING,			/* @done bytes of the reply have left */
};

/* An open file that came by the front end. */
struct kept_file {
	int fd;				/* -1: none */
	uint64_t name;			/* no other ever had it */
	bool is_stored;			/* systemd has it by this name, or is to have it */
};

struct monitor {
	const struct monitor_config *config;
	struct keep_state *state;
	int state_fd;
	struct store_files files;
	struct store *store;		/* of @files, or memory; never active here */
	struct link link;		/* to a server that the store is at */
	bool relieved;			/* the worker is on its way out: the next one has what it lacked */
	int kept_file[STORE_NUM_FILES];	/* of another monitor's; -1: none */
	struct watchdog watchdog;
	uint64_t alive_ms;		/* every so often systemd wants to hear of us; 0: never */
	uint64_t alive_at_ms;		/* next */
	int listen_fd;
	int signal_fd;
	bool made_socket;
	int front_end;			/* -1: none */
	struct kept_file kept[FDSTORE_MAX];
	int kept_at[VHOST_USER_MAX_FDS]; /* where in @kept each key's descriptor is; -1: there is none */
	bool store_fds;			/* systemd keeps them as well */

	pid_t worker;			/* 0: none */
	int channel;
	bool ready;			/* the present one */
	bool was_ready;			/* any */
	bool quitting;
	uint64_t started_ms;
	uint64_t start_at_ms;		/* not before */
	uint64_t accept_at_ms;		/* ... a front end */
	unsigned int pause_ms;

	enum talk talk;
	size_t done;
	uint64_t hurry_ms;		/* the message or reply under way has until then; 0: none */
	struct keep_event event;
	bool has_reply;
	struct vu_message reply;
	struct log_rate slow_rate;	/* lines about messages without an end, */
	struct log_rate accept_rate;	/* and about connections that can't be had */
};

/* --- monitor_kept.c --- */

/* At first there is none. */
void monitor_keep_none(struct monitor *monitor);
/* From now on @fd, or none, is this key's. It's kept here and, if that keeps any, in systemd's descriptor store. */
void monitor_keep_fd(struct monitor *monitor, unsigned int key, int fd);
/* All keys have what they are to have: the other copy of the state counts from now on, and the rest is dropped. */
void monitor_keep_state(struct monitor *monitor);
/* The key's descriptor, which stays the monitor's; or -1. */
int monitor_kept_fd(const struct monitor *monitor, unsigned int key);
/* In the worker's process: a descriptor for each key. False: there are too many; it's logged. */
bool monitor_give_fds(struct monitor *monitor, int fd[VHOST_USER_MAX_FDS]);
/* The same for the connection; -1 when it has ended. */
void monitor_keep_front_end(struct monitor *monitor, int fd);
/* What `systemctl status` says beside the unit. */
void monitor_tell_status(const struct monitor *monitor);
/* What systemd kept of another monitor: a function for fdstore_take(). */
void monitor_found_fd(void *context, const char *name, int fd);
/* The state that was found, or a new one. False: the end; it's logged. */
bool monitor_open_state(struct monitor *monitor);
/* Then the store, for the worker. False: the end. */
bool monitor_open_store(struct monitor *monitor);
/*
 * Connect from @at_ms on. From @start_ms on there is to be a worker; one that has no server
 * only if to connect takes its time.
 */
void monitor_find_server(struct monitor *monitor, uint64_t start_ms, uint64_t at_ms, bool anew);

/* --- monitor_talk.c: none of these waits --- */

/* @fd is connected. */
void monitor_begin_connection(struct monitor *monitor, int fd);
void monitor_accept_front_end(struct monitor *monitor);
/* It can be read, or takes a reply, whichever @talk waits for. */
void monitor_talk_to_front_end(struct monitor *monitor);
/* Past its time it's given up, as is systemd. */
void monitor_drop_slow_front_end(struct monitor *monitor);
/* To the present worker, which is ready for it. */
void monitor_send_event(struct monitor *monitor);
/* Answer what is done, and go on. */
void monitor_end_event(struct monitor *monitor);
/* Of the worker's channel. False: there is no more. */
bool monitor_take_answer(struct monitor *monitor);

#endif /* CSWAPD_MONITOR_PARTS_H */
