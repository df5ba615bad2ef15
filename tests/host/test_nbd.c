// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_nbd.c - an NBD server's words: those that are believed, and those that aren't.
 *
 * What needs a real server is in tests/sim/run-nbd. Here the test is the server, since no
 * real one lies.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "store/nbd_bytes.h"
#include "store/nbd_conn.h"
#include "store/nbd_dial.h"
#include "store/nbd_hello.h"
#include "store/store_files.h"
#include "store/store_nbd.h"

#define PAGE STORE_SLOT_SIZE
#define EXPORT_BYTES (1U << 30)
#define HAS_FLAGS 1

static const struct nbd_want want = {
	.export_name = "web1", .bytes = EXPORT_BYTES, .request_bytes = 64 * PAGE, .block_bytes = PAGE,
};

/* --- hello --- */

/* What a server says, as it grows. */
struct words {
	uint8_t bytes[1024];
	size_t n;
};

static void say16(struct words *words, uint16_t value)
{
	nbd_put16(words->bytes + words->n, value);
	words->n += 2;
}

static void say32(struct words *words, uint32_t value)
{
	nbd_put32(words->bytes + words->n, value);
	words->n += 4;
}

static void say64(struct words *words, uint64_t value)
{
	nbd_put64(words->bytes + words->n, value);
	words->n += 8;
}

static void say_greeting(struct words *words, uint16_t flags)
{
	say64(words, 0x4e42444d41474943ULL);
	say64(words, 0x49484156454f5054ULL);
	say16(words, flags);
}

static void say_answer(struct words *words, uint32_t type, uint32_t length)
{
	say64(words, 0x0003e889045565a9ULL);
	say32(words, 7);
	say32(words, type);
	say32(words, length);
}

static void say_export(struct words *words, uint64_t bytes, uint16_t flags)
{
	say_answer(words, 3, 12);
	say16(words, 0);
	say64(words, bytes);
	say16(words, flags);
}

static void say_blocks(struct words *words, uint32_t least, uint32_t most)
{
	say_answer(words, 3, 14);
	say16(words, 3);
	say32(words, least);
	say32(words, PAGE);
	say32(words, most);
}

/* All of it, @step bytes at a time. */
static enum nbd_hello_phase hear(struct nbd_hello *hello, const struct words *words, size_t step)
{
	size_t at = 0, n;

	nbd_hello_begin(hello);
	for (; at < words->n && hello->phase < NBD_ADMITTED; at += n) {
		n = words->n - at < step ? words->n - at : step;
		assert_true(n <= sizeof(hello->in) - hello->filled);
		memcpy(hello->in + hello->filled, words->bytes + at, n);
		nbd_hello_received(hello, &want, n);
	}
	return hello->phase;
}

static void a_good_server_admits_us(void **state)
{
	static const size_t steps[] = { 1, 7, 1000 };
	struct words words = { .n = 0 };
	struct nbd_hello hello;
	unsigned int i;

	(void)state;
	say_greeting(&words, 3);
	say_export(&words, EXPORT_BYTES, HAS_FLAGS | NBD_FLAG_SEND_TRIM);
	say_blocks(&words, 1, 1 << 25);
	say_answer(&words, 1, 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(hear(&hello, &words, steps[i]), NBD_ADMITTED);
		assert_int_equal(hello.flags, HAS_FLAGS | NBD_FLAG_SEND_TRIM);
		/* Our flags, one option, its length, the name, and what we want to know. */
		assert_int_equal(hello.out_bytes, 4 + 16 + 4 + 4 + 2 + 2);
		assert_int_equal(nbd_get32(hello.out), 3);
		assert_int_equal(nbd_get32(hello.out + 16), hello.out_bytes - 20);
		assert_memory_equal(hello.out + 24, "web1", 4);
	}
}

static void other_servers_are_refused(void **state)
{
	static const struct {
		uint64_t bytes;
		uint16_t greeting, flags;
		uint32_t answer, least, most;
		enum nbd_hello_phase phase;
	} cases[] = {
		{ EXPORT_BYTES, 3, HAS_FLAGS, 1, 512, 1 << 25, NBD_ADMITTED },
		{ EXPORT_BYTES, 2, HAS_FLAGS, 1, 512, 1 << 25, NBD_UNFIT },
		{ EXPORT_BYTES - 1, 3, HAS_FLAGS, 1, 512, 1 << 25, NBD_UNFIT },
		{ EXPORT_BYTES, 3, HAS_FLAGS | NBD_FLAG_READ_ONLY, 1, 512, 1 << 25, NBD_UNFIT },
		{ EXPORT_BYTES, 3, 0, 1, 512, 1 << 25, NBD_UNFIT },
		{ EXPORT_BYTES, 3, HAS_FLAGS, 1, 8192, 1 << 25, NBD_UNFIT },
		{ EXPORT_BYTES, 3, HAS_FLAGS, 1, 512, 65536, NBD_UNFIT },
		/* nbdkit's limit, and an export that isn't there. */
		{ EXPORT_BYTES, 3, HAS_FLAGS, 1U << 31 | 6, 512, 1 << 25, NBD_NOT_NOW },
	};
	struct nbd_hello hello;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct words words = { .n = 0 };

		say_greeting(&words, cases[i].greeting);
		say_export(&words, cases[i].bytes, cases[i].flags);
		say_blocks(&words, cases[i].least, cases[i].most);
		say_answer(&words, cases[i].answer, 0);
		assert_int_equal(hear(&hello, &words, 5), cases[i].phase);
		assert_true(cases[i].phase == NBD_ADMITTED || hello.wrong);
	}
}

static void nonsense_is_no_hello(void **state)
{
	struct words good = { .n = 0 }, words;
	struct nbd_hello hello;
	unsigned int i;

	(void)state;
	say_greeting(&good, 3);
	say_export(&good, EXPORT_BYTES, HAS_FLAGS);
	say_answer(&good, 1, 0);
	/* Any of what has to be so is something else. */
	for (i = 0; i < good.n; i++) {
		enum nbd_hello_phase phase;

		words = good;
		words.bytes[i] ^= 0x40;
		phase = hear(&hello, &words, 3);
		/* Flags of the greeting that nobody knows are none of ours. */
		assert_true(phase != NBD_ADMITTED || i == 16 || i == 17 || i >= 18 + 20);
	}
	/* An answer without an end. */
	words = (struct words){ .n = 0 };
	say_greeting(&words, 3);
	say_answer(&words, 3, UINT32_MAX >> 1);
	assert_int_equal(hear(&hello, &words, 100), NBD_UNFIT);
	/* Answers without an end, each of which is right. */
	words = (struct words){ .n = 0 };
	say_greeting(&words, 3);
	assert_int_equal(hear(&hello, &words, 100), NBD_OPTION);
	words.n = 0;
	say_export(&words, EXPORT_BYTES, HAS_FLAGS);
	for (i = 0; i < 1000 && hello.phase == NBD_OPTION; i++) {
		memcpy(hello.in + hello.filled, words.bytes, words.n);
		nbd_hello_received(&hello, &want, words.n);
	}
	assert_int_equal(hello.phase, NBD_UNFIT);
	assert_non_null(hello.wrong);
	/* It goes on although nothing was asked. */
	words = good;
	say32(&words, 0);
	assert_int_equal(hear(&hello, &words, sizeof(words.bytes)), NBD_UNFIT);
}

/* --- requests and replies --- */

struct bench {
	struct nbd_conn conn;
	unsigned int done;
	struct store_op op[4];
	uint8_t page[4][STORE_MAX_PAGES * PAGE];
};

static void count_done(void *context, struct store_op *op)
{
	struct bench *b = context;

	(void)op;
	b->done++;
}

static struct bench *bench_open(void)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	assert_true(nbd_conn_init(&b->conn, count_done, b));
	return b;
}

static void bench_close(struct bench *b)
{
	nbd_conn_free(&b->conn);
	free(b);
}

static void queue(struct bench *b, unsigned int i, enum store_kind kind, uint64_t slot,
		  uint64_t count)
{
	struct store_op *op = &b->op[i];
	uint64_t page;

	op->kind = kind;
	op->slot = slot;
	op->count = count;
	op->error = 0;
	for (page = 0; kind != STORE_DISCARD && page < count; page++)
		op->data[page] = (struct iovec) { b->page[i] + page * PAGE, PAGE };
	nbd_conn_queue(&b->conn, op);
}

/* Send all there is, into @to; how much that is. */
static size_t send_all(struct bench *b, uint8_t *to, size_t room)
{
	struct nbd_conn *conn = &b->conn;
	size_t n = 0;

	while (nbd_conn_gather(conn)) {
		const struct iovec iov = conn->iov[conn->iov_done];

		assert_true(n + iov.iov_len <= room);
		memcpy(to + n, iov.iov_base, iov.iov_len);
		n += iov.iov_len;
		nbd_conn_sent(conn, iov.iov_len);
	}
	return n;
}

static bool answer(struct bench *b, uint32_t magic, uint32_t error, uint64_t cookie,
		   size_t pages, size_t step)
{
	uint8_t *reply = malloc(16 + pages * PAGE), *room;
	size_t at = 0, n, free_bytes, bytes = 16 + pages * PAGE;
	bool fine = true;

	nbd_put32(reply, magic);
	nbd_put32(reply + 4, error);
	nbd_put64(reply + 8, cookie);
	memset(reply + 16, 0x5a, pages * PAGE);
	for (; at < bytes && fine; at += n) {
		room = nbd_conn_room(&b->conn, &free_bytes);
		n = bytes - at < step ? bytes - at : step;
		assert_true(n <= free_bytes);
		memcpy(room, reply + at, n);
		fine = nbd_conn_received(&b->conn, n);
	}
	free(reply);
	return fine;
}

#define MAGIC 0x67446698U

static void requests_are_what_was_asked(void **state)
{
	struct bench *b = bench_open();
	uint8_t sent[4 * PAGE];
	uint64_t cookie;

	(void)state;
	memset(b->page[0], 0x77, 2 * PAGE);
	queue(b, 0, STORE_WRITE, 10, 2);
	assert_int_equal(send_all(b, sent, sizeof(sent)), 28 + 2 * PAGE);
	assert_int_equal(nbd_get32(sent), 0x25609513);
	assert_int_equal(nbd_get32(sent + 4), 1);
	cookie = nbd_get64(sent + 8);
	assert_true(cookie < NBD_IN_FLIGHT);
	assert_int_equal(nbd_get64(sent + 16), STORE_DATA_OFFSET + 10 * PAGE);
	assert_int_equal(nbd_get32(sent + 24), 2 * PAGE);
	assert_int_equal(sent[28], 0x77);
	assert_true(answer(b, MAGIC, 0, cookie, 0, 16));
	assert_int_equal(b->done, 1);
	queue(b, 1, STORE_READ, 0, 3);
	assert_int_equal(send_all(b, sent, sizeof(sent)), 28);
	cookie = nbd_get64(sent + 8);
	assert_true(answer(b, MAGIC, 0, cookie, 3, 1000));
	assert_int_equal(b->done, 2);
	assert_int_equal(b->page[1][3 * PAGE - 1], 0x5a);
	assert_int_equal(b->op[1].error, 0);
	bench_close(b);
}

static void errors_are_told(void **state)
{
	static const struct { uint32_t theirs; int ours; } errors[] = {
		{ 28, -ENOSPC }, { 12, -ENOMEM }, { 5, -EIO }, { 1, -EIO }, { 4711, -EIO },
	};
	struct bench *b = bench_open();
	uint8_t sent[64];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		queue(b, 0, STORE_READ, 1, 1);
		send_all(b, sent, sizeof(sent));
		assert_true(answer(b, MAGIC, errors[i].theirs, nbd_get64(sent + 8), 0, 16));
		assert_int_equal(b->op[0].error, errors[i].ours);
	}
	/* One that can't trim has done all it can. */
	queue(b, 0, STORE_DISCARD, 1, 1);
	send_all(b, sent, sizeof(sent));
	assert_true(answer(b, MAGIC, 95, nbd_get64(sent + 8), 0, 16));
	assert_int_equal(b->op[0].error, 0);
	/* One that ends isn't the page's fault. */
	queue(b, 0, STORE_READ, 1, 1);
	send_all(b, sent, sizeof(sent));
	b->done = 0;
	assert_false(answer(b, MAGIC, 108, nbd_get64(sent + 8), 0, 16));
	assert_int_equal(b->done, 0);
	bench_close(b);
}

/* 32 bits are no more than that, and servers stop at less. */
static void long_trims_go_in_pieces(void **state)
{
	const uint64_t slots = 1ULL << 21;
	struct bench *b = bench_open();
	uint64_t trimmed = 0;
	uint8_t sent[64];

	(void)state;
	queue(b, 0, STORE_DISCARD, 5, slots);
	while (!b->done) {
		assert_int_equal(send_all(b, sent, sizeof(sent)), 28);
		assert_int_equal(nbd_get64(sent + 16), STORE_DATA_OFFSET + (5 + trimmed) * PAGE);
		trimmed += nbd_get32(sent + 24) / PAGE;
		assert_true(answer(b, MAGIC, 0, nbd_get64(sent + 8), 0, 16));
	}
	assert_int_equal(trimmed, slots);
	bench_close(b);
}

/* Checks: device-load-whole */
static void a_lying_server_points_nowhere(void **state)
{
	static const struct { uint32_t magic; int64_t cookie; } lies[] = {
		{ MAGIC + 1, 0 },		/* no reply */
		{ MAGIC, 1 },			/* of a request that isn't */
		{ MAGIC, NBD_IN_FLIGHT },	/* of no request, ever */
		{ MAGIC, INT64_MIN },
		{ MAGIC, -1 },
	};
	uint8_t sent[64];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct bench *b = bench_open();

		queue(b, 0, STORE_READ, 1, 1);
		send_all(b, sent, sizeof(sent));
		assert_false(answer(b, lies[i].magic, 0,
				    nbd_get64(sent + 8) + (uint64_t)lies[i].cookie, 0, 16));
		assert_int_equal(b->done, 0);
		assert_non_null(b->conn.wrong);
		bench_close(b);
	}
}

static void nothing_is_answered_twice(void **state)
{
	struct bench *b = bench_open();
	uint8_t sent[64];
	uint64_t cookie;

	(void)state;
	queue(b, 0, STORE_READ, 1, 1);
	send_all(b, sent, sizeof(sent));
	cookie = nbd_get64(sent + 8);
	assert_true(answer(b, MAGIC, 0, cookie, 1, 16));
	assert_false(answer(b, MAGIC, 0, cookie, 1, 16));
	assert_int_equal(b->done, 1);
	bench_close(b);
}

/*
 * Of a request that hasn't left, as far as we know, the pages are still to be sent: its end
 * waits for that, whatever the server says.
 */
static void an_early_answer_waits(void **state)
{
	struct bench *b = bench_open();
	uint64_t cookie;

	(void)state;
	queue(b, 0, STORE_WRITE, 1, 1);
	assert_true(nbd_conn_gather(&b->conn));
	cookie = nbd_get64(b->conn.iov[0].iov_base + 8);
	nbd_conn_sent(&b->conn, 28 + 100);
	assert_true(answer(b, MAGIC, 0, cookie, 0, 16));
	assert_int_equal(b->done, 0);
	nbd_conn_sent(&b->conn, PAGE - 100);
	assert_int_equal(b->done, 1);
	queue(b, 0, STORE_WRITE, 1, 1);
	assert_true(nbd_conn_gather(&b->conn));
	cookie = nbd_get64(b->conn.iov[0].iov_base + 8);
	assert_true(answer(b, MAGIC, 0, cookie, 0, 16));
	assert_false(answer(b, MAGIC, 0, cookie, 0, 16));
	bench_close(b);
}

/* Of requests that leave together, the first one's end may send what waited for it. */
static void send_the_next(void *context, struct store_op *op)
{
	struct bench *b = context;

	b->done++;
	if (op != &b->op[0])
		return;
	queue(b, 3, STORE_WRITE, 3, 1);
	assert_true(nbd_conn_gather(&b->conn));
}

static void an_end_that_sends_leaves_no_other_unsent(void **state)
{
	struct bench *b = bench_open();
	uint64_t cookie[3];
	unsigned int i;

	(void)state;
	b->conn.done = send_the_next;
	for (i = 0; i < 3; i++)
		queue(b, i, STORE_DISCARD, i, 1);
	assert_true(nbd_conn_gather(&b->conn));
	for (i = 0; i < 3; i++)
		cookie[i] = nbd_get64((uint8_t *)b->conn.iov[i].iov_base + 8);
	/* One answer comes before it's known that the requests have left, */
	assert_true(answer(b, MAGIC, 0, cookie[0], 0, 16));
	assert_int_equal(b->done, 0);
	nbd_conn_sent(&b->conn, 3 * 28);
	assert_int_equal(b->done, 1);
	/* and the others after. */
	assert_true(answer(b, MAGIC, 0, cookie[1], 0, 16));
	assert_true(answer(b, MAGIC, 0, cookie[2], 0, 16));
	assert_int_equal(b->done, 3);
	assert_true(b->conn.iov_done < b->conn.iov_count);
	nbd_conn_sent(&b->conn, 28 + PAGE);
	bench_close(b);
}

/* --- names --- */

static void names_have_two_parts(void **state)
{
	char path[STORE_NBD_PATH_BYTES], name[300] = "nbd:";
	const char *export_name;

	(void)state;
	assert_true(store_nbd_is_name("nbd:/run/x"));
	assert_false(store_nbd_is_name("/var/nbd:"));
	assert_true(store_nbd_parse("nbd:/run/x", path, &export_name));
	assert_string_equal(path, "/run/x");
	assert_string_equal(export_name, "");
	assert_true(store_nbd_parse("nbd:/run/x:web:1", path, &export_name));
	assert_string_equal(path, "/run/x");
	assert_string_equal(export_name, "web:1");
	assert_false(store_nbd_parse("nbd:", path, &export_name));
	assert_false(store_nbd_parse("nbd::web1", path, &export_name));
	memset(name + 4, 'x', STORE_NBD_PATH_BYTES);
	assert_false(store_nbd_parse(name, path, &export_name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_server_admits_us),
		cmocka_unit_test(other_servers_are_refused),
		cmocka_unit_test(nonsense_is_no_hello),
		cmocka_unit_test(requests_are_what_was_asked),
		cmocka_unit_test(errors_are_told),
		cmocka_unit_test(long_trims_go_in_pieces),
		cmocka_unit_test(a_lying_server_points_nowhere),
		cmocka_unit_test(nothing_is_answered_twice),
		cmocka_unit_test(an_early_answer_waits),
		cmocka_unit_test(an_end_that_sends_leaves_no_other_unsent),
		cmocka_unit_test(names_have_two_parts),
	};

	log_init(LOG_CRIT);
	return cmocka_run_group_tests_name("nbd", tests, NULL, NULL);
}
