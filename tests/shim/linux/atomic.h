/* SPDX-License-Identifier: GPL-2.0-only */
/* linux/atomic.h - the kernel's cmpxchg, by the compiler's builtins. */
#ifndef SHIM_LINUX_ATOMIC_H
#define SHIM_LINUX_ATOMIC_H

#define try_cmpxchg(ptr, old, new) \
	__atomic_compare_exchange_n(ptr, old, new, false, \
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

#endif
