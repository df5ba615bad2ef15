// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_balloon.c - the balloon: gives memory back to the host, and takes it back.
 *
 * Theory of operation
 *
 * The host's target comes in an EVENT, which the device holds until there is a new target, and
 * which the driver sends again a while after the last, so that the guest sets the pace. A worker
 * compares what is given up with what the policy allows of the target, does a short step, and goes
 * on as long as there's something to do; before each step it looks at everything again.
 *
 *	more:	take blocks (cswap_take.c), convert them, RELEASE what is held
 *	less:	RECLAIM, wait for the answer, convert back, free
 *
 * What may be done with a block, and when, is in cswap_blocks.c. A device that refuses a RELEASE
 * gets no more memory for a while, and the refused blocks go back to the guest. One that refuses a
 * RECLAIM has no memory: the driver asks again with backoff, or at once when the target changes. A
 * device that doesn't answer at all gets no more memory, and the log says why; a guest that runs
 * short then takes back the blocks of which no request is under way, without an answer. If the
 * control ring is broken the driver can't ask, and these blocks go back.
 *
 * The guest also takes blocks back without the worker: when it is out of memory, and when memory
 * goes offline (cswap_rescue.c). The driver tells the device later.
 *
 * The lock guards the blocks; the worker, the rescuer and the notifier of memory that goes offline
 * are the only ones to change them. Conversions and frees are done outside of it, on blocks that
 * are on no list.
 *
 * The worker holds the mutex @step, and a stop takes that mutex rather than wait for the work.
 * While the worker looks for memory it doesn't hold the mutex: to move what is in a block, the
 * kernel waits for pages that are being read, and a page whose LOAD is lost is read only after the
 * reset that the stop is a part of. The work may thus go on when there are other rings, or none.
 * What it has found by then is on no list and not converted, and goes back to the guest. The work
 * then sends nothing: a RELEASE that it made while the driver forgets what the device had, and sent
 * on the new rings, would be of blocks that count as HELD (I5).
 */
#include <linux/mm.h>
#include <linux/reboot.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "compat.h"
#include "cswap.h"

/* A step of the worker, and what may be held while a RELEASE is on its way. */
#define STEP_PAGES		(32 * CSWAP_BLOCK_PAGES)
/* The device is asked for the target again so long after the last time. */
#define EVENT_INTERVAL		(HZ / 10)
/* What is released is released again, if the device asks, after such a pause: see again_pause(). */
#define AGAIN_INTERVAL		HZ
#define AGAIN_MOST		(60 * HZ)
#define ANSWER_MS		5000
#define LEAST_DELAY		HZ
#define MOST_DELAY		(32 * HZ)
/* The backoff of a third try: the store isn't just busy with the pages of the last one. */
#define BARREN_DELAY		(4 * HZ)

static const char * const stop_names[] = {
	[VIRTIO_CSWAP_STOP_NONE] = "none",
	[VIRTIO_CSWAP_STOP_WORKING] = "working",
	[VIRTIO_CSWAP_STOP_FLOOR] = "floor",
	[VIRTIO_CSWAP_STOP_MEMORY] = "memory",
	[VIRTIO_CSWAP_STOP_PRESSURE] = "pressure",
	[VIRTIO_CSWAP_STOP_OOM] = "oom",
	[VIRTIO_CSWAP_STOP_DEVICE] = "device",
	[VIRTIO_CSWAP_STOP_OWNER] = "owner",
};

static struct cswap_dev *to_dev(struct cswap_balloon *balloon)
{
	return container_of(balloon, struct cswap_dev, balloon);
}

const char *cswap_balloon_stopped(const struct cswap_balloon *balloon)
{
	return stop_names[READ_ONCE(balloon->stopped)];
}

u64 cswap_balloon_pages(const struct cswap_balloon *balloon)
{
	return cswap_blocks_out(&balloon->blocks);
}

static bool is_running(const struct cswap_balloon *balloon)
{
	return READ_ONCE(balloon->running) && !READ_ONCE(balloon->shut_down);
}

/* The step that is under way is over: the balloon was stopped, and maybe started again. */
static bool is_over(const struct cswap_balloon *balloon)
{
	return !is_running(balloon) || READ_ONCE(balloon->stops) != balloon->step_stops;
}

/*
 * A stop waits for the mutex. So nothing that is done under it waits for a request, and no
 * allocation under it reclaims to this disk.
 */
static void step_lock(struct cswap_balloon *balloon)
{
	mutex_lock(&balloon->step);
	balloon->noio = memalloc_noio_save();
}

static void step_unlock(struct cswap_balloon *balloon)
{
	memalloc_noio_restore(balloon->noio);
	mutex_unlock(&balloon->step);
}

void cswap_balloon_look(struct cswap_balloon *balloon)
{
	if (is_running(balloon))
		mod_delayed_work(balloon->wq, &balloon->work, 0);
}

/* --- waiting longer each time --- */

static void backoff_more(struct cswap_backoff *backoff)
{
	backoff->delay = clamp(2 * backoff->delay, (unsigned long)LEAST_DELAY,
			       (unsigned long)MOST_DELAY);
	backoff->until = jiffies + backoff->delay;
}

/* The cause may be gone: try again, and wait still longer if it isn't. */
static void backoff_try(struct cswap_backoff *backoff)
{
	backoff->until = jiffies;
}

static void backoff_end(struct cswap_backoff *backoff)
{
	backoff->delay = 0;
}

/* Jiffies to wait; 0: go on. */
static unsigned long backoff_left(const struct cswap_backoff *backoff)
{
	return backoff->delay && time_before(jiffies, backoff->until) ?
	       backoff->until - jiffies : 0;
}

/* --- blocks --- */

/* Pages that are converted together, and are lost together if that fails. */
static u64 run_pages(const struct cswap_balloon *balloon, u64 most)
{
	return min_t(u64, most, READ_ONCE(balloon->run_pages));
}

static void lose(struct cswap_balloon *balloon, const struct cswap_mem_range *range, int rc)
{
	if (!atomic64_fetch_add(range->pages, &balloon->lost))
		dev_err(&to_dev(balloon)->vdev->dev,
			"memory at 0x%llx could not be converted (%d): it is lost until the next boot (more is counted silently)\n",
			range->pfn << PAGE_SHIFT, rc);
	/* a conversion that failed may fail again: from now on lose only a block by it */
	WRITE_ONCE(balloon->run_pages, CSWAP_BLOCK_PAGES);
}

void cswap_balloon_give_back(struct cswap_balloon *balloon, const struct cswap_mem_range *range)
{
	int rc = cswap_mem_unshare(&balloon->mem, range);

	if (rc) {
		lose(balloon, range, rc);
		return;
	}
	cswap_mem_put(&balloon->mem, range);
	atomic64_add(range->pages, &balloon->returned);
}

bool cswap_balloon_get(struct cswap_balloon *balloon, bool urgent, u64 most,
		       const struct cswap_blocks_wanted *wanted, struct cswap_mem_range *range)
{
	bool got;

	spin_lock(&balloon->lock);
	got = cswap_blocks_get(&balloon->blocks, urgent, run_pages(balloon, most), wanted, range);
	spin_unlock(&balloon->lock);
	return got;
}

static struct cswap_block *spare_get(struct cswap_balloon *balloon)
{
	struct cswap_block *block;

	spin_lock(&balloon->lock);
	block = cswap_blocks_spare(&balloon->blocks);
	spin_unlock(&balloon->lock);
	return block;
}

static void spare_put(struct cswap_balloon *balloon, struct cswap_block *block)
{
	spin_lock(&balloon->lock);
	cswap_blocks_keep(&balloon->blocks, block);
	spin_unlock(&balloon->lock);
}

/* --- what the device is told, and tells --- */

static bool mem_send(struct cswap_balloon *balloon, u16 op, unsigned int nr)
{
	struct cswap_dev *dev = to_dev(balloon);
	struct virtio_cswap_ctrl *request = cswap_control_request(dev, CSWAP_CONTROL_MEM);
	struct virtio_cswap_mem_range *range = (void *)(request + 1);
	unsigned int i;

	if (!nr)
		return false;
	if (op == VIRTIO_CSWAP_CTRL_RELEASE)
		cswap_wire_put_release(request, nr);
	else
		cswap_wire_put_reclaim(request, nr);
	for (i = 0; i < nr; i++)
		cswap_wire_put_mem_range(&range[i], balloon->ranges[i].pfn << PAGE_SHIFT,
					 balloon->ranges[i].pages << PAGE_SHIFT);
	if (!cswap_control_send(dev, CSWAP_CONTROL_MEM, CSWAP_CTRL_BYTES(nr))) {
		balloon->ranges_sent += nr;
		balloon->requests++;
		return true;
	}
	spin_lock(&balloon->lock);
	cswap_blocks_unsent(&balloon->blocks);
	spin_unlock(&balloon->lock);
	return false;
}

static bool release_send(struct cswap_balloon *balloon)
{
	unsigned int nr;

	spin_lock(&balloon->lock);
	nr = cswap_blocks_release(&balloon->blocks, STEP_PAGES, balloon->ranges);
	spin_unlock(&balloon->lock);
	return mem_send(balloon, VIRTIO_CSWAP_CTRL_RELEASE, nr);
}

static bool reclaim_send(struct cswap_balloon *balloon, u64 pages)
{
	unsigned int nr;

	spin_lock(&balloon->lock);
	nr = cswap_blocks_reclaim(&balloon->blocks, pages, balloon->ranges);
	spin_unlock(&balloon->lock);
	return mem_send(balloon, VIRTIO_CSWAP_CTRL_RECLAIM, nr);
}

static void refused(struct cswap_balloon *balloon, enum cswap_batch_op op, bool repeat, u32 status)
{
	balloon->refusals++;
	balloon->again |= repeat;
	backoff_more(op == CSWAP_BATCH_RELEASE ? &balloon->release : &balloon->reclaim);
	dev_warn_ratelimited(&to_dev(balloon)->vdev->dev,
			     "the device refuses to %s memory (%u); it's tried again later\n",
			     op == CSWAP_BATCH_RELEASE ? "take" : "return", status);
}

/*
 * Some memory was released again: the next round begins after three times what this one took so
 * far, so that the OOM rescue finds memory; but the guest may have stood still meanwhile.
 */
static void again_pause(struct cswap_balloon *balloon)
{
	balloon->again_at = jiffies + clamp(3 * (jiffies - balloon->again_began),
					    (unsigned long)AGAIN_INTERVAL,
					    (unsigned long)AGAIN_MOST);
}

static void mem_answer_take(struct cswap_balloon *balloon)
{
	enum cswap_batch_op op;
	const void *response;
	u32 used, status;
	bool repeat;

	response = cswap_control_answer(to_dev(balloon), CSWAP_CONTROL_MEM, &used);
	if (!response)
		return;
	status = cswap_wire_get_ctrl_status(response, used);
	spin_lock(&balloon->lock);
	op = balloon->blocks.op;
	repeat = op == CSWAP_BATCH_RELEASE && balloon->blocks.repeats;
	cswap_blocks_answered(&balloon->blocks, status == VIRTIO_CSWAP_S_OK);
	spin_unlock(&balloon->lock);
	if (repeat)
		again_pause(balloon);
	if (status != VIRTIO_CSWAP_S_OK)
		refused(balloon, op, repeat, status);
	else
		backoff_end(op == CSWAP_BATCH_RELEASE ? &balloon->release : &balloon->reclaim);
}

static void target_set(struct cswap_balloon *balloon, u64 target)
{
	if (target != balloon->target) {
		backoff_try(&balloon->release);
		backoff_try(&balloon->reclaim);
	}
	WRITE_ONCE(balloon->target, target);
	balloon->heard = true;
}

static void event_take(struct cswap_balloon *balloon)
{
	struct cswap_dev *dev = to_dev(balloon);
	struct cswap_news news;
	const void *response;
	u32 used;

	response = cswap_control_answer(dev, CSWAP_CONTROL_EVENT, &used);
	if (!response)
		return;
	if (cswap_wire_get_event(response, used, dev->vdev->features, &news) ==
	    VIRTIO_CSWAP_S_OK) {
		target_set(balloon, news.target);
		balloon->again |= news.again;
		balloon->events++;
		return;
	}
	balloon->event_errors++;
	balloon->event_at = jiffies + HZ;
	dev_warn_ratelimited(&dev->vdev->dev, "ignored a malformed event from the device\n");
}

/*
 * The device has asked for all to be released again: begin with that, one round at a time, however
 * often the device asks, and after a pause. Returns jiffies until a round is due.
 */
static unsigned long release_again(struct cswap_balloon *balloon)
{
	unsigned long now = jiffies;
	bool begun;

	if (!balloon->again)
		return MAX_JIFFY_OFFSET;
	if (time_before(now, balloon->again_at))
		return balloon->again_at - now;
	spin_lock(&balloon->lock);
	begun = cswap_blocks_again(&balloon->blocks);
	spin_unlock(&balloon->lock);
	/* if not, an answer brings the worker here again */
	if (begun) {
		balloon->again = false;
		balloon->again_began = now;
	}
	return MAX_JIFFY_OFFSET;
}

/* Ask for the next target. Returns jiffies until that is due. */
static unsigned long event_ask(struct cswap_balloon *balloon)
{
	struct cswap_dev *dev = to_dev(balloon);

	if (!cswap_control_is_idle(dev, CSWAP_CONTROL_EVENT))
		return MAX_JIFFY_OFFSET;
	if (time_before(jiffies, balloon->event_at))
		return balloon->event_at - jiffies;
	cswap_wire_put_event(cswap_control_request(dev, CSWAP_CONTROL_EVENT));
	if (cswap_control_send(dev, CSWAP_CONTROL_EVENT, sizeof(struct virtio_cswap_ctrl)))
		return HZ;
	balloon->event_at = jiffies + EVENT_INTERVAL;
	return MAX_JIFFY_OFFSET;
}

/* --- decisions --- */

static u64 target_pages(struct cswap_balloon *balloon)
{
	if (cswap_control_is_broken(to_dev(balloon)))
		return 0;
	/* a device that was reset says nothing if it wants nothing: give it a moment */
	if (!balloon->heard && time_before(jiffies, balloon->started + HZ))
		return cswap_balloon_pages(balloon);
	return balloon->heard ? balloon->target >> PAGE_SHIFT : 0;
}

/*
 * Time that tasks waited for pages, as a share of all CPUs' time: loads that are
 * read ahead overlap, by eight pages as the swap core does it.
 */
static u64 waited_ns(struct cswap_dev *dev)
{
	u64 ns = cswap_stats_sum(dev, offsetof(struct cswap_stats, load_ns));

	return ns / num_online_cpus() / 8;
}

static struct cswap_policy_verdict decide(struct cswap_balloon *balloon)
{
	struct cswap_mem *mem = &balloon->mem;
	struct cswap_policy_limits limits = {
		.enabled = READ_ONCE(cswap_balloon_enabled),
		.floor_percent = READ_ONCE(cswap_floor.percent),
		.floor_mib = READ_ONCE(cswap_floor.mib),
		.brake_percent = READ_ONCE(cswap_brake_percent),
	};
	struct cswap_policy_sample sample = {
		.now_ms = ktime_to_ms(ktime_get_boottime()),
		.out = cswap_balloon_pages(balloon),
		.target = target_pages(balloon),
		.swap_in_ns = waited_ns(to_dev(balloon)),
		.ooms = atomic64_read(&balloon->ooms),
		.own_reclaim = mem->reclaimed,
	};
	struct cswap_policy_verdict verdict;

	cswap_mem_count(&balloon->counts);
	sample.size = totalram_pages() + sample.out;
	sample.refaults = balloon->counts.refaults;
	sample.alloc_stalls = balloon->counts.alloc_stalls;
	mem->reclaimed = false;
	verdict = cswap_policy_step(&balloon->policy, &limits, &sample);
	WRITE_ONCE(balloon->floor, verdict.floor);
	/* while the device refuses RELEASEs, held blocks are of no use to it */
	if (backoff_left(&balloon->release))
		verdict.goal = min(verdict.goal, sample.out -
				   READ_ONCE(balloon->blocks.pages[CSWAP_BLOCK_HELD]));
	return verdict;
}

/* Why the balloon isn't larger: the policy's reason, or another obstacle. */
static void say_why(struct cswap_balloon *balloon, const struct cswap_policy_verdict *verdict)
{
	u32 why = verdict->why;

	if (cswap_control_is_broken(to_dev(balloon)) ||
	    cswap_control_overdue(to_dev(balloon), CSWAP_CONTROL_MEM, ANSWER_MS) ||
	    (why != VIRTIO_CSWAP_STOP_NONE &&
	     (backoff_left(&balloon->release) || backoff_left(&balloon->reclaim))))
		why = VIRTIO_CSWAP_STOP_DEVICE;
	else if (why == VIRTIO_CSWAP_STOP_WORKING && balloon->memory.delay >= BARREN_DELAY &&
		 verdict->goal > cswap_balloon_pages(balloon))
		why = VIRTIO_CSWAP_STOP_MEMORY;
	WRITE_ONCE(balloon->stopped, why);
}

/* --- steps: each returns jiffies until the next is due --- */

/* Something has happened that the worker must look at first. */
static bool is_interrupted(void *arg)
{
	struct cswap_balloon *balloon = arg;
	const struct cswap_control_request *event =
		&to_dev(balloon)->control.request[CSWAP_CONTROL_EVENT];

	return is_over(balloon) ||
	       READ_ONCE(event->state) == CSWAP_REQUEST_ANSWERED ||
	       atomic64_read(&balloon->ooms) != balloon->step_ooms;
}

/* The driver can't ask; or the guest itself wants memory back, and the device doesn't answer. */
static bool is_left_alone(struct cswap_balloon *balloon, u32 why)
{
	if (cswap_control_is_broken(to_dev(balloon)))
		return true;
	return (why == VIRTIO_CSWAP_STOP_PRESSURE || why == VIRTIO_CSWAP_STOP_OOM ||
		why == VIRTIO_CSWAP_STOP_OWNER) &&
	       cswap_control_overdue(to_dev(balloon), CSWAP_CONTROL_MEM, ANSWER_MS);
}

static unsigned long shrink(struct cswap_balloon *balloon, u64 goal, u32 why)
{
	bool urgent = is_left_alone(balloon, why);
	struct cswap_mem_range range;
	u64 out, done = 0;

	while ((out = cswap_balloon_pages(balloon)) > goal && done < STEP_PAGES &&
	       is_running(balloon) &&
	       cswap_balloon_get(balloon, urgent, out - goal, NULL, &range)) {
		cswap_balloon_give_back(balloon, &range);
		done += range.pages;
		cond_resched();
	}
	/* others take blocks back as well, and may have brought it to the goal or below */
	if (done || out <= goal)
		return 0;
	if (!backoff_left(&balloon->reclaim))
		reclaim_send(balloon, min(out - goal, (u64)STEP_PAGES));
	else if (!backoff_left(&balloon->release))
		/* nothing is held: what is to be released again may be what the device lacks */
		release_send(balloon);
	return backoff_left(&balloon->reclaim) ?: HZ;
}

static void structs_put(struct cswap_balloon *balloon, struct cswap_block *structs)
{
	struct cswap_block *next;

	for (; structs; structs = next) {
		next = structs->next;
		spare_put(balloon, structs);
	}
}

/* Structs for @nr blocks, or NULL. */
static struct cswap_block *structs_get(struct cswap_balloon *balloon, unsigned int nr)
{
	struct cswap_block *block, *structs = NULL;

	while (nr--) {
		block = spare_get(balloon);
		if (!block)
			block = kmalloc(sizeof(*block), GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
		if (!block)
			break;
		block->next = structs;
		structs = block;
		if (!nr)
			return structs;
	}
	structs_put(balloon, structs);
	return NULL;
}

/* The range is the balloon's, block by block, in this order on their list. */
static void range_add(struct cswap_balloon *balloon, const struct cswap_mem_range *range,
		      struct cswap_block **structs)
{
	u64 left = range->pages, pages = min_t(u64, left, CSWAP_BLOCK_PAGES);
	struct cswap_block *block;

	spin_lock(&balloon->lock);
	for (; left; left -= pages) {
		block = *structs;
		*structs = block->next;
		cswap_blocks_add(&balloon->blocks, block, range->pfn + left - pages, pages);
	}
	spin_unlock(&balloon->lock);
	atomic64_add(range->pages, &balloon->taken);
}

/* Find memory in @fresh for up to @pages, and structs for it, without the mutex: see above. */
static int fresh_find(struct cswap_balloon *balloon, u64 pages, struct cswap_block **structs)
{
	struct cswap_mem *mem = &balloon->mem;
	int i, nr = -ENOMEM;

	step_unlock(balloon);
	*structs = structs_get(balloon, pages / CSWAP_BLOCK_PAGES);
	if (*structs)
		nr = cswap_mem_take(mem, pages, balloon->single, is_interrupted, balloon,
				    balloon->fresh);
	step_lock(balloon);
	if (!is_over(balloon))
		return nr;
	for (i = 0; i < nr; i++)
		cswap_mem_put(mem, &balloon->fresh[i]);
	return -EAGAIN;
}

/* Some more blocks of the guest's become the balloon's: up to @pages. */
static int blocks_take(struct cswap_balloon *balloon, u64 pages)
{
	struct cswap_mem_range *fresh = balloon->fresh;
	struct cswap_block *structs;
	int i, nr, rc, failed = 0;

	nr = fresh_find(balloon, pages, &structs);
	for (i = 0; i < nr; i++) {
		/* each is marked by now, and must become the balloon's, or lost */
		rc = cswap_mem_share(&balloon->mem, &fresh[i]);
		if (rc)
			lose(balloon, &fresh[i], rc);
		else
			range_add(balloon, &fresh[i], &structs);
		failed = rc ? -EIO : failed;
	}
	structs_put(balloon, structs);
	return nr < 0 ? nr : failed;
}

static unsigned long grow(struct cswap_balloon *balloon, u64 goal)
{
	u64 out = cswap_balloon_pages(balloon);
	u64 until = min(goal, out + STEP_PAGES);
	u64 started = ktime_get_ns();
	int rc = 0;

	if (backoff_left(&balloon->memory))
		return backoff_left(&balloon->memory);
	/* no more than a step ahead of the device */
	if (READ_ONCE(balloon->blocks.pages[CSWAP_BLOCK_HELD]) >= STEP_PAGES)
		return HZ;
	while (!rc && !is_interrupted(balloon)) {
		u64 now = cswap_balloon_pages(balloon);

		if (now + CSWAP_BLOCK_PAGES > until)
			break;
		rc = blocks_take(balloon, run_pages(balloon, until - now));
		cond_resched();
	}
	if (is_over(balloon))
		return 0;
	release_send(balloon);
	if (cswap_balloon_pages(balloon) > out)
		backoff_end(&balloon->memory);
	if (rc == -ENOMEM || rc == -EIO)
		backoff_more(&balloon->memory);
	/* others make room: look often, which costs little */
	if (rc == -ENOMEM && !READ_ONCE(cswap_reclaim_enabled))
		balloon->memory.until = jiffies + LEAST_DELAY;
	/* a search that found nothing isn't repeated before others had as much time */
	return rc == -EAGAIN ? nsecs_to_jiffies(ktime_get_ns() - started) : 0;
}

static unsigned long step(struct cswap_balloon *balloon,
			  const struct cswap_policy_verdict *verdict)
{
	u64 goal = verdict->goal, out = cswap_balloon_pages(balloon);

	if (READ_ONCE(balloon->blocks.owed))
		reclaim_send(balloon, 0);
	if (out > goal)
		return shrink(balloon, goal, verdict->why);
	if (!backoff_left(&balloon->release))
		release_send(balloon);
	if (out + CSWAP_BLOCK_PAGES <= goal)
		return grow(balloon, goal);
	/* brakes are for a balloon that exists, or is wanted */
	return out || balloon->target ? HZ : MAX_JIFFY_OFFSET;
}

/* Structs of blocks that are no more; some are kept for the next. */
static void spares_free(struct cswap_balloon *balloon)
{
	struct cswap_block *block;
	unsigned int i;

	for (i = 0; i < CSWAP_BATCH_BLOCKS; i++) {
		block = spare_get(balloon);
		if (!block)
			break;
		kfree(block);
	}
}

/* Look at everything, and do what there is to do. Returns jiffies until the next time. */
static unsigned long step_make(struct cswap_balloon *balloon)
{
	struct cswap_policy_verdict verdict;
	unsigned long delay, again;

	balloon->steps++;
	balloon->step_stops = balloon->stops;
	balloon->step_ooms = atomic64_read(&balloon->ooms);
	event_take(balloon);
	mem_answer_take(balloon);
	again = release_again(balloon);
	verdict = decide(balloon);
	say_why(balloon, &verdict);
	delay = step(balloon, &verdict);
	if (delay)
		spares_free(balloon);
	say_why(balloon, &verdict);
	return is_over(balloon) ? MAX_JIFFY_OFFSET : min3(delay, again, event_ask(balloon));
}

static void balloon_work(struct work_struct *work)
{
	struct cswap_balloon *balloon = container_of(to_delayed_work(work),
						     struct cswap_balloon, work);
	unsigned long delay = MAX_JIFFY_OFFSET;

	step_lock(balloon);
	if (is_running(balloon))
		delay = step_make(balloon);
	/* if the balloon was started meanwhile, the work is queued already */
	if (is_running(balloon) && delay != MAX_JIFFY_OFFSET)
		queue_delayed_work(balloon->wq, &balloon->work, delay);
	step_unlock(balloon);
}

/* --- life cycle --- */

static void answered(struct cswap_dev *dev)
{
	mod_delayed_work(dev->balloon.wq, &dev->balloon.work, 0);
}

void cswap_balloon_start(struct cswap_dev *dev)
{
	struct cswap_balloon *balloon = &dev->balloon;

	if (!balloon->supported)
		return;
	/* the work of an earlier start may still be looking for memory */
	step_lock(balloon);
	balloon->heard = false;
	balloon->again = false;
	balloon->started = jiffies;
	balloon->event_at = jiffies;
	WRITE_ONCE(balloon->running, true);
	queue_delayed_work(balloon->wq, &balloon->work, 0);
	step_unlock(balloon);
}

/* From here on the work uses no ring, and converts nothing; it may not have ended. */
static void step_end(struct cswap_balloon *balloon)
{
	step_lock(balloon);
	WRITE_ONCE(balloon->stops, balloon->stops + 1);
	step_unlock(balloon);
	cancel_delayed_work(&balloon->work);
}

void cswap_balloon_stop(struct cswap_dev *dev)
{
	struct cswap_balloon *balloon = &dev->balloon;

	if (!balloon->supported)
		return;
	WRITE_ONCE(balloon->running, false);
	step_end(balloon);
}

void cswap_balloon_forget(struct cswap_dev *dev)
{
	spin_lock(&dev->balloon.lock);
	cswap_blocks_reset(&dev->balloon.blocks);
	spin_unlock(&dev->balloon.lock);
}

/* Before devices are shut down, and before kexec, which finds memory as it is. */
static int reboot_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct cswap_balloon *balloon = container_of(nb, struct cswap_balloon, reboot_notifier);

	WRITE_ONCE(balloon->shut_down, true);
	step_end(balloon);
	return NOTIFY_OK;
}

const char *cswap_balloon_unusable(u32 block_size, u8 release_method)
{
	if (block_size > CSWAP_BLOCK_PAGES * PAGE_SIZE &&
	    block_size <= VIRTIO_CSWAP_MAX_BLOCK_SIZE)
		return "the device's blocks are larger than 2 MiB (cswapd --block-size)";
	if (release_method == VIRTIO_CSWAP_RELEASE_CONVERT && !cswap_guest_is_confidential())
		return "the host uses --release convert; a plain guest needs --release punch";
	return NULL;
}

void cswap_balloon_prepare(struct cswap_dev *dev)
{
	struct cswap_balloon *balloon = &dev->balloon;

	spin_lock_init(&balloon->lock);
	mutex_init(&balloon->step);
	INIT_DELAYED_WORK(&balloon->work, balloon_work);
	cswap_rescue_prepare(balloon);
}

int cswap_balloon_init(struct cswap_dev *dev)
{
	struct cswap_balloon *balloon = &dev->balloon;

	dev->control.request[CSWAP_CONTROL_MEM].answered = answered;
	dev->control.request[CSWAP_CONTROL_EVENT].answered = answered;
	if (!virtio_has_feature(dev->vdev, VIRTIO_CSWAP_F_BALLOON))
		return 0;
	balloon->single = cswap_single_pages && dev->geometry.block_size <= PAGE_SIZE;
	if (cswap_mem_init(&balloon->mem))
		return -ENOMEM;
	cswap_policy_init(&balloon->policy);
	balloon->run_pages = CSWAP_TAKE_PAGES;
	balloon->wq = alloc_workqueue("cswap_balloon",
				      WQ_UNBOUND | WQ_FREEZABLE | WQ_MEM_RECLAIM, 1);
	if (!balloon->wq)
		return -ENOMEM;
	balloon->supported = true;
	balloon->reboot_notifier.notifier_call = reboot_notify;
	return register_reboot_notifier(&balloon->reboot_notifier) ?: cswap_rescue_init(dev);
}

/*
 * The rings are deleted, and all is forgotten: everything goes back to the guest. All LOADs have
 * ended by now, so the work ends by itself.
 */
void cswap_balloon_exit(struct cswap_dev *dev)
{
	struct cswap_balloon *balloon = &dev->balloon;
	struct cswap_mem_range range;
	struct cswap_block *block;

	cswap_rescue_exit(dev);
	if (balloon->supported)
		unregister_reboot_notifier(&balloon->reboot_notifier);
	cancel_delayed_work_sync(&balloon->work);
	while (cswap_balloon_get(balloon, false, ~0ULL, NULL, &range)) {
		cswap_balloon_give_back(balloon, &range);
		cond_resched();
	}
	while ((block = spare_get(balloon)))
		kfree(block);
	if (balloon->wq)
		destroy_workqueue(balloon->wq);
	cswap_mem_exit(&balloon->mem);
	balloon->wq = NULL;
	balloon->supported = false;
}
