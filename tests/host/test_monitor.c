// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_monitor.c - how soon a worker is followed by the next, and who waits for systemd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/un.h>

#include "life/monitor.c"

static void begin_life(struct monitor *monitor, bool ready)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	close(ends[1]);
	monitor->channel = ends[0];
	monitor->started_ms = clock_now_ms();
	monitor->ready = ready;
}

/* The channel's end is seen before the death that it tells of, which a signal brings. */
static void end_life(struct monitor *monitor)
{
	lose_channel(monitor);
	assert_false(is_serving(monitor));
	plan_next(monitor);
}

/* However often one dies that served, the guest waits as short as can be. */
static void who_served_is_followed_at_once(void **state)
{
	struct monitor monitor = { .channel = -1 };
	unsigned int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		begin_life(&monitor, true);
		assert_true(is_serving(&monitor));
		end_life(&monitor);
		assert_in_range(monitor.pause_ms, 0, SHORT_PAUSE_MS);
	}
}

static void who_never_gets_ready_is_followed_later_and_later(void **state)
{
	struct monitor monitor = { .channel = -1 };
	unsigned int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		begin_life(&monitor, false);
		end_life(&monitor);
	}
	assert_true(monitor.pause_ms >= LONG_PAUSE_MS);
}

/* A systemd that listens at @path, and has more to read than it can take already. */
static int busy_systemd(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(systemd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(connect(other, (struct sockaddr *)&address, sizeof(address)), 0);
	while (send(other, "X=1", 3, 0) == 3)
		continue;
	assert_int_equal(errno, EAGAIN);
	close(other);
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	return systemd;
}

/* Whether one of its messages brings a descriptor. */
static bool systemd_reads(int systemd)
{
	bool found = false, busy;
	char text[256];
	ssize_t n;

	do {
		busy = fdstore_is_busy();
		while ((n = recv(systemd, text, sizeof(text) - 1, 0)) > 0) {
			text[n] = '\0';
			found |= strstr(text, "FDSTORE=1") && strstr(text, "cswapd-5");
		}
		fdstore_run();
	} while (busy);
	return found;
}

/* The worker has taken a descriptor from a message, and has a reply to it. */
static void worker_answers(struct monitor *monitor, int fd)
{
	struct keep_answer answer = {
		.kind = KEEP_DONE, .alive = true, .reply = true,
		.num_keys = 1, .key = { 5 | KEEP_HAS_FD },
	};
	int ends[2];

	answer.message.header.size = 8;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	monitor->channel = ends[0];
	assert_true(keep_send(ends[1], &answer, sizeof(answer), &fd, 1));
	assert_true(monitor_take_answer(monitor));
	close(ends[0]);
	close(ends[1]);
}

/* What a guest goes on with must not be lost if we are killed a moment later. */
static void no_answer_before_systemd_has_it(void **state)
{
	static struct keep_state keep_state;
	static struct monitor monitor = { .state = &keep_state, .talk = TALK_TOLD, .store_fds = true };
	char directory[] = "/tmp/test-monitor.XXXXXX", path[64], reply[64];
	int ends[2], systemd;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/notify", directory);
	systemd = busy_systemd(path);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	memset(monitor.kept, -1, sizeof(monitor.kept));
	monitor.front_end = ends[0];
	monitor.worker = getpid();
	worker_answers(&monitor, systemd);
	do_what_is_due(&monitor);
	assert_int_equal(recv(ends[1], reply, sizeof(reply), 0), -1);
	assert_int_equal(front_end_poll(&monitor).fd, -1);
	assert_true(systemd_reads(systemd));
	do_what_is_due(&monitor);
	assert_int_equal(recv(ends[1], reply, sizeof(reply), 0), sizeof(struct vu_header) + 8);
	assert_int_equal(monitor.talk, TALK_READING);
	unlink(path);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_served_is_followed_at_once),
		cmocka_unit_test(who_never_gets_ready_is_followed_later_and_later),
		cmocka_unit_test(no_answer_before_systemd_has_it),
	};

	return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}
