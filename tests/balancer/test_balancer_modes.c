// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_balancer_modes.c - what operators have said of guests: how long it holds, and what is kept of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "modes.h"

static char folder[] = "/tmp/cswap-modes.XXXXXX";
static char path[PATH_MAX];

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/modes", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

/* The next balancer. */
static void reopen(struct modes *modes)
{
	modes_close(modes);
	modes_open(modes, path);
}

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void what_was_said_outlasts_the_balancer(void **state)
{
	struct modes modes = { .paused = false };

	(void)state;
	unlink(path);
	reopen(&modes);
	assert_int_equal(modes_get(&modes, "web1", POLICY_AUTO), POLICY_AUTO);
	modes_set(&modes, "web1", POLICY_MODE_PAUSED, POLICY_AUTO);
	modes_set(&modes, "web 2", POLICY_MODE_DRAIN, POLICY_AUTO);
	/* By its configuration it would be paused. */
	modes_set(&modes, "db1", POLICY_AUTO, POLICY_MODE_PAUSED);
	modes_pause_all(&modes, true);
	reopen(&modes);
	assert_true(modes.paused);
	assert_int_equal(modes_get(&modes, "web1", POLICY_AUTO), POLICY_MODE_PAUSED);
	assert_int_equal(modes_get(&modes, "web 2", POLICY_AUTO), POLICY_MODE_DRAIN);
	assert_int_equal(modes_get(&modes, "db1", POLICY_MODE_PAUSED), POLICY_AUTO);
	modes_pause_all(&modes, false);
	modes_set(&modes, "web1", POLICY_MODE_DRAIN, POLICY_AUTO);
	modes_set(&modes, "web 2", POLICY_AUTO, POLICY_AUTO);
	reopen(&modes);
	assert_false(modes.paused);
	assert_int_equal(modes.count, 2);
	assert_int_equal(modes_get(&modes, "web1", POLICY_AUTO), POLICY_MODE_DRAIN);
	modes_close(&modes);
}

/* A look at @now_ms, that sees a guest or none. */
static void look(struct modes *modes, uint64_t now_ms, const char *guest)
{
	if (guest)
		modes_see(modes, guest);
	modes_end_look(modes, now_ms);
}

static void a_guest_that_is_gone_for_good_leaves_nothing(void **state)
{
	struct modes modes = { .paused = false };
	const uint64_t gone = 1000;

	(void)state;
	unlink(path);
	reopen(&modes);
	modes_set(&modes, "web1", POLICY_MODE_PAUSED, POLICY_AUTO);
	look(&modes, 1, "web1");
	look(&modes, gone, NULL);
	look(&modes, gone + MODES_GONE_MS - 1, NULL);
	assert_int_equal(modes_get(&modes, "web1", POLICY_AUTO), POLICY_MODE_PAUSED);
	/* Its daemon was restarted, and then it goes. */
	look(&modes, gone + MODES_GONE_MS - 1, "web1");
	look(&modes, 2 * MODES_GONE_MS, NULL);
	look(&modes, 3 * MODES_GONE_MS - 1, "web2");
	assert_int_equal(modes_get(&modes, "web1", POLICY_AUTO), POLICY_MODE_PAUSED);
	look(&modes, 3 * MODES_GONE_MS, "web2");
	assert_int_equal(modes_get(&modes, "web1", POLICY_AUTO), POLICY_AUTO);
	reopen(&modes);
	assert_int_equal(modes.count, 0);
	/* A balancer that was restarted meanwhile has the whole time ahead. */
	modes_set(&modes, "web1", POLICY_MODE_PAUSED, POLICY_AUTO);
	look(&modes, gone, NULL);
	reopen(&modes);
	look(&modes, gone + MODES_GONE_MS, NULL);
	assert_int_equal(modes.count, 1);
	modes_close(&modes);
}

static void nonsense_is_ignored(void **state)
{
	struct modes modes = { .paused = false };
	char text[1024];

	(void)state;
	snprintf(text, sizeof(text), "paused web1\nasleep web2\npaused\npaused \n\ndraining web1\npaused %0200d\ndraining web3",
		 7);
	write_file(text);
	reopen(&modes);
	assert_int_equal(modes.count, 1);
	assert_int_equal(modes_get(&modes, "web1", POLICY_AUTO), POLICY_MODE_PAUSED);
	assert_false(modes.paused);
	/* A name that no line has room for is another guest's line otherwise. */
	modes_set(&modes, "a\npaused b", POLICY_MODE_PAUSED, POLICY_AUTO);
	reopen(&modes);
	assert_int_equal(modes.count, 1);
	modes_close(&modes);
}

static void a_dry_run_keeps_nothing(void **state)
{
	struct modes modes;

	(void)state;
	write_file("paused web1\n");
	modes_open(&modes, NULL);
	assert_int_equal(modes.count, 0);
	modes_set(&modes, "web2", POLICY_MODE_DRAIN, POLICY_AUTO);
	assert_int_equal(modes_get(&modes, "web2", POLICY_AUTO), POLICY_MODE_DRAIN);
	reopen(&modes);
	assert_int_equal(modes.count, 1);
	assert_int_equal(modes_get(&modes, "web1", POLICY_AUTO), POLICY_MODE_PAUSED);
	modes_close(&modes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_said_outlasts_the_balancer),
		cmocka_unit_test(a_guest_that_is_gone_for_good_leaves_nothing),
		cmocka_unit_test(nonsense_is_ignored),
		cmocka_unit_test(a_dry_run_keeps_nothing),
	};

	log_init(LOG_CRIT);
	return cmocka_run_group_tests_name("balancer's modes", tests, make_folder, remove_folder);
}
