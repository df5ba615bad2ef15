// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_command.c - an operator's requests, sound and otherwise.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "operator/command.h"
#include "life/keep.h"
#include "common/log.h"

#define MIB (1ULL << 20)
#define SLOTS 64

struct bench {
	struct conf conf;
	struct memory memory;
	struct measure measure;
	struct health health;
	struct balloon balloon;
	struct store *store;
	struct worker_set *workers;
	struct vhost_user *vu;
	struct command_context context;
};

static int bench_setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct worker_config workers = {
		.workers = 1,
		.limits = { .capacity = SLOTS, .queue_pairs = 1, .block_bytes = 4096 },
		.memory = &b->memory,
		.balloon = &b->balloon,
	};
	struct vhost_user_config vu = {
		.limits = workers.limits,
		.memory = &b->memory,
	};

	log_init(LOG_CRIT);
	b->conf.slots = SLOTS;
	b->conf.block_bytes = 4096;
	b->measure = (struct measure)MEASURE_NONE;
	balloon_init(&b->balloon, 4096);
	workers.store = b->store = store_open(NULL, SLOTS);
	assert_true(b->store->ops->activate(b->store));
	vu.workers = b->workers = worker_start(&workers);
	b->vu = vhost_user_new(&vu);
	b->context = (struct command_context) {
		.conf = &b->conf, .memory = &b->memory, .measure = &b->measure,
		.health = &b->health, .vu = b->vu, .balloon = &b->balloon, .workers = b->workers,
		.store = b->store,
	};
	*state = b;
	return 0;
}

static int bench_teardown(void **state)
{
	struct bench *b = *state;

	measure_close(&b->measure);
	vhost_user_free(b->vu);
	worker_stop(b->workers);
	memory_clear(&b->memory);
	balloon_free(&b->balloon);
	store_close(b->store);
	free(b);
	return 0;
}

/* Ask; does the answer have @text? */
static bool says(struct bench *b, const char *request, const char *text)
{
	unsigned int watch_ms = 0;
	char *answer = command_ops.answer(&b->context, request, &watch_ms);
	bool found = strstr(answer, text);

	assert_null(strchr(answer, '\n'));
	if (!found)
		print_message("%s -> %s\n", request, answer);
	free(answer);
	return found;
}

/* Two regions of one file, of which the first MiB is touched. */
static void share_memory(struct bench *b, uint64_t bytes)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_null(memory_add(&b->memory, 0, 0, bytes / 2, 0, fd));
	assert_null(memory_add(&b->memory, 1ULL << 40, 1ULL << 40, bytes / 2,
			       bytes / 2, fd));
	close(fd);
	memset(b->memory.region[0].host, 1, MIB);
}

static void what_is_refused(void **state)
{
	static const char *const requests[] = {
		"", " ", "{", "}", "{}", "[]", "null", "1", "\"status\"", "status",
		"{\"request\":1}", "{\"request\":null}", "{\"request\":\"\"}",
		"{\"request\":\"stat\"}", "{\"request\":[\"status\"]}",
		"{\"request\":\"status\"} x", "{\"request\":\"status\"}{}",
		"{\"request\":\"status\",\"a\":1}", "{\"Request\":\"status\"}",
		"{\"request\":\"status\"", "{request:\"status\"}",
		"{\"request\":\"target\"}", "{\"request\":\"target\",\"byte\":1}",
		"{\"request\":\"target\",\"bytes\":-1}",
		"{\"request\":\"target\",\"bytes\":1.5}",
		"{\"request\":\"target\",\"bytes\":\"1\"}",
		"{\"request\":\"target\",\"bytes\":null}",
		"{\"request\":\"target\",\"bytes\":true}",
		"{\"request\":\"target\",\"bytes\":[1]}",
		"{\"request\":\"target\",\"bytes\":18446744073709551615}",
		"{\"request\":\"target\",\"bytes\":1,\"percent\":1}",
		"{\"request\":\"target\",\"percent\":-1}",
		"{\"request\":\"target\",\"percent\":100.1}",
		"{\"request\":\"target\",\"percent\":NaN}",
		"{\"request\":\"target\",\"percent\":Infinity}",
		"{\"request\":\"target\",\"percent\":\"50\"}",
		"{\"request\":\"target\",\"bytes\":1,\"interval_ms\":1000}",
		"{\"request\":\"target\",\"bytes\":16781312}",
		"{\"request\":\"watch\",\"interval_ms\":49}",
		"{\"request\":\"watch\",\"interval_ms\":3600001}",
		"{\"request\":\"watch\",\"interval_ms\":-1000}",
		"{\"request\":\"watch\",\"interval_ms\":\"1000\"}",
		"{\"request\":\"watch\",\"bytes\":1}",
		"{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{}}}}}}}",
		"{\"request\":\"st\xff\"}", "\x01\x02",
	};
	struct bench *b = *state;
	unsigned int i;

	share_memory(b, 16 * MIB);
	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		assert_true(says(b, requests[i], "{\"ok\":false,\"error\":\""));
	assert_true(says(b, "{\"request\":\"status\"}", "\"target_bytes\":0,"));
}

static void targets(void **state)
{
	struct bench *b = *state;

	/* While nobody is there any size will do, but no share of it. */
	assert_true(says(b, "{\"request\":\"target\",\"percent\":50}",
			 "no front end is connected"));
	assert_true(says(b, "{\"request\":\"target\",\"bytes\":1099511627776}",
			 "\"target_bytes\":1099511627776,"));
	share_memory(b, 16 * MIB);
	assert_true(says(b, "{\"request\":\"target\",\"percent\":50}",
			 "\"target_bytes\":8388608,"));
	assert_true(says(b, "{\"request\":\"target\",\"percent\":0.03}",
			 "\"target_bytes\":4096,"));
	assert_true(says(b, "{\"request\":\"target\",\"percent\":1e2}",
			 "\"target_bytes\":16777216,"));
	assert_true(says(b, " {\"bytes\" : 5, \"request\":\"target\"} ",
			 "\"target_bytes\":5,"));
	assert_int_equal(balloon_get_target(&b->balloon), 5);
	b->conf.release = CONF_RELEASE_OFF;
	assert_true(says(b, "{\"request\":\"target\",\"bytes\":0}",
			 "the balloon is off"));
	assert_true(says(b, "{\"request\":\"shrink\",\"bytes\":1}",
			 "the balloon is off"));
	assert_int_equal(balloon_get_target(&b->balloon), 5);
}

/* More than the target, for as long as somebody waits; the target is what it was. */
static void shrinking(void **state)
{
	struct bench *b = *state;

	assert_true(says(b, "{\"request\":\"target\",\"bytes\":8192}", "\"shrink_bytes\":0,"));
	assert_true(says(b, "{\"request\":\"shrink\",\"bytes\":0}", "no amount"));
	assert_true(says(b, "{\"request\":\"shrink\",\"bytes\":12288}",
			 "\"target_bytes\":8192,\"shrink_bytes\":12288,"));
	assert_int_equal(balloon_get_wanted(&b->balloon), 12288);
	assert_int_equal(balloon_get_target(&b->balloon), 8192);
	assert_true(says(b, "{\"request\":\"shrink\",\"bytes\":4096}", "another operator"));
	assert_true(says(b, "{\"request\":\"target\",\"bytes\":16384}", "\"target_bytes\":16384,"));
	assert_int_equal(balloon_get_wanted(&b->balloon), 16384);
	command_ops.let_go(&b->context);
	assert_true(says(b, "{\"request\":\"status\"}",
			 "\"target_bytes\":16384,\"shrink_bytes\":0,"));
}

static void what_is_known_and_what_not(void **state)
{
	struct bench *b = *state;

	assert_true(says(b, "{\"request\":\"status\"}",
			 "\"memory_bytes\":null,\"target_bytes\":0,\"shrink_bytes\":0,\"told_bytes\":0,"
			 "\"claimed\":{\"released_bytes\":0},\"report\":null,"
			 "\"measured\":{\"memory_file_bytes\":null,"
			 "\"cgroup_bytes\":null,\"cgroup\":null,\"kept_bytes\":null,"
			 "\"cgroup_cache_bytes\":null}"));
	share_memory(b, 16 * MIB);
	/* Several regions of one file are one file. */
	assert_true(says(b, "{\"request\":\"status\"}", "\"memory_bytes\":16777216,"));
	assert_true(says(b, "{\"request\":\"status\"}",
			 "\"memory_file_bytes\":1048576,"));
	assert_true(says(b, "{\"request\":\"status\"}", "\"balloon\":\"absent\""));
	assert_true(says(b, "{\"request\":\"status\"}", keep_layout()));
}

static void reports_are_shown(void **state)
{
	static const char *const words[] = {
		"none", "working", "floor", "memory", "pressure", "oom", "device",
		"owner", "unknown", "unknown",
	};
	struct bench *b = *state;
	struct device_report report = {
		.size = UINT64_MAX, .released = 1, .target = 2, .floor = 3, .lost = 4,
		.free = 5, .available = 6, .file = 7, .swap_in = 8, .swap_out = 9,
		.refaults = 10, .alloc_stalls = 11, .swap_in_ns = 12,
		.tampered = 13, .epoch = UINT32_MAX,
	};
	char text[64];
	uint32_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		report.stopped = i;
		balloon_take_report(&b->balloon, &report);
		snprintf(text, sizeof(text), "\"stopped\":\"%s\"", words[i]);
		assert_true(says(b, "{\"request\":\"status\"}", text));
		snprintf(text, sizeof(text), "\"report\":{\"number\":%u,", i + 1);
		assert_true(says(b, "{\"request\":\"status\"}", text));
	}
	report.stopped = UINT32_MAX;
	balloon_take_report(&b->balloon, &report);
	assert_true(says(b, "{\"request\":\"status\"}",
			 "\"size_bytes\":18446744073709551615,\"released_bytes\":1,"
			 "\"target_bytes\":2,\"floor_bytes\":3,"
			 "\"lost_bytes\":4,\"free_bytes\":5,\"available_bytes\":6,"
			 "\"file_bytes\":7,\"swap_in_pages\":8,\"swap_out_pages\":9,"
			 "\"refault_pages\":10,\"alloc_stalls\":11,\"swap_in_ns\":12,"
			 "\"tampered_pages\":13,\"stopped\":\"unknown\",\"epoch\":4294967295}"));
}

static void watches_have_an_interval(void **state)
{
	struct bench *b = *state;
	unsigned int watch_ms = 0;

	free(command_ops.answer(&b->context, "{\"request\":\"watch\"}", &watch_ms));
	assert_int_equal(watch_ms, 1000);
	free(command_ops.answer(&b->context,
				"{\"request\":\"watch\",\"interval_ms\":50}", &watch_ms));
	assert_int_equal(watch_ms, 50);
	watch_ms = 0;
	free(command_ops.answer(&b->context, "{\"request\":\"status\"}", &watch_ms));
	free(command_ops.answer(&b->context,
				"{\"request\":\"watch\",\"interval_ms\":1}", &watch_ms));
	assert_int_equal(watch_ms, 0);
}

/* A cgroup that isn't there, and a file that stands in for one that is. */
static void cgroups_are_measured(void **state)
{
	struct bench *b = *state;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	measure_open(&b->measure, fds[0], "/no/such/cgroup");
	assert_true(says(b, "{\"request\":\"status\"}", "\"cgroup_bytes\":null,"));
	b->measure.cgroup_fd = memfd_create("memory.current", MFD_CLOEXEC);
	assert_int_equal(write(b->measure.cgroup_fd, "12345678\n", 9), 9);
	strcpy(b->measure.cgroup, "/machine/web1");
	assert_true(says(b, "{\"request\":\"status\"}",
			 "\"cgroup_bytes\":12345678,\"cgroup\":\"/machine/web1\""));
	close(fds[0]);
	close(fds[1]);
}

static void stat_is(struct bench *b, const char *text)
{
	if (b->measure.stat_fd >= 0)
		close(b->measure.stat_fd);
	b->measure.stat_fd = memfd_create("memory.stat", MFD_CLOEXEC);
	assert_int_equal(write(b->measure.stat_fd, text, strlen(text)), strlen(text));
}

/* What is charged and of no kind is kept: discarded, and held by a device. */
/* The guest's memory is shmem: in "file", and on none of the lists. */
static void the_cache_is_measured(void **state)
{
	struct bench *b = *state;

	assert_true(says(b, "{\"request\":\"status\"}", "\"cgroup_cache_bytes\":null"));
	stat_is(b, "anon 4000\nfile 900000\nshmem 300000\ninactive_anon 7\ninactive_file 500000\nactive_file 100000\n");
	assert_true(says(b, "{\"request\":\"status\"}", "\"cgroup_cache_bytes\":600000"));
	stat_is(b, "anon 4000\nfile 900000\ninactive_file 500000\n");
	assert_true(says(b, "{\"request\":\"status\"}", "\"cgroup_cache_bytes\":null"));
	stat_is(b, "cache 900000\n");
	assert_true(says(b, "{\"request\":\"status\"}", "\"cgroup_cache_bytes\":null"));
}

static void what_is_kept_is_measured(void **state)
{
	struct bench *b = *state;

	b->measure.cgroup_fd = memfd_create("memory.current", MFD_CLOEXEC);
	assert_int_equal(write(b->measure.cgroup_fd, "1000000\n", 8), 8);
	assert_true(says(b, "{\"request\":\"status\"}", "\"kept_bytes\":null"));
	stat_is(b, "anon 100000\nfile 200000\nkernel 30000\nfile_mapped 9\nsock 4000\n");
	assert_true(says(b, "{\"request\":\"status\"}", "\"kept_bytes\":666000"));
	stat_is(b, "anon 100000\nfile 200000\nkernel 30000\nsock 4000\nhugetlb 66000\n");
	assert_true(says(b, "{\"request\":\"status\"}", "\"kept_bytes\":600000"));
	/* Charged between the two looks. */
	stat_is(b, "anon 1100000\nfile 200000\nkernel 30000\nsock 4000\n");
	assert_true(says(b, "{\"request\":\"status\"}", "\"kept_bytes\":0"));
	/* A kernel before 5.18 doesn't list its own. */
	stat_is(b, "anon 100000\nfile 200000\nsock 4000\n");
	assert_true(says(b, "{\"request\":\"status\"}", "\"kept_bytes\":null"));
}

#define CASE(test) \
	cmocka_unit_test_setup_teardown(test, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_is_refused),
		CASE(targets),
		CASE(shrinking),
		CASE(what_is_known_and_what_not),
		CASE(reports_are_shown),
		CASE(watches_have_an_interval),
		CASE(cgroups_are_measured),
		CASE(the_cache_is_measured),
		CASE(what_is_kept_is_measured),
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
