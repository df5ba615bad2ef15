// SPDX-License-Identifier: GPL-2.0-only
/*
 * away_disk.c - a file system whose server doesn't answer: a library for LD_PRELOAD.
 *
 * Theory of operation: stat() and fstatfs() don't return as long as the first byte of the file $AWAY_DISK isn't 0, as on a
 * hard mount of NFS. The file is mapped before the daemon gives up opening files, and shared with the processes that it
 * makes. In-memory file systems are always there: a guest's memory is in one.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static const volatile char *away;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("AWAY_DISK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = MAP_FAILED;

	if (fd >= 0)
		map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	/* A disk that is never away would keep nothing waiting, and that looks good. */
	if (map == MAP_FAILED)
		_exit(99);
	close(fd);
	away = map;
}

static void wait_for_server(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	while (away && *away)
		nanosleep(&pause, NULL);
}

int stat(const char *path, struct stat *to)
{
	int (*next)(const char *, struct stat *) = dlsym(RTLD_NEXT, "stat");

	/* What isn't kept in the working directory is on another file system. */
	if (path[0] != '/' || strstr(path, "/store"))
		wait_for_server();
	return next(path, to);
}

int fstatfs(int fd, struct statfs *to)
{
	int (*next)(int, struct statfs *) = dlsym(RTLD_NEXT, "fstatfs");
	int error = next(fd, to);

	if (!error && to->f_type != TMPFS_MAGIC && to->f_type != HUGETLBFS_MAGIC)
		wait_for_server();
	return error;
}
