// SPDX-License-Identifier: GPL-2.0-only
/*
 * io.c - pages whose content says which slot and which store they belong to.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "io.h"

#define WORDS (IO_PAGE_BYTES / 8)

/* A step of splitmix64: distinct inputs give distinct outputs. */
static u64 mix(u64 x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static u64 first_word(u64 slot, u64 counter)
{
	return mix(slot) ^ mix(counter + (u64)1);
}

static u64 next_word(u64 word)
{
	return word * 6364136223846793005 + 1442695040888963407;
}

void io_make_page(u8 *page, u64 slot, u64 counter)
{
	u64 words[WORDS], word = first_word(slot, counter);
	unsigned int i;

	words[0] = slot;
	words[1] = counter;
	for (i = 2; i < WORDS; i++)
		words[i] = word = next_word(word);
	memcpy(page, words, sizeof(words));
}

bool io_is_page(const u8 *page, u64 slot, u64 counter)
{
	u8 expected[IO_PAGE_BYTES];

	io_make_page(expected, slot, counter);
	return !memcmp(page, expected, sizeof(expected));
}

int io_fail(struct io_queue *q, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(q->error, sizeof(q->error), format, args);
	va_end(args);
	return -1;
}
