// SPDX-License-Identifier: GPL-2.0-only
/*
 * rings.c - around the daemon's rings: buffers kept, used twice, late, or never.
 *
 * Theory of operation: the linker has each call of the vring functions come here
 * first (--wrap), so the daemon itself is cswapd as it is, and believes that all is
 * well. A buffer that it uses passes use_answer(), use_chain() or use_control(), where
 * it may be changed, held back, or used in another way. Some of the response buffers
 * that the guest posts are stolen, so that there are buffers for answers of our own.
 *
 * What is held back goes out when its time comes: a thread writes to the queue's kick
 * descriptor then, and the worker, which looks at the ring, finds itself here. The
 * same thread scribbles at buffers while the guest reads them, for a moment each; at
 * those of the pool only, which stay the guest's shared memory for life.
 *
 * A guest that never gets an answer waits for it, and soon has nothing left to ask
 * with. So few answers are lost; after these, what would lose one is said in a stolen
 * buffer, and then the truth in its own.
 *
 * Only the guest's private memory is off limits, as it would be if there were any: a
 * RELEASE isn't answered before its time, and nothing is written but to the buffers
 * and rings that the guest itself has named.
 */
#include <endian.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "rings.h"
#include "serve/worker.h"

#define MAX_RINGS VIRTIO_CSWAP_NUM_VQS(VIRTIO_CSWAP_MAX_QUEUE_PAIRS)
/* Answers in data buffers, and in others, that are lost: the guest soon has nothing to ask with. */
#define MAX_LOST_LOADS 4
#define MAX_LOST_ACKS 2
#define MAX_SCRIBBLES 16
#define MAX_PAGES 4096
#define SCRIBBLE_NS 500000
#define MS 1000000ULL

struct worker_set *__real_worker_start(const struct worker_config *config);
struct worker_set *__wrap_worker_start(const struct worker_config *config);
const char *__real_worker_attach(struct worker_set *set, unsigned int index,
				 const struct worker_ring *ring);
const char *__wrap_worker_attach(struct worker_set *set, unsigned int index,
				 const struct worker_ring *ring);
uint16_t __real_worker_detach(struct worker_set *set, unsigned int index);
uint16_t __wrap_worker_detach(struct worker_set *set, unsigned int index);
const char *__real_vring_attach(struct vring_device *ring, const struct memory *memory,
				const struct vring_setup *setup);
const char *__wrap_vring_attach(struct vring_device *ring, const struct memory *memory,
				const struct vring_setup *setup);
/* eavesdrop.c is around these as well, and comes first. */
enum vring_result heard_vring_pop(struct vring_device *ring, struct vring_chain *chain);
enum vring_result __wrap_vring_pop(struct vring_device *ring, struct vring_chain *chain);
void heard_vring_push(struct vring_device *ring, uint16_t head, uint32_t written);
void __wrap_vring_push(struct vring_device *ring, uint16_t head, uint32_t written);
bool __real_vring_call_due(struct vring_device *ring);
bool __wrap_vring_call_due(struct vring_device *ring);
const char *heard_memory_remove(struct memory *memory, uint64_t gpa, uint64_t uva,
				uint64_t size);
const char *__wrap_memory_remove(struct memory *memory, uint64_t gpa, uint64_t uva,
				 uint64_t size);
void heard_memory_clear(struct memory *memory);
void __wrap_memory_clear(struct memory *memory);

/* All of these under the lock. */
static struct evil_ring rings[MAX_RINGS];
static unsigned int attaching;		/* the queue; one at a time */
static struct {
	uint8_t *at;
	uint64_t len;
	uint64_t until_ns;
} scribbles[MAX_SCRIBBLES];

/* What passes the rings, and the pages of the pool that were seen. */
static FILE *kept;
static uintptr_t pages[MAX_PAGES];
static unsigned int num_pages;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void signal_fd(int fd)
{
	const uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

/* --- which ring --- */

static bool is_control(const struct evil_ring *ring)
{
	return ring->queue == VIRTIO_CSWAP_VQ_CONTROL;
}

static bool is_response(const struct evil_ring *ring)
{
	return !is_control(ring) && ring->queue % 2 == 0;
}

static struct evil_ring *ring_of(const struct vring_device *vring)
{
	unsigned int i;

	for (i = 0; i < MAX_RINGS; i++)
		if (rings[i].vring == vring)
			return &rings[i];
	return NULL;
}

/* --- what is kept for a search --- */

bool rings_keep(const char *path)
{
	kept = fopen(path, "we");
	return kept;
}

static void keep(const void *data, uint64_t len)
{
	if (kept)
		fwrite(data, 1, len, kept);
}

static void keep_page(const void *at)
{
	uintptr_t page = (uintptr_t)at & ~(uintptr_t)(MEMORY_PAGE_SIZE - 1);
	unsigned int i;

	for (i = 0; i < num_pages; i++)
		if (pages[i] == page)
			return;
	if (num_pages < MAX_PAGES)
		pages[num_pages++] = page;
}

/* As it is handed over, and the pages that it lies in for later. */
static void keep_chain(const struct evil_ring *ring, const struct vring_chain *chain)
{
	unsigned int i;

	for (i = 0; kept && i < chain->readable + chain->writable; i++) {
		keep(chain->segment[i].host, chain->segment[i].len);
		if (!is_control(ring))
			keep_page(chain->segment[i].host);
	}
}

/* All of the pool, and the rings, as they are now. */
static void keep_pages(void)
{
	unsigned int i;

	for (i = 0; i < num_pages; i++)
		keep((const void *)pages[i], MEMORY_PAGE_SIZE);
	for (i = 0; i < MAX_RINGS; i++) {
		const struct vring_device *vring = rings[i].vring;

		if (!vring)
			continue;
		keep(vring->desc, sizeof(*vring->desc) * vring->num);
		keep(vring->avail, sizeof(uint16_t) * (3U + vring->num));
		keep(vring->used, sizeof(uint16_t) * 3 +
				  sizeof(struct vring_used_elem) * vring->num);
	}
	if (kept)
		fflush(kept);
}

const char *__wrap_worker_attach(struct worker_set *set, unsigned int index,
				 const struct worker_ring *ring)
{
	liar_lock();
	attaching = index;
	if (index < MAX_RINGS)
		rings[index] = (struct evil_ring) {
			.queue = index,
			.kick_fd = ring->kick_fd,
			.call_fd = ring->call_fd,
		};
	liar_unlock();
	return __real_worker_attach(set, index, ring);
}

uint16_t __wrap_worker_detach(struct worker_set *set, unsigned int index)
{
	rings_calm();
	liar_lock();
	if (index < MAX_RINGS)
		rings[index].vring = NULL;
	liar_unlock();
	return __real_worker_detach(set, index);
}

const char *__wrap_vring_attach(struct vring_device *ring, const struct memory *memory,
				const struct vring_setup *setup)
{
	const char *wrong = __real_vring_attach(ring, memory, setup);

	liar_lock();
	if (!wrong && attaching < MAX_RINGS)
		rings[attaching].vring = ring;
	liar_unlock();
	return wrong;
}

/* --- what comes late --- */

static bool hold(struct use *use)
{
	struct evil_ring *ring = use->ring;
	/* Most within the guest's patience, some beyond it. */
	uint64_t wait_ms = liar_below(16) ? liar_below(40) : liar_below(2500);

	if (ring->num_held == MAX_HELD)
		return false;
	ring->held[ring->num_held++] = (struct held) {
		.head = use->head, .written = use->written,
		.due_ns = now_ns() + wait_ms * MS,
	};
	return true;
}

/* By the worker whose ring it is: use what is due, and tell the guest. */
static void release_due(struct evil_ring *ring)
{
	uint64_t now = now_ns();
	bool any = false;
	unsigned int i;

	for (i = 0; i < ring->num_held; i++) {
		if (ring->held[i].due_ns > now)
			continue;
		heard_vring_push(ring->vring, ring->held[i].head, ring->held[i].written);
		ring->held[i--] = ring->held[--ring->num_held];
		any = true;
	}
	if (any && vring_publish(ring->vring))
		signal_fd(ring->call_fd);
}

/* --- memory that changes --- */

static void scribble_later(const struct vring_segment *segment)
{
	unsigned int i;

	for (i = 0; i < MAX_SCRIBBLES; i++) {
		if (scribbles[i].len)
			continue;
		scribbles[i].at = segment->host;
		scribbles[i].len = segment->len;
		scribbles[i].until_ns = now_ns() + SCRIBBLE_NS;
		return;
	}
}

/* Segments from @first on. */
static bool scribble_chain(const struct vring_chain *chain, unsigned int first)
{
	unsigned int i;

	for (i = first; i < chain->readable + chain->writable; i++)
		scribble_later(&chain->segment[i]);
	return true;
}

/* True while there's anything to do. */
static bool scribble_now(void)
{
	uint64_t now = now_ns();
	bool busy = false;
	unsigned int i, n;

	for (i = 0; i < MAX_SCRIBBLES; i++) {
		if (!scribbles[i].len)
			continue;
		if (scribbles[i].until_ns < now) {
			scribbles[i].len = 0;
			continue;
		}
		busy = true;
		for (n = 0; n < 16; n++)
			scribbles[i].at[liar_below(scribbles[i].len)] ^=
				(uint8_t)(1 << liar_below(8));
	}
	return busy;
}

/*
 * What the guest once wrote of the chain isn't there any more when it looks again. But whether
 * it goes on stays: Linux's split ring reads that back (detach_buf_split()), puts descriptors
 * that are in use on its free list, and soon walks in circles. No driver can help that, and
 * there would be no opportunity for another lie.
 */
static void spoil_descriptors(struct vring_device *vring, uint16_t head)
{
	const uint16_t next = htole16(VRING_DESC_F_NEXT);
	struct vring_desc *desc = &vring->desc[head];

	desc->addr = liar_random();
	desc->len = (uint32_t)liar_random();
	desc->flags = (uint16_t)((desc->flags & next) | (liar_random() & (uint16_t)~next));
	desc->next = (uint16_t)liar_random();
}

/* Where the device says which kicks it wants, and the guest's half of that ring. */
static void spoil_kicks(struct vring_device *vring)
{
	uint16_t *avail_event = (uint16_t *)&vring->used->ring[vring->num];

	if (vring->event_idx)
		__atomic_store_n(avail_event, (uint16_t)liar_random(), __ATOMIC_RELAXED);
	else
		__atomic_store_n(&vring->used->flags, (uint16_t)liar_random(),
				 __ATOMIC_RELAXED);
}

/* --- using buffers --- */

static bool may_lose(struct use *use)
{
	bool data = chain_is_data(use->chain);

	if (use->ring->lost[data] == (data ? MAX_LOST_LOADS : MAX_LOST_ACKS))
		return false;
	use->ring->lost[data]++;
	return true;
}

/* A used ring that makes no sense. */
static void use_nonsense(const struct use *use, enum lie lie)
{
	struct vring_device *vring = use->ring->vring;

	switch (lie) {
	case LIE_WILD_ID:
	case LIE_CHAIN_WILD_ID:
	case LIE_CONTROL_WILD_ID:
		heard_vring_push(vring, (uint16_t)(vring->num + liar_below(65536U - vring->num)),
				 use->written);
		break;
	case LIE_INDEX:
		heard_vring_push(vring, use->head, use->written);
		vring->used_idx = (uint16_t)(vring->used_idx + 1 + liar_below(65534));
		break;
	default:
		heard_vring_push(vring, use->head, use->written);
		heard_vring_push(vring, use->head, use->written);
	}
}

static void copy_answer(struct use *to, const struct use *from)
{
	uint8_t bytes[ANSWER_BYTES];
	uint64_t len = from->written < sizeof(bytes) ? from->written : sizeof(bytes);

	vring_copy_from(bytes, from->chain->segment + from->chain->readable, 0, len);
	vring_copy_to(to->chain->segment + to->chain->readable, 0, bytes, len);
	to->written = from->written;
}

/*
 * An answer of our own, in a buffer that was stolen: to @request, the same as @other, or
 * neither.
 */
static bool use_stolen(struct evil_ring *ring, bool data, enum lie lie,
		       const struct vring_chain *request, const struct use *other)
{
	static struct vring_chain chain;
	struct vring_device copy = *ring->vring;
	struct use use = { .ring = ring, .chain = &chain };

	if (!ring->num_stolen[data])
		return false;
	use.head = ring->stolen[data][ring->num_stolen[data] - 1];
	if (vring_walk(&copy, use.head, &chain) != VRING_OK || chain_is_data(&chain) != data)
		return false;
	ring->num_stolen[data]--;
	if (request) {
		lies_forge_early(&use, request);
	} else if (other) {
		copy_answer(&use, other);
		if (lie == LIE_LENGTH)
			use.written = lies_wild_length(use.written);
		else if (lie != LIE_TWICE)
			lies_change_answer(&use, lie);
	} else if (!lies_forge(&use, lie)) {
		return false;
	}
	heard_vring_push(ring->vring, use.head, use.written);
	return true;
}

/* True if the buffer has been dealt with. */
static bool use_answer(struct use *use, enum lie lie, bool *lied)
{
	*lied = true;
	switch (lie) {
	case LIE_COOKIE:
	case LIE_RESERVED:
	case LIE_HEADER:
	case LIE_LENGTH:
		if (!may_lose(use))
			*lied = use_stolen(use->ring, chain_is_data(use->chain), lie, NULL, use);
		else if (lie == LIE_LENGTH)
			use->written = lies_wild_length(use->written);
		else
			*lied = lies_change_answer(use, lie);
		return false;
	case LIE_TWICE:
		*lied = use_stolen(use->ring, chain_is_data(use->chain), lie, NULL, use);
		return false;
	case LIE_FORGED:
	case LIE_GARBAGE:
		*lied = use_stolen(use->ring, liar_below(2), lie, NULL, NULL);
		return false;
	case LIE_LATE:
		return *lied = hold(use);
	case LIE_NEVER:
		return *lied = may_lose(use);
	case LIE_SCRIBBLE:
		/* an answer without its header is lost, as is an ack */
		if (may_lose(use))
			scribble_chain(use->chain, 0);
		else
			*lied = chain_is_data(use->chain) && scribble_chain(use->chain, 1);
		return false;
	case LIE_DESCRIPTORS:
		spoil_descriptors(use->ring->vring, use->head);
		return false;
	case LIE_KICKS:
		spoil_kicks(use->ring->vring);
		return false;
	case LIE_WILD_ID:
	case LIE_SAME_ID:
	case LIE_INDEX:
		use_nonsense(use, lie);
		return true;
	case LIE_FLIP:
		if (!chain_is_data(use->chain) && !may_lose(use))
			*lied = use_stolen(use->ring, false, lie, NULL, use);
		else
			*lied = lies_change_answer(use, lie);
		return false;
	default:
		*lied = lies_change_answer(use, lie);
		return false;
	}
}

/* Another chain that is held back is given back, this one in its stead later. */
static bool swap_chains(struct use *use)
{
	struct evil_ring *ring = use->ring;
	struct held *held;
	uint16_t head;

	if (!ring->num_held)
		return hold(use);
	held = &ring->held[liar_below(ring->num_held)];
	head = held->head;
	held->head = use->head;
	use->head = head;
	return false;
}

static bool use_chain(struct use *use, enum lie lie, bool *lied)
{
	*lied = true;
	switch (lie) {
	case LIE_CHAIN_LENGTH:
		use->written = lies_wild_length(4096);
		return false;
	case LIE_CHAIN_LATE:
		return *lied = hold(use);
	case LIE_CHAIN_NEVER:
		return *lied = may_lose(use);
	case LIE_CHAIN_SWAP:
		return swap_chains(use);
	default:
		use_nonsense(use, lie);
		return true;
	}
}

static bool use_control(struct use *use, enum lie lie, bool *lied)
{
	*lied = true;
	switch (lie) {
	case LIE_CONTROL_BYTES:
		lies_change_control(use);
		return false;
	case LIE_CONTROL_LENGTH:
		use->written = lies_wild_length(use->written);
		return false;
	case LIE_CONTROL_LATE:
		return *lied = hold(use);
	case LIE_CONTROL_NEVER:
		return true;
	default:
		use_nonsense(use, lie);
		return true;
	}
}

/* True if the buffer has been dealt with. */
static bool use_buffer(struct use *use)
{
	enum place place = is_control(use->ring) ? PLACE_CONTROL :
			   is_response(use->ring) ? PLACE_ANSWER : PLACE_CHAIN;
	enum lie lie = liar_choose(place);
	uint64_t detail = (uint64_t)use->head << 32 | use->written;
	bool done, lied;

	if (lie == LIE_NONE)
		return false;
	if (place == PLACE_ANSWER)
		done = use_answer(use, lie, &lied);
	else if (place == PLACE_CHAIN)
		done = use_chain(use, lie, &lied);
	else
		done = use_control(use, lie, &lied);
	if (lied)
		liar_told(lie, use->ring->queue, detail);
	return done;
}

void __wrap_vring_push(struct vring_device *vring, uint16_t head, uint32_t written)
{
	static struct vring_chain chain;
	struct vring_device copy = *vring;
	struct use use = { .chain = &chain, .head = head, .written = written };
	bool done = false;

	liar_lock();
	use.ring = ring_of(vring);
	if (use.ring && vring_walk(&copy, head, &chain) == VRING_OK) {
		keep_chain(use.ring, &chain);
		done = use_buffer(&use);
	}
	if (!done)
		heard_vring_push(vring, use.head, use.written);
	liar_unlock();
}

/* --- what the guest makes available --- */

static bool steal(struct evil_ring *ring, const struct vring_chain *chain)
{
	bool data = chain_is_data(chain);

	if (!liar_is_armed() || !is_response(ring) ||
	    ring->num_stolen[data] == MAX_STOLEN || liar_below(4))
		return false;
	ring->stolen[data][ring->num_stolen[data]++] = chain->head;
	return true;
}

/* A request has come: its answer may be there before it was read. */
static void see_request(struct evil_ring *ring, const struct vring_chain *chain)
{
	struct evil_ring *response = &rings[ring->queue + 1];
	bool store = chain->readable_bytes > VIRTIO_CSWAP_SLOT_SIZE;
	enum lie lie;

	if (chain->readable_bytes < sizeof(struct virtio_cswap_request))
		return;
	lies_note_request(chain);
	lie = liar_choose(PLACE_REQUEST);
	/* of its header only we would be the victims */
	if (lie == LIE_REQUEST_BYTES && store && scribble_chain(chain, 1))
		liar_told(lie, ring->queue, chain->head);
	if (lie == LIE_EARLY && response->vring &&
	    use_stolen(response, !store, lie, chain, NULL)) {
		/* The chain isn't back yet: what speaks of it is seen before. */
		if (vring_publish(response->vring))
			signal_fd(response->call_fd);
		liar_told(lie, ring->queue, chain->head);
	}
}

enum vring_result __wrap_vring_pop(struct vring_device *vring, struct vring_chain *chain)
{
	enum vring_result result;
	struct evil_ring *ring;

	liar_lock();
	ring = ring_of(vring);
	if (ring)
		release_due(ring);
	do {
		result = heard_vring_pop(vring, chain);
		if (ring && result == VRING_OK)
			keep_chain(ring, chain);
	} while (ring && result == VRING_OK && steal(ring, chain));
	if (ring && result == VRING_OK && !is_control(ring) && !is_response(ring))
		see_request(ring, chain);
	liar_unlock();
	return result;
}

bool __wrap_vring_call_due(struct vring_device *vring)
{
	bool due = __real_vring_call_due(vring);
	const struct evil_ring *ring;
	enum lie lie;

	liar_lock();
	ring = ring_of(vring);
	/* they come so often that hardly another lie would be told */
	lie = liar_below(8) ? LIE_NONE : liar_choose(PLACE_CALL);
	if (ring && ((lie == LIE_MUTE && due) || (lie == LIE_CALL && !due))) {
		due = !due;
		liar_told(lie, ring->queue, 0);
	}
	liar_unlock();
	return due;
}

/* --- memory comes and goes --- */

static void calm(bool memory_goes)
{
	liar_lock();
	memset(scribbles, 0, sizeof(scribbles));
	keep_pages();
	if (memory_goes)
		num_pages = 0;
	liar_unlock();
}

void rings_calm(void)
{
	calm(false);
}

const char *__wrap_memory_remove(struct memory *memory, uint64_t gpa, uint64_t uva,
				 uint64_t size)
{
	calm(true);
	return heard_memory_remove(memory, gpa, uva, size);
}

void __wrap_memory_clear(struct memory *memory)
{
	calm(true);
	heard_memory_clear(memory);
}

/* --- the thread --- */

static void kick_for_what_is_due(void)
{
	uint64_t now = now_ns();
	unsigned int i, j;

	for (i = 0; i < MAX_RINGS; i++)
		for (j = 0; rings[i].vring && j < rings[i].num_held; j++)
			if (rings[i].held[j].due_ns <= now) {
				signal_fd(rings[i].kick_fd);
				break;
			}
}

static void *run(void *arg)
{
	struct timespec pause = { 0, 0 };
	bool busy;

	for (;;) {
		liar_lock();
		busy = scribble_now();
		kick_for_what_is_due();
		liar_unlock();
		pause.tv_nsec = busy ? 20000 : 2 * (long)MS;
		nanosleep(&pause, NULL);
	}
	return arg;
}

/* Not before: the sandbox is entered by the only thread there is. */
struct worker_set *__wrap_worker_start(const struct worker_config *config)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, NULL)) {
		log_err("can't start a thread");
		return NULL;
	}
	pthread_detach(thread);
	return __real_worker_start(config);
}
