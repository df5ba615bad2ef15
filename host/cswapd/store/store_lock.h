/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * store_lock.h - which process has a store's file. For store_files.c; what other files call is in store_files.h.
 */
#ifndef CSWAPD_STORE_LOCK_H
#define CSWAPD_STORE_LOCK_H

#include "store_files.h"

/* Waits for who has it, for some seconds. False: logged. */
bool store_lock_file(int fd, const char *name);
/* The same for an open file that may be replaced by one of the same inode that is open for writing. */
bool store_lock_found(int *fd, const char *name);
/*
 * By its name, to be held, not locked. The device of a process that died may be held by I/O of
 * its still, which is waited for. -1: logged.
 */
int store_lock_open(const char *name, bool is_device);
/* A new open file of the inode that @fd is of, not locked. -1: logged, but where O_DIRECT can't be had. */
int store_lock_reopen(int fd, const char *name, int flags);

#endif /* CSWAPD_STORE_LOCK_H */
