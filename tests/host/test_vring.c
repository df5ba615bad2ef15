// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_vring.c - the device's side of a ring, and what a guest may do to it.
 */
#include "test_ring.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE

static void expect_broken(struct test_ring *t, const char *why)
{
	assert_int_equal(pop(t), VRING_BROKEN);
	assert_string_equal(t->vring.broken, why);
	/* It stays broken, whatever the guest does now. */
	put_desc(t, 0, DATA_OFFSET, 32, 0, 0);
	post(t, 0);
	assert_int_equal(pop(t), VRING_BROKEN);
	assert_false(vring_has_avail(&t->vring));
}

/* --- setting up --- */

static void attach_refuses(struct test_ring *t, const char *why)
{
	assert_string_equal(vring_attach(&t->vring, &t->memory, &t->setup),
			    why);
	assert_non_null(t->vring.broken);
}

static void refuses_bad_sizes(void **state)
{
	static const uint16_t sizes[] = { 0, 3, 15, 2048, 32768, 65535 };
	struct test_ring *t = *state;
	unsigned int i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		t->setup.num = sizes[i];
		attach_refuses(t, "ring size is not a power of two up to 1024");
	}
}

static void refuses_bad_places(void **state)
{
	struct test_ring *t = *state;
	const struct vring_setup good = t->setup;
	const char *outside = "ring does not lie in shared memory";

	t->setup.desc_uva += 8;
	attach_refuses(t, "ring is misaligned");
	t->setup = good;
	t->setup.avail_uva += 1;
	attach_refuses(t, "ring is misaligned");
	t->setup = good;
	t->setup.used_uva += 2;
	attach_refuses(t, "ring is misaligned");
	t->setup = good;
	t->setup.desc_uva = GUEST_UVA + GUEST_BYTES - 16 * RING_NUM + 16;
	attach_refuses(t, outside);
	t->setup = good;
	t->setup.avail_uva = GUEST_UVA + GUEST_BYTES - 2 * RING_NUM - 4;
	attach_refuses(t, outside);
	t->setup = good;
	t->setup.used_uva = GUEST_UVA + GUEST_BYTES - 8 * RING_NUM - 4;
	attach_refuses(t, outside);
	t->setup = good;
	t->setup.used_uva = UINT64_MAX & ~(uint64_t)3;
	attach_refuses(t, outside);
	/* The guest's address is not the front end's. */
	t->setup = good;
	t->setup.desc_uva = GUEST_GPA;
	attach_refuses(t, outside);
	/* Just inside is fine. */
	t->setup = good;
	t->setup.used_uva = GUEST_UVA + GUEST_BYTES - 8 * RING_NUM - 8;
	test_ring_attach(t);
}

static void refuses_base_that_does_not_fit(void **state)
{
	struct test_ring *t = *state;

	t->used->idx = 10;
	t->setup.base = 10 + RING_NUM + 1;
	attach_refuses(t, "ring's base and used index do not fit together");
	t->setup.base = 9;
	attach_refuses(t, "ring's base and used index do not fit together");
	t->setup.base = 10 + RING_NUM;
	test_ring_attach(t);
	assert_int_equal(vring_outstanding(&t->vring), RING_NUM);
}

/* --- popping --- */

static void pops_chains(void **state)
{
	struct test_ring *t = *state;
	uint8_t copy[48];

	assert_int_equal(pop(t), VRING_EMPTY);
	put_desc(t, 3, DATA_OFFSET, 32, NEXT, 7);
	put_desc(t, 7, DATA_OFFSET + 100, 16, NEXT, 1);
	put_desc(t, 1, DATA_OFFSET + 4096, 4096, WRITE, 0);
	memset(t->guest + DATA_OFFSET, 'a', 32);
	memset(t->guest + DATA_OFFSET + 100, 'b', 16);
	post(t, 3);
	assert_true(vring_has_avail(&t->vring));
	assert_int_equal(pop(t), VRING_OK);
	assert_int_equal(t->chain.head, 3);
	assert_int_equal(t->chain.readable, 2);
	assert_int_equal(t->chain.writable, 1);
	assert_int_equal(t->chain.readable_bytes, 48);
	assert_int_equal(t->chain.writable_bytes, 4096);
	vring_copy_from(copy, t->chain.segment, 0, 48);
	assert_memory_equal(copy, t->guest + DATA_OFFSET, 32);
	assert_memory_equal(copy + 32, t->guest + DATA_OFFSET + 100, 16);
	vring_copy_from(copy, t->chain.segment, 31, 2);
	assert_memory_equal(copy, "ab", 2);
	vring_copy_to(t->chain.segment, 30, "xyz", 3);
	assert_memory_equal(t->guest + DATA_OFFSET + 30, "xy", 2);
	assert_memory_equal(t->guest + DATA_OFFSET + 100, "z", 1);
	assert_int_equal(pop(t), VRING_EMPTY);
	assert_int_equal(vring_outstanding(&t->vring), 1);
}

static void empty_descriptors_are_skipped(void **state)
{
	struct test_ring *t = *state;

	put_desc(t, 0, DATA_OFFSET, 0, NEXT, 1);
	put_desc(t, 1, DATA_OFFSET, 8, 0, 0);
	post(t, 0);
	assert_int_equal(pop(t), VRING_OK);
	assert_int_equal(t->chain.readable, 1);
	assert_int_equal(t->chain.readable_bytes, 8);
}

/* More chains than the ring has places, and past the wrap of the index. */
static void goes_round_and_round(void **state)
{
	struct test_ring *t = *state;
	unsigned int i;

	put_desc(t, 5, DATA_OFFSET, 32, 0, 0);
	for (i = 0; i < 3 * 65536; i++) {
		post(t, 5);
		assert_int_equal(pop(t), VRING_OK);
		vring_push(&t->vring, t->chain.head, i);
		assert_int_equal(t->used->idx, (uint16_t)i);
		assert_true(vring_publish(&t->vring));
		assert_false(vring_publish(&t->vring));
		assert_int_equal(t->used->idx, (uint16_t)(i + 1));
		assert_int_equal(t->used->ring[i % RING_NUM].id, 5);
		assert_int_equal(t->used->ring[i % RING_NUM].len, i);
	}
	assert_int_equal(pop(t), VRING_EMPTY);
}

static void index_jump_breaks(void **state)
{
	struct test_ring *t = *state;

	t->avail->idx = RING_NUM + 1;
	expect_broken(t, "available index jumped");
}

static void index_going_back_breaks(void **state)
{
	struct test_ring *t = *state;

	t->avail->idx = (uint16_t)-1;
	expect_broken(t, "available index jumped");
}

static void head_out_of_range_breaks(void **state)
{
	struct test_ring *t = *state;

	post(t, RING_NUM);
	expect_broken(t, "descriptor index out of range");
}

static void next_out_of_range_breaks(void **state)
{
	struct test_ring *t = *state;

	put_desc(t, 0, DATA_OFFSET, 32, NEXT, 0xffff);
	post(t, 0);
	expect_broken(t, "descriptor index out of range");
}

static void loop_breaks(void **state)
{
	struct test_ring *t = *state;

	put_desc(t, 0, DATA_OFFSET, 32, NEXT, 1);
	put_desc(t, 1, DATA_OFFSET, 32, NEXT, 0);
	post(t, 0);
	expect_broken(t, "descriptor chain is a loop");
}

static void loop_of_empty_ones_breaks(void **state)
{
	struct test_ring *t = *state;

	put_desc(t, 0, DATA_OFFSET, 0, NEXT, 0);
	post(t, 0);
	expect_broken(t, "descriptor chain is a loop");
}

static void longest_chain_is_fine(void **state)
{
	struct test_ring *t = *state;
	uint16_t i;

	for (i = 0; i < RING_NUM; i++)
		put_desc(t, i, DATA_OFFSET, 2, i < RING_NUM - 1 ? NEXT : 0,
			 i + 1);
	post(t, 0);
	assert_int_equal(pop(t), VRING_OK);
	assert_int_equal(t->chain.readable_bytes, 2 * RING_NUM);
}

static void address_outside_breaks(void **state)
{
	struct test_ring *t = *state;

	put_desc(t, 0, GUEST_BYTES, 32, 0, 0);
	post(t, 0);
	expect_broken(t, "descriptor points outside shared memory");
}

static void address_across_the_end_breaks(void **state)
{
	struct test_ring *t = *state;

	put_desc(t, 0, GUEST_BYTES - 16, 32, 0, 0);
	post(t, 0);
	expect_broken(t, "descriptor points outside shared memory");
}

static void address_that_wraps_breaks(void **state)
{
	struct test_ring *t = *state;

	t->desc[0].addr = UINT64_MAX - 15;
	t->desc[0].len = UINT32_MAX;
	post(t, 0);
	expect_broken(t, "descriptor points outside shared memory");
}

static void huge_length_breaks(void **state)
{
	struct test_ring *t = *state;

	put_desc(t, 0, DATA_OFFSET, UINT32_MAX, 0, 0);
	post(t, 0);
	expect_broken(t, "descriptor points outside shared memory");
}

static void indirect_breaks(void **state)
{
	struct test_ring *t = *state;

	put_desc(t, 0, DATA_OFFSET, 32, VRING_DESC_F_INDIRECT, 0);
	post(t, 0);
	expect_broken(t, "descriptor has unknown flags");
}

static void readable_behind_writable_breaks(void **state)
{
	struct test_ring *t = *state;

	put_desc(t, 0, DATA_OFFSET, 32, NEXT | WRITE, 1);
	put_desc(t, 1, DATA_OFFSET, 32, 0, 0);
	post(t, 0);
	expect_broken(t, "readable descriptor behind a writable one");
}

/* The same head again and again, without anything coming back. */
static void too_many_outstanding_breaks(void **state)
{
	struct test_ring *t = *state;
	unsigned int i;

	put_desc(t, 0, DATA_OFFSET, 32, 0, 0);
	for (i = 0; i < RING_NUM; i++) {
		post(t, 0);
		assert_int_equal(pop(t), VRING_OK);
	}
	post(t, 0);
	expect_broken(t, "more buffers than the ring has");
}

static void walk_checks_again(void **state)
{
	struct test_ring *t = *state;

	put_desc(t, 0, DATA_OFFSET, 32, 0, 0);
	post(t, 0);
	assert_int_equal(pop(t), VRING_OK);
	assert_int_equal(vring_walk(&t->vring, 0, &t->chain), VRING_OK);
	put_desc(t, 0, GUEST_BYTES, 32, 0, 0);
	assert_int_equal(vring_walk(&t->vring, 0, &t->chain), VRING_BROKEN);
}

/* A descriptor across neighbouring regions comes in pieces. */
static void regions_are_joined(void **state)
{
	struct test_ring *t = *state;
	uint8_t *more = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_null(memory_add_mapped(&t->memory, GUEST_GPA + GUEST_BYTES, 0,
				      4096, more));
	put_desc(t, 0, GUEST_BYTES - 8, 16, 0, 0);
	post(t, 0);
	assert_int_equal(pop(t), VRING_OK);
	assert_int_equal(t->chain.readable, 2);
	assert_ptr_equal(t->chain.segment[1].host, more);
	munmap(more, 4096);
}

/* A buffer that lies in a region which was removed isn't popped, and breaks nothing. */
static void what_has_gone_waits(void **state)
{
	struct test_ring *t = *state;
	const uint64_t gpa = GUEST_GPA + GUEST_BYTES, uva = GUEST_UVA + GUEST_BYTES;
	uint8_t *more = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);

	assert_null(memory_add_mapped(&t->memory, gpa, uva, 4096, more));
	assert_null(memory_remove(&t->memory, gpa, uva, 4096));
	/* It begins in memory that is there. */
	put_desc(t, 0, GUEST_BYTES - 16, 32, 0, 0);
	post(t, 0);
	assert_int_equal(pop(t), VRING_AWAY);
	assert_null(t->vring.broken);
	assert_int_equal(vring_outstanding(&t->vring), 0);
	assert_null(memory_add_mapped(&t->memory, gpa, uva, 4096, more));
	assert_int_equal(pop(t), VRING_OK);
	assert_int_equal(t->chain.readable_bytes, 32);
	/* What isn't to come again breaks it. */
	assert_null(memory_remove(&t->memory, gpa, uva, 4096));
	put_desc(t, 1, GUEST_BYTES + 4096, 32, 0, 0);
	post(t, 1);
	assert_int_equal(pop(t), VRING_BROKEN);
	munmap(more, 4096);
}

static void relocation_keeps_the_place(void **state)
{
	struct test_ring *t = *state;
	uint8_t *other = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	put_desc(t, 0, DATA_OFFSET, 32, 0, 0);
	post(t, 0);
	assert_int_equal(pop(t), VRING_OK);
	memcpy(other, t->guest, GUEST_BYTES);
	memory_clear(&t->memory);
	assert_string_equal(vring_relocate(&t->vring, &t->setup),
			    "ring does not lie in shared memory");
	assert_null(memory_add_mapped(&t->memory, GUEST_GPA, GUEST_UVA,
				      GUEST_BYTES, other));
	assert_null(vring_relocate(&t->vring, &t->setup));
	assert_int_equal(pop(t), VRING_EMPTY);
	vring_push(&t->vring, 0, 0);
	vring_publish(&t->vring);
	assert_int_equal(((struct vring_used *)(other + USED_OFFSET))->idx, 1);
	assert_int_equal(t->used->idx, 0);
	munmap(other, GUEST_BYTES);
}

/* --- notifications --- */

static void push_some(struct test_ring *t, unsigned int count)
{
	while (count--)
		vring_push(&t->vring, 0, 0);
	vring_publish(&t->vring);
}

static void calls_by_flag(void **state)
{
	struct test_ring *t = *state;

	push_some(t, 1);
	assert_true(vring_call_due(&t->vring));
	t->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	push_some(t, 1);
	assert_false(vring_call_due(&t->vring));
}

static void calls_by_event_index(void **state)
{
	struct test_ring *t = *state;

	t->setup.event_idx = true;
	test_ring_attach(t);
	*used_event_of(t) = 1000;
	/* The first time nobody knows what the guest has seen. */
	push_some(t, 1);
	assert_true(vring_call_due(&t->vring));
	push_some(t, 1);
	assert_false(vring_call_due(&t->vring));
	/* It wants to know of number 4 (counting from 0). */
	*used_event_of(t) = 4;
	push_some(t, 2);
	assert_false(vring_call_due(&t->vring));
	push_some(t, 3);
	assert_true(vring_call_due(&t->vring));
	push_some(t, 3);
	assert_false(vring_call_due(&t->vring));
}

static void kicks_by_flag(void **state)
{
	struct test_ring *t = *state;

	vring_disable_kicks(&t->vring);
	assert_int_equal(t->used->flags, VRING_USED_F_NO_NOTIFY);
	vring_enable_kicks(&t->vring);
	assert_int_equal(t->used->flags, 0);
}

static void kicks_by_event_index(void **state)
{
	struct test_ring *t = *state;

	t->setup.event_idx = true;
	t->setup.base = 7;
	t->used->idx = 7;
	t->avail->idx = 7;
	test_ring_attach(t);
	vring_enable_kicks(&t->vring);
	assert_int_equal(*avail_event_of(t), 7);
	put_desc(t, 0, DATA_OFFSET, 32, 0, 0);
	post(t, 0);
	assert_int_equal(pop(t), VRING_OK);
	/* Not asked for again: the old index is silence. */
	vring_disable_kicks(&t->vring);
	assert_int_equal(*avail_event_of(t), 7);
	assert_int_equal(t->used->flags, 0);
	vring_enable_kicks(&t->vring);
	assert_int_equal(*avail_event_of(t), 8);
}

/* --- the dirty log --- */

static bool was_logged(struct test_ring *t, uint64_t offset)
{
	uint64_t page = (GUEST_GPA + offset) / 4096;
	bool on = t->memory.dirty.bits[page / 8] >> page % 8 & 1;

	memset(t->memory.dirty.bits, 0, t->memory.dirty.bytes);
	return on;
}

static void all_that_is_written_is_logged(void **state)
{
	static uint8_t bits[(GUEST_GPA + GUEST_BYTES) / 4096 / 8];
	struct test_ring *t = *state;
	struct vring_chain scratch;

	t->memory.dirty.bits = bits;
	t->memory.dirty.bytes = sizeof(bits);
	t->setup.log = true;
	t->setup.used_gpa = GUEST_GPA + USED_OFFSET;
	test_ring_attach(t);
	assert_true(was_logged(t, USED_OFFSET));
	vring_enable_kicks(&t->vring);
	assert_true(was_logged(t, USED_OFFSET));
	vring_disable_kicks(&t->vring);
	assert_true(was_logged(t, USED_OFFSET));
	put_desc(t, 0, DATA_OFFSET, 4096, NEXT, 1);
	put_desc(t, 1, DATA_OFFSET + 4096, 8192, WRITE, 0);
	post(t, 0);
	assert_int_equal(pop(t), VRING_OK);
	vring_log_chain(&t->vring, 0, 4097, &scratch);
	assert_true(bits[(GUEST_GPA + DATA_OFFSET + 4096) / 4096 / 8]);
	assert_true(was_logged(t, DATA_OFFSET + 8192));
	vring_log_chain(&t->vring, 0, 4096, &scratch);
	assert_false(was_logged(t, DATA_OFFSET + 8192));
	vring_log_chain(&t->vring, 0, 4096, &scratch);
	assert_true(was_logged(t, DATA_OFFSET + 4096));
	vring_push(&t->vring, 0, 4096);
	vring_publish(&t->vring);
	assert_true(was_logged(t, USED_OFFSET));
	/* Nonsense has no place in the log. */
	dirty_log_mark(&t->memory.dirty, UINT64_MAX - 100, 200);
	dirty_log_mark(&t->memory.dirty, UINT64_MAX / 2, 4096);
	/* The chain has changed: it isn't one any more. */
	put_desc(t, 0, DATA_OFFSET, 4096, NEXT, 0);
	vring_log_chain(&t->vring, 0, 4096, &scratch);
	assert_non_null(t->vring.broken);
}

#define CASE(function) \
	cmocka_unit_test_setup_teardown(function, test_ring_setup, \
					test_ring_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(refuses_bad_sizes),
		CASE(refuses_bad_places),
		CASE(refuses_base_that_does_not_fit),
		CASE(pops_chains),
		CASE(empty_descriptors_are_skipped),
		CASE(goes_round_and_round),
		CASE(index_jump_breaks),
		CASE(index_going_back_breaks),
		CASE(head_out_of_range_breaks),
		CASE(next_out_of_range_breaks),
		CASE(loop_breaks),
		CASE(loop_of_empty_ones_breaks),
		CASE(longest_chain_is_fine),
		CASE(address_outside_breaks),
		CASE(address_across_the_end_breaks),
		CASE(address_that_wraps_breaks),
		CASE(huge_length_breaks),
		CASE(indirect_breaks),
		CASE(readable_behind_writable_breaks),
		CASE(too_many_outstanding_breaks),
		CASE(walk_checks_again),
		CASE(regions_are_joined),
		CASE(what_has_gone_waits),
		CASE(relocation_keeps_the_place),
		CASE(calls_by_flag),
		CASE(calls_by_event_index),
		CASE(kicks_by_flag),
		CASE(kicks_by_event_index),
		CASE(all_that_is_written_is_logged),
	};

	return cmocka_run_group_tests_name("vring", tests, NULL, NULL);
}
