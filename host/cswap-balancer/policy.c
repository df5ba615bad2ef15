// SPDX-License-Identifier: GPL-2.0-only
/*
 * policy.c - how the host's memory is divided among its guests.
 *
 * Invariants, whatever the samples say:
 *
 * P1. A target leaves a guest its floor at least, and is never below zero.
 * P2. While the reserve is short no guest is given more than what it holds already.
 * P3. In a step a guest is asked for a step's worth more than before, at most.
 * P4. A guest that hurts or braked, or did a short while ago, gives nothing of its share
 *     for another's sake; it is asked only for the reserve, when no other guest can restore
 *     the reserve: the guest that hurts least first.
 * P5. Claims are claims. What a guest says of itself can cost it memory, or win it
 *     what is free, or its share: never what is another's share. What the host
 *     measures wins wherever claim and measure differ, within what its size makes possible.
 *     A guest that isn't admitted is charged what is measured, and promised nothing.
 * P6. A guest that makes no progress isn't asked for more; what it holds counts as
 *     held, so that no other guest is promised that memory.
 * P7. The verdict depends on nothing but the arguments: not on a clock, not on chance.
 *
 * Theory of operation. The policy reckons in allotments: what a target leaves to its
 * guest. A guest is charged what it holds or may take at any moment, whichever is
 * more: its allotment, or, until the memory is released, what it was left before. A
 * host whose guests are charged no more than it has (the budget) can't be surprised by
 * them, however fast they grow; so the balancer doesn't wait until memory is short. (By a guest
 * that isn't admitted it can be: the reserve is for that.)
 * The budget is measured: what is available now and what the guests use now, less
 * the reserve. So the budget takes everything else on the host into account as well.
 *
 * Each step begins with what each guest that is heard felt since it was heard last (feel) and
 * whether it did as it was asked (track). Then, in this order: the reserve is restored (restore);
 * guests that hurt get memory, from what is free at once, from others' idle memory as
 * soon as the others have released it (relieve); what is left over goes to guests that
 * are below their size (grow).
 *
 * Which guests give is decided as in a fund in which shares are weighed against what they
 * pay for. A guest keeps its weight times a level that is the same for all; the level sinks
 * until enough is given. The weight is the guest's shares, less a tax on its idle memory:
 * three quarters of idle memory count as if they were the first to go. Idle is what the
 * guest says is available, and an amount that grows with each minute in which next to
 * nothing comes back from its store: so much is cold. (If memory isn't cold after all its
 * pages come back, the guest hurts, and gets the memory back.) The SLO says how much is
 * next to nothing.
 *
 * Where all hurt, those in the least pain give first: down to their shares by all that is
 * known of their pain; below their shares, where what they say could cost others their
 * shares, by what the daemons counted. Pain goes by doublings, so that no guest is asked
 * because of a small difference, and a guest that gives feels more pain and is overtaken.
 *
 * Calm: a change of less than a band moves nothing. Nothing is taken for the cool-down's
 * time after a guest hurt; this time doubles each time. Nothing grows for as long after the
 * reserve was short, and then by a part of the room, because what was given shows in the
 * measures a moment later. What is on its way isn't asked for twice. What was promised and
 * doesn't come counts for as long as the patience lasts, and, of a guest that has no more
 * than its share, for the minute in which a driver that was given memory back may wait for
 * its turn.
 */
#include <linux/virtio_cswap.h>
#include <string.h>

#include "policy.h"

#define MINUTE_MS	60000u
#define PAGE_BYTES	4096u
/* Fewer pages a minute say nothing, whatever share of a small guest they are. */
#define MIN_PROMOTIONS	512u
/* It hurts at so many times the SLO: up to there it only isn't taxed. */
#define HURT_SLOS	16u
#define HURT_REFAULTS	100u		/* permille of the allotment a minute */
#define ANY_PAIN	1000000000u	/* and more than the worst */
#define GIVE_SHARE	8u		/* a guest that hurts gets this part of its allotment in a step */
#define GROW_SHARE	32u
#define GROW_PART	4u		/* of the room: measures lag behind what was given */
#define MAX_COOL_MS	(10 * MINUTE_MS)
#define MAX_RETRY_MS	(10 * MINUTE_MS)
/* So long a driver may wait with growing the balloon after it was given some back. */
#define TURN_MS		MINUTE_MS
#define COLD_PERMILLE	10u		/* a quiet second's worth of idleness */
#define MAX_COLD	700u
/* Between the claim and the measure there is this much of a VMM. */
#define LIE_BYTES	(64ULL << 20)
/* So much of a VMM, at the most, is beside the guest's memory: this part of it, or these bytes. */
#define VMM_SHARE	8u
#define VMM_BYTES	(1ULL << 30)
#define LEVEL_ROUNDS	40u

const char *const policy_reason_names[POLICY_REASONS] = {
	"new", "hold", "band", "reserve", "tax", "stall", "refault", "promotion", "grow", "brake",
	"floor", "stuck", "cooling", "drain", "paused", "late", "unready", "refused",
};

const struct policy_conf policy_defaults = {
	.reserve_bytes = 1ULL << 30,
	.band_bytes = 64ULL << 20,
	.step_permille = 40,
	.tax_percent = 75,
	.slo_permille = 2,
	.stall_permille = 50,
	.cool_ms = 15000,
	.patience_ms = 20000,
	.answers = 0,
};

/* --- helpers --- */

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* 0 instead of what is below. */
static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* @of, times @part / @whole. */
static uint64_t part_of(uint64_t of, uint64_t part, uint64_t whole)
{
	return whole ? (uint64_t)((unsigned __int128)of * part / whole) : 0;
}

static uint64_t size_of(const struct policy_guest_sample *sample)
{
	return min64(sample->size, POLICY_MAX_BYTES);
}

static uint64_t floor_of(const struct policy_guest_sample *sample)
{
	return min64(sample->floor, size_of(sample));
}

static uint64_t shares_of(const struct policy_guest_sample *sample)
{
	return sample->shares < 1 ? 1 : min64(sample->shares, POLICY_MAX_SHARES);
}

/* What it says it keeps; the rest can't be taken back without asking. */
static uint64_t kept_by(const struct policy_guest_sample *sample)
{
	return less(size_of(sample), sample->released);
}

/*
 * The measure comes through the guest's daemon, which a guest may have taken over: it counts up to what a VMM of that
 * size may take, which others would have to give. What is used beyond that the host hasn't available.
 */
static uint64_t used_by(const struct policy_guest_sample *sample)
{
	const uint64_t size = size_of(sample), most = size + max64(size / VMM_SHARE, VMM_BYTES);

	return sample->has_used ? min64(sample->used, most) : kept_by(sample);
}

/* What it holds or may touch. */
static uint64_t held_by(const struct policy_guest_sample *sample)
{
	return max64(kept_by(sample), used_by(sample));
}

/* It can't give these; but they are for it alone. */
static uint64_t tags_of(const struct policy_guest_sample *sample)
{
	return min64(sample->tags, POLICY_MAX_BYTES);
}

static uint64_t step_of(const struct policy *policy, const struct policy_guest_sample *sample)
{
	return max64(size_of(sample) * policy->conf.step_permille / 1000, POLICY_BLOCK);
}

static bool is_heard(const struct policy_guest_sample *sample)
{
	return sample->ready && !sample->late;
}

static bool is_managed(const struct policy_guest_sample *sample)
{
	return is_heard(sample) && sample->mode == POLICY_AUTO;
}

/* A change of a count in a minute, as permille of @of pages' bytes; counts may fall back. */
static unsigned int permille_a_minute(uint64_t now, uint64_t before, uint64_t ms, uint64_t of)
{
	uint64_t pages = min64(less(now, before), 1ULL << 36) * MINUTE_MS / ms;

	if (pages < MIN_PROMOTIONS)
		return 0;
	of = max64(of / PAGE_BYTES / 1000, 1);
	return (unsigned int)min64(pages / of, 1000000);
}

/* Half of what it was, half of what it is: a second's burst is no trend. */
static unsigned int smooth(unsigned int old, unsigned int new)
{
	return (old + new + (new > old)) / 2;
}

void policy_forget(struct policy_guest *guest)
{
	memset(guest, 0, sizeof(*guest));
}

/* --- what a guest felt --- */

static void begin(struct policy_guest *guest, const struct policy_guest_sample *sample,
		  uint64_t now_ms)
{
	policy_forget(guest);
	/* Before its first answer there's nothing to go on from: it begins again with that. */
	guest->begun = sample->ready && !sample->late;
	guest->last_ms = guest->report_ms = now_ms;
	guest->report_number = sample->report_number;
	guest->loaded_pages = sample->loaded_pages;
	guest->swap_in_ns = sample->swap_in_ns;
	guest->refaults = sample->refaults;
	guest->target = min64(sample->asked, size_of(sample) - floor_of(sample));
	guest->asked_ms = now_ms;
	guest->best = held_by(sample);
}

/* The claims, once for each report. */
static void feel_report(struct policy_guest *guest, const struct policy_guest_sample *sample,
			uint64_t now_ms)
{
	uint64_t ms = now_ms - guest->report_ms;

	if (!sample->has_report || sample->report_number == guest->report_number || ms < 100) {
		/* Without news nothing hurts for longer than a few periods. */
		if (ms > MINUTE_MS)
			guest->stall_permille = guest->refault_permille = 0;
		return;
	}
	/* What the first report counts began with the guest, and not with the balancer. */
	if (guest->report_number) {
		guest->stall_permille = smooth(guest->stall_permille,
			(unsigned int)min64(less(sample->swap_in_ns, guest->swap_in_ns) / (ms * 1000), 1000));
		guest->refault_permille = smooth(guest->refault_permille,
			permille_a_minute(sample->refaults, guest->refaults, ms, guest->allot));
	}
	guest->swap_in_ns = sample->swap_in_ns;
	guest->refaults = sample->refaults;
	guest->report_number = sample->report_number;
	guest->report_ms = now_ms;
}

static void feel_idle(struct policy_guest *guest, const struct policy_guest_sample *sample,
		      uint64_t ms)
{
	uint64_t cold, free;

	guest->quiet_ms = guest->quiet ? guest->quiet_ms + ms : 0;
	cold = min64(guest->quiet_ms / 1000 * COLD_PERMILLE, MAX_COLD);
	free = sample->has_report ? min64(sample->available, guest->allot) * 1000 /
					    max64(guest->allot, 1) : 0;
	guest->idle_permille = guest->hurt ? 0 : (unsigned int)max64(cold, min64(free, 900));
}

static void feel(const struct policy *policy, struct policy_guest *guest,
		 const struct policy_guest_sample *sample, uint64_t now_ms)
{
	const struct policy_conf *conf = &policy->conf;
	uint64_t ms = now_ms - guest->last_ms;
	bool hurt;

	if (!ms)
		return;
	guest->promotion_permille = smooth(guest->promotion_permille,
		permille_a_minute(sample->loaded_pages, guest->loaded_pages, ms, guest->allot));
	guest->loaded_pages = sample->loaded_pages;
	guest->last_ms = now_ms;
	feel_report(guest, sample, now_ms);
	hurt = guest->stall_permille > conf->stall_permille ||
	       guest->refault_permille > HURT_REFAULTS ||
	       guest->promotion_permille > HURT_SLOS * conf->slo_permille;
	guest->quiet = guest->promotion_permille <= conf->slo_permille &&
		       guest->stall_permille <= conf->stall_permille / 4 &&
		       guest->refault_permille <= HURT_REFAULTS / 4;
	if (hurt && !guest->hurt) {
		/* Soon after it gave something: that was too much, and the next time later. */
		if (guest->cool_ms && now_ms < guest->cool_until_ms + 2 * (uint64_t)guest->cool_ms)
			guest->cool_ms = (unsigned int)min64(2 * (uint64_t)guest->cool_ms, MAX_COOL_MS);
		else
			guest->cool_ms = conf->cool_ms;
	}
	if (hurt)
		guest->cool_until_ms = now_ms + guest->cool_ms;
	guest->hurt = hurt;
	feel_idle(guest, sample, ms);
}

/* --- whether it did as it was asked --- */

/* It says that it gave what it did not. */
static bool is_lying(const struct policy_guest *guest, const struct policy_guest_sample *sample)
{
	uint64_t kept = kept_by(sample);

	return sample->has_used && sample->released > LIE_BYTES &&
	       less(used_by(sample), kept) > max64(size_of(sample) / 8, LIE_BYTES) &&
	       guest->target;
}

/* What a guest that gave reasons keeps is what it is left. */
static bool has_braked(const struct policy_guest_sample *sample)
{
	switch (sample->stopped) {
	case VIRTIO_CSWAP_STOP_FLOOR:
	case VIRTIO_CSWAP_STOP_MEMORY:
	case VIRTIO_CSWAP_STOP_PRESSURE:
	case VIRTIO_CSWAP_STOP_OOM:
		return sample->has_report;
	default:
		return false;
	}
}

static void note_progress(struct policy_guest *guest, uint64_t held, uint64_t now_ms)
{
	guest->best = held;
	guest->asked_ms = now_ms;
	guest->stuck = guest->lies = false;
	guest->retry_wait_ms = 0;
	guest->answer = 0;
}

/* Not asked again for a while; then with a step, to see. */
static void give_up(const struct policy *policy, struct policy_guest *guest,
		    const struct policy_guest_sample *sample, uint64_t now_ms)
{
	guest->stuck = true;
	guest->retry_wait_ms = (unsigned int)min64(max64(2 * (uint64_t)guest->retry_wait_ms,
							 policy->conf.patience_ms), MAX_RETRY_MS);
	guest->retry_ms = now_ms + guest->retry_wait_ms;
	guest->asked_ms = now_ms;
	guest->best = held_by(sample);
}

/*
 * It has said why: it's left what it keeps, and isn't asked for a while, longer each time; but by
 * the reserve, which may go on asking meanwhile.
 */
static void brake(const struct policy *policy, struct policy_guest *guest,
		  const struct policy_guest_sample *sample, uint64_t now_ms)
{
	guest->target = min64(sample->released, guest->target);
	if (now_ms < guest->brake_until_ms)
		return;
	if (guest->brake_ms && now_ms < guest->brake_until_ms + 2 * (uint64_t)guest->brake_ms)
		guest->brake_ms = (unsigned int)min64(2 * (uint64_t)guest->brake_ms, MAX_COOL_MS);
	else
		guest->brake_ms = policy->conf.cool_ms;
	guest->brake_until_ms = now_ms + guest->brake_ms;
}

/* So much is more than its share, beyond doubt. */
static bool is_rich(const struct policy_guest *guest, uint64_t bytes)
{
	return bytes > guest->fair + guest->fair / 8;
}

/*
 * Its reasons hold down to its share; beyond that they don't while the reserve is short, what is
 * on its way included, because that may be what it doesn't give.
 */
static bool is_excused(const struct policy *policy, const struct policy_guest *guest, uint64_t held)
{
	return policy->charged <= policy->budget + policy->conf.band_bytes ||
	       !is_rich(guest, held);
}

static void track(const struct policy *policy, struct policy_guest *guest,
		  const struct policy_guest_sample *sample, uint64_t now_ms)
{
	uint64_t held = held_by(sample), allot = size_of(sample) - guest->target;
	bool lies = is_lying(guest, sample);
	bool owes = guest->target > sample->released + POLICY_BLOCK || lies;

	if (!owes || held + POLICY_BLOCK <= guest->best) {
		if (!guest->stuck || !owes || held + POLICY_BLOCK <= guest->best)
			note_progress(guest, held, now_ms);
	} else if (!lies && has_braked(sample) && is_excused(policy, guest, held)) {
		brake(policy, guest, sample, now_ms);
		note_progress(guest, held, now_ms);
	} else if (now_ms - guest->asked_ms > policy->conf.patience_ms &&
		   (now_ms >= guest->turn_until_ms || !is_excused(policy, guest, held))) {
		guest->lies = lies;
		give_up(policy, guest, sample, now_ms);
	}
	/* What it takes beside what it was left, once it has given what it owes. */
	if (!owes || lies)
		guest->over = less(used_by(sample), max64(kept_by(sample), allot));
	guest->over = min64(guest->over, POLICY_MAX_BYTES);
}

/* --- the budget --- */

/* First come, first admitted: the guests are in that order. */
static void admit(struct policy *policy, const struct policy_host_sample *host,
		  const struct policy_guest_sample *samples)
{
	uint64_t promised = policy->conf.reserve_bytes;
	uint64_t limit = min64(host->limit, POLICY_MAX_BYTES);
	size_t i;

	for (i = 0; i < policy->count; i++) {
		uint64_t floor = floor_of(&samples[i]);

		policy->guest[i].admitted = floor <= less(limit, promised);
		if (policy->guest[i].admitted)
			promised += floor;
	}
}

/* What is on its way back, of a guest that may be expected to give it. */
static uint64_t pending_of(const struct policy_guest *guest,
			   const struct policy_guest_sample *sample)
{
	if (guest->stuck || !sample->ready || sample->late)
		return 0;
	return less(guest->charge, guest->allot + guest->over + tags_of(sample));
}

/*
 * A guest that isn't admitted is promised nothing, so it is charged what the host measures: its size, which
 * doesn't fit, would cost the others all but their floors whether it uses its memory or not. What it
 * takes beyond that it takes from the reserve, and the next step sees it. If it isn't measured its
 * claim isn't enough for this.
 */
static bool is_by_measure(const struct policy_guest *guest, const struct policy_guest_sample *sample)
{
	return !guest->admitted && sample->has_used;
}

static uint64_t charge_of(const struct policy_guest *guest, const struct policy_guest_sample *sample)
{
	uint64_t charge = is_by_measure(guest, sample) ? used_by(sample) :
			  max64(guest->allot + guest->over, held_by(sample));

	return charge + tags_of(sample);
}

/*
 * What measures count twice, or a daemon measures that isn't right, makes no memory: there is no more than the limit.
 * But what is used is there: guests may be outside of the cgroup whose limit it is, as the daemons with their
 * tags may, and memory's files count though they are swapped out.
 */
static uint64_t what_there_is(const struct policy_host_sample *host, uint64_t used)
{
	return min64(min64(host->available, POLICY_MAX_BYTES) + used,
		     max64(min64(host->limit, POLICY_MAX_BYTES), used));
}

static void reckon(struct policy *policy, const struct policy_host_sample *host,
		   const struct policy_guest_sample *samples)
{
	uint64_t used = 0, tags = 0;
	size_t i;

	policy->charged = policy->pending = 0;
	for (i = 0; i < policy->count; i++) {
		struct policy_guest *guest = &policy->guest[i];

		guest->allot = size_of(&samples[i]) - guest->target;
		guest->charge = charge_of(guest, &samples[i]);
		policy->charged += guest->charge;
		policy->pending += pending_of(guest, &samples[i]);
		used += used_by(&samples[i]);
		tags += tags_of(&samples[i]);
	}
	policy->budget = less(what_there_is(host, used) + tags,
			      policy->conf.reserve_bytes);
	policy->short_bytes = less(policy->charged, policy->budget + policy->pending);
}

/* --- dividing --- */

/* What all give if each keeps its weight times @level. */
static uint64_t given_at(struct policy *policy, size_t bids, uint64_t level)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < bids; i++) {
		const struct policy_bid *bid = &policy->bid[i];

		sum += min64(bid->cap, less(bid->have, level * bid->weight));
	}
	policy->work += bids;
	return sum;
}

/*
 * The highest level at which @bytes are given, or nearly: more than that isn't, but for
 * what the last round leaves. Weights are shares times permille, below 2^24; a level
 * so is below 2^39.
 */
static uint64_t find_level(struct policy *policy, size_t bids, uint64_t bytes)
{
	uint64_t low = 0, high = 1ULL << 39;
	unsigned int round;

	for (round = 0; round < LEVEL_ROUNDS && high - low > 1; round++) {
		uint64_t middle = low + (high - low) / 2;
		uint64_t given = given_at(policy, bids, middle);

		if (given < bytes) {
			high = middle;
			continue;
		}
		low = middle;
		if (given - bytes <= bytes / 64)
			break;
	}
	return low;
}

/*
 * A fair share of the budget: shares times a level, within floor and size. One that is charged by measure has
 * its floor, and takes no part in dividing what others leave.
 */
static void find_fair(struct policy *policy, const struct policy_guest_sample *samples)
{
	uint64_t size = 0, level, floors = 0, tags = 0;
	size_t i;

	for (i = 0; i < policy->count; i++) {
		if (is_by_measure(&policy->guest[i], &samples[i])) {
			policy->bid[i] = (struct policy_bid) { .weight = 1 };
			tags += policy->guest[i].charge;
			continue;
		}
		policy->bid[i] = (struct policy_bid) {
			.have = size_of(&samples[i]),
			.cap = size_of(&samples[i]) - floor_of(&samples[i]),
			.weight = shares_of(&samples[i]) * 1000,
		};
		size += policy->bid[i].have;
		floors += floor_of(&samples[i]);
		tags += tags_of(&samples[i]);
	}
	level = less(policy->budget, tags) < floors ? 0 :
		find_level(policy, policy->count, less(size, less(policy->budget, tags)));
	for (i = 0; i < policy->count; i++) {
		const struct policy_bid *bid = &policy->bid[i];

		policy->guest[i].fair = bid->have - min64(bid->cap, less(bid->have, level * bid->weight));
		if (is_by_measure(&policy->guest[i], &samples[i]))
			policy->guest[i].fair = floor_of(&samples[i]);
	}
}

/*
 * Those for the reserve alone, at the end, are asked by their pain: brakes and cool-downs
 * don't spare them.
 */
enum tier {
	TIER_REFUSED,			/* isn't admitted */
	TIER_QUIET,			/* has not needed what it gave */
	TIER_RICH,			/* has more than its share, down to the share */
	TIER_ALL,			/* is above its floor, and didn't just hurt */
	TIER_PAINED,			/* has more than its share, down to the share */
	TIER_POOR,			/* is above its floor */
};

/* Those of a tier that are in no more pain than this. */
struct crowd {
	enum tier tier;
	unsigned int pain;
};

/* Permille of what counts as hurting. */
static unsigned int pain_of(const struct policy *policy, const struct policy_guest *guest,
			    bool by_claims)
{
	const struct policy_conf *conf = &policy->conf;
	uint64_t pain = 1000ULL * guest->promotion_permille / max64(HURT_SLOS * conf->slo_permille, 1);

	if (by_claims) {
		pain = max64(pain, 1000ULL * guest->stall_permille / max64(conf->stall_permille, 1));
		pain = max64(pain, 1000ULL * guest->refault_permille / HURT_REFAULTS);
	}
	return (unsigned int)min64(pain, ANY_PAIN);
}

static bool is_in_crowd(const struct policy *policy, const struct policy_guest *guest,
			const struct crowd *crowd, uint64_t now_ms)
{
	bool spared = guest->hurt || now_ms < guest->cool_until_ms;

	switch (crowd->tier) {
	case TIER_REFUSED:
		return !guest->admitted;
	case TIER_QUIET:
		return !spared && guest->quiet;
	case TIER_RICH:
		return is_rich(guest, guest->allot);
	case TIER_ALL:
		return !spared;
	default:
		return pain_of(policy, guest, crowd->tier == TIER_PAINED) <= crowd->pain;
	}
}

/* What a guest can be asked for in this step; it was asked for @taken already. */
static uint64_t cap_of(const struct policy *policy, const struct policy_guest *guest,
		       const struct policy_guest_sample *sample, enum tier tier, uint64_t now_ms)
{
	uint64_t taken = less(guest->allot, size_of(sample) - guest->target);
	uint64_t step = less(step_of(policy, sample), taken);

	if (!is_managed(sample) || (guest->stuck && now_ms < guest->retry_ms) ||
	    (tier < TIER_PAINED && now_ms < guest->brake_until_ms))
		return 0;
	/* One that was stuck is asked for a block, to see. */
	if (guest->stuck)
		step = min64(step, less(POLICY_BLOCK, taken));
	if (tier == TIER_RICH || tier == TIER_PAINED)
		step = min64(step, less(size_of(sample) - guest->target, guest->fair));
	return min64(step, less(size_of(sample) - guest->target, floor_of(sample)));
}

static uint64_t weight_of(const struct policy *policy, const struct policy_guest *guest,
			  const struct policy_guest_sample *sample)
{
	uint64_t tax = (uint64_t)guest->idle_permille * min64(policy->conf.tax_percent, 99) / 100;

	return shares_of(sample) * max64(1000 - tax, 1);
}

static size_t collect_bids(struct policy *policy, const struct policy_guest_sample *samples,
			   const struct crowd *crowd, uint64_t now_ms)
{
	size_t i, bids = 0;

	for (i = 0; i < policy->count; i++) {
		const struct policy_guest *guest = &policy->guest[i];
		uint64_t cap;

		if (!is_in_crowd(policy, guest, crowd, now_ms))
			continue;
		cap = cap_of(policy, guest, &samples[i], crowd->tier, now_ms);
		if (cap)
			policy->bid[bids++] = (struct policy_bid) {
				.have = size_of(&samples[i]) - guest->target, .cap = cap,
				.weight = weight_of(policy, guest, &samples[i]),
				.index = (uint32_t)i,
			};
	}
	policy->work += policy->count;
	return bids;
}

/* Ask a crowd for @bytes. Returns for how much its guests were asked. */
static uint64_t take(struct policy *policy, const struct policy_guest_sample *samples,
		     struct crowd crowd, uint64_t bytes, enum policy_reason reason, uint64_t now_ms)
{
	size_t i, bids = bytes ? collect_bids(policy, samples, &crowd, now_ms) : 0;
	uint64_t level = bids ? find_level(policy, bids, bytes) : 0, taken = 0;

	for (i = 0; i < bids && taken < bytes; i++) {
		const struct policy_bid *bid = &policy->bid[i];
		struct policy_guest *guest = &policy->guest[bid->index];
		uint64_t by = min64(bid->cap, less(bid->have, level * bid->weight));

		/* Whole blocks, rounded up where there is one. */
		by = min64((by + POLICY_BLOCK - 1) / POLICY_BLOCK * POLICY_BLOCK, bid->cap);
		if (!by)
			continue;
		guest->target += by;
		guest->reason = reason;
		guest->taken_ms = now_ms;
		taken += by;
	}
	return taken;
}

/* --- the order of things --- */

/* What guests that are charged by measure were left and don't use: to ask for that restores nothing. */
static uint64_t unused_by_refused(const struct policy *policy, const struct policy_guest_sample *samples)
{
	uint64_t unused = 0;
	size_t i;

	for (i = 0; i < policy->count; i++)
		if (is_by_measure(&policy->guest[i], &samples[i]))
			unused += less(policy->guest[i].allot, used_by(&samples[i]));
	return unused;
}

/* The reserve comes first. */
static void restore(struct policy *policy, const struct policy_guest_sample *samples,
		    uint64_t now_ms)
{
	static const struct crowd crowds[] = {
		{ TIER_QUIET, ANY_PAIN }, { TIER_RICH, ANY_PAIN },
		{ TIER_ALL, ANY_PAIN },
		{ TIER_PAINED, 1000 }, { TIER_PAINED, 2000 }, { TIER_PAINED, 4000 },
		{ TIER_PAINED, 8000 }, { TIER_PAINED, ANY_PAIN },
		{ TIER_POOR, 1000 }, { TIER_POOR, 2000 }, { TIER_POOR, 4000 },
		{ TIER_POOR, 8000 }, { TIER_POOR, ANY_PAIN },
	};
	uint64_t missing = policy->short_bytes, unused;
	size_t i;

	if (missing <= policy->conf.band_bytes)
		return;
	policy->grow_at_ms = now_ms + policy->conf.cool_ms;
	unused = unused_by_refused(policy, samples);
	missing = less(missing, less(take(policy, samples, (struct crowd){ TIER_REFUSED, ANY_PAIN },
					  missing + unused, POLICY_RESERVE, now_ms), unused));
	for (i = 0; i < sizeof(crowds) / sizeof(crowds[0]) && missing; i++)
		missing = less(missing, take(policy, samples, crowds[i], missing,
					     POLICY_RESERVE, now_ms));
}

static enum policy_reason hurt_reason(const struct policy *policy,
				      const struct policy_guest *guest)
{
	if (guest->stall_permille > policy->conf.stall_permille)
		return POLICY_STALL;
	return guest->refault_permille > HURT_REFAULTS ? POLICY_REFAULT : POLICY_PROMOTION;
}

/* What a guest would like to have in this step. */
static uint64_t wish_of(const struct policy *policy, const struct policy_guest *guest,
			const struct policy_guest_sample *sample)
{
	uint64_t part, missing = guest->target;

	if (!sample->ready || sample->late || !guest->admitted)
		return 0;
	if (sample->mode == POLICY_MODE_DRAIN)
		part = size_of(sample) / GIVE_SHARE;
	else if (sample->mode == POLICY_AUTO && guest->hurt)
		part = guest->allot / GIVE_SHARE;
	else
		return 0;
	/* While the reserve is short, what it has is all it gets. */
	if (policy->short_bytes > policy->conf.band_bytes)
		return 0;
	return min64(max64(part, 4 * POLICY_BLOCK), missing);
}

/* Whole blocks, but for the last. */
static uint64_t in_blocks(uint64_t bytes, uint64_t all)
{
	return bytes >= all ? all : bytes / POLICY_BLOCK * POLICY_BLOCK;
}

/* Give part of each wish, so that no more than @room goes. Returns what went. */
static uint64_t grant(struct policy *policy, const struct policy_guest_sample *samples,
		      uint64_t wishes, uint64_t room)
{
	uint64_t given = 0;
	size_t i;

	for (i = 0; i < policy->count; i++) {
		struct policy_guest *guest = &policy->guest[i];
		uint64_t wish = wish_of(policy, guest, &samples[i]), by, free = less(room, given);

		if (!wish)
			continue;
		by = wishes <= room ? wish : part_of(room, wish, wishes);
		by = in_blocks(min64(max64(by, min64(POLICY_BLOCK, free)), free), guest->target);
		by = min64(by, free);
		guest->reason = samples[i].mode == POLICY_MODE_DRAIN ? POLICY_DRAIN :
								       hurt_reason(policy, guest);
		guest->target -= by;
		given += by;
	}
	return given;
}

/* Those that hurt get what is free, and others are asked for the rest. */
static uint64_t relieve(struct policy *policy, const struct policy_guest_sample *samples,
			uint64_t room, uint64_t now_ms)
{
	uint64_t wishes = 0, given, missing, poor = 0;
	size_t i;

	for (i = 0; i < policy->count; i++) {
		const struct policy_guest *guest = &policy->guest[i];
		uint64_t wish = wish_of(policy, guest, &samples[i]);

		wishes += wish;
		if (guest->allot < guest->fair - guest->fair / 8)
			poor += wish;
	}
	if (!wishes)
		return room;
	given = grant(policy, samples, wishes, room);
	/* What is on its way already isn't asked for twice. */
	missing = less(wishes, given + policy->pending);
	missing = less(missing, take(policy, samples, (struct crowd){ TIER_QUIET, ANY_PAIN }, missing,
				     POLICY_TAX, now_ms));
	take(policy, samples, (struct crowd){ TIER_RICH, ANY_PAIN }, min64(missing, poor), POLICY_TAX,
	     now_ms);
	return 0;
}

/* Those below their share come first. */
static bool may_grow(const struct policy_guest *guest, const struct policy_guest_sample *sample,
		     bool below_share)
{
	return is_managed(sample) && guest->admitted && guest->target &&
	       (!below_share || guest->allot < guest->fair);
}

/* What no guest asks for goes to guests that are below their size, in small steps. */
static void grow(struct policy *policy, const struct policy_guest_sample *samples, uint64_t room,
		 uint64_t now_ms)
{
	uint64_t wanted = 0;
	bool below_share = false;
	size_t i;

	/* A clock that fell back doesn't stop it for ever. */
	if (policy->grow_at_ms > now_ms + policy->conf.cool_ms)
		policy->grow_at_ms = now_ms;
	if (room <= 2 * policy->conf.band_bytes || now_ms < policy->grow_at_ms)
		return;
	room = max64((room - policy->conf.band_bytes) / GROW_PART, POLICY_BLOCK);
	for (i = 0; i < policy->count; i++)
		if (may_grow(&policy->guest[i], &samples[i], true))
			below_share = true;
	for (i = 0; i < policy->count; i++)
		if (may_grow(&policy->guest[i], &samples[i], below_share))
			wanted += policy->guest[i].target;
	for (i = 0; i < policy->count && room >= POLICY_BLOCK; i++) {
		struct policy_guest *guest = &policy->guest[i];
		uint64_t by, most = max64(size_of(&samples[i]) / GROW_SHARE, POLICY_BLOCK);

		if (!may_grow(guest, &samples[i], below_share))
			continue;
		by = part_of(room, guest->target, wanted);
		by = in_blocks(min64(min64(max64(by, POLICY_BLOCK), most), room), guest->target);
		wanted -= guest->target;
		guest->target -= by;
		room -= by;
		guest->reason = by ? POLICY_GROW : POLICY_HOLD;
	}
}

/* --- the guest's reason, when nothing was moved --- */

static enum policy_reason rest_reason(const struct policy *policy, const struct policy_guest *guest,
				      const struct policy_guest_sample *sample, uint64_t now_ms)
{
	if (sample->late)
		return POLICY_LATE;
	if (!sample->ready)
		return POLICY_UNREADY;
	if (sample->mode != POLICY_AUTO)
		return sample->mode == POLICY_MODE_DRAIN ? POLICY_DRAIN : POLICY_PAUSED;
	if (!guest->admitted)
		return POLICY_REFUSED;
	if (guest->stuck)
		return POLICY_STUCK;
	if (now_ms < guest->brake_until_ms)
		return POLICY_BRAKE;
	if (guest->hurt)
		return hurt_reason(policy, guest);
	if (now_ms < guest->cool_until_ms)
		return POLICY_COOLING;
	if (size_of(sample) - guest->target <= floor_of(sample))
		return POLICY_FLOOR;
	return policy->short_bytes ? POLICY_BAND : POLICY_HOLD;
}

/*
 * One more answer for each patience that a stuck guest keeps the reserve short. No answer when the
 * reserve isn't short any more, because then the guest costs no other guest anything, and a guest that
 * was frozen can't show progress. No answer to a guest that an operator has paused or drains; and none that is
 * harder to a guest that isn't heard, which could release nothing.
 */
static void escalate(const struct policy *policy, struct policy_guest *guest,
		     const struct policy_guest_sample *sample, uint64_t now_ms)
{
	bool is_short = policy->short_bytes > policy->conf.band_bytes;

	if (sample->mode != POLICY_AUTO)
		guest->answer = 0;
	if (!is_heard(sample)) {
		guest->answer = is_short ? guest->answer : 0;
		guest->answer_ms = now_ms;
	}
	if (sample->mode != POLICY_AUTO || !is_heard(sample) || !guest->stuck ||
	    (guest->answer && now_ms - guest->answer_ms <= policy->conf.patience_ms))
		return;
	guest->answer_ms = now_ms;
	if (!is_short)
		guest->answer = 0;
	else if (guest->answer < policy->conf.answers)
		guest->answer++;
}

/*
 * While an operator has a guest in hand its target is what its daemon says, however that was set: the guest
 * is charged for that target, and a drain gives back from there.
 */
static void follow(struct policy_guest *guest, const struct policy_guest_sample *sample)
{
	if (sample->mode != POLICY_AUTO && is_heard(sample))
		guest->target = sample->asked;
}

/* P1 and what sizes and floors that change make of it. */
static void bound(struct policy_guest *guest, const struct policy_guest_sample *sample)
{
	guest->target = min64(guest->target, size_of(sample) - floor_of(sample));
}

static void look(struct policy *policy, const struct policy_guest_sample *samples,
		 uint64_t now_ms)
{
	size_t i;

	for (i = 0; i < policy->count; i++) {
		struct policy_guest *guest = &policy->guest[i];

		/* Clocks that fall back, and guests that came anew, begin again. */
		if (!guest->begun || now_ms < guest->last_ms)
			begin(guest, &samples[i], now_ms);
		follow(guest, &samples[i]);
		bound(guest, &samples[i]);
		guest->allot = size_of(&samples[i]) - guest->target;
		if (is_heard(&samples[i])) {
			feel(policy, guest, &samples[i], now_ms);
			track(policy, guest, &samples[i], now_ms);
		} else {
			guest->asked_ms = now_ms;	/* It can release nothing: this isn't its time. */
		}
		guest->reason = POLICY_REASONS;
	}
}

void policy_step(struct policy *policy, const struct policy_host_sample *host,
		 const struct policy_guest_sample *samples, uint64_t now_ms)
{
	uint64_t room;
	size_t i;

	look(policy, samples, now_ms);
	admit(policy, host, samples);
	reckon(policy, host, samples);
	find_fair(policy, samples);
	restore(policy, samples, now_ms);
	room = less(policy->budget, policy->charged);
	room = relieve(policy, samples, room, now_ms);
	grow(policy, samples, room, now_ms);
	for (i = 0; i < policy->count; i++) {
		struct policy_guest *guest = &policy->guest[i];

		bound(guest, &samples[i]);
		if (size_of(&samples[i]) - guest->target > guest->allot &&
		    guest->target < samples[i].released)
			guest->turn_until_ms = now_ms + TURN_MS;
		escalate(policy, guest, &samples[i], now_ms);
		if (guest->reason == POLICY_REASONS)
			guest->reason = rest_reason(policy, guest, &samples[i], now_ms);
	}
}
