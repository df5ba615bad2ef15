// SPDX-License-Identifier: GPL-2.0-only
/*
 * eavesdrop.c - searches all that a host gets to see: cswapd-faulty only.
 *
 * Theory of operation: what crosses between guest and device passes vring_pop()
 * (requests, and the posted buffers with whatever the guest left in them) and
 * vring_push() (the same memory when the device is done with it). The linker
 * puts us around these (--wrap), so the daemon listened to is cswapd as it is.
 * Every buffer is searched whole, both times.
 *
 * Shared memory is seen at any moment, though, not only when it's handed over,
 * and whole pages at a time. So the pages in which buffers and rings lie are
 * remembered; with each chain one of them is searched, in turn, and all of them
 * in the last moment before their memory is unmapped.
 *
 * A text that is cut by the border of a buffer or page isn't found.
 *
 * All this takes time that cswapd doesn't: the CPU's is counted, so that whoever
 * shows how long a guest took can say what of it was our doing.
 */
#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#include "eavesdrop.h"
#include "common/log.h"
#include "rings/vring.h"

#define MIN_TEXT_BYTES 8
#define MAX_PAGES (1U << 15)
#define TABLE_SIZE (2 * MAX_PAGES)

enum vring_result __real_vring_pop(struct vring_device *ring,
				   struct vring_chain *chain);
enum vring_result __wrap_vring_pop(struct vring_device *ring,
				   struct vring_chain *chain);
void __real_vring_push(struct vring_device *ring, uint16_t head,
		       uint32_t written);
void __wrap_vring_push(struct vring_device *ring, uint16_t head,
		       uint32_t written);
const char *__real_memory_remove(struct memory *memory, uint64_t gpa,
				 uint64_t uva, uint64_t size);
const char *__wrap_memory_remove(struct memory *memory, uint64_t gpa,
				 uint64_t uva, uint64_t size);
void __real_memory_clear(struct memory *memory);
void __wrap_memory_clear(struct memory *memory);

static const char *wanted;		/* NULL: nothing to do */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All of these under the lock. */
static struct eavesdrop_findings found;
static uintptr_t pages[MAX_PAGES];	/* in the order in which they came */
static unsigned int num_pages;
static unsigned int next_page;		/* to be searched */
static uintptr_t table[TABLE_SIZE];	/* the same pages, hashed */

/* The CPU time of this thread so far, in ns. */
static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void search_page(uintptr_t page)
{
	found.pool_bytes += MEMORY_PAGE_SIZE;
	found.pool_found += eavesdrop_count((const void *)page,
					    MEMORY_PAGE_SIZE, wanted);
}

static void remember_page(uintptr_t page)
{
	unsigned int i = (unsigned int)(page / MEMORY_PAGE_SIZE) % TABLE_SIZE;

	while (table[i] && table[i] != page)
		i = (i + 1) % TABLE_SIZE;
	if (table[i])
		return;
	if (num_pages == MAX_PAGES) {
		found.pool_missed++;
		return;
	}
	table[i] = page;
	pages[num_pages++] = page;
	found.pool_pages++;
}

static void remember(const void *data, uint64_t len)
{
	uintptr_t page = (uintptr_t)data & ~(uintptr_t)(MEMORY_PAGE_SIZE - 1);

	for (; page < (uintptr_t)data + len; page += MEMORY_PAGE_SIZE)
		remember_page(page);
}

static void remember_ring(const struct vring_device *ring)
{
	remember(ring->desc, sizeof(*ring->desc) * ring->num);
	remember(ring->avail, sizeof(uint16_t) * (3U + ring->num));
	remember(ring->used, sizeof(uint16_t) * 3 +
			     sizeof(struct vring_used_elem) * ring->num);
}

static void see_chain(const struct vring_device *ring,
		      const struct vring_chain *chain)
{
	const uint64_t begin = cpu_ns();
	unsigned int i;

	pthread_mutex_lock(&lock);
	remember_ring(ring);
	for (i = 0; i < chain->readable + chain->writable; i++) {
		const struct vring_segment *segment = &chain->segment[i];

		remember(segment->host, segment->len);
		found.traffic_bytes += segment->len;
		found.traffic_found += eavesdrop_count(segment->host,
						       segment->len, wanted);
	}
	search_page(pages[next_page++ % num_pages]);
	found.cpu_ns += cpu_ns() - begin;
	pthread_mutex_unlock(&lock);
}

/* The memory table changes: what was remembered may be gone in a moment. */
static void see_all_pages(void)
{
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < num_pages; i++)
		search_page(pages[i]);
	num_pages = 0;
	memset(table, 0, sizeof(table));
	pthread_mutex_unlock(&lock);
}

enum vring_result __wrap_vring_pop(struct vring_device *ring,
				   struct vring_chain *chain)
{
	enum vring_result result = __real_vring_pop(ring, chain);

	if (wanted && result == VRING_OK)
		see_chain(ring, chain);
	return result;
}

void __wrap_vring_push(struct vring_device *ring, uint16_t head,
		       uint32_t written)
{
	static _Thread_local struct vring_chain chain;
	/* Looking must not break a ring that cswapd would not look at. */
	struct vring_device copy = *ring;

	if (wanted && vring_walk(&copy, head, &chain) == VRING_OK)
		see_chain(ring, &chain);
	__real_vring_push(ring, head, written);
}

const char *__wrap_memory_remove(struct memory *memory, uint64_t gpa,
				 uint64_t uva, uint64_t size)
{
	if (wanted)
		see_all_pages();
	return __real_memory_remove(memory, gpa, uva, size);
}

void __wrap_memory_clear(struct memory *memory)
{
	if (wanted)
		see_all_pages();
	__real_memory_clear(memory);
}

const char *eavesdrop_start(const char *text)
{
	/* A short one would be in random data by chance. */
	if (strlen(text) < MIN_TEXT_BYTES)
		return "the text is shorter than 8 bytes";
	wanted = text;
	return NULL;
}

void eavesdrop_get(struct eavesdrop_findings *findings)
{
	pthread_mutex_lock(&lock);
	*findings = found;
	pthread_mutex_unlock(&lock);
}

void eavesdrop_report(void)
{
	struct eavesdrop_findings f;

	if (!wanted)
		return;
	eavesdrop_get(&f);
	log_notice("search: traffic_bytes=%" PRIu64 " traffic_found=%" PRIu64
		   " pool_pages=%" PRIu64 " pool_bytes=%" PRIu64
		   " pool_found=%" PRIu64 " pool_missed=%" PRIu64
		   " cpu_ms=%" PRIu64,
		   f.traffic_bytes, f.traffic_found, f.pool_pages,
		   f.pool_bytes, f.pool_found, f.pool_missed,
		   f.cpu_ns / 1000000);
}
