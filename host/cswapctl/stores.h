/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stores.h - the stores that lie on this host, and which of them no guest needs.
 */
#ifndef CSWAPCTL_STORES_H
#define CSWAPCTL_STORES_H

#include "options.h"

/* Where the unit has its guests' folders, and their configurations. */
#define STORES_DIRECTORY "/var/lib/cswapd"
#define STORES_CONFIGURATION "/etc/cswapd"

/* Look in @paths, or, if there are none, where the unit and the configurations have stores. */
int stores_run(const struct options *options, char *const *paths);

#endif
