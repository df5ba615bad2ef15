/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * store_nbd.h - the engine whose pages are at an NBD server: what others know of it.
 */
#ifndef CSWAPD_STORE_NBD_H
#define CSWAPD_STORE_NBD_H

#include "store.h"

/* "nbd:SOCKET[:EXPORT]": is it one? */
bool store_nbd_is_name(const char *name);

/* Its parts; @socket_path has room for 108 bytes. False: it has no place in a socket's address. */
#define STORE_NBD_PATH_BYTES 108
bool store_nbd_parse(const char *name, char socket_path[STORE_NBD_PATH_BYTES],
		     const char **export_name);

/*
 * How the process that serves ends when it has lost its server, or can't use it: the
 * next one has other connections, and begins again with what is in hand.
 */
enum { STORE_EXIT_LOST = 3, STORE_EXIT_UNFIT = 4 };

#endif
