// SPDX-License-Identifier: GPL-2.0-only
/*
 * slow_disk.c - a plugin for nbdkit: a disk that now and then is late with a write.
 *
 * Every fourth write lands as late as lag= says, in milliseconds, and is answered then. Others,
 * and what another connection writes there meanwhile, land at once: as with a disk that has
 * a queue of its own. The disk is a file, file=.
 */
#define NBDKIT_API_VERSION 2
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#include <nbdkit-plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EVERY 4

static const char *file_name;
static int lag_ms = 150;
static int disk = -1;
static unsigned int writes;

static int slow_config(const char *key, const char *value)
{
	if (!strcmp(key, "lag"))
		return nbdkit_parse_int("lag", value, &lag_ms);
	if (strcmp(key, "file")) {
		nbdkit_error("no such parameter: %s", key);
		return -1;
	}
	file_name = value;
	return 0;
}

static int slow_get_ready(void)
{
	disk = file_name ? open(file_name, O_RDWR | O_CLOEXEC) : -1;
	if (disk < 0)
		nbdkit_error("can't open file=%s", file_name ? file_name : "");
	return disk < 0 ? -1 : 0;
}

static void *slow_open(int read_only)
{
	(void)read_only;
	return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t slow_get_size(void *handle)
{
	struct stat st;

	(void)handle;
	return fstat(disk, &st) ? -1 : st.st_size;
}

static int slow_can_multi_conn(void *handle)
{
	(void)handle;
	return 1;
}

static int slow_pread(void *handle, void *to, uint32_t count, uint64_t offset, uint32_t flags)
{
	(void)handle;
	(void)flags;
	return pread(disk, to, count, (off_t)offset) == (ssize_t)count ? 0 : -1;
}

static int slow_pwrite(void *handle, const void *from, uint32_t count, uint64_t offset,
		       uint32_t flags)
{
	const struct timespec lag = { lag_ms / 1000, lag_ms % 1000 * 1000000L };

	(void)handle;
	(void)flags;
	if (__atomic_fetch_add(&writes, 1, __ATOMIC_RELAXED) % EVERY == EVERY - 1)
		nanosleep(&lag, NULL);
	return pwrite(disk, from, count, (off_t)offset) == (ssize_t)count ? 0 : -1;
}

static int slow_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	(void)handle;
	(void)flags;
	return fallocate(disk, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, count);
}

static struct nbdkit_plugin plugin = {
	.name = "slow-disk",
	.config = slow_config,
	.get_ready = slow_get_ready,
	.open = slow_open,
	.get_size = slow_get_size,
	.can_multi_conn = slow_can_multi_conn,
	.pread = slow_pread,
	.pwrite = slow_pwrite,
	.trim = slow_trim,
	.errno_is_preserved = 1,
};

NBDKIT_REGISTER_PLUGIN(plugin)
