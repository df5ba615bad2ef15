// SPDX-License-Identifier: GPL-2.0-only
/*
 * top.c - all guests of this host, live.
 *
 * Each round asks all daemons anew, so that guests may come and go. From round to
 * round the program remembers of each guest, by its name, the counters, for
 * the rates, and what the guest had, for the history.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "balancer.h"
#include "common/clock.h"
#include "connection.h"
#include "instances.h"
#include "screen.h"
#include "top.h"

#define INTERVAL_MS 1000
/* Keys wait as long as a daemon does. */
#define PATIENCE_MS 250
#define HISTORY 60
#define BARS 14
#define NAME_COLUMNS 12
#define WIDTH 80			/* what all of it takes, with names of that size */

struct past {
	char *name;
	bool seen;
	uint64_t asked_ms;		/* 0: never yet */
	uint64_t stored, loaded;	/* pages, at that time */
	double out, in;			/* pages a second */
	uint64_t kept[HISTORY];		/* the newest comes last; or UNKNOWN */
};

struct line {
	const struct instance *instance;
	const struct past *past;
};

struct top {
	struct screen screen;
	struct instances instances;
	struct json_object *balancer;	/* what it says of them, or NULL */
	struct past *pasts;
	size_t pasts_count;
	struct line *lines;
	char order;			/* the key that chose it */
	size_t first;			/* line that is shown */
	unsigned int name_columns;
};

/* --- what was --- */

static struct past *find_past(struct top *top, const char *name)
{
	struct past *pasts;
	size_t i;

	for (i = 0; i < top->pasts_count; i++)
		if (!strcmp(top->pasts[i].name, name))
			return &top->pasts[i];
	pasts = reallocarray(top->pasts, i + 1, sizeof(*pasts));
	if (!pasts)
		return NULL;
	top->pasts = pasts;
	memset(&pasts[i], 0, sizeof(*pasts));
	memset(pasts[i].kept, 0xff, sizeof(pasts[i].kept));
	pasts[i].name = strdup(name);
	if (!pasts[i].name)
		return NULL;
	top->pasts_count++;
	return &pasts[i];
}

static double rate(uint64_t now, uint64_t then, uint64_t ms)
{
	/* A daemon that began anew counts from 0. */
	return ms && now >= then ? (double)(now - then) * 1000 / (double)ms : 0;
}

static void note(struct past *past, const struct instance *instance)
{
	const struct status *status = &instance->status;
	uint64_t now = clock_now_ms(), kept = instances_kept(status);

	past->seen = true;
	memmove(past->kept, past->kept + 1, sizeof(past->kept) - sizeof(past->kept[0]));
	past->kept[HISTORY - 1] = kept;
	past->out = past->in = 0;
	if (!instance->answer)
		return;
	if (past->asked_ms) {
		past->out = rate(status->stored_pages, past->stored, now - past->asked_ms);
		past->in = rate(status->loaded_pages, past->loaded, now - past->asked_ms);
	}
	past->asked_ms = now;
	past->stored = status->stored_pages;
	past->loaded = status->loaded_pages;
}

static void forget_unseen(struct top *top)
{
	size_t i, kept = 0;

	for (i = 0; i < top->pasts_count; i++) {
		if (top->pasts[i].seen)
			top->pasts[kept++] = top->pasts[i];
		else
			free(top->pasts[i].name);
	}
	top->pasts_count = kept;
}

/* --- order --- */

static const char *order_name(char order)
{
	static const struct {
		char key;
		const char *name;
	} orders[] = {
		{ 'm', "memory" }, { 'k', "kept" }, { 'r', "released" },
		{ 'o', "out" }, { 'i', "in" }, { 'n', "name" },
	};
	size_t i;

	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (orders[i].key == order)
			return orders[i].name;
	return "used";
}

static double key_of(const struct line *line, char order)
{
	const struct status *status = &line->instance->status;
	uint64_t value;

	switch (order) {
	case 'm':
		value = status->memory;
		break;
	case 'k':
		value = instances_kept(status);
		break;
	case 'r':
		value = status->released;
		break;
	case 'o':
		return line->past->out;
	case 'i':
		return line->past->in;
	default:
		value = instances_used(status);
	}
	return value == STATUS_UNKNOWN ? -1 : (double)value;
}

static int compare_lines(const void *one, const void *other, void *order)
{
	const struct line *a = one, *b = other;
	char by = *(const char *)order;
	double difference = by == 'n' ? 0 : key_of(b, by) - key_of(a, by);

	if (difference != 0)
		return difference > 0 ? 1 : -1;
	return strcmp(a->instance->name, b->instance->name);
}

/* False: no memory. */
static bool look(struct top *top, const struct options *options)
{
	struct past *past;
	size_t i;

	instances_free(&top->instances);
	if (!instances_ask(&top->instances, options->directory, PATIENCE_MS))
		return false;
	json_object_put(top->balancer);
	top->balancer = balancer_list(options, PATIENCE_MS);
	for (i = 0; i < top->pasts_count; i++)
		top->pasts[i].seen = false;
	for (i = 0; i < top->instances.count; i++) {
		past = find_past(top, top->instances.list[i].name);
		if (!past)
			return false;
		note(past, &top->instances.list[i]);
	}
	forget_unseen(top);
	free(top->lines);
	top->lines = calloc(top->instances.count + 1, sizeof(*top->lines));
	if (!top->lines)
		return false;
	for (i = 0; i < top->instances.count; i++) {
		top->lines[i].instance = &top->instances.list[i];
		top->lines[i].past = find_past(top, top->instances.list[i].name);
	}
	return true;
}

/* --- the picture --- */

static uint64_t known(uint64_t bytes)
{
	return bytes == STATUS_UNKNOWN ? 0 : bytes;
}

static void draw_head(struct top *top)
{
	uint64_t memory = 0, released = 0, used = 0;
	const struct status *status;
	char line[1024], clock[16];
	time_t now = time(NULL);
	double out = 0, in = 0;
	struct tm local;
	size_t i;

	for (i = 0; i < top->instances.count; i++) {
		status = &top->instances.list[i].status;
		memory += known(status->memory);
		released += known(status->released);
		used += known(instances_used(status));
		out += top->lines[i].past->out;
		in += top->lines[i].past->in;
	}
	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &local));
	snprintf(line, sizeof(line), "cswap %s  %zu guest%s, %s of memory, %s released, %s used",
		 clock, top->instances.count, top->instances.count == 1 ? "" : "s",
		 instances_size(memory), instances_size(released), instances_size(used));
	screen_line(&top->screen, false, line);
	snprintf(line, sizeof(line), "%.0f pages/s out, %.0f in; sorted by %s", out, in,
		 order_name(top->order));
	screen_line(&top->screen, false, line);
	snprintf(line, sizeof(line), "%s %6s %6s %6s %6s %6s %6s  %-*s %-200s",
		 instances_name("GUEST", top->name_columns), "MEMORY", "KEPT", "TARGET", "USED", "OUT/s", "IN/s", BARS,
		 "KEPT, 1 MINUTE", "STATE");
	screen_line(&top->screen, true, line);
}

/* The mean of what is known of values. */
static uint64_t mean(const uint64_t *values, unsigned int count)
{
	uint64_t sum = 0;
	unsigned int i, known_count = 0;

	for (i = 0; i < count; i++) {
		if (values[i] == STATUS_UNKNOWN)
			continue;
		sum += values[i];
		known_count++;
	}
	return known_count ? sum / known_count : STATUS_UNKNOWN;
}

/* A minute in a few bars. */
static void draw_history(const struct top *top, const struct line *line, char *text)
{
	uint64_t bars[BARS];
	unsigned int i, begin, end;

	for (i = 0; i < BARS; i++) {
		begin = i * HISTORY / BARS;
		end = (i + 1) * HISTORY / BARS;
		bars[i] = mean(line->past->kept + begin, end - begin);
	}
	screen_sparkline(&top->screen, text, bars, BARS,
			 known(line->instance->status.memory));
}

static void draw_guest(struct top *top, const struct line *line)
{
	const struct status *status = &line->instance->status;
	const char *remark = balancer_remark(top->balancer, line->instance->socket);
	const char *trouble = status_trouble(status);
	char text[512], history[3 * BARS + 1];

	draw_history(top, line, history);
	snprintf(text, sizeof(text), "%s %6s %6s %6s %6s %6.0f %6.0f  %s %s",
		 instances_name(line->instance->name, top->name_columns), instances_size(status->memory),
		 instances_size(instances_kept(status)), instances_size(status->target),
		 instances_size(instances_used(status)), line->past->out, line->past->in,
		 history, trouble ? trouble : remark ? remark : line->instance->state);
	screen_line(&top->screen, false, text);
}

/* Names get what a wide terminal has to spare. */
static unsigned int fit_names(const struct top *top)
{
	unsigned int most = instances_name_columns(&top->instances);
	unsigned int room = NAME_COLUMNS;

	if (top->screen.columns > WIDTH)
		room += (unsigned int)top->screen.columns - WIDTH;
	if (most < NAME_COLUMNS)
		return NAME_COLUMNS;
	return most < room ? most : room;
}

static void draw(struct top *top)
{
	size_t i, room;

	qsort_r(top->lines, top->instances.count, sizeof(*top->lines), compare_lines,
		&top->order);
	screen_begin(&top->screen);
	top->name_columns = fit_names(top);
	draw_head(top);
	room = top->screen.rows > 4 ? (size_t)top->screen.rows - 4 : 1;
	if (top->first + room > top->instances.count)
		top->first = top->instances.count > room ? top->instances.count - room : 0;
	for (i = 0; i < room; i++) {
		if (top->first + i < top->instances.count)
			draw_guest(top, &top->lines[top->first + i]);
		else
			screen_line(&top->screen, false, i || top->instances.count ? "" :
				    "No guest's daemon listens.");
	}
	screen_line(&top->screen, false,
		    "q quit  sort: u)sed m)emory k)ept r)eleased o)ut i)n n)ame  +/- scroll");
	screen_end(&top->screen);
}

/* Keys until it's time to look again. False: it's the end. */
static bool serve(struct top *top, uint64_t deadline_ms)
{
	int key;

	while ((key = screen_key(deadline_ms)) > 0) {
		if (key == 'q')
			return false;
		if (strchr("umkroin", key))
			top->order = (char)key;
		else if (key == '+')
			top->first++;
		else if (key == '-' && top->first)
			top->first--;
		draw(top);
	}
	return !key;
}

int top_run(const struct options *options)
{
	uint64_t interval_ms = options->interval_ms ? options->interval_ms : INTERVAL_MS;
	struct top top = { .order = 'u' };
	uint64_t next_ms = clock_now_ms();
	size_t i;

	if (!screen_open(&top.screen)) {
		fputs("cswapctl: top needs a terminal; list doesn't\n", stderr);
		return EXIT_FAILED;
	}
	while (look(&top, options)) {
		draw(&top);
		next_ms = next_ms + interval_ms > clock_now_ms() ?
				  next_ms + interval_ms : clock_now_ms();
		if (!serve(&top, next_ms))
			break;
	}
	screen_close();
	instances_free(&top.instances);
	json_object_put(top.balancer);
	for (i = 0; i < top.pasts_count; i++)
		free(top.pasts[i].name);
	free(top.pasts);
	free(top.lines);
	return 0;
}
