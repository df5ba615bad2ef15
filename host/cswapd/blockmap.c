// SPDX-License-Identifier: GPL-2.0-only
/*
 * blockmap.c - a bit for each block of the guest's memory.
 *
 * Words are numbered by address, as blocks are, so that the words of a region
 * that moves or changes its size are the same words afterwards.
 */
#include <stdlib.h>
#include <string.h>

#include "blockmap.h"

#define WORD_BITS 64

static uint64_t blocks_up_to(const struct blockmap *map, uint64_t gpa)
{
	return gpa / map->block_bytes + !!(gpa % map->block_bytes);
}

static uint64_t first_word(const struct blockmap_region *region)
{
	return region->first / WORD_BITS;
}

static uint64_t num_words(const struct blockmap_region *region)
{
	return (region->end + WORD_BITS - 1) / WORD_BITS - first_word(region);
}

void blockmap_init(struct blockmap *map, uint64_t block_bytes)
{
	memset(map, 0, sizeof(*map));
	map->block_bytes = block_bytes;
}

void blockmap_free(struct blockmap *map)
{
	while (map->count)
		free(map->region[--map->count].bits);
	map->set = 0;
}

void blockmap_clear(struct blockmap *map)
{
	unsigned int i;

	for (i = 0; i < map->count; i++)
		memset(map->region[i].bits, 0,
		       num_words(&map->region[i]) * sizeof(uint64_t));
	map->set = 0;
}

/* The part of a word that lies in [@first, @end). */
static uint64_t word_mask(uint64_t word, uint64_t first, uint64_t end)
{
	uint64_t begin = word * WORD_BITS;
	uint64_t mask = ~UINT64_C(0);

	if (first > begin)
		mask &= ~UINT64_C(0) << (first - begin);
	if (end - begin < WORD_BITS)
		mask &= ~(~UINT64_C(0) << (end - begin));
	return mask;
}

/* A walk over the words that blocks from @first to before @end have bits in. */
struct walk {
	uint64_t first;
	uint64_t end;
	unsigned int region;
	uint64_t word;
	bool inside;
};

static void walk_begin(struct walk *walk, uint64_t first, uint64_t end)
{
	memset(walk, 0, sizeof(*walk));
	walk->first = first;
	walk->end = end;
}

/* The next word and which of its bits are meant; NULL at the end. */
static uint64_t *walk_next(struct walk *walk, const struct blockmap *map,
			   uint64_t *mask)
{
	for (; walk->region < map->count; walk->region++, walk->inside = false) {
		const struct blockmap_region *region =
			&map->region[walk->region];
		uint64_t first = walk->first > region->first ? walk->first :
							       region->first;
		uint64_t end = walk->end < region->end ? walk->end :
							 region->end;

		if (first >= end)
			continue;
		walk->word = walk->inside ? walk->word + 1 : first / WORD_BITS;
		walk->inside = true;
		if (walk->word > (end - 1) / WORD_BITS)
			continue;
		*mask = word_mask(walk->word, first, end);
		return &region->bits[walk->word - first_word(region)];
	}
	return NULL;
}

void blockmap_set(struct blockmap *map, uint64_t gpa, uint64_t len, bool on)
{
	uint64_t *word, mask;
	struct walk walk;

	walk_begin(&walk, blocks_up_to(map, gpa), blocks_up_to(map, gpa + len));
	while ((word = walk_next(&walk, map, &mask))) {
		uint64_t changed = (on ? ~*word : *word) & mask;

		*word ^= changed;
		if (on)
			map->set += (uint64_t)__builtin_popcountll(changed);
		else
			map->set -= (uint64_t)__builtin_popcountll(changed);
	}
}

bool blockmap_any(const struct blockmap *map, uint64_t gpa, uint64_t len)
{
	uint64_t *word, mask;
	struct walk walk;

	walk_begin(&walk, blocks_up_to(map, gpa), blocks_up_to(map, gpa + len));
	while ((word = walk_next(&walk, map, &mask)))
		if (__atomic_load_n(word, __ATOMIC_RELAXED) & mask)
			return true;
	return false;
}

void blockmap_save(struct blockmap *map, uint64_t gpa, uint64_t len,
		   uint64_t *words, uint64_t num_words)
{
	uint64_t *word, mask;
	struct walk walk;

	walk_begin(&walk, blocks_up_to(map, gpa), blocks_up_to(map, gpa + len));
	while ((word = walk_next(&walk, map, &mask)))
		if (walk.word < num_words)
			words[walk.word] = (words[walk.word] & ~mask) |
					   (*word & mask);
}

void blockmap_load(struct blockmap *map, const uint64_t *words,
		   uint64_t num_words)
{
	uint64_t *word, mask;
	struct walk walk;

	walk_begin(&walk, 0, num_words * WORD_BITS);
	while ((word = walk_next(&walk, map, &mask))) {
		uint64_t new = words[walk.word] & mask & ~*word;

		*word |= new;
		map->set += (uint64_t)__builtin_popcountll(new);
	}
}

void blockmap_mark(struct blockmap *map, uint64_t gpa, uint64_t len)
{
	uint64_t *word, mask;
	struct walk walk;

	walk_begin(&walk, gpa / map->block_bytes, blocks_up_to(map, gpa + len));
	while ((word = walk_next(&walk, map, &mask)))
		if (mask & ~__atomic_load_n(word, __ATOMIC_RELAXED))
			__atomic_fetch_or(word, mask, __ATOMIC_RELAXED);
}

/* What is on in @from and has a block in @map, too. */
static void carry_over(struct blockmap *map, const struct blockmap *from)
{
	unsigned int i;
	uint64_t w;

	for (i = 0; i < from->count; i++) {
		const struct blockmap_region *region = &from->region[i];

		for (w = 0; w < num_words(region); w++) {
			uint64_t bits = region->bits[w];

			for (; bits; bits &= bits - 1) {
				uint64_t block =
					(first_word(region) + w) * WORD_BITS +
					(uint64_t)__builtin_ctzll(bits);

				blockmap_set(map, block * map->block_bytes, 1,
					     true);
			}
		}
	}
}

bool blockmap_follow(struct blockmap *map, const struct memory *memory)
{
	struct blockmap old = *map;
	unsigned int i;

	blockmap_init(map, old.block_bytes);
	for (i = 0; i < memory->count; i++) {
		const struct memory_region *shared = &memory->region[i];
		struct blockmap_region *region = &map->region[map->count];

		region->first = blocks_up_to(map, shared->gpa);
		region->end = blocks_up_to(map, shared->gpa + shared->size);
		if (region->first == region->end)
			continue;
		region->bits = calloc(num_words(region), sizeof(uint64_t));
		if (!region->bits) {
			blockmap_free(map);
			blockmap_free(&old);
			return false;
		}
		map->count++;
	}
	carry_over(map, &old);
	blockmap_free(&old);
	return true;
}
