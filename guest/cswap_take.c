// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_take.c - finds memory that the guest can do without, and takes it.
 *
 * Theory of operation: memory is given up in aligned blocks of 2 MiB, because a
 * block that is converted as a whole keeps its mapping whole, and costs the host
 * one operation instead of 512; neighbours are converted together. They come from
 *
 *	1. the free lists, where what was freed last comes first, and what was never
 *	   touched last. The last free blocks of a node are left, which are its huge
 *	   pages, as long as 2. brings any. Such a block isn't split into pages, so
 *	   that it's freed as what it is (cswap_mem_put());
 *	2. what is free but scattered: the content of blocks is moved elsewhere.
 *	   That takes milliseconds, and fails where something is pinned. Huge pages
 *	   aren't moved before all else was tried;
 *	3. if the owner wants it, single pages. Each splits the mapping for ever.
 *
 * The node that has given least gives next. Of a node's zones the lowest gives last, because
 * devices need it. One zone's room isn't another's: where a zone is short, the kernel accepts
 * memory for it, or swaps, however much another zone has.
 *
 * Other tasks notice the balloon's growth only by kswapd's work. A node has room for a block if its
 * zones keep more than their low watermarks. If the node has no room, the driver gathers pages: it
 * holds some, so that less is free than kswapd's low watermark, waits until kswapd has made more
 * free (here cold pages go to the store), and frees the held pages again. The driver reclaims
 * itself only if kswapd has given up.
 *
 * The allocator erases what it hands out (init_on_alloc), which no module can prevent.
 */
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/sort.h>
#include <linux/vmstat.h>

#include "compat.h"
#include "cswap.h"

/* Ranges that are tried in a row, before the worker does other things. */
#define RANGE_TRIES		8
/* Blocks that are moved together, if that goes well. */
#define MOVE_BLOCKS		8
/* Pages that stay free beside the low watermark. */
#define RESERVE_PAGES		CSWAP_BLOCK_PAGES
/* Free blocks of a node that are left while other blocks can be taken: the smaller of these. */
#define KEEP_SHARE		32
#define KEEP_BLOCKS		64
/* Pages held to make kswapd work: at most, and at least; one of so many of a node's. */
#define GATHER_MOST		(8 * CSWAP_BLOCK_PAGES)
#define GATHER_LEAST		(2 * CSWAP_BLOCK_PAGES + RESERVE_PAGES)
#define GATHER_SHARE		32
/* A node that had nothing is tried again after this time. */
#define DRY_TICKS		(HZ / 2)
/* Ticks of waiting in vain for kswapd, before the driver reclaims itself. */
#define GATHER_TICKS		(HZ / 10)
#define GFP_TAKE		((GFP_HIGHUSER & ~__GFP_RECLAIM) | __GFP_THISNODE | \
				 __GFP_NOMEMALLOC | __GFP_NOWARN)
/* The same without ZONE_NORMAL. */
#define GFP_TAKE_LOW		((GFP_TAKE & ~__GFP_HIGHMEM) | __GFP_DMA32)
#define GFP_GATHER		((GFP_HIGHUSER_MOVABLE & ~__GFP_DIRECT_RECLAIM) | __GFP_THISNODE | \
				 __GFP_NOMEMALLOC | __GFP_NOWARN)
#define GFP_RECLAIM		(GFP_GATHER | __GFP_DIRECT_RECLAIM | __GFP_NORETRY)

/* --- what the guest has --- */

/* Free and accepted pages of a zone, above a watermark and what is kept for others. */
static u64 zone_above(struct zone *zone, unsigned long watermark)
{
	u64 keep = watermark + zone->lowmem_reserve[ZONE_MOVABLE] + cswap_unaccepted_pages(zone);
	u64 free = zone_page_state(zone, NR_FREE_PAGES);

	return free > keep ? free - keep : 0;
}

/*
 * The watermark that the balloon stays above. In a zone with memory that isn't accepted yet, any
 * allocation below the promo watermark accepts more: the balloon would take that memory as well,
 * and so on until all is accepted.
 * Programs that come and go must not bring a zone there either: the pages that they free
 * stay on lists of their CPUs, which together hold about as many as the low watermark and
 * don't count as free.
 */
static unsigned long take_wmark_pages(struct zone *zone)
{
	if (cswap_unaccepted_pages(zone))
		return wmark_pages(zone, WMARK_PROMO) + low_wmark_pages(zone);
	return low_wmark_pages(zone);
}

static bool is_of_use(struct zone *zone)
{
#ifdef CONFIG_ZONE_DMA
	if (zone_idx(zone) == ZONE_DMA)
		return false;
#endif
	return managed_zone(zone);
}

/* The zone can do without so many pages. */
static bool zone_spares(struct zone *zone, u64 pages)
{
	return zone_above(zone, take_wmark_pages(zone)) >= pages;
}

/* What a node has, in pages. */
struct stock {
	u64 size;
	u64 unaccepted;
	u64 low;			/* free, above the watermarks that are kept */
	bool spares_block;		/* in one zone */
	u64 blocks;			/* free, in whole blocks */
	bool is_high;			/* a zone has its high watermark: kswapd rests */
};

static struct stock stock_of(int node)
{
	struct stock stock = { };
	unsigned int i, order;

	for (i = 0; i < MAX_NR_ZONES; i++) {
		struct zone *zone = &NODE_DATA(node)->node_zones[i];

		if (!is_of_use(zone))
			continue;
		stock.size += zone_managed_pages(zone);
		stock.unaccepted += cswap_unaccepted_pages(zone);
		stock.low += zone_above(zone, take_wmark_pages(zone));
		stock.spares_block |= zone_spares(zone, CSWAP_BLOCK_PAGES);
		stock.is_high |= zone_above(zone, high_wmark_pages(zone)) > 0;
		for (order = CSWAP_BLOCK_ORDER; order < CSWAP_ORDERS; order++)
			stock.blocks += (u64)READ_ONCE(zone->free_area[order].nr_free) << order;
	}
	return stock;
}

/* Pages that the node can do without. */
static u64 room(const struct stock *stock)
{
	if (!stock->spares_block || stock->low < RESERVE_PAGES)
		return 0;
	return stock->low - RESERVE_PAGES;
}

/* Free blocks are left for what needs them, in pages. */
static u64 kept(const struct stock *stock)
{
	u64 blocks = min(stock->size / CSWAP_BLOCK_PAGES / KEEP_SHARE, (u64)KEEP_BLOCKS);

	return IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) ? blocks * CSWAP_BLOCK_PAGES : 0;
}

static bool is_short(struct zone *zone)
{
	return zone_above(zone, high_wmark_pages(zone)) <= CSWAP_SHORT_PAGES;
}

bool cswap_mem_is_short(u64 pfn, const nodemask_t *nodes)
{
	struct zone *zone = page_zone(pfn_to_page(pfn));

	return node_isset(zone_to_nid(zone), *nodes) && is_short(zone);
}

bool cswap_mem_are_short(const nodemask_t *nodes)
{
	unsigned int i;
	int node;

	for_each_node_mask(node, *nodes)
		for (i = 0; i < MAX_NR_ZONES; i++) {
			struct zone *zone = &NODE_DATA(node)->node_zones[i];

			if (is_of_use(zone) && is_short(zone))
				return true;
		}
	return false;
}

/* --- taking --- */

static int compare_ranges(const void *left, const void *right)
{
	const struct cswap_mem_range *a = left, *b = right;

	return (a->pfn > b->pfn) - (a->pfn < b->pfn);
}

/* Sort, and make one of neighbours. */
static unsigned int merge(struct cswap_mem_range *ranges, unsigned int nr)
{
	unsigned int i, last = 0;

	if (!nr)
		return 0;
	sort(ranges, nr, sizeof(*ranges), compare_ranges, NULL);
	for (i = 1; i < nr; i++) {
		if (ranges[last].pfn + ranges[last].pages == ranges[i].pfn)
			ranges[last].pages += ranges[i].pages;
		else
			ranges[++last] = ranges[i];
	}
	return last + 1;
}

/*
 * The highest zone that has room, of those that the kernel's own memory is in; or NULL. The
 * allocator looks there first: a zone above it may have no room and memory that isn't accepted, of
 * which each look would have some accepted.
 */
static struct zone *zone_to_ask(int node)
{
	struct zone *zone;
	int i;

	for (i = ZONE_NORMAL; i >= 0; i--) {
		zone = &NODE_DATA(node)->node_zones[i];
		if (is_of_use(zone) && zone_spares(zone, CSWAP_BLOCK_PAGES))
			return zone;
	}
	return NULL;
}

/* The allocator gave memory of @zone, though not asked for it, and @zone can't do without. */
static bool is_missed(struct zone *zone)
{
	return cswap_unaccepted_pages(zone) && !zone_spares(zone, 1);
}

/* From the free lists: 1 << @order pages. */
static bool take_free(int node, unsigned int order, struct cswap_mem_range *range)
{
	struct zone *zone = zone_to_ask(node);
	struct page *page;

	if (!zone)
		return false;
	page = alloc_pages_node(node, zone_idx(zone) < ZONE_NORMAL ? GFP_TAKE_LOW : GFP_TAKE,
				order);
	if (!page)
		return false;
	if (!is_of_use(page_zone(page)) ||
	    (page_zone(page) != zone && is_missed(page_zone(page)))) {
		__free_pages(page, order);
		return false;
	}
	range->pfn = page_to_pfn(page);
	range->pages = 1 << order;
	return true;
}

/* Free blocks of @pages together; they're merged. */
static unsigned int take_blocks(int node, u64 pages, struct cswap_mem_range *ranges)
{
	unsigned int nr = 0;

	while (nr < CSWAP_TAKE_RANGES && (nr + 1) * CSWAP_BLOCK_PAGES <= pages &&
	       take_free(node, CSWAP_BLOCK_ORDER, &ranges[nr])) {
		nr++;
		cond_resched();
	}
	return merge(ranges, nr);
}

/*
 * Pages of @zone can be moved with nothing accepted for it: they go to the highest zone of the
 * kernel's own memory.
 */
static bool zone_can_move(struct zone *zone)
{
	enum zone_type higher;

	for (higher = zone_idx(zone) + 1; higher <= ZONE_NORMAL; higher++)
		if (cswap_unaccepted_pages(&zone->zone_pgdat->node_zones[higher]))
			return false;
	return true;
}

/* Accepted only to be given up, if it were taken: the allocator accepts what it isolates. */
static bool block_is_unaccepted(unsigned long pfn)
{
	struct page *first = pfn_to_online_page(ALIGN_DOWN(pfn, MAX_ORDER_NR_PAGES));

	return first && cswap_is_unaccepted(first);
}

/* Worth a try: memory of one zone with room, not taken yet; huge pages on a second round. */
static bool block_is_candidate(unsigned long pfn, bool huge)
{
	struct page *first = pfn_to_online_page(pfn);
	struct page *last = pfn_to_online_page(pfn + CSWAP_BLOCK_PAGES - 1);
	struct zone *zone;

	if (!first || !last)
		return false;
	zone = page_zone(first);
	return page_zone(last) == zone && is_of_use(zone) &&
	       zone_spares(zone, CSWAP_BLOCK_PAGES) && zone_can_move(zone) &&
	       !PageReserved(first) && !PageOffline(first) && !block_is_unaccepted(pfn) &&
	       (huge || !PageCompound(first) || compound_order(first) < CSWAP_BLOCK_ORDER);
}

/* The next candidate from the top of the node down; 0 at the end of a round. */
static unsigned long block_next(struct cswap_mem_node *node, int nid)
{
	unsigned long start = ALIGN(node_start_pfn(nid), CSWAP_BLOCK_PAGES);
	unsigned long end = ALIGN_DOWN(node_end_pfn(nid), CSWAP_BLOCK_PAGES);

	/* the block at 0 is never ours */
	if (!start)
		start = CSWAP_BLOCK_PAGES;
	if (!node->cursor || node->cursor > end)
		node->cursor = end;
	while (node->cursor > start) {
		node->cursor -= CSWAP_BLOCK_PAGES;
		if (block_is_candidate(node->cursor, node->barren))
			return node->cursor;
		if (!(node->cursor % (1024 * CSWAP_BLOCK_PAGES)))
			cond_resched();
	}
	node->cursor = 0;
	return 0;
}

/* The candidates below @range belong to it as well, up to @pages. */
static void range_extend(struct cswap_mem_node *node, u64 pages, struct cswap_mem_range *range)
{
	struct zone *zone = page_zone(pfn_to_page(range->pfn));

	while (range->pages + CSWAP_BLOCK_PAGES <= pages && node->cursor > CSWAP_BLOCK_PAGES) {
		unsigned long pfn = node->cursor - CSWAP_BLOCK_PAGES;

		if (!block_is_candidate(pfn, node->barren) ||
		    page_zone(pfn_to_page(pfn)) != zone ||
		    !zone_spares(zone, range->pages + CSWAP_BLOCK_PAGES))
			break;
		node->cursor = pfn;
		range->pfn = pfn;
		range->pages += CSWAP_BLOCK_PAGES;
	}
}

/*
 * A range that has failed isn't tried again before all others were: the cursor goes round. -ENOMEM
 * after a round that brought nothing, and one with huge pages.
 */
static int take_range(struct cswap_mem *mem, int nid, u64 pages, struct cswap_mem_range *range)
{
	struct cswap_mem_node *node = &mem->nodes[nid];
	unsigned int tries;

	if (!CSWAP_CAN_TAKE_RANGE)
		return -ENOMEM;
	for (tries = 0; tries < RANGE_TRIES; tries++) {
		range->pfn = block_next(node, nid);
		range->pages = CSWAP_BLOCK_PAGES;
		if (!range->pfn) {
			bool barren = node->barren;

			node->barren = !barren;
			return barren ? -ENOMEM : -EAGAIN;
		}
		range_extend(node, min(pages, (u64)mem->move * CSWAP_BLOCK_PAGES), range);
		if (!cswap_take_range(range->pfn, range->pages)) {
			node->barren = false;
			mem->move = min(2 * mem->move, (unsigned int)MOVE_BLOCKS);
			mem->moved += range->pages / CSWAP_BLOCK_PAGES;
			return 0;
		}
		/* something in one of them is pinned: try each by itself */
		if (range->pages > CSWAP_BLOCK_PAGES)
			node->cursor = range->pfn + range->pages;
		else
			mem->pinned++;
		mem->move = 1;
		cond_resched();
	}
	return -EAGAIN;
}

/* --- making room --- */

/*
 * Have kswapd make more memory free than it would: hold up to @pages, at kswapd's pace, then free
 * them.
 */
static u64 gather(int node, u64 pages, bool (*stop)(void *arg), void *arg)
{
	unsigned int waits = 0;
	struct page *page, *next;
	struct stock stock;
	LIST_HEAD(gathered);
	u64 nr = 0, before;

	while (nr < pages && !stop(arg)) {
		bool given_up = waits > GATHER_TICKS;

		page = alloc_pages_node(node, given_up ? GFP_RECLAIM : GFP_GATHER, 0);
		if (page)
			list_add(&page->lru, &gathered);
		else if (given_up)
			break;
		/* kswapd rests as long as any zone has plenty: hold this zone's pages as well */
		if (page && !is_of_use(page_zone(page))) {
			cond_resched();
			continue;
		}
		if (page)
			nr++;
		stock = stock_of(node);
		if (page && (stock.low || given_up)) {
			waits = stock.low ? 0 : waits;
			cond_resched();
			continue;
		}
		/* that has woken kswapd */
		waits++;
		schedule_timeout_idle(1);
	}
	/* as long as it gets on */
	do {
		before = stock_of(node).low;
		schedule_timeout_idle(1);
		stock = stock_of(node);
	} while (nr && !stock.is_high && stock.low > before && !stop(arg));
	list_for_each_entry_safe(page, next, &gathered, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
	return nr;
}

static int make_room(struct cswap_mem *mem, int node, struct stock *stock,
		     bool (*stop)(void *arg), void *arg)
{
	/* to accept memory only to give it away would make the host provide it */
	if (stock->unaccepted || !READ_ONCE(cswap_reclaim_enabled))
		return -ENOMEM;
	mem->reclaimed = true;
	mem->gathered += gather(node, clamp(stock->size / GATHER_SHARE, (u64)GATHER_LEAST,
					    (u64)GATHER_MOST), stop, arg);
	if (stop(arg))
		return -EAGAIN;
	*stock = stock_of(node);
	return room(stock) >= CSWAP_BLOCK_PAGES ? 0 : -ENOMEM;
}

/* --- nodes --- */

/* The node had nothing to give a moment ago. */
static bool is_dry(const struct cswap_mem_node *node)
{
	return node->dry && time_before(jiffies, node->dry_until);
}

/* The node that has given the smallest part, of those that may have some; or NUMA_NO_NODE. */
static int node_next(struct cswap_mem *mem)
{
	int node, best = NUMA_NO_NODE;
	u64 least = ~0ULL;

	for_each_node_state(node, N_MEMORY) {
		u64 given = max(atomic_long_read(&mem->nodes[node].given), 0L);
		u64 part = given * 1024 / max(node_present_pages(node), 1UL);

		if (!is_dry(&mem->nodes[node]) && part < least) {
			least = part;
			best = node;
		}
	}
	return best;
}

/* @node has none: -EAGAIN if another may have. */
static int node_dry(struct cswap_mem *mem, int node)
{
	mem->nodes[node].dry = true;
	mem->nodes[node].dry_until = jiffies + DRY_TICKS;
	return node_next(mem) == NUMA_NO_NODE ? -ENOMEM : -EAGAIN;
}

/* Blocks of a node that has room for @pages of them: first those that it misses least. */
static int node_take(struct cswap_mem *mem, int node, const struct stock *stock, u64 pages,
		     struct cswap_mem_range *ranges)
{
	u64 spare = stock->blocks > kept(stock) ? stock->blocks - kept(stock) : 0;
	bool scattered = room(stock) >= stock->blocks + CSWAP_BLOCK_PAGES;
	int nr, rc;

	if (spare >= CSWAP_BLOCK_PAGES || !scattered) {
		nr = take_blocks(node, scattered ? min(pages, spare) : pages, ranges);
		if (nr)
			return nr;
	}
	rc = take_range(mem, node, pages, ranges);
	if (rc == -ENOMEM)
		return take_blocks(node, pages, ranges) ?: rc;
	return rc ?: 1;
}

int cswap_mem_take(struct cswap_mem *mem, u64 pages, bool single,
		   bool (*stop)(void *arg), void *arg, struct cswap_mem_range *ranges)
{
	int node = node_next(mem), rc = 0, i;
	struct stock stock;

	if (node == NUMA_NO_NODE)
		return -ENOMEM;
	stock = stock_of(node);
	if (room(&stock) < CSWAP_BLOCK_PAGES)
		rc = make_room(mem, node, &stock, stop, arg);
	if (rc)
		return rc == -ENOMEM ? node_dry(mem, node) : rc;
	/* single pages are for when there are no blocks; now and then it's looked again */
	if (!mem->singles) {
		rc = node_take(mem, node, &stock, min(pages, room(&stock)), ranges);
		if (rc == -ENOMEM && single)
			mem->singles = CSWAP_BLOCK_PAGES;
	}
	if (mem->singles) {
		mem->singles--;
		rc = take_free(node, 0, ranges) ? 1 : -ENOMEM;
	}
	for (i = 0; i < rc; i++)
		cswap_mem_mark(mem, &ranges[i]);
	return rc == -ENOMEM ? node_dry(mem, node) : rc;
}
