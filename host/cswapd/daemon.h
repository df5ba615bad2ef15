/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * daemon.h - what cswapd does from start to end.
 */
#ifndef CSWAPD_DAEMON_H
#define CSWAPD_DAEMON_H

#include "conf.h"
#include "store/store.h"
#include "serve/worker.h"

/* How a program differs from cswapd; see store_fault.c. */
struct daemon_variant {
	const struct conf_extra *extra;
	const struct vhost_user_lies *lies;
	/* Put something between the workers and the store; NULL: failed. */
	struct store *(*wrap)(struct store *store);
	/* SIGUSR1 or SIGUSR2 came; what the store holds back is let go next. */
	void (*signal)(int signal);
	/* A file that it writes while it runs, or NULL. */
	const char *(*writes)(void);
	/* The end: nothing runs any more. */
	void (*end)(void);
};

/* main(); @variant is NULL in cswapd. */
int daemon_main(int argc, char **argv, const struct daemon_variant *variant);

#endif
