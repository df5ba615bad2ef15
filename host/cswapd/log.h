/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * log.h - lines on stderr, with journal priorities where the journal reads them.
 */
#ifndef CSWAPD_LOG_H
#define CSWAPD_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

/* At most one line per LOG_RATE_MS from each place that keeps one of these. */
struct log_rate {
	uint64_t next_ms;
	uint64_t suppressed;	/* lines since the last one let through */
};

#define LOG_RATE_MS 5000

/* Lines less important than @level (LOG_ERR..LOG_DEBUG) are dropped. */
void log_init(int level);

/* "error", "warning", "notice", "info", "debug" -> LOG_*, else -1. */
int log_parse_level(const char *name);

void log_line(int level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * May a line be written now? Not thread-safe: each thread keeps its own
 * @rate. *@suppressed is set to the number of lines dropped before.
 */
bool log_rate_allows(struct log_rate *rate, uint64_t *suppressed);

#define log_err(...)	log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)	log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)	log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	log_line(LOG_DEBUG, __VA_ARGS__)

#endif
