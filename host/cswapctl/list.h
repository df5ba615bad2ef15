/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * list.h - all guests of this host, a line each.
 */
#ifndef CSWAPCTL_LIST_H
#define CSWAPCTL_LIST_H

#include "options.h"

int list_run(const struct options *options);

#endif
