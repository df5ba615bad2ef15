/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * top.h - all guests of this host, live.
 */
#ifndef CSWAPCTL_TOP_H
#define CSWAPCTL_TOP_H

#include "options.h"

int top_run(const struct options *options);

#endif
