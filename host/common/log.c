// SPDX-License-Identifier: GPL-2.0-only
/*
 * log.c - lines on stderr, with journal priorities where the journal reads them.
 *
 * No thread waits for the log's reader: a line that doesn't go out at once is dropped and counted,
 * and a line with the count precedes the next line that goes out. stderr may be shared with other
 * processes, so its flags are left alone: each call tells a socket not to wait, and a pipe or
 * terminal is opened a second time. Where a second open isn't allowed, stderr is polled for room
 * first, which is as good unless two processes write at the same time.
 *
 * A line is a line, whatever the words of others are in it: no control character comes through.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "plain.h"

#define LINE_BYTES 512
_Static_assert(LINE_BYTES <= PIPE_BUF, "a line goes into a pipe whole or not at all");

enum log_way {
	LOG_WAY_FILE,			/* never waits for a reader */
	LOG_WAY_SOCKET,
	LOG_WAY_OWN,			/* opened by us, not to wait */
	LOG_WAY_ASK,			/* whether there is room */
};

static int log_level = LOG_INFO;
static bool log_to_journal;
static enum log_way log_way;
static int log_fd = STDERR_FILENO;
static uint64_t log_lost;		/* lines, by any thread */

/* systemd names the device and inode of the stream it gave us as stderr. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char have[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st))
		return false;
	snprintf(have, sizeof(have), "%ju:%ju", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	return !strcmp(stream, have);
}

static void find_way(void)
{
	struct stat st;

	log_way = LOG_WAY_FILE;
	if (fstat(STDERR_FILENO, &st))
		return;
	if (S_ISSOCK(st.st_mode)) {
		log_way = LOG_WAY_SOCKET;
	} else if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		log_fd = open("/proc/self/fd/2",
			      O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		log_way = log_fd >= 0 ? LOG_WAY_OWN : LOG_WAY_ASK;
	}
}

void log_init(int level)
{
	log_level = level;
	log_to_journal = stderr_is_journal();
	if (log_fd != STDERR_FILENO && log_fd >= 0)
		close(log_fd);
	log_fd = STDERR_FILENO;
	find_way();
	if (log_fd < 0)
		log_fd = STDERR_FILENO;
}

int log_parse_level(const char *name)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = {
		{ "error", LOG_ERR },	{ "warning", LOG_WARNING },
		{ "notice", LOG_NOTICE }, { "info", LOG_INFO },
		{ "debug", LOG_DEBUG },
	};
	unsigned int i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (!strcmp(name, levels[i].name))
			return levels[i].level;
	return -1;
}

static bool has_room(void)
{
	struct pollfd out = { .fd = log_fd, .events = POLLOUT };

	return poll(&out, 1, 0) == 1 && out.revents & POLLOUT;
}

/* One call a line, so that threads don't mix theirs. False: no reader is left. */
static bool put(const char *line, size_t bytes)
{
	ssize_t n;

	do {
		if (log_way == LOG_WAY_ASK && !has_room())
			return false;
		n = log_way == LOG_WAY_SOCKET ?
			    send(log_fd, line, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) :
			    write(log_fd, line, bytes);
	} while (n < 0 && errno == EINTR);
	return n >= 0;
}

static size_t put_prefix(char *line, size_t size, int level)
{
	if (log_to_journal)
		return (size_t)snprintf(line, size, "<%d>", level);
	return (size_t)snprintf(line, size, "%s: %s", program_invocation_short_name,
				level <= LOG_ERR ? "error: " : "");
}

/* What was lost before. False: there is still no room. */
static bool tell_lost(void)
{
	uint64_t lost = __atomic_exchange_n(&log_lost, 0, __ATOMIC_RELAXED);
	char line[LINE_BYTES];
	size_t used;

	if (!lost)
		return true;
	used = put_prefix(line, sizeof(line), LOG_WARNING);
	used += (size_t)snprintf(line + used, sizeof(line) - used,
				 "%ju lines are lost: nobody was reading the log\n",
				 (uintmax_t)lost);
	if (put(line, used))
		return true;
	__atomic_fetch_add(&log_lost, lost, __ATOMIC_RELAXED);
	return false;
}

/* @dropped: lines of its kind, just before, that weren't written */
static void write_line(int level, uint64_t dropped, const char *format, va_list args)
{
	char line[LINE_BYTES], more[64] = "\n";
	size_t used = put_prefix(line, sizeof(line), level), room;
	int n;

	if (dropped)
		snprintf(more, sizeof(more), " (%ju such lines dropped before)\n",
			 (uintmax_t)dropped);
	room = sizeof(line) - used - strlen(more);
	n = vsnprintf(line + used, room, format, args);
	if (n < 0)
		return;
	/* A peer may have chosen a part of it. */
	plain_make(line + used);
	used = strlen(line);
	used += (size_t)snprintf(line + used, sizeof(line) - used, "%s", more);
	if (!tell_lost() || !put(line, used))
		__atomic_fetch_add(&log_lost, 1, __ATOMIC_RELAXED);
}

void log_line(int level, const char *format, ...)
{
	va_list args;

	if (level > log_level)
		return;
	va_start(args, format);
	write_line(level, 0, format, args);
	va_end(args);
}

static bool rate_allows(struct log_rate *rate)
{
	uint64_t now_ms = clock_now_ms();

	if (now_ms >= rate->end_ms) {
		rate->end_ms = now_ms + LOG_RATE_MS;
		rate->lines = 0;
	}
	return rate->lines < LOG_RATE_LINES;
}

void log_limited(struct log_rate *rate, int level, const char *format, ...)
{
	va_list args;

	if (level > log_level)
		return;
	if (!rate_allows(rate)) {
		rate->dropped++;
		return;
	}
	va_start(args, format);
	write_line(level, rate->dropped, format, args);
	va_end(args);
	rate->lines++;
	rate->dropped = 0;
}
