// SPDX-License-Identifier: GPL-2.0-only
/*
 * found.c - files that begin with a store's signature, and which process has them open.
 *
 * Theory of operation: a folder is walked through symbolic links, because systemd's folder of
 * the guests' folders is one of links. In a folder only regular files are opened, because a
 * pipe would wait and a device might do something; a block device is looked at if it's named.
 * Nothing is written, and the only trace is a shared lock for a moment: it's refused while a
 * daemon that serves from the file has its lock, on another host as well.
 *
 * A store between two processes of its daemon has no lock, but the daemon holds the file open;
 * systemd holds the file open while the daemon is being restarted. So all processes' open files
 * are looked through. statx() is told not to ask servers of network file systems, because one of
 * them may hang.
 */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "found.h"

static void complain(struct found_list *found, const char *path, int error)
{
	fprintf(stderr, "cswapctl: can't look at %s: %s\n", path, strerror(error));
	found->incomplete = true;
}

/* --- one file --- */

static bool is_listed(const struct found_list *found, const struct found *one)
{
	size_t i;

	for (i = 0; i < found->count; i++)
		if (found->list[i].device == one->device &&
		    found->list[i].inode == one->inode)
			return true;
	return false;
}

static void identify(struct found *one, const struct stat *st)
{
	one->is_device = S_ISBLK(st->st_mode);
	one->device = one->is_device ? st->st_rdev : st->st_dev;
	one->inode = one->is_device ? 0 : st->st_ino;
}

static void measure(struct found *one, const struct stat *st)
{
	uint64_t signed_s = le64toh(one->signature.used_s);

	one->used_s = signed_s;
	if (one->is_device)
		return;
	one->occupied_bytes = (uint64_t)st->st_blocks * 512;
	if (st->st_mtime > 0 && (uint64_t)st->st_mtime > signed_s)
		one->used_s = (uint64_t)st->st_mtime;
}

/* Append it. False: no memory. */
static bool append(struct found_list *found, const struct found *one, const char *path)
{
	struct found *list = realloc(found->list, (found->count + 1) * sizeof(*list));

	if (!list)
		return false;
	found->list = list;
	list[found->count] = *one;
	list[found->count].path = strdup(path);
	return list[found->count++].path;
}

/* False: no memory. What is no store is passed by in silence. */
static bool look_at(struct found_list *found, const char *path)
{
	/* Whatever takes the file's place meanwhile isn't waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct found one = { 0 };
	struct stat st;
	bool done = true;

	if (fd < 0 || fstat(fd, &st)) {
		complain(found, path, errno);
	} else if ((S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) &&
		   signature_read(fd, &one.signature)) {
		identify(&one, &st);
		measure(&one, &st);
		one.is_locked = flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
		done = is_listed(found, &one) || append(found, &one, path);
	}
	if (fd >= 0)
		close(fd);
	return done;
}

/* --- folders --- */

/* False: no memory. */
static bool look_at_entry(struct found_list *found, const FTSENT *entry)
{
	switch (entry->fts_info) {
	case FTS_F:
		return look_at(found, entry->fts_accpath);
	case FTS_DEFAULT:
		/* Named, not come across. */
		if (!entry->fts_level && S_ISBLK(entry->fts_statp->st_mode))
			return look_at(found, entry->fts_accpath);
		return true;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		complain(found, entry->fts_path, entry->fts_errno);
		return true;
	default:
		return true;
	}
}

bool found_add(struct found_list *found, const char *path)
{
	char *copy = strdup(path);
	char *paths[] = { copy, NULL };
	FTS *tree = copy ? fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, NULL) : NULL;
	bool done = tree;
	FTSENT *entry;

	while (done && (entry = fts_read(tree)))
		done = look_at_entry(found, entry);
	if (tree)
		fts_close(tree);
	free(copy);
	return done;
}

/* --- which process has them --- */

static void mark(struct found_list *found, const struct statx *stx)
{
	struct found *one, open = { 0 };
	bool is_device = S_ISBLK(stx->stx_mode);

	open.device = is_device ? makedev(stx->stx_rdev_major, stx->stx_rdev_minor) :
				  makedev(stx->stx_dev_major, stx->stx_dev_minor);
	open.inode = is_device ? 0 : stx->stx_ino;
	for (one = found->list; one < found->list + found->count; one++)
		if (one->device == open.device && one->inode == open.inode)
			one->is_held = true;
}

static void look_at_process(struct found_list *found, const char *process)
{
	struct dirent *entry;
	struct statx stx;
	char path[300];
	DIR *files;

	snprintf(path, sizeof(path), "/proc/%s/fd", process);
	files = opendir(path);
	/* The file is gone, or another user's. */
	if (!files)
		return;
	while ((entry = readdir(files)))
		if (*entry->d_name != '.' &&
		    !statx(dirfd(files), entry->d_name, AT_STATX_DONT_SYNC,
			   STATX_TYPE | STATX_INO, &stx) &&
		    (S_ISREG(stx.stx_mode) || S_ISBLK(stx.stx_mode)))
			mark(found, &stx);
	closedir(files);
}

void found_look_for_holders(struct found_list *found)
{
	struct dirent *entry;
	DIR *processes = opendir("/proc");

	if (!processes) {
		complain(found, "/proc", errno);
		return;
	}
	while ((entry = readdir(processes)))
		if (*entry->d_name >= '0' && *entry->d_name <= '9')
			look_at_process(found, entry->d_name);
	closedir(processes);
}

void found_free(struct found_list *found)
{
	size_t i;

	for (i = 0; i < found->count; i++)
		free(found->list[i].path);
	free(found->list);
	*found = (struct found_list) { 0 };
}
