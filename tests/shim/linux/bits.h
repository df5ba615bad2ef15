/* SPDX-License-Identifier: GPL-2.0-only */
/* linux/bits.h - one bit of a word. */
#ifndef SHIM_LINUX_BITS_H
#define SHIM_LINUX_BITS_H

#define BIT(n)		(1UL << (n))
#define BIT_ULL(n)	(1ULL << (n))

#endif
