/* SPDX-License-Identifier: GPL-2.0-only */
/* clock.h - the clock by which deadlines are set and compared. */
#ifndef CSWAP_COMMON_CLOCK_H
#define CSWAP_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds of the monotonic clock, which is the same in all processes of a host. */
static inline uint64_t clock_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif
