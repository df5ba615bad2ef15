// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_still.c - a standstill waits for what the store does by itself.
 *
 * The medium is full, and a STORE has what is owed punched. The STORE ends before the punch does, as others freed
 * space. When all stands still the store may go to another daemon, so the punch must have ended.
 */
/* More than one chunk (owed.h): a STORE doesn't wait for a punch in another. */
#define SLOTS 1024

#include "test_world.h"
#include "store/store_slots.h"

#include <poll.h>

/* A medium in memory, which is no memory to the layer above: discards are owed. */
static struct store_ops engine_ops;
static bool full;			/* for one write */
static bool lets_go;			/* of what it holds, when it's in a hurry; both change while the worker is paused */
static struct store_op *held;		/* a punch */
static bool going;			/* it's told to end */

static void engine_write(struct store_lane *lane, struct store_op *op)
{
	if (!full) {
		store_mem_ops.write(lane, op);
		return;
	}
	full = false;
	op->error = -ENOSPC;
	lane->done(lane->context, op);
}

static void engine_trim(struct store_lane *lane, struct store_op *op)
{
	(void)lane;
	held = op;
}

/* The punch ends by a completion, as the kernel's do, and not at once. */
static void engine_hurry(struct store_lane *lane)
{
	struct io_uring_sqe *sqe;

	if (!held || !lets_go || going)
		return;
	sqe = store_get_sqe(lane->ring);
	assert_non_null(sqe);
	io_uring_prep_nop(sqe);
	store_tag_sqe(sqe, held, STORE_PART_DATA);
	going = true;
}

static void engine_complete(struct store_lane *lane, struct store_op *op, enum store_part part, int result)
{
	(void)part;
	(void)result;
	held = NULL;
	going = false;
	store_mem_ops.trim(lane, op);
}

static struct store *open_engine(void)
{
	struct store *engine = store_mem_ops.open(NULL, SLOTS);

	if (!engine)
		return NULL;
	engine_ops = store_mem_ops;
	engine_ops.write = engine_write;
	engine_ops.trim = engine_trim;
	engine_ops.hurry = engine_hurry;
	engine_ops.complete = engine_complete;
	engine->ops = &engine_ops;
	engine->facts.medium = VIRTIO_CSWAP_MEDIUM_FLASH;
	engine->facts.pages = NULL;
	return engine;
}

/* --- the guest --- */

static void await_used(unsigned int ring, uint16_t count)
{
	while (used_of(ring)->idx < count) {
		worker_pause(world->set);
		worker_resume(world->set);
	}
}

/* The request of this number, from 0 on. */
static void store_slot(uint16_t number, uint64_t slot)
{
	const struct virtio_cswap_request store = {
		.op = VIRTIO_CSWAP_OP_STORE, .count = 1, .cookie = number, .slot = slot,
	};
	const uint16_t data = 100 + number;

	memcpy(world->guest + LOAD_OFFSET, &store, sizeof(store));
	/* A tag of zeros is none. */
	memset(world->guest + LOAD_OFFSET + sizeof(store), 0xa5, VIRTIO_CSWAP_TAG_SIZE);
	put(REQUEST, number, LOAD_OFFSET, sizeof(store) + VIRTIO_CSWAP_TAG_SIZE, VRING_DESC_F_NEXT, data);
	put(REQUEST, data, BUFFER_OFFSET + PAGE, PAGE, 0, 0);
	post_heads(REQUEST, number + 1);
	await_used(REQUEST, number + 1);
}

static void discard_slot(uint64_t slot)
{
	const struct virtio_cswap_ctrl ctrl = { .op = VIRTIO_CSWAP_CTRL_DISCARD, .count = 1 };
	const struct virtio_cswap_range range = { .start = slot, .count = 1 };

	memcpy(world->guest + CTRL_OFFSET, &ctrl, sizeof(ctrl));
	memcpy(world->guest + CTRL_OFFSET + sizeof(ctrl), &range, sizeof(range));
	put(CONTROL, 0, CTRL_OFFSET, sizeof(ctrl) + sizeof(range), VRING_DESC_F_NEXT, 100);
	put(CONTROL, 100, BUFFER_OFFSET, sizeof(struct virtio_cswap_ctrl_response), VRING_DESC_F_WRITE, 0);
	post_heads(CONTROL, 1);
	await_used(CONTROL, 1);
}

/* --- what must hold --- */

static void stand_still_for_good(void)
{
	struct pollfd still = { .fd = worker_still_fd(world->set), .events = POLLIN };

	worker_ask(world->set, (struct worker_need) { .still = WORKER_ALL });
	while (!worker_is_still(world->set))
		poll(&still, 1, -1);
}

static void a_standstill_waits_for_a_punch(void **state)
{
	(void)state;
	assert_null(attach(CONTROL));
	assert_null(attach(REQUEST));
	assert_null(attach(RESPONSE));
	post_heads(RESPONSE, 8);
	store_slot(0, 600);
	discard_slot(600);
	assert_int_equal(store_get_use(world->store).owed_slots, 1);
	assert_null(held);
	worker_pause(world->set);
	full = true;
	worker_resume(world->set);
	store_slot(1, 0);
	worker_pause(world->set);
	assert_false(full);
	assert_non_null(held);
	lets_go = true;
	worker_resume(world->set);
	stand_still_for_good();
	assert_null(held);
	assert_int_equal(store_get_use(world->store).owed_slots, 0);
	worker_ask(world->set, (struct worker_need) { .still = WORKER_RUNS });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_standstill_waits_for_a_punch, make_world, end_world),
	};

	if (open_world())
		return 1;
	store_close(world->store);
	world->store = store_slots_wrap(open_engine(), -1);
	if (!world->store || !world->store->ops->activate(world->store))
		return 1;
	return cmocka_run_group_tests_name("still", tests, NULL, NULL);
}
