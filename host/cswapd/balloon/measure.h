/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * measure.h - how much memory the guest takes, as the host sees it.
 */
#ifndef CSWAPD_MEASURE_H
#define CSWAPD_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/memory.h"

struct measure {
	int cgroup_fd;			/* memory.current; -1: unknown */
	int stat_fd;			/* memory.stat; -1: unknown */
	char cgroup[256];		/* its path, for the operator's eyes */
};

/* Before measure_open(), and after measure_close(). */
#define MEASURE_NONE { .cgroup_fd = -1, .stat_fd = -1 }

/*
 * Find the cgroup of the process at the other end of @socket, or open the one at
 * @path, as seen from the root of the hierarchy, if that isn't NULL.
 */
void measure_open(struct measure *measure, int socket, const char *path);
void measure_close(struct measure *measure);

/* What that cgroup uses. False: unknown. */
bool measure_cgroup(const struct measure *measure, uint64_t *bytes);

/* What of that is files' pages on the kernel's lists, which can be dropped; the guest's memory is not. False: unknown. */
bool measure_cache(const struct measure *measure, uint64_t *bytes);

/*
 * What that cgroup is charged for though it's in no file, no process and none of the kernel's objects:
 * pages that were discarded, and that something still holds, an assigned device most likely.
 * False: unknown.
 */
bool measure_kept(const struct measure *measure, uint64_t *bytes);

/* What the files behind the shared memory occupy. False: unknown. */
bool measure_files(const struct memory *memory, uint64_t *bytes);

#endif
