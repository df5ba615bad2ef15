// SPDX-License-Identifier: GPL-2.0-only
/*
 * swap_verify.c - fill memory, have it swapped out, and see that it comes back.
 *
 *	swap_verify [-t] [-w] [-r ROUNDS] MIB
 *
 * Every page holds its own number, the round, and bytes that follow from both,
 * so that a page that was lost, stale, or another's is told from the right one.
 * MADV_PAGEOUT does the swapping: no memory limit, and no waiting for pressure.
 *	-t	use huge pages
 *	-w	when all is out print "out PAGES", and wait for a line on stdin
 * Prints "swapped PAGES of PAGES" in the end. Exit status: 0 all is well; 1 a
 * page was wrong; 2 trouble.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define HUGE_BYTES	(2UL << 20)

static size_t page_bytes;

static void fail(const char *what)
{
	fprintf(stderr, "swap_verify: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* What belongs at word @i of page @page: never the same in two pages or rounds. */
static uint64_t word(uint64_t page, uint64_t round, size_t i)
{
	uint64_t x = (page << 20 | round) * 0x9e3779b97f4a7c15ULL + i;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	return i ? x ^ x >> 27 : page << 20 | round;
}

static void fill(uint64_t *memory, size_t pages, unsigned int round)
{
	size_t words = page_bytes / sizeof(*memory);

	for (size_t page = 0; page < pages; page++)
		for (size_t i = 0; i < words; i++)
			memory[page * words + i] = word(page, round, i);
}

static size_t verify(const uint64_t *memory, size_t pages, unsigned int round)
{
	size_t words = page_bytes / sizeof(*memory);
	size_t wrong = 0;

	for (size_t page = 0; page < pages; page++) {
		for (size_t i = 0; i < words; i++) {
			uint64_t found = memory[page * words + i];

			if (found == word(page, round, i))
				continue;
			fprintf(stderr, "page %zu of round %u is wrong at word %zu: %016llx\n",
				page, round, i, (unsigned long long)found);
			wrong++;
			break;
		}
	}
	return wrong;
}

/* How many of the pages are swapped out, by the kernel's page map. */
static size_t count_swapped(const void *memory, size_t pages)
{
	FILE *file = fopen("/proc/self/pagemap", "re");
	uint64_t entry;
	size_t swapped = 0;

	if (!file || fseek(file, (long)((uintptr_t)memory / page_bytes * sizeof(entry)), SEEK_SET))
		fail("/proc/self/pagemap");
	for (size_t i = 0; i < pages; i++) {
		if (fread(&entry, sizeof(entry), 1, file) != 1)
			fail("/proc/self/pagemap");
		swapped += entry >> 62 & 1;
	}
	fclose(file);
	return swapped;
}

/* The kernel passes over pages that it finds busy: ask a few times. */
static size_t page_out(void *memory, size_t pages)
{
	size_t swapped = 0;

	for (int i = 0; i < 10 && swapped < pages; i++) {
		if (madvise(memory, pages * page_bytes, MADV_PAGEOUT))
			fail("MADV_PAGEOUT");
		swapped = count_swapped(memory, pages);
	}
	return swapped;
}

static void *map(size_t bytes, bool huge)
{
	char *memory = mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap");
	memory += -(uintptr_t)memory % HUGE_BYTES;
	/* Kernels without huge pages refuse either advice; that's all right. */
	madvise(memory, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return memory;
}

int main(int argc, char **argv)
{
	size_t bytes, pages, swapped = 0, wrong = 0;
	unsigned int rounds = 1;
	bool huge = false, wait = false;
	uint64_t *memory;
	int option;

	while ((option = getopt(argc, argv, "twr:")) != -1) {
		if (option == 't')
			huge = true;
		else if (option == 'w')
			wait = true;
		else if (option == 'r')
			rounds = (unsigned int)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind + 1 != argc || !strtoul(argv[optind], NULL, 10)) {
		fputs("Usage: swap_verify [-t] [-w] [-r ROUNDS] MIB\n", stderr);
		return 2;
	}
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	bytes = strtoul(argv[optind], NULL, 10) << 20;
	pages = bytes / page_bytes;
	memory = map(bytes, huge);
	for (unsigned int round = 0; round < rounds; round++) {
		fill(memory, pages, round);
		swapped += page_out(memory, pages);
		if (wait) {
			printf("out %zu\n", swapped);
			fflush(stdout);
			if (getchar() == EOF)
				return 2;
		}
		wrong += verify(memory, pages, round);
	}
	printf("swapped %zu of %zu\n", swapped, pages * rounds);
	return wrong ? 1 : 0;
}
