/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dirty_log.h - which pages of guest memory the device has written to.
 *
 * A front end that moves its guest shares a bitmap: a bit for each 4 KiB of guest address. A bit is set
 * after the write, by any thread; the front end takes bits away at any time.
 */
#ifndef CSWAPD_DIRTY_LOG_H
#define CSWAPD_DIRTY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define DIRTY_LOG_PAGE_SIZE 4096

struct dirty_log {
	uint8_t *bits;			/* NULL: there is no log; the rest is void */
	uint64_t bytes;			/* of @bits */
	uint64_t offset;		/* of @bits in the file */
	int fd;				/* ours */
	uint64_t serial;		/* no other log ever had it */
};

/*
 * Use @bytes of @fd at @offset from now on, instead of what was used before. NULL, and @fd is ours; or what
 * is wrong with it: then there is no log any more. No thread looks at @log meanwhile.
 */
const char *dirty_log_use(struct dirty_log *log, int fd, uint64_t bytes, uint64_t offset);
void dirty_log_drop(struct dirty_log *log);

/* Note that @len bytes at guest address @gpa were written. What is beyond the log is left out. */
static inline void dirty_log_mark(const struct dirty_log *log, uint64_t gpa, uint64_t len)
{
	uint64_t page, last;

	if (!log->bits || !len || len - 1 > UINT64_MAX - gpa)
		return;
	last = (gpa + len - 1) / DIRTY_LOG_PAGE_SIZE;
	for (page = gpa / DIRTY_LOG_PAGE_SIZE; page <= last && page / 8 < log->bytes; page++)
		__atomic_fetch_or(&log->bits[page / 8], (uint8_t)(1u << page % 8),
				  __ATOMIC_RELEASE);
}

#endif
