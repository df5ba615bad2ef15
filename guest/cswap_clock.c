// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_clock.c - how long the guest has waited for the device, and what follows.
 *
 * Theory of operation
 *
 * Two clocks: if the rings stand still for stall_ms although something is in flight, or a full pool
 * does, whatever it waits for, stores are refused (the swap core keeps its pages, and reclaim turns
 * elsewhere) until they move again; one store each stall_ms is sent all the same, as a probe, so
 * that a recovered device is noticed. A LOAD has load_timeout_s, since its page is nowhere else.
 *
 * A guest that stood still (paused or frozen, on a host that slept) may find that an hour has gone
 * by, in which the device couldn't answer or the guest couldn't look. That hour must not count. So
 * the tick counts the seconds of load_timeout_s, one each time it runs; and the clock of stores is
 * set forward by as much as the tick is late.
 */
#include <linux/jiffies.h>

#include "compat.h"
#include "cswap.h"

/* --- whether the guest stood still --- */

/* The guest has just gone on after it stood still, and the tick hasn't corrected the clocks yet. */
static bool tick_is_late(const struct cswap_dev *dev)
{
	return test_bit(CSWAP_TICKING, &dev->ticking) &&
	       time_after(jiffies, READ_ONCE(dev->tick_due) + HZ);
}

bool cswap_clock_jumped(const struct cswap_dev *dev, unsigned int *jumps)
{
	bool late = tick_is_late(dev);
	unsigned int before = *jumps;

	/* the tick counts a jump before it ceases to be late: see clocks_correct() */
	smp_rmb();
	*jumps = READ_ONCE(dev->jumps);
	return late || *jumps != before;
}

bool cswap_queue_stalled(const struct cswap_queue *queue)
{
	return !tick_is_late(queue->dev) &&
	       cswap_store_stalled(&queue->shard, jiffies,
				   msecs_to_jiffies(cswap_stall_ms_of(queue->dev)));
}

u32 cswap_seconds(const struct cswap_dev *dev)
{
	return READ_ONCE(dev->seconds);
}

u32 cswap_age_s(const struct cswap_dev *dev, u32 since)
{
	return cswap_seconds(dev) - since;
}

bool cswap_load_overdue(const struct cswap_dev *dev, u32 since)
{
	u32 limit = cswap_load_timeout_of(dev);

	/* the first second may have been a short one; and a reset comes first, see below */
	return limit && cswap_age_s(dev, since) > max(limit, 2U);
}

/* A second has passed, however many the tick is late; it may have been called early, too. */
static void clock_move(struct cswap_dev *dev)
{
	if (time_before(jiffies, dev->second_at + HZ))
		return;
	dev->second_at = jiffies;
	WRITE_ONCE(dev->seconds, dev->seconds + 1);
}

/* --- what readers have waited for --- */

/* Its owner waits for the device. */
static bool load_is_awaited(const struct cswap_queue *queue, u32 l)
{
	u8 state = queue->shard.loads[l].state;

	return (state == CSWAP_LOAD_SENT || state == CSWAP_LOAD_QUEUED) &&
	       !queue->load_io[l].handed_over;
}

static void loads_time_out(struct cswap_queue *queue)
{
	u32 i;

	for (i = 0; i < queue->shard.nr_loads; i++) {
		struct cswap_load_io *io = &queue->load_io[i];

		if (!load_is_awaited(queue, i))
			continue;
		if (queue->state != CSWAP_BROKEN && !cswap_load_overdue(queue->dev, io->since))
			continue;
		queue->stats.load_timeouts++;
		dev_err_ratelimited(&queue->dev->vdev->dev,
				    "slot %llu: no answer from the device; the page is given up\n",
				    queue->shard.loads[i].slot);
		io->status = BLK_STS_TIMEOUT;
		cswap_queue_hand_over(queue, io, io);
	}
}

/* The device still holds it, but its owner has given up. */
static bool load_is_abandoned(const struct cswap_queue *queue, u32 l)
{
	const struct cswap_load *load = &queue->shard.loads[l];

	return load->state == CSWAP_LOAD_SENT && load->abandoned;
}

/*
 * A LOAD has been out for longer than @limit, in seconds, or couldn't be sent, and for no reset.
 * One that was sent late isn't given so long: a reset comes before the page is given up.
 */
static bool load_wants_reset(const struct cswap_dev *dev, const struct cswap_load_io *io,
			     u32 limit, u32 calm)
{
	u32 out = cswap_age_s(dev, io->sent == CSWAP_NONE ? io->since : io->sent);
	bool late = cswap_age_s(dev, io->since) > 2 * limit;

	return out > (late ? 1 : limit) && out <= calm;
}

/*
 * A LOAD wants it, see above; or a reader waits beside a load whose owner has given up, which may
 * be what this reader waits for. Not sooner than @limit after the last reset.
 */
static bool loads_want_reset(struct cswap_queue *queue, u32 limit)
{
	const struct cswap_dev *dev = queue->dev;
	u32 i, calm = cswap_age_s(dev, dev->reset_second);
	/* under the lock, as who waits looks; whom this misses is seen by the next tick */
	bool wait = waitqueue_active(&queue->slot_wait) || waitqueue_active(&queue->load_wait);

	if (calm <= limit)
		return false;
	for (i = 0; i < queue->shard.nr_loads; i++) {
		if (load_is_awaited(queue, i) &&
		    load_wants_reset(dev, &queue->load_io[i], limit, calm))
			return true;
		if (wait && load_is_abandoned(queue, i))
			return true;
	}
	return false;
}

/*
 * The device won't answer requests that it has lost, but may answer when they are sent again. So
 * before a page is given up, or when stores can't go on without the answer to a DISCARD, the driver
 * resets the device, at a third of the time that a reader waits, but no less than a second.
 * (load_timeout_s=0: readers wait for ever, and there is no reset.)
 */
static bool queue_wants_reset(struct cswap_queue *queue)
{
	u32 limit = cswap_load_timeout_of(queue->dev);
	/* as in cswap_load_overdue(), the first second may have been a short one */
	u32 patience = max(limit / 3, 1U);

	if (!CSWAP_CAN_RESET || !limit || queue->state != CSWAP_RUNNING)
		return false;
	return loads_want_reset(queue, patience) ||
	       (queue->shard.free.first == CSWAP_NONE &&
		cswap_discard_overdue(queue->dev, patience));
}

/* --- the tick --- */

/* What a tick has found. */
struct tick_result {
	bool again;			/* something needs another one */
	bool reset;			/* the device is to be reset */
};

/* Not later than now: the clock may have been set after the guest went on. */
static void clock_set_forward(unsigned long *at, unsigned long by)
{
	*at = time_after(*at + by, jiffies) ? jiffies : *at + by;
}

static void queue_set_forward(struct cswap_queue *queue, unsigned long jump)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	clock_set_forward(&queue->shard.moved_at, jump);
	clock_set_forward(&queue->shard.room_at, jump);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/*
 * The tick has begun. If the tick is late, the guest stood still for so long: the tick sets all
 * clocks forward before it ceases to be late, so whoever looks at a clock sees one or the other.
 * Only from then on may tick_due be that of another tick.
 */
static void clocks_correct(struct cswap_dev *dev)
{
	long late = jiffies - READ_ONCE(dev->tick_due);
	unsigned int i;

	if (late > HZ) {
		WRITE_ONCE(dev->jumps, dev->jumps + 1);
		for (i = 0; i < dev->nr_queues; i++)
			queue_set_forward(&dev->queues[i], late);
	}
	/* whoever finds the bit clear sees the jump counted: see cswap_clock_jumped() */
	smp_mb__before_atomic();
	clear_bit(CSWAP_TICKING, &dev->ticking);
	/* whoever finds it set has done before what this tick looks at: see cswap_tick_soon() */
	smp_mb__after_atomic();
}

void cswap_tick_soon(struct cswap_dev *dev)
{
	/* the tick sees what it's needed for, or we see that it has begun: see clocks_correct() */
	smp_mb();
	if (test_bit(CSWAP_TICKING, &dev->ticking) ||
	    test_and_set_bit(CSWAP_TICKING, &dev->ticking))
		return;
	WRITE_ONCE(dev->tick_due, jiffies + HZ);
	queue_delayed_work(dev->wq, &dev->tick, HZ);
}

static void queue_tick(struct cswap_queue *queue, struct tick_result *result)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	cswap_queue_read(queue);	/* not all answers interrupt, or one was lost */
	loads_time_out(queue);
	cswap_store_retry(&queue->shard);
	if (queue->shard.discards_lost)
		cswap_discards_lose(&queue->shard);
	if (queue->shard.free.count)
		cswap_queue_wake_store(queue);
	/* a full pool may wait for other things than requests of this pair */
	result->again |= queue->shard.loading || queue->shard.sent ||
			 queue->shard.send.count || queue->shard.failed ||
			 queue->shard.free.first == CSWAP_NONE;
	result->reset |= queue_wants_reset(queue);
	cswap_queue_unlock_and_send(queue, flags);
	/* tasks that wait for a load look at the same clock */
	cswap_queue_wake_all_readers(queue);
}

void cswap_tick(struct work_struct *work)
{
	struct cswap_dev *dev = container_of(to_delayed_work(work),
					     struct cswap_dev, tick);
	struct tick_result result = { };
	unsigned int i;

	clocks_correct(dev);
	clock_move(dev);
	for (i = 0; i < dev->nr_queues; i++)
		queue_tick(&dev->queues[i], &result);
	if (result.reset) {
		dev->reset_second = cswap_seconds(dev);
		cswap_reset_want(dev);
	}
	if (result.again && READ_ONCE(dev->state) != CSWAP_DEAD)
		cswap_tick_soon(dev);
}
