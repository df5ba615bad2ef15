// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_kick.c - a worker whose io_uring has no room when a ring's kicks are to be watched.
 */
#include "test_world.h"

static unsigned int refusals;		/* of room, yet to come; changes while the worker is paused */

struct io_uring_sqe *__real_store_get_sqe(struct io_uring *ring);
struct io_uring_sqe *__wrap_store_get_sqe(struct io_uring *ring);

struct io_uring_sqe *__wrap_store_get_sqe(struct io_uring *ring)
{
	if (!refusals)
		return __real_store_get_sqe(ring);
	refusals--;
	return NULL;
}

/* The rings that are attached have it all the same, and can be stopped. */
static void a_ring_is_watched_later(void **state)
{
	unsigned int i;

	(void)state;
	worker_pause(world->set);
	refusals = RINGS;
	for (i = 0; i < RINGS; i++)
		assert_null(attach(i));
	assert_int_equal(refusals, 0);
	assert_false(control()->ring.watched);
	assert_false(pair()->request.watched);
	assert_false(pair()->response.watched);
	/* When it would sleep there's no room yet. */
	refusals = 2;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_ring_is_watched_later, make_world, end_world),
	};

	if (open_world())
		return 1;
	return cmocka_run_group_tests_name("kick", tests, NULL, NULL);
}
