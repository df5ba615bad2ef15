// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_discard.c - DISCARD, so that the host gets its disk space back.
 *
 * Theory of operation: the swap core tells the driver of every slot that it frees, one at a time,
 * under its locks. The driver then only marks the slot's record, and the slot's run (the cluster).
 * A while later a worker looks through the marked clusters, claims the slots that are still free,
 * and sends one request with as many ranges as fit; the end of a request starts the next. The
 * worker doesn't claim a slot that was stored meanwhile; the next store of a slot that is claimed
 * waits in the pool until the request is over.
 *
 * All that the device holds when the driver starts was stored by another guest, or by this one
 * before it was started again: no key opens it any more, so the driver discards all of it first.
 * The first request is for the end, where the swap core stores last. Each answer doubles the next
 * request, so that a device that answers none has few slots in flight.
 *
 * A discard that fails costs the host disk space, and nothing else. A discard that is never
 * answered, because the control queue is broken, costs the guest its slots until the device is
 * reset: the device may carry it out at any time (I1), so these slots can't be stored.
 */
#include <linux/bitmap.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "compat.h"
#include "cswap.h"

/* Frees come in bursts: an exiting process, a swapoff. */
#define GATHER_MS	100
#define PENDING		0
/* Slots between two calls of cond_resched(). */
#define TAKE_OVER_SLOTS	SZ_1M

static struct cswap_dev *to_dev(struct cswap_discard *discard)
{
	return container_of(discard, struct cswap_dev, discard);
}

static u64 nr_clusters(const struct cswap_dev *dev)
{
	return DIV_ROUND_UP_ULL(dev->geometry.capacity, CSWAP_SHARD_SLOTS);
}

static void work_soon(struct cswap_discard *discard, unsigned int ms)
{
	struct cswap_dev *dev = to_dev(discard);

	/* the bit spares most callers the workqueue's lock */
	if (test_and_set_bit(PENDING, &discard->pending))
		return;
	/* the start looks at all clusters; what isn't queued before the stop never is */
	rcu_read_lock();
	if (READ_ONCE(dev->state) == CSWAP_RUNNING)
		queue_delayed_work(dev->wq, &discard->work, msecs_to_jiffies(ms));
	rcu_read_unlock();
}

void cswap_discard_note(struct cswap_dev *dev, u64 slot)
{
	struct cswap_discard *discard = &dev->discard;
	u64 cluster = slot / CSWAP_SHARD_SLOTS;

	if (!discard->supported)
		return;
	if (!test_bit(cluster, discard->clusters))
		set_bit(cluster, discard->clusters);
	work_soon(discard, GATHER_MS);
}

/* Claim from one cluster; false when the request is full. */
static bool claim_cluster(struct cswap_dev *dev, u64 cluster, bool *again)
{
	struct cswap_discard *discard = &dev->discard;
	u64 start = cluster * CSWAP_SHARD_SLOTS;
	u64 count = min_t(u64, CSWAP_SHARD_SLOTS, dev->geometry.capacity - start);
	struct cswap_queue *queue = cswap_queue_of(dev, start);
	unsigned long flags;
	bool later = false;
	u64 next;

	clear_bit(cluster, discard->clusters);
	/* what is freed from here on sets it again, and is looked at then */
	smp_mb__after_atomic();
	spin_lock_irqsave(&queue->lock, flags);
	discard->nr_ranges +=
		cswap_discard_claim(&queue->shard, start, count,
				    discard->range + discard->nr_ranges,
				    discard->max_ranges - discard->nr_ranges,
				    &next, &later);
	spin_unlock_irqrestore(&queue->lock, flags);

	if (later || next < start + count)
		set_bit(cluster, discard->clusters);
	*again |= later;
	return next == start + count;
}

/* Fill discard->range from the marked clusters, downward, round robin. */
static void claim(struct cswap_dev *dev, bool *again)
{
	struct cswap_discard *discard = &dev->discard;
	u64 nr = nr_clusters(dev), end = discard->cursor, cluster;
	bool wrapped = false;

	discard->nr_ranges = 0;
	while (discard->nr_ranges < discard->max_ranges) {
		cluster = find_last_bit(discard->clusters, end);
		if (wrapped && (cluster >= end || cluster < discard->cursor))
			break;
		if (cluster >= end) {
			wrapped = true;
			end = nr;
			continue;
		}
		end = cluster;
		if (!claim_cluster(dev, cluster, again)) {
			end++;
			break;
		}
	}
	discard->cursor = end;
}

/* The ranges are out of flight; stores that waited for them go. */
static void release(struct cswap_dev *dev, bool done)
{
	struct cswap_discard *discard = &dev->discard;
	unsigned int i;

	for (i = 0; i < discard->nr_ranges; i++) {
		struct cswap_range *range = &discard->range[i];
		struct cswap_queue *queue = cswap_queue_of(dev, range->start);
		unsigned long flags;

		spin_lock_irqsave(&queue->lock, flags);
		cswap_discard_done(&queue->shard, range, done);
		cswap_queue_wake_store(queue);
		cswap_queue_unlock_and_send(queue, flags);
		if (done)
			atomic64_add(range->count, &discard->slots);
	}
	discard->nr_ranges = 0;
}

/* The device won't discard the ranges: another request is to. */
static void put_back(struct cswap_dev *dev)
{
	struct cswap_discard *discard = &dev->discard;
	unsigned int i;

	for (i = 0; i < discard->nr_ranges; i++)
		set_bit(discard->range[i].start / CSWAP_SHARD_SLOTS, discard->clusters);
	release(dev, false);
}

static void lose(struct cswap_dev *dev)
{
	struct cswap_discard *discard = &dev->discard;
	u64 slots = 0;
	unsigned int i;

	for (i = 0; i < discard->nr_ranges; i++)
		slots += discard->range[i].count;
	dev_err(&dev->vdev->dev,
		"the control queue is broken; %llu slots that were being discarded can't be stored any more\n",
		slots);
	for (i = 0; i < dev->nr_queues; i++) {
		struct cswap_queue *queue = &dev->queues[i];

		spin_lock_irq(&queue->lock);
		cswap_discards_lose(&queue->shard);
		spin_unlock_irq(&queue->lock);
		wake_up_all(&queue->store_wait);
	}
	/* the work doesn't claim what is freed later */
	cswap_tick_soon(dev);
}

static int send(struct cswap_dev *dev)
{
	struct cswap_discard *discard = &dev->discard;
	struct virtio_cswap_ctrl *request = cswap_control_request(dev, CSWAP_CONTROL_DISCARD);
	struct virtio_cswap_range *range = (void *)(request + 1);
	unsigned int i;

	WRITE_ONCE(discard->since, cswap_seconds(dev));
	WRITE_ONCE(discard->reset_wanted, false);
	cswap_wire_put_discard(request, discard->nr_ranges);
	for (i = 0; i < discard->nr_ranges; i++)
		cswap_wire_put_range(&range[i], discard->range[i].start,
				     discard->range[i].count);
	return cswap_control_send(dev, CSWAP_CONTROL_DISCARD,
				  CSWAP_CTRL_BYTES(discard->nr_ranges));
}

bool cswap_discard_overdue(struct cswap_dev *dev, u32 seconds)
{
	return cswap_control_is_sent(dev, CSWAP_CONTROL_DISCARD) &&
	       cswap_age_s(dev, READ_ONCE(dev->discard.since)) > seconds &&
	       !xchg(&dev->discard.reset_wanted, true);
}

static void discard_work(struct work_struct *work)
{
	struct cswap_discard *discard = container_of(to_delayed_work(work),
						     struct cswap_discard, work);
	struct cswap_dev *dev = to_dev(discard);
	bool again = false, done;
	const void *response;
	u32 used;

	clear_bit(PENDING, &discard->pending);
	/* a cluster marked after this sets the bit anew and has us run again */
	smp_mb__after_atomic();
	/* first of all: what is in flight is then for cswap_discard_forget() */
	if (READ_ONCE(dev->state) != CSWAP_RUNNING)
		return;
	if (discard->nr_ranges) {
		response = cswap_control_answer(dev, CSWAP_CONTROL_DISCARD, &used);
		if (!response && !cswap_control_is_broken(dev))
			return;		/* its interrupt brings us back */
		if (!response) {
			if (!xchg(&discard->lost, true))
				lose(dev);
			return;
		}
		done = cswap_wire_get_ctrl_status(response, used) == VIRTIO_CSWAP_S_OK;
		release(dev, done);
		if (done)
			discard->max_ranges = min_t(u32, 2 * discard->max_ranges,
						    ARRAY_SIZE(discard->range));
	}
	if (cswap_control_is_broken(dev))
		return;
	claim(dev, &again);
	if (discard->nr_ranges) {
		if (!send(dev))
			return;
		put_back(dev);
		again = true;
	}
	if (again)
		work_soon(discard, GATHER_MS);
}

static void answered(struct cswap_dev *dev)
{
	mod_delayed_work(dev->wq, &dev->discard.work, 0);
}

void cswap_discard_start(struct cswap_dev *dev)
{
	struct cswap_discard *discard = &dev->discard;

	if (!discard->supported)
		return;
	/* a task that noted a cluster before this may have set the bit, and queued nothing */
	set_bit(PENDING, &discard->pending);
	mod_delayed_work(dev->wq, &discard->work, 0);
}

void cswap_discard_stop(struct cswap_dev *dev)
{
	struct cswap_discard *discard = &dev->discard;

	cancel_delayed_work_sync(&discard->work);
}

/*
 * Before the first request. Not in cswap_discard_start(): once the state is RUNNING, a task that
 * frees a slot may have queued the work, which then fills discard->range up to max_ranges.
 */
static void begin_anew(struct cswap_dev *dev)
{
	struct cswap_discard *discard = &dev->discard;

	discard->lost = false;
	discard->cursor = nr_clusters(dev);
	discard->max_ranges = 1;
}

void cswap_discard_forget(struct cswap_dev *dev)
{
	put_back(dev);
	begin_anew(dev);
}

/* Before the first request. */
static void take_over(struct cswap_dev *dev)
{
	u64 start, capacity = dev->geometry.capacity;

	bitmap_fill(dev->discard.clusters, nr_clusters(dev));
	for (start = 0; start < capacity; start += TAKE_OVER_SLOTS) {
		cswap_slots_take_over(dev->records + start,
				      min_t(u64, capacity - start, TAKE_OVER_SLOTS));
		cond_resched();
	}
}

int cswap_discard_init(struct cswap_dev *dev)
{
	struct cswap_discard *discard = &dev->discard;

	INIT_DELAYED_WORK(&discard->work, discard_work);
	dev->control.request[CSWAP_CONTROL_DISCARD].answered = answered;
	discard->supported = virtio_has_feature(dev->vdev, VIRTIO_CSWAP_F_DISCARD);
	discard->clusters = kvcalloc(BITS_TO_LONGS(nr_clusters(dev)),
				     sizeof(long), GFP_KERNEL);
	if (!discard->clusters)
		return -ENOMEM;
	begin_anew(dev);
	if (discard->supported)
		take_over(dev);
	return 0;
}
