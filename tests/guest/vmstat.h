/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vmstat.h - the kernel's counters of swapping, for programs whose own memory is locked.
 *
 * No stdio: what it would allocate is not locked, could be swapped, and could then raise SIGBUS where
 * nobody expects it.
 */
#ifndef TESTS_GUEST_VMSTAT_H
#define TESTS_GUEST_VMSTAT_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VMSTAT_BYTES	16384

/* All of /proc/vmstat as a string. False: it can't be opened, and the string is empty. */
static inline bool vmstat_read(char text[VMSTAT_BYTES])
{
	int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n;

	while (fd >= 0 && have < VMSTAT_BYTES - 1 &&
	       (n = read(fd, text + have, VMSTAT_BYTES - 1 - have)) > 0)
		have += (size_t)n;
	text[have] = '\0';
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* The number after NAME in text. */
static inline uint64_t vmstat_number(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

#endif
