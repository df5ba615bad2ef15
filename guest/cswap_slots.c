// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_slots.c - what is known of every slot, and the sealed copies in the pool.
 *
 * Theory of operation
 *
 * Every slot has a record of 8 bytes, the only thing that says what the slot
 * holds and how fresh it is:
 *
 *	kind	NEVER	nothing was stored since the driver started
 *		FREED	what was stored is not wanted any more
 *		STORED	the device holds it, sealed with counter [value]
 *		COPY	the newest version is copy [value - 1] of the pool
 *	LOADING		a LOAD of the slot is in flight, or its reader may ask again
 *	DISCARDING	a DISCARD of the slot is in flight
 *	HELD		(NEVER, FREED) the device may still hold something
 *	value		also with FREED: 1 + the copy that was the newest, 0 if none
 *
 * The device runs requests in any order, over threads and across its own
 * crashes, so two requests for one slot could end up in either order, and the
 * loser's fresh nonce would make the page unreadable for ever. Hence the one
 * rule: at most one operation is in flight for a slot. It is a STORE (the
 * copy's state is SENT), a LOAD or a DISCARD (the flags). What a store finds in
 * the way decides where its copy goes:
 *
 *	in flight for the slot		the new copy is
 *	nothing				QUEUED, and replaces an older queued or kept one
 *	anything			DEFERRED until that is over, and replaces an
 *					older deferred one
 *
 * So if the newest copy is DEFERRED, exactly one operation is in flight, and
 * its end finds the copy through the record.
 *
 * A LOAD's flag stays until its reader has released the load. A page that doesn't open is asked for
 * again, by the same load and under the same flag: a retry takes nothing that others need, and
 * waits for nothing that others hold.
 *
 * A request is of one slot or of several neighbours, a group. Groups are made when requests are
 * sent, of what waits in a row: the first copy or load of a group is its name (the cookie), the
 * others follow it in a chain. A group exists for the device only. It ends as one request, and then
 * each of its pages is handled by itself: superseded, freed, confirmed, failed, opened, asked for
 * again. A page that has failed in a group is sent singly from then on, so that one bad slot harms
 * no others.
 *
 * A copy stays until the device has confirmed it; a STORE that fails leaves it
 * KEPT, to be sent again. Either way loads are served from it meanwhile. No
 * page is lost by a failed STORE.
 *
 * If it's known that DISCARDs in flight will never be answered (their queue is broken) they stay in
 * flight until a reset: the device may carry one out at any time, so no newer page may go there.
 * Stores of these slots are refused, and copies that wait for them already count as failed, so that
 * they can't use up the pool.
 *
 * Everything happens under the shard's lock but cswap_slot_free(), which the
 * swap core calls under locks of its own: it turns STORED or COPY into FREED by
 * cmpxchg and touches nothing else. Hence all changes of a record are cmpxchg
 * loops, and under the lock only the kind and HELD can change underfoot.
 */
#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/string.h>

#include "cswap_slots.h"

#define KIND_MASK	0x03ULL
#define KIND_NEVER	0x00ULL
#define KIND_FREED	0x01ULL
#define KIND_STORED	0x02ULL
#define KIND_COPY	0x03ULL
#define LOADING		0x04ULL
#define DISCARDING	0x08ULL
#define HELD		0x10ULL
#define FLAGS_MASK	(LOADING | DISCARDING)
#define VALUE_SHIFT	8

#define COOKIE_LOAD	0x80000000u

/* --- records --- */

static u64 kind_of(cswap_record_t r)
{
	return r & KIND_MASK;
}

static u64 value_of(cswap_record_t r)
{
	return r >> VALUE_SHIFT;
}

/* The slot's newest copy in the pool, wanted or not. */
static u32 copy_of(cswap_record_t r)
{
	bool named = kind_of(r) == KIND_COPY || kind_of(r) == KIND_FREED;

	return named && value_of(r) ? value_of(r) - 1 : CSWAP_NONE;
}

/*
 * Replace *@record by @to if it is still *@old; else fetch it into *@old. Ordered: a CPU that sees
 * @to sees what was written before.
 */
static bool record_change(cswap_record_t *record, cswap_record_t *old,
			  cswap_record_t to)
{
	return try_cmpxchg(record, old, to);
}

static cswap_record_t record_clear(cswap_record_t *record, u64 flags)
{
	cswap_record_t old = READ_ONCE(*record);

	while (!record_change(record, &old, old & ~flags))
		;
	return old & ~flags;
}

u32 cswap_slot_shard(u64 slot, u32 shards)
{
	return (slot / CSWAP_SHARD_SLOTS) % shards;
}

void cswap_slots_take_over(cswap_record_t *records, u64 count)
{
	while (count--)
		records[count] = KIND_NEVER | HELD;
}

bool cswap_slot_counter(const struct cswap_shard *shard, u64 slot, u64 *counter)
{
	cswap_record_t r = READ_ONCE(shard->records[slot]);

	if (kind_of(r) == KIND_STORED)
		*counter = value_of(r);
	else if (kind_of(r) == KIND_COPY)
		*counter = shard->copies[copy_of(r)].counter;
	else
		return false;
	return true;
}

bool cswap_slot_free(cswap_record_t *record)
{
	cswap_record_t old = READ_ONCE(*record);
	cswap_record_t to;

	do {
		switch (kind_of(old)) {
		case KIND_STORED:
			to = KIND_FREED | HELD | (old & FLAGS_MASK);
			break;
		case KIND_COPY:
			to = (old & ~KIND_MASK) | KIND_FREED | HELD;
			break;
		default:
			return false;
		}
	} while (!try_cmpxchg(record, &old, to));
	return true;
}

/* --- copies and their lists --- */

static void list_add_tail(struct cswap_shard *shard, struct cswap_list *list, u32 c)
{
	struct cswap_copy *copy = &shard->copies[c];

	copy->prev = list->last;
	copy->next = CSWAP_NONE;
	if (list->last == CSWAP_NONE)
		list->first = c;
	else
		shard->copies[list->last].next = c;
	list->last = c;
	list->count++;
}

static void list_del(struct cswap_shard *shard, struct cswap_list *list, u32 c)
{
	struct cswap_copy *copy = &shard->copies[c];

	if (copy->prev == CSWAP_NONE)
		list->first = copy->next;
	else
		shard->copies[copy->prev].next = copy->next;
	if (copy->next == CSWAP_NONE)
		list->last = copy->prev;
	else
		shard->copies[copy->next].prev = copy->prev;
	list->count--;
}

static void copy_queue(struct cswap_shard *shard, u32 c)
{
	shard->copies[c].state = CSWAP_COPY_QUEUED;
	list_add_tail(shard, &shard->send, c);
}

/*
 * The copy stays in the pool for longer than it should; too many such copies make the pair refuse
 * new stores.
 */
static void copy_fail(struct cswap_shard *shard, u32 c)
{
	struct cswap_copy *copy = &shard->copies[c];

	shard->failed += !copy->failed;
	copy->failed = true;
}

static void copy_absolve(struct cswap_shard *shard, u32 c)
{
	struct cswap_copy *copy = &shard->copies[c];

	shard->failed -= copy->failed;
	copy->failed = false;
}

static void copy_free(struct cswap_shard *shard, u32 c)
{
	struct cswap_copy *copy = &shard->copies[c];

	copy_absolve(shard, c);
	copy->state = CSWAP_COPY_FREE;
	list_add_tail(shard, &shard->free, c);
}

/* The record doesn't name @c any more, and it isn't in flight. */
static void copy_release(struct cswap_shard *shard, u32 c)
{
	struct cswap_copy *copy = &shard->copies[c];

	if (copy->state == CSWAP_COPY_QUEUED)
		list_del(shard, &shard->send, c);
	else if (copy->state == CSWAP_COPY_KEPT)
		list_del(shard, &shard->kept, c);
	if (copy->readers)
		copy->state = CSWAP_COPY_ZOMBIE;
	else
		copy_free(shard, c);
}

/*
 * If the slot was freed, let go of @c, its newest copy, which isn't in flight.
 * Only a store, under our lock, could make the slot wanted again.
 */
static bool copy_drop_if_freed(struct cswap_shard *shard, u32 c)
{
	cswap_record_t *record = &shard->records[shard->copies[c].slot];
	cswap_record_t old = READ_ONCE(*record);

	if (kind_of(old) != KIND_FREED)
		return false;
	while (!record_change(record, &old, KIND_FREED | HELD | (old & FLAGS_MASK)))
		;
	copy_release(shard, c);
	return true;
}

/* An operation on @slot is over: queue the copy that waited for it, if there's one. */
static bool slot_out_of_flight(struct cswap_shard *shard, u64 slot)
{
	u32 c = copy_of(READ_ONCE(shard->records[slot]));

	if (c == CSWAP_NONE || shard->copies[c].state != CSWAP_COPY_DEFERRED)
		return false;
	if (!copy_drop_if_freed(shard, c))
		copy_queue(shard, c);
	return true;
}

void cswap_shard_init(struct cswap_shard *shard, cswap_record_t *records,
		      struct cswap_copy *copies, u32 nr_copies,
		      struct cswap_load *loads, u32 nr_loads,
		      const struct cswap_limits *limits)
{
	const struct cswap_list empty = { CSWAP_NONE, CSWAP_NONE, 0 };
	u32 i;

	*shard = (struct cswap_shard) {
		.records = records,
		.copies = copies,
		.nr_copies = nr_copies,
		.loads = loads,
		.nr_loads = nr_loads,
		.limits = *limits,
		.max_failed = nr_copies / 2,
		.free = empty,
		.send = empty,
		.kept = empty,
		.ask = empty,
		.free_load = CSWAP_NONE,
	};
	for (i = 0; i < nr_copies; i++)
		copy_free(shard, i);
	for (i = nr_loads; i--;) {
		loads[i].next = shard->free_load;
		shard->free_load = i;
	}
}

/* --- stores --- */

u32 cswap_store_begin(struct cswap_shard *shard, unsigned long now)
{
	u32 c = shard->free.first;

	if (c != CSWAP_NONE) {
		list_del(shard, &shard->free, c);
		shard->copies[c].state = CSWAP_COPY_FILLING;
		shard->room_at = now;
	}
	return c;
}

static bool is_longer_ago(unsigned long then, unsigned long now, unsigned long limit)
{
	return (long)(now - then) > (long)limit;
}

bool cswap_store_stalled(const struct cswap_shard *shard, unsigned long now,
			 unsigned long limit)
{
	if (shard->sent + shard->asked && is_longer_ago(shard->moved_at, now, limit))
		return true;
	return shard->free.first == CSWAP_NONE && is_longer_ago(shard->room_at, now, limit);
}

bool cswap_store_refused(const struct cswap_shard *shard, u64 slot)
{
	if (shard->discards_lost && READ_ONCE(shard->records[slot]) & DISCARDING)
		return true;
	return shard->failed && shard->failed >= shard->max_failed;
}

void cswap_store_cancel(struct cswap_shard *shard, u32 copy)
{
	copy_free(shard, copy);
}

void cswap_store_publish(struct cswap_shard *shard, u32 c, u64 slot,
			 u64 counter, const u8 *tag)
{
	cswap_record_t *record = &shard->records[slot];
	struct cswap_copy *copy = &shard->copies[c];
	cswap_record_t old = READ_ONCE(*record);
	bool in_flight;
	u32 older;

	copy->slot = slot;
	copy->counter = counter;
	memcpy(copy->tag, tag, sizeof(copy->tag));

	while (!record_change(record, &old, KIND_COPY | (old & FLAGS_MASK) |
			      ((u64)c + 1) << VALUE_SHIFT))
		;
	in_flight = old & FLAGS_MASK;
	older = copy_of(old);
	if (older != CSWAP_NONE) {
		u8 state = shard->copies[older].state;

		in_flight |= state == CSWAP_COPY_SENT || state == CSWAP_COPY_DEFERRED;
		if (state != CSWAP_COPY_SENT)
			copy_release(shard, older);
	}
	if (!in_flight) {
		copy_queue(shard, c);
		return;
	}
	copy->state = CSWAP_COPY_DEFERRED;
	if (shard->discards_lost && old & DISCARDING)
		copy_fail(shard, c);
}

/* The pages that a STORE may have now; 0 if it can't be sent. */
static u32 store_room(const struct cswap_shard *shard)
{
	const struct cswap_limits *limits = &shard->limits;
	u32 used = shard->sent + shard->sent_pages;

	/* a descriptor for the header, and one for each page */
	if (shard->sent == limits->stores || limits->store_descriptors - used < 2)
		return 0;
	return min(limits->store_pages, limits->store_descriptors - used - 1);
}

/* Take the copy in front of the queue, if it may follow @last in a group, or it's the first. */
static u32 store_take(struct cswap_shard *shard, u32 last)
{
	struct cswap_copy *copy;
	u32 c;

	do {
		c = shard->send.first;
		if (c == CSWAP_NONE)
			return CSWAP_NONE;
	} while (copy_drop_if_freed(shard, c));
	copy = &shard->copies[c];
	if (last != CSWAP_NONE && (copy->failed || shard->copies[last].failed ||
				   copy->slot != shard->copies[last].slot + 1))
		return CSWAP_NONE;
	list_del(shard, &shard->send, c);
	copy->state = CSWAP_COPY_SENT;
	copy->count = 0;
	copy->next = CSWAP_NONE;
	if (last != CSWAP_NONE)
		shard->copies[last].next = c;
	return c;
}

bool cswap_store_next(struct cswap_shard *shard, struct cswap_group *group)
{
	u32 room = store_room(shard), last, c;
	struct cswap_copy *first;

	c = room ? store_take(shard, CSWAP_NONE) : CSWAP_NONE;
	if (c == CSWAP_NONE)
		return false;
	first = &shard->copies[c];
	*group = (struct cswap_group) { .first = c, .slot = first->slot };
	do {
		group->count++;
		last = c;
		c = group->count < room ? store_take(shard, last) : CSWAP_NONE;
	} while (c != CSWAP_NONE);
	first->count = group->count;
	first->pending = CSWAP_PART_CHAIN | CSWAP_PART_ANSWER;
	first->seq++;
	shard->sent++;
	shard->sent_pages += group->count;
	group->cookie = (u64)first->seq << 32 | group->first;
	return true;
}

u32 cswap_store_retry(struct cswap_shard *shard)
{
	u32 count = shard->kept.count;
	u32 c;

	while ((c = shard->kept.first) != CSWAP_NONE) {
		list_del(shard, &shard->kept, c);
		copy_queue(shard, c);
	}
	return count;
}

/* The device holds @c, the newest version, now: the record says so. */
static void store_confirm(struct cswap_shard *shard, u32 c)
{
	struct cswap_copy *copy = &shard->copies[c];
	cswap_record_t *record = &shard->records[copy->slot];
	cswap_record_t old = READ_ONCE(*record);
	cswap_record_t to;

	do {
		if (kind_of(old) == KIND_COPY)
			to = KIND_STORED | copy->counter << VALUE_SHIFT;
		else
			to = KIND_FREED | HELD;
	} while (!record_change(record, &old, to));
	copy_release(shard, c);
}

/* The STORE of @c is over, one way or the other. */
static void copy_settle(struct cswap_shard *shard, u32 c, bool ok)
{
	struct cswap_copy *copy = &shard->copies[c];

	if (copy_of(READ_ONCE(shard->records[copy->slot])) != c) {
		/* superseded; the one that took its place is deferred */
		slot_out_of_flight(shard, copy->slot);
		copy_release(shard, c);
	} else if (ok) {
		store_confirm(shard, c);
	} else if (!copy_drop_if_freed(shard, c)) {
		copy_fail(shard, c);
		copy->state = CSWAP_COPY_KEPT;
		list_add_tail(shard, &shard->kept, c);
	}
}

/* That of the group that begins with @c. */
static void store_settle(struct cswap_shard *shard, u32 c, bool ok)
{
	u32 next;

	shard->sent--;
	shard->sent_pages -= shard->copies[c].count;
	for (; c != CSWAP_NONE; c = next) {
		next = shard->copies[c].next;
		copy_settle(shard, c, ok);
	}
}

/* --- loads --- */

/* It's to be sent, behind those that wait already. */
static void load_queue(struct cswap_shard *shard, u32 l)
{
	struct cswap_list *list = &shard->ask;
	struct cswap_load *load = &shard->loads[l];

	load->state = CSWAP_LOAD_QUEUED;
	load->prev = list->last;
	load->next = CSWAP_NONE;
	if (list->last == CSWAP_NONE)
		list->first = l;
	else
		shard->loads[list->last].next = l;
	list->last = l;
	list->count++;
}

static void load_unqueue(struct cswap_shard *shard, u32 l)
{
	struct cswap_list *list = &shard->ask;
	struct cswap_load *load = &shard->loads[l];

	if (load->prev == CSWAP_NONE)
		list->first = load->next;
	else
		shard->loads[load->prev].next = load->next;
	if (load->next == CSWAP_NONE)
		list->last = load->prev;
	else
		shard->loads[load->next].prev = load->prev;
	list->count--;
}

static u32 load_take(struct cswap_shard *shard, u64 slot, u64 counter)
{
	u32 l = shard->free_load;
	struct cswap_load *load = &shard->loads[l];

	shard->free_load = load->next;
	shard->loading++;
	load->slot = slot;
	load->counter = counter;
	load->single = false;
	load->abandoned = false;
	load_queue(shard, l);
	return l;
}

/* The copy that @r names; it's read now. */
static u32 copy_get(struct cswap_shard *shard, cswap_record_t r)
{
	u32 c = copy_of(r);

	shard->copies[c].readers++;
	return c;
}

enum cswap_load_how cswap_load_begin(struct cswap_shard *shard, u64 slot, u32 *index)
{
	cswap_record_t *record = &shard->records[slot];
	cswap_record_t old = READ_ONCE(*record);

	do {
		switch (kind_of(old)) {
		case KIND_NEVER:
		case KIND_FREED:
			return CSWAP_LOAD_NOTHING;
		case KIND_COPY:
			*index = copy_get(shard, old);
			return CSWAP_LOAD_COPY;
		}
		if (old & FLAGS_MASK)
			return CSWAP_LOAD_BUSY;
		if (shard->free_load == CSWAP_NONE)
			return CSWAP_LOAD_WAIT;
	} while (!record_change(record, &old, old | LOADING));

	*index = load_take(shard, slot, value_of(old));
	return CSWAP_LOAD_DEVICE;
}

enum cswap_load_how cswap_load_again(struct cswap_shard *shard, u32 l, u32 *index)
{
	struct cswap_load *load = &shard->loads[l];
	cswap_record_t r = READ_ONCE(shard->records[load->slot]);

	switch (kind_of(r)) {
	case KIND_COPY:
		*index = copy_get(shard, r);
		return CSWAP_LOAD_COPY;
	case KIND_STORED:
		load->single = true;
		load_queue(shard, l);
		*index = l;
		return CSWAP_LOAD_DEVICE;
	default:
		return CSWAP_LOAD_NOTHING;
	}
}

/* Load @l may follow @last in a group. */
static bool load_follows(const struct cswap_shard *shard, u32 l, u32 last)
{
	return l != CSWAP_NONE && !shard->loads[l].single && !shard->loads[last].single &&
	       shard->loads[l].slot == shard->loads[last].slot + 1;
}

bool cswap_load_next(struct cswap_shard *shard, struct cswap_group *group)
{
	u32 next, l = shard->ask.first;
	struct cswap_load *first;
	bool more;

	if (l == CSWAP_NONE || shard->asked == shard->limits.loads)
		return false;
	first = &shard->loads[l];
	*group = (struct cswap_group) { .first = l, .slot = first->slot };
	do {
		struct cswap_load *load = &shard->loads[l];

		next = load->next;
		load_unqueue(shard, l);
		group->count++;
		more = group->count < shard->limits.load_pages && load_follows(shard, next, l);
		load->state = CSWAP_LOAD_SENT;
		load->count = 0;
		load->follows = more ? next : CSWAP_NONE;
		l = next;
	} while (more);
	first->count = group->count;
	first->pending = CSWAP_PART_CHAIN | CSWAP_PART_ANSWER;
	first->seq++;
	shard->asked++;
	group->cookie = (u64)first->seq << 32 | COOKIE_LOAD | group->first;
	return true;
}

void cswap_copy_put(struct cswap_shard *shard, u32 c)
{
	struct cswap_copy *copy = &shard->copies[c];

	if (!--copy->readers && copy->state == CSWAP_COPY_ZOMBIE)
		copy_free(shard, c);
}

/* No retry will come: nothing is in flight for the slot any more. */
static bool load_free(struct cswap_shard *shard, u32 l)
{
	struct cswap_load *load = &shard->loads[l];

	load->state = CSWAP_LOAD_FREE;
	load->next = shard->free_load;
	shard->free_load = l;
	shard->loading--;
	record_clear(&shard->records[load->slot], LOADING);
	return slot_out_of_flight(shard, load->slot);
}

/*
 * The LOAD that begins with @l is over. The owner of each page decides what follows for that page.
 */
static void load_settle(struct cswap_shard *shard, u32 l)
{
	shard->asked--;
	for (; l != CSWAP_NONE; l = shard->loads[l].follows) {
		shard->loads[l].state = CSWAP_LOAD_OVER;
		if (shard->loads[l].abandoned)
			load_free(shard, l);
	}
}

bool cswap_load_end(struct cswap_shard *shard, u32 l)
{
	struct cswap_load *load = &shard->loads[l];

	if (load->state == CSWAP_LOAD_SENT) {
		load->abandoned = true;
		return false;
	}
	if (load->state == CSWAP_LOAD_QUEUED)
		load_unqueue(shard, l);
	return load_free(shard, l);
}

/* --- what the device says --- */

/* Speculation past a check must not index with a cookie that the host chose. */
static struct cswap_copy *copy_in_flight(const struct cswap_shard *shard, u64 cookie)
{
	u32 c = (u32)cookie;

	if (c >= shard->nr_copies)
		return NULL;
	c = array_index_nospec(c, shard->nr_copies);
	if (shard->copies[c].state != CSWAP_COPY_SENT || !shard->copies[c].count ||
	    shard->copies[c].seq != cookie >> 32)
		return NULL;
	return &shard->copies[c];
}

u32 cswap_load_of_cookie(const struct cswap_shard *shard, u64 cookie)
{
	u32 l = (u32)cookie & ~COOKIE_LOAD;

	if (!((u32)cookie & COOKIE_LOAD) || l >= shard->nr_loads)
		return CSWAP_NONE;
	l = array_index_nospec(l, shard->nr_loads);
	if (shard->loads[l].state != CSWAP_LOAD_SENT || !shard->loads[l].count ||
	    shard->loads[l].seq != cookie >> 32)
		return CSWAP_NONE;
	return l;
}

static int store_part(struct cswap_shard *shard, u64 cookie, u8 part, u32 status,
		      struct cswap_event *event)
{
	struct cswap_copy *copy = copy_in_flight(shard, cookie);

	if (!copy || !(copy->pending & part))
		return -EPROTO;
	copy->pending &= ~part;
	if (part == CSWAP_PART_ANSWER)
		copy->stored = status == VIRTIO_CSWAP_S_OK;
	event->kind = CSWAP_COOKIE_STORE;
	event->index = copy - shard->copies;
	event->over = !copy->pending;
	event->failed = event->over && !copy->stored;
	if (event->over)
		store_settle(shard, event->index, !event->failed);
	return 0;
}

static int load_part(struct cswap_shard *shard, u64 cookie, u8 part,
		     struct cswap_event *event)
{
	u32 l = cswap_load_of_cookie(shard, cookie);
	struct cswap_load *load;

	if (l == CSWAP_NONE || !(shard->loads[l].pending & part))
		return -EPROTO;
	load = &shard->loads[l];
	load->pending &= ~part;
	event->kind = CSWAP_COOKIE_LOAD;
	event->index = l;
	event->over = !load->pending;
	if (event->over)
		load_settle(shard, l);
	return 0;
}

int cswap_chain_back(struct cswap_shard *shard, u64 cookie, struct cswap_event *event)
{
	*event = (struct cswap_event) { };
	if ((u32)cookie & COOKIE_LOAD)
		return load_part(shard, cookie, CSWAP_PART_CHAIN, event);
	return store_part(shard, cookie, CSWAP_PART_CHAIN, 0, event);
}

/* A LOAD is answered by all of its pages, or none. */
static bool answer_fits(const struct cswap_shard *shard, u64 cookie, u32 status, u32 pages)
{
	u32 l = cswap_load_of_cookie(shard, cookie);

	return l != CSWAP_NONE &&
	       pages == (status == VIRTIO_CSWAP_S_OK ? shard->loads[l].count : 0);
}

int cswap_answer_here(struct cswap_shard *shard, u64 cookie,
		      enum cswap_cookie_kind kind, u32 status, u32 pages,
		      struct cswap_event *event)
{
	*event = (struct cswap_event) { };
	if (kind == CSWAP_COOKIE_LOAD)
		return answer_fits(shard, cookie, status, pages) ?
		       load_part(shard, cookie, CSWAP_PART_ANSWER, event) : -EPROTO;
	return store_part(shard, cookie, CSWAP_PART_ANSWER, status, event);
}

/* The device forgot this copy's STORE, which didn't fail: so the copy is QUEUED again, not KEPT. */
static void copy_resend(struct cswap_shard *shard, u32 c)
{
	if (shard->copies[c].state != CSWAP_COPY_KEPT)
		return;
	list_del(shard, &shard->kept, c);
	copy_absolve(shard, c);
	copy_queue(shard, c);
}

static void load_reset(struct cswap_shard *shard, u32 l, bool fail)
{
	struct cswap_load *load = &shard->loads[l];

	if (load->state == CSWAP_LOAD_QUEUED && fail)
		load_unqueue(shard, l);
	else if (load->state != CSWAP_LOAD_SENT)
		return;
	load->state = CSWAP_LOAD_OVER;
	if (load->abandoned)
		load_free(shard, l);
	else if (!fail)
		load_queue(shard, l);
}

void cswap_shard_reset(struct cswap_shard *shard, bool fail)
{
	u32 i;

	shard->discards_lost = false;
	shard->sent = 0;
	shard->sent_pages = 0;
	shard->asked = 0;
	for (i = 0; i < shard->nr_copies; i++) {
		/* the copy waited for what is never answered; that wait ends now */
		if (shard->copies[i].state == CSWAP_COPY_DEFERRED)
			copy_absolve(shard, i);
		if (shard->copies[i].state == CSWAP_COPY_SENT) {
			copy_settle(shard, i, false);
			copy_resend(shard, i);
		}
	}
	for (i = 0; i < shard->nr_loads; i++)
		load_reset(shard, i, fail);
}

/* --- discards --- */

/* The swap core doesn't want the slot's content. */
static bool is_unwanted(cswap_record_t r)
{
	return kind_of(r) == KIND_FREED || kind_of(r) == KIND_NEVER;
}

static bool discard_claim_one(cswap_record_t *record, bool *again)
{
	cswap_record_t old = READ_ONCE(*record);

	do {
		if (!is_unwanted(old) || !(old & HELD))
			return false;
		if (old & FLAGS_MASK || value_of(old)) {
			*again = true;
			return false;
		}
	} while (!record_change(record, &old, (old | DISCARDING) & ~HELD));
	return true;
}

u32 cswap_discard_claim(struct cswap_shard *shard, u64 start, u64 count,
			struct cswap_range *ranges, u32 max, u64 *next,
			bool *again)
{
	u64 slot, end = start + count;
	u32 nr = 0;

	for (slot = start; slot < end; slot++) {
		bool adjacent = nr && ranges[nr - 1].start + ranges[nr - 1].count == slot;

		if (nr == max && !adjacent)
			break;
		if (!discard_claim_one(&shard->records[slot], again))
			continue;
		if (adjacent)
			ranges[nr - 1].count++;
		else
			ranges[nr++] = (struct cswap_range) { slot, 1 };
	}
	*next = slot;
	return nr;
}

void cswap_discard_done(struct cswap_shard *shard, const struct cswap_range *range,
			bool done)
{
	u64 slot;

	for (slot = range->start; slot < range->start + range->count; slot++) {
		cswap_record_t *record = &shard->records[slot];
		cswap_record_t old = READ_ONCE(*record);
		cswap_record_t to;

		do {
			to = old & ~DISCARDING;
			if (!done && is_unwanted(old))
				to |= HELD;
		} while (!record_change(record, &old, to));
		slot_out_of_flight(shard, slot);
	}
}

void cswap_discards_lose(struct cswap_shard *shard)
{
	u32 i;

	shard->discards_lost = true;
	for (i = 0; i < shard->nr_copies; i++) {
		struct cswap_copy *copy = &shard->copies[i];

		if (copy->state != CSWAP_COPY_DEFERRED ||
		    !(READ_ONCE(shard->records[copy->slot]) & DISCARDING))
			continue;
		if (!copy_drop_if_freed(shard, i))
			copy_fail(shard, i);
	}
}
