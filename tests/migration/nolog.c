// SPDX-License-Identifier: GPL-2.0-only
/*
 * nolog.c - a daemon that doesn't log what it writes to memory: to be preloaded. The control of the tests.
 *
 * QEMU's log is a memfd that can't change its size, with a bit for each page, and so much smaller than guest memory,
 * which is sealed as well. A daemon that has it in a private mapping notes what it writes for nobody, and does all else
 * as ever. (The sandbox hides its name.)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOG_MAX_BYTES	(1u << 20)	/* of 32 GiB */

typedef void *mmap_fn(void *, size_t, int, int, int, off_t);

static int is_log(int fd, size_t bytes)
{
	return bytes <= LOG_MAX_BYTES && fcntl(fd, F_GET_SEALS) == (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
}

void *mmap(void *at, size_t bytes, int rights, int flags, int fd, off_t offset)
{
	mmap_fn *real = (mmap_fn *)dlsym(RTLD_NEXT, "mmap");

	if (fd >= 0 && is_log(fd, bytes)) {
		flags = (flags & ~MAP_SHARED) | MAP_PRIVATE;
		dprintf(STDERR_FILENO, "nolog: the log goes nowhere\n");
	}
	return real(at, bytes, rights, flags, fd, offset);
}

void *mmap64(void *at, size_t bytes, int rights, int flags, int fd, off_t offset)
{
	return mmap(at, bytes, rights, flags, fd, offset);
}
