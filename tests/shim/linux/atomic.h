/* SPDX-License-Identifier: GPL-2.0-only */
/* linux/atomic.h - the kernel's atomics that guest code uses, by the compiler's builtins. */
#ifndef SHIM_LINUX_ATOMIC_H
#define SHIM_LINUX_ATOMIC_H

#define try_cmpxchg(ptr, old, new) \
	__atomic_compare_exchange_n(ptr, old, new, false, \
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

typedef struct {
	int value;
} atomic_t;

typedef struct {
	long long value;
} atomic64_t;

/* What the kernel's order: reads, sets and operations without a value nothing, the others all. */
#define atomic_read(a)		__atomic_load_n(&(a)->value, __ATOMIC_RELAXED)
#define atomic_set(a, v)	__atomic_store_n(&(a)->value, v, __ATOMIC_RELAXED)
#define atomic_inc(a)		((void)__atomic_fetch_add(&(a)->value, 1, __ATOMIC_RELAXED))
#define atomic_sub(v, a)	((void)__atomic_fetch_sub(&(a)->value, v, __ATOMIC_RELAXED))
#define atomic_xchg(a, v)	__atomic_exchange_n(&(a)->value, v, __ATOMIC_SEQ_CST)
#define atomic64_read(a)	__atomic_load_n(&(a)->value, __ATOMIC_RELAXED)
#define atomic64_set(a, v)	__atomic_store_n(&(a)->value, v, __ATOMIC_RELAXED)
#define atomic64_inc_return(a)	__atomic_add_fetch(&(a)->value, 1, __ATOMIC_SEQ_CST)
#define atomic64_add_return(v, a) __atomic_add_fetch(&(a)->value, v, __ATOMIC_SEQ_CST)

#endif
