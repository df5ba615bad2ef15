// SPDX-License-Identifier: GPL-2.0-only
/*
 * pages.c - tasks whose memory proves itself, for as long as they run: what a guest does that moves.
 *
 * Usage: pages MIB TASKS
 *
 * Each task fills its part, then looks at all of its pages in a fixed order that jumps about, again and again,
 * and writes every fourth anew. A page is a stream made from its number and its version, which is kept in locked
 * memory. Each task says once a second how often it has been right and wrong, and how many times it has been
 * through. They wait for each other every TURN pages: one whose pages are all there would keep them there, by looking
 * at them so fast, and the other would hardly get on.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES	4096u
#define PAGE_WORDS	(PAGE_BYTES / sizeof(uint64_t))
#define PAGES_PER_MIB	256u
#define TURN		1024u

struct task {
	unsigned int index;
	uint64_t pages;
	uint64_t *memory;
	uint32_t *version;		/* of each page */
	uint64_t good, bad;
	pthread_barrier_t *turn;	/* shared by all tasks */
};

static uint64_t mix(uint64_t v)
{
	v ^= v >> 31;
	v *= 0x9e3779b97f4a7c15ull;
	return v ^ v >> 29;
}

static uint64_t word(const struct task *t, uint64_t page, unsigned int i)
{
	return mix((uint64_t)t->index << 56 ^ (uint64_t)t->version[page] << 32 ^
		   (page * PAGE_WORDS + i));
}

static void fill(const struct task *t, uint64_t page)
{
	uint64_t *to = t->memory + page * PAGE_WORDS;
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i++)
		to[i] = word(t, page, i);
}

static bool is_right(const struct task *t, uint64_t page)
{
	const uint64_t *from = t->memory + page * PAGE_WORDS;
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i++)
		if (from[i] != word(t, page, i))
			return false;
	return true;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static void look_at(struct task *t, uint64_t page)
{
	if (is_right(t, page)) {
		t->good++;
	} else {
		t->bad++;
		dprintf(STDOUT_FILENO, "WRONG: task %u page %ju version %u\n", t->index,
			(uintmax_t)page, t->version[page]);
	}
	if (mix(t->good) % 4)
		return;
	t->version[page]++;
	fill(t, page);
}

static void work(struct task *t)
{
	uint64_t stride = t->pages * 618 / 1000 | 1, step, page;
	time_t said = 0;

	t->memory = mmap(NULL, t->pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	t->version = mmap(NULL, t->pages * sizeof(*t->version), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t->memory == MAP_FAILED || t->version == MAP_FAILED ||
	    mlock(t->version, t->pages * sizeof(*t->version)))
		exit(1);
	while (gcd(stride, t->pages) != 1)
		stride += 2;
	for (page = 0; page < t->pages; page++)
		fill(t, page);
	for (step = 0;; step++) {
		look_at(t, step * stride % t->pages);
		if (step % TURN == TURN - 1)
			pthread_barrier_wait(t->turn);
		if (step % 64 || time(NULL) == said)
			continue;
		said = time(NULL);
		dprintf(STDOUT_FILENO, "task %u good=%ju bad=%ju laps=%ju\n", t->index,
			(uintmax_t)t->good, (uintmax_t)t->bad, (uintmax_t)(step / t->pages));
	}
}

static pthread_barrier_t *make_turn(unsigned int tasks)
{
	pthread_barrier_t *turn = mmap(NULL, sizeof(*turn), PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_barrierattr_t shared;

	if (turn == MAP_FAILED || pthread_barrierattr_init(&shared) ||
	    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED) ||
	    pthread_barrier_init(turn, &shared, tasks))
		return NULL;
	return turn;
}

int main(int argc, char **argv)
{
	unsigned int tasks = argc == 3 ? (unsigned int)atoi(argv[2]) : 0, i;
	struct task t = { 0 };

	if (!tasks || !atoi(argv[1])) {
		fprintf(stderr, "Usage: pages MIB TASKS\n");
		return 2;
	}
	t.pages = (uint64_t)atoi(argv[1]) * PAGES_PER_MIB / tasks;
	t.turn = make_turn(tasks);
	if (!t.turn)
		return 1;
	for (i = 0; i < tasks; i++) {
		t.index = i;
		if (!fork())
			work(&t);
	}
	while (wait(NULL) > 0)
		dprintf(STDOUT_FILENO, "DIED: a task\n");
	return 1;
}
