/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * listener.h - the socket that a front end connects to.
 */
#ifndef CSWAPD_LISTENER_H
#define CSWAPD_LISTENER_H

#include <stdbool.h>

/*
 * Listen at @path. A socket file that no process listens at is replaced; one that
 * is in use, or another kind of file, is not. @backlog connections may wait.
 * Returns a descriptor, or -1 (logged).
 */
int listener_open(const char *path, int backlog);

/* Is @fd a listening socket? -1 (logged) if it is no socket. */
int listener_is_listening(int fd);

#endif
