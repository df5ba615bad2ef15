/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * slots_model.h - a shard of slots with its writers, readers and device, and what must hold.
 *
 * Theory of operation
 *
 * struct model is everything that matters: the driver's own data (which links
 * by index, so that a model can be copied as bytes), the pages of the pool, what
 * the device has on disk, and the ground truth that the driver doesn't know:
 * which version of a slot was stored last, whether it's still wanted, and what
 * is in flight. A page's content is a number, its version.
 *
 * model_step() carries out one action of somebody: a writer, a reader, the swap
 * core, the sender or the device. It calls the driver's code, demands the right
 * result and keeps the truth up to date. The device is honest in what it says,
 * but slow and mortal: it executes a request at any moment between its sending
 * and its answer, halfway (torn) or repeatedly, as a daemon that is killed and
 * started again would. model_check_state() and model_check_lies() demand, in
 * any state:
 *
 *	I1	at most one operation is in flight for a slot, and a copy waits
 *		(DEFERRED) only behind one
 *	truth	a wanted slot's last version is in the copy that its record names,
 *		or whole on the device under the counter in the record
 *	loads	whenever the device executes a LOAD, it finds the version that the
 *		driver expects; a reader who asks again never waits
 *	groups	a request is of neighbours, of all that wait in a row and fit; what has
 *		failed goes alone; the device does its pages one by one and tells of all at once
 *	pool	every copy and load is in exactly one place; a page that is sent or
 *		read doesn't change
 *	lies	late, repeated, forged and misdirected cookies change nothing
 *
 * Checks: driver-request-one-in-flight, driver-request-load-then-write
 * Checks: driver-request-cookie, driver-request-memory, driver-store-keep
 * Checks: driver-response-both, driver-response-cookie, driver-init-unknown
 * Checks: driver-discard-contents
 *
 * model_drain() demands progress: if the device answers and owners finish, all
 * is sent and free, and freed slots can be discarded.
 *
 * A concurrent cswap_slot_free() strikes inside of an action where the bits of
 * @strikes say so: bit i is the i-th access to the record of a wanted slot, the
 * first access to each slot left out, which equals a free before the action.
 *
 * The includer sets MODEL_SLOTS, MODEL_COPIES, MODEL_LOADS (most that a
 * configuration may have) and defines model_violation().
 */
#ifndef SLOTS_MODEL_H
#define SLOTS_MODEL_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "slots_hooked.h"

#define MODEL_RANGES	4

_Noreturn __attribute__((format(printf, 1, 2)))
void model_violation(const char *format, ...);

#define REQUIRE(condition, ...) \
	do { if (!(condition)) model_violation(__VA_ARGS__); } while (0)

struct model_config {
	const char *name;
	u32 slots, copies, loads, max_sent;
	u32 writers, readers, ranges;	/* at a time, at most */
	bool taken_over;		/* the device holds what was there before */
	u32 group;			/* pages of a request at most; 0: one */
	u32 asked;			/* LOADs in flight at most; 0: as many as there are loads */
	u32 descriptors;		/* of STOREs in flight; 0: for one more than max_sent */
};

enum { PAGE_NOTHING = 0, PAGE_TORN = 0xffffffff };

/* The store counter of a version: of all the bits that a record has room for. */
static inline u64 model_counter(u32 version)
{
	return 0xa5ULL << 48 | version;
}

/* Sequence numbers begin here, so that they wrap soon. */
#define MODEL_FIRST_SEQ	0xfffffffeULL
#define MODEL_LOAD_BIT	0x80000000ULL	/* in a LOAD's cookie */

enum model_wanted { NEVER, WANTED, FREED };
enum model_exec { EXEC_NOT, EXEC_TORN, EXEC_WHOLE };
enum model_answer { ANSWER_NONE, ANSWER_OK, ANSWER_FAILED };
enum model_discard { DISCARD_NONE, DISCARD_SENT, DISCARD_DONE, DISCARD_LOST };

struct model_slot {
	u32 last;		/* the version stored last */
	u32 device;		/* what the device has: a version, NOTHING or TORN */
	u8 wanted, discard;
};

struct model_copy {
	u64 cookie, stale;	/* of the STORE in flight; of the one before */
	u32 page;		/* the version in the page */
	u32 read_version;	/* what its readers read */
	u32 slot, tag;		/* of the STORE in flight, as sent */
	u8 readers, first;	/* in flight: the first copy of its group */
	bool filling, in_flight, chain_back;
	bool failed;		/* a STORE of what is in it has failed, or waits for a reset */
	u8 exec, answer;
};

struct model_load {
	u64 cookie, stale;
	u32 slot, expect;
	u8 first;		/* in flight: the first load of its group */
	bool queued, single;	/* to be sent, and alone */
	bool in_flight, chain_back, answered, owner;
};

struct model {
	struct cswap_shard shard;
	cswap_record_t record[MODEL_SLOTS];
	struct cswap_copy copy[MODEL_COPIES + 1];	/* and a decoy behind them */
	struct cswap_load load[MODEL_LOADS + 1];
	struct model_slot slot[MODEL_SLOTS];
	struct model_copy mcopy[MODEL_COPIES];
	struct model_load mload[MODEL_LOADS];
	struct cswap_range range[MODEL_RANGES];		/* count 0: free */
	u32 versions;
	u32 groups;		/* requests of more than a page, so far */
	unsigned long now;	/* the clock that begins of stores are told */
	struct { u8 op, index; } withheld;	/* an answer that never comes: OP_BEGIN is none */
	bool lost;		/* no DISCARD will be answered before a reset */
	bool others_free;	/* other threads call cswap_slot_free() */
};

enum model_op {
	OP_BEGIN, OP_CANCEL, OP_PUBLISH, OP_NEXT, OP_RETRY,
	OP_STORE_EXEC, OP_STORE_CHAIN, OP_STORE_ANSWER,
	OP_LOAD, OP_ASK, OP_LOAD_CHAIN, OP_LOAD_ANSWER, OP_LOAD_AGAIN, OP_LOAD_END, OP_PUT,
	OP_FREE, OP_CLAIM, OP_DISCARD_EXEC, OP_DISCARD_DONE, OP_LOSE, OP_RESET,
	NR_OPS
};

struct model_action {
	u8 op, a, b, c;
};

static const char *const model_op_text[NR_OPS] = {
	[OP_BEGIN] = "store begin",
	[OP_CANCEL] = "store cancel: copy %u",
	[OP_PUBLISH] = "store publish: copy %u, slot %u",
	[OP_NEXT] = "send next",
	[OP_RETRY] = "retry kept copies",
	[OP_STORE_EXEC] = "device executes STORE of copy %u, torn %u",
	[OP_STORE_CHAIN] = "chain back: STORE of copy %u",
	[OP_STORE_ANSWER] = "answer: STORE of copy %u, status %u",
	[OP_LOAD] = "load begin: slot %u",
	[OP_ASK] = "send next LOAD",
	[OP_LOAD_CHAIN] = "chain back: load %u",
	[OP_LOAD_ANSWER] = "answer: load %u",
	[OP_LOAD_AGAIN] = "owner asks again with load %u",
	[OP_LOAD_END] = "owner ends or gives up load %u",
	[OP_PUT] = "copy put: copy %u",
	[OP_FREE] = "free slot %u",
	[OP_CLAIM] = "claim for discard: from slot %u, %u slots, %u ranges",
	[OP_DISCARD_EXEC] = "device executes DISCARD of slot %u",
	[OP_DISCARD_DONE] = "discard done: range %u, ok %u",
	[OP_LOSE] = "DISCARDs in flight won't be answered",
	[OP_RESET] = "device reset, fail %u",
};

static inline void model_print_action(FILE *to, struct model_action act, u64 strikes)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
	fprintf(to, model_op_text[act.op], act.a, act.b, act.c);
#pragma GCC diagnostic pop
	if (strikes)
		fprintf(to, "   (frees strike inside: %#llx)", strikes);
	fprintf(to, "\n");
}

/* --- the step under way --- */

static _Thread_local struct {
	struct model *m;
	u64 strikes, touched;
	u32 points;
	u32 publish_slot, publish_copy, publish_version;	/* copy NONE: no publish */
} model_now;

static inline void model_fill_tag(u8 *tag, u32 version)
{
	memset(tag, version * 37, VIRTIO_CSWAP_TAG_SIZE);
	memcpy(tag, &version, sizeof(version));
}

static inline bool model_is_tag(const u8 *tag, u32 version)
{
	u8 right[VIRTIO_CSWAP_TAG_SIZE];

	model_fill_tag(right, version);
	return !memcmp(tag, right, sizeof(right));
}

/* A slot that other threads freed: the truth follows. */
static inline void model_sync(struct model *m, u32 slot)
{
	if (m->others_free && m->slot[slot].wanted == WANTED &&
	    slots_decode(&m->record[slot]).kind == SLOTS_FREED)
		m->slot[slot].wanted = FREED;
}

/* The new version counts from the moment that the record names its copy. */
static inline void model_commit_publish(struct model *m, bool returned)
{
	u32 slot = model_now.publish_slot;
	struct slots_view v;

	if (model_now.publish_copy == CSWAP_NONE)
		return;
	v = slots_decode(&m->record[slot]);
	if (!returned && (v.kind != SLOTS_COPY || v.copy != model_now.publish_copy))
		return;
	m->slot[slot].last = model_now.publish_version;
	m->slot[slot].wanted = WANTED;
	model_now.publish_copy = CSWAP_NONE;
	model_sync(m, slot);
}

static inline void model_free_slot(struct model *m, u32 slot)
{
	bool was_wanted = m->slot[slot].wanted == WANTED;
	bool freed = cswap_slot_free(&m->record[slot]);

	/* another thread may have been faster */
	REQUIRE(freed == was_wanted || (m->others_free && was_wanted),
		"freeing slot %u, %swanted, returned %d", slot, was_wanted ? "" : "not ", freed);
	if (was_wanted)
		m->slot[slot].wanted = FREED;
}

static void model_strike(cswap_record_t *record)
{
	struct model *m = model_now.m;
	u32 slot = record - m->record;
	bool first = !(model_now.touched >> slot & 1);

	model_now.touched |= 1ULL << slot;
	model_commit_publish(m, false);
	if (first || m->slot[slot].wanted != WANTED || model_now.points == 64)
		return;
	if (model_now.strikes >> model_now.points++ & 1)
		model_free_slot(m, slot);
}

/* --- what is in flight --- */

/* In flight, or its owner may send it again at any moment. */
static inline bool model_load_claims(const struct model_load *ml, u32 slot)
{
	return (ml->in_flight || ml->owner) && ml->slot == slot;
}

static inline u32 model_ops(const struct model *m, u32 slot)
{
	u32 i, ops = m->slot[slot].discard != DISCARD_NONE;

	for (i = 0; i < m->shard.nr_copies; i++)
		ops += m->mcopy[i].in_flight && m->mcopy[i].slot == slot;
	for (i = 0; i < m->shard.nr_loads; i++)
		ops += model_load_claims(&m->mload[i], slot);
	return ops;
}

/* STOREs, LOADs that the device has: as many as there are firsts. */
static inline u32 model_stores(const struct model *m)
{
	u32 i, count = 0;

	for (i = 0; i < m->shard.nr_copies; i++)
		count += m->mcopy[i].in_flight && m->mcopy[i].first == i;
	return count;
}

static inline u32 model_asks(const struct model *m)
{
	u32 i, count = 0;

	for (i = 0; i < m->shard.nr_loads; i++)
		count += m->mload[i].in_flight && m->mload[i].first == i;
	return count;
}

static inline u32 model_count_copies(const struct model *m, enum cswap_copy_state state)
{
	u32 i, count = 0;

	for (i = 0; i < m->shard.nr_copies; i++)
		count += m->copy[i].state == state;
	return count;
}

/* --- writers --- */

static void model_begin(struct model *m)
{
	u32 free = model_count_copies(m, CSWAP_COPY_FREE);
	u32 c = cswap_store_begin(&m->shard, m->now);

	REQUIRE((c == CSWAP_NONE) == !free, "store begin gave %#x with %u copies free", c, free);
	if (c == CSWAP_NONE)
		return;
	REQUIRE(c < m->shard.nr_copies && !m->mcopy[c].filling, "store begin gave a wild copy");
	m->mcopy[c].filling = true;
	m->mcopy[c].failed = false;
	m->mcopy[c].page = PAGE_TORN;	/* sealing may write at once */
}

static void model_cancel(struct model *m, u32 c)
{
	m->mcopy[c].filling = false;
	cswap_store_cancel(&m->shard, c);
}

static void model_publish(struct model *m, u32 c, u32 slot)
{
	u8 tag[VIRTIO_CSWAP_TAG_SIZE];

	m->mcopy[c].page = ++m->versions;
	m->mcopy[c].filling = false;
	model_fill_tag(tag, m->versions);
	model_now.publish_slot = slot;
	model_now.publish_copy = c;
	model_now.publish_version = m->versions;
	cswap_store_publish(&m->shard, c, slot, model_counter(m->versions), tag);
	model_commit_publish(m, true);
	m->mcopy[c].failed = m->lost && m->slot[slot].discard;
}

/* --- the sender, and the device's end of a STORE --- */

/* Whether there's room for a STORE of @pages more. */
static bool model_room(const struct model *m, u32 pages)
{
	const struct cswap_shard *shard = &m->shard;

	return shard->sent + shard->sent_pages + pages <= shard->limits.store_descriptors;
}

/* Copy @c goes out, the @nth of @group. */
static void model_next_copy(struct model *m, u32 c, const struct cswap_group *group, u32 nth,
			    const u8 *wanted)
{
	struct model_copy *mc = &m->mcopy[c];

	REQUIRE(c < m->shard.nr_copies && !mc->in_flight && !mc->filling,
		"copy %u sent twice or unfinished", c);
	REQUIRE(m->copy[c].slot == group->slot + nth, "copy %u isn't of slot %llu", c,
		group->slot + nth);
	REQUIRE(group->count == 1 || !mc->failed, "copy %u has failed, and isn't sent alone", c);
	mc->slot = m->copy[c].slot;
	mc->tag = mc->page;
	REQUIRE(model_is_tag(m->copy[c].tag, mc->page), "copy %u sent with another's tag", c);
	REQUIRE(wanted[mc->slot] == WANTED, "copy %u of slot %u sent, though freed before",
		c, mc->slot);
	mc->first = group->first;
	mc->in_flight = true;
	mc->chain_back = false;
	mc->exec = EXEC_NOT;
	mc->answer = ANSWER_NONE;
}

static void model_next(struct model *m)
{
	u8 wanted[MODEL_SLOTS];
	struct cswap_group group;
	u32 i, c;

	for (i = 0; i < MODEL_SLOTS; i++)
		wanted[i] = m->slot[i].wanted;
	if (!cswap_store_next(&m->shard, &group)) {
		REQUIRE(m->shard.sent == m->shard.limits.stores || !m->shard.send.count ||
			!model_room(m, 2),
			"nothing to send, yet copies are queued and %u in flight", m->shard.sent);
		return;
	}
	REQUIRE(group.count && group.count <= m->shard.limits.store_pages && model_room(m, 0),
		"a STORE of %u pages", group.count);
	m->groups += group.count > 1;
	m->mcopy[group.first].cookie = group.cookie;
	for (i = 0, c = group.first; i < group.count; i++, c = m->copy[c].next)
		model_next_copy(m, c, &group, i, wanted);
	REQUIRE(c == CSWAP_NONE, "a STORE of %u pages goes on", group.count);
	c = m->shard.send.first;
	REQUIRE(c == CSWAP_NONE || group.count == m->shard.limits.store_pages || !model_room(m, 1) ||
		m->copy[c].slot != group.slot + group.count || m->mcopy[c].failed ||
		m->mcopy[group.first].failed, "copy %u, a neighbour, isn't sent with the rest", c);
}

static void model_retry(struct model *m)
{
	u32 kept = model_count_copies(m, CSWAP_COPY_KEPT);

	REQUIRE(cswap_store_retry(&m->shard) == kept, "retry returned a wrong number");
	REQUIRE(!model_count_copies(m, CSWAP_COPY_KEPT), "retry left copies kept");
}

/* It reads the pool at this moment, like DMA. */
static void model_store_exec(struct model *m, u32 c, bool torn)
{
	struct model_copy *mc = &m->mcopy[c];
	bool whole = !torn && mc->page == mc->tag;

	m->slot[mc->slot].device = whole ? mc->page : PAGE_TORN;
	mc->exec = whole ? EXEC_WHOLE : EXEC_TORN;
}

/* What the STORE of copy @c has come to, for it alone. */
static void model_store_over(struct model *m, u32 c, bool failed, bool was_named, u8 was_wanted)
{
	struct model_copy *mc = &m->mcopy[c];
	u8 state = m->copy[c].state;

	mc->in_flight = false;
	model_sync(m, mc->slot);
	if (state == CSWAP_COPY_KEPT)
		mc->failed = true;
	if (failed && was_named && m->slot[mc->slot].wanted == WANTED)
		REQUIRE(state == CSWAP_COPY_KEPT, "failed STORE: copy %u not kept", c);
	else if (!failed || !was_named || was_wanted != WANTED)
		REQUIRE(state == CSWAP_COPY_FREE || state == CSWAP_COPY_ZOMBIE,
			"copy %u isn't needed any more, yet in state %u", c, state);
}

/* Copy @first and those that were sent with it. */
static void model_store_part(struct model *m, u32 first, bool answer, u32 status)
{
	struct model_copy *mf = &m->mcopy[first];
	bool named[MODEL_COPIES], over, failed;
	u8 wanted[MODEL_COPIES];
	struct cswap_event event;
	int error;
	u32 c;

	for (c = 0; c < m->shard.nr_copies; c++) {
		struct model_copy *mc = &m->mcopy[c];

		if (!mc->in_flight || mc->first != first)
			continue;
		named[c] = slots_decode(&m->record[mc->slot]).copy == c;
		wanted[c] = m->slot[mc->slot].wanted;
		if (answer)
			mc->answer = status == VIRTIO_CSWAP_S_OK ? ANSWER_OK : ANSWER_FAILED;
		else
			mc->chain_back = true;
	}
	error = answer ? cswap_answer_here(&m->shard, mf->cookie, CSWAP_COOKIE_STORE, status, 0,
					   &event) :
			 cswap_chain_back(&m->shard, mf->cookie, &event);
	REQUIRE(!error, "STORE of copy %u: a right cookie was refused", first);
	over = mf->chain_back && mf->answer;
	failed = over && mf->answer == ANSWER_FAILED;
	REQUIRE(event.kind == CSWAP_COOKIE_STORE && event.index == first &&
		event.over == over && event.failed == failed,
		"wrong event for the STORE of copy %u", first);
	if (!over)
		return;
	mf->stale = mf->cookie;
	for (c = 0; c < m->shard.nr_copies; c++)
		if (m->mcopy[c].in_flight && m->mcopy[c].first == first)
			model_store_over(m, c, failed, named[c], wanted[c]);
}

/* --- loads --- */

static void model_load_queued(struct model *m, u32 l, u32 slot, bool single)
{
	struct model_load *ml = &m->mload[l];

	REQUIRE(m->load[l].slot == slot && m->load[l].counter == model_counter(m->slot[slot].last),
		"load of slot %u expects counter %llu, version %u was stored",
		slot, m->load[l].counter, m->slot[slot].last);
	ml->slot = slot;
	ml->expect = m->slot[slot].last;
	ml->queued = true;
	ml->single = single;
	ml->owner = true;
}

static void model_load_device(struct model *m, u32 l, u32 slot)
{
	struct model_load *ml = &m->mload[l];

	REQUIRE(l < m->shard.nr_loads && !ml->in_flight && !ml->owner, "load %u taken twice", l);
	model_load_queued(m, l, slot, false);
}

static void model_ask(struct model *m)
{
	struct cswap_group group;
	u32 i, l;

	if (!cswap_load_next(&m->shard, &group)) {
		REQUIRE(m->shard.asked == m->shard.limits.loads || !m->shard.ask.count,
			"no LOAD to send, yet loads are queued and %u in flight", m->shard.asked);
		return;
	}
	REQUIRE(group.count && group.count <= m->shard.limits.load_pages,
		"a LOAD of %u pages", group.count);
	m->groups += group.count > 1;
	REQUIRE(group.cookie != m->mload[group.first].stale, "load %u sent as before", group.first);
	m->mload[group.first].cookie = group.cookie;
	for (i = 0, l = group.first; i < group.count; i++, l = m->load[l].follows) {
		struct model_load *ml = &m->mload[l];

		REQUIRE(l < m->shard.nr_loads && ml->queued && !ml->in_flight, "load %u sent twice", l);
		REQUIRE(ml->slot == group.slot + i, "load %u isn't of slot %llu", l, group.slot + i);
		REQUIRE(group.count == 1 || !ml->single, "load %u isn't asked for alone", l);
		ml->first = group.first;
		ml->queued = false;
		ml->in_flight = true;
		ml->chain_back = false;
		ml->answered = false;
	}
	REQUIRE(l == CSWAP_NONE, "a LOAD of %u pages goes on", group.count);
	l = m->shard.ask.first;
	REQUIRE(l == CSWAP_NONE || group.count == m->shard.limits.load_pages ||
		m->load[l].slot != group.slot + group.count || m->mload[l].single ||
		m->mload[group.first].single, "load %u, a neighbour, isn't sent with the rest", l);
}

static void model_load_copy(struct model *m, u32 c, u32 slot)
{
	REQUIRE(c < m->shard.nr_copies && m->copy[c].slot == slot &&
		m->copy[c].counter == model_counter(m->slot[slot].last) &&
		m->mcopy[c].page == m->slot[slot].last,
		"load of slot %u from copy %u, not the last version", slot, c);
	m->mcopy[c].readers++;
	m->mcopy[c].read_version = m->slot[slot].last;
}

static void model_load(struct model *m, u32 slot)
{
	u8 wanted = m->slot[slot].wanted;
	bool busy = model_ops(m, slot), none_free = m->shard.loading == m->shard.nr_loads;
	u32 index = CSWAP_NONE;

	switch (cswap_load_begin(&m->shard, slot, &index)) {
	case CSWAP_LOAD_NOTHING:
		model_sync(m, slot);
		REQUIRE(m->slot[slot].wanted != WANTED, "slot %u isn't there to be loaded", slot);
		return;
	case CSWAP_LOAD_COPY:
		REQUIRE(wanted == WANTED, "slot %u read, though not wanted", slot);
		model_load_copy(m, index, slot);
		return;
	case CSWAP_LOAD_DEVICE:
		REQUIRE(wanted == WANTED, "slot %u loaded, though not wanted", slot);
		REQUIRE(!busy, "slot %u loaded with another operation in flight", slot);
		model_load_device(m, index, slot);
		return;
	case CSWAP_LOAD_BUSY:
		REQUIRE(busy, "load of slot %u waits for its slot, which isn't busy", slot);
		return;
	case CSWAP_LOAD_WAIT:
		REQUIRE(none_free && !busy, "load of slot %u waits for a load to be had", slot);
		return;
	}
	model_violation("load of slot %u returned nonsense", slot);
}

static u32 model_pages_of(const struct model *m, u32 first)
{
	u32 i, pages = 0;

	for (i = 0; i < m->shard.nr_loads; i++)
		pages += m->mload[i].in_flight && m->mload[i].first == first;
	return pages;
}

/* Load @first and those that were sent with it. */
static void model_load_part(struct model *m, u32 first, bool answer, u32 status)
{
	u32 l, pages = status ? 0 : model_pages_of(m, first);
	struct model_load *mf = &m->mload[first];
	struct cswap_event event;
	bool over;
	int error;

	error = answer ? cswap_answer_here(&m->shard, mf->cookie, CSWAP_COOKIE_LOAD, status, pages,
					   &event) :
			 cswap_chain_back(&m->shard, mf->cookie, &event);
	over = answer ? mf->chain_back : mf->answered;
	REQUIRE(!error, "load %u: a right cookie was refused", first);
	REQUIRE(event.kind == CSWAP_COOKIE_LOAD && event.index == first && event.over == over &&
		!event.failed, "wrong event for load %u", first);
	if (over)
		mf->stale = mf->cookie;
	for (l = 0; l < m->shard.nr_loads; l++) {
		struct model_load *ml = &m->mload[l];

		if (!ml->in_flight || ml->first != first)
			continue;
		ml->answered |= answer;
		ml->chain_back |= !answer;
		ml->in_flight = !over;
	}
}

static void model_load_again(struct model *m, u32 l)
{
	u32 slot = m->mload[l].slot, index = CSWAP_NONE;
	u8 wanted = m->slot[slot].wanted;

	switch (cswap_load_again(&m->shard, l, &index)) {
	case CSWAP_LOAD_NOTHING:
		model_sync(m, slot);
		REQUIRE(m->slot[slot].wanted == FREED, "slot %u isn't there to be loaded again", slot);
		return;
	case CSWAP_LOAD_COPY:
		REQUIRE(wanted == WANTED, "slot %u read again, though not wanted", slot);
		model_load_copy(m, index, slot);
		return;
	case CSWAP_LOAD_DEVICE:
		REQUIRE(wanted == WANTED && index == l, "slot %u loaded again, though not wanted", slot);
		model_load_queued(m, l, slot, true);
		return;
	case CSWAP_LOAD_BUSY:
	case CSWAP_LOAD_WAIT:
		break;
	}
	model_violation("slot %u, asked for again with load %u, must wait", slot, l);
}

static void model_load_end(struct model *m, u32 l)
{
	u32 c = slots_decode(&m->record[m->mload[l].slot]).copy;
	bool waits = c != CSWAP_NONE && m->copy[c].state == CSWAP_COPY_DEFERRED;

	REQUIRE(cswap_load_end(&m->shard, l) == (waits && !m->mload[l].in_flight),
		"the end of load %u says wrongly whether a copy waited for it", l);
	m->mload[l].owner = false;
	m->mload[l].queued = false;
}

static void model_put(struct model *m, u32 c)
{
	m->mcopy[c].readers--;
	cswap_copy_put(&m->shard, c);
}

/* --- discards and resets --- */

static bool model_claimable(const struct model *m, u32 slot)
{
	struct slots_view v = slots_decode(&m->record[slot]);

	return m->slot[slot].wanted != WANTED && v.held && v.copy == CSWAP_NONE &&
		!model_ops(m, slot);
}

/* Whether a claim of @slot may have, must have, succeeded: as it was before. */
struct model_claim {
	bool claimable, wanted, held;
};

static bool model_range_add(struct model *m, const struct cswap_range *range)
{
	u32 i;

	for (i = 0; i < MODEL_RANGES; i++) {
		if (!m->range[i].count) {
			m->range[i] = *range;
			return true;
		}
	}
	return false;
}

static void model_check_claim(struct model *m, const struct model_claim *before,
			      u32 start, u64 next, const bool *claimed, bool again)
{
	bool must = false, may = false;
	u32 slot;

	for (slot = start; slot < next; slot++) {
		bool struck;

		model_sync(m, slot);
		struck = before[slot].wanted && m->slot[slot].wanted == FREED;
		if (struck)
			may = true;
		else
			REQUIRE(claimed[slot] == before[slot].claimable, "slot %u %s for discard",
				slot, claimed[slot] ? "wrongly claimed" : "not claimed");
		if (!struck && before[slot].held && !before[slot].claimable)
			must = true;
	}
	REQUIRE(must ? again : !again || may, "claim: again is %d", again);
}

static void model_claim(struct model *m, u32 start, u32 count, u32 max)
{
	struct cswap_range range[MODEL_RANGES];
	struct model_claim before[MODEL_SLOTS];
	bool claimed[MODEL_SLOTS] = { }, again = false;
	u64 next = 0, at = start;
	u32 i, nr, slot;

	for (slot = start; slot < start + count; slot++)
		before[slot] = (struct model_claim) {
			.claimable = model_claimable(m, slot),
			.wanted = m->slot[slot].wanted == WANTED,
			.held = m->slot[slot].wanted != WANTED && slots_decode(&m->record[slot]).held,
		};
	nr = cswap_discard_claim(&m->shard, start, count, range, max, &next, &again);
	REQUIRE(nr <= max && next <= start + count && (next == start + count || nr == max),
		"claim: %u ranges, next is %llu", nr, next);
	for (i = 0; i < nr; i++) {
		REQUIRE(range[i].start >= at && range[i].count &&
			range[i].start + range[i].count <= next, "claim: a wild range");
		at = range[i].start + range[i].count;
		for (slot = range[i].start; slot < at; slot++) {
			claimed[slot] = true;
			m->slot[slot].discard = DISCARD_SENT;
		}
		REQUIRE(model_range_add(m, &range[i]), "claim: too many ranges");
	}
	model_check_claim(m, before, start, next, claimed, again);
}

static void model_discard_done(struct model *m, u32 r, bool ok)
{
	struct cswap_range range = m->range[r];
	u32 slot;

	for (slot = range.start; slot < range.start + range.count; slot++)
		m->slot[slot].discard = DISCARD_NONE;
	m->range[r].count = 0;
	cswap_discard_done(&m->shard, &range, ok);
}

/* What waits for one counts as failed; it's let go of if the slot was freed before. */
static void model_lose(struct model *m)
{
	bool waits[MODEL_COPIES], freed[MODEL_COPIES];
	u32 c;

	for (c = 0; c < m->shard.nr_copies; c++) {
		const struct cswap_copy *copy = &m->copy[c];

		waits[c] = copy->state == CSWAP_COPY_DEFERRED && m->slot[copy->slot].discard;
		freed[c] = waits[c] && m->slot[copy->slot].wanted == FREED;
	}
	cswap_discards_lose(&m->shard);
	m->lost = true;
	for (c = 0; c < m->shard.nr_copies; c++) {
		bool still = m->copy[c].state == CSWAP_COPY_DEFERRED;

		REQUIRE(!freed[c] || !still, "copy %u of a freed slot waits for a reset", c);
		if (waits[c] && still)
			m->mcopy[c].failed = true;
	}
}

/* The device forgets all requests: what it did not execute by now never happens. */
static void model_reset(struct model *m, bool fail)
{
	u32 i, kept = m->shard.kept.count;
	bool sent[MODEL_COPIES] = { };

	for (i = 0; i < m->shard.nr_copies; i++) {
		sent[i] = m->mcopy[i].in_flight;
		if (m->mcopy[i].in_flight && m->mcopy[i].first == i)
			m->mcopy[i].stale = m->mcopy[i].cookie;
		m->mcopy[i].in_flight = false;
	}
	for (i = 0; i < m->shard.nr_loads; i++) {
		struct model_load *ml = &m->mload[i];

		if (ml->in_flight && ml->first == i)
			ml->stale = ml->cookie;
		ml->queued = (ml->queued || (ml->in_flight && ml->owner)) && !fail;
		ml->in_flight = false;
	}
	for (i = 0; i < MODEL_SLOTS; i++)
		if (m->slot[i].discard)
			m->slot[i].discard = DISCARD_LOST;
	m->lost = false;
	cswap_shard_reset(&m->shard, fail);
	/* the device didn't fail what is queued again, as far as anybody knows */
	for (i = 0; i < m->shard.nr_copies; i++)
		if ((m->copy[i].state == CSWAP_COPY_QUEUED && sent[i]) ||
		    m->copy[i].state == CSWAP_COPY_DEFERRED)
			m->mcopy[i].failed = false;
	REQUIRE(m->shard.kept.count == kept, "reset changed the kept copies");
}

/* --- actions --- */

static bool model_range_executed(const struct model *m, u32 r)
{
	u64 slot;

	for (slot = m->range[r].start; slot < m->range[r].start + m->range[r].count; slot++)
		if (m->slot[slot].discard != DISCARD_DONE)
			return false;
	return true;
}

/* All pages of the STORE that begins with copy @first. */
static bool model_store_executed(const struct model *m, u32 first)
{
	u32 c;

	for (c = 0; c < m->shard.nr_copies; c++)
		if (m->mcopy[c].in_flight && m->mcopy[c].first == first &&
		    m->mcopy[c].exec != EXEC_WHOLE)
			return false;
	return true;
}

static u32 model_ranges_in_use(const struct model *m)
{
	u32 i, used = 0;

	for (i = 0; i < MODEL_RANGES; i++)
		used += !!m->range[i].count;
	return used;
}

static u32 model_readers(const struct model *m)
{
	u32 i, readers = 0;

	for (i = 0; i < m->shard.nr_copies; i++)
		readers += m->mcopy[i].readers;
	return readers;
}

static bool model_enabled(const struct model *m, const struct model_config *config,
			  struct model_action act)
{
	/* what act.a means depends on the action */
	const struct model_copy *mc = &m->mcopy[act.a < MODEL_COPIES ? act.a : 0];
	const struct model_load *ml = &m->mload[act.a < MODEL_LOADS ? act.a : 0];

	switch ((enum model_op)act.op) {
	case OP_BEGIN:
		return model_count_copies(m, CSWAP_COPY_FILLING) < config->writers;
	case OP_CANCEL:
	case OP_PUBLISH:
		return mc->filling;
	case OP_NEXT:
	case OP_ASK:
		return true;
	case OP_RETRY:
		return m->shard.kept.count;
	case OP_STORE_EXEC:
		return mc->in_flight && !mc->answer;
	case OP_STORE_CHAIN:
		return mc->in_flight && mc->first == act.a && !mc->chain_back;
	case OP_STORE_ANSWER:
		return mc->in_flight && mc->first == act.a && !mc->answer &&
			(act.b || model_store_executed(m, act.a));
	case OP_LOAD:
		return slots_decode(&m->record[act.a]).kind != SLOTS_COPY ||
			model_readers(m) < config->readers;
	case OP_LOAD_CHAIN:
		return ml->in_flight && ml->first == act.a && !ml->chain_back;
	case OP_LOAD_ANSWER:
		return ml->in_flight && ml->first == act.a && !ml->answered;
	case OP_LOAD_AGAIN:
		return ml->owner && !ml->in_flight && !ml->queued &&
			(slots_decode(&m->record[ml->slot]).kind != SLOTS_COPY ||
			 model_readers(m) < config->readers);
	case OP_LOAD_END:
		return ml->owner;
	case OP_PUT:
		return mc->readers;
	case OP_FREE:
		return m->slot[act.a].wanted == WANTED;
	case OP_CLAIM:
		return !m->lost && model_ranges_in_use(m) + act.c <= config->ranges;
	case OP_DISCARD_EXEC:
		return m->slot[act.a].discard == DISCARD_SENT;
	case OP_DISCARD_DONE:
		return !m->lost && m->range[act.a].count &&
			(!act.b || model_range_executed(m, act.a));
	case OP_LOSE:
		return model_ranges_in_use(m);
	case OP_RESET:
	case NR_OPS:
		break;
	}
	return true;
}

static void model_act(struct model *m, struct model_action act)
{
	switch ((enum model_op)act.op) {
	case OP_BEGIN:		return model_begin(m);
	case OP_CANCEL:		return model_cancel(m, act.a);
	case OP_PUBLISH:	return model_publish(m, act.a, act.b);
	case OP_NEXT:		return model_next(m);
	case OP_RETRY:		return model_retry(m);
	case OP_STORE_EXEC:	return model_store_exec(m, act.a, act.b);
	case OP_STORE_CHAIN:	return model_store_part(m, act.a, false, 0);
	case OP_STORE_ANSWER:	return model_store_part(m, act.a, true, act.b);
	case OP_LOAD:		return model_load(m, act.a);
	case OP_ASK:		return model_ask(m);
	case OP_LOAD_CHAIN:	return model_load_part(m, act.a, false, 0);
	case OP_LOAD_ANSWER:	return model_load_part(m, act.a, true, act.b);
	case OP_LOAD_AGAIN:	return model_load_again(m, act.a);
	case OP_LOAD_END:	return model_load_end(m, act.a);
	case OP_PUT:		return model_put(m, act.a);
	case OP_FREE:		return model_free_slot(m, act.a);
	case OP_CLAIM:		return model_claim(m, act.a, act.b, act.c);
	case OP_DISCARD_DONE:	return model_discard_done(m, act.a, act.b);
	case OP_LOSE:		return model_lose(m);
	case OP_RESET:		return model_reset(m, act.a);
	case OP_DISCARD_EXEC:
		m->slot[act.a].device = PAGE_NOTHING;
		m->slot[act.a].discard = DISCARD_DONE;
		return;
	case NR_OPS:
		break;
	}
	model_violation("no such action");
}

/* After a copy of the bytes. */
static inline void model_rebase(struct model *m)
{
	m->shard.records = m->record;
	m->shard.copies = m->copy;
	m->shard.loads = m->load;
}

/* Returns how many places there were at which a free could have struck. */
static u32 model_step(struct model *m, struct model_action act, u64 strikes)
{
	void (*outer)(cswap_record_t *record) = slots_race;

	model_now.m = m;
	model_now.strikes = strikes;
	model_now.touched = 0;
	model_now.points = 0;
	model_now.publish_copy = CSWAP_NONE;
	if (!m->others_free)
		slots_race = act.op == OP_FREE ? NULL : model_strike;
	model_act(m, act);
	slots_race = outer;
	return model_now.points;
}

static inline u32 model_group(const struct model_config *config)
{
	return config->group ? config->group : 1;
}

static void model_init(struct model *m, const struct model_config *config)
{
	const struct cswap_limits limits = {
		.stores = config->max_sent,
		.loads = config->asked ? config->asked : config->loads,
		.store_pages = model_group(config),
		.load_pages = model_group(config),
		.store_descriptors = config->descriptors ? config->descriptors :
				     (config->max_sent + 1) * (1 + model_group(config)),
	};
	u32 i;

	memset(m, 0, sizeof(*m));
	for (i = 0; i < config->copies; i++) {
		m->copy[i].seq = MODEL_FIRST_SEQ;
		m->mcopy[i].stale = m->mcopy[i].cookie = MODEL_FIRST_SEQ << 32 | i;
	}
	for (i = 0; i < config->loads; i++) {
		m->load[i].seq = MODEL_FIRST_SEQ;
		m->mload[i].stale = m->mload[i].cookie = MODEL_FIRST_SEQ << 32 | MODEL_LOAD_BIT | i;
	}
	cswap_shard_init(&m->shard, m->record, m->copy, config->copies, m->load, config->loads,
			 &limits);
	if (config->taken_over)
		cswap_slots_take_over(m->record, config->slots);
	for (i = 0; config->taken_over && i < config->slots; i++)
		m->slot[i].device = PAGE_TORN;
	/* Out of the shard's bounds, but an unchecked cookie could reach them. */
	m->copy[config->copies].state = CSWAP_COPY_SENT;
	m->copy[config->copies].pending = CSWAP_PART_CHAIN | CSWAP_PART_ANSWER;
	m->copy[config->copies].count = 1;
	m->copy[config->copies].next = CSWAP_NONE;
	m->load[config->loads].state = CSWAP_LOAD_SENT;
	m->load[config->loads].pending = CSWAP_PART_CHAIN | CSWAP_PART_ANSWER;
	m->load[config->loads].count = 1;
	m->load[config->loads].follows = CSWAP_NONE;
}

/* --- what must hold in any state --- */

static void check_list(const struct model *m, const struct cswap_list *list,
		       enum cswap_copy_state state)
{
	u32 c, prev = CSWAP_NONE, count = 0;

	for (c = list->first; c != CSWAP_NONE; c = m->copy[c].next) {
		REQUIRE(c < m->shard.nr_copies && count < m->shard.nr_copies &&
			m->copy[c].state == state && m->copy[c].prev == prev,
			"list of state %u is broken at copy %u", state, c);
		prev = c;
		count++;
	}
	REQUIRE(list->last == prev && list->count == count &&
		count == model_count_copies(m, state), "list of state %u miscounts", state);
}

/*
 * A copy counts as failed from its first failed STORE until it's free (or a
 * reset absolves it), on the way through further tries too: stores must not
 * be let in just because the failed ones are in flight again. Likewise one that
 * waits for a DISCARD that is never answered: nothing may be stored where that
 * may strike, and what was meant to be must not use up the pool.
 */
static void check_failed(const struct model *m, u32 slots)
{
	const struct cswap_shard *shard = &m->shard;
	u32 c, slot, failed = 0;

	for (c = 0; c < shard->nr_copies; c++) {
		u8 state = m->copy[c].state;

		failed += m->copy[c].failed;
		REQUIRE(state != CSWAP_COPY_KEPT || m->copy[c].failed,
			"copy %u is kept but hasn't failed", c);
		REQUIRE((state != CSWAP_COPY_FREE && state != CSWAP_COPY_FILLING) ||
			!m->copy[c].failed, "copy %u is free but has failed", c);
	}
	REQUIRE(failed == shard->failed, "%u copies counted as failed, not %u",
		shard->failed, failed);
	for (slot = 0; slot < slots; slot++)
		REQUIRE(cswap_store_refused(shard, slot) ==
			((failed && failed >= shard->nr_copies / 2) ||
			 (m->lost && m->slot[slot].discard)),
			"stores of slot %u refused or not with %u copies failed", slot, failed);
}

static void check_asks(const struct model *m)
{
	u32 l, prev = CSWAP_NONE, count = 0, queued = 0;

	for (l = m->shard.ask.first; l != CSWAP_NONE; l = m->load[l].next) {
		REQUIRE(l < m->shard.nr_loads && count < m->shard.nr_loads &&
			m->load[l].state == CSWAP_LOAD_QUEUED && m->load[l].prev == prev,
			"list of LOADs to be sent is broken at load %u", l);
		prev = l;
		count++;
	}
	for (l = 0; l < m->shard.nr_loads; l++)
		queued += m->load[l].state == CSWAP_LOAD_QUEUED;
	REQUIRE(m->shard.ask.last == prev && m->shard.ask.count == count && count == queued,
		"list of LOADs to be sent miscounts");
}

static void check_lists(const struct model *m, u32 slots)
{
	const struct cswap_shard *shard = &m->shard;
	u32 l, count = 0;

	check_list(m, &shard->free, CSWAP_COPY_FREE);
	check_list(m, &shard->send, CSWAP_COPY_QUEUED);
	check_list(m, &shard->kept, CSWAP_COPY_KEPT);
	REQUIRE(shard->sent <= shard->limits.stores && shard->sent == model_stores(m) &&
		shard->sent_pages == model_count_copies(m, CSWAP_COPY_SENT) && model_room(m, 0),
		"%u STOREs of %u pages counted as in flight", shard->sent, shard->sent_pages);
	REQUIRE(shard->asked <= shard->limits.loads && shard->asked == model_asks(m),
		"%u LOADs counted as in flight", shard->asked);
	check_failed(m, slots);
	check_asks(m);
	for (l = shard->free_load; l != CSWAP_NONE; l = m->load[l].next) {
		REQUIRE(l < shard->nr_loads && count < shard->nr_loads &&
			m->load[l].state == CSWAP_LOAD_FREE, "list of loads is broken");
		count++;
	}
	REQUIRE(count + shard->loading == shard->nr_loads, "%u loads free, %u busy", count,
		shard->loading);
}

static bool in_pool(const struct cswap_copy *copy)
{
	return copy->state == CSWAP_COPY_QUEUED || copy->state == CSWAP_COPY_DEFERRED ||
		copy->state == CSWAP_COPY_SENT || copy->state == CSWAP_COPY_KEPT;
}

static void check_slot(const struct model *m, u32 slot, const struct slots_view *v, u32 ops)
{
	const struct model_slot *ms = &m->slot[slot];
	static const u8 wanted_of[] = {
		[SLOTS_NEVER] = NEVER, [SLOTS_FREED] = FREED,
		[SLOTS_STORED] = WANTED, [SLOTS_COPY] = WANTED,
	};

	REQUIRE(ops <= 1, "slot %u: %u operations in flight", slot, ops);
	REQUIRE(ms->wanted == wanted_of[v->kind], "slot %u: record of kind %u", slot, v->kind);
	REQUIRE(v->discarding == !!ms->discard, "slot %u: discarding %d", slot, v->discarding);
	if (v->copy != CSWAP_NONE)
		REQUIRE(v->copy < m->shard.nr_copies && in_pool(&m->copy[v->copy]) &&
			m->copy[v->copy].slot == slot, "slot %u: its copy %u isn't", slot, v->copy);
	switch (v->kind) {
	case SLOTS_NEVER:
	case SLOTS_FREED:
		REQUIRE(v->kind == SLOTS_FREED ||
			(!v->loading && !v->counter && v->copy == CSWAP_NONE),
			"slot %u was never stored, but", slot);
		REQUIRE(v->held || ms->discard || !ms->device,
			"slot %u isn't wanted, the device holds it for ever", slot);
		break;
	case SLOTS_STORED:
		REQUIRE(v->counter == model_counter(ms->last) && ms->device == ms->last,
			"slot %u lost: version %u stored, counter %llu, device %u",
			slot, ms->last, v->counter, ms->device);
		break;
	case SLOTS_COPY:
		REQUIRE(v->copy != CSWAP_NONE && m->copy[v->copy].counter == model_counter(ms->last),
			"slot %u lost: version %u isn't in the copy", slot, ms->last);
		break;
	}
}

static void check_copy(const struct model *m, u32 c, const struct slots_view *views,
		       const u32 *ops)
{
	const struct cswap_copy *copy = &m->copy[c];
	const struct model_copy *mc = &m->mcopy[c];
	bool named = copy->slot < MODEL_SLOTS && views[copy->slot].copy == c;
	u32 heir;

	REQUIRE(copy->readers == mc->readers, "copy %u: %u readers", c, copy->readers);
	REQUIRE((copy->state == CSWAP_COPY_FILLING) == mc->filling &&
		(copy->state == CSWAP_COPY_SENT) == mc->in_flight,
		"copy %u is in state %u", c, copy->state);
	if (in_pool(copy) || copy->state == CSWAP_COPY_ZOMBIE)
		REQUIRE(copy->failed == mc->failed, "copy %u: failed is %d", c, copy->failed);
	if (in_pool(copy) || copy->state == CSWAP_COPY_ZOMBIE)
		REQUIRE(model_counter(mc->page) == copy->counter && model_is_tag(copy->tag, mc->page),
			"copy %u was overwritten", c);
	REQUIRE(!mc->readers || (mc->page == mc->read_version &&
		(in_pool(copy) || copy->state == CSWAP_COPY_ZOMBIE)),
		"copy %u gone under its reader", c);
	switch ((enum cswap_copy_state)copy->state) {
	case CSWAP_COPY_QUEUED:
	case CSWAP_COPY_KEPT:
		REQUIRE(named && !ops[copy->slot], "copy %u queued or kept, slot %u", c,
			(u32)copy->slot);
		break;
	case CSWAP_COPY_DEFERRED:
		REQUIRE(named && ops[copy->slot] == 1, "copy %u waits for nothing", c);
		break;
	case CSWAP_COPY_SENT:
		REQUIRE(copy->slot == mc->slot, "copy %u changed slots in flight", c);
		heir = views[mc->slot].copy;
		REQUIRE(named || (heir != CSWAP_NONE &&
			m->copy[heir].state == CSWAP_COPY_DEFERRED), "copy %u superseded by none", c);
		break;
	case CSWAP_COPY_ZOMBIE:
		REQUIRE(mc->readers, "copy %u is a zombie without readers", c);
		break;
	case CSWAP_COPY_FREE:
	case CSWAP_COPY_FILLING:
		break;
	}
}

static void check_load(const struct model *m, u32 l, const struct slots_view *views)
{
	const struct cswap_load *load = &m->load[l];
	const struct model_load *ml = &m->mload[l];
	u8 state = ml->in_flight ? CSWAP_LOAD_SENT : ml->queued ? CSWAP_LOAD_QUEUED :
		   ml->owner ? CSWAP_LOAD_OVER : CSWAP_LOAD_FREE;

	REQUIRE(load->state == state, "load %u is in state %u, not %u", l, load->state, state);
	if (state == CSWAP_LOAD_FREE)
		return;
	REQUIRE(load->slot == ml->slot && load->counter == model_counter(ml->expect) &&
		load->abandoned == !ml->owner, "load %u changed meanwhile", l);
	REQUIRE(views[ml->slot].loading, "slot %u: LOAD in flight or to be sent again, unknown to the record",
		ml->slot);
	REQUIRE(m->slot[ml->slot].device == ml->expect,
		"load %u of slot %u would find version %u, not %u", l, ml->slot,
		m->slot[ml->slot].device, ml->expect);
}

static void check_refused(struct model *m, u64 cookie, bool chain, bool store, bool load)
{
	struct cswap_event event;

	if (chain)
		REQUIRE(cswap_chain_back(&m->shard, cookie, &event) == -EPROTO,
			"chain of cookie %#llx accepted", cookie);
	if (store)
		REQUIRE(cswap_answer_here(&m->shard, cookie, CSWAP_COOKIE_STORE, 0, 0, &event) ==
			-EPROTO, "STORE's answer of cookie %#llx accepted", cookie);
	if (load) {
		REQUIRE(cswap_answer_here(&m->shard, cookie, CSWAP_COOKIE_LOAD, 0, 1, &event) ==
			-EPROTO, "LOAD's answer of cookie %#llx accepted", cookie);
		REQUIRE(cswap_answer_here(&m->shard, cookie, CSWAP_COOKIE_LOAD,
					  VIRTIO_CSWAP_S_IOERR, 0, &event) == -EPROTO,
			"failed LOAD's answer of cookie %#llx accepted", cookie);
	}
}

/* Not as many pages as were asked for. */
static void check_miscounts(struct model *m, u32 l)
{
	u32 pages = model_pages_of(m, l);
	u64 cookie = m->mload[l].cookie;
	struct cswap_event event;

	REQUIRE(cswap_answer_here(&m->shard, cookie, CSWAP_COOKIE_LOAD, 0, pages + 1, &event) &&
		cswap_answer_here(&m->shard, cookie, CSWAP_COOKIE_LOAD, 0, pages - 1, &event) &&
		cswap_answer_here(&m->shard, cookie, CSWAP_COOKIE_LOAD, VIRTIO_CSWAP_S_IOERR, 1,
				  &event),
		"LOAD of %u pages answered by others", pages);
}

/* Late, repeated, forged and misdirected: refused, and nothing changes. */
static void model_check_lies(struct model *m)
{
	static _Thread_local struct model before;
	u32 i;

	if (!m->others_free)
		memcpy(&before, m, sizeof(before));
	/* the decoys first: a wild index then shows as a violation, not as a crash */
	check_refused(m, m->shard.nr_copies, true, true, true);
	check_refused(m, m->shard.nr_loads | MODEL_LOAD_BIT, true, true, true);
	for (i = 0; i < m->shard.nr_copies; i++) {
		const struct model_copy *mc = &m->mcopy[i];
		bool flying = mc->in_flight && mc->first == i;

		check_refused(m, mc->stale, true, true, true);
		check_refused(m, mc->cookie, !flying || mc->chain_back, !flying || mc->answer, true);
		check_refused(m, mc->cookie + (1ULL << 32), true, true, true);
	}
	for (i = 0; i < m->shard.nr_loads; i++) {
		const struct model_load *ml = &m->mload[i];
		bool flying = ml->in_flight && ml->first == i;

		check_refused(m, ml->stale, true, true, true);
		if (flying)
			check_miscounts(m, i);
		check_refused(m, ml->cookie, !flying || ml->chain_back, true,
			      !flying || ml->answered);
		check_refused(m, ml->cookie + (1ULL << 32), true, true, true);
		REQUIRE(cswap_load_of_cookie(&m->shard, ml->cookie) ==
			(flying ? i : CSWAP_NONE), "load %u and its cookie", i);
	}
	check_refused(m, 0x7fffffff, true, true, true);
	check_refused(m, ~0ULL, true, true, true);
	if (!m->others_free)
		REQUIRE(!memcmp(&before, m, sizeof(before)), "a refused cookie changed something");
}

/* Asked before the record is looked at: only a free can come between. */
static void check_counter(struct model *m, u32 slot, struct slots_view *view)
{
	u64 counter;
	bool named = cswap_slot_counter(&m->shard, slot, &counter);
	bool wanted;

	*view = slots_decode(&m->record[slot]);
	wanted = view->kind == SLOTS_STORED || view->kind == SLOTS_COPY;
	if (wanted)
		REQUIRE(named && counter == model_counter(m->slot[slot].last),
			"slot %u: a wrong counter", slot);
	else
		REQUIRE(!named || m->others_free, "slot %u isn't wanted, but has a counter", slot);
}

static void model_check_state(struct model *m, u32 slots)
{
	struct slots_view views[MODEL_SLOTS];
	u32 ops[MODEL_SLOTS], loads[MODEL_SLOTS] = { }, i;

	for (i = 0; i < slots; i++) {
		check_counter(m, i, &views[i]);
		ops[i] = m->slot[i].discard != DISCARD_NONE;
		if (m->others_free && m->slot[i].wanted == WANTED && views[i].kind == SLOTS_FREED)
			m->slot[i].wanted = FREED;
	}
	for (i = 0; i < m->shard.nr_copies; i++)
		ops[m->mcopy[i].slot] += m->mcopy[i].in_flight;
	for (i = 0; i < m->shard.nr_loads; i++) {
		u32 slot = m->mload[i].slot;

		ops[slot] += model_load_claims(&m->mload[i], slot);
		loads[slot] += model_load_claims(&m->mload[i], slot);
	}
	for (i = 0; i < slots; i++) {
		check_slot(m, i, &views[i], ops[i]);
		REQUIRE(views[i].loading == loads[i], "slot %u: loading %d", i, views[i].loading);
	}
	for (i = 0; i < m->shard.nr_copies; i++)
		check_copy(m, i, views, ops);
	for (i = 0; i < m->shard.nr_loads; i++)
		check_load(m, i, views);
	check_lists(m, slots);
}

/* --- progress --- */

/* What a device that withholds one answer doesn't do, or one that isn't there (OP_RESET). */
static bool model_is_withheld(const struct model *m, struct model_action act)
{
	bool answer = act.op == OP_STORE_CHAIN || act.op == OP_STORE_ANSWER ||
		      act.op == OP_LOAD_CHAIN || act.op == OP_LOAD_ANSWER ||
		      act.op == OP_DISCARD_DONE;

	if (m->withheld.op == OP_RESET)
		return answer || act.op == OP_NEXT || act.op == OP_ASK;
	return m->withheld.op == act.op && answer && m->withheld.index == act.a;
}

static bool drain_do(struct model *m, const struct model_config *config, u8 op, u8 a, u8 b)
{
	struct model_action act = { .op = op, .a = a, .b = b };

	if (!model_enabled(m, config, act) || model_is_withheld(m, act))
		return false;
	model_step(m, act, 0);
	return true;
}

static bool drain_copy(struct model *m, const struct model_config *config, u32 c)
{
	bool moved = drain_do(m, config, OP_CANCEL, c, 0);

	moved |= drain_do(m, config, OP_PUT, c, 0);
	moved |= drain_do(m, config, OP_STORE_CHAIN, c, 0);
	moved |= drain_do(m, config, OP_STORE_ANSWER, c, VIRTIO_CSWAP_S_OK);
	return moved;
}

/* Owners finish, the device answers: once for everybody. */
static bool drain_pass(struct model *m, const struct model_config *config)
{
	bool moved = false;
	u32 i, sent, asked;

	for (i = 0; i < config->copies; i++)
		drain_do(m, config, OP_STORE_EXEC, i, 0);
	for (i = 0; i < config->copies; i++)
		moved |= drain_copy(m, config, i);
	for (i = 0; i < config->loads; i++) {
		moved |= drain_do(m, config, OP_LOAD_CHAIN, i, 0);
		moved |= drain_do(m, config, OP_LOAD_ANSWER, i, 0);
		moved |= drain_do(m, config, OP_LOAD_END, i, 0);
	}
	for (i = 0; i < config->slots; i++)
		moved |= drain_do(m, config, OP_DISCARD_EXEC, i, 0);
	for (i = 0; i < MODEL_RANGES; i++) {
		moved |= drain_do(m, config, OP_DISCARD_DONE, i, 1);
		moved |= drain_do(m, config, OP_DISCARD_DONE, i, 0);
	}
	moved |= drain_do(m, config, OP_RETRY, 0, 0);
	do {
		asked = m->shard.asked;
		drain_do(m, config, OP_ASK, 0, 0);
		moved |= m->shard.asked != asked;
	} while (m->shard.asked != asked);
	do {
		sent = m->shard.sent;
		drain_do(m, config, OP_NEXT, 0, 0);
		moved |= m->shard.sent != sent;
	} while (m->shard.sent != sent);
	return moved;
}

static void drain_as_far(struct model *m, const struct model_config *config)
{
	u32 passes = 0;

	while (drain_pass(m, config))
		REQUIRE(++passes < 32 + 8 * config->copies, "it never comes to rest");
}

/* Times of the stall clock. */
#define MODEL_LIMIT	10

static void drain_until_quiet(struct model *m, const struct model_config *config)
{
	drain_as_far(m, config);
	REQUIRE(!cswap_store_stalled(&m->shard, m->now + 3 * MODEL_LIMIT, MODEL_LIMIT),
		"at rest, but stores are refused");
	REQUIRE(m->shard.free.count == config->copies, "at rest, but %u of %u copies are free",
		m->shard.free.count, config->copies);
	REQUIRE(!m->shard.loading && !m->shard.sent, "at rest, but something is in flight");
}

/*
 * I3. The device withholds one answer, and does all else, or it's being reset. Then stores go on:
 * they find copies, or when there were none for as long as they may wait, they are told so
 * at once, though loads come and go all the time. Destroys the model.
 */
static inline void model_check_withheld(struct model *m, const struct model_config *config,
				 u8 op, u8 index)
{
	u32 store, c;

	m->withheld.op = op;
	m->withheld.index = index;
	if (op == OP_RESET)
		model_step(m, (struct model_action) { .op = OP_RESET }, 0);
	drain_as_far(m, config);
	for (store = 0; store < 2 * config->copies * config->slots; store++) {
		m->now += MODEL_LIMIT + 1;
		m->shard.moved_at = m->now;
		if (!m->shard.free.count) {
			REQUIRE(cswap_store_stalled(&m->shard, m->now, MODEL_LIMIT),
				"%s, and a store waits for a copy, again and again",
				op == OP_RESET ? "a reset takes long" : "one answer is withheld");
			return;
		}
		c = m->shard.free.first;
		model_step(m, (struct model_action) { .op = OP_BEGIN }, 0);
		REQUIRE(m->shard.free.count || !cswap_store_stalled(&m->shard, m->now, MODEL_LIMIT),
			"the pool is full since now, and stores are refused");
		model_step(m, (struct model_action) { OP_PUBLISH, c, store % config->slots, 0 }, 0);
		drain_as_far(m, config);
	}
}

/* Destroys the model. */
static void model_drain(struct model *m, const struct model_config *config)
{
	u32 slot, claims = 0;
	u64 next;
	bool again = false;

	/* only that gets the slots back whose DISCARD isn't answered */
	if (m->lost)
		model_step(m, (struct model_action) { .op = OP_RESET }, 0);
	drain_until_quiet(m, config);
	for (slot = 0; slot < config->slots; slot = next) {
		struct cswap_range range;

		REQUIRE(claims++ <= config->slots, "claims don't come to an end");
		if (cswap_discard_claim(&m->shard, slot, config->slots - slot, &range, 1,
					&next, &again)) {
			u64 i;

			for (i = range.start; i < range.start + range.count; i++)
				m->slot[i].device = PAGE_NOTHING;
			cswap_discard_done(&m->shard, &range, true);
		}
	}
	REQUIRE(!again, "at rest, but a freed slot can't be claimed");
	for (slot = 0; slot < config->slots; slot++) {
		struct slots_view v = slots_decode(&m->record[slot]);

		if (m->slot[slot].wanted == WANTED)
			REQUIRE(v.kind == SLOTS_STORED && v.counter == model_counter(m->slot[slot].last) &&
				m->slot[slot].device == m->slot[slot].last && !v.loading &&
				!v.discarding, "at rest, slot %u isn't stored", slot);
		else
			REQUIRE(!v.held && !v.loading && !v.discarding && v.copy == CSWAP_NONE &&
				!m->slot[slot].device, "at rest, slot %u isn't discarded", slot);
	}
}

#endif /* SLOTS_MODEL_H */
