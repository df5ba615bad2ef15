// SPDX-License-Identifier: GPL-2.0-only
/*
 * swapstress.c - fills memory with content that proves itself, and checks it again and again.
 *
 * Theory of operation: each worker (P processes of T threads) owns a slice of anonymous memory.
 * Every page holds a pseudo-random stream made from (seed, page number, generation), so that a
 * stale, foreign, shifted or damaged page can't pass for the right one. A page's generation is
 * kept in locked memory, as is everything else that the check itself needs: only the slices may
 * be swapped. Phases, with all workers in step:
 *	fill, then per round: [pageout] [gate] - verify in order - verify at random - rewrite some;
 *	at the end: verify in order.
 * A page that the kernel can't bring back raises SIGBUS at the touch; it is counted, and the page
 * is left alone for the rest of that phase. "Wrong" is only ever content that was read and differs.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vmstat.h"

#define PAGE_BYTES	4096u
#define PAGE_WORDS	(PAGE_BYTES / sizeof(uint64_t))
#define MIB		(1024u * 1024u)
#define PAGES_PER_MIB	(MIB / PAGE_BYTES)
#define MARKER_MAX	64
#define PROCS_MAX	256
#define STACK_BYTES	(256 * 1024)
#define REPORT_MAX	5	/* wrong pages described in full */

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/* Latencies in a histogram of 16 steps to each power of two nanoseconds. */
#define HIST_SUB_BITS	4
#define HIST_BUCKETS	(64 << HIST_SUB_BITS)

enum exit_code { EXIT_OK, EXIT_WRONG, EXIT_USAGE, EXIT_SIGBUS, EXIT_BROKEN };

enum phase { PHASE_FILL, PHASE_SEQ, PHASE_RANDOM, PHASE_REWRITE, PHASE_COUNT };

static const char *const phase_names[PHASE_COUNT] = { "fill", "seq", "random", "rewrite" };

struct options {
	unsigned int mib, procs, threads, rounds, rewrite_percent, limit_mib;
	uint64_t random_touches;	/* per worker and round; 0: half of its pages */
	uint64_t seed;
	char marker[MARKER_MAX + 1];
	const char *gate;
	bool hard, pageout, thp, once, tolerate_sigbus;
};

/* Shared by all processes. */
struct totals {
	pthread_barrier_t barrier;
	atomic_uint_fast64_t checked, wrong, sigbus, written;
	atomic_uint_fast64_t phase_pages[PHASE_COUNT];
	atomic_uint_fast64_t latency[HIST_BUCKETS];
	uint64_t phase_ns[PHASE_COUNT];		/* the first worker's, all are in step */
	uint64_t swap_in[PHASE_COUNT], swap_out[PHASE_COUNT];	/* pages, from vmstat */
};

struct worker {
	unsigned int index;
	uint64_t first_page, pages;
	uint8_t *slice;
	uint32_t *generation;
	uint64_t rng;
	uint64_t page_buf[PAGE_WORDS];
	pthread_t thread;
};

static struct options opt = {
	.mib = 64, .procs = 1, .threads = 1, .rounds = 1, .rewrite_percent = 25, .seed = 1,
};
static struct totals *totals;
static pthread_barrier_t locked_barrier;	/* this process's threads and its main thread */

static _Thread_local sigjmp_buf touch_jump;
static _Thread_local volatile sig_atomic_t touching;

static void die(const char *what)
{
	fprintf(stderr, "swapstress: %s: %s\n", what, strerror(errno));
	exit(EXIT_BROKEN);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t mix64(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static uint64_t worker_random(struct worker *w)
{
	w->rng += 0x9e3779b97f4a7c15u;
	return mix64(w->rng);
}

/* The content of a page: its name in clear for diagnosis, the marker, then the stream. */
static void page_make(uint64_t *words, uint64_t page, uint32_t generation)
{
	uint64_t state = mix64(opt.seed ^ mix64(page) ^ mix64((uint64_t)generation << 32 | 1));
	size_t i;

	for (i = 0; i < PAGE_WORDS; i++) {
		state += 0x9e3779b97f4a7c15u;
		words[i] = mix64(state);
	}
	words[0] = page;
	words[1] = generation;
	memcpy(&words[2], opt.marker, strlen(opt.marker));
}

/* ---- touching memory that may raise SIGBUS */

static void on_sigbus(int sig)
{
	if (touching)
		siglongjmp(touch_jump, 1);
	signal(sig, SIG_DFL);
	raise(sig);
}

/*
 * Copy a page out of or into the slice. False: SIGBUS. SA_NODEFER leaves no mask to restore, so
 * the jump buffer costs no system call. The probe comes first: a page that can't be brought in
 * is found out before any of it is overwritten.
 */
static bool page_copy(uint8_t *in_slice, uint64_t *buf, bool write)
{
	if (sigsetjmp(touch_jump, 0)) {
		touching = 0;
		atomic_fetch_add(&totals->sigbus, 1);
		return false;
	}
	touching = 1;
	(void)*(volatile uint8_t *)in_slice;
	if (write)
		memcpy(in_slice, buf, PAGE_BYTES);
	else
		memcpy(buf, in_slice, PAGE_BYTES);
	touching = 0;
	return true;
}

/* ---- counting */

static unsigned int hist_bucket(uint64_t ns)
{
	unsigned int log2;

	if (ns < 1u << HIST_SUB_BITS)
		return (unsigned int)ns;
	log2 = 63 - (unsigned int)__builtin_clzll(ns);
	return (log2 - HIST_SUB_BITS + 1) << HIST_SUB_BITS |
	       (unsigned int)(ns >> (log2 - HIST_SUB_BITS) & ((1u << HIST_SUB_BITS) - 1));
}

/* The lowest value that falls into a bucket. */
static uint64_t hist_value_ns(unsigned int bucket)
{
	unsigned int shift = bucket >> HIST_SUB_BITS;
	uint64_t sub = bucket & ((1u << HIST_SUB_BITS) - 1);

	return shift ? (sub | 1u << HIST_SUB_BITS) << (shift - 1) : sub;
}

static uint64_t hist_percentile_us(unsigned int percent, uint64_t *count)
{
	uint64_t total = 0, seen = 0;
	unsigned int i;

	for (i = 0; i < HIST_BUCKETS; i++)
		total += totals->latency[i];
	*count = total;
	for (i = 0; i < HIST_BUCKETS; i++) {
		seen += totals->latency[i];
		if (total && seen * 100 >= total * percent)
			return hist_value_ns(i) / 1000;
	}
	return 0;
}

static long major_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_majflt;
}

static void swap_counters(uint64_t *in, uint64_t *out)
{
	char text[VMSTAT_BYTES];

	vmstat_read(text);
	*in = vmstat_number(text, "\npswpin ");
	*out = vmstat_number(text, "\npswpout ");
}

/* ---- one page */

static void report_wrong(const struct worker *w, uint64_t i, const uint64_t *want)
{
	const uint8_t *a = (const uint8_t *)want, *b = (const uint8_t *)w->page_buf;
	size_t offset = 0, bytes = 0, k;

	if (atomic_fetch_add(&totals->wrong, 1) >= REPORT_MAX)
		return;
	for (k = PAGE_BYTES; k-- > 0;) {
		if (a[k] != b[k]) {
			offset = k;
			bytes++;
		}
	}
	fprintf(stderr, "swapstress: page %" PRIu64 " generation %" PRIu32 " is wrong: %zu bytes from offset %zu; it says page %" PRIu64 " generation %" PRIu64 "\n",
		w->first_page + i, w->generation[i], bytes, offset, w->page_buf[0], w->page_buf[1]);
}

/* What page_copy brought must be what was written last. */
static void page_verify(const struct worker *w, uint64_t i)
{
	uint64_t want[PAGE_WORDS];

	page_make(want, w->first_page + i, w->generation[i]);
	atomic_fetch_add(&totals->checked, 1);
	if (memcmp(want, w->page_buf, PAGE_BYTES))
		report_wrong(w, i, want);
}

static void page_check(struct worker *w, uint64_t i)
{
	if (page_copy(w->slice + i * PAGE_BYTES, w->page_buf, false))
		page_verify(w, i);
}

/* As page_check, and if the touch was a major fault, its time goes into the histogram. */
static void page_check_timed(struct worker *w, uint64_t i)
{
	uint64_t start, taken;
	long faults = major_faults();

	start = now_ns();
	if (!page_copy(w->slice + i * PAGE_BYTES, w->page_buf, false))
		return;
	taken = now_ns() - start;
	if (major_faults() != faults)
		atomic_fetch_add(&totals->latency[hist_bucket(taken)], 1);
	page_verify(w, i);
}

static void page_write(struct worker *w, uint64_t i, uint32_t generation)
{
	page_make(w->page_buf, w->first_page + i, generation);
	if (!page_copy(w->slice + i * PAGE_BYTES, w->page_buf, true))
		return;
	w->generation[i] = generation;
	atomic_fetch_add(&totals->written, 1);
}

/* ---- phases */

static uint64_t phase_pages(struct worker *w, enum phase phase)
{
	uint64_t i, n = w->pages;

	switch (phase) {
	case PHASE_FILL:
		for (i = 0; i < n; i++)
			page_write(w, i, 1);
		break;
	case PHASE_SEQ:
		for (i = 0; i < n; i++)
			page_check(w, i);
		break;
	case PHASE_RANDOM:
		n = opt.random_touches ? opt.random_touches : n / 2;
		for (i = 0; i < n; i++)
			page_check_timed(w, worker_random(w) % w->pages);
		break;
	case PHASE_REWRITE:
		n = n * opt.rewrite_percent / 100;
		for (i = 0; i < n; i++) {
			uint64_t page = worker_random(w) % w->pages;

			page_write(w, page, w->generation[page] + 1);
		}
		break;
	default:
		break;
	}
	return n;
}

/* The first worker keeps the time: the barriers make its view everybody's. */
static void phase_run(struct worker *w, enum phase phase)
{
	uint64_t start = 0, in = 0, out = 0, in_end, out_end;

	pthread_barrier_wait(&totals->barrier);
	if (!w->index) {
		swap_counters(&in, &out);
		start = now_ns();
	}
	atomic_fetch_add(&totals->phase_pages[phase], phase_pages(w, phase));
	pthread_barrier_wait(&totals->barrier);
	if (!w->index) {
		swap_counters(&in_end, &out_end);
		totals->phase_ns[phase] += now_ns() - start;
		totals->swap_in[phase] += in_end - in;
		totals->swap_out[phase] += out_end - out;
	}
}

static void pageout_slice(struct worker *w)
{
	if (opt.pageout && madvise(w->slice, w->pages * PAGE_BYTES, MADV_PAGEOUT))
		die("madvise(MADV_PAGEOUT)");
}

/* Wait at the gate until its writer has come and gone. */
static void gate_wait(struct worker *w)
{
	char c;
	int fd;

	pthread_barrier_wait(&totals->barrier);
	if (!w->index) {
		if (write(STDOUT_FILENO, "gate\n", 5) != 5)
			die("stdout");
		fd = open(opt.gate, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			die(opt.gate);
		while (read(fd, &c, 1) > 0)
			;
		close(fd);
	}
	pthread_barrier_wait(&totals->barrier);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	unsigned int round;

	/* The first wait: this stack exists. The second: it is locked, slices may come. */
	pthread_barrier_wait(&locked_barrier);
	pthread_barrier_wait(&locked_barrier);
	w->slice = mmap(NULL, w->pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->slice == MAP_FAILED)
		die("mmap");
	if (madvise(w->slice, w->pages * PAGE_BYTES, opt.thp ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) && opt.thp)
		die("madvise(MADV_HUGEPAGE)");

	phase_run(w, PHASE_FILL);
	for (round = 0; round < opt.rounds; round++) {
		pageout_slice(w);
		if (opt.gate)
			gate_wait(w);
		phase_run(w, PHASE_SEQ);
		if (opt.once && round + 1 == opt.rounds)
			return NULL;
		pageout_slice(w);
		phase_run(w, PHASE_RANDOM);
		phase_run(w, PHASE_REWRITE);
	}
	pageout_slice(w);
	phase_run(w, PHASE_SEQ);
	return NULL;
}

/* ---- processes */

static void *locked_alloc(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void process_main(unsigned int process)
{
	uint64_t pages = (uint64_t)opt.mib * PAGES_PER_MIB / (opt.procs * opt.threads);
	struct worker *workers = locked_alloc(opt.threads * sizeof(*workers));
	pthread_attr_t attr;
	unsigned int t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_barrier_init(&locked_barrier, NULL, opt.threads + 1);
	for (t = 0; t < opt.threads; t++) {
		struct worker *w = &workers[t];

		w->index = process * opt.threads + t;
		w->pages = pages;
		w->first_page = w->index * pages;
		w->rng = opt.seed + w->index;
		w->generation = locked_alloc(pages * sizeof(*w->generation));
		errno = pthread_create(&w->thread, &attr, worker_main, w);
		if (errno)
			die("pthread_create");
	}
	pthread_barrier_wait(&locked_barrier);
	if (mlockall(MCL_CURRENT))
		die("mlockall");
	pthread_barrier_wait(&locked_barrier);
	for (t = 0; t < opt.threads; t++)
		pthread_join(workers[t].thread, NULL);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static void cgroup_set(const char *dir, const char *name, unsigned int mib)
{
	char path[96], text[32];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(text, sizeof(text), "%uM", mib);
	write_file(path, text);
}

/*
 * A memory cgroup of our own. What swaps is memory.high, unless --hard: at a memory.max
 * of a few MiB, most of them in use, 7.3 may send out the OOM killer, on any disk.
 */
static void cgroup_enter(void)
{
	char dir[64], path[96];

	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	snprintf(dir, sizeof(dir), "/sys/fs/cgroup/swapstress-%d", (int)getpid());
	if (mkdir(dir, 0755))
		die(dir);
	if (!opt.hard)
		cgroup_set(dir, "memory.high", opt.limit_mib);
	cgroup_set(dir, "memory.max", opt.hard ? opt.limit_mib : opt.limit_mib * 2);
	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	write_file(path, "0");
}

static void totals_init(void)
{
	pthread_barrierattr_t attr;

	totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (totals == MAP_FAILED || mlock(totals, sizeof(*totals)))
		die("totals");
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&totals->barrier, &attr, opt.procs * opt.threads);
}

/* A worker that died would leave the others at the barrier for ever: then all must go. */
static bool processes_run(void)
{
	pid_t pids[PROCS_MAX];
	unsigned int p, left;
	int status;
	bool ok = true;

	for (p = 0; p < opt.procs; p++) {
		pids[p] = fork();
		if (pids[p] < 0)
			die("fork");
		if (!pids[p]) {
			/* whoever ends this program wants its memory back */
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			process_main(p);
			exit(EXIT_OK);
		}
	}
	for (left = opt.procs; left; left--) {
		pid_t pid = wait(&status);

		if (pid > 0 && WIFEXITED(status) && !WEXITSTATUS(status))
			continue;
		if (ok && WIFSIGNALED(status))
			fprintf(stderr, "swapstress: a process died of signal %d\n", WTERMSIG(status));
		for (p = 0; ok && p < opt.procs; p++)
			kill(pids[p], SIGKILL);
		ok = false;
	}
	return ok;
}

/* ---- the result */

static void print_phase(enum phase phase)
{
	double seconds = (double)totals->phase_ns[phase] / 1e9;
	double mib = (double)totals->phase_pages[phase] / PAGES_PER_MIB;

	printf("%s_pages=%" PRIu64 " %s_seconds=%.3f %s_mib_s=%.1f %s_swapin=%" PRIu64 " %s_swapout=%" PRIu64 "\n",
	       phase_names[phase], (uint64_t)totals->phase_pages[phase], phase_names[phase], seconds,
	       phase_names[phase], seconds > 0 ? mib / seconds : 0, phase_names[phase],
	       totals->swap_in[phase], phase_names[phase], totals->swap_out[phase]);
}

static enum exit_code print_result(bool finished)
{
	enum exit_code code = EXIT_OK;
	uint64_t faults;
	enum phase phase;

	for (phase = 0; phase < PHASE_COUNT; phase++)
		print_phase(phase);
	printf("fault_p50_us=%" PRIu64, hist_percentile_us(50, &faults));
	printf(" fault_p99_us=%" PRIu64, hist_percentile_us(99, &faults));
	printf(" faults_timed=%" PRIu64 "\n", faults);
	if (!finished || !totals->checked)
		code = EXIT_BROKEN;
	else if (totals->wrong)
		code = EXIT_WRONG;
	else if (totals->sigbus && !opt.tolerate_sigbus)
		code = EXIT_SIGBUS;
	printf("result=%s checked=%" PRIu64 " wrong=%" PRIu64 " sigbus=%" PRIu64 " written=%" PRIu64 "\n",
	       code == EXIT_OK ? "ok" : "failed", (uint64_t)totals->checked, (uint64_t)totals->wrong,
	       (uint64_t)totals->sigbus, (uint64_t)totals->written);
	return code;
}

static void usage(FILE *to)
{
	fprintf(to,
"Usage: swapstress [OPTION]...\n"
"Fills memory with content that proves itself and checks it, in order, at random and rewritten.\n"
"  --mib N            memory to fill, over all workers (64)\n"
"  --limit N          run in a memory cgroup of N MiB\n"
"  --hard             nobody waits at that limit: memory is reclaimed, or somebody killed\n"
"  --procs P          processes (1)\n"
"  --threads T        threads in each process (1)\n"
"  --rounds R         rounds of verify, random verify, rewrite (1)\n"
"  --random N         random touches of each worker in a round (half of its pages)\n"
"  --rewrite PERCENT  pages rewritten in a round (25)\n"
"  --seed N           other content, other order (1)\n"
"  --marker TEXT      put this text into every page (at most 64 bytes)\n"
"  --pageout          ask for every page to be swapped out before each verification\n"
"  --thp              ask for huge pages\n"
"  --gate FIFO        in each round print 'gate' and wait until FIFO was opened and closed by a writer\n"
"  --once             end after the first verification of the last round: it touches each page once\n"
"  --tolerate-sigbus  SIGBUS is no failure (it is counted all the same)\n"
"Prints key=value pairs. Exit: 0 all content was right; 1 some was wrong; 2 usage; 3 SIGBUS; 4 it\n"
"could not be told (a process died, nothing was checked).\n");
}

static unsigned long number(const char *text, unsigned long max)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 0);
	if (errno || end == text || *end || n > max) {
		fprintf(stderr, "swapstress: bad number: %s\n", text);
		exit(EXIT_USAGE);
	}
	return n;
}

enum { OPT_MIB = 256, OPT_LIMIT, OPT_HARD, OPT_PROCS, OPT_THREADS, OPT_ROUNDS, OPT_RANDOM, OPT_REWRITE, OPT_SEED,
	OPT_MARKER, OPT_PAGEOUT, OPT_THP, OPT_GATE, OPT_TOLERATE, OPT_ONCE, OPT_HELP };

static const struct option long_options[] = {
	{ "mib", 1, NULL, OPT_MIB }, { "limit", 1, NULL, OPT_LIMIT },
	{ "hard", 0, NULL, OPT_HARD }, { "procs", 1, NULL, OPT_PROCS }, { "threads", 1, NULL, OPT_THREADS },
	{ "rounds", 1, NULL, OPT_ROUNDS }, { "random", 1, NULL, OPT_RANDOM },
	{ "rewrite", 1, NULL, OPT_REWRITE }, { "seed", 1, NULL, OPT_SEED },
	{ "marker", 1, NULL, OPT_MARKER }, { "pageout", 0, NULL, OPT_PAGEOUT },
	{ "thp", 0, NULL, OPT_THP }, { "gate", 1, NULL, OPT_GATE },
	{ "once", 0, NULL, OPT_ONCE }, { "tolerate-sigbus", 0, NULL, OPT_TOLERATE }, { "help", 0, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static void option_set(int option)
{
	switch (option) {
	case OPT_MIB: opt.mib = number(optarg, 1 << 20); break;
	case OPT_LIMIT: opt.limit_mib = number(optarg, 1 << 20); break;
	case OPT_HARD: opt.hard = true; break;
	case OPT_PROCS: opt.procs = number(optarg, PROCS_MAX); break;
	case OPT_THREADS: opt.threads = number(optarg, 256); break;
	case OPT_ROUNDS: opt.rounds = number(optarg, 1 << 20); break;
	case OPT_RANDOM: opt.random_touches = number(optarg, UINT32_MAX); break;
	case OPT_REWRITE: opt.rewrite_percent = number(optarg, 1000); break;
	case OPT_SEED: opt.seed = number(optarg, UINT64_MAX); break;
	case OPT_MARKER: snprintf(opt.marker, sizeof(opt.marker), "%s", optarg); break;
	case OPT_PAGEOUT: opt.pageout = true; break;
	case OPT_THP: opt.thp = true; break;
	case OPT_GATE: opt.gate = optarg; break;
	case OPT_ONCE: opt.once = true; break;
	case OPT_TOLERATE: opt.tolerate_sigbus = true; break;
	case OPT_HELP: usage(stdout); exit(EXIT_OK);
	default: usage(stderr); exit(EXIT_USAGE);
	}
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_sigbus, .sa_flags = SA_NODEFER };
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		option_set(option);
	if (optind != argc || !opt.procs || !opt.threads ||
	    opt.mib * PAGES_PER_MIB < opt.procs * opt.threads) {
		usage(stderr);
		return EXIT_USAGE;
	}
	sigaction(SIGBUS, &sa, NULL);
	totals_init();
	/* This process only waits, and its pages would be the coldest; each worker locks its own. */
	if (mlockall(MCL_CURRENT))
		die("mlockall");
	if (opt.limit_mib)
		cgroup_enter();
	return print_result(processes_run());
}
