// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_wire_fetch.c - shared memory is fetched once, into private memory, and never read back.
 *
 * What the driver's code gets as shared memory is an inaccessible page: any
 * access of its own crashes. Only its memcpy() reaches the bytes behind it, and
 * each byte once; so a check can't have been made on anything but the copy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#define PAGE	4096u

static unsigned char *shared;			/* PROT_NONE */
static unsigned char behind[PAGE];		/* its real content */
static unsigned char reads[PAGE], writes[PAGE];	/* of each byte */

static bool is_shared(const void *at)
{
	return (const unsigned char *)at >= shared && (const unsigned char *)at < shared + PAGE;
}

static void *wire_memcpy(void *to, const void *from, size_t bytes)
{
	size_t i, at;

	if (is_shared(from)) {
		at = (const unsigned char *)from - shared;
		for (i = 0; i < bytes; i++)
			reads[at + i]++;
		return memcpy(to, behind + at, bytes);
	}
	if (is_shared(to)) {
		at = (unsigned char *)to - shared;
		for (i = 0; i < bytes; i++)
			writes[at + i]++;
		memcpy(behind + at, from, bytes);
		return to;
	}
	return memcpy(to, from, bytes);
}

#ifndef CSWAP_WIRE_C
#define CSWAP_WIRE_C "../../guest/cswap_wire.c"
#endif
#define memcpy wire_memcpy
#include CSWAP_WIRE_C
#undef memcpy

static int set_up(void **state)
{
	(void)state;
	shared = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? -1 : 0;
}

static void forget(void)
{
	memset(behind, 0, sizeof(behind));
	memset(reads, 0, sizeof(reads));
	memset(writes, 0, sizeof(writes));
}

/* Bytes 0..@bytes - 1 were touched once, the rest not. */
static void expect_once(const unsigned char *touched, const unsigned char *untouched, u32 bytes)
{
	u32 i;

	for (i = 0; i < PAGE; i++) {
		assert_int_equal(touched[i], i < bytes);
		assert_int_equal(untouched[i], 0);
	}
}

static void requests_are_only_written(void **state)
{
	static const u8 tag[VIRTIO_CSWAP_TAG_SIZE] = { 1, 2, 3 };
	static const struct virtio_cswap_report report;

	(void)state;
	forget();
	cswap_wire_put_store(shared, 1, 2, 2);
	cswap_wire_put_tag(shared, 0, tag);
	cswap_wire_put_tag(shared, 1, tag);
	expect_once(writes, reads, CSWAP_STORE_HEADER_BYTES(2));
	forget();
	cswap_wire_put_load(shared, 1, 2, 3);
	expect_once(writes, reads, CSWAP_LOAD_HEADER_BYTES);
	forget();
	cswap_wire_put_discard((void *)shared, 1);
	cswap_wire_put_range((void *)(shared + 16), 1, 2);
	expect_once(writes, reads, CSWAP_CTRL_BYTES(1));
	forget();
	cswap_wire_put_release((void *)shared, 1);
	cswap_wire_put_mem_range((void *)(shared + 16), 1, 2);
	expect_once(writes, reads, CSWAP_CTRL_BYTES(1));
	forget();
	cswap_wire_put_reclaim((void *)shared, 1);
	expect_once(writes, reads, CSWAP_CTRL_BYTES(0));
	forget();
	cswap_wire_put_event((void *)shared);
	expect_once(writes, reads, CSWAP_CTRL_BYTES(0));
	forget();
	cswap_wire_put_report((void *)shared, &report);
	expect_once(writes, reads, CSWAP_REPORT_BYTES);
}

/* Checks: driver-response-fetch-once */
static void acks_are_fetched_once(void **state)
{
	struct cswap_answer answer;
	u32 count;

	(void)state;
	for (count = 1; count <= CSWAP_ACKS_PER_BUFFER; count++) {
		forget();
		behind[0] = VIRTIO_CSWAP_RESP_ACKS;
		behind[2] = count;
		assert_int_equal(cswap_wire_get_answer(&answer, shared, 16 + 16 * count, 0), 0);
		assert_int_equal(answer.outcomes, count);
		expect_once(reads, writes, 16 + 16 * count);
	}
}

/* Also when it is refused, whatever for. */
static void refused_answers_are_fetched_once(void **state)
{
	struct cswap_answer answer;
	u32 bit;

	(void)state;
	for (bit = 0; bit < 8 * 16; bit++) {
		forget();
		behind[0] = VIRTIO_CSWAP_RESP_ACKS;
		behind[2] = 1;
		behind[bit / 8] ^= 1 << bit % 8;
		assert_int_equal(cswap_wire_get_answer(&answer, shared, 32, 0), -EPROTO);
		expect_once(reads, writes, 32);
	}
	forget();
	assert_int_equal(cswap_wire_get_answer(&answer, shared, 257, 0), -EPROTO);
	expect_once(reads, writes, 0);
}

/* Checks: driver-response-fetch-once */
static void data_is_fetched_once(void **state)
{
	struct cswap_answer answer;

	u32 pages;

	(void)state;
	for (pages = 1; pages <= 8; pages++) {
		u32 used = VIRTIO_CSWAP_DATA_OFFSET(8) + 4096 * pages;

		forget();
		behind[0] = VIRTIO_CSWAP_RESP_DATA;
		behind[2] = pages;
		behind[32 + 16 * (pages - 1)] = 0xc7;
		assert_int_equal(cswap_wire_get_answer(&answer, shared, used, 8), 0);
		assert_int_equal(answer.pages, pages);
		assert_int_equal(answer.tag[pages - 1][0], 0xc7);
		expect_once(reads, writes, VIRTIO_CSWAP_DATA_OFFSET(pages));
	}
}

static void control_status_is_fetched_once(void **state)
{
	(void)state;
	forget();
	behind[0] = VIRTIO_CSWAP_S_NOSPC;
	assert_int_equal(cswap_wire_get_ctrl_status((void *)shared, 8), VIRTIO_CSWAP_S_NOSPC);
	expect_once(reads, writes, 8);
}

/* A target that the host changes after the check is the one that was checked. */
static void event_is_fetched_once(void **state)
{
	struct cswap_news news = { };
	u32 bit;

	(void)state;
	forget();
	behind[8] = 5;
	assert_int_equal(cswap_wire_get_event((void *)shared, 32, CSWAP_FEATURE(AGAIN), &news), VIRTIO_CSWAP_S_OK);
	assert_int_equal(news.target, 5);
	expect_once(reads, writes, 32);
	for (bit = 0; bit < 8 * 32; bit++) {
		forget();
		behind[bit / 8] = 1 << bit % 8;
		cswap_wire_get_event((void *)shared, 32, CSWAP_FEATURE(AGAIN), &news);
		expect_once(reads, writes, 32);
	}
	forget();
	assert_int_equal(cswap_wire_get_event((void *)shared, 31, CSWAP_FEATURE(AGAIN), &news), VIRTIO_CSWAP_S_IOERR);
	expect_once(reads, writes, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_only_written),
		cmocka_unit_test(acks_are_fetched_once),
		cmocka_unit_test(refused_answers_are_fetched_once),
		cmocka_unit_test(data_is_fetched_once),
		cmocka_unit_test(control_status_is_fetched_once),
		cmocka_unit_test(event_is_fetched_once),
	};

	return cmocka_run_group_tests_name("wire-fetch", tests, set_up, NULL);
}
