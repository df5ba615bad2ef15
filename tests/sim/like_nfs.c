// SPDX-License-Identifier: GPL-2.0-only
/*
 * like_nfs.c - flock() as the kernel's NFS client has it: a library for LD_PRELOAD.
 *
 * That client asks the server for a lock of the file's bytes, for which the file must be open for reading if the lock is
 * shared, and for writing if it's exclusive (nfs4_proc_lock()).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/syscall.h>
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
