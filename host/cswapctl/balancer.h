/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * balancer.h - what is asked of cswap-balancer.
 */
#ifndef CSWAPCTL_BALANCER_H
#define CSWAPCTL_BALANCER_H

#include "options.h"

#define BALANCER_SOCKET "/run/cswap-balancer/control"

/* @command: pause, resume, drain or explain; @guest: NULL for all. */
int balancer_run(const struct options *options, const char *command,
		 const char *guest);

#endif
