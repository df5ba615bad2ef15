// SPDX-License-Identifier: GPL-2.0-only
/*
 * explore_blocks.c - every interleaving of what can happen to blocks of memory, and long
 * random runs with many of them.
 *
 * Theory of operation: a model holds what is true of each unit of memory: whose it is, what
 * the device was told and hasn't answered. Breadth first from a guest that has all its memory,
 * each action that is possible is done to a copy of each state; states are alike when their
 * lists and the model are. Checked after each: nobody uses a unit whose RELEASE is
 * unanswered (I5), each unit is in one place, the counts are right, the device is told nothing
 * out of order. From each new state everything can be given back to the guest.
 *
 * Checks: driver-release-hands-off, driver-release-range, driver-release-in-use
 * Checks: driver-release-one-in-flight, driver-release-merge, driver-reclaim-range
 * Checks: driver-reclaim-first, driver-reclaim-owed, driver-reclaim-failed, driver-event-again
 *
 * On a violation the way to it is printed, and the exit code is 3.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cswap_blocks.h"

#define UNITS		4
#define MANY		3000	/* in random runs */
#define STRUCTS(units)	(2 * (units) + 2)

enum where { USABLE, IN_HAND, OUT, LOST };
enum action { TAKE, RELEASE, RECLAIM, UNSENT, ANSWER_OK, ANSWER_NO, GET, GET_URGENT,
	      GET_ONE, CONVERTED, FAILED, AGAIN, RESET, ACTIONS };
static const char * const names[] = { "take", "release", "reclaim", "unsent", "answer: ok",
	"answer: no", "get", "get, urgent", "get one", "converted", "conversion failed",
	"again", "reset" };

/* What the device thinks of a unit. */
enum told { TOLD_NOTHING, TOLD_RELEASED, TOLD_IN_VAIN };

struct unit {
	u8 where;
	u8 told;		/* IN_VAIN: it's used, which the device refused to hear */
	u8 asked;		/* enum cswap_batch_op: in the request that is out */
	u8 due;			/* it's released, and is to be RELEASEd again */
};

/* Among what is seen of a unit, beside states: it's on the list of those that are due. */
#define SEEN_AGAIN	(1 << CSWAP_BLOCK_STATES)

/* Of exploring; the random run has a larger one. */
struct state {
	struct cswap_blocks blocks;
	u32 used;		/* structs that were handed out once */
	struct unit unit[UNITS];
	struct cswap_block structs[STRUCTS(UNITS)];
	u32 parent;
	u8 action, arg;
};

/* What actions work on. */
static struct {
	struct cswap_blocks *blocks;
	struct cswap_block *structs;
	u32 *used;
	struct unit *unit;
	u32 units, structs_max;
	bool random;
} m;

static struct state *states;
static u32 nr_states, room;
static u32 at;			/* the state that is being left */
static u8 doing, doing_arg;
static bool draining;

/* --- violations --- */

static void print_trace(u32 id)
{
	if (!id)
		return;
	print_trace(states[id].parent);
	fprintf(stderr, "    %s %u\n", names[states[id].action], states[id].arg);
}

static _Noreturn void violation(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "violation (%s): ", m.random ? "random" : "all");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	if (!m.random)
		print_trace(at);
	fprintf(stderr, "  > %s %u%s\n", names[doing], doing_arg,
		draining ? ", then everything is given back" : "");
	exit(3);
}

#define REQUIRE(condition, ...) do { if (!(condition)) violation(__VA_ARGS__); } while (0)

/* --- units --- */

/* Two neighbours, a gap, the rest; in random runs now and then a gap, and sizes differ. */
static u32 pages_of(u32 unit)
{
	return m.random && unit % 7 ? 512 : 1;
}

static u64 pfn_of(u32 unit)
{
	if (m.random)
		return 1024 * (u64)unit + (unit % 3 ? 512 - pages_of(unit) : 1024 - pages_of(unit));
	return 100 + unit + (unit >= 2);
}

static u32 unit_of(u64 pfn)
{
	u32 unit = m.random ? pfn / 1024 : pfn - 100 - (pfn > 102);

	REQUIRE(unit < m.units && pfn_of(unit) == pfn, "no unit begins at %llu", pfn);
	return unit;
}

/* --- invariants --- */

static void check_list(const struct cswap_block *block, enum cswap_block_state state,
		       u32 more, u32 *seen, u64 *pages)
{
	u32 length = 0;

	for (; block; block = block->next) {
		REQUIRE(++length <= m.structs_max, "a list goes round");
		REQUIRE(block->state == state, "a block of state %u on the list of %u",
			block->state, state);
		REQUIRE(block->pages == pages_of(unit_of(block->pfn)), "a block of %u pages",
			block->pages);
		seen[unit_of(block->pfn)] |= 1 << state | more;
		pages[state] += block->pages;
	}
}

static void check_batch(u32 *seen, u64 *pages)
{
	u32 i;

	for (i = 0; i < m.blocks->batch_blocks; i++) {
		const struct cswap_block *block = m.blocks->batch[i];
		u32 unit = unit_of(block->pfn);

		REQUIRE(m.unit[unit].asked == m.blocks->op, "unit %u isn't with the device", unit);
		REQUIRE(!(seen[unit] & 1 << block->state), "unit %u twice in a request", unit);
		seen[unit] |= 1 << block->state;
		pages[block->state] += block->pages;
	}
	REQUIRE(!m.blocks->batch_blocks == (m.blocks->op == CSWAP_BATCH_NONE),
		"a request of %u blocks, op %u", m.blocks->batch_blocks, m.blocks->op);
}

static void check_unit(u32 u, u32 seen)
{
	const u32 ours = 1 << CSWAP_BLOCK_OWED | 1 << CSWAP_BLOCK_OWED_SENT;
	const struct unit *unit = &m.unit[u];
	u32 out = seen & ~ours & ~SEEN_AGAIN;

	REQUIRE(unit->where == OUT ? out && !(out & (out - 1)) : !out,
		"unit %u: %s, in states 0x%x", u, unit->where == OUT ? "out" : "not out", seen);
	REQUIRE(unit->where == OUT || unit->asked != CSWAP_BATCH_RELEASE,
		"unit %u is used though its RELEASE isn't answered", u);
	REQUIRE((unit->asked == CSWAP_BATCH_RELEASE) == !!(seen & 1 << CSWAP_BLOCK_RELEASING),
		"unit %u: its RELEASE has been forgotten", u);
	REQUIRE(!(seen & 1 << CSWAP_BLOCK_RELEASED) || unit->told == TOLD_RELEASED,
		"unit %u is thought to be released, and isn't", u);
	REQUIRE(unit->told != TOLD_RELEASED || seen & ours ||
		seen & (1 << CSWAP_BLOCK_RELEASED | 1 << CSWAP_BLOCK_RECLAIMING) ||
		(seen & 1 << CSWAP_BLOCK_RELEASING && m.blocks->repeats),
		"unit %u: the device will never know that it's used", u);
	REQUIRE(!(seen & 1 << CSWAP_BLOCK_RELEASING) || !m.blocks->repeats ||
		unit->told == TOLD_RELEASED, "unit %u is released again, and wasn't", u);
	REQUIRE(!(seen & 1 << CSWAP_BLOCK_RELEASED) || unit->due == !!(seen & SEEN_AGAIN),
		"unit %u is%s due to be released again", u, unit->due ? "" : "n't");
}

static void check(void)
{
	static u32 seen[MANY];
	u64 pages[CSWAP_BLOCK_STATES] = { }, out = 0;
	u32 i;

	memset(seen, 0, m.units * sizeof(seen[0]));
	check_list(m.blocks->held, CSWAP_BLOCK_HELD, 0, seen, pages);
	check_list(m.blocks->released, CSWAP_BLOCK_RELEASED, 0, seen, pages);
	check_list(m.blocks->again, CSWAP_BLOCK_RELEASED, SEEN_AGAIN, seen, pages);
	check_list(m.blocks->owed, CSWAP_BLOCK_OWED, 0, seen, pages);
	check_batch(seen, pages);
	for (i = 0; i < CSWAP_BLOCK_STATES; i++)
		REQUIRE(pages[i] == m.blocks->pages[i], "%llu pages in state %u, not %llu",
			m.blocks->pages[i], i, pages[i]);
	for (i = 0; i < m.units; i++) {
		check_unit(i, seen[i]);
		out += m.unit[i].where == OUT ? pages_of(i) : 0;
	}
	REQUIRE(out == cswap_blocks_out(m.blocks), "%llu pages are out, not %llu",
		cswap_blocks_out(m.blocks), out);
}

/* What goes to the device: whole units, in order, merged, and few enough. */
static void check_request(const struct cswap_mem_range *ranges, u32 nr, enum cswap_batch_op op)
{
	u32 i;

	REQUIRE(nr <= VIRTIO_CSWAP_MAX_RANGES, "%u ranges", nr);
	for (i = 0; i < nr; i++) {
		u64 pfn = ranges[i].pfn, end = pfn + ranges[i].pages;

		REQUIRE(!i || ranges[i - 1].pfn + ranges[i - 1].pages < pfn,
			"ranges out of order, overlapping, or not merged");
		REQUIRE(pfn < end, "an empty range");
		while (pfn < end) {
			u32 unit = unit_of(pfn);

			m.unit[unit].asked = op;
			REQUIRE(op != CSWAP_BATCH_RELEASE || m.unit[unit].where == OUT,
				"unit %u is RELEASEd while it's used", unit);
			pfn += pages_of(unit);
		}
		REQUIRE(pfn == end, "a range ends inside unit");
	}
}

/* --- actions --- */

static bool nothing_owed(void)
{
	return !m.blocks->owed;
}

static bool ask(enum cswap_batch_op op, u64 pages)
{
	struct cswap_mem_range ranges[VIRTIO_CSWAP_MAX_RANGES];
	bool busy = m.blocks->op != CSWAP_BATCH_NONE, owed = !nothing_owed();
	bool due = !busy && !owed && (m.blocks->held || m.blocks->again);
	u32 nr, i;

	nr = op == CSWAP_BATCH_RELEASE ? cswap_blocks_release(m.blocks, pages, ranges) :
					 cswap_blocks_reclaim(m.blocks, pages, ranges);
	REQUIRE(nr || !due || op != CSWAP_BATCH_RELEASE, "what is due isn't RELEASEd");
	REQUIRE(!nr || !busy, "two requests at a time");
	REQUIRE(!nr || !owed || op == CSWAP_BATCH_RECLAIM, "a RELEASE overtakes a RECLAIM");
	for (i = 0; nr && owed && i < m.blocks->batch_blocks; i++)
		REQUIRE(m.blocks->batch[i]->state == CSWAP_BLOCK_OWED_SENT,
			"something else is sent before what is owed");
	check_request(ranges, nr, op);
	return nr;
}

/* No request is out any more. */
static void none_asked(void)
{
	u32 i;

	for (i = 0; i < m.units; i++)
		m.unit[i].asked = CSWAP_BATCH_NONE;
}

/* The unit that is wanted, and no other. */
struct one {
	struct cswap_blocks_wanted wanted;
	u32 unit;
};

static bool is_the_one(const struct cswap_blocks_wanted *wanted, u64 pfn)
{
	return unit_of(pfn) == ((const struct one *)wanted)->unit;
}

static bool is_there(const struct cswap_block *block, u32 unit)
{
	for (; block; block = block->next)
		if (unit_of(block->pfn) == unit)
			return true;
	return false;
}

/* What was had: whole units, neighbours, each of them out until now. */
static u32 got(const struct cswap_mem_range *range, u64 most)
{
	u64 pfn = range->pfn, end = range->pfn + range->pages;
	u32 units = 0;

	while (pfn < end) {
		u32 unit = unit_of(pfn);

		REQUIRE(m.unit[unit].where == OUT, "unit %u wasn't out", unit);
		m.unit[unit].where = IN_HAND;
		m.unit[unit].due = false;
		pfn += pages_of(unit);
		units++;
	}
	REQUIRE(units && pfn == end, "got %llu pages", range->pages);
	REQUIRE(units == 1 || range->pages <= most, "got %llu pages, not %llu at most",
		range->pages, most);
	return units;
}

static bool get(bool urgent, u64 most)
{
	bool held = m.blocks->held;
	struct cswap_mem_range range;

	if (!cswap_blocks_get(m.blocks, urgent, most, NULL, &range)) {
		REQUIRE(!m.blocks->held, "a held block can't be had");
		REQUIRE(!urgent || (!m.blocks->released && !m.blocks->again),
			"a released block can't be had");
		REQUIRE(!urgent || !m.blocks->pages[CSWAP_BLOCK_RECLAIMING],
			"a block that is reclaimed can't be had");
		return false;
	}
	REQUIRE(urgent || held, "a block is used before the device was asked");
	got(&range, most);
	return true;
}

static bool get_one(u32 unit)
{
	struct one one = { { is_the_one }, unit };
	bool releasing = m.unit[unit].asked == CSWAP_BATCH_RELEASE;
	struct cswap_mem_range range;

	REQUIRE(cswap_blocks_is_releasing(m.blocks, &one.wanted) == releasing,
		"unit %u is%s with the device", unit, releasing ? "" : "n't");
	if (!cswap_blocks_get(m.blocks, true, ~0ULL, &one.wanted, &range)) {
		REQUIRE(m.unit[unit].where != OUT || releasing, "unit %u can't be had", unit);
		return false;
	}
	REQUIRE(range.pfn == pfn_of(unit) && got(&range, ~0ULL) == 1, "got other units than %u",
		unit);
	REQUIRE(!is_there(m.blocks->held, unit) && !is_there(m.blocks->released, unit) &&
		!is_there(m.blocks->again, unit), "unit %u is still on a list", unit);
	return true;
}

static bool take(u32 unit)
{
	struct cswap_block *block;

	if (m.unit[unit].where != USABLE)
		return false;
	block = cswap_blocks_spare(m.blocks);
	if (block) {
		/* one that isn't needed after all is the next one's */
		cswap_blocks_keep(m.blocks, block);
		REQUIRE(cswap_blocks_spare(m.blocks) == block, "a struct wasn't kept");
	} else {
		REQUIRE(*m.used < m.structs_max, "a struct was lost");
		block = &m.structs[(*m.used)++];
	}
	cswap_blocks_add(m.blocks, block, pfn_of(unit), pages_of(unit));
	m.unit[unit].where = OUT;
	return true;
}

static bool converted(u32 unit, bool ok)
{
	if (m.unit[unit].where != IN_HAND)
		return false;
	m.unit[unit].where = ok ? USABLE : LOST;
	return true;
}

static bool answer(bool ok)
{
	u32 i;

	if (m.blocks->op == CSWAP_BATCH_NONE)
		return false;
	for (i = 0; i < m.blocks->batch_blocks; i++) {
		const struct cswap_block *block = m.blocks->batch[i];
		struct unit *unit = &m.unit[unit_of(block->pfn)];

		if (ok || m.blocks->op == CSWAP_BATCH_RELEASE)
			unit->due = false;
		if (ok)
			unit->told = m.blocks->op == CSWAP_BATCH_RELEASE ? TOLD_RELEASED :
									   TOLD_NOTHING;
		else if (block->state == CSWAP_BLOCK_OWED_SENT)
			unit->told = TOLD_IN_VAIN;
	}
	cswap_blocks_answered(m.blocks, ok);
	none_asked();
	return true;
}

static void reset(void)
{
	u32 i;

	cswap_blocks_reset(m.blocks);
	none_asked();
	for (i = 0; i < m.units; i++) {
		m.unit[i].told = TOLD_NOTHING;
		m.unit[i].due = false;
	}
	REQUIRE(!m.blocks->released && !m.blocks->again && nothing_owed(),
		"a reset leaves something");
}

/* The device says that it may have memory behind what is released, which stays released. */
static bool again(void)
{
	bool idle = m.blocks->op == CSWAP_BATCH_NONE && !m.blocks->again;
	u32 i;

	if (!cswap_blocks_again(m.blocks)) {
		REQUIRE(!idle, "what is released isn't released again");
		return false;
	}
	REQUIRE(idle && !m.blocks->released, "what is released isn't all released again");
	for (i = 0; i < m.units; i++)
		m.unit[i].due = is_there(m.blocks->again, i);
	return true;
}

static u32 length(const struct cswap_block *block)
{
	u32 length = 0;

	for (; block; block = block->next)
		length++;
	return length;
}

static bool unsent(enum cswap_batch_op op)
{
	u32 again = length(m.blocks->again);
	u64 before[CSWAP_BLOCK_STATES];

	memcpy(before, m.blocks->pages, sizeof(before));
	if (!ask(op, 1))
		return false;
	cswap_blocks_unsent(m.blocks);
	none_asked();
	REQUIRE(length(m.blocks->again) == again, "unsent isn't to be released again");
	REQUIRE(!memcmp(before, m.blocks->pages, sizeof(before)), "unsent isn't as before");
	return true;
}

/* @arg: a unit, or pages. False if it isn't possible now. */
static bool act(enum action action, u32 arg)
{
	doing = action;
	doing_arg = arg;
	switch (action) {
	case TAKE:	return take(arg);
	case RELEASE:	return ask(CSWAP_BATCH_RELEASE, arg + 1);
	case RECLAIM:	return ask(CSWAP_BATCH_RECLAIM, arg + 1);
	case UNSENT:	return unsent(arg % 2 ? CSWAP_BATCH_RELEASE : CSWAP_BATCH_RECLAIM);
	case ANSWER_OK:	return answer(true);
	case ANSWER_NO:	return answer(false);
	case GET:	return get(false, arg + 1);
	case GET_URGENT: return get(true, arg + 1);
	case GET_ONE:	return get_one(arg);
	case CONVERTED:	return converted(arg, true);
	case FAILED:	return converted(arg, false);
	case AGAIN:	return again();
	case RESET:	reset(); return true;
	default:	return false;
	}
}

/* Answers come, and the guest gets everything back but what is lost. */
static void drain(void)
{
	u32 i, steps = 0;

	draining = true;
	while (cswap_blocks_out(m.blocks) || m.blocks->owed || m.blocks->op) {
		REQUIRE(++steps < 8 * m.units + 8, "it never ends");
		answer(true);
		while (get(false, 1))
			;
		ask(CSWAP_BATCH_RECLAIM, 1);
		check();
	}
	for (i = 0; i < m.units; i++)
		REQUIRE(converted(i, true) || m.unit[i].where == USABLE || m.unit[i].where == LOST,
			"unit %u is lost", i);
	draining = false;
}

/* --- exploring --- */

static void aim(struct state *state)
{
	m.blocks = &state->blocks;
	m.structs = state->structs;
	m.used = &state->used;
	m.unit = state->unit;
}

static struct cswap_block *rebase(struct cswap_block *block, const struct state *from,
				  struct state *to)
{
	return block ? to->structs + (block - from->structs) : NULL;
}

static void copy_state(struct state *to, const struct state *from)
{
	u32 i;

	*to = *from;
	to->blocks.held = rebase(from->blocks.held, from, to);
	to->blocks.released = rebase(from->blocks.released, from, to);
	to->blocks.again = rebase(from->blocks.again, from, to);
	to->blocks.owed = rebase(from->blocks.owed, from, to);
	to->blocks.spare = rebase(from->blocks.spare, from, to);
	for (i = 0; i < STRUCTS(UNITS); i++)
		to->structs[i].next = rebase(from->structs[i].next, from, to);
	for (i = 0; i < from->blocks.batch_blocks; i++)
		to->blocks.batch[i] = rebase(from->blocks.batch[i], from, to);
}

struct key {
	u8 bytes[64];
	u32 len;
};

static void put_list(struct key *key, const struct cswap_block *block)
{
	for (; block; block = block->next)
		key->bytes[key->len++] = block->pfn;
	key->bytes[key->len++] = 0;
}

static void make_key(const struct state *state, struct key *key)
{
	u32 i;

	memset(key, 0, sizeof(*key));
	put_list(key, state->blocks.held);
	put_list(key, state->blocks.released);
	put_list(key, state->blocks.again);
	put_list(key, state->blocks.owed);
	for (i = 0; i < state->blocks.batch_blocks; i++) {
		key->bytes[key->len++] = state->blocks.batch[i]->pfn;
		key->bytes[key->len++] = state->blocks.batch[i]->state;
	}
	key->bytes[key->len++] = state->blocks.op | state->blocks.repeats << 4;
	for (i = 0; i < UNITS; i++)
		key->bytes[key->len++] = state->unit[i].where | state->unit[i].told << 2 |
					 state->unit[i].asked << 4 | state->unit[i].due << 6;
}

static struct key *keys;
static u32 *table, table_size;

static bool seen_before(const struct key *key)
{
	u64 hash = 14695981039346656037ULL;
	u32 i;

	for (i = 0; i < sizeof(key->bytes); i++)
		hash = (hash ^ key->bytes[i]) * 1099511628211ULL;
	for (i = hash % table_size; table[i]; i = (i + 1) % table_size)
		if (!memcmp(&keys[table[i] - 1], key, sizeof(*key)))
			return true;
	table[i] = nr_states + 1;
	return false;
}

static void add_state(const struct state *state, u32 parent, u8 action, u8 arg)
{
	struct state trial;
	struct key key;

	make_key(state, &key);
	if (seen_before(&key))
		return;
	REQUIRE(nr_states < room, "more states than there is room for");
	keys[nr_states] = key;
	copy_state(&states[nr_states], state);
	states[nr_states].parent = parent;
	states[nr_states].action = action;
	states[nr_states++].arg = arg;
	copy_state(&trial, state);
	aim(&trial);
	drain();
}

static void explore(u32 units)
{
	u64 transitions = 0;
	struct state now;
	u32 action, arg;

	m.units = units;
	m.structs_max = STRUCTS(UNITS);
	m.random = false;
	memset(table, 0, table_size * sizeof(*table));
	nr_states = 0;
	memset(&now, 0, sizeof(now));
	aim(&now);
	add_state(&now, 0, 0, 0);
	for (at = 0; at < nr_states; at++)
		for (action = 0; action < ACTIONS; action++)
			for (arg = 0; arg < units; arg++) {
				copy_state(&now, &states[at]);
				aim(&now);
				if (!act(action, arg))
					continue;
				transitions++;
				check();
				add_state(&now, at, action, arg);
			}
	printf("ok - blocks, %u units: %u states, %llu transitions\n", units, nr_states,
	       transitions);
}

/* --- random --- */

static u64 rng = 88172645463325252ULL;

static u32 below(u32 limit)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % limit;
}

static void run_random(u32 steps)
{
	static struct cswap_blocks blocks;
	static struct cswap_block structs[STRUCTS(MANY)];
	static struct unit unit[MANY];
	u32 used = 0, i, j, most = 0;

	m.random = true;
	m.blocks = &blocks;
	m.structs = structs;
	m.used = &used;
	m.unit = unit;
	m.units = MANY;
	m.structs_max = STRUCTS(MANY);
	for (i = 0; i < steps; i++) {
		/* one in so many goes the other way for a while */
		bool growing = i / 20000 % 2;
		u32 action = below(ACTIONS), times = 1;

		if ((action == RESET || action == AGAIN) && below(500))
			continue;
		if (action == TAKE || action == CONVERTED)
			times = 200;
		if (action == GET || action == GET_URGENT)
			times = growing ? 1 : 100;
		if (action == FAILED && below(100))
			continue;
		for (j = 0; j < times; j++)
			act(action, action == RECLAIM || action == RELEASE ? below(1 << 18) : below(MANY));
		if (blocks.batch_blocks > most)
			most = blocks.batch_blocks;
		if (i % 64 == 0)
			check();
		/* what is lost comes back with the next boot */
		if (i % 50000 == 0)
			for (j = 0; j < MANY; j++)
				unit[j].where = unit[j].where == LOST ? USABLE : unit[j].where;
	}
	check();
	drain();
	REQUIRE(most > VIRTIO_CSWAP_MAX_RANGES, "no request of more blocks than ranges");
	printf("ok - blocks, %u steps with %u units, up to %u in a request\n", steps, MANY, most);
}

int main(void)
{
	room = 1 << 19;
	table_size = 4 * room + 1;
	states = malloc(room * sizeof(*states));
	keys = malloc(room * sizeof(*keys));
	table = malloc(table_size * sizeof(*table));
	if (!states || !keys || !table)
		return 2;
	explore(1);
	explore(2);
	explore(3);
	run_random(200000);
	return 0;
}
