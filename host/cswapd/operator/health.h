/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * health.h - what becomes of the store's files while a guest is served.
 */
#ifndef CSWAPD_HEALTH_H
#define CSWAPD_HEALTH_H

#include "store/store_files.h"

/* What outlives a worker (keep.h). */
struct health_log {
	uint64_t errors_writeback;
	uint8_t cut[STORE_NUM_FILES];	/* what was lost doesn't come back */
};

struct health {
	const struct store_files *files; /* NULL: memory */
	struct health_log *log;
	enum store_state state[STORE_NUM_FILES];
	uint64_t look_at_ms;
};

/* May wait for the disk. */
void health_begin(struct health *health, const struct store_files *files,
		  struct health_log *log);

/* See what there is, and log what is new. Doesn't wait. */
void health_look(struct health *health);

/* The worse of both files. */
enum store_state health_state(const struct health *health);

/* Of a server: since when it's away, in ms; 0: it's there, or there is none. */
uint64_t health_server_away_ms(const struct health *health);

/* What the files occupy, and what their file system has left, in bytes. False: they are none, or on a device. */
bool health_measure(const struct health *health, uint64_t *occupied_bytes, uint64_t *free_bytes);

/* Until it's time to look again: ms, -1 for never. */
int health_timeout_ms(const struct health *health);

#endif
