/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cswap_policy.h - how large the balloon may be: what the host wants, within what
 * the guest can bear. Theory of operation in cswap_policy.c.
 *
 * Pure: a function of what it remembers and of a sample, which has the time in it.
 */
#ifndef CSWAP_POLICY_H
#define CSWAP_POLICY_H

#include <linux/types.h>
#include <linux/virtio_cswap.h>

/* Memory is given up in pieces of so many pages, but for the last tier. */
#define CSWAP_BLOCK_PAGES	512
#define CSWAP_NO_CAP		(~0ULL)
#define CSWAP_LEAST_FLOOR_MIB	16U	/* of a floor in MiB */

/* What the guest's owner wants. */
struct cswap_policy_limits {
	bool enabled;
	u32 floor_percent;		/* of the guest's size... */
	u32 floor_mib;			/* ...or this, if it isn't 0 */
	u32 brake_percent;		/* of time that a task waits for LOADs; 0: no brakes */
};

struct cswap_policy_sample {
	u64 now_ms;
	u64 size;			/* pages: in use, free or given up */
	u64 out;			/* pages given up */
	u64 target;			/* pages that the host wants; any value */
	/* counts that only grow */
	u64 swap_in_ns;
	u64 refaults;
	u64 alloc_stalls;
	u64 ooms;			/* times that the guest was out of memory */
	bool own_reclaim;		/* the balloon itself has reclaimed since the last sample */
};

struct cswap_policy {
	/* brakes */
	u64 cap;			/* pages that may be given up, or NO_CAP */
	u32 cap_why;			/* VIRTIO_CSWAP_STOP_PRESSURE or _OOM */
	u64 cap_until_ms;		/* it isn't raised before */
	u32 cool_ms;			/* what the last trip cost */
	u32 pressure_cool_ms, oom_cool_ms; /* what the next one costs */
	u32 windows;			/* with pressure, one after the other */
	u64 trips;			/* in all */
	/* the window that runs */
	bool begun;
	u64 since_ms;
	u64 swap_in_ns, refaults, alloc_stalls;
	bool own_reclaim;
	u64 ooms;
	/* turns */
	bool growing;			/* it was to, at @last_ms */
	u64 last_ms, last_out;
	u64 grew_ms;			/* time in which it did, since the last turn */
	u64 grow_at_ms;			/* not before */
};

struct cswap_policy_verdict {
	u64 goal;			/* pages to be given up */
	u64 floor;			/* pages that the guest keeps */
	u32 why;			/* VIRTIO_CSWAP_STOP_*, if nothing else goes wrong */
};

void cswap_policy_init(struct cswap_policy *policy);
struct cswap_policy_verdict cswap_policy_step(struct cswap_policy *policy,
					      const struct cswap_policy_limits *limits,
					      const struct cswap_policy_sample *sample);

#endif /* CSWAP_POLICY_H */
