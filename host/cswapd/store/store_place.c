// SPDX-License-Identifier: GPL-2.0-only
/*
 * store_place.c - what a store's files are called and where they lie, which inode a name leads
 * to, and what has become of that inode since.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/log.h"
#include "store_place.h"

static void name_file(char name[STORE_NAME_BYTES], const char *path)
{
	char folder[STORE_NAME_BYTES], base[STORE_NAME_BYTES];
	char real[PATH_MAX];
	int n = -1;

	snprintf(folder, sizeof(folder), "%s", path);
	snprintf(base, sizeof(base), "%s", path);
	if (realpath(dirname(folder), real))
		n = snprintf(name, STORE_NAME_BYTES, "%s/%s", real[1] ? real : "",
			     basename(base));
	if (n < 0 || n >= STORE_NAME_BYTES)
		snprintf(name, STORE_NAME_BYTES, "%s", path);
}

unsigned int store_place_num_named(const struct store_files *files)
{
	return files->tags_in_memory ? STORE_TAGS_FILE : STORE_NUM_FILES;
}

bool store_place_is_file(const struct store_files *files, unsigned int which)
{
	return which < store_place_num_named(files) && !(which == STORE_DATA_FILE && files->server);
}

bool store_place_name_files(struct store_files *files, const struct store_request *request)
{
	char (*path)[STORE_NAME_BYTES] = files->paths.name;
	unsigned int i;
	int n;

	n = snprintf(path[STORE_DATA_FILE], STORE_NAME_BYTES, "%s", request->data_path);
	if (n < STORE_NAME_BYTES && request->tags_path)
		n = snprintf(path[STORE_TAGS_FILE], STORE_NAME_BYTES, "%s", request->tags_path);
	if (n >= STORE_NAME_BYTES) {
		log_err("%s...: the name is too long", path[STORE_DATA_FILE]);
		return false;
	}
	for (i = 0; i < store_place_num_named(files); i++)
		name_file(files->names.name[i], path[i]);
	if (files->server)
		snprintf(files->names.name[STORE_DATA_FILE], STORE_NAME_BYTES, "%s",
			 path[STORE_DATA_FILE]);
	return true;
}

static bool is_below(const char *name, const char *folder)
{
	size_t n = strlen(folder);

	return !strncmp(name, folder, n) && name[n] == '/';
}

bool store_place_is_none(const char *name)
{
	char folder[STORE_NAME_BYTES];
	struct stat dev, here;
	struct statfs fs;

	if (is_below(name, "/dev") || is_below(name, "/proc") || is_below(name, "/sys"))
		return true;
	snprintf(folder, sizeof(folder), "%s", name);
	if (statfs(dirname(folder), &fs))
		return false;
	if (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC)
		return true;
	/* devtmpfs says that it's a tmpfs. */
	return (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC) &&
	       !stat("/dev", &dev) && !stat(folder, &here) && dev.st_dev == here.st_dev;
}

void store_place_warn_of_memory(int fd, const char *name)
{
	struct statfs fs;

	if (!fstatfs(fd, &fs) && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC))
		log_warning("%s is in the host's memory (tmpfs): what the guest swaps out frees nothing; name a file on a disk",
			    name);
}

void store_place_identify(struct store_identity *identity, unsigned int which,
			  const struct stat *st)
{
	bool is_device = S_ISBLK(st->st_mode);

	identity->device[which] = is_device ? st->st_rdev : st->st_dev;
	identity->inode[which] = is_device ? 0 : st->st_ino;
}

bool store_place_is_same(const struct store_identity *a, const struct store_identity *b,
			 unsigned int which)
{
	return a->device[which] == b->device[which] && a->inode[which] == b->inode[which];
}

/* --- what becomes of them --- */

const char *store_state_name(enum store_state state)
{
	static const char *const names[] = {
		[STORE_WHOLE] = "whole",
		[STORE_MOVED] = "moved",
		[STORE_DELETED] = "deleted",
		[STORE_CUT] = "cut",
	};

	return names[state];
}

enum store_state store_files_state(const struct store_files *files, unsigned int which)
{
	struct store_identity found = { 0 };
	int fd = files->fd[which];
	struct stat st;

	if (!store_place_is_file(files, which))
		return STORE_WHOLE;
	/* Of a device, too, without asking it. */
	if (fstat(fd, &st))
		return STORE_WHOLE;
	if ((uint64_t)lseek(fd, 0, SEEK_END) < store_files_bytes(files, which))
		return STORE_CUT;
	if (!st.st_nlink)
		return STORE_DELETED;
	if (stat(files->paths.name[which], &st))
		return errno == ENOENT ? STORE_MOVED : STORE_WHOLE;
	store_place_identify(&found, which, &st);
	return store_place_is_same(&found, &files->identity, which) ? STORE_WHOLE : STORE_MOVED;
}

bool store_files_is_signed(const struct store_files *files, unsigned int which)
{
	struct signature signature;

	/* Of a server who serves says it. */
	if (!store_place_is_file(files, which))
		return true;
	return signature_read(files->fd[which], &signature) &&
	       !memcmp(signature.id, files->identity.id[which], STORE_ID_BYTES);
}

/*
 * Waits for the write-back of a range behind the end, which is nothing, and says
 * what has failed of the file since this open file, which all processes have in
 * common, was asked last.
 */
int store_files_take_error(const struct store_files *files, unsigned int which)
{
	off64_t end = (off64_t)store_files_bytes(files, which);

	if (!store_place_is_file(files, which) ||
	    !sync_file_range(files->fd[which], end, 1, SYNC_FILE_RANGE_WAIT_BEFORE))
		return 0;
	return errno == EIO || errno == ENOSPC || errno == EDQUOT ? errno : 0;
}
