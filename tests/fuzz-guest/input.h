/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * input.h - a fuzzer's bytes as numbers, and what to do when something doesn't hold.
 */
#ifndef FUZZ_GUEST_INPUT_H
#define FUZZ_GUEST_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct input {
	const uint8_t *at;
	size_t left;
};

/* @bytes of it, zeros behind its end. */
static inline void input_take(struct input *input, void *to, size_t bytes)
{
	size_t some = bytes < input->left ? bytes : input->left;

	memset(to, 0, bytes);
	if (some)
		memcpy(to, input->at, some);
	input->at += some;
	input->left -= some;
}

static inline uint8_t input_u8(struct input *input)
{
	uint8_t value;

	input_take(input, &value, sizeof(value));
	return value;
}

static inline uint64_t input_u64(struct input *input)
{
	uint64_t value;

	input_take(input, &value, sizeof(value));
	return value;
}

#define MUST(condition) do { \
	if (!(condition)) { \
		fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #condition); \
		abort(); \
	} \
} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
