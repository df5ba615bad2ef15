/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * config.h - the balancer's configuration: one file of key = value, sections for guests.
 */
#ifndef CSWAP_BALANCER_CONFIG_H
#define CSWAP_BALANCER_CONFIG_H

#include "policy.h"

#define CONFIG_MAX_ANSWERS 4

/* What is done about a guest that makes no progress, in the operator's order. */
enum config_answer {
	CONFIG_REPORT,			/* say so, once more */
	CONFIG_SLOW,			/* a tenth of a CPU for its cgroup */
	CONFIG_FREEZE,			/* its cgroup stands still */
	CONFIG_HOLD,			/* its cgroup's memory.max is what it is left */
};

extern const char *const config_answer_names[];
/* What each writes, in the guest's cgroup; NULL: nothing. */
extern const char *const config_answer_files[];

/* A size, or a part of something that is known later. */
struct config_amount {
	uint64_t bytes;			/* if @permille is 0 */
	unsigned int permille;
};

struct config_guest {
	struct config_guest *next;
	char *name;			/* NULL: what holds for all that have no section */
	unsigned int line;
	unsigned int seen;		/* the keys that were there, a bit each */
	struct config_amount floor;
	uint32_t shares;
	bool manage;
	char *cgroup;			/* of its VMM alone: a folder; or NULL */
};

struct config {
	char *guests_dir;
	char *cgroup;			/* what all guests are in; NULL: the host */
	struct config_amount reserve, band;
	struct policy_conf policy;	/* all of it but reserve, band, answers */
	unsigned int interval_ms;
	unsigned int answers;
	enum config_answer answer[CONFIG_MAX_ANSWERS];
	struct config_guest general;
	struct config_guest *guests;
};

/* Read @path; false: what is wrong was said, with its line. NULL: the defaults. */
bool config_read(struct config *config, const char *path);
void config_free(struct config *config);

/* What holds for a guest. */
const struct config_guest *config_find(const struct config *config, const char *name);

uint64_t config_bytes(const struct config_amount *amount, uint64_t of);

#endif
