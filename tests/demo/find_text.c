// SPDX-License-Identifier: GPL-2.0-only
/*
 * find_text.c - how often a text is in a sparse file: the search of eavesdrop.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eavesdrop.h"

static void fail(const char *path)
{
	fprintf(stderr, "find-text: %s: %s\n", path, strerror(errno));
	exit(2);
}

static void *map_file(int fd, size_t *len)
{
	struct stat st;
	void *map;

	if (fd < 0 || fstat(fd, &st))
		return NULL;
	*len = (size_t)st.st_size;
	if (!*len) {
		errno = ENODATA;
		return NULL;
	}
	map = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0);
	return map == MAP_FAILED ? NULL : map;
}

int main(int argc, char **argv)
{
	uint64_t bytes = 0, found = 0;
	off_t begin, end = 0;
	const char *map;
	size_t len;
	int fd;

	if (argc != 3) {
		fputs("usage: find-text TEXT FILE\n"
		      "Prints how often TEXT is in FILE, and how many bytes that aren't holes it\n"
		      "searched. Exit status: 0, or 2 if it could not.\n", stderr);
		return 2;
	}
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	map = map_file(fd, &len);
	if (!map)
		fail(argv[2]);
	while ((begin = lseek(fd, end, SEEK_DATA)) >= 0) {
		end = lseek(fd, begin, SEEK_HOLE);
		if (end < 0)
			fail(argv[2]);
		bytes += (uint64_t)(end - begin);
		found += eavesdrop_count(map + begin, (size_t)(end - begin),
					 argv[1]);
	}
	if (errno != ENXIO)
		fail(argv[2]);
	printf("%" PRIu64 " %" PRIu64 "\n", found, bytes);
	return 0;
}
