// SPDX-License-Identifier: GPL-2.0-only
/*
 * keepwrites.c - writes to memory and checks it while another process swaps that memory out.
 *
 * Theory of operation: the writer fills its pages in passes, each with a number of its own, and reads each
 * page after it has filled all. The other process asks for all of these pages to be swapped out
 * (process_madvise(MADV_PAGEOUT)), again and again, and so often catches the writer within a page. A third of
 * the pages is written by the program, a third by the kernel for the program (pread), and a third by the
 * kernel after the program has read them: such a page has come back from the disk clean.
 * What the check itself needs is locked. The end comes when so many pages have been swapped out, not after a time.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmstat.h"

#define PAGE_BYTES	4096u
#define PAGE_WORDS	(PAGE_BYTES / sizeof(uint64_t))
#define PAGES		96u
#define REPORT_MAX	5	/* wrong pages described in full */

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/* Exit codes as swapstress has them. */
enum exit_code { EXIT_OK, EXIT_WRONG, EXIT_USAGE, EXIT_BROKEN = 4 };

enum way { BY_PROGRAM, BY_KERNEL, READ_THEN_KERNEL, WAYS };

static const char *const way_names[WAYS] = { "program", "kernel", "kernel after a read" };

static uint64_t page_of_pass[PAGE_WORDS];	/* what the kernel writes, before it goes into the file */

static void die(const char *what)
{
	fprintf(stderr, "keepwrites: %s: %s\n", what, strerror(errno));
	exit(EXIT_BROKEN);
}

static volatile uint64_t *map_pages(void)
{
	void *p = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	if (madvise(p, PAGES * PAGE_BYTES, MADV_NOHUGEPAGE) && errno != EINVAL)
		die("madvise(MADV_NOHUGEPAGE)");
	return p;
}

/* The other process: it has the memory swapped out until it is killed. */
static pid_t begin_swapping(void *memory)
{
	struct iovec range = { .iov_base = memory, .iov_len = PAGES * PAGE_BYTES };
	pid_t writer = getpid(), pid = fork();
	int fd;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = (int)syscall(SYS_pidfd_open, writer, 0);
	if (fd < 0)
		die("pidfd_open");
	for (;;) {
		if (syscall(SYS_process_madvise, fd, &range, 1ul, MADV_PAGEOUT, 0) < 0)
			die("process_madvise(MADV_PAGEOUT)");
	}
}

/* Pages swapped out since the guest started. */
static uint64_t swapped_out(void)
{
	static char text[VMSTAT_BYTES];

	if (!vmstat_read(text))
		die("/proc/vmstat");
	return vmstat_number(text, "\npswpout ");
}

/* The file has one page, which holds the pass's number in each word. */
static void write_pages(volatile uint64_t *memory, int file, uint64_t pass)
{
	unsigned int page, i;

	for (i = 0; i < PAGE_WORDS; i++)
		page_of_pass[i] = pass;
	if (pwrite(file, page_of_pass, PAGE_BYTES, 0) != PAGE_BYTES)
		die("memfd");
	for (page = 0; page < PAGES; page++) {
		volatile uint64_t *words = memory + page * PAGE_WORDS;

		switch ((enum way)(page % WAYS)) {
		case BY_PROGRAM:
			for (i = 0; i < PAGE_WORDS; i++)
				words[i] = pass;
			break;
		case READ_THEN_KERNEL:
			(void)words[0];
			/* fall through */
		default:
			if (pread(file, (void *)words, PAGE_BYTES, 0) != PAGE_BYTES)
				die("pread");
		}
	}
}

/* How many pages don't hold PASS in each word. */
static unsigned int check_pages(const volatile uint64_t *memory, uint64_t pass)
{
	static unsigned int reported;
	unsigned int page, i, wrong = 0;

	for (page = 0; page < PAGES; page++) {
		const volatile uint64_t *words = memory + page * PAGE_WORDS;
		unsigned int first = PAGE_WORDS, count = 0;
		uint64_t said = 0;

		for (i = 0; i < PAGE_WORDS; i++) {
			uint64_t word = words[i];

			if (word == pass)
				continue;
			if (!count++) {
				first = i;
				said = word;
			}
		}
		if (!count)
			continue;
		wrong++;
		if (reported++ < REPORT_MAX)
			fprintf(stderr, "keepwrites: page %u, written by the %s in pass %" PRIu64 ": %u words from word %u are wrong, the first is 0x%" PRIx64 "\n",
				page, way_names[page % WAYS], pass, count, first, said);
	}
	return wrong;
}

int main(int argc, char **argv)
{
	uint64_t pass = 0, wrong = 0, wanted, begin;
	volatile uint64_t *memory;
	int file, status;
	char *end;
	pid_t pid;

	wanted = argc == 2 ? strtoul(argv[1], &end, 10) : 0;
	if (!wanted || *end) {
		fprintf(stderr, "Usage: keepwrites N\n"
			"Writes and checks memory until N pages have been swapped out at another process's request.\n"
			"Exit: 0 all content was right; 1 some was wrong; 2 usage; 4 it could not be told.\n");
		return EXIT_USAGE;
	}
	file = memfd_create("keepwrites", MFD_CLOEXEC);
	if (file < 0 || mlockall(MCL_CURRENT))
		die("memfd or mlockall");
	memory = map_pages();
	begin = swapped_out();
	pid = begin_swapping((void *)memory);
	if (pid < 0)
		die("fork");
	while (swapped_out() - begin < wanted) {
		if (waitpid(pid, &status, WNOHANG)) {
			fprintf(stderr, "keepwrites: the other process ended\n");
			return EXIT_BROKEN;
		}
		pass++;
		write_pages(memory, file, pass);
		wrong += check_pages(memory, pass);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	printf("checked=%" PRIu64 " wrong=%" PRIu64 "\n", pass * PAGES, wrong);
	return wrong ? EXIT_WRONG : EXIT_OK;
}
