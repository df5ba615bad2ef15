/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hostile.h - what attacks by the guest and by its VMM have in common.
 */
#ifndef SIM_HOSTILE_H
#define SIM_HOSTILE_H

#include "suite.h"

/* A slot that attacks leave alone; pair 1 serves it. */
#define HOSTILE_BYSTANDER	GUEST_SHARD_SLOTS

/* What the daemon holds; it must not grow by an attack. */
struct hostile_census {
	int pid;			/* who listens; not who serves the guest */
	unsigned int descriptors;
	unsigned int mappings;		/* of the guest's memory */
};

/* The process that serves the guest for the one that listens; 0: none just now. */
int census_worker(int pid);
/* SIGSTOP, and wait until no thread of the process runs: until then it may still serve. -1: it doesn't stop. */
int stop_process(int pid);

int hostile_census(struct guest *g, struct hostile_census *to);

/* Connect with two pairs and store the bystander's page. */
int hostile_begin(struct guest *g, const char *socket, struct hostile_census *before);
int hostile_begin_with(struct guest *g, const char *socket,
		       struct hostile_census *before, const struct guest_options *o);
/*
 * The daemon lives, pair 1 of this connection still works (if @bystander), a
 * new connection works and finds the bystander's page, nothing leaked.
 */
int hostile_aftermath(struct guest *g, const struct hostile_census *before,
		      bool bystander);

#endif /* SIM_HOSTILE_H */
