/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * policy.h - how the host's memory is divided among its guests. Theory of operation
 * in policy.c.
 *
 * Pure: a function of what it remembers, of a sample and of the time. It allocates
 * nothing and works with integers.
 */
#ifndef CSWAP_BALANCER_POLICY_H
#define CSWAP_BALANCER_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_BLOCK		(2ULL << 20)
/* Larger sizes and shares are taken for these, so that no sum overflows. */
#define POLICY_MAX_BYTES	(1ULL << 46)
#define POLICY_MAX_SHARES	10000u
#define POLICY_MAX_GUESTS	65536u

enum policy_reason {
	POLICY_NEW,			/* nothing was decided yet */
	POLICY_HOLD,			/* nothing to do */
	POLICY_BAND,			/* too little to do anything about */
	POLICY_RESERVE,			/* the host's reserve is short: it gives */
	POLICY_TAX,			/* others need more; it has more than its share, or idle memory */
	POLICY_STALL,			/* it hurts: it gets memory back */
	POLICY_REFAULT,
	POLICY_PROMOTION,
	POLICY_GROW,			/* there is room */
	POLICY_BRAKE,			/* its own brakes have tripped */
	POLICY_FLOOR,			/* it's at its floor */
	POLICY_STUCK,			/* it makes no progress */
	POLICY_COOLING,			/* it hurt a short while ago */
	POLICY_DRAIN,			/* an operator's word */
	POLICY_PAUSED,
	POLICY_LATE,			/* its daemon doesn't answer */
	POLICY_UNREADY,			/* it has no balloon */
	POLICY_REFUSED,			/* it isn't admitted */
	POLICY_REASONS,
};

extern const char *const policy_reason_names[POLICY_REASONS];

enum policy_mode { POLICY_AUTO, POLICY_MODE_PAUSED, POLICY_MODE_DRAIN };

struct policy_conf {
	uint64_t reserve_bytes;		/* what shall be left of the host's memory */
	uint64_t band_bytes;		/* of the host: less is no reason to move anything */
	unsigned int step_permille;	/* of its size: what a guest gives in a step at most */
	unsigned int tax_percent;	/* of idle memory */
	unsigned int slo_permille;	/* of the working set that may come back in a minute */
	unsigned int stall_permille;	/* of time that may be spent waiting for that */
	unsigned int cool_ms;		/* no taking so long after it hurt, doubled each time */
	unsigned int patience_ms;	/* without progress a guest is stuck after that */
	unsigned int answers;		/* how many there are to a stuck guest */
};

/* A guest, now. */
struct policy_guest_sample {
	bool ready;			/* it has a balloon, and its daemon answers */
	bool late;			/* the daemon doesn't answer */
	enum policy_mode mode;
	uint64_t size, floor;		/* bytes, as all of these */
	uint32_t shares;
	uint64_t asked;			/* the target that its daemon has */
	/* measured by the host */
	bool has_used;
	uint64_t used;			/* what its VMM, or its memory's files, take */
	uint64_t tags;			/* what its daemon takes for its pages in the store */
	uint64_t loaded_pages;		/* a count that grows: pages back from the store */
	/* its claims */
	uint64_t released;
	bool has_report;
	uint64_t report_number;
	uint32_t stopped;		/* VIRTIO_CSWAP_STOP_* */
	uint64_t available;
	uint64_t swap_in_ns, refaults;	/* counts that grow */
};

struct policy_host_sample {
	uint64_t limit;			/* what there is for everybody */
	uint64_t available;		/* what is left of it now */
};

/* What is remembered of a guest, and what came of the last step. */
struct policy_guest {
	uint64_t target;		/* what it shall release: the verdict */
	enum policy_reason reason;
	unsigned int answer;		/* to its not cooperating: 0 none, up to conf.answers */
	bool admitted;

	/* why: for "explain" */
	uint64_t allot, fair, charge, over;
	unsigned int idle_permille, promotion_permille, stall_permille, refault_permille;
	bool stuck, lies, hurt, quiet;

	/* books */
	bool begun;
	uint64_t last_ms, report_ms, report_number; /* 0: no report yet */
	uint64_t loaded_pages, swap_in_ns, refaults;
	uint64_t quiet_ms;		/* for so long by now */
	uint64_t cool_until_ms, brake_until_ms, retry_ms;
	unsigned int cool_ms, brake_ms, retry_wait_ms;
	uint64_t asked_ms, best;	/* progress: since when, and the least that it held */
	uint64_t turn_until_ms;	/* it may wait before it gives again */
	uint64_t answer_ms;
	uint64_t taken_ms;		/* when memory was last asked of it */
};

/* Who takes part in a division, in a few cache lines. */
struct policy_bid {
	uint64_t have, cap, weight;
	uint32_t index;
};

struct policy {
	struct policy_conf conf;
	struct policy_guest *guest;	/* @count of them, as in the sample; the caller's */
	struct policy_bid *bid;		/* room for as many; the caller's */
	size_t count;

	uint64_t grow_at_ms;		/* nothing grows before */
	/* what came of the last step */
	uint64_t budget;		/* what all guests may have together */
	uint64_t charged;		/* what they have, or may take at once */
	uint64_t pending;		/* of that, what is on its way back */
	uint64_t short_bytes;		/* charged beyond the budget, and not on its way */
	uint64_t work;			/* bids looked at, since the beginning */
};

extern const struct policy_conf policy_defaults;

/* Forget what was known of a guest: another one has its place. */
void policy_forget(struct policy_guest *guest);

/* Decide: guest[].target, for policy->count samples in @guests. */
void policy_step(struct policy *policy, const struct policy_host_sample *host,
		 const struct policy_guest_sample *guests, uint64_t now_ms);

#endif
