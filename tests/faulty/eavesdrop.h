/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * eavesdrop.h - searches all that a host gets to see: cswapd-faulty only.
 */
#ifndef CSWAPD_EAVESDROP_H
#define CSWAPD_EAVESDROP_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* How often @text is in @data. */
static inline uint64_t eavesdrop_count(const void *data, size_t len,
				       const char *text)
{
	const size_t text_len = strlen(text);
	const uint8_t *end = (const uint8_t *)data + len;
	const uint8_t *at = data;
	uint64_t count = 0;

	while ((at = memmem(at, (size_t)(end - at), text, text_len))) {
		count++;
		at += text_len;
	}
	return count;
}

struct eavesdrop_findings {
	uint64_t traffic_bytes;		/* searched */
	uint64_t traffic_found;		/* times */
	uint64_t pool_pages;		/* remembered */
	uint64_t pool_bytes;		/* searched, again and again */
	uint64_t pool_found;
	uint64_t pool_missed;		/* not searched: there were too many */
	uint64_t cpu_ns;		/* taken by searching what crossed */
};

/* Search for @text from now on. NULL, or what is wrong with it. */
const char *eavesdrop_start(const char *text);

void eavesdrop_get(struct eavesdrop_findings *findings);

/* Log what was found, if anything was searched for. */
void eavesdrop_report(void);

#endif
