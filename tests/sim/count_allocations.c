// SPDX-License-Identifier: GPL-2.0-only
/*
 * count_allocations.c - counts what a daemon's serving threads allocate: a library for LD_PRELOAD.
 *
 * Theory of operation: the allocator's functions are replaced by ones that count and go on to glibc's own. A thread
 * serves once it has named itself cswapd-N. The counts are in the file $COUNT_ALLOCATIONS, which is mapped before the daemon
 * gives up opening files, and shared with the processes that it makes: [0] allocations and frees by threads that serve,
 * [1] by all others.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void *__libc_memalign(size_t align, size_t bytes);
extern void __libc_free(void *old);

static uint64_t *counts;
static __thread bool serves;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("COUNT_ALLOCATIONS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map = MAP_FAILED;

	if (fd >= 0)
		map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* Who is to count but can't would count nothing, and that looks good. */
	if (map == MAP_FAILED)
		_exit(99);
	close(fd);
	counts = map;
}

int pthread_setname_np(pthread_t thread, const char *name)
{
	int (*next)(pthread_t, const char *) = dlsym(RTLD_NEXT, "pthread_setname_np");

	if (thread == pthread_self() && !strncmp(name, "cswapd-", 7))
		serves = true;
	return next ? next(thread, name) : -1;
}

static void count(void)
{
	if (counts)
		__atomic_fetch_add(&counts[!serves], 1, __ATOMIC_RELAXED);
}

void *malloc(size_t bytes)
{
	count();
	return __libc_malloc(bytes);
}

void *calloc(size_t number, size_t bytes)
{
	count();
	return __libc_calloc(number, bytes);
}

void *realloc(void *old, size_t bytes)
{
	count();
	return __libc_realloc(old, bytes);
}

void *memalign(size_t align, size_t bytes)
{
	count();
	return __libc_memalign(align, bytes);
}

void *aligned_alloc(size_t align, size_t bytes)
{
	return memalign(align, bytes);
}

int posix_memalign(void **to, size_t align, size_t bytes)
{
	*to = memalign(align, bytes);
	return *to ? 0 : 12;
}

void free(void *old)
{
	count();
	__libc_free(old);
}
