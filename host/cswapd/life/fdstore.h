/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fdstore.h - what we tell systemd, and the descriptors that it keeps for the next daemon.
 */
#ifndef CSWAPD_FDSTORE_H
#define CSWAPD_FDSTORE_H

#include <poll.h>
#include <stdbool.h>

/* Names at most; the unit's FileDescriptorStoreMax=. */
#define FDSTORE_MAX 1024

/*
 * Are both descriptors of one open file? systemd keeps that once, by the first name: what is handed over under another
 * name is not kept.
 */
bool fdstore_is_same(int a, int b);

/* Will what we hand over be kept? */
bool fdstore_exists(void);

/*
 * Have it kept, or kept no longer, as soon as systemd takes that; nothing here
 * waits. @fd stays open until something else is said of @name.
 */
void fdstore_keep(const char *name, int fd);
void fdstore_drop(const char *name);

/* Tell systemd how we are, by a constant as "READY=1", before all that. */
void fdstore_tell(const char *state);

/* Has systemd not taken all of it yet? */
bool fdstore_is_busy(void);
/* What to poll while systemd hasn't taken all that; then fdstore_run(). */
struct pollfd fdstore_poll(void);
void fdstore_run(void);
/* At the end: wait until it has, as long as it listens. */
void fdstore_finish(void);
/* In another process: we have no business with systemd. */
void fdstore_close(void);

/*
 * Called once, before any other user of the descriptors that systemd passes:
 * @found is given those that were kept, with their names, and owns them. Returns
 * the socket that systemd listens on for us, or -1.
 */
int fdstore_take(void (*found)(void *context, const char *name, int fd),
		 void *context);

#endif
