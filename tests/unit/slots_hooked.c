// SPDX-License-Identifier: GPL-2.0-only
/*
 * slots_hooked.c - the driver's slot code as it is, with a hook at every access to a record.
 *
 * The driver reads records by READ_ONCE and changes them by try_cmpxchg and in
 * no other way, so replacing these two macros puts a hook at every place where
 * a concurrent cswap_slot_free() can make a difference. Nothing in the driver
 * knows of it. The macros stay atomic, so that TSan can tell races from them.
 *
 * CSWAP_SLOTS_C is the driver's source, or a copy with a fault put in (mutants).
 */
#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/nospec.h>

#include "slots_hooked.h"

_Thread_local void (*slots_race)(cswap_record_t *record);
_Thread_local unsigned long slots_clamped;

static void race_point(cswap_record_t *record)
{
	void (*race)(cswap_record_t *record) = slots_race;

	if (!race)
		return;
	slots_race = NULL;
	race(record);
	slots_race = race;
}

#undef READ_ONCE
#define READ_ONCE(x) (race_point(&(x)), __atomic_load_n(&(x), __ATOMIC_RELAXED))
#undef try_cmpxchg
#define try_cmpxchg(ptr, old, new) \
	(race_point(ptr), __atomic_compare_exchange_n(ptr, old, new, false, \
						      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))

#undef array_index_nospec
#define array_index_nospec(index, size) (slots_clamped++, (index) < (size) ? (index) : 0)

#ifndef CSWAP_SLOTS_C
#define CSWAP_SLOTS_C "../../guest/cswap_slots.c"
#endif
#include CSWAP_SLOTS_C

struct slots_view slots_decode(const cswap_record_t *record)
{
	static const enum slots_kind kinds[] = {
		[KIND_NEVER] = SLOTS_NEVER, [KIND_FREED] = SLOTS_FREED,
		[KIND_STORED] = SLOTS_STORED, [KIND_COPY] = SLOTS_COPY,
	};
	cswap_record_t r = __atomic_load_n(record, __ATOMIC_RELAXED);

	return (struct slots_view) {
		.kind = kinds[kind_of(r)],
		.loading = r & LOADING,
		.discarding = r & DISCARDING,
		.held = r & HELD,
		.counter = value_of(r),
		.copy = copy_of(r),
	};
}
