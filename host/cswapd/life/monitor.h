/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * monitor.h - the process that outlives the one that serves the guest.
 */
#ifndef CSWAPD_MONITOR_H
#define CSWAPD_MONITOR_H

#include "keep.h"
#include "store/store_files.h"

/* What a worker is given; its copies, to be kept or closed. */
struct monitor_gift {
	struct keep_state *state;
	const struct store_files *files; /* NULL: the store is memory */
	struct store *store;		/* not active */
	int channel;
	const struct watchdog *watchdog;
	int front_end;			/* -1: none */
	const int *fd;			/* VHOST_USER_MAX_FDS, or -1 */
};

struct monitor_config {
	const struct conf *conf;
	/* The worker process, up to its exit code. */
	int (*work)(void *context, const struct monitor_gift *gift);
	void *context;
};

/* Stay until a worker ends in order. Returns its exit code. */
int monitor_run(const struct monitor_config *config);

#endif
