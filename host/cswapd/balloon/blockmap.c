// SPDX-License-Identifier: GPL-2.0-only
/*
 * blockmap.c - a bit for each block of the guest's memory.
 *
 * Words are numbered by address, as blocks are, so that the words of a region
 * that moves or changes its size are the same words afterwards.
 *
 * A front end can claim terabytes that are holes, so nothing here goes over all
 * words: they lie in pages that don't exist before a bit is set in them. A second map
 * notes which pages exist, and clearing gives them back.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "blockmap.h"

#define WORD_BITS 64
#define PAGE_WORDS (4096 / sizeof(uint64_t))

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

static size_t num_bytes(const struct blockmap_region *region)
{
	return num_words(region) * sizeof(uint64_t);
}

/* Words of @touched, a bit for each page. */
static uint64_t num_touched(const struct blockmap_region *region)
{
	return num_words(region) / PAGE_WORDS / WORD_BITS + 1;
}

static bool alloc_bits(struct blockmap_region *region)
{
	void *bits = mmap(NULL, num_bytes(region), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (bits == MAP_FAILED)
		return false;
	region->touched = calloc(num_touched(region), sizeof(uint64_t));
	if (!region->touched) {
		munmap(bits, num_bytes(region));
		return false;
	}
	region->bits = bits;
	return true;
}

void blockmap_init(struct blockmap *map, uint64_t block_bytes)
{
	memset(map, 0, sizeof(*map));
	map->block_bytes = block_bytes;
}

void blockmap_free(struct blockmap *map)
{
	while (map->count) {
		struct blockmap_region *region = &map->region[--map->count];

		munmap(region->bits, num_bytes(region));
		free(region->touched);
	}
	map->set = 0;
}

void blockmap_clear(struct blockmap *map)
{
	unsigned int i;

	for (i = 0; i < map->count; i++) {
		struct blockmap_region *region = &map->region[i];

		if (madvise(region->bits, num_bytes(region), MADV_DONTNEED))
			memset(region->bits, 0, num_bytes(region));
		memset(region->touched, 0,
		       num_touched(region) * sizeof(uint64_t));
		region->set = 0;
	}
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

/* The first region that ends behind @first; they are in order. */
static unsigned int find_region(const struct blockmap *map, uint64_t first)
{
	unsigned int low = 0, high = map->count;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (map->region[middle].end <= first)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void walk_begin(struct walk *walk, const struct blockmap *map,
		       uint64_t first, uint64_t end)
{
	memset(walk, 0, sizeof(*walk));
	walk->first = first;
	walk->end = end;
	walk->region = find_region(map, first);
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

		if (region->first >= walk->end)
			break;
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

/* Something is going to be set in the word. */
static void touch(struct blockmap *map, const struct walk *walk)
{
	struct blockmap_region *region = &map->region[walk->region];
	uint64_t page = (walk->word - first_word(region)) / PAGE_WORDS;
	uint64_t *word = &region->touched[page / WORD_BITS];
	uint64_t bit = UINT64_C(1) << page % WORD_BITS;

	if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit))
		__atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
}

static void count_set(struct blockmap *map, const struct walk *walk, uint64_t more)
{
	map->region[walk->region].set += more;
	map->set += more;
}

static void set_bits(struct blockmap *map, const struct walk *walk,
		     uint64_t *word, uint64_t bits)
{
	uint64_t new = bits & ~*word;

	if (!new)
		return;
	touch(map, walk);
	*word |= new;
	count_set(map, walk, (uint64_t)__builtin_popcountll(new));
}

static void clear_bits(struct blockmap *map, const struct walk *walk,
		       uint64_t *word, uint64_t bits)
{
	uint64_t old = bits & *word;

	if (!old)
		return;
	*word &= ~old;
	count_set(map, walk, -(uint64_t)__builtin_popcountll(old));
}

void blockmap_set(struct blockmap *map, uint64_t gpa, uint64_t len, bool on)
{
	uint64_t *word, mask;
	struct walk walk;

	walk_begin(&walk, map, blocks_up_to(map, gpa), blocks_up_to(map, gpa + len));
	while ((word = walk_next(&walk, map, &mask))) {
		if (on)
			set_bits(map, &walk, word, mask);
		else
			clear_bits(map, &walk, word, mask);
	}
}

bool blockmap_any(const struct blockmap *map, uint64_t gpa, uint64_t len)
{
	uint64_t *word, mask;
	struct walk walk;

	walk_begin(&walk, map, blocks_up_to(map, gpa), blocks_up_to(map, gpa + len));
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

	walk_begin(&walk, map, blocks_up_to(map, gpa), blocks_up_to(map, gpa + len));
	while ((word = walk_next(&walk, map, &mask)))
		if (walk.word < num_words)
			words[walk.word] = (words[walk.word] & ~mask) |
					   (*word & mask);
}

/* The blocks from @first to before @end. */
static void load_blocks(struct blockmap *map, uint64_t first, uint64_t end,
			const uint64_t *words)
{
	uint64_t *word, mask;
	struct walk walk;

	walk_begin(&walk, map, first, end);
	while ((word = walk_next(&walk, map, &mask)))
		set_bits(map, &walk, word, words[walk.word] & mask);
}

void blockmap_load(struct blockmap *map, const uint64_t *words,
		   uint64_t num_words)
{
	load_blocks(map, 0, num_words * WORD_BITS, words);
}

void blockmap_load_new(struct blockmap *map, const uint64_t *words,
		       uint64_t num_words)
{
	const uint64_t end = num_words * WORD_BITS;
	unsigned int i;

	for (i = 0; i < map->count; i++) {
		const struct blockmap_region *region = &map->region[i];

		if (region->is_new)
			load_blocks(map, region->first,
				    region->end < end ? region->end : end, words);
	}
}

void blockmap_forget(const struct blockmap *map, uint64_t gpa, uint64_t len,
		     uint64_t *words, uint64_t num_words)
{
	const uint64_t first = blocks_up_to(map, gpa), last = blocks_up_to(map, gpa + len);
	const uint64_t end = last < num_words * WORD_BITS ? last : num_words * WORD_BITS;
	uint64_t word;

	for (word = first / WORD_BITS; word * WORD_BITS < end; word++)
		words[word] &= ~word_mask(word, first, end);
}

void blockmap_mark(struct blockmap *map, uint64_t gpa, uint64_t len)
{
	uint64_t *word, mask;
	struct walk walk;

	walk_begin(&walk, map, gpa / map->block_bytes, blocks_up_to(map, gpa + len));
	while ((word = walk_next(&walk, map, &mask))) {
		if (!(mask & ~__atomic_load_n(word, __ATOMIC_RELAXED)))
			continue;
		touch(map, &walk);
		__atomic_fetch_or(word, mask, __ATOMIC_RELAXED);
	}
}

/* Words are the same in both, as far as both have them. */
static void carry_page(struct blockmap *map, const struct blockmap_region *from,
		       uint64_t page)
{
	uint64_t first = (first_word(from) + page * PAGE_WORDS) * WORD_BITS;
	uint64_t end = first + PAGE_WORDS * WORD_BITS;
	struct walk walk;
	uint64_t *word, mask;

	walk_begin(&walk, map, first > from->first ? first : from->first,
		   end < from->end ? end : from->end);
	while ((word = walk_next(&walk, map, &mask)))
		set_bits(map, &walk, word,
			 from->bits[walk.word - first_word(from)] & mask);
}

/* What is on in @from and has a block in @map, too. */
static void carry_over(struct blockmap *map, const struct blockmap *from)
{
	unsigned int i;
	uint64_t t;

	for (i = 0; i < from->count; i++) {
		const struct blockmap_region *region = &from->region[i];

		for (t = 0; t < num_touched(region); t++) {
			uint64_t pages = region->touched[t];

			for (; pages; pages &= pages - 1)
				carry_page(map, region, t * WORD_BITS +
					   (uint64_t)__builtin_ctzll(pages));
		}
	}
}

static int compare_regions(const void *a, const void *b)
{
	const struct blockmap_region *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Most changes of memory leave most regions as they are: their bits go over as a whole. */
static bool take_over(struct blockmap_region *region, struct blockmap *from)
{
	unsigned int i = find_region(from, region->first);

	if (i == from->count || from->region[i].first != region->first ||
	    from->region[i].end != region->end)
		return false;
	*region = from->region[i];
	region->is_new = false;
	memmove(&from->region[i], &from->region[i + 1],
		(--from->count - i) * sizeof(from->region[0]));
	return true;
}

static bool follow_region(struct blockmap *map, struct blockmap *old,
			  const struct memory_region *shared)
{
	struct blockmap_region *region = &map->region[map->count];

	*region = (struct blockmap_region) {
		.first = blocks_up_to(map, shared->gpa),
		.end = blocks_up_to(map, shared->gpa + shared->size),
		.is_new = true,
	};
	if (region->first == region->end)
		return true;
	if (!take_over(region, old) && !alloc_bits(region))
		return false;
	map->set += region->set;
	map->count++;
	return true;
}

bool blockmap_follow(struct blockmap *map, const struct memory *memory)
{
	struct blockmap old = *map;
	unsigned int i;

	blockmap_init(map, old.block_bytes);
	for (i = 0; i < memory->count; i++) {
		if (follow_region(map, &old, &memory->region[i]))
			continue;
		blockmap_free(map);
		blockmap_free(&old);
		return false;
	}
	qsort(map->region, map->count, sizeof(map->region[0]), compare_regions);
	carry_over(map, &old);
	blockmap_free(&old);
	return true;
}
