/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * log.h - lines on stderr, with journal priorities where the journal reads them.
 */
#ifndef CSWAPD_LOG_H
#define CSWAPD_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

/* The rate of one kind of line, if a guest or a peer decides how often its cause comes about. */
struct log_rate {
	uint64_t end_ms;	/* of the interval that is counted */
	unsigned int lines;	/* written in it */
	uint64_t dropped;	/* since the last one written */
};

/* As the kernel's: so many lines in so long. */
#define LOG_RATE_MS	5000
#define LOG_RATE_LINES	10

/*
 * Lines less important than @level (LOG_ERR..LOG_DEBUG) are dropped. From now on no line waits for
 * the reader of stderr; a descriptor may be opened for that.
 */
void log_init(int level);

/* "error", "warning", "notice", "info", "debug" -> LOG_*, else -1. */
int log_parse_level(const char *name);

void log_line(int level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * The same, LOG_RATE_LINES at most in LOG_RATE_MS; the next one says how many
 * were dropped. Not thread-safe: each thread keeps its own @rate.
 */
void log_limited(struct log_rate *rate, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_err(...)	log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)	log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)	log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	log_line(LOG_DEBUG, __VA_ARGS__)

#endif
