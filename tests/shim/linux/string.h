/* SPDX-License-Identifier: GPL-2.0-only */
/* linux/string.h - memcpy and friends; memzero_explicit by libc's explicit_bzero. */
#ifndef SHIM_LINUX_STRING_H
#define SHIM_LINUX_STRING_H

#include <string.h>

#define memzero_explicit(p, n) explicit_bzero(p, n)

#endif
