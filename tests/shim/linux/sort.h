/* SPDX-License-Identifier: GPL-2.0-only */
/* linux/sort.h - the kernel's sort(), by libc's qsort(). */
#ifndef SHIM_LINUX_SORT_H
#define SHIM_LINUX_SORT_H

#include <stdlib.h>

#define sort(base, num, size, cmp, swap) qsort(base, num, size, cmp)

#endif
