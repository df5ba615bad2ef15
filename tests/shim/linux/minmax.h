/* SPDX-License-Identifier: GPL-2.0-only */
/* linux/minmax.h - the kernel's min() and friends, for numbers that aren't negative. */
#ifndef SHIM_LINUX_MINMAX_H
#define SHIM_LINUX_MINMAX_H

#include <linux/types.h>

static inline u64 min(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max(u64 a, u64 b)
{
	return a > b ? a : b;
}

static inline u64 clamp(u64 value, u64 low, u64 high)
{
	return min(max(value, low), high);
}

#endif
