// SPDX-License-Identifier: GPL-2.0-only
/*
 * own_memory.c - the daemon's own memory, when the host is short of it.
 *
 * Theory of operation: other processes wait for this daemon to get memory, or to get their pages back, so it must
 * not wait for memory itself.
 *   - The daemon allocates what it needs at its start, so that to serve a page allocates nothing in userspace
 *     (tests/sim/test_allocations.py).
 *   - The host doesn't take away what the daemon has: its program, libraries, stacks, heap, tags and logs are
 *     locked, each page from when it's there (MLOCK_ONFAULT: what is reserved for tags that never come costs
 *     nothing). The guest's memory is the VMM's, and mapped later: MCL_FUTURE would lock that memory. Tags that come
 *     with a guest from another daemon come into the mapping that was locked.
 *   - When the kernel allocates memory for the daemon's I/O, it begins no other I/O to get the memory
 *     (PR_SET_IO_FLUSHER), which might wait for this daemon. This state takes CAP_SYS_RESOURCE, which the unit gives
 *     to io-flusher alone; children inherit the state, and so does the program that io-flusher becomes.
 * Where one of these isn't allowed the daemon goes on, and says so.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "own_memory.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

/* As far as it may: the unit says LimitMEMLOCK=infinity, root needs no unit. */
static void raise_lock_limit(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	if (!setrlimit(RLIMIT_MEMLOCK, &limit) || getrlimit(RLIMIT_MEMLOCK, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &limit);
}

void own_memory_begin(void)
{
	raise_lock_limit();
	/* Root may without a unit; with one it has been done, and this isn't allowed. */
	(void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
}

/* A limit that was reached later would be a stack that can't grow: the daemon's death. So: none, or nothing is locked. */
int own_memory_lock(const struct iovec *others, unsigned int count)
{
	struct rlimit limit;
	unsigned int i;

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return errno;
	if (limit.rlim_cur != RLIM_INFINITY)
		return EPERM;
	if (mlockall(MCL_CURRENT | MCL_ONFAULT))
		return errno;
	for (i = 0; i < count; i++)
		if (others[i].iov_len && munlock(others[i].iov_base, others[i].iov_len))
			return errno;
	return 0;
}
