// SPDX-License-Identifier: GPL-2.0-only
/*
 * balancer_sim.c - simulated hosts under the balancer's policy, and under others' control laws.
 *
 * Theory of operation: guests are full from the beginning, hold what they haven't released, and
 * have working sets that change by a scenario, or by a recorded trace. What a guest lacks of its
 * working set comes back from its store page by page, and its tasks wait for it. A host without
 * memory kills the guest that holds most. Both policies are as they are: host/cswap-balancer/policy.c
 * decides what a guest is asked for, guest/cswap_policy.c what it gives of that. The answers to a
 * guest without progress are all configured: slowed and frozen it does less or nothing, held it's
 * killed by its own memory.max when it takes more. Who does as it's told must not be hit by any, nor
 * who keeps no more than its share.
 *
 * The others are written anew from their published rules, as far as such a host has what they
 * need. (That a law kills guests here says that it leaves the host's limit to others.) They decide at
 * their own pace:
 *	mom	oVirt's MOM, doc/balloon.rules: below 20 % of free host memory each guest is left
 *		what it uses and a free part that shrinks with the host's; 5 % a step at most
 *	proxmox	Proxmox VE's AutoBalloon: 80 % of the host shall be in use; what is missing or too
 *		much is shared out by weight, 100 MiB for a guest in a round
 *	senpai	Meta's senpai: each guest alone is shrunk as long as it waits less than 10 ms in 6 s
 *	none	nobody does anything
 */
#include <getopt.h>
#include <linux/virtio_cswap.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cswap_policy.h"
#include "policy.h"

#define MIB		(1ULL << 20)
#define GIB		(1ULL << 30)
#define PAGE		4096.0
#define SIZE		(4 * GIB)
#define ACCESSES	200000.0	/* pages of its working set that a guest uses in a second */
#define LOAD_SECONDS	60e-6
#define MAX_LOADS	12000.0		/* a second */
#define LATE_SECONDS	10
#define ANSWERS		4u

struct guest {
	double ws, kept, said;		/* bytes; what it says it has left */
	double loads, stall;		/* of this second */
	double sum_loads, sum_stall, sum_moved;
	double seen_stall;		/* of the law's interval */
	double want;			/* what the law leaves to it */
	int way, turns;
	double high, low;		/* since the last turn */
	bool liar, thief;
	/* the answer that is in force, and what it makes of the guest */
	unsigned int answer;
	double pace, max;
	struct cswap_policy own;
	struct cswap_policy_verdict bears;
};

struct world {
	unsigned int count, second;
	double limit, reserve, available;
	struct guest *guest;
	/* recorded working sets: a line a second, a column a guest, MiB */
	double *recorded;
	unsigned int recorded_seconds, recorded_guests;
	/* outcome */
	unsigned int kills, short_seconds, longest_short, short_now;
	unsigned int wronged;		/* killed or answered for another's fault */
	/* the policy's */
	struct policy policy;
	struct policy_guest_sample *sample, *late;
};

/* --- scenarios: the working set of guest @i at second @t --- */

static double grow(const struct world *w, unsigned int i, double t)
{
	double end = i % 4 ? 0.35 : 0.95;

	(void)w;
	return SIZE * (0.3 + (end - 0.3) * fmin(t / 600, 1));
}

static double shift(const struct world *w, unsigned int i, double t)
{
	unsigned int turn = (unsigned int)(t / 300);

	(void)w;
	return SIZE * (i % 3 == turn % 3 ? 0.95 : 0.35);
}

static double spike(const struct world *w, unsigned int i, double t)
{
	double at = fmod(t + 97.0 * i, 400);

	(void)w;
	return SIZE * (at < 40 ? 0.9 : 0.45);
}

static double tight(const struct world *w, unsigned int i, double t)
{
	(void)w;
	(void)i;
	(void)t;
	return SIZE * 0.8;
}

static double recorded(const struct world *w, unsigned int i, double t)
{
	unsigned int line = (unsigned int)t % w->recorded_seconds;

	return w->recorded[line * w->recorded_guests + i % w->recorded_guests] * MIB;
}

struct scenario {
	const char *name, *what;
	double (*ws)(const struct world *w, unsigned int i, double t);
	unsigned int liars, thieves;	/* one of so many */
	bool late, brakes;
};

static const struct scenario scenarios[] = {
	{ "grow", "a quarter of the guests grow", grow, 0, 0, false, false },
	{ "shift", "the load goes from third to third", shift, 0, 0, false, false },
	{ "spike", "each has forty bad seconds now and then", spike, 0, 0, false, false },
	{ "tight", "all need more than there is", tight, 0, 0, false, false },
	{ "liars", "shift, and some release nothing and say that they did", shift, 6, 0, false, false },
	{ "thieves", "shift, and each second guest takes all and says it needs it", shift, 0, 2, false, false },
	{ "late", "shift, and reports are ten seconds late", shift, 0, 0, true, false },
	{ "brakes", "shift, and guests take memory back when they wait for it", shift, 0, 0, false, true },
	{ "recorded", "working sets of --trace", recorded, 0, 0, false, false },
};

/* --- the laws: guest[].want, from what a host can know --- */

static double clamp(double value, double low, double high)
{
	return fmax(low, fmin(value, high));
}

static double idle_of(const struct guest *guest)
{
	return fmax(guest->said - guest->ws, 0);
}

static void law_none(struct world *w)
{
	(void)w;
}

static void law_mom(struct world *w)
{
	double free_part = w->available / w->limit, goal;
	unsigned int i;

	if (w->second % 10)
		return;
	for (i = 0; i < w->count; i++) {
		struct guest *guest = &w->guest[i];
		double next;

		if (free_part >= 0.2) {
			next = guest->want * 1.05;
		} else {
			goal = free_part <= 0.05 ? -0.05 : 0.2 * (free_part / 0.2);
			next = fmax(guest->said - idle_of(guest) + goal * guest->said, guest->want * 0.95);
			next = fmin(next, guest->want);
		}
		next = clamp(next, SIZE / 4, SIZE);
		if (fabs(next - guest->want) >= guest->want * 0.0025)
			guest->want = next;
	}
}

static void law_proxmox(struct world *w)
{
	double goal = 0.8 * w->limit - (w->limit - w->available);
	unsigned int i, pass;

	if (w->second % 10 || fabs(goal) < 10 * MIB)
		return;
	/* Who needs it grows first; who has some free shrinks first. */
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < w->count && fabs(goal) > MIB; i++) {
			struct guest *guest = &w->guest[i];
			bool first = goal > 0 ? idle_of(guest) < SIZE / 16 : idle_of(guest) > SIZE / 16;
			double by = clamp(goal, -100.0 * MIB, 100.0 * MIB), next;

			if (first == (pass > 0))
				continue;
			next = clamp(guest->want + by, SIZE / 4, SIZE);
			goal -= next - guest->want;
			guest->want = next;
		}
	}
}

static void law_senpai(struct world *w)
{
	unsigned int i;

	if (w->second % 6)
		return;
	for (i = 0; i < w->count; i++) {
		struct guest *guest = &w->guest[i];
		double pain = fmax(guest->seen_stall, 1e-6) / 0.010;

		if (pain > 1)
			guest->want *= 1 + fmin(pow(pain / 20, 2), 1);
		else
			guest->want *= 1 - 0.01 * fmin(pow(1 / pain / 10, 2), 1);
		guest->want = clamp(guest->want, SIZE / 4, SIZE);
		guest->seen_stall = 0;
	}
}

static bool is_innocent(const struct guest *guest)
{
	return !guest->liar && !guest->thief;
}

/* As host/cswap-balancer/answers.c does it, with all four of them configured. */
static void give_answer(struct world *w, struct guest *guest, const struct policy_guest *verdict)
{
	static const double paces[ANSWERS + 1] = { 1, 1, 0.1, 0, 1 };

	if (guest->answer == verdict->answer)
		return;
	guest->answer = verdict->answer;
	guest->pace = paces[guest->answer];
	guest->max = guest->answer < ANSWERS ? INFINITY :
		     (double)(verdict->allot + (verdict->lies ? 0 : verdict->over));
	/* Brakes are no reason to keep more than a share when the reserve is short. */
	w->wronged += guest->answer && is_innocent(guest) &&
		      guest->kept <= (double)(verdict->fair + verdict->fair / 8);
}

static void law_cswap(struct world *w)
{
	struct policy_host_sample host = {
		.limit = (uint64_t)w->limit, .available = (uint64_t)fmax(w->available, 0),
	};
	unsigned int i;

	policy_step(&w->policy, &host, w->sample, 1000 * (w->second + 1));
	for (i = 0; i < w->count; i++) {
		w->guest[i].want = (double)(SIZE - w->policy.guest[i].target);
		give_answer(w, &w->guest[i], &w->policy.guest[i]);
	}
}

static const struct law {
	const char *name;
	void (*decide)(struct world *w);
} laws[] = {
	{ "cswap", law_cswap }, { "mom", law_mom }, { "proxmox", law_proxmox },
	{ "senpai", law_senpai }, { "none", law_none },
};

/* --- a second of the world --- */

/* What it will keep: what the law leaves to it, unless its driver's own policy says more. */
static double bear(const struct world *w, struct guest *guest, bool brakes)
{
	/* The driver's defaults. */
	const struct cswap_policy_limits limits = {
		.enabled = true, .floor_percent = 25, .brake_percent = brakes ? 30 : 0,
	};
	const struct cswap_policy_sample sample = {
		.now_ms = 1000ULL * w->second,
		.size = (u64)(SIZE / PAGE),
		.out = (u64)((SIZE - guest->kept) / PAGE),
		.target = (u64)((SIZE - guest->want) / PAGE),
		.swap_in_ns = (u64)(guest->sum_stall * 1e9),
	};

	guest->bears = cswap_policy_step(&guest->own, &limits, &sample);
	return SIZE - (double)guest->bears.goal * PAGE;
}

/* It begins anew, small. */
static void die(struct world *w, struct guest *guest)
{
	guest->kept = SIZE / 4.0;
	cswap_policy_init(&guest->own);
	w->kills++;
}

/* Release or take back. */
static void move(struct guest *guest, double goal)
{
	if (guest->liar)
		return;
	if (guest->thief)
		goal = SIZE;
	if (guest->kept > goal)
		guest->kept = fmax(goal, guest->kept - guest->pace * SIZE / 16);
	else
		guest->kept = fmin(goal, guest->kept + guest->pace * SIZE / (guest->thief ? 64 : 4));
}

static void live(struct world *w, unsigned int i, const struct scenario *scenario)
{
	struct guest *guest = &w->guest[i];
	double missing, before = guest->kept;

	guest->ws = fmin(scenario->ws(w, i, w->second), SIZE);
	move(guest, bear(w, guest, scenario->brakes));
	if (guest->kept > guest->max)
		die(w, guest);
	guest->said = guest->liar ? guest->want : guest->kept;
	missing = fmax(guest->ws - guest->kept, 0);
	guest->loads = guest->pace * fmin(ACCESSES * missing / fmax(guest->ws, 1), MAX_LOADS);
	guest->stall = fmin(guest->loads * LOAD_SECONDS, 1);
	guest->seen_stall += guest->stall;
	guest->sum_loads += guest->loads;
	guest->sum_stall += guest->stall;
	guest->sum_moved += fabs(guest->kept - before);
}

static void report(struct world *w, unsigned int i, bool late)
{
	struct policy_guest_sample *s = &w->sample[i], now = w->late[i];
	const struct guest *guest = &w->guest[i];

	now.loaded_pages += (uint64_t)guest->loads;
	now.swap_in_ns += (uint64_t)(guest->stall * 1e9);
	now.report_number++;
	now.available = (uint64_t)(idle_of(guest) / 2);
	now.stopped = guest->liar ? VIRTIO_CSWAP_STOP_NONE :
		      guest->thief ? VIRTIO_CSWAP_STOP_PRESSURE : guest->bears.why;
	w->late[i] = now;
	/* What the host measures is never late. */
	s->used = (uint64_t)guest->kept;
	s->released = (uint64_t)(SIZE - guest->said);
	s->loaded_pages = now.loaded_pages;
	if ((late && w->second % LATE_SECONDS) || !guest->pace)
		return;
	s->swap_in_ns = now.swap_in_ns;
	s->report_number = now.report_number;
	s->available = now.available;
	s->stopped = now.stopped;
}

static void note_turn(struct guest *guest)
{
	double by = SIZE / 16.0;

	guest->high = fmax(guest->high, guest->want);
	guest->low = fmin(guest->low, guest->want);
	if (guest->way != 1 && guest->want >= guest->low + by) {
		guest->turns += guest->way == -1;
		guest->way = 1;
		guest->high = guest->want;
	} else if (guest->way != -1 && guest->want <= guest->high - by) {
		guest->turns += guest->way == 1;
		guest->way = -1;
		guest->low = guest->want;
	}
}

static void kill_largest(struct world *w)
{
	unsigned int i, largest = 0;

	for (i = 1; i < w->count; i++)
		if (w->guest[i].kept > w->guest[largest].kept)
			largest = i;
	w->available += w->guest[largest].kept - SIZE / 4.0;
	w->wronged += is_innocent(&w->guest[largest]);
	die(w, &w->guest[largest]);
}

static void second(struct world *w, const struct scenario *scenario, const struct law *law)
{
	double used = 0;
	unsigned int i;

	for (i = 0; i < w->count; i++) {
		live(w, i, scenario);
		used += w->guest[i].kept;
	}
	w->available = w->limit - used;
	while (w->available < 0)
		kill_largest(w);
	for (i = 0; i < w->count; i++)
		report(w, i, scenario->late);
	w->short_now = w->available < w->reserve * 0.9 ? w->short_now + 1 : 0;
	w->short_seconds += w->short_now > 0;
	if (w->short_now > w->longest_short)
		w->longest_short = w->short_now;
	law->decide(w);
	for (i = 0; i < w->count; i++)
		note_turn(&w->guest[i]);
	w->second++;
}

static void begin(struct world *w, const struct scenario *scenario)
{
	unsigned int i;

	w->limit = (double)w->count * SIZE * 2 / 3;
	w->reserve = w->limit / 10;
	w->policy = (struct policy) {
		.conf = policy_defaults, .count = w->count,
		.guest = calloc(w->count, sizeof(struct policy_guest)),
		.bid = calloc(w->count, sizeof(struct policy_bid)),
	};
	w->policy.conf.reserve_bytes = (uint64_t)w->reserve;
	w->policy.conf.band_bytes = (uint64_t)(w->limit / 200);
	w->policy.conf.answers = ANSWERS;
	w->guest = calloc(w->count, sizeof(*w->guest));
	w->sample = calloc(w->count, sizeof(*w->sample));
	w->late = calloc(w->count, sizeof(*w->late));
	for (i = 0; i < w->count; i++) {
		/* They fit when it begins: each has its part, and the rest was never given. */
		w->guest[i].kept = w->guest[i].want = SIZE * 0.58;
		w->guest[i].high = w->guest[i].low = w->guest[i].want;
		cswap_policy_init(&w->guest[i].own);
		w->guest[i].pace = 1;
		w->guest[i].max = INFINITY;
		w->guest[i].liar = scenario->liars && i % scenario->liars == scenario->liars - 1;
		w->guest[i].thief = scenario->thieves && i % scenario->thieves == scenario->thieves - 1;
		w->sample[i] = (struct policy_guest_sample) {
			.ready = true, .size = SIZE, .floor = SIZE / 4, .shares = 100, .has_used = true,
			.has_report = true, .asked = (uint64_t)(SIZE - w->guest[i].want),
		};
	}
}

static void end(struct world *w)
{
	free(w->policy.guest);
	free(w->policy.bid);
	free(w->guest);
	free(w->sample);
	free(w->late);
}

/* --- what came of it --- */

static void print_row(const struct world *w, const struct law *law)
{
	double stall = 0, worst = 0, loads = 0, moved = 0, sum = 0, squares = 0;
	unsigned int i, turns = 0, honest = 0;

	for (i = 0; i < w->count; i++) {
		const struct guest *guest = &w->guest[i];
		double progress = 1 - guest->sum_stall / w->second;

		moved += guest->sum_moved;
		turns += (unsigned int)guest->turns;
		if (!is_innocent(guest))
			continue;
		honest++;
		stall += guest->sum_stall;
		loads += guest->sum_loads;
		worst = fmax(worst, guest->sum_stall);
		sum += progress;
		squares += progress * progress;
	}
	printf("  %-8s %5u %8u %8u %8.2f %8.2f %9.1f %9.1f %7.2f %8.3f\n", law->name, w->kills,
	       w->short_seconds, w->longest_short, 100 * stall / honest / w->second,
	       100 * worst / w->second, loads * PAGE / GIB / honest, moved / GIB / w->count,
	       (double)turns / w->count, sum * sum / honest / squares);
}

/* --- plots --- */

#define PLOT_WIDTH 720
#define PLOT_HEIGHT 150

struct plot {
	FILE *file;
	unsigned int rows, seconds;
	double *point;			/* of the row that is being drawn */
};

static void plot_begin(struct plot *plot, const char *path, unsigned int rows, unsigned int seconds)
{
	plot->file = path ? fopen(path, "we") : NULL;
	plot->seconds = seconds;
	plot->rows = 0;
	if (plot->file)
		fprintf(plot->file, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
			"font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
			PLOT_WIDTH + 20, rows * (PLOT_HEIGHT + 30) + 10);
}

/* One line: @value(t) of @most, over time. */
static void plot_line(struct plot *plot, const char *colour, const double *points, double most)
{
	unsigned int t, step = plot->seconds / PLOT_WIDTH + 1;

	fprintf(plot->file, "<polyline fill=\"none\" stroke=\"%s\" points=\"", colour);
	for (t = 0; t < plot->seconds; t += step)
		fprintf(plot->file, "%.1f,%.1f ", 10 + (double)t * PLOT_WIDTH / plot->seconds,
			PLOT_HEIGHT * (1 - clamp(points[t] / most, 0, 1)));
	fprintf(plot->file, "\"/>\n");
}

/* --- runs --- */

#define PLOTTED 4u

/*
 * No guest is killed or answered for another's fault; and the host isn't short of its reserve for
 * longer than a minute, or where guests don't cooperate, than it takes to see it and to give all
 * answers, and two patiences more.
 */
static bool is_good(const struct world *w, const struct scenario *scenario)
{
	unsigned int patience = w->policy.conf.patience_ms / 1000;

	if (w->wronged || (w->kills && !scenario->thieves))
		return false;
	return w->longest_short <= (scenario->thieves ? (ANSWERS + 3) * patience : 60);
}

/* False: the policy is ours, and what came of it isn't good. */
static bool run(struct world *w, const struct scenario *scenario, const struct law *law,
		unsigned int seconds, struct plot *plot)
{
	static const char *const colours[PLOTTED] = { "#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2" };
	unsigned int shown = w->count < PLOTTED ? w->count : PLOTTED, i;
	bool good;
	double *points = calloc((size_t)seconds * (PLOTTED + 1), sizeof(*points));

	begin(w, scenario);
	while (w->second < seconds) {
		unsigned int t = w->second;

		second(w, scenario, law);
		for (i = 0; i < shown; i++)
			points[i * seconds + t] = w->guest[i].kept;
		points[PLOTTED * seconds + t] = w->available;
	}
	print_row(w, law);
	if (plot->file) {
		fprintf(plot->file, "<g transform=\"translate(0,%u)\"><text x=\"10\" y=\"12\">%s, %s: what guests "
			"hold; free on the host (black)</text><g transform=\"translate(0,18)\">\n",
			plot->rows++ * (PLOT_HEIGHT + 30) + 10, scenario->name, law->name);
		for (i = 0; i < shown; i++)
			plot_line(plot, colours[i], points + i * seconds, SIZE);
		plot_line(plot, "black", points + PLOTTED * seconds, w->limit / 2);
		fprintf(plot->file, "</g></g>\n");
	}
	good = law != laws || is_good(w, scenario);
	free(points);
	end(w);
	return good;
}

static bool read_trace(struct world *w, const char *path)
{
	FILE *file = fopen(path, "re");
	size_t room = 0, n = 0;
	char line[4096];

	while (file && fgets(line, sizeof(line), file)) {
		char *at = line, *next;
		unsigned int columns = 0;

		for (;; at = next + (*next == ',')) {
			double value = strtod(at, &next);

			if (next == at)
				break;
			if (n == room) {
				room = room ? 2 * room : 1024;
				w->recorded = realloc(w->recorded, room * sizeof(*w->recorded));
			}
			w->recorded[n++] = value;
			columns++;
		}
		if (columns && (!w->recorded_guests || columns == w->recorded_guests)) {
			w->recorded_guests = columns;
			w->recorded_seconds++;
		}
	}
	if (file)
		fclose(file);
	return n && n == (size_t)w->recorded_guests * w->recorded_seconds;
}

static void bench(void)
{
	static const unsigned int counts[] = { 10, 100, 1000, 10000 };
	struct timespec a, b;
	unsigned int i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct world w = { .count = counts[i] };
		double worst = 0, sum = 0;

		begin(&w, &scenarios[1]);
		while (w.second < 100) {
			double ms;

			second(&w, &scenarios[1], &laws[4]);
			clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
			law_cswap(&w);
			clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
			ms = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
			worst = fmax(worst, ms);
			sum += ms;
		}
		printf("%5u guests: %.3f ms a decision on one CPU, %.3f at most\n", w.count, sum / 100, worst);
		end(&w);
	}
}

static void usage(void)
{
	puts("Usage: balancer-sim [--guests N] [--seconds S] [--svg FILE] [--trace FILE] [--bench]\n"
	     "                    [SCENARIO]...\n\nScenarios:");
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		printf("  %-9s %s\n", scenarios[i].name, scenarios[i].what);
}

static bool is_wanted(const struct scenario *scenario, const struct world *w, char **names)
{
	if (!*names)
		return scenario->ws != recorded || w->recorded_seconds;
	for (; *names; names++)
		if (!strcmp(*names, scenario->name))
			return scenario->ws != recorded || w->recorded_seconds;
	return false;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "guests", 1, NULL, 'g' }, { "seconds", 1, NULL, 's' }, { "svg", 1, NULL, 'p' },
		{ "trace", 1, NULL, 't' }, { "bench", 0, NULL, 'b' },
		{ NULL, 0, NULL, 0 },
	};
	const unsigned int nr_scenarios = sizeof(scenarios) / sizeof(scenarios[0]);
	const unsigned int nr_laws = sizeof(laws) / sizeof(laws[0]);
	struct world proto = { .count = 12 };
	unsigned int seconds = 1800, i, j;
	struct plot plot = { 0 };
	const char *svg = NULL;
	bool good = true;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'g': proto.count = (unsigned int)atoi(optarg); break;
		case 's': seconds = (unsigned int)atoi(optarg); break;
		case 'p': svg = optarg; break;
		case 't':
			if (!read_trace(&proto, optarg)) {
				fprintf(stderr, "balancer-sim: %s is no trace\n", optarg);
				return 2;
			}
			break;
		case 'b': bench(); return 0;
		default: usage(); return 2;
		}
	}
	if (!proto.count || proto.count > POLICY_MAX_GUESTS || !seconds) {
		usage();
		return 2;
	}
	plot_begin(&plot, svg, nr_scenarios * nr_laws, seconds);
	for (i = 0; i < nr_scenarios; i++) {
		if (!is_wanted(&scenarios[i], &proto, argv + optind))
			continue;
		printf("%s: %s (%u guests, 150 %% of the host, %u s)\n", scenarios[i].name,
		       scenarios[i].what, proto.count, seconds);
		printf("  %-8s %5s %8s %8s %8s %8s %9s %9s %7s %8s\n", "law", "kills", "short s",
		       "longest", "stall %", "worst %", "GiB back", "GiB moved", "turns", "fairness");
		for (j = 0; j < nr_laws; j++) {
			struct world w = proto;

			good &= run(&w, &scenarios[i], &laws[j], seconds, &plot);
		}
	}
	if (plot.file) {
		fputs("</svg>\n", plot.file);
		fclose(plot.file);
	}
	free(proto.recorded);
	return good ? 0 : 1;
}
