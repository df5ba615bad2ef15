// SPDX-License-Identifier: GPL-2.0-only
/*
 * nolog.c - a daemon that doesn't log what it writes to memory: to be preloaded. The control of the tests.
 *
 * The log is a file that can't change its size; a daemon that has such a file in a private mapping writes to nobody.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>

typedef void *mmap_fn(void *, size_t, int, int, int, off_t);

void *mmap(void *at, size_t bytes, int rights, int flags, int fd, off_t offset)
{
	mmap_fn *real = (mmap_fn *)dlsym(RTLD_NEXT, "mmap");
	int seals = fd >= 0 ? fcntl(fd, F_GET_SEALS) : -1;

	if (seals >= 0 && seals & F_SEAL_SHRINK)
		flags = (flags & ~MAP_SHARED) | MAP_PRIVATE;
	return real(at, bytes, rights, flags, fd, offset);
}

void *mmap64(void *at, size_t bytes, int rights, int flags, int fd, off_t offset)
{
	return mmap(at, bytes, rights, flags, fd, offset);
}
