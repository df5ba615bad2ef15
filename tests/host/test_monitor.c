// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_monitor.c - how soon a worker is followed by the next, who waits for systemd, and what systemd keeps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/kcmp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
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

static char directory[] = "/tmp/test-monitor.XXXXXX";
static struct sockaddr_un systemd_address = { .sun_family = AF_UNIX };

/* --- the worker's end of the channel --- */

/* Nothing is left to be polled for, however long the worker takes to end. */
static void closed_channel_is_let_go(void **state)
{
	static struct keep_state keep_state;
	static struct monitor monitor = { .state = &keep_state, .front_end = -1 };
	const struct keep_answer answer = { .kind = KEEP_READY };
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(watchdog_open(&monitor.watchdog, &keep_state.beats, 2, 0), 1);
	monitor.channel = ends[0];
	assert_true(keep_send(ends[1], &answer, sizeof(answer), NULL, 0));
	close(ends[1]);
	/* What was said before counts. */
	hear_worker(&monitor);
	assert_true(is_serving(&monitor));
	hear_worker(&monitor);
	assert_int_equal(monitor.channel, -1);
	assert_false(is_serving(&monitor));
}

/* It isn't the end of it, but of the worker. */
static void packet_of_another_size_is_none(void **state)
{
	static struct keep_state keep_state;
	static struct monitor monitor = { .state = &keep_state, .front_end = -1, .ready = true, .talk = TALK_TOLD };
	int ends[2], fd = open("/dev/null", O_RDONLY | O_CLOEXEC), next;
	const char packet[8] = "";

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	monitor.channel = ends[0];
	assert_true(keep_send(ends[1], packet, sizeof(packet), &fd, 1));
	monitor.worker = fork();
	if (!monitor.worker) {
		pause();
		_exit(0);
	}
	next = dup(fd);
	close(next);
	hear_worker(&monitor);
	assert_true(is_serving(&monitor));
	assert_int_equal(waitpid(monitor.worker, NULL, 0), monitor.worker);
	/* What came along is closed. */
	assert_int_equal(dup(fd), next);
	close(next);
	close(fd);
	close(ends[0]);
	close(ends[1]);
}

/* A systemd that listens. */
static int open_systemd(void)
{
	int systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(systemd_address.sun_path, sizeof(systemd_address.sun_path), "%s/notify", directory);
	assert_int_equal(bind(systemd, (struct sockaddr *)&systemd_address, sizeof(systemd_address)), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", systemd_address.sun_path, 1), 0);
	return systemd;
}

static void close_systemd(int systemd)
{
	fdstore_close();
	close(systemd);
	unlink(systemd_address.sun_path);
	rmdir(directory);
}

/* It has more to read than it can take already. */
static void be_busy(void)
{
	int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(connect(other, (struct sockaddr *)&systemd_address, sizeof(systemd_address)), 0);
	while (send(other, "X=1", 3, 0) == 3)
		continue;
	assert_int_equal(errno, EAGAIN);
	close(other);
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
			found |= strstr(text, "FDSTORE=1") && strstr(text, "cswapd-1");
		}
		fdstore_run();
	} while (busy);
	return found;
}

struct change {
	unsigned int key;
	int fd;				/* -1: none any more */
};

/* The worker has handled a message, and has a reply to it if anybody waits for one. */
static void worker_answers(struct monitor *monitor, const struct change *change, unsigned int count)
{
	struct keep_answer answer = {
		.kind = KEEP_DONE, .alive = true, .reply = monitor->front_end >= 0, .num_keys = count,
	};
	int ends[2], fd[VU_MAX_FDS];
	unsigned int i, num_fds = 0;

	for (i = 0; i < count; i++) {
		answer.key[i] = (uint16_t)(change[i].key | (change[i].fd < 0 ? 0 : KEEP_HAS_FD));
		if (change[i].fd >= 0)
			fd[num_fds++] = change[i].fd;
	}
	answer.message.header.size = 8;
	monitor->talk = TALK_TOLD;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	monitor->channel = ends[0];
	assert_true(keep_send(ends[1], &answer, sizeof(answer), fd, num_fds));
	assert_true(monitor_take_answer(monitor));
	close(ends[0]);
	close(ends[1]);
}

/* What a guest goes on with must not be lost if we are killed a moment later. */
static void no_answer_before_systemd_has_it(void **state)
{
	static struct keep_state keep_state;
	static struct monitor monitor = { .state = &keep_state, .store_fds = true };
	int ends[2], systemd = open_systemd();
	char reply[64];

	(void)state;
	be_busy();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	monitor_keep_none(&monitor);
	monitor.front_end = ends[0];
	monitor.worker = getpid();
	worker_answers(&monitor, &(struct change){ 5, systemd }, 1);
	do_what_is_due(&monitor);
	assert_int_equal(recv(ends[1], reply, sizeof(reply), 0), -1);
	assert_int_equal(front_end_poll(&monitor).fd, -1);
	assert_true(systemd_reads(systemd));
	do_what_is_due(&monitor);
	assert_int_equal(recv(ends[1], reply, sizeof(reply), 0), sizeof(struct vu_header) + 8);
	assert_int_equal(monitor.talk, TALK_READING);
	close_systemd(systemd);
}

/* --- what systemd keeps: each open file once, by its first name --- */

static struct {
	unsigned long name;
	int fd;
} stored[16];
static unsigned int num_stored, num_heard;

static bool is_same(int a, int b)
{
	return !syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b);
}

static void store_file(unsigned long name, int fd)
{
	unsigned int i;

	for (i = 0; i < num_stored; i++) {
		if (!is_same(stored[i].fd, fd))
			continue;
		close(fd);
		return;
	}
	assert_true(num_stored < 16);
	stored[num_stored].name = name;
	stored[num_stored++].fd = fd;
}

static void remove_file(unsigned long name)
{
	unsigned int i;

	for (i = 0; i < num_stored; i++) {
		if (stored[i].name != name)
			continue;
		close(stored[i].fd);
		stored[i--] = stored[--num_stored];
	}
}

/* False: there is no message. */
static bool hear(int systemd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	char text[256] = "";
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr header = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	unsigned long name;
	int fd;

	if (recvmsg(systemd, &header, MSG_CMSG_CLOEXEC) < 0)
		return false;
	num_heard++;
	if (sscanf(text, "FDSTOREREMOVE=1\nFDNAME=cswapd-%lu", &name) == 1)
		remove_file(name);
	if (sscanf(text, "FDSTORE=1\nFDPOLL=0\nFDNAME=cswapd-%lu", &name) != 1)
		return true;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(fd));
	store_file(name, fd);
	return true;
}

/* All that it's told, and how many messages these are. */
static unsigned int hear_all(int systemd)
{
	bool busy;

	num_heard = 0;
	do {
		busy = fdstore_is_busy();
		while (hear(systemd))
			continue;
		fdstore_run();
	} while (busy);
	return num_heard;
}

/* Would the next monitor find @file for this key? -1: does it know that there is none? */
static bool is_stored(const struct keep_state *state, unsigned int key, int file)
{
	uint64_t name = state->kept_as[state->active][key];
	unsigned int i;

	for (i = 0; i < num_stored; i++)
		if (stored[i].name == name)
			return file >= 0 && is_same(stored[i].fd, file);
	return file < 0 && !name;
}

static const unsigned int region = VHOST_USER_FIXED_FDS;

struct storing {
	struct keep_state state;
	struct monitor monitor;
	int systemd;
	int a, b;			/* two files of memory */
};

static int setup_storing(void **state)
{
	static struct storing storing;
	struct storing *s = &storing;

	memset(s, 0, sizeof(*s));
	*state = s;
	s->systemd = open_systemd();
	s->monitor.state = &s->state;
	s->monitor.store_fds = true;
	s->monitor.front_end = -1;
	monitor_keep_none(&s->monitor);
	s->a = memfd_create("a", MFD_CLOEXEC);
	s->b = memfd_create("b", MFD_CLOEXEC);
	return 0;
}

static int teardown_storing(void **state)
{
	struct storing *s = *state;
	unsigned int key;

	for (key = 0; key < VHOST_USER_MAX_FDS; key++)
		monitor_keep_fd(&s->monitor, key, -1);
	monitor_keep_state(&s->monitor);
	hear_all(s->systemd);
	assert_int_equal(num_stored, 0);
	close_systemd(s->systemd);
	close(s->a);
	close(s->b);
	return 0;
}

/* One memory backend, of which a VMM shows the parts below and above 4 GiB. */
static void regions_of_one_file_are_kept(void **state)
{
	struct storing *s = *state;

	worker_answers(&s->monitor, (struct change[]){ { region, s->a }, { region + 1, s->a } }, 2);
	worker_answers(&s->monitor, (struct change[]){ { region + 2, s->b }, { region + 3, s->a } }, 2);
	hear_all(s->systemd);
	assert_int_equal(num_stored, 2);
	assert_true(is_stored(&s->state, region, s->a));
	assert_true(is_stored(&s->state, region + 1, s->a));
	assert_true(is_stored(&s->state, region + 2, s->b));
	assert_true(is_stored(&s->state, region + 3, s->a));
	assert_true(is_stored(&s->state, region + 4, -1));
	/* The first of them goes, and the name stays. */
	worker_answers(&s->monitor, (struct change[]){ { region, -1 } }, 1);
	assert_int_equal(hear_all(s->systemd), 0);
	assert_true(is_stored(&s->state, region, -1));
	assert_true(is_stored(&s->state, region + 1, s->a));
}

/* memory_remove() gives the place of the region that goes to the last one. */
static void unplugged_memory_takes_no_other_along(void **state)
{
	struct storing *s = *state;

	worker_answers(&s->monitor, (struct change[]){ { region, s->a }, { region + 1, s->b } }, 2);
	worker_answers(&s->monitor, (struct change[]){ { region, s->b }, { region + 1, -1 } }, 2);
	hear_all(s->systemd);
	assert_int_equal(num_stored, 1);
	assert_true(is_stored(&s->state, region, s->b));
	assert_true(is_stored(&s->state, region + 1, -1));
}

/* A new table of the same memory, in another order. */
static void same_files_stay_where_they_are(void **state)
{
	struct storing *s = *state;

	worker_answers(&s->monitor, (struct change[]){ { region, s->a }, { region + 1, s->b } }, 2);
	hear_all(s->systemd);
	worker_answers(&s->monitor, (struct change[]){ { region, s->b }, { region + 1, s->a } }, 2);
	assert_int_equal(hear_all(s->systemd), 0);
	assert_true(is_stored(&s->state, region, s->b));
	assert_true(is_stored(&s->state, region + 1, s->a));
}

/* It would take the file for one that it has, were it told of the new name first. */
static void what_comes_back_is_kept_anew(void **state)
{
	struct storing *s = *state;

	worker_answers(&s->monitor, (struct change[]){ { region, s->a }, { region + 1, s->b } }, 2);
	hear_all(s->systemd);
	be_busy();
	worker_answers(&s->monitor, (struct change[]){ { region, -1 }, { region + 1, -1 } }, 2);
	worker_answers(&s->monitor, (struct change[]){ { region, s->b }, { region + 1, s->a } }, 2);
	hear_all(s->systemd);
	assert_int_equal(num_stored, 2);
	assert_true(is_stored(&s->state, region, s->b));
	assert_true(is_stored(&s->state, region + 1, s->a));
}

/* Whenever the monitor is killed, the next one takes no file for another. */
static void no_name_is_given_twice(void **state)
{
	struct storing *s = *state;
	uint64_t name;

	worker_answers(&s->monitor, (struct change[]){ { region, s->a } }, 1);
	hear_all(s->systemd);
	name = s->state.kept_as[s->state.active][region];
	worker_answers(&s->monitor, (struct change[]){ { region, s->b } }, 1);
	assert_true(s->state.kept_as[s->state.active][region] > name);
	/* The state that counted until then is still whole. */
	assert_int_equal(s->state.kept_as[!s->state.active][region], name);
}

/* The worker closes each by itself. */
static void worker_has_a_descriptor_for_each_key(void **state)
{
	struct storing *s = *state;
	int fd[VHOST_USER_MAX_FDS];

	worker_answers(&s->monitor, (struct change[]){ { region, s->a }, { region + 1, s->a }, { region + 2, s->b } }, 3);
	assert_true(monitor_give_fds(&s->monitor, fd));
	assert_true(is_same(fd[region], s->a) && is_same(fd[region + 1], s->a) && is_same(fd[region + 2], s->b));
	assert_int_not_equal(fd[region], fd[region + 1]);
	assert_int_equal(fd[region + 3], -1);
	/* Here it's the same process, whose own one of them is. */
	close(fd[region] == monitor_kept_fd(&s->monitor, region) ? fd[region + 1] : fd[region]);
}

#define STORING(name) cmocka_unit_test_setup_teardown(name, setup_storing, teardown_storing)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_served_is_followed_at_once),
		cmocka_unit_test(who_never_gets_ready_is_followed_later_and_later),
		cmocka_unit_test(closed_channel_is_let_go),
		cmocka_unit_test(packet_of_another_size_is_none),
		cmocka_unit_test(no_answer_before_systemd_has_it),
		STORING(regions_of_one_file_are_kept),
		STORING(unplugged_memory_takes_no_other_along),
		STORING(same_files_stay_where_they_are),
		STORING(what_comes_back_is_kept_anew),
		STORING(no_name_is_given_twice),
		STORING(worker_has_a_descriptor_for_each_key),
	};

	return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}
