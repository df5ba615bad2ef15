// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_sim.c - the guest simulator: tests and load for cswapd without a guest.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blk.h"
#include "guest.h"
#include "load.h"
#include "state.h"
#include "suites.h"

struct arguments {
	const char *socket;
	const char *state;
	struct load_options load;
	struct guest_options guest;
	bool blk, json, verify, tolerate, sparse, step;
	u64 start, count;
	unsigned int passes;
};

static const char usage[] =
"Usage: cswap-sim --socket PATH [OPTIONS] COMMAND\n"
"\n"
"A guest with the virtio-cswap driver, as far as a vhost-user daemon can tell.\n"
"\n"
"Commands:\n"
"  functional [TEXT]  the named functional cases, or those with TEXT (TAP)\n"
"  hostile [TEXT]     what a malicious guest may try (TAP)\n"
"  hostile-vmm [TEXT] what a malicious VMM may try (TAP)\n"
"  watchdog [TEXT]    a daemon with --watchdog 1 that hangs (TAP)\n"
"  hostile-end        a VMM in the middle of a message, and the daemon's end (TAP)\n"
"  balloon [TEXT]     memory given to the host and taken back, by good and by\n"
"                     malicious guests (TAP); needs --release punch\n"
"  crash [TEXT]       a guest whose daemon dies again and again (TAP); needs\n"
"                     --release punch\n"
"  restart [TEXT]     a guest whose whole daemon dies, and is started again by whoever\n"
"                     started it (TAP); needs --release punch and a file\n"
"  gone [TEXT]        a guest whose store's files are removed, replaced and cut (TAP); needs\n"
"                     the file \"store\" beside the socket\n"
"  other-store        the same while the whole daemon dies, and is started again by\n"
"                     whoever started it (TAP)\n"
"  hung TEXT          a STORE that hangs at the medium, and what goes on (TAP); needs\n"
"                     cswapd-faulty --fault hang:slots=100-100\n"
"  obey               release what the operator wants, until the daemon ends\n"
"  decline            agree on all but the balloon, until the daemon ends\n"
"  balloon-method M   with --release M instead: convert or off (TAP)\n"
"  balloon-kill       the same, when the daemon is killed in the middle (TAP)\n"
"  balloon-lies FAULT what cswapd-faulty does by --balloon-fault FAULT (TAP)\n"
"  load               stores and loads of random pages; each page is opened and compared;\n"
"                     SIGUSR1 says that their time is up\n"
"  fill               store --pages pages; names each slot that fails\n"
"  verify             load what --state remembers; names each slot that fails\n"
"  discard            discard --count slots from --start\n"
"\n"
"Options:\n"
"  --socket PATH   the daemon's socket\n"
"  --pairs N       queue pairs, one thread each (default: all)\n"
"  --pages N       working set (default 4096)\n"
"  --depth D       operations outstanding for each pair (default 32)\n"
"  --read PERCENT  loads among the operations (default 50)\n"
"  --seconds S     how long (default 2)\n"
"  --ops N         how many operations of each pair, instead of --seconds\n"
"  --verify        compare whole pages, not their stamps; at the end load all\n"
"  --tolerate      failures and forged pages are counted, only wrong data fails\n"
"  --no-seal       send the pages as they are\n"
"  --spin US       look for answers so long before sleeping (default 0)\n"
"  --patience S    how long to wait for an answer, at most (default 20)\n"
"  --regions N     the guest's memory shows as so many regions of one file, and all of\n"
"                  them are used (default 1)\n"
"  --uml           behave as user-mode Linux does, not as QEMU\n"
"  --blk           the backend is a vhost-user-blk device (load only)\n"
"  --state FILE    key and records: be the guest of an earlier run, if it exists,\n"
"                  and leave them to the next\n"
"  --start SLOT --count N\n"
"                  what to discard; with load: beside it, for as long as that takes\n"
"  --passes N      with load: instead of random pages, free half of them and store\n"
"                  these again, N times\n"
"  --scatter       ... these in an order in which no page follows its neighbour\n"
"  --sparse        with load: nothing is stored beforehand; each page is stored once\n"
"  --step          with load: a line on standard input begins each phase\n"
"  --ring N        entries of a ring (default 256)\n"
"  --kills N       of crash and restart, by all cases together (default 200); of gone: deeds\n"
"  --json          one JSON object for each phase\n";

/* --- options --- */

enum option_id {
	O_SOCKET = 256, O_PAIRS, O_PAGES, O_DEPTH, O_READ, O_SECONDS, O_OPS, O_VERIFY,
	O_TOLERATE, O_NO_SEAL, O_SPIN, O_PATIENCE, O_REGIONS, O_UML, O_BLK, O_STATE, O_START, O_COUNT, O_JSON,
	O_KILLS, O_PASSES, O_SCATTER, O_SPARSE, O_STEP, O_RING, O_HELP,
};

static const struct option options[] = {
	{ "socket", required_argument, NULL, O_SOCKET },
	{ "pairs", required_argument, NULL, O_PAIRS },
	{ "pages", required_argument, NULL, O_PAGES },
	{ "depth", required_argument, NULL, O_DEPTH },
	{ "read", required_argument, NULL, O_READ },
	{ "seconds", required_argument, NULL, O_SECONDS },
	{ "ops", required_argument, NULL, O_OPS },
	{ "verify", no_argument, NULL, O_VERIFY },
	{ "tolerate", no_argument, NULL, O_TOLERATE },
	{ "no-seal", no_argument, NULL, O_NO_SEAL },
	{ "spin", required_argument, NULL, O_SPIN },
	{ "patience", required_argument, NULL, O_PATIENCE },
	{ "regions", required_argument, NULL, O_REGIONS },
	{ "uml", no_argument, NULL, O_UML },
	{ "blk", no_argument, NULL, O_BLK },
	{ "state", required_argument, NULL, O_STATE },
	{ "start", required_argument, NULL, O_START },
	{ "count", required_argument, NULL, O_COUNT },
	{ "json", no_argument, NULL, O_JSON },
	{ "kills", required_argument, NULL, O_KILLS },
	{ "passes", required_argument, NULL, O_PASSES },
	{ "scatter", no_argument, NULL, O_SCATTER },
	{ "sparse", no_argument, NULL, O_SPARSE },
	{ "step", no_argument, NULL, O_STEP },
	{ "ring", required_argument, NULL, O_RING },
	{ "help", no_argument, NULL, O_HELP },
	{ }
};

static u64 number(const char *text, u64 min, u64 max)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || value < min || value > max) {
		fprintf(stderr, "cswap-sim: %s: not a number in %llu..%llu\n", text,
			min, max);
		exit(2);
	}
	return value;
}

static unsigned int ring_size(const char *text)
{
	u64 size = number(text, 16, VQ_MAX_SIZE);

	if (size & (size - 1)) {
		fprintf(stderr, "cswap-sim: %s: not a power of two\n", text);
		exit(2);
	}
	return size;
}

static void take_option(struct arguments *a, int option, const char *value)
{
	switch (option) {
	case O_SOCKET: a->socket = value; break;
	case O_PAIRS: a->guest.pairs = number(value, 1, LOAD_MAX_QUEUES); break;
	case O_PAGES: a->load.pages = number(value, 1, UINT32_MAX); break;
	case O_DEPTH: a->load.depth = number(value, 1, LOAD_MAX_DEPTH); break;
	case O_READ: a->load.read_percent = number(value, 0, 100); break;
	case O_SECONDS: a->load.seconds = number(value, 0, 86400); break;
	case O_OPS: a->load.ops = number(value, 1, UINT64_MAX); break;
	case O_VERIFY: a->verify = true; break;
	case O_TOLERATE: a->tolerate = true; break;
	case O_NO_SEAL: a->guest.no_seal = true; break;
	case O_SPIN: a->guest.spin_ns = number(value, 0, 1000000) * 1000; break;
	case O_PATIENCE: a->guest.patience_ms = (int)number(value, 1, 86400) * 1000; break;
	case O_REGIONS:
		a->guest.frontend.regions = number(value, 1, FE_MAX_REGIONS);
		a->guest.frontend.spread = true;
		break;
	case O_UML: a->guest.frontend.style = FE_STYLE_UML; break;
	case O_BLK: a->blk = true; break;
	case O_STATE: a->state = value; break;
	case O_START: a->start = number(value, 0, UINT64_MAX); break;
	case O_COUNT: a->count = number(value, 0, UINT64_MAX); break;
	case O_JSON: a->json = true; break;
	case O_KILLS: crash_kills = number(value, 1, 1000000); break;
	case O_PASSES: a->passes = number(value, 1, 1000000); break;
	case O_SCATTER: a->load.scatter = true; break;
	case O_SPARSE: a->sparse = true; break;
	case O_STEP: a->step = true; break;
	case O_RING: a->guest.ring_size = ring_size(value); break;
	case O_HELP: fputs(usage, stdout); exit(0);
	default: fputs(usage, stderr); exit(2);
	}
}

/* --- load --- */

static int fail(const char *why)
{
	fprintf(stderr, "cswap-sim: %s\n", why);
	return 1;
}

/* Run a phase and report it; 1 if it proved something wrong. */
static int run_phase(struct load *l, const struct arguments *a, enum load_phase phase)
{
	static const char *const names[] = {
		[LOAD_FILL] = "fill", [LOAD_RUN] = "run", [LOAD_REFILL] = "refill",
		[LOAD_VERIFY] = "verify",
	};
	static struct load_report r;
	int rc, c;

	/* Who measures begins to count, or drops caches, before it says so. */
	for (c = 0; a->step && c != '\n' && c != EOF;)
		c = getchar();
	rc = load_run(l, phase, &r);

	(a->json ? load_print_json : load_print)(stdout, names[phase], &r);
	if (rc)
		return fail(l->error);
	if (r.wrong)
		return fail("WRONG DATA was delivered");
	if (!a->tolerate && (r.forged || r.store.failed || r.load.failed))
		return fail("operations failed");
	return 0;
}

static void time_is_up(int signal)
{
	(void)signal;
	load_is_up = 1;
}

/* The next discard of a load: slots that it doesn't use, a part at a time as a driver does. */
#define DISCARD_AT_A_TIME	32768

struct discarder {
	struct guest *g;
	const struct arguments *a;
	pthread_t thread;
	int rc;
};

static void *discard_all(void *arg)
{
	struct discarder *d = arg;
	u64 left = d->a->count, at = d->a->start;
	struct guest_range range;
	u32 status = 0;

	for (; left && !d->rc && !status; left -= range.count, at += range.count) {
		range.start = at;
		range.count = left < DISCARD_AT_A_TIME ? left : DISCARD_AT_A_TIME;
		d->rc = guest_discard(d->g, &range, 1, &status);
	}
	if (status)
		d->rc = guest_fail(d->g, "a discard failed: status %u", status);
	load_is_up = 1;
	return NULL;
}

/* Load for exactly as long as it takes to discard --count slots from --start. */
static int run_beside_discard(struct load *l, const struct arguments *a, struct guest *g)
{
	struct discarder d = { .g = g, .a = a };
	int rc;

	if (pthread_create(&d.thread, NULL, discard_all, &d))
		return fail("can't start a thread");
	rc = run_phase(l, a, LOAD_RUN);
	pthread_join(d.thread, NULL);
	return d.rc ? fail(g->error) : rc;
}

/* Pages that are freed together: what a small process had, or a part of a large one. */
#define FREED_TOGETHER	32

/* The device under load. */
struct device {
	struct guest *guest;		/* or: */
	struct blk *blk;
};

static int discard_ranges(struct device *d, const struct guest_range *ranges, unsigned int count)
{
	u32 status;

	if (d->blk)
		return blk_discard(d->blk, ranges, count) ? fail(d->blk->error) : 0;
	if (guest_discard(d->guest, ranges, count, &status) || status)
		return fail("a discard failed");
	return 0;
}

/* Free every second run of pages: other ones in each pass. */
static int free_half(struct load *l, struct device *d, unsigned int pass)
{
	struct guest_range ranges[VIRTIO_CSWAP_MAX_RANGES];
	u64 at = pass % 2 * FREED_TOGETHER, i;
	unsigned int count = 0;

	while (at < l->options.pages || count) {
		if (at < l->options.pages) {
			ranges[count].start = at;
			ranges[count].count = l->options.pages - at < FREED_TOGETHER ?
					      l->options.pages - at : FREED_TOGETHER;
			for (i = at; i < at + ranges[count].count; i++)
				l->records->counter[i] = 0;
			at += 2 * FREED_TOGETHER;
			if (++count < VIRTIO_CSWAP_MAX_RANGES)
				continue;
		}
		if (discard_ranges(d, ranges, count))
			return 1;
		count = 0;
	}
	return 0;
}

/* As guests live: what was stored is freed, and something else is stored there. */
static int run_passes(struct load *l, const struct arguments *a, struct device *d)
{
	unsigned int pass;
	int rc = 0;

	for (pass = 0; pass < a->passes && !rc; pass++) {
		rc = free_half(l, d, pass);
		if (!rc)
			rc = run_phase(l, a, LOAD_REFILL);
	}
	return rc;
}

static int run_load(struct load *l, const struct arguments *a, struct device *d)
{
	const struct sigaction action = { .sa_handler = time_is_up, .sa_flags = SA_RESTART };
	int rc;

	sigaction(SIGUSR1, &action, NULL);
	rc = run_phase(l, a, a->sparse ? LOAD_REFILL : LOAD_FILL);
	if (!rc && !a->sparse)
		rc = a->passes ? run_passes(l, a, d) :
		     d->guest && a->count ? run_beside_discard(l, a, d->guest) :
					    run_phase(l, a, LOAD_RUN);
	if (!rc && a->verify)
		rc = run_phase(l, a, LOAD_VERIFY);
	return rc;
}

static int check_pages(const struct load_options *o, const struct io_records *records)
{
	if (o->pages <= records->slots)
		return 0;
	fprintf(stderr, "cswap-sim: the device has %llu pages, not %llu\n",
		records->slots, o->pages);
	return 1;
}

static int load_blk(const struct arguments *a)
{
	struct blk blk;
	struct load l;
	unsigned int i;
	int rc;

	if (blk_connect(&blk, a->socket, &a->guest))
		return fail(blk.error);
	rc = check_pages(&a->load, &blk.records);
	if (!rc && load_init(&l, &a->load, &blk.records))
		rc = fail(l.error);
	if (!rc) {
		l.queues = blk.queues;
		for (i = 0; i < blk.queues; i++)
			l.queue[i] = &blk.queue[i].io;
		rc = run_load(&l, a, &(struct device){ .blk = &blk });
		load_free(&l);
	}
	blk_disconnect(&blk);
	return rc;
}

/* An answer that names nothing outstanding is a fault of a correct device. */
static int check_answers(const struct guest *g, const struct arguments *a)
{
	u64 ignored = 0, malformed = 0, early = 0;
	unsigned int i;

	for (i = 0; i < g->pairs; i++) {
		ignored += g->pair[i].ignored;
		malformed += g->pair[i].malformed;
		early += g->pair[i].early;
	}
	if (a->json)
		printf("{\"phase\":\"answers\",\"ignored\":%llu,\"malformed\":%llu,\"early\":%llu}\n",
		       ignored, malformed, early);
	if (!a->tolerate && (ignored || malformed || early)) {
		fprintf(stderr, "cswap-sim: answers: %llu ignored, %llu malformed, %llu early\n",
			ignored, malformed, early);
		return 1;
	}
	return 0;
}

static void print_failures(const struct load *l)
{
	static const char *const names[] = {
		[IO_FORGED] = "forged", [IO_IOERR] = "ioerr", [IO_NOSPC] = "nospc",
		[IO_INVALID] = "invalid", [IO_UNSUPP] = "unsupp",
	};
	u64 i;

	for (i = 0; i < l->options.pages; i++)
		if (l->result[i] != IO_OK)
			printf("slot %llu %s\n", i, names[l->result[i]]);
}

static int run_command(struct load *l, const struct arguments *a, const char *command,
		       struct guest *g)
{
	int rc;

	if (!strcmp(command, "load"))
		return run_load(l, a, &(struct device){ .guest = g });
	rc = run_phase(l, a, !strcmp(command, "fill") ? LOAD_FILL : LOAD_VERIFY);
	print_failures(l);
	return rc;
}

static int with_load(struct guest *g, const struct arguments *a, const char *command)
{
	struct load l;
	unsigned int i;
	int rc;

	if (check_pages(&a->load, &g->records))
		return 1;
	if (load_init(&l, &a->load, &g->records))
		return fail(l.error);
	l.queues = g->pairs;
	for (i = 0; i < g->pairs; i++)
		l.queue[i] = &g->pair[i].io;
	rc = run_command(&l, a, command, g);
	load_forget_unanswered(&l);
	if (a->state && strcmp(command, "verify") && state_save(g, a->state))
		rc = fail(g->error);
	load_free(&l);
	return rc ? rc : check_answers(g, a);
}

static int discard(struct guest *g, const struct arguments *a)
{
	const struct guest_range range = { a->start, a->count };
	u32 status;

	if (guest_discard(g, &range, 1, &status))
		return fail(g->error);
	if (status)
		return fail("the device refused");
	return a->state && state_save(g, a->state) ? fail(g->error) : 0;
}

static int with_guest(struct arguments *a, const char *command)
{
	struct guest g;
	int rc;

	if (!strcmp(command, "verify") && !a->state)
		return fail("verify needs --state");
	a->guest.slots = a->load.pages;
	rc = guest_connect(&g, a->socket, &a->guest);
	if (!rc && a->state && (!strcmp(command, "verify") || !access(a->state, F_OK)))
		rc = state_load(&g, a->state);
	if (rc)
		rc = fail(g.error);
	else if (!strcmp(command, "discard"))
		rc = discard(&g, a);
	else
		rc = with_load(&g, a, command);
	guest_disconnect(&g);
	return rc;
}

static const struct {
	const char *name;
	int (*run)(const char *socket, const char *filter);
} suites[] = {
	{ "functional", run_functional },
	{ "hostile", run_hostile },
	{ "hostile-vmm", run_hostile_vmm },
	{ "hostile-end", run_hostile_end },
	{ "watchdog", run_watchdog },
	{ "hung", run_hung },
	{ "balloon", run_balloon },
	{ "balloon-method", run_balloon_method },
	{ "balloon-kill", run_balloon_kill },
	{ "balloon-lies", run_balloon_lies },
	{ "obey", run_obey },
	{ "decline", run_decline },
	{ "crash", run_crash },
	{ "restart", run_restart },
	{ "log", run_log },
	{ "move", run_move },
	{ "handover", run_handover },
	{ "handover-lock", run_handover_lock },
	{ "gone", run_gone },
	{ "other-store", run_other_store },
};

int main(int argc, char **argv)
{
	static const char *const commands[] = { "load", "fill", "verify", "discard" };
	struct arguments a = {
		.load = { .pages = 4096, .depth = 32, .read_percent = 50, .seconds = 2 },
		.guest = { .frontend = { .style = FE_STYLE_QEMU, .regions = 1 } },
	};
	unsigned int i;
	int option;

	/* Who reads a pipe waits for lines. */
	setlinebuf(stdout);
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
		take_option(&a, option, optarg);
	if (!a.socket || optind >= argc) {
		fputs(usage, stderr);
		return 2;
	}
	a.load.stamp_only = !a.verify;
	for (i = 0; i < ARRAY_SIZE(suites); i++)
		if (!strcmp(argv[optind], suites[i].name))
			return suites[i].run(a.socket, argv[optind + 1]);
	if (a.blk && !strcmp(argv[optind], "load"))
		return load_blk(&a);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[optind], commands[i]))
			return with_guest(&a, commands[i]);
	fputs(usage, stderr);
	return 2;
}
