/* SPDX-License-Identifier: GPL-2.0-only */
/* linux/nospec.h - an index that was checked, made harmless for a CPU that runs ahead of the check. */
#ifndef SHIM_LINUX_NOSPEC_H
#define SHIM_LINUX_NOSPEC_H

#define array_index_nospec(index, size) ((index) < (size) ? (index) : 0)

#endif
