/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * modes.h - what operators have said of guests: paused, drained, or neither.
 */
#ifndef CSWAP_BALANCER_MODES_H
#define CSWAP_BALANCER_MODES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy.h"

/* A guest without a folder for so long is gone for good: a restart of its daemon takes less. */
#define MODES_GONE_MS (5 * 60 * 1000)

struct mode {
	char guest[64];
	enum policy_mode mode;
	uint64_t gone_ms;		/* when its folder was found missing; 0: it's there, or wasn't looked for */
	bool seen;			/* by the look that is under way */
};

struct modes {
	char path[PATH_MAX];		/* "": they are kept in no file */
	bool paused;			/* all guests are */
	struct mode *mode;
	size_t count, room;
};

/* Read what an earlier balancer has kept in @path; NULL: nothing is read, and nothing written. */
void modes_open(struct modes *modes, const char *path);
void modes_close(struct modes *modes);

/* What was said of @guest, or @otherwise. */
enum policy_mode modes_get(const struct modes *modes, const char *guest, enum policy_mode otherwise);
/* An operator says it; @otherwise needn't be kept. */
void modes_set(struct modes *modes, const char *guest, enum policy_mode mode, enum policy_mode otherwise);
void modes_pause_all(struct modes *modes, bool paused);

/* A look at which guests there are: each that is seen, then the end of the look. */
void modes_see(struct modes *modes, const char *guest);
void modes_end_look(struct modes *modes, uint64_t now_ms);

#endif
