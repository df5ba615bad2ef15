// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_epochs.c - the counter of stores, and the keys that its ranges stand for.
 *
 * Theory of operation
 *
 * Each key belongs to a range of the counter, an epoch, so that the counter in a slot's record
 * names the key too. The counter is never set back. A new key is safe without a lock on the data
 * path, because the steps have this order:
 *
 *	the new epoch is published; it begins far (half of EPOCH_GAP) ahead of the counter;
 *	then the counter is moved (by EPOCH_GAP) beyond the beginning of the epoch.
 *
 * A store takes a value of the counter first and finds the key by the value, so it gets the old key
 * for a value before the jump and the new key for one after it. The gap is larger than the number
 * of values that can be handed out between the two steps.
 *
 * A notice that the guest was cloned makes the counter stale: a store gets no value until a key is
 * made, and the making must have begun after the notice. Notices are counted, not flagged: a key
 * doesn't serve a notice that came while the key was made.
 */
#include <linux/compiler.h>
#include <linux/errno.h>

#include "cswap_epochs.h"

/* --- the keys' ranges --- */

unsigned int cswap_epoch_of(const struct cswap_epochs *epochs, u64 counter)
{
	unsigned int i = epochs->nr;

	while (--i && epochs->epoch[i].first > counter)
		;
	return i;
}

void cswap_epochs_mark(const struct cswap_epochs *epochs, unsigned long *used,
		       u64 counter)
{
	*used |= BIT(cswap_epoch_of(epochs, counter));
}

int cswap_epochs_renew(const struct cswap_epochs *old, unsigned long used, u64 first,
		       void *key, struct cswap_epochs *new,
		       struct cswap_epochs *dropped)
{
	unsigned int i;

	/* stores still use the newest key */
	used |= BIT(old->nr - 1);
	new->nr = 0;
	dropped->nr = 0;
	for (i = 0; i < old->nr; i++) {
		struct cswap_epochs *to = used & BIT(i) ? new : dropped;

		to->epoch[to->nr++] = old->epoch[i];
	}
	if (new->nr == CSWAP_MAX_EPOCHS)
		return -ENOSPC;
	new->epoch[new->nr++] = (struct cswap_epoch) { first, key };
	return 0;
}

/* --- the counter --- */

void cswap_counter_init(struct cswap_counter *counter, u64 rekey_pages)
{
	atomic64_set(&counter->value, 0);
	counter->renew_at = rekey_pages;
	counter->rekey_pages = rekey_pages;
	atomic_set(&counter->stale, 0);
	atomic_set(&counter->wanted, 0);
}

bool cswap_counter_ask(struct cswap_counter *counter)
{
	return !atomic_xchg(&counter->wanted, 1);
}

bool cswap_counter_asked(struct cswap_counter *counter)
{
	return atomic_read(&counter->wanted);
}

bool cswap_counter_stale(struct cswap_counter *counter)
{
	return atomic_read(&counter->stale);
}

s64 cswap_counter_take(struct cswap_counter *counter, bool *ask)
{
	u64 value, renew_at;

	*ask = false;
	if (cswap_counter_stale(counter)) {
		*ask = cswap_counter_ask(counter);
		return -EAGAIN;
	}
	value = atomic64_inc_return(&counter->value);
	renew_at = READ_ONCE(counter->renew_at);
	if (value < renew_at)
		return value;
	/* this store needn't wait: the old key serves until the new one is there */
	*ask = cswap_counter_ask(counter);
	if (value >= CSWAP_MAX_COUNTER || value - renew_at > CSWAP_MAX_REKEY)
		return -EKEYEXPIRED;
	return value;
}

void cswap_counter_notice(struct cswap_counter *counter)
{
	atomic_inc(&counter->stale);
}

int cswap_counter_notices(struct cswap_counter *counter)
{
	return atomic_read(&counter->stale);
}

int cswap_counter_room(struct cswap_counter *counter)
{
	u64 last = CSWAP_MAX_COUNTER - 2 * CSWAP_EPOCH_GAP;

	return (u64)atomic64_read(&counter->value) > last ? -EKEYEXPIRED : 0;
}

u64 cswap_counter_next_first(struct cswap_counter *counter)
{
	return atomic64_read(&counter->value) + CSWAP_EPOCH_GAP / 2;
}

void cswap_counter_jump(struct cswap_counter *counter, u64 first)
{
	/* the counter jumps at least EPOCH_GAP / 2 beyond @first */
	u64 renew_at = first + CSWAP_EPOCH_GAP / 2 + counter->rekey_pages;

	/* cswap_counter_take() compares a value with MAX_COUNTER only from here on */
	if (renew_at > CSWAP_MAX_COUNTER)
		renew_at = CSWAP_MAX_COUNTER;
	WRITE_ONCE(counter->renew_at, renew_at);
	/*
	 * An atomic operation that returns a value is ordered: a store that sees the counter moved
	 * must see the epoch that was published before.
	 */
	atomic64_add_return(CSWAP_EPOCH_GAP, &counter->value);
}

void cswap_counter_served(struct cswap_counter *counter, int notices)
{
	atomic_sub(notices, &counter->stale);
	atomic_set(&counter->wanted, 0);
}

unsigned long cswap_rekey_delay(unsigned long now, unsigned long last,
				unsigned long interval)
{
	unsigned long since = now - last;

	return since < interval ? interval - since : 0;
}
