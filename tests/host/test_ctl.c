// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_ctl.c - the control socket, and clients that mean it no good.
 *
 * Server and clients share one thread: whatever a client does, a step of the
 * server ends, or the test would hang.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ctl.h"
#include "common/log.h"

#define BIG_BYTES (4 << 20)

struct bench {
	char directory[32];
	char path[64];
	struct ctl *ctl;
	unsigned int asked;
	unsigned int watched;
	unsigned int let_go;
};

/* Answers with the request; "big" with more than a socket takes. */
static char *echo(void *context, const char *request, unsigned int *watch_ms)
{
	struct bench *b = context;
	char *big;

	b->asked++;
	if (!strcmp(request, "watch"))
		*watch_ms = 1;
	if (!strcmp(request, "hold"))
		*watch_ms = CTL_HOLDS | 3600000;
	if (strcmp(request, "big"))
		return strdup(request);
	big = malloc(BIG_BYTES + 1);
	memset(big, 'b', BIG_BYTES);
	big[BIG_BYTES] = '\0';
	return big;
}

static char *tick(void *context)
{
	struct bench *b = context;

	b->watched++;
	return strdup("tick");
}

static void let_go(void *context)
{
	struct bench *b = context;

	b->let_go++;
}

static const struct ctl_ops ops = { .answer = echo, .watch = tick, .let_go = let_go };

static int bench_setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	log_init(LOG_CRIT);
	strcpy(b->directory, "/tmp/test-ctl.XXXXXX");
	assert_non_null(mkdtemp(b->directory));
	snprintf(b->path, sizeof(b->path), "%s/ctl", b->directory);
	b->ctl = ctl_open(b->path, &ops, b);
	assert_non_null(b->ctl);
	*state = b;
	return 0;
}

static int bench_teardown(void **state)
{
	struct bench *b = *state;
	struct stat st;

	ctl_close(b->ctl);
	assert_int_not_equal(stat(b->path, &st), 0);
	rmdir(b->directory);
	free(b);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	close(fd);
	return -1;
}

/* All that the server can do without waiting. */
static void step(struct bench *b)
{
	struct pollfd fds[CTL_MAX_POLLS];
	unsigned int i;

	for (i = 0; i < 8; i++) {
		poll(fds, ctl_prepare_poll(b->ctl, fds), 0);
		ctl_run(b->ctl, fds);
	}
}

static int join(struct bench *b)
{
	int fd = connect_to(b->path);

	assert_true(fd >= 0);
	step(b);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void expect(struct bench *b, int fd, const char *text)
{
	char got[256];

	step(b);
	assert_int_equal(recv(fd, got, sizeof(got), 0), strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

static void expect_silence(struct bench *b, int fd)
{
	char byte;

	step(b);
	assert_int_equal(recv(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static bool has_hung_up(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	return !n || (n < 0 && errno == ECONNRESET);
}

static void expect_hang_up(struct bench *b, int fd)
{
	step(b);
	assert_true(has_hung_up(fd));
	close(fd);
}

/* --- the tests --- */

static void lines_are_answered(void **state)
{
	struct bench *b = *state;
	int fd = join(b), other = join(b);
	struct stat st;

	say(fd, "one\n");
	expect(b, fd, "one\n");
	say(fd, "tw");
	expect_silence(b, fd);
	say(other, "other\n");
	say(fd, "o\nthree\n\nfo");
	expect(b, fd, "two\nthree\n\n");
	expect(b, other, "other\n");
	say(fd, "ur\n");
	expect(b, fd, "four\n");
	close(fd);
	say(other, "again\n");
	expect(b, other, "again\n");
	close(other);
	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void half_closed_is_answered(void **state)
{
	struct bench *b = *state;
	int fd = join(b);

	say(fd, "one\ntwo\nrest");
	shutdown(fd, SHUT_WR);
	expect(b, fd, "one\ntwo\n");
	expect_hang_up(b, fd);
	assert_int_equal(b->asked, 2);
}

/* All of its answers, however long, though it will ask nothing more. */
static void half_closed_gets_long_answers(void **state)
{
	struct bench *b = *state;
	static char sink[1 << 16];
	int fd = join(b);
	uint64_t bytes;
	ssize_t n;

	say(fd, "big\nbig\n");
	shutdown(fd, SHUT_WR);
	for (bytes = 0; bytes < 2 * (BIG_BYTES + 1); bytes += (uint64_t)n) {
		step(b);
		n = recv(fd, sink, sizeof(sink), 0);
		assert_true(n > 0);
	}
	expect_hang_up(b, fd);
}

static void long_lines_end_it(void **state)
{
	struct bench *b = *state;
	char line[CTL_LINE_BYTES + 1], answer[CTL_LINE_BYTES + 1];
	int fd = join(b);

	memset(line, 'x', sizeof(line));
	line[CTL_LINE_BYTES - 1] = '\n';
	line[CTL_LINE_BYTES] = '\0';
	say(fd, line);
	step(b);
	assert_int_equal(b->asked, 1);
	line[CTL_LINE_BYTES - 1] = 'x';
	/* What is read before it ends is the answer to the first one. */
	assert_int_equal(recv(fd, answer, sizeof(answer), 0), CTL_LINE_BYTES);
	say(fd, line);
	expect_hang_up(b, fd);
	assert_int_equal(b->asked, 1);
	fd = join(b);
	say(fd, "well\n");
	expect(b, fd, "well\n");
	close(fd);
}

/* Who doesn't read isn't read from, and nobody waits for it. */
static void slow_readers_wait_alone(void **state)
{
	struct bench *b = *state;
	int slow = join(b), fd = join(b);
	static char sink[1 << 16];
	uint64_t bytes = 0;
	unsigned int i;
	ssize_t n;

	for (i = 0; i < 20; i++)
		say(slow, "big\n");
	step(b);
	assert_int_equal(b->asked, 1);
	for (i = 0; i < 20; i++) {
		say(fd, "quick\n");
		expect(b, fd, "quick\n");
	}
	assert_int_equal(b->asked, 21);
	/* When it reads after all, it gets what it asked for. */
	while (bytes < 20ULL * (BIG_BYTES + 1)) {
		step(b);
		n = recv(slow, sink, sizeof(sink), 0);
		assert_true(n > 0);
		bytes += (uint64_t)n;
	}
	expect_silence(b, slow);
	close(slow);
	close(fd);
}

static void gone_with_an_answer_under_way(void **state)
{
	struct bench *b = *state;
	unsigned int i;

	for (i = 0; i < 3 * CTL_MAX_CLIENTS; i++) {
		int fd = join(b);

		say(fd, "big\n");
		step(b);
		close(fd);
		step(b);
	}
	assert_int_equal(b->asked, 3 * CTL_MAX_CLIENTS);
}

/* Many clients: the one that was silent longest goes, the new one is served. */
static void crowds(void **state)
{
	struct bench *b = *state;
	int fd[4 * CTL_MAX_CLIENTS];
	unsigned int i;
	int last;

	for (i = 0; i < 4 * CTL_MAX_CLIENTS; i++) {
		fd[i] = join(b);
		say(fd[i], "here\n");
		expect(b, fd[i], "here\n");
	}
	/* The oldest one left speaks once more, and so isn't the next to go. */
	say(fd[3 * CTL_MAX_CLIENTS], "still here\n");
	expect(b, fd[3 * CTL_MAX_CLIENTS], "still here\n");
	last = join(b);
	for (i = 0; i < 4 * CTL_MAX_CLIENTS; i++) {
		assert_int_equal(has_hung_up(fd[i]), i < 3 * CTL_MAX_CLIENTS ||
				 i == 3 * CTL_MAX_CLIENTS + 1);
		close(fd[i]);
	}
	close(last);
}

static void await_ticks(struct bench *b, unsigned int count)
{
	struct pollfd fds[CTL_MAX_POLLS];
	unsigned int until = b->watched + count;

	while (b->watched < until) {
		nfds_t n = ctl_prepare_poll(b->ctl, fds);

		assert_in_range(ctl_timeout_ms(b->ctl), 0, 1);
		poll(fds, n, ctl_timeout_ms(b->ctl));
		ctl_run(b->ctl, fds);
	}
}

static void watches(void **state)
{
	struct bench *b = *state;
	int fd = join(b);
	unsigned int watched;
	char got[4096];

	assert_int_equal(ctl_timeout_ms(b->ctl), -1);
	say(fd, "watch\n");
	step(b);
	await_ticks(b, 3);
	assert_true(recv(fd, got, sizeof(got), 0) >= 16);
	assert_memory_equal(got, "watch\ntick\ntick\n", 16);
	/* The next request is the watch's end. */
	say(fd, "enough\n");
	step(b);
	watched = b->watched;
	poll(NULL, 0, 5);
	step(b);
	assert_int_equal(b->watched, watched);
	assert_int_equal(ctl_timeout_ms(b->ctl), -1);
	close(fd);
}

/* Until the next request, or the client's end, and however many come meanwhile. */
static void holds(void **state)
{
	struct bench *b = *state;
	int fd = join(b), other[CTL_MAX_CLIENTS + 4];
	unsigned int i;

	say(fd, "hold\n");
	step(b);
	assert_in_range(ctl_timeout_ms(b->ctl), 1, 3600000);
	for (i = 0; i < CTL_MAX_CLIENTS + 4; i++)
		other[i] = join(b);
	assert_int_equal(b->let_go, 0);
	say(fd, "enough\n");
	step(b);
	assert_int_equal(b->let_go, 1);
	say(fd, "hold\n");
	step(b);
	close(fd);
	step(b);
	assert_int_equal(b->let_go, 2);
	for (i = 0; i < CTL_MAX_CLIENTS + 4; i++)
		close(other[i]);
	step(b);
	assert_int_equal(b->let_go, 2);
}

/* Root and our own user: the mode of the socket is not all there is to it. */
static void others_are_refused(void **state)
{
	struct bench *b = *state;
	int status;
	pid_t pid;

	if (geteuid())
		skip();
	assert_int_equal(chmod(b->directory, 0755), 0);
	assert_int_equal(chmod(b->path, 0666), 0);
	pid = fork();
	if (!pid) {
		char byte;
		int fd;

		if (setuid(65534))
			_exit(2);
		fd = connect_to(b->path);
		if (fd < 0)
			_exit(3);
		/* It may be too late to say anything. */
		if (send(fd, "hello\n", 6, MSG_NOSIGNAL) < 0)
			_exit(0);
		/* Wait for the answer, or for the end. */
		poll(&(struct pollfd) { .fd = fd, .events = POLLIN }, 1, 10000);
		_exit(recv(fd, &byte, 1, 0) > 0 ? 4 : 0);
	}
	while (!waitpid(pid, &status, WNOHANG)) {
		struct pollfd fds[CTL_MAX_POLLS];

		poll(fds, ctl_prepare_poll(b->ctl, fds), 1);
		ctl_run(b->ctl, fds);
	}
	assert_int_equal(status, 0);
	assert_int_equal(b->asked, 0);
}

/* Let the server sleep as its loop would, until there is something to do or it's time. */
static bool server_sleeps(struct bench *b)
{
	struct pollfd fds[CTL_MAX_POLLS];
	size_t count = ctl_prepare_poll(b->ctl, fds);
	int timeout = ctl_timeout_ms(b->ctl);
	bool sleeps;

	sleeps = !poll(fds, count, 0);
	poll(fds, count, timeout);
	ctl_run(b->ctl, fds);
	return sleeps;
}

/* Nothing is left to accept a client with: it waits, the server sleeps, and serves it later. */
static void no_descriptors(void **state)
{
	struct bench *b = *state;
	struct rlimit old, none;
	char reply[16] = "";
	int other[2 * CTL_MAX_POLLS + 1];
	unsigned int count = 0;
	int fd;

	fd = connect_to(b->path);
	assert_true(fd >= 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	/* Beyond what poll() is given: it refuses more than there may be. */
	none = (struct rlimit){ 2 * CTL_MAX_POLLS, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	while ((other[count] = dup(fd)) >= 0)
		count++;
	assert_false(server_sleeps(b));
	assert_true(server_sleeps(b));
	assert_false(server_sleeps(b));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	while (count)
		close(other[--count]);
	assert_int_equal(send(fd, "late\n", 5, MSG_NOSIGNAL), 5);
	while (recv(fd, reply, sizeof(reply) - 1, MSG_DONTWAIT) < 0)
		server_sleeps(b);
	assert_string_equal(reply, "late\n");
	close(fd);
}

#define CASE(test) \
	cmocka_unit_test_setup_teardown(test, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(lines_are_answered),
		CASE(half_closed_is_answered),
		CASE(half_closed_gets_long_answers),
		CASE(long_lines_end_it),
		CASE(slow_readers_wait_alone),
		CASE(gone_with_an_answer_under_way),
		CASE(crowds),
		CASE(watches),
		CASE(holds),
		CASE(others_are_refused),
		CASE(no_descriptors),
	};

	return cmocka_run_group_tests_name("ctl", tests, NULL, NULL);
}
