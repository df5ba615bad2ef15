/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * check.h - whether a configuration fits the machine.
 */
#ifndef CSWAP_BALANCER_CHECK_H
#define CSWAP_BALANCER_CHECK_H

#include "config.h"

/* False: what doesn't fit was said. @path: the configuration's, to name it; NULL: the defaults. */
bool check_config(const struct config *config, const char *path);

#endif
