// SPDX-License-Identifier: GPL-2.0-only
/*
 * io_flusher.c - runs a program on whose I/O other processes wait to get memory.
 *
 *	io-flusher PROGRAM [ARGUMENT...]
 *
 * Theory of operation: if a process is marked as an I/O flusher (PR_SET_IO_FLUSHER), the kernel gives it memory
 * without beginning other I/O, which might wait for this process. To set the mark takes CAP_SYS_RESOURCE, and a
 * program that serves strangers shall not have that capability; but the mark stays when another program is executed.
 * So io-flusher has the capability, from its unit (AmbientCapabilities=), and PROGRAM hasn't: a process that isn't
 * root gets capabilities by exec only from the ambient set, which io-flusher empties first. Where the mark isn't
 * allowed PROGRAM runs without it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

int main(int argc, char **argv)
{
	if (argc < 2 || argv[1][0] == '-') {
		fprintf(stderr, "Usage: io-flusher PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0))
		fprintf(stderr, "io-flusher: %s; where the host is short of memory, I/O may wait for other I/O: the unit needs AmbientCapabilities=CAP_SYS_RESOURCE\n",
			strerror(errno));
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)) {
		fprintf(stderr, "io-flusher: capabilities can't be given up: %s\n", strerror(errno));
		return 1;
	}
	execvp(argv[1], argv + 1);
	fprintf(stderr, "io-flusher: %s: %s\n", argv[1], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}
