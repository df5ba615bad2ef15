// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_policy.c - how large the balloon may be: properties that hold whatever the host asks
 * for, and what a guest feels of the brakes.
 *
 * A simulated guest is stepped ten times a second: it does what the verdict says at a given
 * speed, and hurts when more is given up than it can spare.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "cswap_policy.h"

#define MIB		256ULL		/* in pages */
#define GIB		(1024 * MIB)
#define BLOCK		((u64)CSWAP_BLOCK_PAGES)
#define MINUTE		60000

struct guest {
	struct cswap_policy policy;
	struct cswap_policy_limits limits;
	struct cswap_policy_sample sample;
	struct cswap_policy_verdict verdict;
	u64 spare;			/* what it can give up without pain */
	u64 speed;			/* pages a step */
	u64 taken, returned;
};

static void guest_init(struct guest *guest, u64 size)
{
	*guest = (struct guest) {
		.limits = { .enabled = true, .floor_percent = 25, .brake_percent = 30 },
		.sample = { .now_ms = 5000, .size = size },
		.spare = size, .speed = 32 * BLOCK,
	};
	cswap_policy_init(&guest->policy);
}

static void decide(struct guest *guest)
{
	guest->verdict = cswap_policy_step(&guest->policy, &guest->limits, &guest->sample);
}

/* A tenth of a second. */
static void step(struct guest *guest)
{
	u64 *out = &guest->sample.out, by;

	decide(guest);
	if (*out > guest->verdict.goal) {
		by = *out - guest->verdict.goal;
		by = by < guest->speed ? (by + BLOCK - 1) / BLOCK * BLOCK : guest->speed;
		by = by < *out ? by : *out;
		*out -= by;
		guest->returned += by;
	} else {
		by = guest->verdict.goal - *out;
		by = by < guest->speed ? by / BLOCK * BLOCK : guest->speed;
		*out += by;
		guest->taken += by;
	}
	/* half of the time is spent waiting, if it hurts */
	if (*out > guest->spare)
		guest->sample.swap_in_ns += 50000000;
	guest->sample.now_ms += 100;
}

static void run(struct guest *guest, u64 ms)
{
	while (ms > 0) {
		step(guest);
		ms -= 100;
	}
}

static u64 rng = 88172645463325252ULL;

static u64 random_u64(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* --- whatever happens --- */

static u64 random_size(void)
{
	return random_u64() >> (random_u64() % 64);
}

/* Sizes, targets, counts and times of all kinds; clocks and counts may fall back. */
/* Checks: driver-target-floor */
static void floor_is_never_crossed(void **state)
{
	struct guest guest;
	u32 i, round;

	(void)state;
	for (round = 0; round < 200; round++) {
		guest_init(&guest, random_size() % (1ULL << 50));
		for (i = 0; i < 1000; i++) {
			struct cswap_policy_sample *sample = &guest.sample;

			guest.limits.floor_percent = random_u64() % 150;
			guest.limits.floor_mib = random_u64() % 3 ? 0 : random_size() >> 32;
			guest.limits.enabled = random_u64() % 4;
			guest.limits.brake_percent = random_u64() % 200;
			sample->target = random_size();
			sample->out = sample->size ? random_u64() % (sample->size + 1) : 0;
			sample->now_ms = random_u64() % 3 ? sample->now_ms + random_u64() % 3000 :
							    random_size();
			sample->swap_in_ns = random_size();
			sample->refaults = random_size();
			sample->alloc_stalls = random_size();
			sample->ooms += !(random_u64() % 50);
			decide(&guest);
			assert_true(guest.verdict.floor <= sample->size);
			assert_true(guest.verdict.goal <= sample->size - guest.verdict.floor);
			assert_true(guest.verdict.goal <= sample->target);
			assert_true(guest.limits.enabled || !guest.verdict.goal);
			assert_in_range(guest.verdict.why, 0, VIRTIO_CSWAP_STOP_OWNER);
			assert_true(guest.verdict.goal + BLOCK > sample->target ||
				    guest.verdict.why);
		}
	}
}

static u64 floor_at(u64 size, u32 percent, u32 mib)
{
	struct guest guest;

	guest_init(&guest, size);
	guest.limits.floor_percent = percent;
	guest.limits.floor_mib = mib;
	guest.sample.target = ~0ULL;
	decide(&guest);
	assert_int_equal(guest.verdict.goal, size - guest.verdict.floor);
	guest.sample.out = guest.verdict.goal;
	decide(&guest);
	assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_FLOOR);
	assert_int_equal(guest.verdict.goal, size - guest.verdict.floor);
	return guest.verdict.floor;
}

static void floor_of_all_kinds(void **state)
{
	(void)state;
	assert_int_equal(floor_at(100 * MIB * 10, 25, 0), 250 * MIB);
	assert_int_equal(floor_at(100 * MIB * 10, 0, 0), 64 * MIB);
	assert_int_equal(floor_at(100 * MIB, 25, 0), 64 * MIB);
	assert_int_equal(floor_at(100 * MIB * 10, 100, 0), 1000 * MIB);
	assert_int_equal(floor_at(100 * MIB * 10, 150, 0), 1000 * MIB);
	assert_int_equal(floor_at(100 * MIB * 10, 25, 300), 300 * MIB);
	assert_int_equal(floor_at(100 * MIB, 25, 24), 24 * MIB);
	assert_int_equal(floor_at(100 * MIB, 25, 1), 16 * MIB);
	assert_int_equal(floor_at(100 * MIB, 25, ~0u), 100 * MIB);
	assert_int_equal(floor_at(10 * MIB, 25, 0), 10 * MIB);
}

/* --- when nothing hurts --- */

/* Checks: driver-target-reach, driver-target-partial */
static void a_target_is_reached_and_left(void **state)
{
	struct guest guest;

	(void)state;
	guest_init(&guest, 4 * GIB);
	decide(&guest);
	assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_NONE);
	guest.sample.target = 2 * GIB + 3;	/* no multiple of blocks */
	step(&guest);
	assert_int_equal(guest.verdict.goal, 2 * GIB + 3);
	assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_WORKING);
	run(&guest, 5000);
	assert_int_equal(guest.sample.out, 2 * GIB);
	assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_NONE);
	assert_int_equal(guest.returned, 0);

	guest.sample.target = GIB;
	step(&guest);
	assert_int_equal(guest.verdict.goal, GIB);
	assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_WORKING);
	run(&guest, 5000);
	assert_int_equal(guest.sample.out, GIB);
	assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_NONE);

	/* it grew in seconds and sat there for an hour: that costs no wait */
	run(&guest, 60 * MINUTE);
	guest.sample.target = 0;
	step(&guest);
	guest.sample.target = ~0ULL;
	step(&guest);
	/* the floor is why it ends, not why it's there yet */
	assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_WORKING);
	run(&guest, MINUTE / 4);
	assert_int_equal(guest.sample.out, 3 * GIB);
	assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_FLOOR);
	/* raised by the owner: what is given back has a reason */
	guest.limits.floor_percent = 50;
	decide(&guest);
	assert_true(guest.verdict.goal < guest.sample.out);
	assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_FLOOR);
	guest.limits.floor_percent = 25;

	guest.limits.enabled = false;
	run(&guest, 10000);
	assert_int_equal(guest.sample.out, 0);
	assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_OWNER);
	guest.sample.target = 0;
	step(&guest);
	assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_NONE);
}

/* --- brakes --- */

/* One window with pain; @ms long, with counts as given. */
static void window(struct guest *guest, u64 ms, u64 swap_in_ns, u64 refaults, u64 stalls,
		   bool own)
{
	guest->sample.now_ms += ms;
	guest->sample.swap_in_ns += swap_in_ns;
	guest->sample.refaults += refaults;
	guest->sample.alloc_stalls += stalls;
	guest->sample.own_reclaim = own;
	decide(guest);
}

static void at_full(struct guest *guest)
{
	guest_init(guest, 4 * GIB);
	guest->sample.out = 2 * GIB;
	guest->sample.target = guest->sample.out;
	decide(guest);
	assert_int_equal(guest->verdict.goal, 2 * GIB);
}

static bool trips(u64 ms, u64 swap_in_ns, u64 refaults, u64 stalls, bool own)
{
	struct guest guest;

	at_full(&guest);
	window(&guest, ms, swap_in_ns, refaults, stalls, own);
	assert_int_equal(guest.verdict.goal, 2 * GIB);	/* once is no reason */
	window(&guest, ms, swap_in_ns, refaults, stalls, own);
	if (guest.verdict.goal == 2 * GIB)
		return false;
	assert_int_equal(guest.verdict.goal, 2 * GIB - 2 * GIB / 8);
	assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_PRESSURE);
	return true;
}

/* Checks: driver-target-pressure */
static void brakes_trip_by_each_pain(void **state)
{
	u64 refaults = 2 * GIB / 64;	/* a second, of what is left */
	struct guest guest;

	(void)state;
	assert_false(trips(1000, 0, 0, 0, false));
	assert_false(trips(1000, 290000000, 0, 0, false));
	assert_true(trips(1000, 310000000, 0, 0, false));
	assert_false(trips(10000, 2900000000ULL, 0, 0, false));
	assert_true(trips(10000, 3100000000ULL, 0, 0, false));
	assert_false(trips(1000, 0, refaults - 400, 0, false));
	assert_true(trips(1000, 0, refaults, 0, false));
	assert_true(trips(2000, 0, 2 * refaults, 0, false));
	assert_false(trips(2000, 0, refaults, 0, false));
	assert_false(trips(1000, 0, 0, 99, false));
	assert_true(trips(1000, 0, 0, 100, false));
	/* the balloon's own reclaim is no reason */
	assert_false(trips(1000, 0, 0, 100000, true));
	assert_true(trips(1000, 310000000, 0, 100000, true));
	at_full(&guest);
	window(&guest, 1000, 0, 0, 1000, true);
	window(&guest, 1000, 0, 0, 1000, false);
	assert_int_equal(guest.verdict.goal, 2 * GIB);
	window(&guest, 1000, 0, 0, 1000, false);
	assert_true(guest.verdict.goal < 2 * GIB);
}

static void brakes_want_two_windows_in_a_row(void **state)
{
	struct guest guest;
	u32 i;

	(void)state;
	at_full(&guest);
	for (i = 0; i < 50; i++) {
		window(&guest, 1000, 900000000, 0, 0, false);
		assert_int_equal(guest.verdict.goal, 2 * GIB);
		window(&guest, 1000, 0, 0, 0, false);
	}
	/* nor does a window end before its time */
	for (i = 0; i < 9; i++)
		window(&guest, 100, 900000000, 0, 0, false);
	assert_int_equal(guest.verdict.goal, 2 * GIB);
	/* and without brakes nothing happens */
	guest.limits.brake_percent = 0;
	for (i = 0; i < 9; i++)
		window(&guest, 1000, 900000000, 1000000, 10000, false);
	assert_int_equal(guest.verdict.goal, 2 * GIB);
}

static void trip(struct guest *guest)
{
	window(guest, 1000, 900000000, 0, 0, false);
	window(guest, 1000, 900000000, 0, 0, false);
	assert_int_equal(guest->verdict.why, VIRTIO_CSWAP_STOP_PRESSURE);
	guest->sample.out = guest->verdict.goal;
}

/* Checks: driver-target-cool-down */
static void a_cap_stays_and_is_raised_in_steps(void **state)
{
	struct guest guest;
	u64 cap, before, raised = 0;
	u32 i;

	(void)state;
	at_full(&guest);
	trip(&guest);
	cap = guest.verdict.goal;
	for (i = 0; i < 29; i++) {
		window(&guest, 1000, 0, 0, 0, false);
		assert_int_equal(guest.verdict.goal, cap);
	}
	/* somewhat quiet isn't quiet */
	for (i = 0; i < 20; i++) {
		window(&guest, 1000, 200000000, 0, 0, false);
		assert_int_equal(guest.verdict.goal, cap);
		assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_PRESSURE);
	}
	while (guest.verdict.goal < 2 * GIB && raised++ < 100) {
		before = guest.verdict.goal;
		window(&guest, 1000, 0, 0, 0, false);
		assert_true(guest.verdict.goal <= before + 3 * GIB / 32);
		guest.sample.out = guest.verdict.goal;
	}
	assert_in_range(raised, 2, 10);
	decide(&guest);
	assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_NONE);
}

static u64 cool_down(struct guest *guest)
{
	u64 cap = guest->verdict.goal, from = guest->sample.now_ms;

	while (guest->verdict.goal == cap && guest->sample.now_ms < from + 60 * MINUTE)
		window(guest, 1000, 0, 0, 0, false);
	return guest->sample.now_ms - from;
}

static void each_trip_costs_more(void **state)
{
	static const u64 cool_s[] = { 30, 60, 120, 240, 480, 600, 600 };
	struct guest guest;
	u32 i;

	(void)state;
	at_full(&guest);
	for (i = 0; i < 7; i++) {
		trip(&guest);
		assert_in_range(cool_down(&guest), 1000 * cool_s[i] - 1000,
				1000 * cool_s[i] + 2000);
	}
	/* until it was as large as it may be for once */
	for (i = 0; i < 60; i++)
		window(&guest, 1000, 0, 0, 0, false);
	guest.sample.out = 2 * GIB;
	decide(&guest);
	assert_int_equal(guest.verdict.goal, 2 * GIB);
	trip(&guest);
	assert_in_range(cool_down(&guest), 29000, 32000);
}

/* A guest that needs a lot at once trips until it has that: no reason to keep it for longer. */
static void trips_in_a_row_cost_one(void **state)
{
	struct guest guest;
	u32 i;

	(void)state;
	at_full(&guest);
	for (i = 0; i < 5; i++)
		trip(&guest);
	assert_in_range(cool_down(&guest), 29000, 32000);
	trip(&guest);
	trip(&guest);
	assert_in_range(cool_down(&guest), 59000, 62000);
}

/* A balloon that is too large for the guest ends below what hurts, and stays quiet. */
static void too_large_a_target_settles(void **state)
{
	struct guest guest;
	u64 hour, trips, returned;

	(void)state;
	guest_init(&guest, 4 * GIB);
	guest.spare = GIB + 100 * MIB;
	guest.sample.target = 3 * GIB;
	run(&guest, 10 * MINUTE);
	for (hour = 0; hour < 4; hour++) {
		trips = guest.policy.trips;
		returned = guest.returned;
		run(&guest, 60 * MINUTE);
		/* it tries again every ten minutes or so, and gives up an eighth each time */
		assert_in_range(guest.policy.trips - trips, 0, 20);
		assert_in_range(guest.returned - returned, 0, 20 * GIB / 4);
		assert_true(guest.sample.out > GIB / 2);
	}
}

/* --- out of memory --- */

/* Checks: driver-target-cool-down */
static void out_of_memory_counts_against_the_host(void **state)
{
	struct guest guest;
	u64 after;
	u32 i;

	(void)state;
	at_full(&guest);
	guest.sample.ooms++;
	guest.sample.out -= 8 * BLOCK;
	after = guest.sample.out;
	for (i = 0; i < 590; i++) {
		/* whatever it asks for meanwhile */
		guest.sample.target = i % 7 ? ~0ULL >> i % 20 : 0;
		guest.sample.now_ms += 100;
		decide(&guest);
		assert_true(guest.verdict.goal <= after);
		if (guest.sample.target > after)
			assert_int_equal(guest.verdict.why, VIRTIO_CSWAP_STOP_OOM);
	}
	guest.sample.target = 2 * GIB;
	for (i = 0; i < 50; i++)
		window(&guest, 1000, 0, 0, 0, false);
	assert_int_equal(guest.verdict.goal, 2 * GIB);
	/* one emergency, however often it has to take something back */
	for (i = 0; i < 3; i++) {
		guest.sample.ooms++;
		guest.sample.out -= 8 * BLOCK;
		decide(&guest);
	}
	assert_in_range(cool_down(&guest), 59000, 62000);
	/* a second one is twice as long, if it comes before all is well */
	guest.sample.ooms++;
	decide(&guest);
	guest.sample.out = guest.verdict.goal;
	assert_in_range(cool_down(&guest), 119000, 122000);
}

/* --- a host that changes its mind --- */

static u64 pages_moved(u32 period_steps, u64 high, u64 low, u64 speed)
{
	struct guest guest;
	u32 i;

	guest_init(&guest, 64 * GIB);
	guest.speed = speed;
	for (i = 0; i < 6000; i++) {
		guest.sample.target = i / period_steps % 2 ? high : low;
		step(&guest);
	}
	return guest.taken + guest.returned;
}

/* However fast it flaps, the balloon works for two thirds of the time at most. */
/* Checks: driver-target-rate */
static void flapping_costs_a_part_of_a_cpu(void **state)
{
	static const u32 periods[] = { 1, 2, 3, 5, 10, 20, 50, 100, 300 };
	u64 speed = 32 * BLOCK;
	u32 i;

	(void)state;
	for (i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		u64 moved = pages_moved(periods[i], ~0ULL, 0, speed);

		assert_true(moved > 10 * speed);
		assert_true(moved <= 6000 * speed * 2 / 3);
	}
	/* a little more and less: at most one turn a second */
	assert_true(pages_moved(1, GIB + BLOCK, GIB, speed) <= 600 * 2 * BLOCK + 2 * GIB);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(floor_is_never_crossed),
		cmocka_unit_test(floor_of_all_kinds),
		cmocka_unit_test(a_target_is_reached_and_left),
		cmocka_unit_test(brakes_trip_by_each_pain),
		cmocka_unit_test(brakes_want_two_windows_in_a_row),
		cmocka_unit_test(a_cap_stays_and_is_raised_in_steps),
		cmocka_unit_test(each_trip_costs_more),
		cmocka_unit_test(trips_in_a_row_cost_one),
		cmocka_unit_test(too_large_a_target_settles),
		cmocka_unit_test(out_of_memory_counts_against_the_host),
		cmocka_unit_test(flapping_costs_a_part_of_a_cpu),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
