// SPDX-License-Identifier: GPL-2.0-only
/*
 * log.c - lines on stderr, with journal priorities where the journal reads them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define LINE_BYTES 512

static int log_level = LOG_INFO;
static bool log_to_journal;

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

void log_init(int level)
{
	log_level = level;
	log_to_journal = stderr_is_journal();
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

/* @dropped: lines of its kind, just before, that weren't written */
static void write_line(int level, uint64_t dropped, const char *format, va_list args)
{
	char line[LINE_BYTES], more[64] = "\n";
	size_t used = 0, room;
	int n;

	if (log_to_journal)
		used = (size_t)snprintf(line, sizeof(line), "<%d>", level);
	else
		used = (size_t)snprintf(line, sizeof(line), "%s: %s",
					program_invocation_short_name,
					level <= LOG_ERR ? "error: " : "");
	if (dropped)
		snprintf(more, sizeof(more), " (%ju such lines dropped before)\n",
			 (uintmax_t)dropped);
	room = sizeof(line) - used - strlen(more);
	n = vsnprintf(line + used, room, format, args);
	if (n < 0)
		return;
	used += (size_t)n < room ? (size_t)n : room - 1;
	memcpy(line + used, more, strlen(more));
	used += strlen(more);
	/* One write a line, so that threads don't mix theirs. */
	while (write(STDERR_FILENO, line, used) < 0 && errno == EINTR)
		;
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
	struct timespec now;
	uint64_t now_ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
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
