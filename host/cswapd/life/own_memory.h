/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * own_memory.h - the daemon's own memory, when the host is short of it.
 */
#ifndef CSWAPD_OWN_MEMORY_H
#define CSWAPD_OWN_MEMORY_H

#include <sys/uio.h>

/* Once, before anything else: for this process and those that it makes. */
void own_memory_begin(void);

/*
 * What is mapped now stays in memory once it's there, but for @others: a guest's pages, and what is given back in
 * between (MADV_REMOVE refuses locked memory). In each process, when all of its own is mapped and nothing of a
 * guest's memory; before it's sealed. 0 or an error.
 */
int own_memory_lock(const struct iovec *others, unsigned int count);

#endif
