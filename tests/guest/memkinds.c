// SPDX-License-Identifier: GPL-2.0-only
/*
 * memkinds.c - memory that others have a hand in, swapped out and in: zswap, KSM, userfaultfd.
 *
 * Theory of operation: every page's content follows from its number and a generation, so what is
 * lost, stale or another's is told from what is right.
 *
 * ksm: four neighbours have the same content, and the kernel is told that it may merge them. At each
 * gate ("gate" on stdout, a line on stdin) whoever runs this has them merged and swapped out. Then all
 * are checked, and one of four is written: merged pages must not change for the others.
 *
 * mixed: every other page compresses well. All is written, asked to be swapped out, and checked, three
 * times, with a gate before each check.
 *
 * uffd: a thread of this program provides each page when it's first touched. What is swapped out comes
 * from the swap, not from there; what is thrown away while it's out comes from there again; where the
 * kernel can, what is write-protected is so still when it comes back.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE		4096UL
#define WORDS		(PAGE / sizeof(uint64_t))
#define IS_SWAPPED	(1ULL << 62)	/* in /proc/PID/pagemap */
/* Words of a page that are the same, in pages that compress. */
#define SAME_WORDS	3
/* Of these pages one each is written, thrown away, written though it's protected. */
#define KSM_SAME	4
#define DROP_EVERY	5
#define WRITE_EVERY	7

static uint64_t *memory;
static size_t pages;
static unsigned long checked, wrong;

static void die(const char *what)
{
	fprintf(stderr, "memkinds: %s: %s\n", what, strerror(errno));
	exit(4);
}

static uint64_t word(uint64_t number, uint64_t generation, size_t i)
{
	uint64_t x = (number << 16 | generation) * 0x9e3779b97f4a7c15ULL + i;

	return (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
}

static void fill(uint64_t *page, uint64_t number, uint64_t generation)
{
	for (size_t i = 0; i < WORDS; i++)
		page[i] = word(number, generation, i);
}

static void check(size_t page, uint64_t number, uint64_t generation)
{
	const uint64_t *words = memory + page * WORDS;

	checked++;
	for (size_t i = 0; i < WORDS; i++)
		if (words[i] != word(number, generation, i)) {
			wrong++;
			return;
		}
}

static void map(void)
{
	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	/* a huge page would be one of all three kinds */
	madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
}

static unsigned long swapped_pages(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned long count = 0;
	uint64_t entry;

	if (fd < 0)
		die("pagemap");
	for (size_t i = 0; i < pages; i++) {
		if (pread(fd, &entry, sizeof(entry), ((uintptr_t)memory / PAGE + i) * sizeof(entry)) !=
		    sizeof(entry))
			die("pagemap");
		count += !!(entry & IS_SWAPPED);
	}
	close(fd);
	return count;
}

static unsigned long page_out(void)
{
	if (madvise(memory, pages * PAGE, MADV_PAGEOUT))
		die("MADV_PAGEOUT");
	return swapped_pages();
}

/* --- ksm --- */

static void gate(void)
{
	char line[16];

	puts("gate");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(4);
}

static void ksm(void)
{
	for (size_t i = 0; i < pages; i++)
		fill(memory + i * WORDS, i / KSM_SAME, 0);
	if (madvise(memory, pages * PAGE, MADV_MERGEABLE))
		die("MADV_MERGEABLE");
	gate();
	for (size_t i = 0; i < pages; i++)
		check(i, i / KSM_SAME, 0);
	gate();
	for (size_t i = 0; i < pages; i += KSM_SAME)
		fill(memory + i * WORDS, i, 1);
	gate();
	for (size_t i = 0; i < pages; i++)
		check(i, i % KSM_SAME ? i / KSM_SAME : i, i % KSM_SAME == 0);
	printf("checked=%lu wrong=%lu\n", checked, wrong);
}

/* --- mixed --- */

/* What page @page holds, and no other and no earlier one. */
static uint64_t mixed_word(uint64_t page, uint64_t generation, size_t i)
{
	return word(page, generation, page % 2 ? i : i / SAME_WORDS);
}

static void mixed_fill(size_t page, uint64_t generation)
{
	for (size_t i = 0; i < WORDS; i++)
		memory[page * WORDS + i] = mixed_word(page, generation, i);
}

static void mixed_check(size_t page, uint64_t generation)
{
	checked++;
	for (size_t i = 0; i < WORDS; i++)
		if (memory[page * WORDS + i] != mixed_word(page, generation, i)) {
			wrong++;
			return;
		}
}

static void mixed(void)
{
	for (size_t i = 0; i < pages; i++)
		mixed_fill(i, 0);
	for (uint64_t generation = 0; generation < 3; generation++) {
		printf("swapped=%lu ", page_out());
		gate();
		for (size_t i = 0; i < pages; i++)
			mixed_check(i, i % 3 ? 0 : generation);
		for (size_t i = 0; i < pages; i += 3)
			mixed_fill(i, generation + 1);
	}
	printf("checked=%lu wrong=%lu\n", checked, wrong);
}

/* --- userfaultfd --- */

static int uffd;
static unsigned long missing, protected; /* faults */

static void provide(uint64_t address)
{
	static uint64_t page[WORDS] __attribute__((aligned(PAGE)));
	struct uffdio_copy copy = {
		.dst = address & ~(PAGE - 1),
		.src = (uintptr_t)page,
		.len = PAGE,
	};

	fill(page, (copy.dst - (uintptr_t)memory) / PAGE, 0);
	__atomic_add_fetch(&missing, 1, __ATOMIC_SEQ_CST);
	if (ioctl(uffd, UFFDIO_COPY, &copy))
		die("UFFDIO_COPY");
}

static void unprotect(uint64_t address)
{
	struct uffdio_writeprotect range = {
		.range = { .start = address & ~(PAGE - 1), .len = PAGE },
	};

	__atomic_add_fetch(&protected, 1, __ATOMIC_SEQ_CST);
	if (ioctl(uffd, UFFDIO_WRITEPROTECT, &range))
		die("UFFDIO_WRITEPROTECT");
}

static void *serve(void *arg)
{
	struct uffd_msg message;

	while (read(uffd, &message, sizeof(message)) == sizeof(message)) {
		if (message.event != UFFD_EVENT_PAGEFAULT)
			continue;
		if (message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)
			unprotect(message.arg.pagefault.address);
		else
			provide(message.arg.pagefault.address);
	}
	return arg;
}

/* Returns whether it can write-protect. */
static bool uffd_open(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	pthread_t thread;
	bool can_protect;

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0)
		die("userfaultfd");
	if (ioctl(uffd, UFFDIO_API, &api))
		die("UFFDIO_API");
	can_protect = api.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP;
	if (can_protect)
		range.mode |= UFFDIO_REGISTER_MODE_WP;
	range.range.start = (uintptr_t)memory;
	range.range.len = pages * PAGE;
	if (ioctl(uffd, UFFDIO_REGISTER, &range))
		die("UFFDIO_REGISTER");
	if (pthread_create(&thread, NULL, serve, NULL))
		die("pthread_create");
	pthread_detach(thread);
	return can_protect;
}

static void check_all(void)
{
	for (size_t i = 0; i < pages; i++)
		check(i, i, 0);
}

static void write_protected(void)
{
	struct uffdio_writeprotect range = {
		.range = { .start = (uintptr_t)memory, .len = pages * PAGE },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	if (ioctl(uffd, UFFDIO_WRITEPROTECT, &range))
		die("UFFDIO_WRITEPROTECT");
	printf("swapped_protected=%lu ", page_out());
	for (size_t i = 0; i < pages; i += WRITE_EVERY)
		fill(memory + i * WORDS, i, 1);
	for (size_t i = 0; i < pages; i++)
		check(i, i, i % WRITE_EVERY == 0);
	printf("written=%zu protected=%lu ", (pages + WRITE_EVERY - 1) / WRITE_EVERY, protected);
}

static void userfault(void)
{
	bool can_protect = uffd_open();
	unsigned long dropped = 0;

	check_all();
	printf("pages=%zu missing=%lu ", pages, missing);
	missing = 0;
	printf("swapped=%lu ", page_out());
	check_all();
	printf("missing_again=%lu ", missing);
	page_out();
	for (size_t i = 0; i < pages; i += DROP_EVERY) {
		if (madvise(memory + i * WORDS, PAGE, MADV_DONTNEED))
			die("MADV_DONTNEED");
		dropped++;
	}
	check_all();
	printf("dropped=%lu missing_dropped=%lu ", dropped, missing);
	if (can_protect)
		write_protected();
	printf("checked=%lu wrong=%lu\n", checked, wrong);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} kinds[] = { { "mixed", mixed }, { "ksm", ksm }, { "uffd", userfault } };

	for (size_t i = 0; argc == 3 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(argv[1], kinds[i].name))
			continue;
		pages = strtoul(argv[2], NULL, 0) * (1UL << 20) / PAGE;
		map();
		kinds[i].run();
		return wrong ? 1 : 0;
	}
	fputs("Usage: memkinds mixed|ksm|uffd MIB\n"
	      "Prints key=value pairs. Exit: 0 all was right, 1 some was wrong, 4 it could not be told.\n",
	      stderr);
	return 2;
}
