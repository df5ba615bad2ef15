// SPDX-License-Identifier: GPL-2.0-only
/*
 * dirty.c - is everything logged that the daemon writes to the guest's memory?
 *
 * Theory of operation: a front end that moves a guest copies its memory while it runs, and copies again what
 * the guest has written (which a VMM knows by itself) and what is in the device's log. So here the memory is
 * copied when the log begins, and made read-only for this process: whatever we write to is known by the fault.
 * When the rings have stopped, each page that differs from its copy and that we didn't write to was written
 * by the daemon alone, and must be in the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dirty.h"
#include "hostile.h"
#include "killer.h"
#include "suite.h"
#include "suites.h"

#define PAGE		4096u
#define MIB		(1024 * 1024ull)

struct watched {
	u8 *base;
	size_t bytes;
	u8 *copy;
	u8 *ours;			/* a byte a page: this process wrote there; atomic */
};

static struct watched watched[FE_MAX_REGIONS];
static unsigned int num_watched;
static u8 *bits;			/* the log */
static size_t bits_bytes;

/* The first write to a page since the copy. All of it is safe in a signal handler. */
static void take_note(int number, siginfo_t *info, void *context)
{
	u8 *at = info->si_addr;
	unsigned int i;

	(void)context;
	for (i = 0; i < num_watched; i++) {
		const struct watched *w = &watched[i];
		size_t page = (size_t)(at - w->base) / PAGE;

		if (at < w->base || at >= w->base + w->bytes)
			continue;
		__atomic_store_n(&w->ours[page], 1, __ATOMIC_RELEASE);
		if (!mprotect(w->base + page * PAGE, PAGE, PROT_READ | PROT_WRITE))
			return;
	}
	signal(number, SIG_DFL);
}

static int protect(struct guest *g, int rights)
{
	unsigned int i;

	for (i = 0; i < num_watched; i++)
		EXPECT(g, !mprotect(watched[i].base, watched[i].bytes, rights),
		       "mprotect: %s", strerror(errno));
	return 0;
}

static void unmap_log(void)
{
	if (bits)
		munmap(bits, bits_bytes);
	bits = NULL;
}

/*
 * What there is for a region stays until it's another guest's: a thread that was about to write when we
 * looked may take note of it late.
 */
static int watch_region(struct guest *g, struct watched *w, const struct fe_region *r)
{
	if (w->base != r->base || w->bytes != r->bytes) {
		free(w->copy);
		free(w->ours);
		*w = (struct watched) {
			.base = r->base,
			.bytes = r->bytes,
			.copy = malloc(r->bytes),
			.ours = calloc(r->bytes / PAGE, 1),
		};
		EXPECT(g, w->copy && w->ours, "no memory");
	}
	memset(w->ours, 0, r->bytes / PAGE);
	return 0;
}

static int watch(struct guest *g)
{
	struct sigaction action = { .sa_sigaction = take_note, .sa_flags = SA_SIGINFO };
	unsigned int i;

	for (i = 0; i < g->fe.regions; i++)
		TRY(watch_region(g, &watched[i], &g->fe.region[i]));
	num_watched = g->fe.regions;
	sigaction(SIGSEGV, &action, NULL);
	TRY(protect(g, PROT_READ));
	for (i = 0; i < num_watched; i++)
		memcpy(watched[i].copy, watched[i].base, watched[i].bytes);
	return 0;
}

static int make_log(struct guest *g, int *fd)
{
	const struct fe_region *last = &g->fe.region[g->fe.regions - 1];

	bits_bytes = (last->guest_address + last->bytes) / PAGE / 8 + 8;
	*fd = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	EXPECT(g, *fd >= 0 && !ftruncate(*fd, (off_t)bits_bytes) &&
	       !fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
	       "memfd: %s", strerror(errno));
	bits = mmap(NULL, bits_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	EXPECT(g, bits != MAP_FAILED, "mmap: %s", strerror(errno));
	return 0;
}

static int tell_log(struct guest *g, int fd, u64 bytes)
{
	struct fe_message log = { .header = { FE_SET_LOG_BASE, FE_VERSION, sizeof(log.payload.log) } };

	log.payload.log.bytes = bytes;
	log.payload.log.offset = 0;
	TRY_FE(g, fe_send(&g->fe, &log, &fd, 1));
	TRY_FE(g, fe_receive(&g->fe, &log));
	EXPECT(g, log.header.request == FE_SET_LOG_BASE, "no answer about the log");
	return 0;
}

/* As QEMU does, while the rings run: the log, the feature, the rings. */
static int have_logged(struct guest *g, int fd)
{
	struct fe_message features = { .header = { FE_SET_FEATURES, 0, sizeof(u64) } };

	features.payload.value = g->fe.features | FE_BIT(FE_F_LOG_ALL);
	TRY(tell_log(g, fd, bits_bytes));
	TRY_FE(g, fe_tell(&g->fe, &features, NULL, 0));
	g->fe.logs_rings = true;
	return guest_log_rings(g);
}

int dirty_lose_log(struct guest *g)
{
	int fd, rc;

	TRY(make_log(g, &fd));
	rc = tell_log(g, fd, bits_bytes + 1);
	close(fd);
	unmap_log();
	return rc;
}

int dirty_begin(struct guest *g, bool log)
{
	int fd, rc;

	unmap_log();
	TRY(make_log(g, &fd));
	rc = log ? have_logged(g, fd) : 0;
	close(fd);
	return rc || watch(g) ? -1 : 0;
}

static bool is_logged(u64 page)
{
	return bits[page / 8] >> page % 8 & 1;
}

int dirty_end(struct guest *g, struct dirty_count *count)
{
	unsigned int i;
	size_t p;

	*count = (struct dirty_count) { 0 };
	for (i = 0; i < num_watched; i++) {
		const struct watched *w = &watched[i];
		u64 first = g->fe.region[i].guest_address / PAGE;

		for (p = 0; p < w->bytes / PAGE; p++) {
			count->logged += is_logged(first + p);
			if (__atomic_load_n(&w->ours[p], __ATOMIC_ACQUIRE) ||
			    !memcmp(w->copy + p * PAGE, w->base + p * PAGE, PAGE))
				continue;
			count->written++;
			count->missing += !is_logged(first + p);
		}
	}
	g->fe.logs_rings = false;
	unmap_log();
	return protect(g, PROT_READ | PROT_WRITE);
}

/* --- the suite "log": see crash.c --- */

int dirty_stop_logging(struct guest *g)
{
	struct fe_message m = { .header = { FE_SET_FEATURES, 0, sizeof(u64) } };

	m.payload.value = g->fe.features;
	TRY_FE(g, fe_tell(&g->fe, &m, NULL, 0));
	return 0;
}

/* The guest at work, its daemon logs, and the process that serves may die meanwhile. */
static int log_once(struct killer *k, u64 *random, struct dirty_count *sum)
{
	struct dirty_count count;
	int worker;

	TRY(dirty_begin(k->g, true));
	killer_let_live(k, random);
	worker = census_worker(k->monitor);
	if (worker && killer_random(random) % 2)
		kill(worker, SIGKILL);
	killer_let_live(k, random);
	TRY(guest_stop(k->g));
	TRY(dirty_end(k->g, &count));
	sum->logged += count.logged;
	sum->written += count.written;
	sum->missing += count.missing;
	TRY(dirty_stop_logging(k->g));
	TRY(guest_resume(k->g));
	EXPECT(k->g, !count.missing, "%llu of %llu pages that the daemon wrote aren't in the log",
	       count.missing, count.written);
	return 0;
}

void *dirty_log_rounds(void *arg)
{
	struct killer *k = arg;
	struct dirty_count sum = { 0 };
	u64 random = 0x9e3779b97f4a7c15ull ^ k->wanted;

	while (!killer_stops(k) && k->kills < k->wanted) {
		k->lost = log_once(k, &random, &sum) != 0;
		if (k->lost)
			printf("# %s\n", k->g->error);
		__atomic_fetch_add(&k->kills, k->lost ? k->wanted : 1, __ATOMIC_RELAXED);
	}
	printf("# %llu pages written by the daemon alone, %llu of them not logged; %llu logged\n",
	       sum.written, sum.missing, sum.logged);
	if (!k->lost && !sum.written) {
		guest_fail(k->g, "the daemon wrote nothing");
		k->lost = true;
	}
	return NULL;
}

int dirty_case_unlogged(struct guest *g, const char *socket)
{
	const struct guest_options o = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 2 },
		.pairs = 1, .slots = 512, .extra_bytes = MIB,
	};
	struct dirty_count count;
	u64 slot;

	TRY(guest_connect(g, socket, &o));
	for (slot = 0; slot < 64; slot++)
		TRY(guest_check_pair(g, 0, slot));
	TRY(dirty_begin(g, false));
	TRY(suite_load_all(g, 64));
	TRY(guest_stop(g));
	TRY(dirty_end(g, &count));
	EXPECT(g, count.written && count.missing == count.written,
	       "%llu written, %llu missing", count.written, count.missing);
	return 0;
}
