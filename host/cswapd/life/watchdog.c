// SPDX-License-Identifier: GPL-2.0-only
/*
 * watchdog.c - is the process that serves the guest still there, all of it?
 *
 * Theory of operation: a parent notices that a process has died, but not that it hangs. So the
 * monitor asks now and then: it counts up a number in shared memory, and wakes all threads by
 * eventfds, which they poll like everything else. Each thread says which number it has seen when it
 * is back in its loop. A thread that waits for the store is in its loop: it waits in io_uring, for
 * its eventfd as well. Nothing on the data path knows of the watchdog, and a guest that does nothing
 * costs two wake-ups in a quarter of the time that is allowed.
 *
 * Time is counted in looks of the monitor's, not by a clock: while all of the daemon stands still
 * (the machine is suspended, the service frozen) the monitor doesn't look. A thread that is traced
 * is left to the debugger. A thread that waits in the kernel and can't be interrupted waits for the
 * medium or for memory; to kill it would do nothing but lose the way to find out. The log tells of
 * both.
 *
 * The log describes a process that hangs by what /proc says, as far as it can be read. The monitor
 * ends the process by SIGABRT, which leaves a core where cores are collected; then by SIGKILL. What
 * follows is as after any death.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/log.h"
#include "watchdog.h"

/* Looks without an answer until a thread is taken to hang. */
#define LOOKS 4
#define TEXT_BYTES 1024

/* What /proc says of a thread. */
struct thread_state {
	pid_t process;
	pid_t thread;
	char name[32];
	char state;			/* '?': it's gone */
	bool traced;
};

/* --- /proc --- */

static bool read_proc(const struct thread_state *of, const char *file, char *text)
{
	char path[96];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)of->process,
		 (int)of->thread, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, TEXT_BYTES - 1) : -1;
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool read_state(struct thread_state *of)
{
	char text[TEXT_BYTES];
	const char *at;

	of->state = '?';
	of->traced = false;
	if (!read_proc(of, "status", text))
		return false;
	at = strstr(text, "\nState:");
	if (at)
		sscanf(at, " State: %c", &of->state);
	at = strstr(text, "\nTracerPid:");
	of->traced = at && strtol(at + strlen("\nTracerPid:"), NULL, 10);
	read_proc(of, "comm", text);
	text[strcspn(text, "\n")] = '\0';
	snprintf(of->name, sizeof(of->name), "%.31s", text);
	return true;
}

typedef bool see_thread(const struct thread_state *of, void *context);

/* All threads, until @see says that it was the one. */
static bool for_each_thread(pid_t process, see_thread *see, void *context)
{
	struct thread_state of = { .process = process };
	struct dirent *entry;
	bool found = false;
	char path[64];
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)process);
	tasks = opendir(path);
	while (!found && tasks && (entry = readdir(tasks))) {
		of.thread = (pid_t)strtol(entry->d_name, NULL, 10);
		found = of.thread > 0 && read_state(&of) && see(&of, context);
	}
	if (tasks)
		closedir(tasks);
	return found;
}

/* --- what hangs --- */

/* A line of what is in a file of lines: its words but the offsets. */
static void join_lines(char *text)
{
	char *from, *to = text;

	for (from = text; *from; from++) {
		if (!strncmp(from, "[<0>] ", 6))
			from += 6;
		if (*from == '\n')
			*from = from[1] ? ' ' : '\0';
		*to++ = *from;
	}
	*to = '\0';
}

static bool describe_thread(const struct thread_state *of, void *context)
{
	char text[TEXT_BYTES];

	(void)context;
	read_proc(of, "wchan", text);
	log_warning("  thread %d (%s): state %c%s, waits in %s", (int)of->thread, of->name,
		    of->state, of->traced ? ", traced" : "", *text ? text : "?");
	/* The number of the system call, its arguments, stack and program counter. */
	if (read_proc(of, "syscall", text)) {
		join_lines(text);
		log_warning("    system call: %s", text);
	}
	if (read_proc(of, "stack", text)) {
		join_lines(text);
		log_warning("    kernel's stack: %s", text);
	}
	return false;
}

/* Addresses are those of this mapping, or of a library's. */
static void describe_mapping(pid_t process)
{
	struct thread_state of = { .process = process, .thread = process };
	char text[TEXT_BYTES];

	if (!read_proc(&of, "maps", text))
		return;
	text[strcspn(text, "\n")] = '\0';
	log_warning("  program: %s", text);
}

struct search {
	const char *name;		/* NULL: the first thread */
	struct thread_state found;
};

static bool is_named(const struct thread_state *of, void *context)
{
	struct search *search = context;

	if (search->name ? strcmp(of->name, search->name) : of->thread != of->process)
		return false;
	search->found = *of;
	return true;
}

/* As worker_loop.c names them. */
static struct thread_state find_thread(pid_t process, unsigned int thread)
{
	struct search search = { .found = { .state = '?' } };
	char name[32];

	if (thread) {
		snprintf(name, sizeof(name), "cswapd-%u", thread - 1);
		search.name = name;
	}
	for_each_thread(process, is_named, &search);
	return search.found;
}

/* --- the monitor's side --- */

static void wake(int fd)
{
	const uint64_t one = 1;

	/* Full is as good: it was never read. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

static bool has_answered(const struct watchdog *watchdog, unsigned int thread)
{
	const struct watchdog_beats *beats = watchdog->beats;

	if (!thread && __atomic_load_n(&beats->main_waits, __ATOMIC_ACQUIRE))
		return true;
	return __atomic_load_n(&beats->seen[thread], __ATOMIC_ACQUIRE) == beats->asked;
}

/* The number of threads: all have. */
static unsigned int find_silent(const struct watchdog *watchdog)
{
	unsigned int thread = 0;

	while (thread < watchdog->threads && has_answered(watchdog, thread))
		thread++;
	return thread;
}

static void ask(struct watchdog *watchdog)
{
	__atomic_store_n(&watchdog->beats->asked, watchdog->beats->asked + 1, __ATOMIC_RELEASE);
	wake(watchdog->main_fd);
	wake(watchdog->threads_fd);
}

bool watchdog_open(struct watchdog *watchdog, struct watchdog_beats *beats,
		   unsigned int threads, unsigned int seconds)
{
	*watchdog = (struct watchdog) {
		.beats = beats,
		.threads = threads,
		.period_ms = seconds * 1000 / LOOKS,
	};
	watchdog->main_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	watchdog->threads_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (watchdog->main_fd >= 0 && watchdog->threads_fd >= 0)
		return true;
	log_err("can't watch the process that serves: %s", strerror(errno));
	return false;
}

void watchdog_begin(struct watchdog *watchdog, pid_t process, uint64_t now_ms)
{
	struct watchdog_beats *beats = watchdog->beats;
	unsigned int thread;

	/* What its predecessor wrote there is of no use. */
	__atomic_store_n(&beats->main_waits, 0, __ATOMIC_RELEASE);
	for (thread = 0; thread < watchdog->threads; thread++)
		__atomic_store_n(&beats->seen[thread], beats->asked, __ATOMIC_RELEASE);
	watchdog_end(watchdog);
	watchdog->process = process;
	watchdog->next_ms = now_ms + watchdog->period_ms;
}

void watchdog_end(struct watchdog *watchdog)
{
	watchdog->process = 0;
	watchdog->missed = 0;
	watchdog->excused = 0;
}

uint64_t watchdog_next_ms(const struct watchdog *watchdog)
{
	return watchdog->period_ms && watchdog->process ? watchdog->next_ms : UINT64_MAX;
}

/* Why nothing is done about a thread that doesn't answer; NULL: it hangs. */
static const char *find_excuse(const struct thread_state *of)
{
	if (of->traced)
		return "is traced";
	switch (of->state) {
	case 'D':
		return "waits in the kernel, for the medium or for memory";
	case 'Z':
	case 'X':
	case '?':
		return "is about to end";
	default:
		return NULL;
	}
}

static void leave_alone(struct watchdog *watchdog, const struct thread_state *of,
			const char *excuse)
{
	if (++watchdog->excused != LOOKS)
		return;
	log_warning("thread %s of the process that serves doesn't answer, but %s: it is left alone",
		    of->name, excuse);
	for_each_thread(watchdog->process, describe_thread, NULL);
}

static void end_process(struct watchdog *watchdog, const struct thread_state *of)
{
	if (++watchdog->missed < LOOKS)
		return;
	if (watchdog->missed > LOOKS) {
		kill(watchdog->process, SIGKILL);
		return;
	}
	log_err("thread %s of the process that serves hangs: it didn't answer for %u s", of->name,
		LOOKS * watchdog->period_ms / 1000);
	for_each_thread(watchdog->process, describe_thread, NULL);
	describe_mapping(watchdog->process);
	/* A process that is stopped reads no other message. */
	kill(watchdog->process, of->state == 'T' ? SIGKILL : SIGABRT);
}

void watchdog_look(struct watchdog *watchdog, uint64_t now_ms)
{
	struct thread_state of;
	unsigned int thread;
	const char *excuse;

	if (now_ms < watchdog_next_ms(watchdog))
		return;
	/* From now on: looks that we missed ourselves don't count. */
	watchdog->next_ms = now_ms + watchdog->period_ms;
	thread = find_silent(watchdog);
	if (thread == watchdog->threads) {
		watchdog->missed = 0;
		watchdog->excused = 0;
		ask(watchdog);
		return;
	}
	of = find_thread(watchdog->process, thread);
	excuse = find_excuse(&of);
	if (excuse)
		leave_alone(watchdog, &of, excuse);
	else
		end_process(watchdog, &of);
}

bool watchdog_is_well(const struct watchdog *watchdog)
{
	return watchdog->missed <= LOOKS;
}
