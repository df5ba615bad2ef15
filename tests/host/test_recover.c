// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_recover.c - rings that go on from a log to which the front end writes meanwhile.
 *
 * A worker attaches rings whose server died. Each time the worker has stored something to the log, the front end
 * puts other states there, or another used index into the ring. Whatever the worker makes of it: it keeps
 * no more buffers than it counted as out, so that the arrays in which it keeps them can't run over.
 */
#include "test_world.h"
#include "worker_hooked.h"

/* --- the front end --- */

/* Each ring was served until its server died. */
static void set_served(void)
{
	world->log.control.ring.state = INFLIGHT_RING_SERVED;
	pair_log()->request_ring.state = INFLIGHT_RING_SERVED;
	pair_log()->response_ring.state = INFLIGHT_RING_SERVED;
}

static void hold_responses(void)
{
	memset(pair_log()->response, INFLIGHT_HELD, sizeof(pair_log()->response));
}

static void hold_control(void)
{
	memset(world->log.control.chain, INFLIGHT_HELD, sizeof(world->log.control.chain));
}

/* Each time others come first. */
static void reorder_control(void)
{
	static unsigned int turn;
	uint16_t i;

	turn++;
	for (i = 0; i < VRING_MAX_NUM; i++)
		world->log.control.order[i] = i * turn * 77 % 64;
}

static void hold_requests(void)
{
	unsigned int i;

	for (i = 0; i < INFLIGHT_REQUESTS; i++) {
		pair_log()->request[i].head = (uint16_t)(i % (VRING_MAX_NUM - 1));
		pair_log()->request[i].chain = INFLIGHT_HELD;
	}
}

static void use_all(void)
{
	used_of(CONTROL)->idx = VRING_MAX_NUM;
	used_of(RESPONSE)->idx = VRING_MAX_NUM;
}

static void stop_writing(void)
{
	worker_noted = NULL;
}

/* --- what must hold --- */

static void responses_appear(void **state)
{
	(void)state;
	post_heads(RESPONSE, VRING_MAX_NUM);
	worker_noted = hold_responses;
	assert_null(attach(RESPONSE));
	stop_writing();
	assert_int_equal(kept_responses(), vring_outstanding(&pair()->response.vring));
	/* The worker takes what is posted besides, and the ring has no more. */
	assert_null(attach(REQUEST));
	worker_drain(world->set);
	assert_in_range(kept_responses(), 0, VRING_MAX_NUM);
}

static void responses_vanish(void **state)
{
	(void)state;
	post_heads(RESPONSE, VRING_MAX_NUM);
	hold_responses();
	worker_noted = use_all;
	assert_string_equal(attach(RESPONSE), "used index changed while it was read");
	stop_writing();
}

static void events_appear(void **state)
{
	(void)state;
	post_heads(CONTROL, VRING_MAX_NUM);
	worker_noted = hold_control;
	assert_null(attach(CONTROL));
	stop_writing();
	worker_drain(world->set);
	assert_in_range(control()->events.count, 0, VRING_MAX_NUM);
	assert_int_equal(control()->events.count, vring_outstanding(&control()->ring.vring));
}

static void events_vanish(void **state)
{
	(void)state;
	post_heads(CONTROL, VRING_MAX_NUM);
	hold_control();
	worker_noted = use_all;
	assert_string_equal(attach(CONTROL), "used index changed while it was read");
	stop_writing();
}

/* The orders change, too: each head is kept once all the same. */
static void events_change_places(void **state)
{
	bool seen[VRING_MAX_NUM] = { false };
	unsigned int i;

	(void)state;
	post_heads(CONTROL, VRING_MAX_NUM - 1);
	memset(world->log.control.chain, INFLIGHT_HELD, VRING_MAX_NUM - 1);
	worker_noted = reorder_control;
	assert_null(attach(CONTROL));
	stop_writing();
	assert_int_equal(control()->events.count, VRING_MAX_NUM - 1);
	for (i = 0; i < control()->events.count; i++) {
		assert_false(seen[control()->events.head[i]]);
		seen[control()->events.head[i]] = true;
	}
}

static void requests_appear(void **state)
{
	(void)state;
	assert_null(attach(REQUEST));
	worker_noted = hold_requests;
	assert_null(attach(RESPONSE));
	stop_writing();
	assert_true(pair()->broken);
}

static void requests_vanish(void **state)
{
	(void)state;
	post_heads(REQUEST, 1);
	pair_log()->request[7] = (struct inflight_request) { .chain = INFLIGHT_HELD, .head = 3 };
	assert_null(attach(REQUEST));
	pair_log()->request[7].chain = INFLIGHT_FREE;
	assert_null(attach(RESPONSE));
	assert_true(pair()->broken);
}

static void request_twice(void **state)
{
	(void)state;
	post_heads(REQUEST, 2);
	pair_log()->request[7] = (struct inflight_request) { .chain = INFLIGHT_HELD, .head = 3 };
	pair_log()->request[9] = pair_log()->request[7];
	assert_null(attach(REQUEST));
	assert_null(attach(RESPONSE));
	assert_true(pair()->broken);
}

static void request_without_chain(void **state)
{
	(void)state;
	post_heads(REQUEST, 1);
	pair_log()->request[7] = (struct inflight_request) {
		.chain = INFLIGHT_PUSHED, .head = VRING_MAX_NUM,
	};
	assert_null(attach(REQUEST));
	assert_null(attach(RESPONSE));
	assert_true(pair()->broken);
}

/* Another daemon stopped the ring. Where it goes on and what is held of it are of one moment. */
static void stopped_ring_is_read_once(void **state)
{
	(void)state;
	post_heads(RESPONSE, VRING_MAX_NUM);
	pair_log()->response_ring.state = INFLIGHT_RING_PARKED;
	pair_log()->response[0] = INFLIGHT_HELD;
	worker_noted = hold_responses;
	assert_null(attach_at(RESPONSE, 1));
	stop_writing();
	assert_int_equal(pair()->response.vring.last_avail, 1);
	assert_int_equal(kept_responses(), 1);
}

/* Nobody writes: all that the log says is kept, in its order. */
static void log_as_it_was(void **state)
{
	uint16_t i;

	(void)state;
	for (i = 0; i < RINGS; i++)
		post_heads(i, 100);
	for (i = 0; i < 100; i++) {
		world->log.control.chain[i] = INFLIGHT_HELD;
		world->log.control.order[i] = 100U - i;
		pair_log()->response[i] = INFLIGHT_HELD;
		pair_log()->request[i] = (struct inflight_request) { .chain = INFLIGHT_HELD, .head = i };
	}
	for (i = 0; i < RINGS; i++)
		assert_null(attach(i));
	assert_false(pair()->broken);
	assert_int_equal(kept_responses(), 100);
	assert_int_equal(control()->events.count, 100);
	for (i = 0; i < 100; i++)
		assert_int_equal(control()->events.head[i], 99 - i);
}

/* What vring_pop() and the log see to is looked at once more where it counts. */
static void no_room_for_more(void **state)
{
	struct vring_segment *segment = world->set->workers[0].chain.segment;
	struct vring_chain *chain = &world->set->workers[0].chain;
	unsigned int i;

	(void)state;
	for (i = 0; i < RINGS; i++)
		assert_null(attach(i));
	worker_pause(world->set);
	*segment = (struct vring_segment) { world->guest + BUFFER_OFFSET, 64 };
	chain->readable = 0;
	chain->readable_bytes = 0;
	chain->writable = 1;
	chain->writable_bytes = 64;
	for (i = 0; i < RESPONSE_HEADS; i++)
		assert_true(pair_hold_response(pair(), chain));
	assert_false(pair_hold_response(pair(), chain));
	assert_true(pair()->broken);
	assert_int_equal(kept_responses(), RESPONSE_HEADS);
	worker_resume(world->set);
}

static void no_room_for_more_events(void **state)
{
	(void)state;
	assert_null(attach(CONTROL));
	worker_pause(world->set);
	control()->events.count = RESPONSE_HEADS;
	post_heads(CONTROL, 1);
	worker_resume(world->set);
	worker_drain(world->set);
	assert_int_equal(control()->events.count, RESPONSE_HEADS);
	assert_non_null(control()->ring.vring.broken);
}

static int make_dead_world(void **state)
{
	worker_noted = NULL;
	if (make_world(state))
		return -1;
	set_served();
	return 0;
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, make_dead_world, end_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(responses_appear), CASE(responses_vanish), CASE(events_appear), CASE(events_vanish),
		CASE(events_change_places), CASE(requests_appear), CASE(requests_vanish),
		CASE(request_twice), CASE(request_without_chain), CASE(stopped_ring_is_read_once),
		CASE(log_as_it_was),
		CASE(no_room_for_more), CASE(no_room_for_more_events),
	};

	if (open_world())
		return 1;
	return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}
