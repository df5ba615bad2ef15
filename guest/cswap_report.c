// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_report.c - tells the host from time to time how the guest is.
 *
 * The device says how often it wants a report, and the driver keeps the period within its own
 * bounds. The guest's owner may turn reports off (reports=0). One report is on its way at a time: a
 * device that doesn't answer it gets no other.
 */
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "compat.h"
#include "cswap.h"

#define LEAST_PERIOD_MS		100U
#define MOST_PERIOD_MS		(3600U * 1000)

static __le64 stat_sum(struct cswap_dev *dev, size_t offset)
{
	return cpu_to_le64(cswap_stats_sum(dev, offset));
}

/* A field that isn't set here is 0: this driver doesn't have that statistic. */
static void fill(struct cswap_dev *dev, struct virtio_cswap_report *report)
{
	struct cswap_balloon *balloon = &dev->balloon;
	struct cswap_mem_counts *counts = &dev->reporter.counts;
	u64 out = cswap_balloon_pages(balloon);

	cswap_mem_count(counts);
	*report = (struct virtio_cswap_report) {
		.size = cpu_to_le64((totalram_pages() + out) << PAGE_SHIFT),
		.released = cpu_to_le64(out << PAGE_SHIFT),
		.target = cpu_to_le64(READ_ONCE(balloon->target)),
		.floor = cpu_to_le64((u64)READ_ONCE(balloon->floor) << PAGE_SHIFT),
		.lost = cpu_to_le64((u64)atomic64_read(&balloon->lost) << PAGE_SHIFT),
		.free = cpu_to_le64((u64)global_zone_page_state(NR_FREE_PAGES) << PAGE_SHIFT),
		.available = cpu_to_le64((u64)si_mem_available() << PAGE_SHIFT),
		.file = cpu_to_le64((u64)global_node_page_state(NR_FILE_PAGES) << PAGE_SHIFT),
		.swap_in = cpu_to_le64(counts->swap_in),
		.swap_out = cpu_to_le64(counts->swap_out),
		.refaults = cpu_to_le64(counts->refaults),
		.alloc_stalls = cpu_to_le64(counts->alloc_stalls),
		.swap_in_ns = stat_sum(dev, offsetof(struct cswap_stats, load_ns)),
		.tampered = stat_sum(dev, offsetof(struct cswap_stats, tampered)),
		.stopped = cpu_to_le32(READ_ONCE(balloon->stopped)),
		.epoch = cpu_to_le32(READ_ONCE(dev->seal.made)),
	};
}

/* Take the answer to the last report. Returns false if the device wants no more reports. */
static bool answer_take(struct cswap_dev *dev)
{
	const void *response;
	u32 used;

	response = cswap_control_answer(dev, CSWAP_CONTROL_REPORT, &used);
	return !response || cswap_wire_get_ctrl_status(response, used) !=
			    VIRTIO_CSWAP_S_UNSUPP;
}

static void report_work(struct work_struct *work)
{
	struct cswap_reporter *reporter = container_of(to_delayed_work(work),
						       struct cswap_reporter, work);
	struct cswap_dev *dev = container_of(reporter, struct cswap_dev, reporter);
	struct virtio_cswap_ctrl *request = cswap_control_request(dev, CSWAP_CONTROL_REPORT);
	struct virtio_cswap_report report;

	if (!reporter->running || !answer_take(dev))
		return;
	if (READ_ONCE(cswap_reports_enabled) &&
	    cswap_control_is_idle(dev, CSWAP_CONTROL_REPORT)) {
		fill(dev, &report);
		cswap_wire_put_report(request, &report);
		reporter->reports += !cswap_control_send(dev, CSWAP_CONTROL_REPORT,
							 CSWAP_REPORT_BYTES);
	}
	queue_delayed_work(dev->wq, &reporter->work, reporter->period);
}

/* Nothing to do: report_work() takes the answer when the next report is due. */
static void answered(struct cswap_dev *dev)
{
}

void cswap_report_start(struct cswap_dev *dev)
{
	struct cswap_reporter *reporter = &dev->reporter;

	if (!reporter->period)
		return;
	reporter->running = true;
	queue_delayed_work(dev->wq, &reporter->work, reporter->period);
}

void cswap_report_stop(struct cswap_dev *dev)
{
	dev->reporter.running = false;
	cancel_delayed_work_sync(&dev->reporter.work);
}

void cswap_report_init(struct cswap_dev *dev)
{
	struct cswap_reporter *reporter = &dev->reporter;
	u32 ms = dev->geometry.report_period_ms;

	INIT_DELAYED_WORK(&reporter->work, report_work);
	dev->control.request[CSWAP_CONTROL_REPORT].answered = answered;
	if (ms)
		reporter->period = msecs_to_jiffies(clamp(ms, LEAST_PERIOD_MS, MOST_PERIOD_MS));
}
