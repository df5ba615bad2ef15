// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_device_state.c - what a device takes along when its guest moves, and what somebody made of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "life/device_state.h"

#define SLOTS 10000
#define GUEST_GPA 0x40000000
#define GUEST_BYTES (64 << 20)
#define BLOCK_BYTES (2 << 20)

/* A store that has tags and nothing else. */
struct tags_only {
	struct store store;
	struct virtio_cswap_tag tag[SLOTS];
	bool fails;
};

struct end {
	struct device_limits limits;
	struct store_identity identity;
	struct tags_only store;
	struct balloon balloon;
	struct balloon_log *balloon_log;
	struct memory memory;
	struct inflight log;
	struct worker_counters counters;
	struct device_state device;
};

struct bench {
	struct end from, to;
	uint8_t *state;
	uint64_t room, bytes;
};

static bool get_tags(struct store *store, uint64_t slot, struct virtio_cswap_tag *to,
		     unsigned int count)
{
	struct tags_only *tags = (struct tags_only *)store;

	assert_true(slot + count <= SLOTS);
	memcpy(to, &tags->tag[slot], count * sizeof(*to));
	return !tags->fails;
}

static bool put_tags(struct store *store, uint64_t slot, const struct virtio_cswap_tag *from,
		     unsigned int count)
{
	struct tags_only *tags = (struct tags_only *)store;

	assert_true(slot + count <= SLOTS);
	memcpy(&tags->tag[slot], from, count * sizeof(*from));
	return !tags->fails;
}

static const struct store_move_ops move_ops = { .get_tags = get_tags, .put_tags = put_tags };
static const struct store_ops ops = { .move = &move_ops };

static void *map(uint64_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(at != MAP_FAILED);
	return at;
}

static void init_end(struct end *end)
{
	end->limits = (struct device_limits) {
		.capacity = SLOTS, .queue_pairs = 2, .block_bytes = BLOCK_BYTES,
		.report_period_ms = 1000, .release_method = VIRTIO_CSWAP_RELEASE_DISCARD,
	};
	memset(end->identity.id, 7, sizeof(end->identity.id));
	end->store.store.ops = &ops;
	end->balloon_log = map(sizeof(*end->balloon_log));
	balloon_init(&end->balloon, BLOCK_BYTES);
	balloon_keep(&end->balloon, end->balloon_log);
	assert_null(memory_add_mapped(&end->memory, GUEST_GPA, 0x7f0000000000, GUEST_BYTES,
				      map(GUEST_BYTES)));
	balloon_follow(&end->balloon, &end->memory);
	end->device = (struct device_state) {
		&end->limits, &end->identity, &end->store.store, &end->balloon, &end->memory,
		&end->log, &end->counters, { .number = "a move" },
	};
	memset(end->device.ticket.id, 7, sizeof(end->device.ticket.id));
}

static int setup(void **state)
{
	struct bench *b = map(sizeof(*b));
	unsigned int i;

	init_end(&b->from);
	init_end(&b->to);
	/* Another host has other names for the same store. */
	b->to.identity.inode[0] = 4711;
	/* Every other one, some in a row, and the last one. */
	for (i = 0; i < SLOTS; i++)
		if (i % 2 || (i > 100 && i < 6000) || i == SLOTS - 1)
			memset(&b->from.store.tag[i], (int)(i % 255) + 1, STORE_TAG_SIZE);
	memset(&b->from.log, 3, sizeof(b->from.log));
	b->from.counters.stores = 42;
	b->from.balloon_log->released[GUEST_GPA / BLOCK_BYTES / 64] = 0x1003;
	balloon_restore(&b->from.balloon);
	balloon_set_target(&b->from.balloon, 8 << 20);
	b->room = device_state_room(&b->from.limits);
	b->state = map(b->room);
	b->bytes = device_state_write(&b->from.device, b->state);
	assert_true(b->bytes && b->bytes <= b->room);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	balloon_free(&b->from.balloon);
	balloon_free(&b->to.balloon);
	munmap(b->from.balloon_log, sizeof(*b->from.balloon_log));
	munmap(b->to.balloon_log, sizeof(*b->to.balloon_log));
	munmap(b->state, b->room);
	munmap(b, sizeof(*b));
	return 0;
}

static void all_of_it_arrives(void **state)
{
	struct bench *b = *state;
	struct balloon_state balloon;

	assert_null(device_state_check(&b->to.device, b->state, b->bytes));
	assert_true(device_state_apply(&b->to.device, b->state));
	assert_memory_equal(b->to.store.tag, b->from.store.tag, sizeof(b->to.store.tag));
	assert_memory_equal(&b->to.log, &b->from.log,
			    offsetof(struct inflight, pair) + 2 * sizeof(struct inflight_pair));
	assert_int_equal(b->to.counters.stores, 42);
	assert_int_equal(balloon_get_target(&b->to.balloon), 8 << 20);
	balloon_restore(&b->to.balloon);
	balloon_get(&b->to.balloon, &balloon);
	assert_int_equal(balloon.released_bytes, 3 * BLOCK_BYTES);
}

/* The ticket is for who takes the store, where that takes time: it isn't this daemon's own store by its name. */
static void ticket_arrives(void **state)
{
	struct bench *b = *state;
	struct store_ticket ticket;

	memset(b->to.identity.id, 8, sizeof(b->to.identity.id));
	assert_non_null(device_state_check(&b->to.device, b->state, b->bytes));
	b->to.store.store.facts.flags = STORE_BY_TICKET;
	assert_null(device_state_check(&b->to.device, b->state, b->bytes));
	ticket = device_state_ticket(b->state);
	assert_memory_equal(&ticket, &b->from.device.ticket, sizeof(ticket));
}

/* Cut anywhere, or with something behind it, it's none. */
static void no_part_is_enough(void **state)
{
	struct bench *b = *state;
	uint64_t bytes;

	for (bytes = 0; bytes < b->bytes; bytes += bytes < 300 ? 1 : 997)
		assert_non_null(device_state_check(&b->to.device, b->state, bytes));
	assert_non_null(device_state_check(&b->to.device, b->state, b->bytes + 1));
}

static void another_device_is_refused(void **state)
{
	struct bench *b = *state;
	const struct device_limits limits = b->to.limits;
	const char *const whose = "of a guest whose pages are in another store: start with that one";

	b->to.limits.capacity--;
	assert_string_equal(device_state_check(&b->to.device, b->state, b->bytes),
			    "of a device with another --size");
	b->to.limits = limits;
	b->to.limits.queue_pairs = 1;
	assert_string_equal(device_state_check(&b->to.device, b->state, b->bytes),
			    "of a device with other --queues");
	b->to.limits = limits;
	b->to.limits.release_method = VIRTIO_CSWAP_RELEASE_CONVERT;
	assert_string_equal(device_state_check(&b->to.device, b->state, b->bytes),
			    "of a device with another --release");
	b->to.limits = limits;
	b->to.identity.id[0][3] ^= 1;
	assert_string_equal(device_state_check(&b->to.device, b->state, b->bytes), whose);
}

/* What is accepted can be applied: nothing is touched that isn't the device's. */
static void any_changed_word_is_harmless(void **state)
{
	struct bench *b = *state;
	static const uint64_t words[] = { 0, 1, 4097, SLOTS, SLOTS - 1, 1ULL << 32, UINT64_MAX,
		UINT64_MAX / 16, UINT64_MAX - 100 };
	uint64_t at, old;
	unsigned int i;

	for (at = 0; at + 8 <= b->bytes; at += at < 400 || at + 800 > b->bytes ? 8 : 8 * 997) {
		memcpy(&old, b->state + at, 8);
		for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			memcpy(b->state + at, &words[i], 8);
			if (!device_state_check(&b->to.device, b->state, b->bytes))
				device_state_apply(&b->to.device, b->state);
		}
		memcpy(b->state + at, &old, 8);
	}
}

static void the_largest_has_room(void **state)
{
	struct bench *b = *state;
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		memset(&b->from.store.tag[i], i % 2 ? 1 : 0, STORE_TAG_SIZE);
	assert_true(device_state_write(&b->from.device, b->state) <= b->room);
	memset(b->from.store.tag, 1, sizeof(b->from.store.tag));
	assert_true(device_state_write(&b->from.device, b->state) <= b->room);
}

static void errors_of_the_store_are_told(void **state)
{
	struct bench *b = *state;

	b->to.store.fails = true;
	assert_false(device_state_apply(&b->to.device, b->state));
	b->from.store.fails = true;
	assert_int_equal(device_state_write(&b->from.device, b->state), 0);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(all_of_it_arrives),
		CASE(ticket_arrives),
		CASE(no_part_is_enough),
		CASE(another_device_is_refused),
		CASE(any_changed_word_is_harmless),
		CASE(the_largest_has_room),
		CASE(errors_of_the_store_are_told),
	};

	return cmocka_run_group_tests_name("device_state", tests, NULL, NULL);
}
