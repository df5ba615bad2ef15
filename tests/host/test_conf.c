// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_conf.c - the command line.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"

#define MAX_ARGS 24

/* Parse a line of words; what is wrong with it goes to stderr, not shown. */
static enum conf_result parse(struct conf *conf, const char *line)
{
	static char copy[256];
	char *argv[MAX_ARGS] = { "cswapd" };
	enum conf_result result;
	int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	int argc = 1;
	char *rest = copy;
	char *word;

	snprintf(copy, sizeof(copy), "%s", line);
	while ((word = strsep(&rest, " ")))
		argv[argc++] = word;
	dup2(null, STDERR_FILENO);
	result = conf_parse(conf, argc, argv, NULL);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	return result;
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{ "4096", 4096 },
		{ "64G", 64ULL << 30 },
		{ "64g", 64ULL << 30 },
		{ "512MiB", 512 << 20 },
		{ "4KB", 4096 },
		{ "256T", 256ULL << 40 },
		{ "257T", 0 },
		{ "4097", 0 },
		{ "0", 0 },
		{ "", 0 },
		{ "-4096", 0 },
		{ " 4096", 0 },
		{ "4096 ", 0 },
		{ "64X", 0 },
		{ "64GG", 0 },
		{ "64Gx", 0 },
		{ "99999999999999999999", 0 },
		{ "18446744073709551615T", 0 },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(conf_parse_size(cases[i].text),
				 cases[i].bytes);
}

static void good_lines(void **state)
{
	struct conf conf;

	(void)state;
	assert_int_equal(parse(&conf, "--socket s --store f --size 1G"),
			 CONF_OK);
	assert_string_equal(conf.socket_path, "s");
	assert_string_equal(conf.store_path, "f");
	assert_int_equal(conf.slots, 1 << 18);
	assert_int_equal(conf.queue_pairs, 4);
	assert_int_equal(conf.workers, 1);
	assert_int_equal(conf.access, ACCESS_AUTO);
	assert_int_equal(conf.medium, CONF_MEDIUM_AUTO);
	assert_false(conf.one_shot);
	assert_int_equal(conf.release, CONF_RELEASE_CONVERT);
	assert_int_equal(conf.block_bytes, 4096);
	assert_int_equal(conf.report_period_ms, 1000);
	assert_int_equal(conf.watchdog_s, 30);
	assert_null(conf.control_path);
	assert_null(conf.cgroup);
	assert_int_equal(parse(&conf, "--socket s --store f --size 1G --release punch "
			       "--block-size 2M --report-period 0 --control c "
			       "--cgroup /vm"), CONF_OK);
	assert_int_equal(conf.release, CONF_RELEASE_PUNCH);
	assert_int_equal(conf.block_bytes, 2 << 20);
	assert_int_equal(conf.report_period_ms, 0);
	assert_string_equal(conf.control_path, "c");
	assert_string_equal(conf.cgroup, "/vm");
	assert_int_equal(parse(&conf, "--fd=3 --store=mem --size=1M --queues=2 "
			       "--workers=8 --medium=disk --poll-us=0 "
			       "--access-platform=off --one-shot --watchdog=0"), CONF_OK);
	assert_int_equal(conf.watchdog_s, 0);
	assert_null(conf.store_path);
	assert_int_equal(conf.fd, 3);
	assert_int_equal(conf.workers, 2);
	assert_int_equal(conf.medium, VIRTIO_CSWAP_MEDIUM_DISK);
	assert_int_equal(conf.poll_us, 0);
	assert_int_equal(conf.access, ACCESS_OFF);
	assert_true(conf.one_shot);
	assert_int_equal(parse(&conf, "--socket s --store nbd:/run/x:web1 --size 1G"), CONF_OK);
	assert_int_equal(conf.connections, 1);
	assert_string_equal(conf.store_path, "nbd:/run/x:web1");
	assert_int_equal(parse(&conf, "--socket s --store nbd:/run/x --size 1G --workers 4 "
			       "--connections 2"), CONF_OK);
	assert_int_equal(conf.connections, 8);
}

static void bad_lines(void **state)
{
	static const char *const lines[] = {
		"--socket s --size 1G",
		"--socket s --store f",
		"--socket s --store f --size 1Q",
		"--socket s --store f --size 1G rubbish",
		"--socket s --store f --size 1G --wrong",
		"--socket s --store f --size 1G --watchdog 86401",
		"--socket s --fd 3 --store f --size 1G",
		"--socket s --store f --size 1G --queues 0",
		"--socket s --store f --size 1G --queues 65",
		"--socket s --store f --size 1G --workers 0",
		"--socket s --store f --size 1G --poll-us -1",
		"--socket s --store f --size 1G --poll-us 10001",
		"--socket s --store f --size 1G --medium tape",
		"--socket s --store f --size 1G --access-platform maybe",
		"--socket s --store f --size 1G --log-level loud",
		"--socket s --store f --size 1G --release maybe",
		"--socket s --store f --size 1G --block-size 2K",
		"--socket s --store f --size 1G --block-size 12K",
		"--socket s --store f --size 1G --block-size 2G",
		"--socket s --store f --size 1G --report-period 3600001",
		"--socket s --store f --size 1G --report-period 1s",
		"--socket s --store f --size 1G --control=",
		"--socket s --store f --size 1G --cgroup vm",
		"--socket s --store mem --size 1G --tags t",
		"--socket s --store nbd: --size 1G",
		"--socket s --store nbd:/x --size 1G --connections 0",
		"--socket s --store nbd:/x --size 1G --connections 65",
		"--socket s --store nbd:/x --size 1G --connections 33 --workers 2",
		"--socket s --store f --size 1G --connections 2",
		"--socket s --store mem --size 1G --format",
		"--socket s --store f --size 1G --format=yes",
		"--fd x --store f --size 1G",
		"--socket s --store f --size 1G --fault flip",
	};
	struct conf conf;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(parse(&conf, lines[i]), CONF_EXIT_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(good_lines),
		cmocka_unit_test(bad_lines),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
