// SPDX-License-Identifier: GPL-2.0-only
/*
 * lateread.c - reads pages of a disk past the page cache, many at once, from a host that answers when
 * it's too late, and looks whether a page that was given up stays what its owner made of it since.
 *
 * With --fill it writes the pages, each with content of its own. Else each of THREADS threads reads a
 * page a round, another one each round, and the neighbour of another thread's. A page that came must
 * have that content. The memory of a page that didn't come gets other content at once. That must still
 * be there some rounds later; then the memory is given back and had anew. It says how many pages were
 * read, failed, wrong, and changed afterwards.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define MOST_THREADS 512
#define WRITE_PAGES 16
/* Memory that a thread reads to, in turn. */
#define BUFFERS 3

static int disk;
static unsigned long first, count, rounds, pages;
static unsigned long num_read, num_failed, num_wrong, num_changed;

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void fill(uint64_t *page, uint64_t seed)
{
	unsigned int i;

	for (i = 0; i < PAGE / sizeof(*page); i++)
		page[i] = (seed << 16 | i) * 0x9e3779b97f4a7c15u;
}

static int is_filled(const uint64_t *page, uint64_t seed)
{
	uint64_t wanted[PAGE / sizeof(*page)];

	fill(wanted, seed);
	return !memcmp(page, wanted, PAGE);
}

static void add(unsigned long *number)
{
	__atomic_fetch_add(number, 1, __ATOMIC_RELAXED);
}

static off_t at(unsigned long page)
{
	return (off_t)(first + page) * PAGE;
}

/* What a page's memory has that was given up. */
static uint64_t mine(unsigned long thread, unsigned int buffer)
{
	return 1ul << 40 | thread << 8 | buffer;
}

static void *reader(void *arg)
{
	unsigned long thread = (unsigned long)arg, round, page;
	unsigned int given_up[BUFFERS] = { 0 }, buffer;
	char *memory = mmap(NULL, BUFFERS * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(memory != MAP_FAILED, "mmap");
	for (round = 0; round < rounds + BUFFERS; round++) {
		uint64_t *to;

		buffer = round % BUFFERS;
		to = (uint64_t *)(memory + buffer * PAGE);
		if (given_up[buffer] && !is_filled(to, mine(thread, buffer)))
			add(&num_changed);
		given_up[buffer] = 0;
		must(!madvise(to, PAGE, MADV_DONTNEED), "madvise");
		/* the last ones only look back */
		if (round >= rounds)
			continue;
		page = (round * count + thread) % pages;
		if (pread(disk, to, PAGE, at(page)) == PAGE) {
			add(&num_read);
			if (!is_filled(to, page))
				add(&num_wrong);
		} else {
			fill(to, mine(thread, buffer));
			given_up[buffer] = 1;
			add(&num_failed);
		}
	}
	return NULL;
}

static void write_all(void)
{
	unsigned long page, part;
	char *from = aligned_alloc(PAGE, WRITE_PAGES * PAGE);

	must(from != NULL, "memory");
	for (page = 0; page < pages; page += part) {
		for (part = 0; part < WRITE_PAGES && page + part < pages; part++)
			fill((uint64_t *)(from + part * PAGE), page + part);
		must(pwrite(disk, from, part * PAGE, at(page)) == (ssize_t)(part * PAGE), "writing");
	}
}

int main(int argc, char **argv)
{
	int filling = argc == 5 && !strcmp(argv[1], "--fill");
	pthread_t threads[MOST_THREADS];
	unsigned long i;

	if (!filling && argc != 6) {
		fputs("Usage: lateread --fill DISK FIRST PAGES, or lateread DISK FIRST PAGES THREADS ROUNDS\n",
		      stderr);
		return 2;
	}
	disk = open(argv[1 + filling], (filling ? O_WRONLY : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	must(disk >= 0, "open");
	first = strtoul(argv[2 + filling], NULL, 10);
	pages = strtoul(argv[3 + filling], NULL, 10);
	if (filling) {
		write_all();
		return 0;
	}
	count = strtoul(argv[4], NULL, 10);
	rounds = strtoul(argv[5], NULL, 10);
	if (!count || count > MOST_THREADS || pages < count)
		return 2;
	for (i = 0; i < count; i++) {
		errno = pthread_create(&threads[i], NULL, reader, (void *)i);
		must(!errno, "thread");
	}
	for (i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	printf("read=%lu failed=%lu wrong=%lu changed=%lu\n", num_read, num_failed, num_wrong,
	       num_changed);
	return num_wrong || num_changed;
}
