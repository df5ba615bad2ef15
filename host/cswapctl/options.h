/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * options.h - what the command line said, and how the program ends.
 */
#ifndef CSWAPCTL_OPTIONS_H
#define CSWAPCTL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum exit_status {
	EXIT_REACHED = 0,		/* or simply: done */
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_PARTIAL = 3,		/* the guest stopped short of the target */
	EXIT_TIMEOUT = 4,
};

struct options {
	const char *socket;
	const char *guest;
	const char *directory;		/* of the guests' folders */
	const char *balancer;		/* its socket */
	const char *configuration;	/* the folder of the daemons' */
	const char *output;		/* NULL: stdout */
	bool json;
	bool wait;
	uint64_t timeout_ms;		/* 0: none */
	uint64_t interval_ms;		/* 0: the daemon's */
	char **command;			/* behind --; NULL: none */
};

#endif
