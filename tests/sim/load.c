// SPDX-License-Identifier: GPL-2.0-only
/*
 * load.c - load on the queues of a device, one thread each.
 *
 * Every thread has pages of its own and keeps the driver's duty: one operation
 * in flight for a page. What a page must contain follows from its number and
 * the counter that it was last stored with, so every LOAD is compared without
 * keeping the contents.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "load.h"

struct worker {
	struct load *load;
	struct io_queue *queue;
	enum load_phase phase;
	u64 first, end;			/* its pages */
	u64 next;			/* FILL, REFILL, VERIFY */
	u64 random;
	u64 started;			/* operations */
	u64 deadline_ns;
	unsigned int outstanding;
	struct io_op op[LOAD_MAX_DEPTH];
	unsigned int free_op[LOAD_MAX_DEPTH], free_ops;
	struct io_op *held;		/* chosen, but the queue was full */
	u8 *pages;
	struct load_report report;
	bool failed;
};

volatile sig_atomic_t load_is_up;

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_utime.tv_sec + u.ru_stime.tv_sec +
		(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* --- what is done next --- */

static u64 next_random(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

static bool is_up(const struct worker *w)
{
	const struct load_options *o = &w->load->options;

	return load_is_up ||
	       (o->ops ? w->started >= o->ops : now_ns() >= w->deadline_ns);
}

static bool choose_random(struct worker *w, struct io_op *op)
{
	const struct load_options *o = &w->load->options;
	u64 pages = w->end - w->first, tries;

	if (is_up(w))
		return false;
	op->kind = next_random(w) % 100 < o->read_percent ? IO_LOAD : IO_STORE;
	op->slot = w->first + next_random(w) % pages;
	for (tries = 0; tries < pages; tries++) {
		if (!w->load->busy[op->slot])
			break;
		if (++op->slot == w->end)
			op->slot = w->first;
	}
	if (tries == pages)
		return false;
	/* What a failed STORE left can't be loaded: store it anew. */
	if (!w->load->records->counter[op->slot])
		op->kind = IO_STORE;
	return true;
}

/* A prime: all pages have their turn, unless there are as many, or a multiple. */
#define SCATTER	1000003

static bool choose_refill(struct worker *w, struct io_op *op)
{
	u64 pages = w->end - w->first, at;

	while (w->next < w->end) {
		at = w->next++ - w->first;
		op->slot = w->first + (w->load->options.scatter ? at * SCATTER % pages : at);
		if (!w->load->records->counter[op->slot])
			break;
		if (w->next == w->end)
			return false;
	}
	op->kind = IO_STORE;
	return true;
}

static bool choose(struct worker *w, struct io_op *op)
{
	if (w->phase == LOAD_RUN)
		return choose_random(w, op);
	if (w->phase == LOAD_REFILL)
		return w->next < w->end && choose_refill(w, op);
	if (w->phase == LOAD_VERIFY)
		while (w->next < w->end && !w->load->records->counter[w->next])
			w->next++;
	if (w->next == w->end)
		return false;
	op->kind = w->phase == LOAD_VERIFY ? IO_LOAD : IO_STORE;
	op->slot = w->next++;
	return true;
}

/* --- what came of it --- */

static bool is_right(const struct worker *w, const struct io_op *op)
{
	u64 stamp[2];

	if (!w->load->options.stamp_only)
		return io_is_page(op->page, op->slot, op->counter);
	memcpy(stamp, op->page, sizeof(stamp));
	return stamp[0] == op->slot && stamp[1] == op->counter;
}

static void done(struct io_op *op, void *arg)
{
	struct worker *w = arg;
	struct load_count *c = op->kind == IO_STORE ? &w->report.store : &w->report.load;

	if (op->result == IO_OK) {
		c->ops++;
		histogram_add(&c->latency, now_ns() - op->start_ns);
	} else if (op->result == IO_FORGED) {
		w->report.forged++;
	} else {
		c->failed++;
	}
	w->load->result[op->slot] = op->result;
	if (op->kind == IO_LOAD && op->result == IO_OK && !is_right(w, op))
		w->report.wrong++;
	w->load->busy[op->slot] = false;
	w->free_op[w->free_ops++] = op->index;
	w->outstanding--;
}

/* The next operation with its page, or NULL when all has been started. */
static struct io_op *prepare(struct worker *w)
{
	struct io_op *op = &w->op[w->free_op[w->free_ops - 1]];

	if (!choose(w, op))
		return NULL;
	w->free_ops--;
	w->outstanding++;
	w->started++;
	w->load->busy[op->slot] = true;
	if (op->kind == IO_STORE) {
		op->counter = io_next_counter(w->load->records, 1);
		if (w->load->options.stamp_only)
			memcpy(op->page, (const u64[]){ op->slot, op->counter }, 16);
		else
			io_make_page(op->page, op->slot, op->counter);
	}
	return op;
}

static bool start_one(struct worker *w)
{
	struct io_op *op = w->held;

	if (!op) {
		if (!w->free_ops)
			return false;
		op = prepare(w);
	}
	if (!op)
		return false;
	op->start_ns = now_ns();
	w->held = w->queue->ops->submit(w->queue, op) ? op : NULL;
	return !w->held;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct io_queue *q = w->queue;
	int rc;

	for (;;) {
		while (start_one(w))
			;
		if (!w->outstanding)
			break;
		q->ops->flush(q);
		rc = q->ops->poll(q);
		if (!rc)
			rc = q->ops->wait(q);
		if (rc < 0) {
			/* What was answered before the end counts. */
			(void)q->ops->poll(q);
			w->failed = true;
			break;
		}
	}
	return NULL;
}

/* --- a phase --- */

static int init_worker(struct worker *w, struct load *l, unsigned int index,
		       enum load_phase phase)
{
	unsigned int i;

	w->load = l;
	w->queue = l->queue[index];
	w->phase = phase;
	w->first = w->next = l->options.pages * index / l->queues;
	w->end = l->options.pages * (index + 1) / l->queues;
	w->random = 88172645463325252ull + index;
	w->deadline_ns = now_ns() + (u64)(l->options.seconds * 1e9);
	w->pages = aligned_alloc(IO_PAGE_BYTES, l->options.depth * IO_PAGE_BYTES);
	if (!w->pages)
		return -1;
	memset(w->pages, 0x5a, l->options.depth * IO_PAGE_BYTES);
	for (i = 0; i < l->options.depth; i++) {
		w->op[i] = (struct io_op){
			.count = 1, .index = i, .done = done, .arg = w,
			.page = w->pages + i * IO_PAGE_BYTES,
		};
		w->free_op[w->free_ops++] = i;
	}
	return 0;
}

static void merge_count(struct load_count *to, const struct load_count *from)
{
	to->ops += from->ops;
	to->failed += from->failed;
	histogram_merge(&to->latency, &from->latency);
}

static void count_signals(struct load *l, u64 *kicks, u64 *interrupts)
{
	unsigned int i;
	u64 k, n;

	*kicks = *interrupts = 0;
	for (i = 0; i < l->queues; i++) {
		l->queue[i]->ops->count_signals(l->queue[i], &k, &n);
		*kicks += k;
		*interrupts += n;
	}
}

static int merge(struct load *l, struct worker *w, struct load_report *report)
{
	int rc = 0;

	merge_count(&report->store, &w->report.store);
	merge_count(&report->load, &w->report.load);
	report->forged += w->report.forged;
	report->wrong += w->report.wrong;
	if (w->failed) {
		snprintf(l->error, sizeof(l->error), "%s", w->queue->error);
		rc = -1;
	}
	free(w->pages);
	return rc;
}

static int run_workers(struct load *l, struct worker *workers,
		       struct load_report *report)
{
	pthread_t threads[LOAD_MAX_QUEUES];
	unsigned int i, started;
	int rc = 0;

	for (started = 0; started < l->queues; started++)
		if (pthread_create(&threads[started], NULL, work, &workers[started]))
			break;
	if (started < l->queues) {
		snprintf(l->error, sizeof(l->error), "no thread");
		rc = -1;
	}
	for (i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < l->queues; i++)
		if (merge(l, &workers[i], report))
			rc = -1;
	return rc;
}

int load_run(struct load *l, enum load_phase phase, struct load_report *report)
{
	struct worker *workers = calloc(l->queues, sizeof(*workers));
	u64 kicks, interrupts, start_ns;
	double cpu = cpu_seconds();
	unsigned int i;
	int rc;

	memset(report, 0, sizeof(*report));
	for (i = 0; workers && i < l->queues; i++)
		if (init_worker(&workers[i], l, i, phase))
			break;
	if (i < l->queues) {
		snprintf(l->error, sizeof(l->error), "no memory");
		free(workers);
		return -1;
	}
	count_signals(l, &kicks, &interrupts);
	start_ns = now_ns();
	rc = run_workers(l, workers, report);
	report->seconds = (now_ns() - start_ns) / 1e9;
	count_signals(l, &report->kicks, &report->interrupts);
	report->kicks -= kicks;
	report->interrupts -= interrupts;
	report->cpu_seconds = cpu_seconds() - cpu;
	free(workers);
	return rc;
}

int load_init(struct load *l, const struct load_options *options,
	      struct io_records *records)
{
	memset(l, 0, sizeof(*l));
	l->options = *options;
	l->records = records;
	if (l->options.depth > LOAD_MAX_DEPTH)
		l->options.depth = LOAD_MAX_DEPTH;
	l->busy = calloc(options->pages, 1);
	l->result = calloc(options->pages, 1);
	if (!l->busy || !l->result) {
		snprintf(l->error, sizeof(l->error), "no memory");
		return -1;
	}
	return 0;
}

void load_forget_unanswered(struct load *l)
{
	u64 i;

	for (i = 0; i < l->options.pages; i++)
		if (l->busy[i])
			l->records->counter[i] = 0;
}

void load_free(struct load *l)
{
	free(l->busy);
	free(l->result);
	l->busy = l->result = NULL;
}

/* --- reports --- */

static double megabytes_per_second(const struct load_count *c, double seconds)
{
	return c->ops * (double)IO_PAGE_BYTES / 1e6 / seconds;
}

static double us(const struct load_count *c, unsigned int per_mille)
{
	return histogram_quantile(&c->latency, per_mille) / 1e3;
}

static void print_count(FILE *to, const char *name, const struct load_count *c,
			double seconds)
{
	if (!c->ops && !c->failed)
		return;
	fprintf(to, "# %-12s %9llu ops %8.1f MB/s  p50 %7.1f us  p99 %8.1f us  max %9.1f us  failed %llu\n",
		name, c->ops, megabytes_per_second(c, seconds), us(c, 500), us(c, 990),
		c->latency.max / 1e3, c->failed);
}

void load_print(FILE *to, const char *name, const struct load_report *r)
{
	u64 ops = r->store.ops + r->load.ops;
	char label[32];

	snprintf(label, sizeof(label), "%s out", name);
	print_count(to, label, &r->store, r->seconds);
	snprintf(label, sizeof(label), "%s in", name);
	print_count(to, label, &r->load, r->seconds);
	fprintf(to, "# %-12s %.3f s, per 1000 operations %.1f kicks, %.1f interrupts; forged %llu, wrong %llu\n",
		name, r->seconds, ops ? r->kicks * 1e3 / ops : 0,
		ops ? r->interrupts * 1e3 / ops : 0, r->forged, r->wrong);
}

static void print_json_count(FILE *to, const char *name, const struct load_count *c,
			     double seconds)
{
	fprintf(to, "\"%s\":{\"ops\":%llu,\"failed\":%llu,\"mb_s\":%.2f,\"p50_us\":%.2f,\"p99_us\":%.2f,\"max_us\":%.2f},",
		name, c->ops, c->failed, megabytes_per_second(c, seconds), us(c, 500),
		us(c, 990), c->latency.max / 1e3);
}

void load_print_json(FILE *to, const char *name, const struct load_report *r)
{
	u64 ops = r->store.ops + r->load.ops;

	fprintf(to, "{\"phase\":\"%s\",\"seconds\":%.4f,", name, r->seconds);
	print_json_count(to, "out", &r->store, r->seconds);
	print_json_count(to, "in", &r->load, r->seconds);
	fprintf(to, "\"forged\":%llu,\"wrong\":%llu,\"kicks_per_1000\":%.2f,\"interrupts_per_1000\":%.2f,\"cpu_seconds\":%.4f}\n",
		r->forged, r->wrong, ops ? r->kicks * 1e3 / ops : 0,
		ops ? r->interrupts * 1e3 / ops : 0, r->cpu_seconds);
}
