/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * instances.h - all daemons of this host, and what each of them says.
 */
#ifndef CSWAPCTL_INSTANCES_H
#define CSWAPCTL_INSTANCES_H

#include <stddef.h>

#include "status.h"

#define INSTANCES_DIRECTORY "/run/cswapd"

struct instance {
	char *name;			/* the guest's */
	char *socket;
	struct json_object *answer;	/* NULL: it didn't answer */
	struct status status;		/* of the answer */
	const char *state;		/* the same in a word or two */
};

struct instances {
	struct instance *list;		/* by name */
	size_t count;
};

/*
 * Ask all daemons with a control socket in a folder of @directory, together;
 * those that don't answer within @patience_ms are in the list without an answer.
 * False: no memory.
 */
bool instances_ask(struct instances *instances, const char *directory,
		   unsigned int patience_ms);
void instances_free(struct instances *instances);

/*
 * A guest's name on a terminal: all of it, filled up to @columns; or so many of its
 * characters, with a mark in place of its middle, because names that begin alike
 * differ at their ends.
 */
const char *instances_name(const char *name, unsigned int columns);

/* So many columns has a name on a terminal. */
unsigned int instances_columns(const char *name);

/* So many columns has the longest name. */
unsigned int instances_name_columns(const struct instances *instances);

/* A size in 7 characters or less: 512M, 12.5G; "-" if it's unknown. */
const char *instances_size(uint64_t bytes);

/* What is left to the guest; STATUS_UNKNOWN. */
uint64_t instances_kept(const struct status *status);

/* What the host says that the guest uses: its VMM's cgroup, or its files. */
uint64_t instances_used(const struct status *status);

#endif
