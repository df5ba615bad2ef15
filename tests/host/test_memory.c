// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_memory.c - guest addresses: what lies outside must not be reached.
 */
#include "test_ring.h"

#include <fcntl.h>
#include <unistd.h>

static uint8_t pages[8 * 4096] __attribute__((aligned(4096)));

static void add(struct memory *memory, uint64_t gpa, uint64_t uva,
		uint64_t size, unsigned int page)
{
	assert_null(memory_add_mapped(memory, gpa, uva, size,
				      pages + (size_t)page * 4096));
}

static void finds_what_is_inside(void **state)
{
	struct memory memory = { 0 };
	uint64_t len = 4096;

	(void)state;
	add(&memory, 0x10000, 0x90000, 8192, 0);
	add(&memory, 0x20000, 0xa0000, 4096, 4);
	assert_ptr_equal(memory_from_gpa(&memory, 0x11000, &len), pages + 4096);
	assert_int_equal(len, 4096);
	assert_ptr_equal(memory_from_gpa(&memory, 0x20fff, &len),
			 pages + 4 * 4096 + 4095);
	assert_int_equal(len, 1);
	assert_ptr_equal(memory_from_uva(&memory, 0x90000, 8192), pages);
	assert_ptr_equal(memory_from_uva(&memory, 0xa0ff0, 16),
			 pages + 4 * 4096 + 0xff0);
}

static void finds_nothing_outside(void **state)
{
	struct memory memory = { 0 };
	uint64_t len = 1;

	(void)state;
	add(&memory, 0x10000, 0x90000, 4096, 0);
	assert_null(memory_from_gpa(&memory, 0xffff, &len));
	assert_null(memory_from_gpa(&memory, 0x11000, &len));
	assert_null(memory_from_gpa(&memory, 0, &len));
	assert_null(memory_from_gpa(&memory, UINT64_MAX, &len));
	assert_null(memory_from_uva(&memory, 0x8ffff, 1));
	assert_null(memory_from_uva(&memory, 0x91000, 1));
	assert_null(memory_from_uva(&memory, 0x90001, 4096));
	assert_null(memory_from_uva(&memory, 0x90010, UINT64_MAX));
	assert_null(memory_from_uva(&memory, UINT64_MAX, 2));
}

static void refuses_bad_regions(void **state)
{
	struct memory memory = { 0 };
	unsigned int i;

	(void)state;
	assert_string_equal(memory_add_mapped(&memory, 0, 0, 0, pages),
			    "memory region is empty");
	assert_string_equal(memory_add_mapped(&memory, UINT64_MAX - 4095, 0,
					      8192, pages),
			    "memory region wraps around");
	assert_string_equal(memory_add_mapped(&memory, 0, UINT64_MAX - 4095,
					      8192, pages),
			    "memory region wraps around");
	assert_string_equal(memory_add_mapped(&memory, 512, 0, 4096, pages),
			    "memory region is not page-aligned");
	add(&memory, 0x10000, 0x90000, 8192, 0);
	assert_string_equal(memory_add_mapped(&memory, 0x100000, 0,
					      MEMORY_MAX_BYTES - 4096, pages),
			    "memory is larger than any machine's");
	assert_string_equal(memory_add_mapped(&memory, 0x11000, 0, 4096, pages),
			    "memory regions overlap");
	assert_string_equal(memory_add_mapped(&memory, 0xf000, 0, 8192, pages),
			    "memory regions overlap");
	for (i = 1; i < MEMORY_MAX_REGIONS; i++)
		add(&memory, 0x100000 * (uint64_t)i, 0, 4096, 0);
	assert_string_equal(memory_add_mapped(&memory, 0, 0, 4096, pages),
			    "too many memory regions");
}

static int make_file(off_t bytes)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	return fd;
}

static void maps_files(void **state)
{
	struct memory memory = { 0 };
	int fd = make_file(16384);
	uint64_t len = 1;
	uint8_t *at;

	(void)state;
	assert_int_equal(pwrite(fd, "x", 1, 8192 + 5), 1);
	assert_null(memory_add(&memory, 0x10000, 0x90000, 8192, 8192, fd));
	at = memory_from_gpa(&memory, 0x10005, &len);
	assert_non_null(at);
	assert_int_equal(*at, 'x');
	assert_non_null(memory_remove(&memory, 0x10000, 0x90000, 4096));
	assert_non_null(memory_remove(&memory, 0x10000, 0x91000, 8192));
	assert_null(memory_remove(&memory, 0x10000, 0x90000, 8192));
	assert_null(memory_from_gpa(&memory, 0x10005, &len));
	close(fd);
}

/* A region that reaches beyond its file would be a SIGBUS later. */
static void refuses_files_too_small(void **state)
{
	struct memory memory = { 0 };
	int fd = make_file(8192);

	(void)state;
	assert_string_equal(memory_add(&memory, 0, 0, 12288, 0, fd),
			    "memory region is larger than its file");
	assert_string_equal(memory_add(&memory, 0, 0, 8192, 4096, fd),
			    "memory region is larger than its file");
	assert_string_equal(memory_add(&memory, 0, 0, 8192, UINT64_MAX - 4095,
				       fd),
			    "memory region's offset wraps around");
	assert_string_equal(memory_add(&memory, 0, 0, 4096, 512, fd),
			    "memory region is not page-aligned");
	assert_non_null(strstr(memory_add(&memory, 0, 0, 4096, 0, -1),
			       "shares no memory"));
	assert_int_equal(memory.count, 0);
	close(fd);
}

/* What the front end takes away is an error, and no SIGBUS. */
static void outlives_what_vanishes(void **state)
{
	struct memory memory = { 0 };
	int fd = make_file(16384);
	uint64_t len = 1;
	uint8_t *at;

	(void)state;
	memory_guard(&memory);
	assert_null(memory_add(&memory, 0x10000, 0x90000, 16384, 0, fd));
	at = memory_from_gpa(&memory, 0x10000, &len);
	memset(at, 'x', 16384);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(at[8191], 'x');
	assert_false(memory_has_vanished(&memory));
	assert_int_equal(((volatile uint8_t *)at)[8192], 0);
	assert_true(memory_has_vanished(&memory));
	/* What is there still is the guest's; what isn't stays ours alone. */
	at[12288] = 'y';
	assert_int_equal(at[8191], 'x');
	assert_int_equal(ftruncate(fd, 16384), 0);
	assert_int_equal(at[12288], 'y');
	memory_clear(&memory);
	assert_false(memory_has_vanished(&memory));
	assert_null(memory_add(&memory, 0x10000, 0x90000, 16384, 0, fd));
	assert_int_equal(*(uint8_t *)memory_from_gpa(&memory, 0x13000, &len), 0);
	/* A table that is emptied region by region is as empty. */
	at = memory_from_gpa(&memory, 0x10000, &len);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(((volatile uint8_t *)at)[12288], 0);
	assert_true(memory_has_vanished(&memory));
	assert_null(memory_remove(&memory, 0x10000, 0x90000, 16384));
	assert_false(memory_has_vanished(&memory));
	memory_guard(NULL);
	close(fd);
}

static void knows_what_is_gone(void **state)
{
	static struct memory memory;
	unsigned int i;

	(void)state;
	add(&memory, 0x10000, 0x90000, 8192, 0);
	assert_false(memory_is_gone(&memory, 0x10000));
	assert_null(memory_remove(&memory, 0x10000, 0x90000, 8192));
	assert_true(memory_is_gone(&memory, 0x10000));
	assert_true(memory_is_gone(&memory, 0x11fff));
	assert_false(memory_is_gone(&memory, 0x12000));
	assert_false(memory_is_gone(&memory, 0xffff));
	/* A part of it comes again; then a region with all of it. */
	add(&memory, 0x10000, 0x90000, 4096, 0);
	assert_false(memory_is_gone(&memory, 0x10000));
	assert_true(memory_is_gone(&memory, 0x11000));
	assert_null(memory_remove(&memory, 0x10000, 0x90000, 4096));
	add(&memory, 0x10000, 0x90000, 16384, 0);
	assert_int_equal(memory.num_gone, 0);
	/* As much as it has room for; the oldest is forgotten. */
	for (i = 0; i <= MEMORY_MAX_REGIONS; i++) {
		add(&memory, 0x100000 + i * 8192ULL, 0x1000000, 4096, 0);
		assert_null(memory_remove(&memory, 0x100000 + i * 8192ULL, 0x1000000, 4096));
	}
	assert_false(memory_is_gone(&memory, 0x100000));
	assert_true(memory_is_gone(&memory, 0x102000));
	assert_true(memory_is_gone(&memory, 0x100000 + MEMORY_MAX_REGIONS * 8192ULL));
	/* Another table says all that there is. */
	memory_clear(&memory);
	assert_false(memory_is_gone(&memory, 0x102000));
}

#define REGION_BYTES (2 * 4096)
/* Where one of so many may be: with a hole behind each. */
#define PLACE(n) ((uint64_t)(n) * 4 * 4096)
#define PLACES (2 * MEMORY_MAX_REGIONS)

static uint64_t next_random(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random >> 16;
}

/* Everything about place @n is found if there is a region there, and nothing if not. */
static void expect_place(const struct memory *memory, unsigned int n, bool there)
{
	uint64_t first = 8192, inside = 8192, last = 8192, behind = 1, gpa;
	uint8_t *at = memory_from_gpa(memory, PLACE(n), &first);

	assert_null(memory_from_gpa(memory, PLACE(n) + REGION_BYTES, &behind));
	assert_int_equal(memory_covers(memory, PLACE(n), REGION_BYTES), there);
	if (!there) {
		assert_null(at);
		assert_null(memory_from_uva(memory, PLACE(n) + PLACE(PLACES), 1));
		return;
	}
	assert_int_equal(*(uint64_t *)at, n);
	assert_int_equal(first, REGION_BYTES);
	assert_ptr_equal(memory_from_gpa(memory, PLACE(n) + 5000, &inside), at + 5000);
	assert_int_equal(inside, REGION_BYTES - 5000);
	assert_non_null(memory_from_gpa(memory, PLACE(n) + REGION_BYTES - 1, &last));
	assert_int_equal(last, 1);
	assert_true(memory_to_gpa(memory, at + 4097, &gpa));
	assert_int_equal(gpa, PLACE(n) + 4097);
	assert_ptr_equal(memory_from_uva(memory, PLACE(n) + PLACE(PLACES), REGION_BYTES), at);
}

/* As many as there may be, plugged and unplugged in any order. */
static void many_regions(void **state)
{
	static struct memory memory;
	static bool there[PLACES];
	int fd = make_file((off_t)PLACE(PLACES));
	uint64_t random = 88172645463325252, n;
	unsigned int step, i;

	(void)state;
	for (n = 0; n < PLACES; n++)
		assert_int_equal(pwrite(fd, &n, sizeof(n), (off_t)PLACE(n)), sizeof(n));
	for (step = 0; step < 3000; step++) {
		n = next_random(&random) % PLACES;
		if (there[n]) {
			assert_null(memory_remove(&memory, PLACE(n), PLACE(n + PLACES), REGION_BYTES));
			there[n] = false;
		} else if (memory.count < MEMORY_MAX_REGIONS) {
			assert_null(memory_add(&memory, PLACE(n), PLACE(n + PLACES), REGION_BYTES,
					       PLACE(n), fd));
			there[n] = true;
		} else {
			assert_string_equal(memory_add(&memory, PLACE(n), 0, REGION_BYTES, 0, fd),
					    "too many memory regions");
		}
		if (step % 100)
			continue;
		for (i = 0; i < PLACES; i++)
			expect_place(&memory, i, there[i]);
	}
	assert_in_range(memory.count, MEMORY_MAX_REGIONS - 50, MEMORY_MAX_REGIONS);
	memory_clear(&memory);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_is_inside),
		cmocka_unit_test(finds_nothing_outside),
		cmocka_unit_test(refuses_bad_regions),
		cmocka_unit_test(maps_files),
		cmocka_unit_test(refuses_files_too_small),
		cmocka_unit_test(outlives_what_vanishes),
		cmocka_unit_test(knows_what_is_gone),
		cmocka_unit_test(many_regions),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
