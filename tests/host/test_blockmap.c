// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_blockmap.c - a bit a block, against a plain array of flags.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "balloon/blockmap.h"

#define PAGE 4096
/* Pages of the guest's address space that are looked at. */
#define PAGES 1024

/* Regions of whole pages; nothing is mapped, for nothing is touched. */
static void add(struct memory *memory, uint64_t first, uint64_t pages)
{
	assert_null(memory_add_mapped(memory, first * PAGE, first * PAGE, pages * PAGE,
				      (void *)(uintptr_t)(first * PAGE)));
}

/* Is the page's bit there, and on? */
static bool is_on(const struct blockmap *map, uint64_t page)
{
	return blockmap_any(map, page * PAGE, PAGE);
}

static void expect_same(const struct blockmap *map, const bool *flags)
{
	uint64_t page, on = 0;

	for (page = 0; page < PAGES; page++) {
		assert_int_equal(is_on(map, page), flags[page]);
		on += flags[page];
	}
	assert_int_equal(map->set, on);
}

static bool is_shared(const struct memory *memory, uint64_t page)
{
	uint64_t len = 1;

	return memory_find_region(memory, page * PAGE, &len);
}

/* Random ranges, in regions with gaps, borders within and between words. */
static void random_ranges(void **state)
{
	struct memory memory = { 0 };
	bool flags[PAGES] = { false };
	struct blockmap map;
	unsigned int i;

	(void)state;
	add(&memory, 700, 200);
	add(&memory, 3, 61);
	add(&memory, 64, 300);
	add(&memory, 400, 1);
	blockmap_init(&map, PAGE);
	assert_true(blockmap_follow(&map, &memory));
	srand(1);
	for (i = 0; i < 2000; i++) {
		uint64_t first = (uint64_t)rand() % PAGES;
		uint64_t count = (uint64_t)rand() % (i % 2 ? 8 : PAGES - first) + 1;
		bool on = rand() % 2, any = false;
		uint64_t page;

		for (page = first; page < first + count && page < PAGES; page++) {
			any |= flags[page];
			flags[page] = on && is_shared(&memory, page);
		}
		assert_int_equal(blockmap_any(&map, first * PAGE, count * PAGE), any);
		blockmap_set(&map, first * PAGE, count * PAGE, on);
		if (i % 100 == 0)
			expect_same(&map, flags);
	}
	expect_same(&map, flags);
	blockmap_clear(&map);
	memset(flags, 0, sizeof(flags));
	expect_same(&map, flags);
	blockmap_free(&map);
}

/* What stays in memory stays on, however its regions are cut. */
static void memory_changes(void **state)
{
	struct memory memory = { 0 };
	bool flags[PAGES] = { false };
	struct blockmap map;
	uint64_t page;

	(void)state;
	add(&memory, 0, 500);
	blockmap_init(&map, PAGE);
	assert_true(blockmap_follow(&map, &memory));
	for (page = 0; page < 500; page += 3) {
		blockmap_set(&map, page * PAGE, PAGE, true);
		flags[page] = true;
	}
	memory.count = 0;
	add(&memory, 300, 400);
	add(&memory, 5, 100);
	assert_true(blockmap_follow(&map, &memory));
	for (page = 0; page < PAGES; page++)
		flags[page] &= is_shared(&memory, page);
	expect_same(&map, flags);
	/* What went and came again is off. */
	memory.count = 0;
	add(&memory, 0, 1000);
	assert_true(blockmap_follow(&map, &memory));
	expect_same(&map, flags);
	blockmap_free(&map);
}

/* Marks are of all that is touched, sets of what begins inside. */
static void parts_of_blocks(void **state)
{
	struct memory memory = { 0 };
	struct blockmap map;

	(void)state;
	add(&memory, 0, 100);
	blockmap_init(&map, 4 * PAGE);
	assert_true(blockmap_follow(&map, &memory));
	blockmap_mark(&map, 8 * PAGE - 1, 2);
	assert_true(is_on(&map, 4));
	assert_true(is_on(&map, 8));
	assert_false(blockmap_any(&map, 0, 4 * PAGE));
	assert_false(blockmap_any(&map, 12 * PAGE, 88 * PAGE));
	blockmap_clear(&map);
	blockmap_mark(&map, 100 * PAGE, PAGE);
	blockmap_mark(&map, 0, 0);
	assert_false(blockmap_any(&map, 0, 100 * PAGE));
	blockmap_free(&map);
}

static long faults(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_minflt;
}

/* Terabytes that the guest doesn't use cost nothing, whatever happens: no page of the map is touched. */
static void huge_holes(void **state)
{
	const uint64_t pages = MEMORY_MAX_BYTES / PAGE;
	struct memory memory = { 0 };
	struct blockmap map;
	unsigned int round;
	long before;

	(void)state;
	add(&memory, 0, pages);
	blockmap_init(&map, PAGE);
	before = faults();
	for (round = 0; round < 3; round++) {
		assert_true(blockmap_follow(&map, &memory));
		blockmap_mark(&map, (pages - 1) * PAGE, PAGE);
		blockmap_set(&map, pages / 2 * PAGE, PAGE, true);
		assert_true(blockmap_follow(&map, &memory));
		assert_true(is_on(&map, pages - 1));
		assert_true(is_on(&map, pages / 2));
		blockmap_clear(&map);
		assert_false(is_on(&map, pages - 1));
		assert_false(is_on(&map, pages / 2));
	}
	blockmap_free(&map);
	/* All of it is 262144 pages. */
	assert_in_range(faults() - before, 0, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_ranges),
		cmocka_unit_test(memory_changes),
		cmocka_unit_test(parts_of_blocks),
		cmocka_unit_test(huge_holes),
	};

	return cmocka_run_group_tests_name("blockmap", tests, NULL, NULL);
}
