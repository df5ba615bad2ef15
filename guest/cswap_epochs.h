/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cswap_epochs.h - the counter of stores, and the keys that its ranges stand for.
 * Theory of operation in cswap_epochs.c. Pure: no crypto, no waiting, no memory
 * of its own.
 */
#ifndef CSWAP_EPOCHS_H
#define CSWAP_EPOCHS_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/types.h>

/* Keys that slots may still be sealed with. */
#define CSWAP_MAX_EPOCHS	16
/* The most pages that a key may seal, before a new one is due. */
#define CSWAP_MAX_REKEY		BIT_ULL(40)
/* A record has 56 bits for the counter; the last value is never handed out. */
#define CSWAP_MAX_COUNTER	(BIT_ULL(56) - 1)
/* How far the counter jumps, to reach a new epoch. */
#define CSWAP_EPOCH_GAP		BIT_ULL(32)

/* A range of the counter, from @first to the next epoch's, and its key. */
struct cswap_epoch {
	u64 first;
	void *key;
};

/* All of them, oldest first. Never changed once published. */
struct cswap_epochs {
	unsigned int nr;
	struct cswap_epoch epoch[CSWAP_MAX_EPOCHS];
};

/* The counter, and what decides whether a store may use a value of it. */
struct cswap_counter {
	atomic64_t value;		/* the last one handed out */
	u64 renew_at;			/* the value at which the newest key is to be replaced */
	u64 rekey_pages;		/* a new key after so many stores */
	atomic_t stale;			/* notices not served: no store before a new key */
	atomic_t wanted;		/* a store has asked for a new key */
};

/* --- the keys' ranges --- */

/* The index of the epoch that @counter belongs to. */
unsigned int cswap_epoch_of(const struct cswap_epochs *epochs, u64 counter);
/* Note in @used, a bit for each, the epoch of @counter. */
void cswap_epochs_mark(const struct cswap_epochs *epochs, unsigned long *used,
		       u64 counter);
/*
 * Into @new: those of @old that are @used, the newest in any case, and one that
 * begins at @first with @key. The others go into @dropped. -ENOSPC if there's no
 * room.
 */
int cswap_epochs_renew(const struct cswap_epochs *old, unsigned long used, u64 first,
		       void *key, struct cswap_epochs *new,
		       struct cswap_epochs *dropped);

/* --- the counter --- */

void cswap_counter_init(struct cswap_counter *counter, u64 rekey_pages);
/*
 * The next value, for one store; or -EAGAIN while a key is due, or -EKEYEXPIRED
 * when there is none left. Sets @ask if a key must be made and no store before has asked for it.
 */
s64 cswap_counter_take(struct cswap_counter *counter, bool *ask);
/* From now on no store gets a value before the next key. Any context. */
void cswap_counter_notice(struct cswap_counter *counter);
bool cswap_counter_stale(struct cswap_counter *counter);
/* Ask for a key. True if no caller has asked since the last key was made. */
bool cswap_counter_ask(struct cswap_counter *counter);
bool cswap_counter_asked(struct cswap_counter *counter);

/* The steps of the one thread that makes a key, in this order; see cswap_epochs.c. */

/* The notices that a key made from now on will serve. */
int cswap_counter_notices(struct cswap_counter *counter);
/* -EKEYEXPIRED when there's no room for another epoch. */
int cswap_counter_room(struct cswap_counter *counter);
/* Where the next epoch begins: out of reach of stores that run just now. */
u64 cswap_counter_next_first(struct cswap_counter *counter);
/* The epoch that begins at @first is published: from now on stores get values of that epoch. */
void cswap_counter_jump(struct cswap_counter *counter, u64 first);
void cswap_counter_served(struct cswap_counter *counter, int notices);

/*
 * How long a key must wait that is wanted @now, after one at @last. All in the
 * same unit, which may wrap.
 */
unsigned long cswap_rekey_delay(unsigned long now, unsigned long last,
				unsigned long interval);

#endif /* CSWAP_EPOCHS_H */
