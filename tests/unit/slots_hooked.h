/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * slots_hooked.h - the driver's slot code as it is, with a hook at every access to a record.
 */
#ifndef SLOTS_HOOKED_H
#define SLOTS_HOOKED_H

#include "cswap_slots.h"

/*
 * Called before every read and every cmpxchg of a record, with the hook itself
 * disarmed meanwhile. What it does happens "at the same time on another CPU".
 */
extern _Thread_local void (*slots_race)(cswap_record_t *record);

/* Times that the driver clamped an index against speculation. */
extern _Thread_local unsigned long slots_clamped;

enum slots_kind { SLOTS_NEVER, SLOTS_FREED, SLOTS_STORED, SLOTS_COPY };

/* A record, decoded. */
struct slots_view {
	enum slots_kind kind;
	bool loading, discarding, held;
	u64 counter;		/* STORED */
	u32 copy;		/* COPY, and FREED where a copy lingers; or CSWAP_NONE */
};

struct slots_view slots_decode(const cswap_record_t *record);

#endif /* SLOTS_HOOKED_H */
