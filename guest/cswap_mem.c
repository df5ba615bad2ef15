// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_mem.c - memory that was taken from the guest: marked, shared with the host, and back.
 *
 * Theory of operation: memory that is taken (cswap_take.c) is marked offline, so that nothing else
 * reads it (dumps, /proc/kcore), and leaves the count of the guest's memory. After the conversion
 * nothing touches this memory: the host would have to provide what is touched.
 *
 * Memory whose conversion fails is in no known state. That memory stays marked, and stays lost:
 * nothing may use it any more.
 */
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/set_memory.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "compat.h"
#include "cswap.h"

/* --- marks and conversions --- */

/* Count the range in, or out of, the guest's memory, zone by zone: a block is in one. */
static void count(struct cswap_mem *mem, const struct cswap_mem_range *range, bool taken)
{
	u64 pfn = range->pfn, end = range->pfn + range->pages;
	struct page *page;
	long pages;

	for (; pfn < end; pfn += pages) {
		page = pfn_to_page(pfn);
		pages = min(end - pfn, CSWAP_BLOCK_PAGES - pfn % CSWAP_BLOCK_PAGES);
		adjust_managed_page_count(page, taken ? -pages : pages);
		cswap_count_balloon_pages(page, taken ? pages : -pages);
		atomic_long_add(taken ? pages : -pages, &mem->nodes[page_to_nid(page)].given);
		if (pages == CSWAP_BLOCK_PAGES)
			cswap_dump_note(mem, pfn, taken);
	}
}

void cswap_mem_mark(struct cswap_mem *mem, const struct cswap_mem_range *range)
{
	u64 i;

	/* the conversion doesn't overtake a reader that has looked at a mark, and reads */
	page_offline_begin();
	for (i = 0; i < range->pages; i++)
		__SetPageOffline(pfn_to_page(range->pfn + i));
	page_offline_end();
	count(mem, range, true);
}

/* One allocation, as it came from the free lists: only its first page is referenced. */
static bool is_whole(u64 pfn, u64 pages)
{
	return pages == CSWAP_BLOCK_PAGES && !page_count(pfn_to_page(pfn + 1));
}

/* To the allocator: a block as it was taken, whole, or each of its pages. */
static void put(const struct cswap_mem_range *range)
{
	u64 pfn = range->pfn, end = range->pfn + range->pages, pages;

	for (; pfn < end; pfn += pages) {
		pages = min(end - pfn, CSWAP_BLOCK_PAGES - pfn % CSWAP_BLOCK_PAGES);
		if (is_whole(pfn, pages))
			__free_pages(pfn_to_page(pfn), CSWAP_BLOCK_ORDER);
		else
			cswap_put_range(pfn, pages);
	}
}

void cswap_mem_put(struct cswap_mem *mem, const struct cswap_mem_range *range)
{
	u64 i;

	count(mem, range, false);
	for (i = 0; i < range->pages; i++)
		__ClearPageOffline(pfn_to_page(range->pfn + i));
	put(range);
}

static unsigned long address(const struct cswap_mem_range *range)
{
	return (unsigned long)page_address(pfn_to_page(range->pfn));
}

/*
 * On some platforms the host can read the contents after the conversion. The allocator has erased
 * them, unless it's configured not to.
 */
static void erase(const struct cswap_mem_range *range)
{
	bool secret = cswap_guest_is_confidential() || IS_ENABLED(CONFIG_ARM64);

	if (secret && !want_init_on_alloc(GFP_KERNEL))
		memset((void *)address(range), 0, range->pages << PAGE_SHIFT);
}

int cswap_mem_share(struct cswap_mem *mem, const struct cswap_mem_range *range)
{
	atomic64_inc(&mem->conversions);
	erase(range);
	return set_memory_decrypted(address(range), range->pages);
}

int cswap_mem_unshare(struct cswap_mem *mem, const struct cswap_mem_range *range)
{
	atomic64_inc(&mem->conversions);
	return set_memory_encrypted(address(range), range->pages);
}

/* --- counts --- */

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

int cswap_mem_init(struct cswap_mem *mem)
{
	mem->move = 1;
	mem->nodes = kcalloc(nr_node_ids, sizeof(*mem->nodes), GFP_KERNEL);
	if (!mem->nodes)
		return -ENOMEM;
	cswap_dump_init(mem);
	return 0;
}

void cswap_mem_exit(struct cswap_mem *mem)
{
	cswap_dump_exit(mem);
	kfree(mem->nodes);
	mem->nodes = NULL;
}
