// SPDX-License-Identifier: GPL-2.0-only
/*
 * vring.c - the device's side of a split virtqueue.
 *
 * Theory of operation: the guest may write to the ring at any time, so each
 * field is fetched once, by one load, into a local variable, and only that is
 * checked and used. Indices are masked or compared with the ring's size before
 * they index anything; a chain has no more links than the ring has
 * descriptors. Our own positions are kept privately and never read back.
 *
 * Whatever is written to the used ring is noted in the dirty log afterwards, in one place: log_used(). A
 * ring is noted as a whole when it is attached, too: the worker before may have died between write and note.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "vring.h"

_Static_assert(sizeof(struct vring_desc) == 16, "fetched as two words");

#define AVAIL_BYTES(num) (sizeof(uint16_t) * (3 + (uint64_t)(num)))
#define USED_BYTES(num) \
	(sizeof(uint16_t) * 3 + sizeof(struct vring_used_elem) * (uint64_t)(num))

static uint16_t load16(const uint16_t *from)
{
	return le16toh(__atomic_load_n(from, __ATOMIC_RELAXED));
}

static void store16(uint16_t *to, uint16_t value)
{
	__atomic_store_n(to, htole16(value), __ATOMIC_RELAXED);
}

/* The two event words lie behind the arrays whose length is known now only. */
static uint16_t *used_event(const struct vring_device *ring)
{
	return &ring->avail->ring[ring->num];
}

static uint16_t *avail_event(const struct vring_device *ring)
{
	return (uint16_t *)&ring->used->ring[ring->num];
}

/* A front end that moves the guest is to copy the used ring again. */
static void log_used(const struct vring_device *ring)
{
	if (ring->log)
		dirty_log_mark(&ring->memory->dirty, ring->used_gpa, USED_BYTES(ring->num));
}

static enum vring_result break_ring(struct vring_device *ring, const char *why)
{
	ring->broken = why;
	return VRING_BROKEN;
}

bool vring_is_here(const struct vring_device *ring)
{
	return ring->desc && ring->avail && ring->used;
}

/* Find the three parts in @memory as it is now. */
static const char *find_parts(struct vring_device *ring,
			      const struct memory *memory,
			      const struct vring_setup *setup)
{
	unsigned int num = setup->num;

	ring->desc = memory_from_uva(memory, setup->desc_uva,
				     sizeof(struct vring_desc) * num);
	ring->avail = memory_from_uva(memory, setup->avail_uva,
				      AVAIL_BYTES(num));
	ring->used = memory_from_uva(memory, setup->used_uva, USED_BYTES(num));
	if (!vring_is_here(ring))
		return "ring does not lie in shared memory";
	if ((uintptr_t)ring->desc & (VRING_DESC_ALIGN_SIZE - 1) ||
	    (uintptr_t)ring->avail & (VRING_AVAIL_ALIGN_SIZE - 1) ||
	    (uintptr_t)ring->used & (VRING_USED_ALIGN_SIZE - 1))
		return "ring is misaligned";
	return NULL;
}

/* Is it a ring, and where? */
static const char *find_ring(struct vring_device *ring,
			     const struct memory *memory,
			     const struct vring_setup *setup)
{
	unsigned int num = setup->num;

	if (!num || num > VRING_MAX_NUM || (num & (num - 1)))
		return "ring size is not a power of two up to 1024";
	return find_parts(ring, memory, setup);
}

bool vring_is_shared(const struct memory *memory, const struct vring_setup *setup)
{
	struct vring_device ring;

	find_parts(&ring, memory, setup);
	return vring_is_here(&ring);
}

void vring_await(struct vring_device *ring, const struct vring_setup *setup)
{
	*ring = (struct vring_device) { .last_avail = setup->base };
}

const char *vring_read_used(const struct memory *memory,
			    const struct vring_setup *setup, uint16_t *used)
{
	struct vring_device ring;
	const char *wrong = find_ring(&ring, memory, setup);

	if (!wrong)
		*used = load16(&ring.used->idx);
	return wrong;
}

const char *vring_attach(struct vring_device *ring,
			 const struct memory *memory,
			 const struct vring_setup *setup)
{
	unsigned int num = setup->num;
	const char *wrong;

	memset(ring, 0, sizeof(*ring));
	ring->broken = "not set up";
	wrong = find_ring(ring, memory, setup);
	if (wrong)
		return wrong;
	ring->memory = memory;
	ring->num = setup->num;
	ring->event_idx = setup->event_idx;
	ring->log = setup->log;
	ring->used_gpa = setup->used_gpa;
	ring->last_avail = setup->base;
	ring->used_idx = load16(&ring->used->idx);
	ring->used_published = ring->used_idx;
	if (vring_outstanding(ring) > num)
		return "ring's base and used index do not fit together";
	ring->broken = NULL;
	log_used(ring);
	return NULL;
}

const char *vring_relocate(struct vring_device *ring,
			   const struct vring_setup *setup)
{
	return find_parts(ring, ring->memory, setup);
}

uint16_t vring_outstanding(const struct vring_device *ring)
{
	return (uint16_t)(ring->last_avail - ring->used_idx);
}

static uint16_t count_avail(const struct vring_device *ring)
{
	uint16_t idx = load16(&ring->avail->idx);

	/* What lies in front of the index was written before it. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return (uint16_t)(idx - ring->last_avail);
}

bool vring_has_avail(const struct vring_device *ring)
{
	return !ring->broken && count_avail(ring);
}

/*
 * Translate one descriptor; it may lie across neighbouring regions. What is wrong begins
 * at *@addr then.
 */
static const char *add_segments(const struct vring_device *ring,
				struct vring_chain *chain, uint64_t *addr,
				uint64_t len, bool writable)
{
	while (len) {
		unsigned int n = chain->readable + chain->writable;
		uint64_t piece = len;
		void *host;

		if (n == VRING_MAX_SEGMENTS)
			return "descriptor chain has too many pieces";
		host = memory_from_gpa(ring->memory, *addr, &piece);
		if (!host)
			return "descriptor points outside shared memory";
		chain->segment[n].host = host;
		chain->segment[n].len = piece;
		if (writable) {
			chain->writable++;
			chain->writable_bytes += piece;
		} else {
			chain->readable++;
			chain->readable_bytes += piece;
		}
		*addr += piece;
		len -= piece;
	}
	return NULL;
}

/* One descriptor, fetched by two loads whatever the guest does meanwhile. */
static void fetch_desc(const struct vring_desc *from, struct vring_desc *to)
{
	const uint64_t *word = (const uint64_t *)from;
	uint64_t copy[2];

	copy[0] = __atomic_load_n(&word[0], __ATOMIC_RELAXED);
	copy[1] = __atomic_load_n(&word[1], __ATOMIC_RELAXED);
	memcpy(to, copy, sizeof(*to));
	to->addr = le64toh(to->addr);
	to->len = le32toh(to->len);
	to->flags = le16toh(to->flags);
	to->next = le16toh(to->next);
}

enum vring_result vring_walk(struct vring_device *ring, uint16_t head,
			     struct vring_chain *chain)
{
	struct vring_desc desc = { .flags = VRING_DESC_F_NEXT, .next = head };
	unsigned int links = 0;
	const char *wrong;
	uint64_t addr;
	bool writable;

	if (ring->broken)
		return VRING_BROKEN;
	chain->head = head;
	chain->readable = 0;
	chain->writable = 0;
	chain->readable_bytes = 0;
	chain->writable_bytes = 0;
	while (desc.flags & VRING_DESC_F_NEXT) {
		if (links++ == ring->num)
			return break_ring(ring, "descriptor chain is a loop");
		if (desc.next >= ring->num)
			return break_ring(ring, "descriptor index out of range");
		fetch_desc(&ring->desc[desc.next], &desc);
		if (desc.flags & ~(VRING_DESC_F_NEXT | VRING_DESC_F_WRITE))
			return break_ring(ring, "descriptor has unknown flags");
		writable = desc.flags & VRING_DESC_F_WRITE;
		if (!writable && chain->writable)
			return break_ring(ring, "readable descriptor behind a writable one");
		addr = desc.addr;
		wrong = add_segments(ring, chain, &addr, desc.len, writable);
		if (wrong)
			return memory_is_gone(ring->memory, addr) ?
				       VRING_AWAY : break_ring(ring, wrong);
	}
	return VRING_OK;
}

enum vring_result vring_pop(struct vring_device *ring,
			    struct vring_chain *chain)
{
	enum vring_result result;
	uint16_t avail;
	uint16_t head;

	if (ring->broken)
		return VRING_BROKEN;
	avail = count_avail(ring);
	if (!avail)
		return VRING_EMPTY;
	if (avail > ring->num)
		return break_ring(ring, "available index jumped");
	if (vring_outstanding(ring) >= ring->num)
		return break_ring(ring, "more buffers than the ring has");
	head = load16(&ring->avail->ring[ring->last_avail & (ring->num - 1)]);
	result = vring_walk(ring, head, chain);
	if (result == VRING_OK)
		ring->last_avail++;
	return result;
}

void vring_push(struct vring_device *ring, uint16_t head, uint32_t written)
{
	struct vring_used_elem *elem =
		&ring->used->ring[ring->used_idx & (ring->num - 1)];

	__atomic_store_n(&elem->id, htole32(head), __ATOMIC_RELAXED);
	__atomic_store_n(&elem->len, htole32(written), __ATOMIC_RELAXED);
	ring->used_idx++;
}

void vring_log_chain(struct vring_device *ring, uint16_t head, uint32_t written,
		     struct vring_chain *scratch)
{
	const struct memory *memory = ring->memory;
	unsigned int i, end;
	uint64_t gpa;

	if (!written || !memory->dirty.bits || vring_walk(ring, head, scratch) != VRING_OK)
		return;
	end = scratch->readable + scratch->writable;
	for (i = scratch->readable; written && i < end; i++) {
		uint64_t len = scratch->segment[i].len;

		if (len > written)
			len = written;
		if (memory_to_gpa(memory, scratch->segment[i].host, &gpa))
			dirty_log_mark(&memory->dirty, gpa, len);
		written -= (uint32_t)len;
	}
}

bool vring_publish(struct vring_device *ring)
{
	if (ring->used_published == ring->used_idx)
		return false;
	ring->used_published = ring->used_idx;
	/* Buffers and used elements first, then the index that shows them. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	store16(&ring->used->idx, ring->used_idx);
	log_used(ring);
	return true;
}

bool vring_call_due(struct vring_device *ring)
{
	uint16_t old = ring->used_signalled;
	uint16_t new = ring->used_published;
	bool first = !ring->signalled_valid;

	/* The index must be out before we look whether the guest waits for it. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!ring->event_idx)
		return !(load16(&ring->avail->flags) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	ring->used_signalled = new;
	ring->signalled_valid = true;
	return first || vring_need_event(load16(used_event(ring)), new, old);
}

void vring_enable_kicks(struct vring_device *ring)
{
	if (ring->broken)
		return;
	if (ring->event_idx)
		store16(avail_event(ring), ring->last_avail);
	else
		store16(&ring->used->flags, 0);
	log_used(ring);
	/* Said before we look again, or a buffer posted now would be missed. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void vring_disable_kicks(struct vring_device *ring)
{
	/* With event indices a stale index is silence enough. */
	if (ring->broken || ring->event_idx)
		return;
	store16(&ring->used->flags, VRING_USED_F_NO_NOTIFY);
	log_used(ring);
}

void vring_copy_from(void *to, const struct vring_segment *segment,
		     uint64_t offset, uint64_t len)
{
	uint8_t *at = to;

	for (; len; segment++) {
		uint64_t piece = segment->len;

		if (offset >= piece) {
			offset -= piece;
			continue;
		}
		piece -= offset;
		if (piece > len)
			piece = len;
		memcpy(at, segment->host + offset, piece);
		at += piece;
		len -= piece;
		offset = 0;
	}
	/* The copy is what counts: the compiler may not look at the source again. */
	__asm__ volatile("" : : : "memory");
}

void vring_copy_to(const struct vring_segment *segment, uint64_t offset,
		   const void *from, uint64_t len)
{
	const uint8_t *at = from;

	for (; len; segment++) {
		uint64_t piece = segment->len;

		if (offset >= piece) {
			offset -= piece;
			continue;
		}
		piece -= offset;
		if (piece > len)
			piece = len;
		memcpy(segment->host + offset, at, piece);
		at += piece;
		len -= piece;
		offset = 0;
	}
}
