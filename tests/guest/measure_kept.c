// SPDX-License-Identifier: GPL-2.0-only
/*
 * measure_kept.c - prints what the daemon's own code measures of a cgroup: what it uses, and what of that
 * was discarded and isn't free, in KiB.
 */
#include <inttypes.h>
#include <stdio.h>

#include "balloon/measure.h"

int main(int argc, char **argv)
{
	struct measure measure = MEASURE_NONE;
	uint64_t used, kept;

	if (argc != 2) {
		fputs("Usage: measure_kept CGROUP\n", stderr);
		return 2;
	}
	measure_open(&measure, -1, argv[1]);
	if (!measure_cgroup(&measure, &used) || !measure_kept(&measure, &kept))
		return 1;
	printf("used=%" PRIu64 " kept=%" PRIu64 "\n", used >> 10, kept >> 10);
	measure_close(&measure);
	return 0;
}
