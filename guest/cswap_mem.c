// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_mem.c - memory taken from the guest, shared with the host, and back.
 *
 * Theory of operation: memory is given up in aligned blocks of 2 MiB, because a
 * block that is converted as a whole keeps its mapping whole, and costs the host
 * one operation instead of 512. They come from
 *
 *	1. the free lists, as long as they have any;
 *	2. what is free but scattered: the content of a block is moved elsewhere.
 *	   That takes milliseconds, and fails where something is pinned. If too
 *	   little is free, order-0 pages are gathered first, with the reclaim that
 *	   this causes (here cold pages go to the store), and freed again at once;
 *	3. if the owner wants it, single pages. Each splits the mapping for ever.
 *
 * What is taken is marked offline, so that nobody else looks at it (dumps,
 * /proc/kcore), and leaves the count of the guest's memory. After the conversion
 * nothing touches it: what is touched the host has to provide.
 *
 * Memory whose conversion fails is in no known state. It stays marked, and stays
 * lost: neither the guest nor anybody else may use it.
 */
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/set_memory.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "compat.h"
#include "cswap.h"

#define BLOCK_ORDER		9
/* Blocks that are tried in one go, before others get their turn. */
#define RANGE_TRIES		8
/* Pages gathered in one go: so many blocks. */
#define GATHER_BLOCKS		8
#define GFP_TAKE		((GFP_HIGHUSER & ~__GFP_RECLAIM) | __GFP_NOMEMALLOC | __GFP_NOWARN)
#define GFP_GATHER		(GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOMEMALLOC | \
				 __GFP_NOWARN)

static_assert(1 << BLOCK_ORDER == CSWAP_BLOCK_PAGES);

/* --- marks and conversions --- */

/* These pages, each with a reference, aren't the guest's any more. */
static void mark(const struct cswap_mem_range *range)
{
	struct page *page = pfn_to_page(range->pfn);
	long i, pages = range->pages;

	for (i = 0; i < pages; i++)
		__SetPageOffline(page + i);
	adjust_managed_page_count(page, -pages);
	cswap_count_balloon_pages(page, pages);
}

void cswap_mem_put(const struct cswap_mem_range *range)
{
	struct page *page = pfn_to_page(range->pfn);
	long i, pages = range->pages;

	cswap_count_balloon_pages(page, -pages);
	adjust_managed_page_count(page, pages);
	for (i = 0; i < pages; i++) {
		__ClearPageOffline(page + i);
		__free_page(page + i);
	}
}

static unsigned long address(const struct cswap_mem_range *range)
{
	return (unsigned long)page_address(pfn_to_page(range->pfn));
}

/*
 * There are platforms that leave contents where the host can read them then. The
 * allocator has erased them, unless it's configured not to.
 */
static void erase(const struct cswap_mem_range *range)
{
	bool secret = cswap_guest_is_confidential() || IS_ENABLED(CONFIG_ARM64);

	if (secret && !want_init_on_alloc(GFP_KERNEL))
		memset((void *)address(range), 0, range->pages << PAGE_SHIFT);
}

int cswap_mem_share(const struct cswap_mem_range *range)
{
	erase(range);
	return set_memory_decrypted(address(range), range->pages);
}

int cswap_mem_unshare(const struct cswap_mem_range *range)
{
	return set_memory_encrypted(address(range), range->pages);
}

/* --- what there is --- */

u64 cswap_mem_free_pages(void)
{
	u64 free = global_zone_page_state(NR_FREE_PAGES), unaccepted = cswap_unaccepted_pages();

	return free > unaccepted ? free - unaccepted : 0;
}

/* ALLOCSTALL_* has an entry for each zone, in the order of the zones. */
static u64 sum_of_zones(const unsigned long *events, int normal)
{
	u64 sum = 0;
	int zone;

	for (zone = 0; zone < MAX_NR_ZONES; zone++)
		sum += events[normal - ZONE_NORMAL + zone];
	return sum;
}

void cswap_mem_count(struct cswap_mem_counts *counts)
{
	all_vm_events(counts->events);
	counts->swap_in = counts->events[PSWPIN];
	counts->swap_out = counts->events[PSWPOUT];
	counts->alloc_stalls = sum_of_zones(counts->events, ALLOCSTALL_NORMAL);
	counts->refaults = global_node_page_state(WORKINGSET_REFAULT_ANON) +
			   global_node_page_state(WORKINGSET_REFAULT_FILE);
}

/* --- tiers --- */

static bool take_free(struct cswap_mem_range *range, unsigned int order)
{
	struct page *page = alloc_pages(GFP_TAKE, order);

	if (!page)
		return false;
	split_page(page, order);
	range->pfn = page_to_pfn(page);
	range->pages = 1 << order;
	return true;
}

/* Worth a try: memory, of one zone that isn't kept for others, not taken yet. */
static bool block_is_candidate(unsigned long pfn)
{
	struct page *first = pfn_to_online_page(pfn);
	struct page *last = pfn_to_online_page(pfn + CSWAP_BLOCK_PAGES - 1);

	if (!first || !last || page_zone(first) != page_zone(last))
		return false;
#ifdef CONFIG_ZONE_DMA
	if (page_zonenum(first) == ZONE_DMA)
		return false;
#endif
	return page_zonenum(first) != ZONE_MOVABLE && !PageReserved(first) &&
	       !PageOffline(first);
}

/* The next candidate; 0 at the end of a round through all memory. */
static unsigned long block_next(struct cswap_mem *mem)
{
	while (mem->node < MAX_NUMNODES) {
		unsigned long end = node_end_pfn(mem->node);

		mem->next_pfn = max(mem->next_pfn, ALIGN(node_start_pfn(mem->node),
							 CSWAP_BLOCK_PAGES));
		while (mem->next_pfn + CSWAP_BLOCK_PAGES <= end) {
			unsigned long pfn = mem->next_pfn;

			mem->next_pfn += CSWAP_BLOCK_PAGES;
			if (pfn && block_is_candidate(pfn))
				return pfn;
		}
		cond_resched();
		mem->node = next_online_node(mem->node);
		mem->next_pfn = 0;
	}
	mem->node = first_online_node;
	return 0;
}

/*
 * What has failed isn't tried again before everything else was: the cursor goes
 * round. -ENOMEM after a round that brought nothing.
 */
static int take_range(struct cswap_mem *mem, struct cswap_mem_range *range)
{
	unsigned int tries;

	for (tries = 0; tries < RANGE_TRIES; tries++) {
		unsigned long pfn = block_next(mem);

		if (!pfn) {
			bool barren = mem->barren;

			mem->barren = true;
			return barren ? -ENOMEM : -EAGAIN;
		}
		if (!cswap_take_range(pfn, CSWAP_BLOCK_PAGES)) {
			mem->barren = false;
			mem->moved++;
			range->pfn = pfn;
			range->pages = CSWAP_BLOCK_PAGES;
			return 0;
		}
		mem->pinned++;
		cond_resched();
	}
	return -EAGAIN;
}

/* Have about @pages free in the end: hold so many at once, then let go of them. */
static u64 gather(u64 pages, bool (*stop)(void *arg), void *arg)
{
	struct page *page, *next;
	LIST_HEAD(gathered);
	u64 nr;

	for (nr = 0; nr < pages && !stop(arg); nr++) {
		page = alloc_page(GFP_GATHER);
		if (!page)
			break;
		list_add(&page->lru, &gathered);
		cond_resched();
	}
	list_for_each_entry_safe(page, next, &gathered, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
	return nr;
}

/* Enough is free to take a block and leave the reserve. */
static bool is_roomy(u64 reserve)
{
	return cswap_mem_free_pages() >= reserve + CSWAP_BLOCK_PAGES;
}

static int make_room(struct cswap_mem *mem, u64 reserve, bool (*stop)(void *arg), void *arg)
{
	if (is_roomy(reserve))
		return 0;
	/* accepting memory only to give it away would have the host provide it */
	if (cswap_unaccepted_pages() || !READ_ONCE(cswap_reclaim_enabled))
		return -ENOMEM;
	mem->reclaimed = true;
	mem->gathered += gather(reserve + GATHER_BLOCKS * CSWAP_BLOCK_PAGES, stop, arg);
	if (stop(arg))
		return -EAGAIN;
	return is_roomy(reserve) ? 0 : -ENOMEM;
}

int cswap_mem_take(struct cswap_mem *mem, u64 reserve, bool single,
		   bool (*stop)(void *arg), void *arg, struct cswap_mem_range *range)
{
	int rc = make_room(mem, reserve, stop, arg);

	if (rc)
		return rc;
	if (take_free(range, BLOCK_ORDER)) {
		mark(range);
		return 0;
	}
	/* single pages are for when there are no blocks; now and then it's looked again */
	if (!mem->singles) {
		rc = CSWAP_CAN_TAKE_RANGE ? take_range(mem, range) : -ENOMEM;
		if (rc == -ENOMEM && single)
			mem->singles = CSWAP_BLOCK_PAGES;
	}
	if (mem->singles) {
		mem->singles--;
		rc = take_free(range, 0) ? 0 : -ENOMEM;
	}
	if (!rc)
		mark(range);
	return rc;
}

void cswap_mem_init(struct cswap_mem *mem)
{
	mem->node = first_online_node;
}
