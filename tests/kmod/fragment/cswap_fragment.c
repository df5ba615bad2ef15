// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_fragment.c - fragments a guest's memory: pins one page in so many, while it is loaded.
 *
 * Theory of operation: free pages are taken one at a time, without reclaim, until @mib are held
 * or @leave_mib are left; then all go back but those whose frame number is a multiple of @every.
 * The kernel can't move what stays (it's on no list of its own), so no aligned block of @every
 * pages or more around such a page becomes free, whatever is reclaimed or compacted. With @reserve
 * the blocks of @every pages and more that the kernel keeps for emergencies are taken too, and those
 * that it can make by reclaim and by moving pages. Pages that go back are room to move others to:
 * the kernel may then empty a block in which nothing is pinned yet (page cache, a process's memory).
 * So blocks are taken again until the kernel can make none. A process that needs memory meanwhile
 * gets pages which would have gone back: the kernel asks for them before the kernel kills a process,
 * and might have killed the one that loads this module. Read-only
 * parameters say what came of it: @pinned pages, which lie in so many @blocks of 2 MiB.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/vmstat.h>
#include <linux/xarray.h>

#define BLOCK_SHIFT	(21 - PAGE_SHIFT)
#define PAGES_PER_MIB	(1UL << (20 - PAGE_SHIFT))
#define OOM_PAGES	256U

static unsigned int every = 64;
module_param(every, uint, 0444);
MODULE_PARM_DESC(every, "pin one page in so many (default 64)");

static unsigned long mib;
module_param(mib, ulong, 0444);
MODULE_PARM_DESC(mib, "take at most so much memory to do so (default 0: what is free)");

static unsigned long leave_mib = 8;
module_param(leave_mib, ulong, 0444);
MODULE_PARM_DESC(leave_mib, "leave so much memory free meanwhile (default 8)");

static bool reserve;
module_param(reserve, bool, 0444);
MODULE_PARM_DESC(reserve, "take blocks of the kernel's reserve and those that it can make as well (default 0)");

static unsigned long pinned;
module_param(pinned, ulong, 0444);
MODULE_PARM_DESC(pinned, "pages that are pinned");

static unsigned long blocks;
module_param(blocks, ulong, 0444);
MODULE_PARM_DESC(blocks, "blocks of 2 MiB with a pinned page in them");

/* Pages that stay, and those that go back; what goes back may be taken by out_of_memory() before. */
static LIST_HEAD(pins);
static LIST_HEAD(held);
static DEFINE_SPINLOCK(held_lock);

static void hold(struct page *page)
{
	if (page_to_pfn(page) % every == 0) {
		list_add(&page->lru, &pins);
		pinned++;
		return;
	}
	spin_lock(&held_lock);
	list_add(&page->lru, &held);
	spin_unlock(&held_lock);
}

/* A page that is held, and no longer is; or NULL. */
static struct page *let_go(void)
{
	struct page *page;

	spin_lock(&held_lock);
	page = list_first_entry_or_null(&held, struct page, lru);
	if (page)
		list_del(&page->lru);
	spin_unlock(&held_lock);
	return page;
}

static void let_go_of_most(void)
{
	struct page *page;

	while ((page = let_go())) {
		__free_page(page);
		cond_resched();
	}
}

static void release_held(void)
{
	struct page *page, *next;

	let_go_of_most();
	list_for_each_entry_safe(page, next, &pins, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

static int out_of_memory_now(struct notifier_block *nb, unsigned long unused, void *freed)
{
	unsigned long *pages = freed;
	struct page *page;
	unsigned int i;

	for (i = 0; i < OOM_PAGES && (page = let_go()); i++) {
		__free_page(page);
		(*pages)++;
	}
	return NOTIFY_OK;
}

static struct notifier_block oom = {
	.notifier_call = out_of_memory_now,
};

static void take_free_pages(void)
{
	const gfp_t gfp = (GFP_KERNEL & ~__GFP_RECLAIM) | __GFP_NOWARN;
	unsigned long taken = 0, most = mib ? mib * PAGES_PER_MIB : ULONG_MAX;
	struct page *page;

	while (taken < most &&
	       global_zone_page_state(NR_FREE_PAGES) > leave_mib * PAGES_PER_MIB) {
		page = alloc_page(gfp);
		if (!page)
			return;
		hold(page);
		taken++;
		cond_resched();
	}
}

/* Returns how many blocks were taken. */
static unsigned int take_reserve(void)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_MEMALLOC | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	unsigned int order = 10, taken = 0, i;
	struct page *page;

	while (order >= ilog2(every)) {
		page = alloc_pages(gfp, order);
		if (!page) {
			order--;
			continue;
		}
		split_page(page, order);
		for (i = 0; i < 1U << order; i++)
			hold(&page[i]);
		taken++;
	}
	return taken;
}

static int count_blocks(void)
{
	struct xarray seen;
	struct page *page;
	int rc = 0;

	xa_init(&seen);
	list_for_each_entry(page, &pins, lru) {
		rc = xa_insert(&seen, page_to_pfn(page) >> BLOCK_SHIFT, xa_mk_value(0), GFP_KERNEL);
		if (!rc)
			blocks++;
		else if (rc != -EBUSY)
			break;
		rc = 0;
	}
	xa_destroy(&seen);
	return rc;
}

static int __init fragment_init(void)
{
	int rc;

	if (!every || (reserve && every < 2))
		return -EINVAL;
	rc = register_oom_notifier(&oom);
	if (rc)
		return rc;
	take_free_pages();
	if (reserve)
		take_reserve();
	let_go_of_most();
	while (reserve && take_reserve())
		let_go_of_most();
	unregister_oom_notifier(&oom);
	rc = count_blocks();
	if (rc)
		release_held();
	return rc;
}
module_init(fragment_init);

static void __exit fragment_exit(void)
{
	release_held();
}
module_exit(fragment_exit);

MODULE_DESCRIPTION("Fragments memory, for tests");
MODULE_LICENSE("GPL");
