// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_burst.c - allocates as a network card's driver does: in bursts, in interrupts.
 *
 * Theory of operation: a timer takes @burst pages with GFP_ATOMIC, frees them after @ticks, and takes
 * the next after @ticks more, in which others may have them: for as long as the module is loaded. What
 * can't be had is counted, as a dropped packet would be: @failed of @wanted pages. @least is the fewest
 * free pages that were seen before a burst.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/timer.h>
#include <linux/vmstat.h>

static unsigned int burst = 256;
module_param(burst, uint, 0444);
MODULE_PARM_DESC(burst, "pages at a time (default 256)");

static unsigned int ticks = 1;
module_param(ticks, uint, 0444);
MODULE_PARM_DESC(ticks, "jiffies that a burst is kept, and until the next (default 1)");

static unsigned long wanted, failed, least = ULONG_MAX;
module_param(wanted, ulong, 0444);
module_param(failed, ulong, 0444);
module_param(least, ulong, 0444);

static LIST_HEAD(held);
static struct timer_list timer;

static void let_go(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &held, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

static void take(void)
{
	unsigned int i;

	least = min(least, global_zone_page_state(NR_FREE_PAGES));
	for (i = 0; i < burst; i++) {
		struct page *page = alloc_page(GFP_ATOMIC | __GFP_NOWARN);

		wanted++;
		if (page)
			list_add(&page->lru, &held);
		else
			failed++;
	}
}

static void burst_timer(struct timer_list *unused)
{
	if (list_empty(&held))
		take();
	else
		let_go();
	mod_timer(&timer, jiffies + ticks);
}

static int __init burst_init(void)
{
	timer_setup(&timer, burst_timer, 0);
	mod_timer(&timer, jiffies + ticks);
	return 0;
}
module_init(burst_init);

static void __exit burst_exit(void)
{
#ifdef timer_container_of
	timer_shutdown_sync(&timer);
#else
	del_timer_sync(&timer);
#endif
	let_go();
}
module_exit(burst_exit);

MODULE_DESCRIPTION("Allocates in bursts, for tests");
MODULE_LICENSE("GPL");
