// SPDX-License-Identifier: GPL-2.0-only
/*
 * like_nfs.c - a local file as the kernel's NFS client has one: a library for LD_PRELOAD.
 *
 * That client asks the server for a lock of the file's bytes, for which the file must be open for reading if the lock is
 * shared, and for writing if it's exclusive (nfs4_proc_lock()). What it says of blocks are the sizes of its requests.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

int flock(int fd, int operation)
{
	int mode = fcntl(fd, F_GETFL) & O_ACCMODE;

	if ((operation & LOCK_EX && mode == O_RDONLY) || (operation & LOCK_SH && mode == O_WRONLY)) {
		errno = EBADF;
		return -1;
	}
	return (int)syscall(SYS_flock, fd, operation);
}

int fstat(int fd, struct stat *st)
{
	int code = (int)syscall(SYS_fstat, fd, st);

	if (!code && S_ISREG(st->st_mode))
		st->st_blksize = 1 << 20;
	return code;
}

int fstatfs(int fd, struct statfs *fs)
{
	int code = (int)syscall(SYS_fstatfs, fd, fs);

	if (!code)
		fs->f_type = NFS_SUPER_MAGIC;
	return code;
}
