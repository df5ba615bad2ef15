// SPDX-License-Identifier: GPL-2.0-only
/*
 * vectors.c - printing and checking the sealed-page test vectors.
 *
 * The text is defined in tests/vectors/seal_vectors.h. Checking doesn't use
 * the table: it believes each line's inputs, seals them, and prints the line
 * that should have been there; a line is right when it is that, byte for byte.
 * It also opens what it sealed, so that a vector is evidence of both ways.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "sealed_page.h"
#include "seal_vectors.h"
#include "vectors.h"

#define LINE_BYTES	320		/* more than the longest line */

static const char *hex(char *to, size_t to_bytes, const uint8_t *bytes, size_t count)
{
	return sodium_bin2hex(to, to_bytes, bytes, count);
}

/* The line of @vector; false when what was sealed doesn't open again. */
static bool format_vector(char line[LINE_BYTES], const struct cswap_seal_vector *vector)
{
	const struct sealed_id id = {
		.device = vector->device, .slot = vector->slot, .counter = vector->counter,
	};
	uint8_t key[SEALED_KEY_BYTES], tag[SEALED_TAG_BYTES];
	uint8_t page[SEALED_PAGE_BYTES], sealed[SEALED_PAGE_BYTES], opened[SEALED_PAGE_BYTES];
	char tag_hex[2 * SEALED_TAG_BYTES + 1];
	char head[2 * CSWAP_VECTOR_EDGE_BYTES + 1], tail[sizeof(head)];

	for (unsigned int i = 0; i < sizeof(key); i++)
		key[i] = cswap_vector_key_byte(vector->key_seed, i);
	for (unsigned int i = 0; i < sizeof(page); i++)
		page[i] = cswap_vector_page_byte(vector->page, vector->slot, i);

	sealed_page_seal(sealed, tag, page, &id, key);
	snprintf(line, LINE_BYTES, CSWAP_VECTOR_FORMAT, vector->key_seed,
		 (unsigned long long)vector->device, (unsigned long long)vector->slot,
		 (unsigned long long)vector->counter, cswap_vector_page_name(vector->page),
		 hex(tag_hex, sizeof(tag_hex), tag, sizeof(tag)),
		 hex(head, sizeof(head), sealed, CSWAP_VECTOR_EDGE_BYTES),
		 hex(tail, sizeof(tail), sealed + sizeof(sealed) - CSWAP_VECTOR_EDGE_BYTES,
		     CSWAP_VECTOR_EDGE_BYTES));
	return sealed_page_open(opened, sealed, tag, &id, key) &&
	       !memcmp(opened, page, sizeof(page));
}

void vectors_print(FILE *to)
{
	char line[LINE_BYTES];

	fputs(CSWAP_VECTORS_TITLE, to);
	for (size_t i = 0; i < CSWAP_SEAL_VECTORS; i++) {
		format_vector(line, &cswap_seal_vectors[i]);
		fputs(line, to);
	}
}

/* The inputs that @line names; what else it says isn't looked at. */
static bool parse_vector(const char *line, struct cswap_seal_vector *vector)
{
	unsigned int seed;
	unsigned long long device, slot, counter;
	char page[8];

	/* NOLINTNEXTLINE(cert-err34-c): a number out of range makes another line, which is found */
	if (sscanf(line, "key=%2x device=%llu slot=%llu counter=%llu page=%7s ",
		   &seed, &device, &slot, &counter, page) != 5)
		return false;
	*vector = (struct cswap_seal_vector){
		.key_seed = (uint8_t)seed, .device = device, .slot = slot, .counter = counter,
	};
	for (; vector->page < CSWAP_PAGE_KINDS; vector->page++)
		if (!strcmp(page, cswap_vector_page_name(vector->page)))
			return true;
	return false;
}

static bool check_line(const char *line, const char *name, unsigned int number)
{
	struct cswap_seal_vector vector;
	char right[LINE_BYTES];

	if (!parse_vector(line, &vector)) {
		printf("%s:%u: not a vector\n", name, number);
		return false;
	}
	if (!format_vector(right, &vector)) {
		printf("%s:%u: what was sealed doesn't open\n", name, number);
		return false;
	}
	if (strcmp(line, right)) {
		printf("%s:%u: wrong; should be\n%s", name, number, right);
		return false;
	}
	return true;
}

bool vectors_check(FILE *from, const char *name)
{
	unsigned int vectors = 0, wrong = 0, number = 0;
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, from) >= 0) {
		number++;
		if (number == 1 && strcmp(line, CSWAP_VECTORS_TITLE)) {
			printf("%s: not a file of vectors\n", name);
			break;
		}
		if (number == 1)
			continue;
		vectors++;
		wrong += !check_line(line, name, number);
	}
	free(line);
	printf("%u vectors, %u wrong\n", vectors, wrong);
	return vectors && !wrong && !ferror(from);
}
