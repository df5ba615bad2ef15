// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_monitor.c - how soon a worker is followed by the next.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "monitor.c"

static void begin_life(struct monitor *monitor, bool ready)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	close(ends[1]);
	monitor->channel = ends[0];
	monitor->started_ms = now_ms();
	monitor->ready = ready;
}

/* The channel's end is seen before the death that it tells of, which a signal brings. */
static void end_life(struct monitor *monitor)
{
	lose_channel(monitor);
	assert_false(is_serving(monitor));
	plan_next(monitor);
}

/* However often one dies that served, the guest waits as short as can be. */
static void who_served_is_followed_at_once(void **state)
{
	struct monitor monitor = { .channel = -1 };
	unsigned int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		begin_life(&monitor, true);
		assert_true(is_serving(&monitor));
		end_life(&monitor);
		assert_in_range(monitor.pause_ms, 0, SHORT_PAUSE_MS);
	}
}

static void who_never_gets_ready_is_followed_later_and_later(void **state)
{
	struct monitor monitor = { .channel = -1 };
	unsigned int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		begin_life(&monitor, false);
		end_life(&monitor);
	}
	assert_true(monitor.pause_ms >= LONG_PAUSE_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_served_is_followed_at_once),
		cmocka_unit_test(who_never_gets_ready_is_followed_later_and_later),
	};

	return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}
