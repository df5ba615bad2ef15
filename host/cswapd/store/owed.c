// SPDX-License-Identifier: GPL-2.0-only
/*
 * owed.c - what is discarded of a store, and not given back to the medium yet.
 *
 * Theory of operation: a discard changes the slot's tag, and the guest may store there
 * again at once. To give the slot back to the medium takes I/O, which would destroy a page
 * that was stored meanwhile. So each chunk has a gate, one word: writers count themselves in
 * and out, and the worker that gives slots back closes the gate while no writer is inside. A
 * writer that finds the gate closed comes again later; no thread ever spins.
 *
 * Slots are given back in runs of whole units of the medium, in which no slot is in use;
 * a unit that is in use in part is owed until the rest of it is discarded.
 *
 * The guest has one operation of a slot at a time. If a guest has more, the counts here may
 * be off, which harms that guest alone.
 */
#include <stdlib.h>
#include <string.h>

#include "owed.h"

#define CLOSED (1U << 31)
/* Chunks that a pick looks into, when units that are used in part are all there is. */
#define MAX_LOOKS 32

static uint64_t chunk_of(uint64_t slot)
{
	return slot / OWED_CHUNK;
}

static uint64_t last_chunk(uint64_t slot, uint64_t count)
{
	return chunk_of(slot + count - 1);
}

/* Never below 0, whatever a guest does. */
static void count_up(struct owed *owed, uint64_t chunk)
{
	__atomic_fetch_add(&owed->count[chunk], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&owed->total, 1, __ATOMIC_RELAXED);
}

static void count_down(struct owed *owed, uint64_t chunk)
{
	uint16_t count = __atomic_load_n(&owed->count[chunk], __ATOMIC_RELAXED);

	while (count && !__atomic_compare_exchange_n(&owed->count[chunk], &count,
						     (uint16_t)(count - 1), true,
						     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	if (count)
		__atomic_fetch_sub(&owed->total, 1, __ATOMIC_RELAXED);
}

/* --- writers --- */

bool owed_enter(struct owed *owed, uint64_t slot, uint64_t count)
{
	uint64_t chunk;

	for (chunk = chunk_of(slot); chunk <= last_chunk(slot, count); chunk++) {
		if (!(__atomic_fetch_add(&owed->gate[chunk], 1, __ATOMIC_ACQUIRE) & CLOSED))
			continue;
		__atomic_fetch_sub(&owed->gate[chunk], 1, __ATOMIC_RELAXED);
		if (chunk != chunk_of(slot))
			__atomic_fetch_sub(&owed->gate[chunk_of(slot)], 1, __ATOMIC_RELAXED);
		return false;
	}
	return true;
}

void owed_leave(struct owed *owed, uint64_t slot, uint64_t count)
{
	uint64_t chunk;

	for (chunk = chunk_of(slot); chunk <= last_chunk(slot, count); chunk++)
		__atomic_fetch_sub(&owed->gate[chunk], 1, __ATOMIC_RELEASE);
}

void owed_store(struct owed *owed, uint64_t slot, const struct virtio_cswap_tag *tag,
		uint64_t count)
{
	uint64_t i;

	for (i = 0; i < count; i++) {
		if (tags_mem_state(owed->tags, slot + i) == TAG_OWED)
			count_down(owed, chunk_of(slot + i));
		owed->tags->tag[slot + i] = tag[i];
		/* A guest's own: it's as good as discarded. */
		if (tags_mem_state(owed->tags, slot + i) == TAG_OWED)
			count_up(owed, chunk_of(slot + i));
	}
}

void owed_discard(struct owed *owed, uint64_t slot, uint64_t count)
{
	const uint64_t end = slot + count;

	while (slot < end) {
		if (!tags_mem_has(owed->tags, slot, 1)) {
			slot = (slot / TAGS_MEM_SLOTS + 1) * TAGS_MEM_SLOTS;
			continue;
		}
		if (tags_mem_state(owed->tags, slot) == TAG_STORED) {
			owed->tags->tag[slot] = tag_owed;
			count_up(owed, chunk_of(slot));
		}
		slot++;
	}
}

/* --- giving back --- */

/* Of a unit: is nothing of it in use, and something owed? */
static bool can_give(const struct owed *owed, uint64_t slot, uint64_t end, bool *owes)
{
	*owes = false;
	for (; slot < end; slot++) {
		switch (tags_mem_state(owed->tags, slot)) {
		case TAG_STORED:
			return false;
		case TAG_OWED:
			*owes = true;
			break;
		case TAG_NONE:
			break;
		}
	}
	return true;
}

/* The first run of a chunk that is closed. False: there is none. */
static bool find_run(const struct owed *owed, uint64_t chunk, uint64_t most,
		     struct owed_run *run)
{
	const uint64_t begin = chunk * OWED_CHUNK, slots = owed->tags->slots;
	const uint64_t end = begin + OWED_CHUNK < slots ? begin + OWED_CHUNK : slots;
	uint64_t slot, next;
	bool owes;

	run->count = 0;
	for (slot = begin; slot < end; slot = next) {
		next = slot + owed->unit < end ? slot + owed->unit : end;
		if (!can_give(owed, slot, next, &owes)) {
			if (run->count)
				break;
			continue;
		}
		if (!run->count && !owes)
			continue;
		if (!run->count)
			run->slot = slot;
		else if (next - run->slot > most)
			break;
		if (owes)
			run->count = next - run->slot;
	}
	return run->count;
}

bool owed_pick(struct owed *owed, uint64_t most, struct owed_run *run)
{
	uint64_t first = __atomic_load_n(&owed->next, __ATOMIC_RELAXED), i;
	unsigned int looks = 0;

	for (i = 0; i < owed->chunks && owed_total(owed); i++) {
		uint64_t chunk = (first + i) % owed->chunks;
		uint32_t open = 0;

		if (!__atomic_load_n(&owed->count[chunk], __ATOMIC_RELAXED) ||
		    !__atomic_compare_exchange_n(&owed->gate[chunk], &open, CLOSED, false,
						 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			continue;
		if (find_run(owed, chunk, most, run)) {
			__atomic_store_n(&owed->next, chunk, __ATOMIC_RELAXED);
			return true;
		}
		__atomic_fetch_and(&owed->gate[chunk], ~CLOSED, __ATOMIC_RELEASE);
		if (++looks == MAX_LOOKS) {
			/* Giving back takes time from requests; they get the rest. */
			__atomic_store_n(&owed->next, (chunk + 1) % owed->chunks,
					 __ATOMIC_RELAXED);
			break;
		}
	}
	return false;
}

void owed_settle(struct owed *owed, const struct owed_run *run, bool given)
{
	const uint64_t chunk = chunk_of(run->slot), begin = chunk * OWED_CHUNK;
	uint64_t slot;

	for (slot = run->slot; given && slot < run->slot + run->count; slot++) {
		if (tags_mem_state(owed->tags, slot) != TAG_OWED)
			continue;
		owed->tags->tag[slot] = tag_none;
		count_down(owed, chunk);
		__atomic_fetch_add(&owed->given, 1, __ATOMIC_RELAXED);
	}
	for (slot = begin; given && slot < begin + OWED_CHUNK && slot < owed->tags->slots;
	     slot += TAGS_MEM_SLOTS)
		tags_mem_free_page(owed->tags, slot);
	/* What can't be given back is tried again when all else was. */
	if (!given)
		__atomic_store_n(&owed->next, (chunk + 1) % owed->chunks, __ATOMIC_RELAXED);
	__atomic_fetch_and(&owed->gate[chunk], ~CLOSED, __ATOMIC_RELEASE);
}

uint64_t owed_total(const struct owed *owed)
{
	return __atomic_load_n(&owed->total, __ATOMIC_RELAXED);
}

uint64_t owed_given(const struct owed *owed)
{
	return __atomic_load_n(&owed->given, __ATOMIC_RELAXED);
}

/* --- the beginning --- */

/* What an earlier process owed. */
static void find_owed(struct owed *owed)
{
	uint64_t slot = 0;

	while (slot < owed->tags->slots) {
		if (!tags_mem_has(owed->tags, slot, 1)) {
			slot = (slot / TAGS_MEM_SLOTS + 1) * TAGS_MEM_SLOTS;
			continue;
		}
		if (tags_mem_state(owed->tags, slot) == TAG_OWED)
			count_up(owed, chunk_of(slot));
		slot++;
	}
}

bool owed_open(struct owed *owed, struct tags_mem *tags, uint32_t trim_bytes)
{
	*owed = (struct owed) {
		.tags = tags,
		.chunks = last_chunk(0, tags->slots) + 1,
		.unit = trim_bytes / STORE_SLOT_SIZE,
	};
	/* A unit larger than a chunk is left to the medium: it gives back what it can. */
	if (!owed->unit || owed->unit > OWED_CHUNK || OWED_CHUNK % owed->unit)
		owed->unit = owed->unit > 1 ? OWED_CHUNK : 1;
	owed->gate = calloc(owed->chunks, sizeof(*owed->gate));
	owed->count = calloc(owed->chunks, sizeof(*owed->count));
	if (!owed->gate || !owed->count) {
		owed_close(owed);
		return false;
	}
	find_owed(owed);
	return true;
}

void owed_count_anew(struct owed *owed)
{
	memset(owed->gate, 0, owed->chunks * sizeof(*owed->gate));
	memset(owed->count, 0, owed->chunks * sizeof(*owed->count));
	owed->total = 0;
	owed->next = 0;
	find_owed(owed);
}

void owed_close(struct owed *owed)
{
	free(owed->gate);
	free(owed->count);
	owed->gate = NULL;
	owed->count = NULL;
	owed->total = 0;
}
