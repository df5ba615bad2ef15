// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_away.c - guest memory that goes while rings are served, and comes again.
 *
 * The front end removes a region and adds it again, as QEMU does when a region changes its size. A ring, a request or
 * a buffer lies there. Meanwhile nothing of it is taken or put back, and afterwards all goes on, with a successor if
 * the worker died; nothing is broken. What was released there is still released.
 */
#include "test_world.h"

static const struct store_ops *real_ops;
static struct store_ops holding_ops;
static bool holds;			/* a discard; changed while the worker stands still */
static struct store_op *held;
static struct balloon_log *balloon_log;
static unsigned int discards;

static void holding_trim(struct store_lane *lane, struct store_op *op)
{
	discards++;
	if (holds)
		held = op;
	else
		real_ops->trim(lane, op);
}

static void holding_hurry(struct store_lane *lane)
{
	struct store_op *op = held;

	if (!holds && op) {
		held = NULL;
		real_ops->trim(lane, op);
	}
	real_ops->hurry(lane);
}

/* --- memory --- */

static void take_away(uint64_t offset, uint64_t bytes)
{
	worker_pause(world->set);
	assert_null(memory_remove(&world->memory, GUEST_GPA + offset, GUEST_UVA + offset, bytes));
	worker_resume(world->set);
}

static void bring_back(uint64_t offset, uint64_t bytes)
{
	worker_pause_table(world->set);
	assert_null(memory_add_mapped(&world->memory, GUEST_GPA + offset, GUEST_UVA + offset, bytes,
				      world->guest + offset));
	worker_resume(world->set);
}

static void ring_away(unsigned int ring)
{
	take_away(ring * RING_BYTES, RING_BYTES);
}

static void ring_back(unsigned int ring)
{
	bring_back(ring * RING_BYTES, RING_BYTES);
}

static void buffers_away(void)
{
	take_away(BUFFER_OFFSET, 2 * PAGE);
}

static void buffers_back(void)
{
	bring_back(BUFFER_OFFSET, 2 * PAGE);
}

/* Rounds enough for all that can be done; a discard that is held doesn't keep it up. */
static void run(void)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		worker_pause(world->set);
		worker_resume(world->set);
	}
}

/* --- the guest --- */

static void put_discard(void)
{
	const struct virtio_cswap_ctrl ctrl = { .op = VIRTIO_CSWAP_CTRL_DISCARD, .count = 1 };
	const struct virtio_cswap_range range = { .start = 3, .count = 1 };

	memcpy(world->guest + CTRL_OFFSET, &ctrl, sizeof(ctrl));
	memcpy(world->guest + CTRL_OFFSET + sizeof(ctrl), &range, sizeof(range));
	put(CONTROL, 0, CTRL_OFFSET, sizeof(ctrl) + sizeof(range), VRING_DESC_F_NEXT, 1);
	put(CONTROL, 1, BUFFER_OFFSET, sizeof(struct virtio_cswap_ctrl_response),
	    VRING_DESC_F_WRITE, 0);
}

static void put_store(void)
{
	const struct virtio_cswap_request store = { .op = VIRTIO_CSWAP_OP_STORE, .count = 1 };

	memcpy(world->guest + LOAD_OFFSET, &store, sizeof(store));
	put(REQUEST, 0, LOAD_OFFSET, sizeof(store) + VIRTIO_CSWAP_TAG_SIZE, VRING_DESC_F_NEXT, 1);
	put(REQUEST, 1, CTRL_OFFSET, PAGE, 0, 0);
}

static void put_data_buffer(void)
{
	put(RESPONSE, 0, BUFFER_OFFSET, VIRTIO_CSWAP_DATA_OFFSET(1),
	    VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	put(RESPONSE, 1, BUFFER_OFFSET + PAGE, PAGE, VRING_DESC_F_WRITE, 0);
}

static struct ring *ring_of(unsigned int ring)
{
	return ring == CONTROL ? &control()->ring :
	       ring == REQUEST ? &pair()->request : &pair()->response;
}

static unsigned int taken(unsigned int ring)
{
	return ring_of(ring)->vring.last_avail;
}

static void expect_whole(void)
{
	assert_false(pair()->broken);
	assert_null(control()->ring.vring.broken);
}

static void attach_all(void)
{
	unsigned int i;

	for (i = 0; i < RINGS; i++)
		assert_null(attach(i));
}

/* --- what must hold --- */

static void rings_go(void **state)
{
	unsigned int gone, ring;
	uint16_t posted = 0;

	(void)state;
	attach_all();
	for (gone = 0; gone < RINGS; gone++) {
		ring_away(gone);
		assert_int_equal(ring_of(gone)->state, RING_AWAY);
		for (ring = 0; ring < RINGS; ring++)
			post_heads(ring, posted + 1);
		run();
		/* Of a pair both rings are away when one is. */
		for (ring = 0; ring < RINGS; ring++)
			assert_int_equal(taken(ring), posted + ((gone == CONTROL) != (ring == CONTROL)));
		ring_back(gone);
		assert_int_equal(ring_of(gone)->state, RING_SERVED);
		posted++;
		run();
		for (ring = 0; ring < RINGS; ring++)
			assert_int_equal(taken(ring), posted);
		expect_whole();
	}
}

static void a_request_goes(void **state)
{
	(void)state;
	attach_all();
	take_away(LOAD_OFFSET, PAGE);
	post_heads(REQUEST, 1);
	run();
	assert_int_equal(taken(REQUEST), 0);
	bring_back(LOAD_OFFSET, PAGE);
	run();
	assert_int_equal(taken(REQUEST), 1);
	expect_whole();
}

/* The request is there, and its data buffer was taken before it went. */
static void a_data_buffer_goes(void **state)
{
	(void)state;
	attach_all();
	put_data_buffer();
	post_heads(RESPONSE, 1);
	run();
	assert_int_equal(pair()->data.count, 1);
	buffers_away();
	post_heads(REQUEST, 1);
	run();
	assert_int_equal(taken(REQUEST), 1);
	assert_int_equal(used_of(RESPONSE)->idx, 0);
	buffers_back();
	run();
	assert_int_equal(used_of(RESPONSE)->idx, 1);
	expect_whole();
}

static void an_ack_buffer_goes(void **state)
{
	(void)state;
	attach_all();
	post_heads(RESPONSE, 2);
	run();
	buffers_away();
	put_store();
	post_heads(REQUEST, 1);
	run();
	assert_int_equal(used_of(REQUEST)->idx, 1);
	assert_int_equal(used_of(RESPONSE)->idx, 0);
	buffers_back();
	run();
	assert_int_equal(used_of(RESPONSE)->idx, 1);
	expect_whole();
}

/* Posted while it's away, and so not looked at before. */
static void a_posted_buffer_goes(void **state)
{
	(void)state;
	attach_all();
	buffers_away();
	post_heads(RESPONSE, 2);
	run();
	assert_int_equal(taken(RESPONSE), 0);
	buffers_back();
	run();
	assert_int_equal(taken(RESPONSE), 2);
	expect_whole();
}

static void begin_discard(void)
{
	holds = true;
	discards = 0;
	put_discard();
	attach_all();
	post_heads(CONTROL, 1);
	while (!held)
		run();
}

/* The medium is done with it. */
static void end_discard(void)
{
	holds = false;
	worker_hurry(world->set);
	run();
	assert_null(held);
}

static void a_discard_ends_without_ring(void **state)
{
	(void)state;
	begin_discard();
	ring_away(CONTROL);
	end_discard();
	assert_int_equal(used_of(CONTROL)->idx, 0);
	ring_back(CONTROL);
	run();
	assert_int_equal(used_of(CONTROL)->idx, 1);
	assert_int_equal(discards, 1);
	expect_whole();
}

static void a_discard_ends_without_answer(void **state)
{
	(void)state;
	begin_discard();
	buffers_away();
	end_discard();
	assert_int_equal(used_of(CONTROL)->idx, 0);
	buffers_back();
	run();
	assert_int_equal(used_of(CONTROL)->idx, 1);
	assert_int_equal(discards, 1);
	expect_whole();
}

static void expect_discarded_again(void)
{
	assert_null(attach_at(CONTROL, 1));
	run();
	assert_int_equal(used_of(CONTROL)->idx, 1);
	assert_int_equal(discards, 2);
	expect_whole();
}

/* The queue stops, and no thread waits for what can't be put back. It starts where it stopped. */
static void control_stops_without_ring(void **state)
{
	(void)state;
	begin_discard();
	ring_away(CONTROL);
	end_discard();
	assert_int_equal(worker_detach(world->set, CONTROL), 1);
	ring_back(CONTROL);
	expect_discarded_again();
}

static void control_stops_without_answer(void **state)
{
	(void)state;
	begin_discard();
	buffers_away();
	end_discard();
	assert_int_equal(worker_detach(world->set, CONTROL), 1);
	buffers_back();
	expect_discarded_again();
}

/* The same without a round in between, in which the worker would look at what is done. */
static void control_stops_without_rounds(void **state)
{
	(void)state;
	begin_discard();
	ring_away(CONTROL);
	end_discard();
	worker_ask(world->set, (struct worker_need) { .still = WORKER_ALL });
	assert_int_equal(worker_detach(world->set, CONTROL), 1);
	ring_back(CONTROL);
	assert_null(attach_at(CONTROL, 1));
	worker_ask(world->set, (struct worker_need) { .still = WORKER_RUNS });
	run();
	assert_int_equal(used_of(CONTROL)->idx, 1);
	expect_whole();
}

static void an_event_goes(void **state)
{
	(void)state;
	attach_all();
	post_heads(CONTROL, 1);
	run();
	assert_int_equal(control()->events.count, 1);
	buffers_away();
	balloon_set_target(&world->balloon, PAGE);
	worker_tell_target(world->set);
	run();
	assert_int_equal(control()->events.count, 1);
	buffers_back();
	run();
	assert_int_equal(used_of(CONTROL)->idx, 1);
	expect_whole();
	balloon_set_target(&world->balloon, 0);
}

static void a_pair_stops_without_ring(void **state)
{
	unsigned int gone;

	(void)state;
	attach_all();
	put_data_buffer();
	post_heads(REQUEST, 1);
	run();
	for (gone = REQUEST; gone <= RESPONSE; gone++) {
		ring_away(gone);
		assert_int_equal(worker_detach(world->set, REQUEST), 1);
		assert_int_equal(worker_detach(world->set, RESPONSE), 0);
		ring_back(gone);
		assert_null(attach_at(REQUEST, 1));
		assert_null(attach_at(RESPONSE, 0));
	}
	post_heads(RESPONSE, 1);
	run();
	assert_int_equal(used_of(REQUEST)->idx, 1);
	assert_int_equal(used_of(RESPONSE)->idx, 1);
	expect_whole();
}

/* Its requests are in the log, until the other ring is there; it has gone when that comes. */
static void half_a_pair_goes(void **state)
{
	(void)state;
	pair_log()->request_ring.state = INFLIGHT_RING_SERVED;
	pair_log()->request[5] = (struct inflight_request) { .chain = INFLIGHT_HELD, .head = 0 };
	post_heads(REQUEST, 1);
	assert_null(attach(REQUEST));
	ring_away(REQUEST);
	pair_log()->response_ring.state = INFLIGHT_RING_SERVED;
	assert_null(attach(RESPONSE));
	run();
	assert_int_equal(used_of(REQUEST)->idx, 0);
	ring_back(REQUEST);
	assert_true(blockmap_any(&world->balloon.pinned, GUEST_GPA + REQUEST * RING_BYTES, PAGE));
	run();
	assert_int_equal(used_of(REQUEST)->idx, 1);
	expect_whole();
}

/* --- the worker dies meanwhile --- */

/* The next one knows what the log says, and which memory has gone. */
static void next_worker(void)
{
	unsigned int i;

	worker_stop(world->set);
	assert_int_equal(start_workers(), 0);
	for (i = 0; i < RINGS; i++)
		assert_null(attach_ring(i, 0, true));
}

static void post_all(uint16_t count)
{
	unsigned int ring;

	for (ring = 0; ring < RINGS; ring++)
		post_heads(ring, count);
	run();
}

static void expect_held(unsigned int count)
{
	run();
	assert_int_equal(kept_responses(), count);
	assert_int_equal(control()->events.count, count);
	assert_int_equal(taken(CONTROL), count);
	assert_int_equal(taken(REQUEST), count);
	assert_int_equal(taken(RESPONSE), count);
	expect_whole();
}

/* All that was posted is taken in the end, what came before the @deaths and what came after them. */
static void die_without_ring(unsigned int gone, unsigned int deaths, uint16_t *posted)
{
	unsigned int i;

	post_all(++*posted);
	ring_away(gone);
	for (i = 0; i < deaths; i++)
		next_worker();
	assert_int_equal(ring_of(gone)->state, RING_HALF);
	post_all(++*posted);
	for (i = 0; i < RINGS; i++)
		assert_int_equal(taken(i), *posted - ((gone == CONTROL) == (i == CONTROL)));
	ring_back(gone);
	assert_int_equal(ring_of(gone)->state, RING_SERVED);
	expect_held(*posted);
}

static void workers_die_without_ring(void **state)
{
	unsigned int gone, deaths;
	uint16_t posted = 0;

	(void)state;
	attach_all();
	for (gone = 0; gone < RINGS; gone++)
		for (deaths = 1; deaths <= 2; deaths++)
			die_without_ring(gone, deaths, &posted);
}

static void a_worker_dies_without_buffers(void **state)
{
	const struct blockmap *pinned = &world->balloon.pinned;

	(void)state;
	attach_all();
	post_all(5);
	buffers_away();
	next_worker();
	assert_int_equal(control()->ring.state, RING_HALF);
	assert_int_equal(pair()->response.state, RING_HALF);
	run();
	assert_int_equal(kept_responses() + control()->events.count, 0);
	/* The rings may go, too, and all of it comes again in whatever order. */
	ring_away(CONTROL);
	buffers_back();
	ring_away(RESPONSE);
	ring_back(CONTROL);
	ring_back(RESPONSE);
	expect_held(5);
	assert_true(blockmap_any(pinned, GUEST_GPA + RESPONSE * RING_BYTES, PAGE));
	assert_true(blockmap_any(pinned, GUEST_GPA + BUFFER_OFFSET, PAGE));
}

static void a_worker_dies_with_a_discard_done(void **state)
{
	(void)state;
	begin_discard();
	ring_away(CONTROL);
	end_discard();
	next_worker();
	run();
	assert_int_equal(discards, 1);
	ring_back(CONTROL);
	run();
	assert_int_equal(used_of(CONTROL)->idx, 1);
	assert_int_equal(discards, 2);
	expect_whole();
}

static void rings_stop_after_a_death(void **state)
{
	unsigned int gone, ring;

	(void)state;
	attach_all();
	post_all(1);
	for (gone = 0; gone < RINGS; gone++) {
		ring_away(gone);
		next_worker();
		for (ring = 0; ring < RINGS; ring++)
			assert_int_equal(worker_detach(world->set, ring), 1);
		ring_back(gone);
		for (ring = 0; ring < RINGS; ring++)
			assert_null(attach_at(ring, 1));
		expect_held(1);
	}
}

/* The log, which the front end may keep, and the ring must agree when the ring is there. */
static void a_ring_comes_with_another_index(void **state)
{
	(void)state;
	attach_all();
	ring_away(RESPONSE);
	next_worker();
	used_of(RESPONSE)->idx = 7;
	ring_back(RESPONSE);
	run();
	assert_true(pair()->broken);
	assert_null(control()->ring.vring.broken);
}

static void nobody_knows_what_was_shown(void **state)
{
	(void)state;
	attach_all();
	ring_away(RESPONSE);
	worker_stop(world->set);
	assert_int_equal(start_workers(), 0);
	pair_log()->response_ring.to++;
	assert_string_equal(attach_ring(RESPONSE, 0, true), "nobody knows what the guest was shown");
}

/* --- what isn't to come again --- */

/* What was never shared, or isn't to come again, is a fault of the guest's. */
static void others_are_refused(void **state)
{
	(void)state;
	attach_all();
	take_away(LOAD_OFFSET, PAGE);
	put(REQUEST, 0, WORLD_BYTES, 64, 0, 0);
	post_heads(REQUEST, 1);
	run();
	assert_true(pair()->broken);
}

/* What the device may write to must not be released, also when it comes again. */
static void marks_come_again(void **state)
{
	const struct blockmap *pinned = &world->balloon.pinned;

	(void)state;
	attach_all();
	post_heads(RESPONSE, 1);
	run();
	ring_away(RESPONSE);
	buffers_away();
	assert_false(blockmap_any(pinned, GUEST_GPA + RESPONSE * RING_BYTES, PAGE));
	assert_false(blockmap_any(pinned, GUEST_GPA + BUFFER_OFFSET, PAGE));
	ring_back(RESPONSE);
	buffers_back();
	assert_true(blockmap_any(pinned, GUEST_GPA + RESPONSE * RING_BYTES, PAGE));
	assert_true(blockmap_any(pinned, GUEST_GPA + BUFFER_OFFSET, PAGE));
	expect_whole();
}

/* --- what is released --- */

static void set_released(uint64_t offset, uint64_t bytes, bool released)
{
	const struct device_control control = {
		.op = released ? DEVICE_RELEASE : DEVICE_RECLAIM,
		.count = 1,
		.range = { { GUEST_GPA + offset, bytes } },
	};

	worker_pause(world->set);
	balloon_set_released(&world->balloon, &control, released);
	worker_resume(world->set);
}

static uint64_t released(void)
{
	struct balloon_state state;

	balloon_get(&world->balloon, &state);
	return state.released_bytes;
}

/* As after a death: what was noted is all that is known. */
static void renew_balloon(void)
{
	worker_pause(world->set);
	balloon_free(&world->balloon);
	balloon_init(&world->balloon, PAGE);
	balloon_keep(&world->balloon, balloon_log);
	balloon_restore(&world->balloon);
	worker_resume(world->set);
}

/* By address: a region may come again with other borders. */
static void released_blocks_come_again(void **state)
{
	const struct blockmap *map = &world->balloon.released;

	(void)state;
	set_released(BUFFER_OFFSET, 2 * PAGE, true);
	set_released(LOAD_OFFSET, PAGE, true);
	buffers_away();
	assert_int_equal(released(), PAGE);
	bring_back(BUFFER_OFFSET + PAGE, PAGE);
	assert_int_equal(released(), 2 * PAGE);
	assert_false(blockmap_any(map, GUEST_GPA + BUFFER_OFFSET, PAGE));
	assert_true(blockmap_any(map, GUEST_GPA + BUFFER_OFFSET + PAGE, PAGE));
	bring_back(BUFFER_OFFSET, PAGE);
	assert_int_equal(released(), 3 * PAGE);
	set_released(BUFFER_OFFSET, PAGE, false);
	assert_int_equal(released(), 2 * PAGE);
	take_away(LOAD_OFFSET, PAGE);
	bring_back(LOAD_OFFSET, PAGE);
	assert_int_equal(released(), 2 * PAGE);
}

/* A process that dies while memory is away is followed by one that knows as much. */
static void a_successor_knows_what_is_released(void **state)
{
	(void)state;
	set_released(BUFFER_OFFSET, 2 * PAGE, true);
	set_released(LOAD_OFFSET, PAGE, true);
	buffers_away();
	renew_balloon();
	assert_int_equal(released(), PAGE);
	buffers_back();
	assert_int_equal(released(), 3 * PAGE);
}

/* A guest that begins anew has released nothing, wherever memory was then. */
static void a_reset_forgets_what_is_away(void **state)
{
	(void)state;
	set_released(BUFFER_OFFSET, 2 * PAGE, true);
	buffers_away();
	worker_forget(world->set);
	buffers_back();
	assert_int_equal(released(), 0);
}

/* Of the response ring's place, where no ring is attached, and of one that stays. */
static void put_reclaim(void)
{
	const struct virtio_cswap_ctrl ctrl = { .op = VIRTIO_CSWAP_CTRL_RECLAIM, .count = 2 };
	const struct virtio_cswap_mem_range range[] = {
		{ .addr = GUEST_GPA + RESPONSE * RING_BYTES, .len = RING_BYTES },
		{ .addr = GUEST_GPA + REQUEST * RING_BYTES, .len = PAGE },
	};

	memcpy(world->guest + CTRL_OFFSET, &ctrl, sizeof(ctrl));
	memcpy(world->guest + CTRL_OFFSET + sizeof(ctrl), range, sizeof(range));
	put(CONTROL, 0, CTRL_OFFSET, sizeof(ctrl) + sizeof(range), VRING_DESC_F_NEXT, 1);
	put(CONTROL, 1, BUFFER_OFFSET, sizeof(struct virtio_cswap_ctrl_response), VRING_DESC_F_WRITE, 0);
}

/* The guest uses its memory whatever is answered; it hasn't noticed that a part of it is away. */
static void what_is_away_is_reclaimed(void **state)
{
	const struct virtio_cswap_ctrl_response *response = (void *)(world->guest + BUFFER_OFFSET);

	(void)state;
	put_reclaim();
	assert_null(attach(CONTROL));
	set_released(RESPONSE * RING_BYTES + PAGE, 2 * PAGE, true);
	set_released(REQUEST * RING_BYTES, 2 * PAGE, true);
	set_released(LOAD_OFFSET, PAGE, true);
	ring_away(RESPONSE);
	take_away(LOAD_OFFSET, PAGE);
	assert_int_equal(released(), 2 * PAGE);
	post_heads(CONTROL, 1);
	run();
	assert_int_equal(used_of(CONTROL)->idx, 1);
	assert_int_equal(response->status, VIRTIO_CSWAP_S_OK);
	assert_int_equal(released(), PAGE);
	ring_back(RESPONSE);
	assert_int_equal(released(), PAGE);
	bring_back(LOAD_OFFSET, PAGE);
	assert_int_equal(released(), 2 * PAGE);
	renew_balloon();
	assert_int_equal(released(), 2 * PAGE);
}

/* --- regions --- */

static int make_regions(void **state)
{
	unsigned int i;

	holds = false;
	held = NULL;
	if (make_world(state))
		return -1;
	worker_forget(world->set);
	worker_pause(world->set);
	memory_clear(&world->memory);
	worker_resume(world->set);
	for (i = 0; i < RINGS; i++)
		ring_back(i);
	bring_back(CTRL_OFFSET, PAGE);
	bring_back(LOAD_OFFSET, PAGE);
	buffers_back();
	return 0;
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, make_regions, end_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(rings_go), CASE(a_request_goes), CASE(a_data_buffer_goes), CASE(an_ack_buffer_goes),
		CASE(a_posted_buffer_goes), CASE(a_discard_ends_without_ring),
		CASE(a_discard_ends_without_answer), CASE(control_stops_without_ring),
		CASE(control_stops_without_answer), CASE(control_stops_without_rounds),
		CASE(an_event_goes), CASE(a_pair_stops_without_ring),
		CASE(half_a_pair_goes), CASE(workers_die_without_ring),
		CASE(a_worker_dies_without_buffers), CASE(a_worker_dies_with_a_discard_done),
		CASE(rings_stop_after_a_death), CASE(a_ring_comes_with_another_index),
		CASE(nobody_knows_what_was_shown), CASE(others_are_refused), CASE(marks_come_again),
		CASE(released_blocks_come_again), CASE(a_successor_knows_what_is_released),
		CASE(a_reset_forgets_what_is_away), CASE(what_is_away_is_reclaimed),
	};

	if (open_world())
		return 1;
	balloon_log = mmap(NULL, sizeof(*balloon_log), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (balloon_log == MAP_FAILED)
		return 1;
	balloon_keep(&world->balloon, balloon_log);
	real_ops = world->store->ops;
	holding_ops = *real_ops;
	holding_ops.trim = holding_trim;
	holding_ops.hurry = holding_hurry;
	world->store->ops = &holding_ops;
	return cmocka_run_group_tests_name("away", tests, NULL, NULL);
}
