// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_log.c - a log that nobody reads: no line waits, and what is lost is counted. What others say stays in its line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

#define LINES 5000
/* A line that waits ends the test by SIGALRM. */
#define PATIENCE_S 30

static int real_stderr;

/* Make @fd the log; it's closed. */
static void log_to(int fd)
{
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
	log_init(LOG_INFO);
}

static int setup(void **state)
{
	(void)state;
	real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	alarm(PATIENCE_S);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	alarm(0);
	log_to(real_stderr);
	return 0;
}

static void log_much(void)
{
	unsigned int i;

	for (i = 0; i < LINES; i++)
		log_notice("line %u", i);
}

/* How many lines have come, and how many are said to be lost in all. */
static void read_log(int fd, unsigned int *lines, unsigned int *lost)
{
	FILE *log = fdopen(dup(fd), "r");
	char line[512];

	*lines = 0;
	*lost = 0;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (fgets(line, sizeof(line), log)) {
		char *text = strstr(line, ": ");
		unsigned int count;

		assert_int_equal(line[strlen(line) - 1], '\n');
		assert_non_null(text);
		if (sscanf(text, ": %u lines are lost", &count) == 1)
			*lost += count;
		else
			++*lines;
	}
	fclose(log);
}

/* @ours is read by nobody while there is more to say than goes in. */
static void expect_counted(int ours)
{
	unsigned int lines, lost, more, total;

	log_much();
	read_log(ours, &total, &lost);
	assert_int_equal(lost, 0);
	assert_in_range(total, 1, LINES - 1);
	log_notice("the next line");
	read_log(ours, &more, &lines);
	assert_int_equal(more, 1);
	assert_int_equal(total + lines, LINES);
}

static void full_pipe(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	log_to(ends[1]);
	expect_counted(ends[0]);
	/* Others may write to it, and mean to wait. */
	assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
	close(ends[0]);
}

static void full_socket(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	log_to(ends[1]);
	expect_counted(ends[0]);
	assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
	close(ends[0]);
}

/* Of another user's, whom we may not open it for: as if there were no /proc. */
static void pipe_that_cannot_be_opened(void **state)
{
	int ends[2];

	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fchmod(ends[1], 0), 0);
	assert_int_equal(seteuid(65534), 0);
	log_to(ends[1]);
	assert_int_equal(seteuid(0), 0);
	expect_counted(ends[0]);
	close(ends[0]);
}

/* Who has read it is gone. */
static void reader_gone(void **state)
{
	int ends[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	log_to(ends[1]);
	close(ends[0]);
	log_much();
}

/* What a peer said, in a line of ours: one line, in which nothing steers a terminal. */
static void controls_are_replaced(void **state)
{
	char line[512] = "";
	int ends[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	log_to(ends[1]);
	log_notice("a %s", "b\n<0>c\r\x1b[2J\t\x7f\x01 d\xc2\x9b e\xc2\xa0\xc3\xa9\xe2\x96\x81\xc2");
	n = read(ends[0], line, sizeof(line) - 1);
	assert_true(n > 0);
	assert_non_null(strstr(line, ": a b?<0>c??[2J??? d? e\xc2\xa0\xc3\xa9\xe2\x96\x81\xc2\n"));
	assert_ptr_equal(strchr(line, '\n'), line + n - 1);
	close(ends[0]);
}

/* What is cut off doesn't leave half of a control character. */
static void long_lines_end(void **state)
{
	char line[1024] = "", text[1000];
	int ends[2];
	size_t i;
	ssize_t n;

	(void)state;
	for (i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)(i % 2 ? 0x9b : 0xc2);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	log_to(ends[1]);
	log_notice("%s", text);
	n = read(ends[0], line, sizeof(line) - 1);
	assert_in_range(n, 1, 512);
	assert_ptr_equal(strchr(line, '\n'), line + n - 1);
	assert_null(strchr(line, '\x9b'));
	close(ends[0]);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(full_pipe),
		test(full_socket),
		test(pipe_that_cannot_be_opened),
		test(controls_are_replaced),
		test(long_lines_end),
		test(reader_gone),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
