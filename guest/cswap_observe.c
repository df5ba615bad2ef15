// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_observe.c - what engineers see of the disk: tracepoints, a histogram of how long pages were
 * waited for, counters, and a uevent when a page doesn't open.
 *
 * The histogram is /sys/kernel/debug/cswapN/load_us: a line for each power of two, its upper bound
 * in microseconds and the pages that took less, from when the page was wanted until it was opened,
 * or given up; pages that the pool still had aren't counted. Beside it "counters" has a line for
 * each, a name and a number; what an owner may want to know is in sysfs. The uevent is a "change"
 * of the disk with CSWAP_EVENT=tampered and CSWAP_TAMPERED=, their number so far; several in a row
 * may be one event.
 */
#include <linux/blkdev.h>
#include <linux/debugfs.h>
#include <linux/kobject.h>
#include <linux/seq_file.h>

#include "cswap.h"

#define CREATE_TRACE_POINTS
#include "cswap_trace.h"

void cswap_observe_wait(struct cswap_queue *queue, ktime_t asked)
{
	u64 us = ktime_us_delta(ktime_get(), asked);

	queue->load_us[min(fls64(us), CSWAP_LATENCY_BUCKETS - 1)]++;
}

static int load_us_show(struct seq_file *file, void *unused)
{
	struct cswap_dev *dev = file->private;
	unsigned int i, bucket;
	u64 pages;

	for (bucket = 0; bucket < CSWAP_LATENCY_BUCKETS; bucket++) {
		pages = 0;
		for (i = 0; i < dev->nr_queues; i++)
			pages += READ_ONCE(dev->queues[i].load_us[bucket]);
		if (bucket == CSWAP_LATENCY_BUCKETS - 1)
			seq_printf(file, "more %llu\n", pages);
		else
			seq_printf(file, "%llu %llu\n", 1ULL << bucket, pages);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(load_us);

static void count(struct seq_file *file, const char *name, u64 value)
{
	seq_printf(file, "%s %llu\n", name, value);
}

/* What is of no use to the disk's owner; pages and bytes since the device was probed. */
static int counters_show(struct seq_file *file, void *unused)
{
	struct cswap_dev *dev = file->private;
	const struct cswap_balloon *balloon = &dev->balloon;

	count(file, "store_requests",
	      cswap_stats_sum(dev, offsetof(struct cswap_stats, store_requests)));
	count(file, "load_requests",
	      cswap_stats_sum(dev, offsetof(struct cswap_stats, load_requests)));
	count(file, "epoch", READ_ONCE(dev->seal.made));
	count(file, "balloon_taken", (u64)atomic64_read(&balloon->taken) << PAGE_SHIFT);
	count(file, "balloon_returned", (u64)atomic64_read(&balloon->returned) << PAGE_SHIFT);
	count(file, "balloon_gathered", READ_ONCE(balloon->mem.gathered) << PAGE_SHIFT);
	count(file, "balloon_conversions", atomic64_read(&balloon->mem.conversions));
	count(file, "balloon_moved_blocks", READ_ONCE(balloon->mem.moved));
	count(file, "balloon_pinned_blocks", READ_ONCE(balloon->mem.pinned));
	count(file, "balloon_steps", READ_ONCE(balloon->steps));
	count(file, "balloon_events", READ_ONCE(balloon->events));
	count(file, "balloon_event_errors", READ_ONCE(balloon->event_errors));
	count(file, "balloon_requests", READ_ONCE(balloon->requests));
	count(file, "balloon_ranges", READ_ONCE(balloon->ranges_sent));
	count(file, "balloon_refusals", READ_ONCE(balloon->refusals));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(counters);

static void tampered_work(struct work_struct *work)
{
	struct cswap_dev *dev = container_of(work, struct cswap_dev, tampered_work);
	char number[sizeof("CSWAP_TAMPERED=") + 20];
	char *env[] = { "CSWAP_EVENT=tampered", number, NULL };

	snprintf(number, sizeof(number), "CSWAP_TAMPERED=%llu",
		 cswap_stats_sum(dev, offsetof(struct cswap_stats, tampered)));
	kobject_uevent_env(&disk_to_dev(dev->disk)->kobj, KOBJ_CHANGE, env);
}

void cswap_observe_init(struct cswap_dev *dev)
{
	INIT_WORK(&dev->tampered_work, tampered_work);
}

void cswap_observe_begin(struct cswap_dev *dev)
{
	dev->debugfs = debugfs_create_dir(dev->disk->disk_name, NULL);
	debugfs_create_file("load_us", 0400, dev->debugfs, dev, &load_us_fops);
	debugfs_create_file("counters", 0400, dev->debugfs, dev, &counters_fops);
}

void cswap_observe_end(struct cswap_dev *dev)
{
	debugfs_remove_recursive(dev->debugfs);
	cancel_work_sync(&dev->tampered_work);
}

void cswap_observe_tampered(struct cswap_dev *dev)
{
	/* it allocates: not in the context of a reader */
	schedule_work(&dev->tampered_work);
}
