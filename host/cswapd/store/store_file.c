// SPDX-License-Identifier: GPL-2.0-only
/*
 * store_file.c - the engine whose pages lie in a regular file.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/log.h"
#include "store_files.h"
#include "store_uring.h"

/* Does the file take O_DIRECT in pages? Some say yes at open and no at read. */
static bool direct_works(int fd)
{
	void *page = NULL;
	ssize_t n;

	if (posix_memalign(&page, STORE_SLOT_SIZE, STORE_SLOT_SIZE))
		return false;
	n = pread(fd, page, STORE_SLOT_SIZE, 0);
	free(page);
	return n >= 0 || errno != EINVAL;
}

typedef int reopen_fn(const struct store_files *files, unsigned int which, int flags);

static int open_data(const struct store_files *files, reopen_fn *reopen)
{
	int fd = reopen(files, STORE_DATA_FILE, O_DIRECT);

	if (fd >= 0 && direct_works(fd))
		return fd;
	if (fd < 0 && errno != EINVAL)
		return fd;
	if (fd >= 0)
		close(fd);
	log_warning("%s: no O_DIRECT on this file system; writing through the page cache, where a failed write-back loses stored pages",
		    files->paths.name[STORE_DATA_FILE]);
	return reopen(files, STORE_DATA_FILE, 0);
}

static bool file_activate(struct store *store)
{
	struct store_uring *uring = (struct store_uring *)store;

	uring->fd = open_data(uring->files, store_files_reopen);
	return uring->fd >= 0;
}

static bool file_idle(struct store *store)
{
	struct store_uring *uring = (struct store_uring *)store;

	uring->fd = open_data(uring->files, store_files_reopen_idle);
	return uring->fd >= 0;
}

static const struct store_move_ops file_move_ops = {
	.idle = file_idle,
	.take = store_uring_take,
	.yield = store_uring_yield,
};

/* NFS says there how large its requests are, up to 1 MiB; what the server gives back at once is unknown. */
static uint32_t trim_bytes(const struct stat *st, const struct statfs *fs)
{
	return fs->f_type == NFS_SUPER_MAGIC ? STORE_SLOT_SIZE : (uint32_t)st->st_blksize;
}

static struct store *file_open(const struct store_files *files, uint64_t slots)
{
	struct store *store = store_uring_open(files, slots, &store_file_ops);
	int fd = files->fd[STORE_DATA_FILE];
	struct statfs fs = { 0 };
	struct stat st;

	if (!store)
		return NULL;
	store->facts.medium = !fstatfs(fd, &fs) && fs.f_type == TMPFS_MAGIC ?
				      VIRTIO_CSWAP_MEDIUM_MEMORY : store_uring_medium(fd);
	if (!fstat(fd, &st))
		store->facts.trim_bytes = trim_bytes(&st, &fs);
	return store;
}

const struct store_ops store_file_ops = {
	.name = "file",
	.open = file_open,
	.activate = file_activate,
	.deactivate = store_uring_deactivate,
	.lane_open = store_uring_lane_open,
	.read = store_uring_read,
	.write = store_uring_write,
	.trim = store_uring_trim,
	.complete = store_uring_complete,
	.hurry = store_uring_hurry,
	.lane_close = store_uring_lane_close,
	.close = store_uring_close,
	.move = &file_move_ops,
};
