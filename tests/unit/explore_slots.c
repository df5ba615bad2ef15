// SPDX-License-Identifier: GPL-2.0-only
/*
 * explore_slots.c - every interleaving of slot operations, in small configurations.
 *
 * Theory of operation: breadth first from the empty shard. From each state every
 * action that is possible is carried out on a copy of it (slots_model.h), once
 * alone and once for every set of places at which a concurrent free could
 * strike inside. States that differ only in names are one state: which copy or
 * which load, how far counters and sequence numbers have come.
 * canon_key() writes down what is left and hashes it to 64 bits; with 10^7
 * states the odds that any two collide are below 1 in 10^5.
 *
 * Checked for each transition: the action's own result and model_check_state().
 * For each new state: lies, progress (model_drain), also of stores when any one answer never
 * comes (model_check_withheld), and that a free whose cmpxchg
 * is overtaken by any other action ends well.
 *
 * That states taken for one do behave alike is tested too (audit), on a sample:
 * one step leads both to the same set of states. The numbers of copies matter in
 * one place, the order in which a reset queues what was in flight: canon_key()
 * keeps their order, but not of those yet to be sent. So where STOREs of two slots
 * are in flight together there is no audit, and a run may miss an order of the queue.
 *
 * On a violation the shortest way to it is printed, and the exit code is 3.
 */
#include <getopt.h>
#include <stdlib.h>
#include <stdarg.h>
#include <time.h>

#define MODEL_SLOTS	3
#define MODEL_COPIES	4
#define MODEL_LOADS	3
#include "slots_model.h"

struct explore_config {
	struct model_config model;
	enum { SMALL, USUAL, DEEP } effort;	/* how much it takes */
	u32 audit;		/* check one in so many repeated states; 0: none */
};

static const struct explore_config configs[] = {
	/* name, slots, copies, loads, sent, writers, readers, ranges */
	{ { "one slot, two copies", 1, 2, 1, 1, 1, 1, 1, false, 1, 0, 0 }, SMALL, 1 },
	{ { "one slot, three copies, two writers", 1, 3, 2, 2, 2, 2, 1, false, 1, 0, 0 }, SMALL, 4 },
	{ { "one slot, four copies, two writers", 1, 4, 2, 2, 2, 2, 1, false, 1, 0, 0 }, SMALL, 4 },
	{ { "two slots, two copies, in groups", 2, 2, 2, 1, 1, 1, 1, false, 2, 1, 0 }, SMALL, 0 },
	{ { "two slots, two copies", 2, 2, 1, 1, 1, 1, 1, false, 1, 0, 0 }, SMALL, 64 },
	{ { "one slot of another's, two copies", 1, 2, 1, 1, 1, 1, 1, true, 1, 0, 0 }, SMALL, 1 },
	{ { "two slots of another's, two copies", 2, 2, 1, 1, 1, 1, 1, true, 1, 0, 0 }, SMALL, 64 },
	{ { "two slots, two copies, both sent", 2, 2, 1, 2, 1, 1, 1, false, 1, 0, 0 }, USUAL, 0 },
	{ { "two slots, three copies", 2, 3, 1, 1, 1, 1, 1, false, 1, 0, 0 }, USUAL, 1024 },
	{ { "two slots, three copies, two sent", 2, 3, 1, 2, 1, 1, 1, false, 1, 0, 0 }, DEEP, 0 },
	{ { "two slots, three copies, two of the rest", 2, 3, 2, 2, 1, 1, 2, false, 1, 0, 0 }, DEEP, 0 },
	{ { "two slots, four copies, two writers", 2, 4, 2, 2, 2, 2, 2, false, 1, 0, 0 }, DEEP, 0 },
	{ { "three slots, three copies, in groups", 3, 3, 1, 1, 1, 1, 0, false, 3, 1, 0 }, DEEP, 0 },
	{ { "two slots, three copies, in groups", 2, 3, 2, 2, 1, 1, 1, false, 2, 2, 4 }, DEEP, 0 },
};

struct key_set {
	u64 keys[512];
	u32 count;
};

/* How a state was first reached. */
struct node {
	u32 parent;
	struct model_action act;
	u64 strikes;
};

static struct {
	const struct model_config *config;
	struct node *nodes;
	u64 *keys;			/* open addressing, 0 is empty */
	u32 *ids;			/* the node of each key */
	u64 mask;
	struct model *now, *next;	/* the states of this depth and the one below */
	u32 *now_ids, *next_ids;
	u32 nr_nodes, nr_now, nr_next, next_room;
	u64 transitions;
	/* audit */
	u32 audit;			/* configured */
	u64 repeated, audited;
	struct model *first;		/* the first state of each node */
	struct key_set *collect;	/* where to put the keys of successors, if set */
	/* for the report of a violation */
	u32 at;
	struct model_action act;
	u64 strikes;
	const char *doing;
} ex;

/* --- violations --- */

static void print_trace(u32 id)
{
	if (!id)
		return;
	print_trace(ex.nodes[id].parent);
	fprintf(stderr, "    ");
	model_print_action(stderr, ex.nodes[id].act, ex.nodes[id].strikes);
}

_Noreturn void model_violation(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "violation (%s): ", ex.config->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	if (!ex.nodes)
		exit(3);
	print_trace(ex.at);
	fprintf(stderr, "  > ");
	model_print_action(stderr, ex.act, ex.strikes);
	if (ex.doing)
		fprintf(stderr, "  then %s\n", ex.doing);
	exit(3);
}

/* --- canonical form --- */

struct canon {
	u8 bytes[256];
	u32 len;
	u32 version[16];	/* of the slot at hand, by first appearance */
	u32 versions;
};

static void put(struct canon *canon, u32 value)
{
	canon->bytes[canon->len++] = value;
}

static void put_version(struct canon *canon, u32 version)
{
	u32 i;

	if (version == PAGE_NOTHING || version == PAGE_TORN)
		return put(canon, version);
	for (i = 0; i < canon->versions && canon->version[i] != version; i++)
		;
	if (i == canon->versions)
		canon->version[canon->versions++] = version;
	put(canon, i + 1);
}

/* By role, not by number: the copy that the record names, and the one in flight. */
static void put_copies(struct canon *canon, const struct model *m, u32 slot, u32 named)
{
	u32 c;

	if (named != CSWAP_NONE) {
		put(canon, 0x80 | m->copy[named].failed << 3 | m->copy[named].state);
		put(canon, m->mcopy[named].readers);
		put_version(canon, m->copy[named].counter);
	}
	for (c = 0; c < m->shard.nr_copies; c++) {
		const struct model_copy *mc = &m->mcopy[c];

		if (!mc->in_flight || mc->slot != slot)
			continue;
		put(canon, 0xc0 | (c == named) << 5 | mc->chain_back << 4 | mc->answer << 2 |
		    mc->exec);
		put(canon, m->copy[c].failed << 7 | mc->readers);
		put(canon, m->copy[mc->first].count << 1 | (mc->first == c));
		put_version(canon, mc->tag);
	}
}

static void put_slot(struct canon *canon, const struct model *m, u32 slot)
{
	const struct model_slot *ms = &m->slot[slot];
	struct slots_view v = slots_decode(&m->record[slot]);
	u32 i;

	canon->versions = 0;
	put(canon, v.kind << 6 | v.loading << 5 | v.discarding << 4 | v.held << 3);
	put(canon, ms->wanted << 4 | ms->discard);
	put_version(canon, ms->device);
	put_version(canon, ms->wanted == WANTED ? ms->last : PAGE_NOTHING);
	put_version(canon, v.kind == SLOTS_STORED ? v.counter : PAGE_NOTHING);
	put_copies(canon, m, slot, v.copy);
	for (i = 0; i < m->shard.nr_loads; i++) {
		const struct model_load *ml = &m->mload[i];

		if (!model_load_claims(ml, slot))
			continue;
		put(canon, ml->in_flight ? 0xe0 | ml->chain_back << 2 | ml->answered << 1 |
		    ml->owner : ml->queued ? 0xe9 + ml->single : 0xe8);
		if (ml->in_flight)
			put(canon, m->load[ml->first].count << 2 | (ml->first == i) << 1 | ml->single);
		put_version(canon, ml->expect);
	}
	for (i = 0; i < MODEL_RANGES; i++)
		if (m->range[i].start <= slot && slot < m->range[i].start + m->range[i].count)
			put(canon, 0xf0 | m->range[i].count);
	put(canon, 0xff);
}

/* What doesn't belong to one slot. */
static void put_rest(struct canon *canon, const struct model *m)
{
	u32 i, count[CSWAP_COPY_ZOMBIE + 1] = { }, zombies[8] = { };

	for (i = m->shard.send.first; i != CSWAP_NONE; i = m->copy[i].next)
		put(canon, 1 + m->copy[i].slot);
	put(canon, 0);
	for (i = m->shard.kept.first; i != CSWAP_NONE; i = m->copy[i].next)
		put(canon, 1 + m->copy[i].slot);
	put(canon, 0);
	for (i = 0; i < m->shard.nr_copies; i++) {
		count[m->copy[i].state]++;
		if (m->mcopy[i].in_flight)
			put(canon, 1 + m->mcopy[i].slot);
		if (m->copy[i].state == CSWAP_COPY_ZOMBIE)
			zombies[m->copy[i].failed << 2 | (m->mcopy[i].readers & 3)]++;
	}
	put(canon, m->lost);
	for (i = m->shard.ask.first; i != CSWAP_NONE; i = m->load[i].next)
		put(canon, 1 + m->load[i].slot);
	put(canon, 0);
	for (i = 0; i < m->shard.nr_loads; i++)
		if (m->mload[i].in_flight)
			put(canon, 1 + m->mload[i].slot);
	put(canon, 0);
	for (i = 0; i < ARRAY_SIZE(count); i++)
		put(canon, count[i]);
	for (i = 0; i < ARRAY_SIZE(zombies); i++)
		put(canon, zombies[i]);
}

static u64 hash_bytes(const u8 *bytes, u32 len)
{
	u64 hash = 0x9e3779b97f4a7c15ULL ^ len;
	u32 i;

	for (i = 0; i < len; i += 8) {
		u64 word = 0;

		memcpy(&word, bytes + i, len - i < 8 ? len - i : 8);
		hash = (hash ^ word) * 0xff51afd7ed558ccdULL;
		hash ^= hash >> 32;
		hash *= 0xc4ceb9fe1a85ec53ULL;
		hash ^= hash >> 29;
	}
	return hash ? hash : 1;
}

/* Of a state that model_check_state() has passed: all lists are whole. */
static u64 canon_key(const struct model *m)
{
	struct canon canon;
	u32 slot;

	canon.len = 0;
	for (slot = 0; slot < ex.config->slots; slot++)
		put_slot(&canon, m, slot);
	put_rest(&canon, m);
	return hash_bytes(canon.bytes, canon.len);
}

/* --- states seen --- */

static void *need(void *memory)
{
	if (!memory) {
		fprintf(stderr, "out of memory\n");
		exit(2);
	}
	return memory;
}

static void seen_grow(void)
{
	u64 old_room = ex.mask ? ex.mask + 1 : 0, room = old_room ? 2 * old_room : 1 << 16;
	u64 *old = ex.keys, i;
	u32 *old_ids = ex.ids;

	ex.keys = need(calloc(room, sizeof(*ex.keys)));
	ex.ids = need(calloc(room, sizeof(*ex.ids)));
	ex.mask = room - 1;
	ex.nodes = need(realloc(ex.nodes, room * sizeof(*ex.nodes)));
	if (ex.audit)
		ex.first = need(realloc(ex.first, room * sizeof(*ex.first)));
	for (i = 0; i < old_room; i++) {
		u64 at = old[i] & ex.mask;

		if (!old[i])
			continue;
		while (ex.keys[at])
			at = (at + 1) & ex.mask;
		ex.keys[at] = old[i];
		ex.ids[at] = old_ids[i];
	}
	free(old);
	free(old_ids);
}

/* Returns the node of @key if there is one; else makes it, the newest. */
static u32 seen_add(u64 key)
{
	u64 at;

	if (ex.nr_nodes * 2ULL >= ex.mask)
		seen_grow();
	for (at = key & ex.mask; ex.keys[at]; at = (at + 1) & ex.mask)
		if (ex.keys[at] == key)
			return ex.ids[at];
	ex.keys[at] = key;
	ex.ids[at] = ex.nr_nodes;
	return ex.nr_nodes++;
}

static void next_add(const struct model *m, u32 id)
{
	if (ex.nr_next == ex.next_room) {
		ex.next_room = ex.next_room ? 2 * ex.next_room : 1024;
		ex.next = need(realloc(ex.next, ex.next_room * sizeof(*ex.next)));
		ex.next_ids = need(realloc(ex.next_ids, ex.next_room * sizeof(*ex.next_ids)));
	}
	ex.nodes[id] = (struct node) { ex.at, ex.act, ex.strikes };
	ex.next[ex.nr_next] = *m;
	ex.next_ids[ex.nr_next++] = id;
	if (ex.audit)
		ex.first[id] = *m;
}

static void copy_model(struct model *to, const struct model *from)
{
	memcpy(to, from, sizeof(*to));
	model_rebase(to);
}

/* --- transitions --- */

static struct {
	struct model *m;
	bool done;
} overtake;

static void overtake_free(cswap_record_t *record)
{
	/* the read comes first, then the cmpxchg: strike between the two, once */
	static u32 accesses;

	(void)record;
	if (overtake.done)
		return;
	if (++accesses < 2)
		return;
	accesses = 0;
	overtake.done = true;
	model_step(overtake.m, ex.act, 0);
}

/* A free of @slot that has read the record when ex.act runs, on another CPU. */
static void try_overtaken_free(const struct model *from, u32 slot)
{
	struct model m;
	bool freed, wanted;

	copy_model(&m, from);
	overtake.m = &m;
	overtake.done = false;
	ex.doing = "a free that began before that tries its cmpxchg";
	slots_race = overtake_free;
	freed = cswap_slot_free(&m.record[slot]);
	slots_race = NULL;
	wanted = m.slot[slot].wanted == WANTED;
	REQUIRE(freed == wanted, "free of slot %u returned %d", slot, freed);
	if (wanted)
		m.slot[slot].wanted = FREED;
	model_check_state(&m, ex.config->slots);
	ex.doing = NULL;
}

static void visit(struct model *m);

static void collect_key(struct model *m)
{
	struct key_set *set = ex.collect;
	u64 key;
	u32 i;

	model_check_state(m, ex.config->slots);
	key = canon_key(m);
	for (i = 0; i < set->count && set->keys[i] != key; i++)
		;
	REQUIRE(i < ARRAY_SIZE(set->keys), "too many successors for the audit");
	if (i == set->count)
		set->keys[set->count++] = key;
}

static void take(const struct model *from, struct model_action act, u64 strikes, u32 bit)
{
	struct model m;
	u32 points;

	copy_model(&m, from);
	ex.act = act;
	ex.strikes = strikes;
	points = model_step(&m, act, strikes);
	if (ex.collect)
		collect_key(&m);
	else
		visit(&m);
	for (; bit < points; bit++)
		take(from, act, strikes | 1ULL << bit, bit + 1);
}

static void try_action(const struct model *from, u8 op, u8 a, u8 b, u8 c)
{
	struct model_action act = { op, a, b, c };
	u32 slot;

	if (!model_enabled(from, ex.config, act))
		return;
	take(from, act, 0, 0);
	ex.strikes = 0;
	for (slot = 0; slot < ex.config->slots && op != OP_FREE && !ex.collect; slot++)
		if (from->slot[slot].wanted == WANTED)
			try_overtaken_free(from, slot);
}

static void try_copies(const struct model *from)
{
	u32 c, slot;

	for (c = 0; c < ex.config->copies; c++) {
		for (slot = 0; slot < ex.config->slots; slot++)
			try_action(from, OP_PUBLISH, c, slot, 0);
		try_action(from, OP_CANCEL, c, 0, 0);
		try_action(from, OP_STORE_EXEC, c, false, 0);
		try_action(from, OP_STORE_EXEC, c, true, 0);
		try_action(from, OP_STORE_CHAIN, c, 0, 0);
		try_action(from, OP_STORE_ANSWER, c, VIRTIO_CSWAP_S_OK, 0);
		try_action(from, OP_STORE_ANSWER, c, VIRTIO_CSWAP_S_NOSPC, 0);
		try_action(from, OP_PUT, c, 0, 0);
	}
}

static void try_all(const struct model *from)
{
	u32 i;

	try_action(from, OP_BEGIN, 0, 0, 0);
	try_action(from, OP_NEXT, 0, 0, 0);
	try_action(from, OP_ASK, 0, 0, 0);
	try_action(from, OP_RETRY, 0, 0, 0);
	try_copies(from);
	for (i = 0; i < ex.config->loads; i++) {
		try_action(from, OP_LOAD_CHAIN, i, 0, 0);
		try_action(from, OP_LOAD_ANSWER, i, 0, 0);
		try_action(from, OP_LOAD_AGAIN, i, 0, 0);
		try_action(from, OP_LOAD_END, i, 0, 0);
	}
	for (i = 0; i < ex.config->slots; i++) {
		try_action(from, OP_LOAD, i, 0, 0);
		try_action(from, OP_FREE, i, 0, 0);
		try_action(from, OP_CLAIM, i, 1, 1);
		try_action(from, OP_DISCARD_EXEC, i, 0, 0);
	}
	if (ex.config->slots > 1)
		try_action(from, OP_CLAIM, 0, ex.config->slots, ex.config->ranges);
	for (i = 0; i < MODEL_RANGES; i++) {
		try_action(from, OP_DISCARD_DONE, i, true, 0);
		try_action(from, OP_DISCARD_DONE, i, false, 0);
	}
	try_action(from, OP_LOSE, 0, 0, 0);
	try_action(from, OP_RESET, false, 0, 0);
	try_action(from, OP_RESET, true, 0, 0);
}

static int compare_keys(const void *left, const void *right)
{
	u64 a = *(const u64 *)left, b = *(const u64 *)right;

	return (a > b) - (a < b);
}

static void collect_successors(const struct model *from, struct key_set *set)
{
	set->count = 0;
	ex.collect = set;
	try_all(from);
	ex.collect = NULL;
	qsort(set->keys, set->count, sizeof(set->keys[0]), compare_keys);
}

/* @m was taken for the state of node @id: one step on, they must still be alike. */
static void audit(const struct model *m, u32 id)
{
	static struct key_set ours, theirs;
	struct model_action act = ex.act;
	u64 strikes = ex.strikes;

	collect_successors(m, &ours);
	collect_successors(&ex.first[id], &theirs);
	ex.act = act;
	ex.strikes = strikes;
	ex.audited++;
	REQUIRE(ours.count == theirs.count &&
		!memcmp(ours.keys, theirs.keys, ours.count * sizeof(ours.keys[0])),
		"a state was taken for another that behaves differently: mend canon_key()");
}

static void try_withheld(const struct model *from, u8 op, u32 index)
{
	struct model m;

	copy_model(&m, from);
	model_check_withheld(&m, ex.config, op, index);
}

/* Whichever one answer it is that never comes. */
static void check_withheld(const struct model *from)
{
	u32 i;

	ex.doing = "one answer never comes";
	for (i = 0; i < ex.config->copies; i++) {
		if (!from->mcopy[i].in_flight || from->mcopy[i].first != i)
			continue;
		try_withheld(from, OP_STORE_CHAIN, i);
		try_withheld(from, OP_STORE_ANSWER, i);
	}
	for (i = 0; i < ex.config->loads; i++) {
		if (!from->mload[i].in_flight || from->mload[i].first != i)
			continue;
		try_withheld(from, OP_LOAD_CHAIN, i);
		try_withheld(from, OP_LOAD_ANSWER, i);
	}
	for (i = 0; i < MODEL_RANGES; i++)
		if (from->range[i].count)
			try_withheld(from, OP_DISCARD_DONE, i);
	try_withheld(from, OP_RESET, 0);
	ex.doing = NULL;
}

/* @m was just reached by ex.act from ex.at. */
static void visit(struct model *m)
{
	u32 id, nodes = ex.nr_nodes;

	ex.transitions++;
	model_check_state(m, ex.config->slots);
	id = seen_add(canon_key(m));
	if (id < nodes) {
		if (ex.audit && ++ex.repeated % ex.audit == 0)
			audit(m, id);
		return;
	}
	next_add(m, id);
	model_check_lies(m);
	check_withheld(m);
	ex.doing = "everybody finishes";
	model_drain(m, ex.config);
	ex.doing = NULL;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void swap_levels(void)
{
	free(ex.now);
	free(ex.now_ids);
	ex.now = ex.next;
	ex.now_ids = ex.next_ids;
	ex.nr_now = ex.nr_next;
	ex.next = NULL;
	ex.next_ids = NULL;
	ex.nr_next = ex.next_room = 0;
}

static void explore(const struct explore_config *config, u32 max_depth)
{
	double start = seconds();
	struct model m;
	u32 i, depth;

	memset(&ex, 0, sizeof(ex));
	ex.config = &config->model;
	ex.audit = config->audit;
	model_init(&m, ex.config);
	seen_grow();
	visit(&m);
	for (depth = 0; ex.nr_next && (!max_depth || depth < max_depth); depth++) {
		swap_levels();
		for (i = 0; i < ex.nr_now; i++) {
			ex.at = ex.now_ids[i];
			try_all(&ex.now[i]);
		}
	}
	printf("ok - %s: %u states, %llu transitions, %s %u actions; %llu audited; %.1f s\n",
	       ex.config->name, ex.nr_nodes, ex.transitions,
	       ex.nr_next ? "bounded to" : "all, within", depth, ex.audited, seconds() - start);
	fflush(stdout);
	swap_levels();
	swap_levels();
	free(ex.nodes);
	free(ex.keys);
	free(ex.ids);
	free(ex.first);
}

/* Runs of slots are dealt out to the shards in turn. */
static void check_shards(void)
{
	u64 slot;
	u32 shards;

	for (shards = 1; shards <= VIRTIO_CSWAP_MAX_QUEUE_PAIRS; shards++)
		for (slot = 0; slot < 200 * CSWAP_SHARD_SLOTS; slot++)
			REQUIRE(cswap_slot_shard(slot, shards) == slot / 512 % shards &&
				cswap_slot_shard(VIRTIO_CSWAP_MAX_CAPACITY - 1 - slot, shards) < shards,
				"slot %llu is in shard %u of %u", slot,
				cswap_slot_shard(slot, shards), shards);
}

/* A CPU that guesses must not index with a cookie of the host's choice. */
static void check_clamps(void)
{
	static const u64 cookies[] = { 0, 1, 7ULL << 32 | 1, 0x80000000, 7ULL << 32 | 0x80000000 };
	static const struct cswap_limits limits = { 2, 1, 1, 1, 4 };
	cswap_record_t record = 0;
	struct cswap_copy copies[2] = { };
	struct cswap_load loads[1] = { };
	struct cswap_shard shard;
	struct cswap_event event;
	u32 i;

	cswap_shard_init(&shard, &record, copies, 2, loads, 1, &limits);
	for (i = 0; i < ARRAY_SIZE(cookies); i++) {
		slots_clamped = 0;
		REQUIRE(cswap_chain_back(&shard, cookies[i], &event) == -EPROTO && slots_clamped == 1,
			"cookie %llx: its index was clamped %lu times", cookies[i], slots_clamped);
	}
}

/* @slot is stored, and the device has confirmed it. */
static void store_one(struct model *m, u32 slot)
{
	u8 i, c, done[] = { OP_STORE_CHAIN, OP_STORE_EXEC, OP_STORE_ANSWER };

	model_step(m, (struct model_action) { OP_BEGIN, 0, 0, 0 }, 0);
	for (c = 0; !m->mcopy[c].filling; c++)
		;
	model_step(m, (struct model_action) { OP_PUBLISH, c, slot, 0 }, 0);
	model_step(m, (struct model_action) { OP_NEXT, 0, 0, 0 }, 0);
	for (i = 0; i < ARRAY_SIZE(done); i++)
		model_step(m, (struct model_action) { done[i], c, 0, 0 }, 0);
}

/*
 * One worker ends all loads, so it may wait for none: all are over (there's one), a reader of
 * another slot waits for it, and the page doesn't open.
 */
static void check_again(void)
{
	static const struct model_config config = {
		"all loads over", 2, 2, 1, 2, 1, 1, 1, false, 1, 0, 0
	};
	struct model m;
	u32 none;

	ex.config = &config;
	model_init(&m, &config);
	store_one(&m, 0);
	store_one(&m, 1);
	model_step(&m, (struct model_action) { OP_LOAD, 0, 0, 0 }, 0);
	model_step(&m, (struct model_action) { OP_ASK, 0, 0, 0 }, 0);
	model_step(&m, (struct model_action) { OP_LOAD_ANSWER, 0, 0, 0 }, 0);
	model_step(&m, (struct model_action) { OP_LOAD_CHAIN, 0, 0, 0 }, 0);
	REQUIRE(cswap_load_begin(&m.shard, 1, &none) == CSWAP_LOAD_WAIT,
		"another reader takes a load that is somebody's");
	model_step(&m, (struct model_action) { OP_LOAD_AGAIN, 0, 0, 0 }, 0);
	model_step(&m, (struct model_action) { OP_ASK, 0, 0, 0 }, 0);
	REQUIRE(m.mload[0].in_flight, "the page isn't fetched again");
	model_check_state(&m, config.slots);
	model_drain(&m, &config);
}

/* A STORE takes a descriptor more than it has pages, and the ring has so many. */
static void check_descriptors(u32 descriptors, u32 stores)
{
	const struct model_config config = {
		"few descriptors", 3, 3, 1, 3, 3, 1, 1, false, 2, 1, descriptors
	};
	struct model m;
	u32 c;

	ex.config = &config;
	model_init(&m, &config);
	for (c = 0; c < config.copies; c++)
		model_step(&m, (struct model_action) { OP_BEGIN, 0, 0, 0 }, 0);
	for (c = 0; c < config.copies; c++)
		model_step(&m, (struct model_action) { OP_PUBLISH, c, c, 0 }, 0);
	for (c = 0; c < config.copies; c++)
		model_step(&m, (struct model_action) { OP_NEXT, 0, 0, 0 }, 0);
	REQUIRE(model_stores(&m) == stores, "%u STOREs of three pages fit into %u descriptors",
		model_stores(&m), descriptors);
	model_check_state(&m, config.slots);
	model_drain(&m, &config);
}

static void do_one(struct model *m, u8 op, u8 a, u8 b)
{
	model_step(m, (struct model_action) { op, a, b, 0 }, 0);
	model_check_state(m, ex.config->slots);
	model_check_lies(m);
}

/* Three neighbours and LOADs of two: one of two pages, one of one, and each page has its own fate. */
static void check_load_groups(void)
{
	static const struct model_config config = {
		"LOADs of two", 3, 3, 3, 3, 1, 1, 1, false, 2, 2, 0
	};
	struct model m;
	u32 slot;

	ex.config = &config;
	model_init(&m, &config);
	for (slot = 0; slot < config.slots; slot++)
		store_one(&m, slot);
	for (slot = 0; slot < config.slots; slot++)
		do_one(&m, OP_LOAD, slot, 0);
	do_one(&m, OP_ASK, 0, 0);
	REQUIRE(model_pages_of(&m, 0) == 2, "a LOAD of %u pages", model_pages_of(&m, 0));
	do_one(&m, OP_ASK, 0, 0);
	REQUIRE(model_pages_of(&m, 2) == 1, "a LOAD of %u pages", model_pages_of(&m, 2));
	/* one reader gives up meanwhile, the other's page can't be read */
	do_one(&m, OP_LOAD_END, 1, 0);
	do_one(&m, OP_LOAD_ANSWER, 0, VIRTIO_CSWAP_S_IOERR);
	do_one(&m, OP_LOAD_CHAIN, 0, 0);
	do_one(&m, OP_LOAD_AGAIN, 0, 0);
	do_one(&m, OP_LOAD, 1, 0);
	do_one(&m, OP_ASK, 0, 0);
	REQUIRE(model_pages_of(&m, 0) == 1, "what failed isn't asked for alone");
	do_one(&m, OP_LOAD_ANSWER, 0, VIRTIO_CSWAP_S_OK);
	do_one(&m, OP_LOAD_CHAIN, 0, 0);
	do_one(&m, OP_LOAD_END, 0, 0);
	/* that load is as good as any other again; two that were sent singly are sent anew as one */
	do_one(&m, OP_LOAD, 0, 0);
	do_one(&m, OP_ASK, 0, 0);
	do_one(&m, OP_RESET, 0, 0);
	do_one(&m, OP_ASK, 0, 0);
	REQUIRE(model_pages_of(&m, 0) == 2, "a LOAD of %u pages after the reset", model_pages_of(&m, 0));
	do_one(&m, OP_ASK, 0, 0);
	model_drain(&m, &config);
}

static int usage(int rc)
{
	fprintf(rc ? stderr : stdout,
		"usage: explore_slots [--small | --deep] [--depth ACTIONS] [--only CONFIGURATION]\n"
		"CSWAP_EXPLORE_DEEP in the environment is --deep.\n");
	return rc;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "small", no_argument, NULL, 's' },
		{ "deep", no_argument, NULL, 'd' },
		{ "depth", required_argument, NULL, 'n' },
		{ "only", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	u32 i, depth = 0, only = ~0u, effort = getenv("CSWAP_EXPLORE_DEEP") ? DEEP : USUAL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's')
			effort = SMALL;
		else if (option == 'd')
			effort = DEEP;
		else if (option == 'n')
			depth = atoi(optarg);
		else if (option == 'o')
			only = atoi(optarg);
		else
			return usage(option == 'h' ? 0 : 2);
	}
	ex.config = &configs[0].model;
	check_shards();
	check_clamps();
	check_again();
	check_load_groups();
	check_descriptors(2, 1);
	check_descriptors(4, 1);
	check_descriptors(5, 2);
	ex.config = &configs[0].model;
	for (i = 0; i < ARRAY_SIZE(configs); i++)
		if (only == ~0u ? configs[i].effort <= effort : only == i)
			explore(&configs[i], depth);
	return 0;
}
