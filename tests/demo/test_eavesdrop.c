// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_eavesdrop.c - the search that the demo relies on finds what it should.
 *
 * A search that can find nothing would make any demo succeed.
 */
#include "../host/test_ring.h"

#include "eavesdrop.h"

#define TEXT "a text to be searched for"
#define PAGE 4096
#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE

static struct eavesdrop_findings before;

/* What was found since the last call. */
static struct eavesdrop_findings findings(void)
{
	struct eavesdrop_findings now, since;

	eavesdrop_get(&now);
	since = (struct eavesdrop_findings) {
		.traffic_bytes = now.traffic_bytes - before.traffic_bytes,
		.traffic_found = now.traffic_found - before.traffic_found,
		.pool_pages = now.pool_pages - before.pool_pages,
		.pool_bytes = now.pool_bytes - before.pool_bytes,
		.pool_found = now.pool_found - before.pool_found,
		.cpu_ns = now.cpu_ns - before.cpu_ns,
	};
	before = now;
	return since;
}

static void put_text(struct test_ring *t, uint64_t offset)
{
	memcpy(t->guest + offset, TEXT, strlen(TEXT));
}

static int setup(void **state)
{
	int error = test_ring_setup(state);

	findings();
	return error;
}

/* memory_clear() also has the pages forgotten. */
static int teardown(void **state)
{
	struct test_ring *t = *state;

	memory_clear(&t->memory);
	return test_ring_teardown(state);
}

static void refuses_short_texts(void **state)
{
	(void)state;
	assert_non_null(eavesdrop_start("short"));
	assert_null(eavesdrop_start(TEXT));
}

static void counts_every_one(void **state)
{
	const char data[] = "abcabcab" "abcabc";

	(void)state;
	assert_int_equal(eavesdrop_count(data, sizeof(data) - 1, "abc"), 4);
	assert_int_equal(eavesdrop_count(data, sizeof(data) - 2, "abc"), 3);
	assert_int_equal(eavesdrop_count(data, sizeof(data) - 1, "abd"), 0);
	assert_int_equal(eavesdrop_count(data, 0, "abc"), 0);
}

static void finds_it_in_a_request(void **state)
{
	struct test_ring *t = *state;
	struct eavesdrop_findings f;

	put_desc(t, 0, DATA_OFFSET, 48, NEXT, 1);
	put_desc(t, 1, DATA_OFFSET + PAGE, PAGE, 0, 0);
	put_text(t, DATA_OFFSET + 2 * PAGE - strlen(TEXT));
	post(t, 0);
	assert_int_equal(pop(t), VRING_OK);
	f = findings();
	assert_int_equal(f.traffic_found, 1);
	assert_int_equal(f.traffic_bytes, 48 + PAGE);
	/* The ring's three, the header's, the page. */
	assert_int_equal(f.pool_pages, 5);
}

/* A CPU's clock goes on whatever is searched; ours, only then. */
static void counts_its_own_time(void **state)
{
	struct test_ring *t = *state;

	put_desc(t, 0, DATA_OFFSET, PAGE, 0, 0);
	post(t, 0);
	assert_int_equal(findings().cpu_ns, 0);
	assert_int_equal(pop(t), VRING_OK);
	assert_true(findings().cpu_ns > 0);
	assert_int_equal(findings().cpu_ns, 0);
}

static void finds_it_in_an_answer(void **state)
{
	struct test_ring *t = *state;

	put_desc(t, 3, DATA_OFFSET + PAGE, PAGE, WRITE, 0);
	post(t, 3);
	assert_int_equal(pop(t), VRING_OK);
	assert_int_equal(findings().traffic_found, 0);
	put_text(t, DATA_OFFSET + PAGE);
	put_text(t, DATA_OFFSET + PAGE + 100);
	vring_push(&t->vring, 3, PAGE);
	assert_int_equal(findings().traffic_found, 2);
}

static void finds_what_the_guest_left_in_a_posted_buffer(void **state)
{
	struct test_ring *t = *state;

	put_desc(t, 0, DATA_OFFSET, PAGE, WRITE, 0);
	put_text(t, DATA_OFFSET + 17);
	post(t, 0);
	assert_int_equal(pop(t), VRING_OK);
	assert_int_equal(findings().traffic_found, 1);
}

/* Beside a buffer, in the same page; or in one that was handed over before. */
static void finds_it_in_pages_between_two_chains(void **state)
{
	struct test_ring *t = *state;
	struct eavesdrop_findings f;
	unsigned int i;

	put_desc(t, 0, DATA_OFFSET, 48, 0, 0);
	put_desc(t, 1, DATA_OFFSET + PAGE, PAGE, 0, 0);
	post(t, 1);
	assert_int_equal(pop(t), VRING_OK);
	vring_push(&t->vring, 1, 0);
	put_text(t, DATA_OFFSET + 48);
	put_text(t, DATA_OFFSET + PAGE);
	findings();
	/* Pops and pushes search 10 pages in turn; 5 are known. */
	for (i = 0; i < 5; i++) {
		post(t, 0);
		assert_int_equal(pop(t), VRING_OK);
		vring_push(&t->vring, 0, 0);
	}
	f = findings();
	assert_int_equal(f.traffic_found, 0);
	assert_int_equal(f.pool_bytes, 10 * PAGE);
	assert_int_equal(f.pool_found, 4);
}

static void finds_it_when_memory_goes(void **state)
{
	struct test_ring *t = *state;
	struct eavesdrop_findings f;

	put_desc(t, 0, DATA_OFFSET, PAGE, 0, 0);
	post(t, 0);
	assert_int_equal(pop(t), VRING_OK);
	put_text(t, DATA_OFFSET);
	/* Never handed over: not ours to look at. */
	put_text(t, DATA_OFFSET + PAGE);
	findings();
	assert_null(memory_remove(&t->memory, GUEST_GPA, GUEST_UVA,
				  GUEST_BYTES));
	f = findings();
	assert_int_equal(f.pool_bytes, 4 * PAGE);
	assert_int_equal(f.pool_found, 1);
	/* Forgotten, then. */
	memory_clear(&t->memory);
	assert_int_equal(findings().pool_bytes, 0);
}

/* The guest changed a chain after it was popped: push is no worse for it. */
static void leaves_a_bad_chain_alone(void **state)
{
	struct test_ring *t = *state;

	put_desc(t, 0, DATA_OFFSET, PAGE, 0, 0);
	post(t, 0);
	assert_int_equal(pop(t), VRING_OK);
	put_desc(t, 0, (uint64_t)1 << 40, PAGE, 0, 0);
	vring_push(&t->vring, 0, 0);
	assert_null(t->vring.broken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_short_texts),
		cmocka_unit_test(counts_every_one),
		cmocka_unit_test_setup_teardown(finds_it_in_a_request, setup, teardown),
		cmocka_unit_test_setup_teardown(counts_its_own_time, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_it_in_an_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_what_the_guest_left_in_a_posted_buffer,
						setup, teardown),
		cmocka_unit_test_setup_teardown(finds_it_in_pages_between_two_chains,
						setup, teardown),
		cmocka_unit_test_setup_teardown(finds_it_when_memory_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(leaves_a_bad_chain_alone, setup, teardown),
	};

	return cmocka_run_group_tests_name("eavesdrop", tests, NULL, NULL);
}
