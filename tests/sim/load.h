/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * load.h - load on the queues of a device, one thread each, and what came of it.
 */
#ifndef SIM_LOAD_H
#define SIM_LOAD_H

#include <signal.h>
#include <stdio.h>

#include "histogram.h"
#include "io.h"

#define LOAD_MAX_QUEUES	64
#define LOAD_MAX_DEPTH	128

enum load_phase {
	LOAD_FILL,	/* store every page once */
	LOAD_RUN,	/* stores and loads of random pages */
	LOAD_REFILL,	/* store every page that has no record */
	LOAD_VERIFY,	/* load every page that has a record */
};

struct load_options {
	u64 pages;
	unsigned int depth;
	unsigned int read_percent;
	double seconds;
	u64 ops;		/* instead of seconds, for each queue; 0 = seconds */
	bool scatter;		/* REFILL: no two neighbours after each other */
	bool stamp_only;	/* compare the first bytes of a page, not all of it */
};

struct load_count {
	u64 ops;		/* that succeeded */
	u64 failed;		/* the device said no */
	struct histogram latency;	/* ns */
};

struct load_report {
	double seconds;
	struct load_count store, load;
	u64 forged;		/* pages that did not open */
	u64 wrong;		/* pages that opened and were others: never */
	u64 kicks, interrupts;
	double cpu_seconds;	/* of this process */
};

struct load {
	struct load_options options;
	struct io_records *records;
	unsigned int queues;
	struct io_queue *queue[LOAD_MAX_QUEUES];
	u8 *busy;		/* by page: an operation is in flight */
	u8 *result;		/* by page: enum io_result of its last operation */
	char error[512];
};

int load_init(struct load *l, const struct load_options *options,
	      struct io_records *records);
void load_free(struct load *l);
/* Set by a signal: a run ends as if its time were up. */
extern volatile sig_atomic_t load_is_up;

/* 0, or -1 when the device failed altogether, with the reason in l->error. */
int load_run(struct load *l, enum load_phase phase, struct load_report *report);

/* After a failure: a page whose operation was not answered may be anything. */
void load_forget_unanswered(struct load *l);

void load_print(FILE *to, const char *name, const struct load_report *report);
void load_print_json(FILE *to, const char *name, const struct load_report *report);

#endif /* SIM_LOAD_H */
