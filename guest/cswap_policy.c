// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_policy.c - how large the balloon may be: what the host wants, within what
 * the guest can bear.
 *
 * Theory of operation
 *
 * The floor is on what remains of the guest, not on what is "available" in it:
 * that is nearly nothing before a page of a full guest has been swapped, and
 * swapping is the purpose.
 *
 * So the balloon takes memory until the guest stalls, which the brakes detect. Signs of a stall
 * are: time that tasks wait for pages to come back; pages that come back soon after they went;
 * allocations that had to reclaim (but for times when the balloon made them do so). Each sign is
 * measured over windows of a second; two windows in a row trip the brakes. Then an eighth of the
 * balloon goes back to the guest, and the cap on the balloon that this sets stays for a cool-down.
 * After that the cap rises step by step as long as the guest is quiet, which is well below what
 * trips the brakes (hysteresis). Each trip that comes after the last one's cool-down doubles the
 * next cool-down; the doubling is reset only when the cap has gone. So a balloon that is too large
 * for the guest settles below the size at which it stalls. A guest that suddenly needs a lot trips
 * several times in a row until it has enough: that is one occasion, and costs one cool-down.
 *
 * Being out of memory counts as a trip, with a longer cool-down: until the end of that the host
 * doesn't get what the guest took back then, whatever the host asks for.
 *
 * The host may change its mind at any rate. The balloon shrinks at once; before it grows again it
 * waits for twice the time for which it had been growing, and at least a second. So a host that
 * flaps costs the guest a part of a CPU, and flapping faster costs no more.
 */
#include <linux/minmax.h>

#include "cswap_policy.h"

#define WINDOW_MS		1000
#define TRIP_WINDOWS		2
#define PRESSURE_COOL_MS	30000
#define OOM_COOL_MS		60000
#define MAX_COOL_MS		600000
#define MIN_TURN_MS		1000
#define MAX_TURN_MS		60000
/* The balloon by its parts: given back on a trip; added when it's quiet. */
#define SHRINK_SHARE		8
#define RAISE_SHARE		32
/* A second's refaults that trip the brakes, as a part of what the guest has left. */
#define REFAULT_SHARE		64
#define ALLOC_STALLS		100
#define PAGES_PER_MIB		256
#define MIN_FLOOR_MIB		64	/* of a floor in percent */

void cswap_policy_init(struct cswap_policy *policy)
{
	*policy = (struct cswap_policy) {
		.cap = CSWAP_NO_CAP,
		.pressure_cool_ms = PRESSURE_COOL_MS,
		.oom_cool_ms = OOM_COOL_MS,
	};
}

static u64 floor_of(const struct cswap_policy_limits *limits, u64 size)
{
	u64 floor;

	if (limits->floor_mib)
		floor = (u64)max(limits->floor_mib, CSWAP_LEAST_FLOOR_MIB) * PAGES_PER_MIB;
	else
		floor = max(size / 100 * limits->floor_percent,
			    (u64)MIN_FLOOR_MIB * PAGES_PER_MIB);
	return min(floor, size);
}

/* --- brakes --- */

static u64 since(u64 now, u64 then)
{
	return now > then ? now - then : 0;
}

/*
 * How badly the guest stalls, in percent of what trips the brakes, over a window that is at its
 * end.
 */
static u64 pressure(const struct cswap_policy *policy,
		    const struct cswap_policy_limits *limits,
		    const struct cswap_policy_sample *sample)
{
	u64 ms = since(sample->now_ms, policy->since_ms);
	u64 left = max(since(sample->size, sample->out), 1ULL);
	u64 waited, refaults, stalls;

	if (!limits->brake_percent)
		return 0;
	waited = since(sample->swap_in_ns, policy->swap_in_ns) / 1000 / ms * 10 /
		 limits->brake_percent;
	refaults = since(sample->refaults, policy->refaults) * 1000 / ms * 100 /
		   max(left / REFAULT_SHARE, 1ULL);
	stalls = policy->own_reclaim ? 0 :
		 since(sample->alloc_stalls, policy->alloc_stalls) * 1000 / ms * 100 /
		 ALLOC_STALLS;
	return max(waited, max(refaults, stalls));
}

static void window_begin(struct cswap_policy *policy,
			 const struct cswap_policy_sample *sample)
{
	policy->begun = true;
	policy->since_ms = sample->now_ms;
	policy->swap_in_ns = sample->swap_in_ns;
	policy->refaults = sample->refaults;
	policy->alloc_stalls = sample->alloc_stalls;
	policy->own_reclaim = false;
}

/*
 * Cap the balloon at @pages for *@cool_ms, which doubles; but on the same occasion as the last time
 * the cool-down begins again with the same length.
 */
static void cap_set(struct cswap_policy *policy, u64 now_ms, u64 pages, u32 why,
		    u32 *cool_ms)
{
	if (now_ms >= policy->cap_until_ms || why != policy->cap_why) {
		policy->cool_ms = *cool_ms;
		*cool_ms = min(*cool_ms * 2, (u32)MAX_COOL_MS);
	}
	policy->cap = min(policy->cap, pages);
	policy->cap_why = why;
	policy->cap_until_ms = max(policy->cap_until_ms, now_ms + policy->cool_ms);
	policy->windows = 0;
}

/* A quiet window after the cool-down. */
static void cap_raise(struct cswap_policy *policy, u64 most)
{
	policy->cap += max(most / RAISE_SHARE, (u64)CSWAP_BLOCK_PAGES);
	if (policy->cap < most)
		return;
	policy->cap = CSWAP_NO_CAP;
	policy->pressure_cool_ms = PRESSURE_COOL_MS;
	policy->oom_cool_ms = OOM_COOL_MS;
}

static void brake(struct cswap_policy *policy, const struct cswap_policy_limits *limits,
		  const struct cswap_policy_sample *sample, u64 most)
{
	u64 percent;

	if (!policy->begun) {
		window_begin(policy, sample);
		policy->ooms = sample->ooms;
	}
	policy->own_reclaim |= sample->own_reclaim;
	if (sample->ooms != policy->ooms) {
		policy->ooms = sample->ooms;
		cap_set(policy, sample->now_ms, sample->out, VIRTIO_CSWAP_STOP_OOM,
			&policy->oom_cool_ms);
	}
	if (since(sample->now_ms, policy->since_ms) < WINDOW_MS)
		return;
	percent = pressure(policy, limits, sample);
	window_begin(policy, sample);
	policy->windows = percent >= 100 ? policy->windows + 1 : 0;
	if (policy->windows >= TRIP_WINDOWS) {
		policy->trips++;
		cap_set(policy, sample->now_ms,
			since(sample->out, max(sample->out / SHRINK_SHARE,
					       (u64)CSWAP_BLOCK_PAGES)),
			VIRTIO_CSWAP_STOP_PRESSURE, &policy->pressure_cool_ms);
	} else if (policy->cap != CSWAP_NO_CAP && percent < 50 &&
		   sample->now_ms >= policy->cap_until_ms) {
		cap_raise(policy, most);
	}
}

/* --- turns --- */

/* May it grow just now? */
static bool turn(struct cswap_policy *policy, const struct cswap_policy_sample *sample,
		 u64 goal)
{
	u64 now = sample->now_ms;

	if (policy->growing && sample->out > policy->last_out)
		policy->grew_ms += since(now, policy->last_ms);
	policy->last_ms = now;
	policy->last_out = sample->out;
	policy->growing = false;
	if (goal < sample->out) {
		policy->grow_at_ms = max(policy->grow_at_ms, now +
					 clamp(2 * policy->grew_ms, (u64)MIN_TURN_MS,
					       (u64)MAX_TURN_MS));
		policy->grew_ms = 0;
		return false;
	}
	if (now < policy->grow_at_ms)
		return false;
	policy->growing = sample->out + CSWAP_BLOCK_PAGES <= goal;
	return true;
}

struct cswap_policy_verdict cswap_policy_step(struct cswap_policy *policy,
					      const struct cswap_policy_limits *limits,
					      const struct cswap_policy_sample *sample)
{
	struct cswap_policy_verdict verdict = {
		.floor = floor_of(limits, sample->size),
		.why = VIRTIO_CSWAP_STOP_NONE,
	};
	u64 most = sample->size - verdict.floor;
	bool grows;

	brake(policy, limits, sample, most);
	verdict.goal = sample->target;
	if (verdict.goal > most) {
		verdict.goal = most;
		verdict.why = VIRTIO_CSWAP_STOP_FLOOR;
	}
	if (verdict.goal > policy->cap) {
		verdict.goal = policy->cap;
		verdict.why = policy->cap_why;
	}
	if (!limits->enabled && verdict.goal) {
		verdict.goal = 0;
		verdict.why = VIRTIO_CSWAP_STOP_OWNER;
	}
	grows = sample->out + CSWAP_BLOCK_PAGES <= verdict.goal;
	/* the floor is no reason before it's reached */
	if (grows && verdict.why == VIRTIO_CSWAP_STOP_FLOOR)
		verdict.why = VIRTIO_CSWAP_STOP_NONE;
	if (grows || sample->out > verdict.goal)
		verdict.why = verdict.why ?: VIRTIO_CSWAP_STOP_WORKING;
	if (!turn(policy, sample, verdict.goal))
		verdict.goal = min(verdict.goal, sample->out);
	return verdict;
}
