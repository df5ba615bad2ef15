// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_watchdog.c - who hangs is ended and described; who waits, is traced or stands still with us isn't.
 *
 * What is watched is a child that does nothing but answer, until it is told to hang in some way.
 * Time is a number here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "life/watchdog.h"

#define SECONDS 30
#define LOOK_MS (SECONDS * 1000 / 4)

struct shared {
	struct watchdog_beats beats;
	uint32_t is_there;		/* what the child was told, it does */
};

struct bench {
	struct shared *shared;
	struct watchdog dog;
	uint64_t now_ms;
	pid_t child;
	int release;			/* closed: what holds the child lets it go on */
	int held;
	int log;
	int real_stderr;
};

/* --- the child --- */

static void say_there(struct bench *b)
{
	__atomic_store_n(&b->shared->is_there, 1, __ATOMIC_RELEASE);
}

static void answer_once(struct bench *b)
{
	struct pollfd asked = { .fd = b->dog.main_fd, .events = POLLIN };
	uint64_t count;

	poll(&asked, 1, -1);
	if (read(b->dog.main_fd, &count, sizeof(count)) == sizeof(count))
		watchdog_answer(&b->shared->beats, 0);
}

static void be_well(struct bench *b)
{
	say_there(b);
	for (;;)
		answer_once(b);
}

static void be_stuck(struct bench *b)
{
	char byte;

	say_there(b);
	(void)!read(b->held, &byte, 1);
	be_well(b);
}

static void be_busy(struct bench *b)
{
	say_there(b);
	for (;;)
		__asm__ volatile("" : : : "memory");
}

/* Until the end of a child of vfork()'s its parent waits, and not even a signal ends that. */
static void be_in_the_kernel(struct bench *b)
{
	char byte;

	close(b->release);
	if (!vfork()) {
		say_there(b);
		(void)!read(b->held, &byte, 1);
		_exit(0);
	}
	be_well(b);
}

static void *spin(void *arg)
{
	pthread_setname_np(pthread_self(), "cswapd-0");
	be_busy(arg);
	return NULL;
}

static void have_busy_thread(struct bench *b)
{
	pthread_t thread;

	pthread_create(&thread, NULL, spin, b);
	for (;;)
		answer_once(b);
}

/* --- the bench --- */

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	int ends[2];

	b->shared = mmap(NULL, sizeof(*b->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	b->held = ends[0];
	b->release = ends[1];
	b->now_ms = 1000;
	b->real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	b->log = memfd_create("log", MFD_CLOEXEC);
	dup2(b->log, STDERR_FILENO);
	log_init(LOG_INFO);
	assert_true(watchdog_open(&b->dog, &b->shared->beats, 1, SECONDS));
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	if (b->child) {
		kill(b->child, SIGKILL);
		close(b->release);
		waitpid(b->child, NULL, 0);
	}
	dup2(b->real_stderr, STDERR_FILENO);
	log_init(LOG_INFO);
	close(b->real_stderr);
	close(b->log);
	close(b->held);
	close(b->dog.main_fd);
	close(b->dog.threads_fd);
	munmap(b->shared, sizeof(*b->shared));
	free(b);
	return 0;
}

static void watch_child(struct bench *b, void (*be)(struct bench *b))
{
	const struct rlimit no_core = { 0, 0 };

	b->child = fork();
	if (!b->child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setrlimit(RLIMIT_CORE, &no_core);
		be(b);
	}
	while (!__atomic_load_n(&b->shared->is_there, __ATOMIC_ACQUIRE))
		sched_yield();
	watchdog_begin(&b->dog, b->child, b->now_ms);
}

static void look(struct bench *b, unsigned int times)
{
	while (times--) {
		b->now_ms += LOOK_MS;
		watchdog_look(&b->dog, b->now_ms);
	}
}

static void look_and_hear(struct bench *b, unsigned int times)
{
	struct watchdog_beats *beats = &b->shared->beats;

	while (times--) {
		look(b, 1);
		while (__atomic_load_n(&beats->seen[0], __ATOMIC_ACQUIRE) != beats->asked)
			sched_yield();
	}
}

static bool is_alive(struct bench *b)
{
	return !waitpid(b->child, NULL, WNOHANG);
}

static void expect_killed(struct bench *b, int by)
{
	int status;

	assert_int_equal(waitpid(b->child, &status, 0), b->child);
	b->child = 0;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), by);
}

static bool log_has(struct bench *b, const char *what)
{
	char text[16384] = "";

	assert_true(pread(b->log, text, sizeof(text) - 1, 0) >= 0);
	return strstr(text, what);
}

static void wait_until_state(struct bench *b, char state)
{
	char path[64], line[256];
	char now = '?';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)b->child);
	while (now != state) {
		file = fopen(path, "re");
		if (fgets(line, sizeof(line), file))
			sscanf(strrchr(line, ')'), ") %c", &now);
		fclose(file);
	}
}

/* --- the tests --- */

static void who_answers_lives(void **state)
{
	struct bench *b = *state;

	watch_child(b, be_well);
	look_and_hear(b, 100);
	assert_true(is_alive(b));
	assert_true(watchdog_is_well(&b->dog));
	assert_int_equal(lseek(b->log, 0, SEEK_END), 0);
}

static void stopped_process(void **state)
{
	struct bench *b = *state;

	watch_child(b, be_well);
	kill(b->child, SIGSTOP);
	wait_until_state(b, 'T');
	look(b, 4);
	assert_true(is_alive(b));
	look(b, 1);
	expect_killed(b, SIGKILL);
	assert_true(log_has(b, "hangs: it didn't answer for 30 s"));
	assert_true(log_has(b, "state T"));
}

static void stuck_in_a_call(void **state)
{
	struct bench *b = *state;
	char line[64];

	watch_child(b, be_stuck);
	wait_until_state(b, 'S');
	look(b, 5);
	expect_killed(b, SIGABRT);
	snprintf(line, sizeof(line), "thread %d (", (int)b->dog.process);
	assert_true(log_has(b, line));
	assert_true(log_has(b, "state S, waits in "));
}

static void busy(void **state)
{
	struct bench *b = *state;

	watch_child(b, be_busy);
	look(b, 5);
	expect_killed(b, SIGABRT);
	assert_true(log_has(b, "state R"));
}

static void busy_thread(void **state)
{
	struct bench *b = *state;

	b->dog.threads = 2;
	watch_child(b, have_busy_thread);
	look_and_hear(b, 4);
	look(b, 1);
	expect_killed(b, SIGABRT);
	assert_true(log_has(b, "thread cswapd-0 of the process that serves hangs"));
}

/* Its main thread waits for a thread that waits for the medium, in io_uring, and so answers. */
static void main_thread_waits(void **state)
{
	struct bench *b = *state;

	watch_child(b, be_stuck);
	b->shared->beats.main_waits = 1;
	look(b, 20);
	assert_true(is_alive(b));
	b->shared->beats.main_waits = 0;
	/* It was asked meanwhile. */
	look(b, 4);
	expect_killed(b, SIGABRT);
}

static void waits_in_the_kernel(void **state)
{
	struct bench *b = *state;

	watch_child(b, be_in_the_kernel);
	wait_until_state(b, 'D');
	look(b, 20);
	assert_true(is_alive(b));
	assert_true(watchdog_is_well(&b->dog));
	assert_true(log_has(b, "waits in the kernel, for the medium or for memory: it is left alone"));
	close(b->release);
	look_and_hear(b, 10);
	assert_true(is_alive(b));
}

static void traced(void **state)
{
	struct bench *b = *state;

	watch_child(b, be_well);
	if (ptrace(PTRACE_ATTACH, b->child, NULL, NULL))
		skip();
	assert_int_equal(waitpid(b->child, NULL, 0), b->child);
	look(b, 20);
	assert_true(is_alive(b));
	assert_true(log_has(b, "is traced: it is left alone"));
	assert_int_equal(ptrace(PTRACE_DETACH, b->child, NULL, NULL), 0);
	look_and_hear(b, 10);
	assert_true(is_alive(b));
}

/* All of us stood still for an hour: that is one look. */
static void time_passes_for_all(void **state)
{
	struct bench *b = *state;

	watch_child(b, be_well);
	kill(b->child, SIGSTOP);
	wait_until_state(b, 'T');
	look(b, 1);
	b->now_ms += 3600000;
	watchdog_look(&b->dog, b->now_ms);
	watchdog_look(&b->dog, b->now_ms);
	assert_true(is_alive(b));
	kill(b->child, SIGCONT);
	look_and_hear(b, 10);
	assert_true(is_alive(b));
	assert_int_equal(lseek(b->log, 0, SEEK_END), 0);
}

static void off(void **state)
{
	struct bench *b = *state;

	b->dog.period_ms = 0;
	watch_child(b, be_stuck);
	look(b, 20);
	assert_true(is_alive(b));
	assert_true(watchdog_next_ms(&b->dog) == UINT64_MAX);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(who_answers_lives),
		test(stopped_process),
		test(stuck_in_a_call),
		test(busy),
		test(busy_thread),
		test(main_thread_waits),
		test(waits_in_the_kernel),
		test(traced),
		test(time_passes_for_all),
		test(off),
	};

	return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
