/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * killer.h - a thread that does harm to a guest's daemon, again and again, while a case goes on.
 */
#ifndef SIM_KILLER_H
#define SIM_KILLER_H

#include <pthread.h>

#include "guest.h"

struct killer {
	struct guest *g;
	pthread_t thread;
	int monitor;
	unsigned int wanted;
	unsigned int kills;		/* atomic */
	unsigned int steps;		/* atomic: what the case has got done */
	bool stop;			/* atomic */
	bool lost;			/* it didn't come back: g->error */
};

unsigned int killer_random(u64 *state);
bool killer_stops(const struct killer *k);
/* At birth, at work, or before or after either: the machine's load decides which. */
void killer_let_live(const struct killer *k, u64 *random);

/* --- dirty.c --- */

/* Rounds in which what the daemon writes to memory is logged; a thread, of a struct killer. */
void *dirty_log_rounds(void *arg);
/* The comparison is worth something: without a log it finds what isn't logged. */
int dirty_case_unlogged(struct guest *g, const char *socket);

/* --- move.c --- */

/* The guest moves between two daemons; a thread, of a struct killer. */
void *move_guest(void *arg);
/* Don't look at the log: the case has memory discarded, which is no write. */
extern bool move_unlogged;

#endif /* SIM_KILLER_H */
