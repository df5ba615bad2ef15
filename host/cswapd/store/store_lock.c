// SPDX-License-Identifier: GPL-2.0-only
/*
 * store_lock.c - which process has a store's file: open files of what is held, and the lock, waited
 * for and given up.
 *
 * Theory of operation: the process that serves has the lock. The lock belongs to an open file and
 * lives as long as that open file has I/O under way, so a successor that waits for the lock waits
 * for the end of this I/O (I6).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "store_lock.h"

#define LOCK_WAIT_MS 5000
#define LOCK_POLL_MS 20

/* False: it was for too long. */
static bool wait_for_user(const char *name, unsigned int *tries)
{
	const struct timespec pause = { .tv_nsec = LOCK_POLL_MS * 1000000L };

	if (*tries == LOCK_WAIT_MS / LOCK_POLL_MS) {
		log_err("%s is in use by another process", name);
		return false;
	}
	if (!(*tries)++)
		log_notice("%s is in use; waiting for its user to end", name);
	nanosleep(&pause, NULL);
	return true;
}

/*
 * No other process may have the lock: two daemons in one file would destroy each other's pages. A
 * daemon that was killed keeps the lock until the kernel has ended its I/O, which is what a
 * successor has to wait for anyway.
 */
bool store_lock_file(int fd, const char *name)
{
	unsigned int tries = 0;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK) {
			log_err("can't lock %s: %s", name, strerror(errno));
			return false;
		}
		if (!wait_for_user(name, &tries))
			return false;
	}
	return true;
}

int store_lock_reopen(int fd, const char *name, int flags)
{
	char path[32];
	int new;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	new = open(path, flags | O_CLOEXEC);
	/* The one thing that can be done without. */
	if (new < 0 && !(errno == EINVAL && flags & O_DIRECT))
		log_err("can't open %s again: %s", name, strerror(errno));
	return new;
}

/*
 * NFS makes a lock of the server's of it, which only an open file that may be written to can have
 * (EBADF). It's not written to here.
 */
bool store_lock_found(int *fd, const char *name)
{
	int writable;

	if (flock(*fd, LOCK_EX | LOCK_NB) && errno == EBADF) {
		writable = store_lock_reopen(*fd, name, O_RDWR);
		if (writable < 0)
			return false;
		close(*fd);
		*fd = writable;
	}
	return store_lock_file(*fd, name);
}

int store_lock_open(const char *name, bool is_device)
{
	int flags = O_RDONLY | O_CLOEXEC | (is_device ? O_EXCL : 0);
	unsigned int tries = 0;
	int fd;

	while ((fd = open(name, flags)) < 0 && is_device && errno == EBUSY)
		if (!wait_for_user(name, &tries))
			return -1;
	if (fd < 0)
		log_err("can't open %s: %s", name, strerror(errno));
	return fd;
}

int store_files_reopen(const struct store_files *files, unsigned int which, int flags)
{
	const char *name = files->paths.name[which];
	int fd = store_lock_reopen(files->fd[which], name, O_RDWR | flags);

	if (fd >= 0 && !store_lock_file(fd, name)) {
		close(fd);
		errno = EBUSY;
		return -1;
	}
	return fd;
}

int store_files_reopen_idle(const struct store_files *files, unsigned int which, int flags)
{
	return store_lock_reopen(files->fd[which], files->paths.name[which], O_RDWR | flags);
}

/* Another host sees what this one's page cache has only when it has been written. */
static bool is_remote(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return true;
	switch (fs.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case OVERLAYFS_SUPER_MAGIC:
		return false;
	default:
		return true;
	}
}

bool store_files_yield(int fd)
{
	return (!is_remote(fd) || !fdatasync(fd)) && !flock(fd, LOCK_UN);
}
