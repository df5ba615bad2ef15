// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_epochs.c - the counter of stores and its epochs: no value twice, no old key
 * after a notice, no key dropped that a slot needs.
 *
 * Theory of operation: keys are numbers here. A `guest` does what cswap_seal.c does
 * around the pure code, in its order; what it does is checked against a plain
 * list of which value was sealed with which key. The last tests let threads take
 * values while keys are made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <linux/errno.h>
/* cmocka wants its own first */
#include <cmocka.h>

#include <linux/compiler.h>

#include "cswap_epochs.h"

#define REKEY_PAGES	1000

/* What there is beside the pure code: the table that is published, and keys made. */
struct guest {
	struct cswap_counter counter;
	struct cswap_epochs *epochs;
	unsigned long keys;		/* made so far; a key is its number, from 1 */
};

static void *key_of_number(unsigned long number)
{
	return (void *)number;
}

static unsigned long key_of_value(const struct cswap_epochs *epochs, u64 value)
{
	return (unsigned long)epochs->epoch[cswap_epoch_of(epochs, value)].key;
}

static void guest_init(struct guest *guest, u64 rekey_pages)
{
	cswap_counter_init(&guest->counter, rekey_pages);
	guest->keys = 1;
	guest->epochs = calloc(1, sizeof(*guest->epochs));
	guest->epochs->epoch[guest->epochs->nr++].key = key_of_number(1);
}

static void guest_exit(struct guest *guest)
{
	free(guest->epochs);
}

/* A key, as cswap_seal.c makes it. The old table is returned, or NULL and the error in @rc. */
static struct cswap_epochs *guest_rekey(struct guest *guest, unsigned long used,
					struct cswap_epochs *dropped, int *rc)
{
	struct cswap_epochs *old = guest->epochs, *new = malloc(sizeof(*new));
	int notices = cswap_counter_notices(&guest->counter);
	u64 first = cswap_counter_next_first(&guest->counter);

	*rc = cswap_counter_room(&guest->counter);
	if (!*rc)
		*rc = cswap_epochs_renew(old, used, first, key_of_number(guest->keys + 1),
					 new, dropped);
	if (*rc) {
		free(new);
		return NULL;
	}
	guest->keys++;
	/* who sees the table sees what is in it */
	__atomic_store_n(&guest->epochs, new, __ATOMIC_RELEASE);
	cswap_counter_jump(&guest->counter, first);
	cswap_counter_served(&guest->counter, notices);
	return old;
}

/* A key that drops the epochs not in @used; how many were dropped. */
static unsigned int rekey(struct guest *guest, unsigned long used)
{
	struct cswap_epochs dropped;
	int rc;

	free(guest_rekey(guest, used, &dropped, &rc));
	assert_int_equal(rc, 0);
	return dropped.nr;
}

static s64 take(struct guest *guest)
{
	bool ask;

	return cswap_counter_take(&guest->counter, &ask);
}

/* --- the table --- */

static void epoch_begins_with_its_first(void **state)
{
	struct cswap_epochs epochs = {
		.nr = 3, .epoch = { { 0, NULL }, { 100, NULL }, { 200, NULL } },
	};
	static const struct { u64 value; unsigned int epoch; } cases[] = {
		{ 0, 0 }, { 1, 0 }, { 99, 0 }, { 100, 1 }, { 101, 1 }, { 199, 1 },
		{ 200, 2 }, { 201, 2 }, { CSWAP_MAX_COUNTER, 2 },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(cswap_epoch_of(&epochs, cases[i].value), cases[i].epoch);
	/* when older ones are gone the oldest is still found for its own values */
	epochs = (struct cswap_epochs) { .nr = 1, .epoch = { { 200, NULL } } };
	assert_int_equal(cswap_epoch_of(&epochs, 250), 0);
}

static void marks_what_is_in_use(void **state)
{
	struct cswap_epochs epochs = {
		.nr = 3, .epoch = { { 0, NULL }, { 100, NULL }, { 200, NULL } },
	};
	unsigned long used = 0;

	(void)state;
	cswap_epochs_mark(&epochs, &used, 150);
	assert_int_equal(used, BIT(1));
	cswap_epochs_mark(&epochs, &used, 150);
	assert_int_equal(used, BIT(1));
	cswap_epochs_mark(&epochs, &used, 5);
	assert_int_equal(used, BIT(0) | BIT(1));
	cswap_epochs_mark(&epochs, &used, 200);
	assert_int_equal(used, BIT(0) | BIT(1) | BIT(2));
}

static void renewing_keeps_what_is_used(void **state)
{
	struct cswap_epochs old = { .nr = 4 }, new, dropped;
	unsigned long used, i;

	(void)state;
	for (i = 0; i < old.nr; i++)
		old.epoch[i] = (struct cswap_epoch) { i * 100, key_of_number(i + 1) };
	for (used = 0; used < 16; used++) {
		unsigned int kept = 0, gone = 0;

		assert_int_equal(cswap_epochs_renew(&old, used, 1000, key_of_number(9),
						    &new, &dropped), 0);
		for (i = 0; i < old.nr; i++) {
			/* the newest stays: stores may be using it */
			bool keep = used & BIT(i) || i == 3;
			struct cswap_epoch *at = keep ? &new.epoch[kept++] : &dropped.epoch[gone++];

			assert_int_equal(at->first, old.epoch[i].first);
			assert_ptr_equal(at->key, old.epoch[i].key);
		}
		assert_int_equal(new.nr, kept + 1);
		assert_int_equal(dropped.nr, gone);
		assert_int_equal(new.epoch[kept].first, 1000);
		assert_ptr_equal(new.epoch[kept].key, key_of_number(9));
	}
}

/* Checks: driver-seal-monotonic */
static void kept_values_keep_their_key(void **state)
{
	struct guest guest;
	u64 value[64];
	unsigned long key[64];
	unsigned int n = 0, i, round;

	(void)state;
	guest_init(&guest, REKEY_PAGES);
	for (round = 0; round < 32; round++) {
		unsigned long used = 0;

		value[n] = take(&guest);
		key[n] = key_of_value(guest.epochs, value[n]);
		assert_int_equal(key[n], round + 1);
		if (n)
			assert_true(value[n] > value[n - 1]);
		n++;
		/* every third slot is freed */
		for (i = 0; i < n; i++) {
			if (i % 3 == round % 3 && n - i > 2)
				value[i] = 0;
			if (value[i])
				cswap_epochs_mark(guest.epochs, &used, value[i]);
		}
		rekey(&guest, used);
		for (i = 0; i < n; i++)
			if (value[i])
				assert_int_equal(key_of_value(guest.epochs, value[i]), key[i]);
	}
	guest_exit(&guest);
}

static void at_most_sixteen_keys(void **state)
{
	struct cswap_epochs dropped;
	struct guest guest;
	unsigned int i;
	int rc;

	(void)state;
	guest_init(&guest, REKEY_PAGES);
	for (i = 1; i < CSWAP_MAX_EPOCHS; i++)
		assert_int_equal(rekey(&guest, ~0ul), 0);
	assert_int_equal(guest.epochs->nr, 16);
	cswap_counter_notice(&guest.counter);
	assert_null(guest_rekey(&guest, ~0ul, &dropped, &rc));
	assert_int_equal(rc, -ENOSPC);
	/* nothing has changed, and nobody gets a value with a key that may be a twin's */
	assert_int_equal(guest.epochs->nr, 16);
	assert_int_equal(take(&guest), -EAGAIN);
	/* a slot is freed that was the last to need its key */
	assert_int_equal(rekey(&guest, ~BIT(5)), 1);
	assert_int_equal(guest.epochs->nr, 16);
	assert_true(take(&guest) > 0);
	guest_exit(&guest);
}

/* --- the counter --- */

static void values_are_never_set_back(void **state)
{
	struct guest guest;
	u64 last = 0, value;
	unsigned int i;

	(void)state;
	guest_init(&guest, REKEY_PAGES);
	for (i = 0; i < 10 * REKEY_PAGES; i++) {
		value = take(&guest);
		assert_true(value > last);
		last = value;
		if (i % 777 == 0)
			rekey(&guest, 0);
	}
	guest_exit(&guest);
}

static void new_epoch_is_beyond_running_stores(void **state)
{
	struct guest guest;
	u64 value, first;

	(void)state;
	guest_init(&guest, REKEY_PAGES);
	value = take(&guest);
	first = cswap_counter_next_first(&guest.counter);
	assert_true(first > value + BIT_ULL(30));
	/* as many as that may be taken before the jump, and come before it */
	atomic64_add_return(BIT_ULL(30), &guest.counter.value);
	assert_true((u64)take(&guest) < first);
	cswap_counter_jump(&guest.counter, first);
	assert_true((u64)take(&guest) >= first);
	guest_exit(&guest);
}

/* Checks: driver-seal-clone */
static void notice_stops_stores(void **state)
{
	struct guest guest;
	u64 value;
	bool ask;

	(void)state;
	guest_init(&guest, REKEY_PAGES);
	assert_true(take(&guest) > 0);
	cswap_counter_notice(&guest.counter);
	assert_true(cswap_counter_stale(&guest.counter));
	value = atomic64_read(&guest.counter.value);
	/* the first asks for a key, and no one else */
	assert_false(cswap_counter_asked(&guest.counter));
	assert_int_equal(cswap_counter_take(&guest.counter, &ask), -EAGAIN);
	assert_true(ask);
	assert_true(cswap_counter_asked(&guest.counter));
	assert_int_equal(cswap_counter_take(&guest.counter, &ask), -EAGAIN);
	assert_false(ask);
	/* refused stores use up nothing */
	assert_int_equal(atomic64_read(&guest.counter.value), value);
	rekey(&guest, ~0ul);
	assert_false(cswap_counter_stale(&guest.counter));
	assert_false(cswap_counter_asked(&guest.counter));
	value = cswap_counter_take(&guest.counter, &ask);
	assert_false(ask);
	assert_int_equal(key_of_value(guest.epochs, value), 2);
	guest_exit(&guest);
}

/* A key serves the notices from before it was begun, however many, and no later one. */
static void notice_during_a_rekey_is_not_served(void **state)
{
	struct cswap_counter counter;
	bool ask;
	int notices;

	(void)state;
	cswap_counter_init(&counter, REKEY_PAGES);
	cswap_counter_notice(&counter);
	cswap_counter_notice(&counter);
	notices = cswap_counter_notices(&counter);
	cswap_counter_notice(&counter);
	cswap_counter_jump(&counter, cswap_counter_next_first(&counter));
	cswap_counter_served(&counter, notices);
	assert_true(cswap_counter_stale(&counter));
	assert_int_equal(cswap_counter_take(&counter, &ask), -EAGAIN);
	assert_true(ask);
	notices = cswap_counter_notices(&counter);
	cswap_counter_jump(&counter, cswap_counter_next_first(&counter));
	cswap_counter_served(&counter, notices);
	assert_true(cswap_counter_take(&counter, &ask) > 0);
}

static void key_is_renewed_at_its_limit(void **state)
{
	struct guest guest;
	unsigned int i;
	bool ask;

	(void)state;
	guest_init(&guest, REKEY_PAGES);
	for (i = 1; i < REKEY_PAGES; i++) {
		assert_int_equal(cswap_counter_take(&guest.counter, &ask), i);
		assert_false(ask);
	}
	/* from here on one is asked for, once, and the old one serves */
	assert_int_equal(cswap_counter_take(&guest.counter, &ask), i);
	assert_true(ask);
	assert_int_equal(cswap_counter_take(&guest.counter, &ask), i + 1);
	assert_false(ask);
	/* the new one has as many to give, however far the counter jumped */
	rekey(&guest, 0);
	for (i = 1; i < REKEY_PAGES; i++) {
		assert_true(cswap_counter_take(&guest.counter, &ask) > 0);
		assert_false(ask);
	}
	take(&guest);
	cswap_counter_take(&guest.counter, &ask);
	assert_true(cswap_counter_asked(&guest.counter));
	guest_exit(&guest);
}

static void key_serves_no_longer_than_it_may(void **state)
{
	struct cswap_counter counter;
	bool ask;

	(void)state;
	cswap_counter_init(&counter, REKEY_PAGES);
	atomic64_set(&counter.value, REKEY_PAGES + CSWAP_MAX_REKEY - 1);
	assert_int_equal(cswap_counter_take(&counter, &ask), REKEY_PAGES + CSWAP_MAX_REKEY);
	assert_int_equal(cswap_counter_take(&counter, &ask), -EKEYEXPIRED);
	/* a new key helps */
	cswap_counter_jump(&counter, cswap_counter_next_first(&counter));
	cswap_counter_served(&counter, 0);
	assert_true(cswap_counter_take(&counter, &ask) > 0);
}

/* --- the end of the counter --- */

static void no_key_without_room(void **state)
{
	struct cswap_epochs dropped;
	struct guest guest;
	u64 last = CSWAP_MAX_COUNTER - 2 * CSWAP_EPOCH_GAP;
	int rc;

	(void)state;
	guest_init(&guest, CSWAP_MAX_REKEY);
	atomic64_set(&guest.counter.value, last + 1);
	assert_null(guest_rekey(&guest, 0, &dropped, &rc));
	assert_int_equal(rc, -EKEYEXPIRED);
	assert_int_equal(guest.epochs->nr, 1);
	atomic64_set(&guest.counter.value, last);
	rekey(&guest, 0);
	assert_true(guest.epochs->epoch[1].first < CSWAP_MAX_COUNTER);
	assert_true(take(&guest) > 0);
	guest_exit(&guest);
}

/* A record has 56 bits: no value may be beyond, whatever the key still has to give. */
static void counter_ends_for_good(void **state)
{
	struct guest guest;
	unsigned int i;
	s64 value;

	(void)state;
	guest_init(&guest, CSWAP_MAX_REKEY);
	atomic64_set(&guest.counter.value, CSWAP_MAX_COUNTER - 2 * CSWAP_EPOCH_GAP);
	rekey(&guest, 0);
	atomic64_set(&guest.counter.value, CSWAP_MAX_COUNTER - 3);
	for (i = 0; i < 8; i++) {
		value = take(&guest);
		if (i < 2)
			assert_int_equal(value, CSWAP_MAX_COUNTER - 2 + i);
		else
			assert_int_equal(value, -EKEYEXPIRED);
	}
	guest_exit(&guest);
}

/* --- the rate --- */

static void keys_are_rationed(void **state)
{
	(void)state;
	assert_int_equal(cswap_rekey_delay(5000, 4000, 1000), 0);
	assert_int_equal(cswap_rekey_delay(6000, 4000, 1000), 0);
	assert_int_equal(cswap_rekey_delay(4999, 4000, 1000), 1);
	assert_int_equal(cswap_rekey_delay(4001, 4000, 1000), 999);
	assert_int_equal(cswap_rekey_delay(4000, 4000, 1000), 1000);
	/* the clock wraps */
	assert_int_equal(cswap_rekey_delay(10, (unsigned long)-10, 1000), 980);
	assert_int_equal(cswap_rekey_delay(990, (unsigned long)-10, 1000), 0);
	assert_int_equal(cswap_rekey_delay(10, (unsigned long)-2000, 1000), 0);
}

#ifndef __KERNEL__
/* --- threads --- */

#define TAKERS		3
#define VALUES		40000
#define RUNS		20

struct race {
	struct guest guest;
	unsigned long floor;		/* no older key for a store that begins now */
	bool over;
	struct taker {
		pthread_t thread;
		struct race *race;
		unsigned int nr;
		u64 value[VALUES];
		unsigned long key[VALUES], floor[VALUES];
	} takers[TAKERS];
};

static void *take_values(void *argument)
{
	struct taker *taker = argument;
	struct race *race = taker->race;

	while (!__atomic_load_n(&race->over, __ATOMIC_ACQUIRE) && taker->nr < VALUES) {
		unsigned long floor = __atomic_load_n(&race->floor, __ATOMIC_ACQUIRE);
		s64 value = take(&race->guest);
		const struct cswap_epochs *epochs;

		if (value < 0)
			continue;
		epochs = __atomic_load_n(&race->guest.epochs, __ATOMIC_ACQUIRE);
		taker->value[taker->nr] = value;
		taker->key[taker->nr] = key_of_value(epochs, value);
		taker->floor[taker->nr++] = floor;
	}
	return NULL;
}

static int compare_values(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Each value once, and with the key that the table says in the end. */
static void race_judge(struct race *race)
{
	static u64 all[TAKERS * VALUES];
	unsigned int i, n, nr = 0;

	for (i = 0; i < TAKERS; i++) {
		struct taker *taker = &race->takers[i];

		for (n = 0; n < taker->nr; n++) {
			all[nr++] = taker->value[n];
			assert_int_equal(taker->key[n],
					 key_of_value(race->guest.epochs, taker->value[n]));
			assert_true(taker->key[n] >= taker->floor[n]);
		}
	}
	qsort(all, nr, sizeof(all[0]), compare_values);
	for (i = 1; i < nr; i++)
		assert_true(all[i - 1] < all[i]);
}

/* Checks: driver-seal-nonce */
static void race_run(struct race *race)
{
	struct cswap_epochs dropped, *old[CSWAP_MAX_EPOCHS];
	unsigned int i, n;
	int rc;

	memset(race, 0, sizeof(*race));
	guest_init(&race->guest, REKEY_PAGES);
	race->floor = 1;
	for (i = 0; i < TAKERS; i++) {
		race->takers[i].race = race;
		pthread_create(&race->takers[i].thread, NULL, take_values, &race->takers[i]);
	}
	for (n = 0; n < CSWAP_MAX_EPOCHS - 1; n++) {
		if (n % 2) {
			/* who begins after the notice must not get a key from before it */
			cswap_counter_notice(&race->guest.counter);
			__atomic_store_n(&race->floor, race->guest.keys + 1, __ATOMIC_SEQ_CST);
		}
		/* the takers may still read the old one */
		old[n] = guest_rekey(&race->guest, ~0ul, &dropped, &rc);
		assert_int_equal(rc, 0);
	}
	__atomic_store_n(&race->over, true, __ATOMIC_RELEASE);
	for (i = 0; i < TAKERS; i++)
		pthread_join(race->takers[i].thread, NULL);
	race_judge(race);
	while (n--)
		free(old[n]);
	guest_exit(&race->guest);
}

static void threads_take_while_keys_are_made(void **state)
{
	static struct race race;
	unsigned int run;

	(void)state;
	for (run = 0; run < RUNS; run++)
		race_run(&race);
}
#endif

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(epoch_begins_with_its_first),
		cmocka_unit_test(marks_what_is_in_use),
		cmocka_unit_test(renewing_keeps_what_is_used),
		cmocka_unit_test(kept_values_keep_their_key),
		cmocka_unit_test(at_most_sixteen_keys),
		cmocka_unit_test(values_are_never_set_back),
		cmocka_unit_test(new_epoch_is_beyond_running_stores),
		cmocka_unit_test(notice_stops_stores),
		cmocka_unit_test(notice_during_a_rekey_is_not_served),
		cmocka_unit_test(key_is_renewed_at_its_limit),
		cmocka_unit_test(key_serves_no_longer_than_it_may),
		cmocka_unit_test(no_key_without_room),
		cmocka_unit_test(counter_ends_for_good),
		cmocka_unit_test(keys_are_rationed),
#ifndef __KERNEL__
		cmocka_unit_test(threads_take_while_keys_are_made),
#endif
	};

	return cmocka_run_group_tests_name("epochs", tests, NULL, NULL);
}
