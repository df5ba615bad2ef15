// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_kick.c - a worker whose io_uring has no room when something is to be watched: a ring's kicks, the watchdog's beat.
 */
#include <sys/eventfd.h>
#include <unistd.h>

#include "life/watchdog.h"
#include "test_world.h"

/* Whether there's room, from the lowest bit on: 1 for no. Changes while no worker runs. */
static unsigned int refusals;

struct io_uring_sqe *__real_store_get_sqe(struct io_uring *ring);
struct io_uring_sqe *__wrap_store_get_sqe(struct io_uring *ring);

struct io_uring_sqe *__wrap_store_get_sqe(struct io_uring *ring)
{
	bool room = !(refusals & 1);

	refusals >>= 1;
	return room ? __real_store_get_sqe(ring) : NULL;
}

/* The rings that are attached have it all the same, and can be stopped. */
static void a_ring_is_watched_later(void **state)
{
	unsigned int i;

	(void)state;
	worker_pause(world->set);
	refusals = (1 << RINGS) - 1;
	for (i = 0; i < RINGS; i++)
		assert_null(attach(i));
	assert_int_equal(refusals, 0);
	assert_false(control()->ring.watched);
	assert_false(pair()->request.watched);
	assert_false(pair()->response.watched);
	/* When it would sleep there's no room yet. */
	refusals = 3;
	worker_resume(world->set);
	while (!(control()->ring.watched && pair()->request.watched && pair()->response.watched)) {
		worker_pause(world->set);
		worker_resume(world->set);
	}
	for (i = 0; i < RINGS; i++)
		worker_detach(world->set, i);
	assert_false(control()->ring.watched);
	assert_false(pair()->request.watched);
	assert_false(pair()->response.watched);
}

/* There's room for the mailbox alone, when the thread begins and when it would sleep for the first time. */
static void a_beat_is_watched_later(void **state)
{
	struct watchdog_beats beats = { 0 };
	struct worker_config config = world->set->config;
	struct worker_set *set;
	unsigned int tries;

	(void)state;
	worker_pause(world->set);
	config.log = NULL;
	config.store = store_open(NULL, SLOTS);
	assert_true(config.store->ops->activate(config.store));
	config.beats = &beats;
	config.beat_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	refusals = 1 | 1 << 2;
	set = worker_start(&config);
	assert_non_null(set);
	beats.asked = 1;
	assert_int_equal(eventfd_write(config.beat_fd, 1), 0);
	for (tries = 0; tries < 10000 && !__atomic_load_n(&beats.seen[1], __ATOMIC_ACQUIRE); tries++)
		usleep(1000);
	assert_int_equal(beats.seen[1], 1);
	worker_stop(set);
	close(config.beat_fd);
	config.store->ops->close(config.store);
	worker_resume(world->set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_ring_is_watched_later, make_world, end_world),
		cmocka_unit_test_setup_teardown(a_beat_is_watched_later, make_world, end_world),
	};

	if (open_world())
		return 1;
	return cmocka_run_group_tests_name("kick", tests, NULL, NULL);
}
