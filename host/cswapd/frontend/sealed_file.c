// SPDX-License-Identifier: GPL-2.0-only
/*
 * sealed_file.c - files that the front end shares, and that no process can cut short.
 *
 * Theory of operation: to touch a page of a mapping that its file doesn't have any more is a SIGBUS. A memfd
 * can be sealed so that its size never changes, and seals stay. With huge pages, one that can't be had is a
 * SIGBUS as well, so the file must be of ordinary pages.
 */
#include <linux/magic.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "sealed_file.h"

const char *sealed_file_check(int fd, uint64_t *bytes)
{
	struct statfs fs;
	struct stat st;
	int seals;

	if (fd < 0)
		return "no descriptor came along";
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALED_FILE_SEALS) != SEALED_FILE_SEALS ||
	    seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return "a file that isn't sealed against another size, or is against writing";
	if (fstatfs(fd, &fs) || fs.f_type != TMPFS_MAGIC)
		return "a file of huge pages, or no memfd";
	if (fstat(fd, &st) || st.st_size < 0)
		return "a file that can't be examined";
	*bytes = (uint64_t)st.st_size;
	return NULL;
}
