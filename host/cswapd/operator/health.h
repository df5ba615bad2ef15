/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * health.h - what becomes of the store's files while a guest is served.
 */
#ifndef CSWAPD_HEALTH_H
#define CSWAPD_HEALTH_H

#include <pthread.h>

#include "store/store_files.h"
#include "store/store_room.h"

/* What outlives a worker (keep.h). */
struct health_log {
	uint64_t errors_writeback;
	uint8_t cut[STORE_NUM_FILES];	/* what was lost doesn't come back */
};

/* What was seen. */
struct health_view {
	enum store_state state[STORE_NUM_FILES];
	uint64_t errors_writeback;
	bool measured;			/* else the files are none, or on a device */
	uint64_t occupied_bytes;	/* by the files */
	uint64_t free_bytes;		/* what their file system has left */
	uint64_t waits_ms;		/* for how long the file system hasn't answered: as old is what's above */
};

struct health {
	const struct store_files *files; /* NULL: memory */
	struct health_log *log;		/* the thread's */
	struct store_room room;
	pthread_t thread;
	bool runs;

	pthread_mutex_t lock;		/* for what follows; no thread that has it waits for the file system */
	pthread_cond_t looked;
	struct health_view view;
	uint64_t begun, ended;		/* looks */
	uint64_t begun_ms;
	bool quit;
};

/* The first look, by the caller: may wait for the disk. */
void health_begin(struct health *health, const struct store_files *files,
		  struct health_log *log);

/* All others are a thread's. False: there is none (logged). */
bool health_start(struct health *health);

/* The thread ends; one that the file system keeps waiting stays, until the process ends. */
void health_end(struct health *health);

/* What there is, and log what is new. Takes a moment at most, and if the file system doesn't answer it's what there was. */
struct health_view health_get(struct health *health);

/* The worse of both files. */
enum store_state health_state(const struct health_view *view);

/* Of a server: since when it's away, in ms; 0: it's there, or there is none. */
uint64_t health_server_away_ms(const struct health *health);

#endif
