// SPDX-License-Identifier: GPL-2.0-only
/*
 * pin_pages.c - does to a file in memory what a device does that is assigned to a VM: holds its pages.
 *
 * The pages of a memfd are put into pipes as they are (vmsplice(2)), each with a reference, as a device's
 * would have. Then they're discarded from the file, and are free only when the pipes are. It says
 * "held" and "discarded", and waits for a line after each.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIPE_BYTES (1 << 20)

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void say_and_wait(const char *word)
{
	puts(word);
	fflush(stdout);
	must(getchar() != EOF, "no answer");
}

/* One pipe holds 256 pages. */
static void hold(char *from, size_t len)
{
	struct iovec vec = { from, len };
	int ends[2];

	must(!pipe(ends), "pipe");
	must(fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES) >= PIPE_BYTES, "F_SETPIPE_SZ");
	must(vmsplice(ends[1], &vec, 1, 0) == (ssize_t)len, "vmsplice");
}

int main(int argc, char **argv)
{
	size_t size, at;
	char *memory;
	int fd;

	if (argc != 2 || atoi(argv[1]) < 1) {
		fputs("Usage: pin_pages MIB\n", stderr);
		return 2;
	}
	size = (size_t)atoi(argv[1]) << 20;
	fd = memfd_create("guest", MFD_CLOEXEC);
	must(fd >= 0 && !ftruncate(fd, (off_t)size), "memfd");
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(memory != MAP_FAILED, "mmap");
	memset(memory, 1, size);
	for (at = 0; at < size; at += PIPE_BYTES)
		hold(memory + at, PIPE_BYTES);
	say_and_wait("held");
	must(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)size), "punch");
	say_and_wait("discarded");
	return 0;
}
