/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fdstore.h - descriptors that systemd keeps for the next daemon.
 */
#ifndef CSWAPD_FDSTORE_H
#define CSWAPD_FDSTORE_H

#include <stdbool.h>

/* Will what we hand over be kept? */
bool fdstore_exists(void);

void fdstore_keep(const char *name, int fd);
void fdstore_drop(const char *name);

/*
 * Called once, before any other user of the descriptors that systemd passes:
 * @found is given those that were kept, with their names, and owns them. Returns
 * the socket that systemd listens on for us, or -1.
 */
int fdstore_take(void (*found)(void *context, const char *name, int fd),
		 void *context);

#endif
