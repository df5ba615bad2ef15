// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_blk.c - the disk: pages in and out.
 *
 * Theory of operation
 *
 * Store: take a copy of the pool, seal the page into private memory, copy it
 * to the pool, publish it. That completes the write: from here on the slot
 * reads from the copy, and the copy goes to the device when it can. If there's
 * no copy to be had the store waits for one, holding nothing, but not longer
 * than the stall clock allows; then it fails and the swap core keeps the page.
 *
 * The device is notified of the pages of a bio in batches. Since 7.3 reclaim submits all pages of a
 * pass, and then moves those that are still under writeback to the end of the LRU. A page whose bio
 * has ended inside submit_bio misses that, stays where it is, and another page is written in its
 * place. So there a worker ends the bio, on the same CPU, as an interrupt would. Before 7.3 reclaim
 * looks right after submit_bio whether the page is clean: there the bio ends at once.
 *
 * Load: from the pool, or by a LOAD whose answer lands, sealed, in the page
 * that was asked for, where it is opened. A page that doesn't open was torn,
 * tampered with, or changed while it was looked at: it's fetched again, with
 * the slot looked up anew, and given up after CSWAP_OPEN_TRIES. The same goes
 * for one that the device can't read. A load is its reader's until the page is
 * open or given up: it's sent again as it is, and its next answer comes the same
 * way as the first.
 *
 * A worker opens what arrives, and ends the bio after its last page. So the swap core reads
 * ahead, its tasks wait for pages as they do for any disk's (and can be killed meanwhile), and
 * the device has all pages of a bio, or of a plug, to do at once.
 *
 * All of submit_bio runs without permission to start I/O for memory, and
 * allocates nothing: it runs in reclaim, and a swap-out that it caused would
 * be queued behind itself.
 */
#include <linux/bio.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "cswap.h"
#include "cswap_trace.h"

/*
 * Half of what reclaim writes at a time: the device works on this half while the guest seals the
 * other.
 */
#define BATCH_PAGES		16

/*
 * wait_event() and wait_event_timeout(), but each wake-up wakes one waiter. The wake-up may reach a
 * waiter that already has what it wants, or has given up: so every waiter passes it on when it has
 * waited.
 */
#define wait_event_one(wq, condition)						\
do {										\
	might_sleep();								\
	if (!(condition))							\
		(void)___wait_event(wq, condition, TASK_UNINTERRUPTIBLE, 1, 0, schedule()); \
} while (0)

#define wait_event_one_timeout(wq, condition, timeout)				\
({										\
	long __ret = timeout;							\
	might_sleep();								\
	if (!___wait_cond_timeout(condition))					\
		__ret = ___wait_event(wq, ___wait_cond_timeout(condition),	\
				      TASK_UNINTERRUPTIBLE, 1, timeout,		\
				      __ret = schedule_timeout(__ret));		\
	__ret;									\
})

static unsigned long stall_jiffies(const struct cswap_dev *dev)
{
	return msecs_to_jiffies(cswap_stall_ms_of(dev));
}

/* --- batches --- */

/*
 * Pages that the device hasn't been told of. It is told of several at once: a
 * notification costs an exit, and neighbours that arrive together are written
 * or read together. A bio has many pages, or its submitter says by a plug that
 * there are more bios to come; the plug ends when he has submitted them, or
 * sleeps.
 */
struct batch {
	struct cswap_queue *queue;
	unsigned int pages;
};

static void batch_send(struct batch *batch)
{
	unsigned long flags;

	if (!batch->pages)
		return;
	batch->pages = 0;
	spin_lock_irqsave(&batch->queue->lock, flags);
	cswap_queue_unlock_and_send(batch->queue, flags);
}

/* The next page goes to @queue: first send what waits for another pair. */
static void batch_turn(struct batch *batch, struct cswap_queue *queue)
{
	if (batch->queue != queue)
		batch_send(batch);
	batch->queue = queue;
}

static void batch_add(struct batch *batch)
{
	if (++batch->pages < BATCH_PAGES)
		return;
	batch_send(batch);
	/* a bio may have hundreds of pages */
	cond_resched();
}

/* Called by the task that ends its plug, perhaps because it is about to sleep. */
static void batch_unplug(struct blk_plug_cb *unplug, bool from_schedule)
{
	struct cswap_queue *queue = container_of(unplug, struct cswap_queue, unplug);
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	cswap_queue_unlock_and_send(queue, flags);
	/* the last access: the queue may be freed when the lock is free */
	spin_lock_irqsave(&queue->lock, flags);
	queue->plug = NULL;
	cswap_queue_wake_store(queue);	/* and a task in cswap_wait_unplugged() */
	spin_unlock_irqrestore(&queue->lock, flags);
}

/* True if @pages more may wait for the end of @plug. Under the lock. */
static bool batch_plugged(struct cswap_queue *queue, unsigned int pages,
			  struct blk_plug *plug)
{
	queue->untold += pages;
	if (!plug || queue->state != CSWAP_RUNNING || queue->untold >= BATCH_PAGES)
		return false;
	if (queue->plug)
		return queue->plug == plug;
	queue->plug = plug;
	queue->unplug.callback = batch_unplug;
	list_add(&queue->unplug.list, &plug->cb_list);
	return true;
}

/* The bio ends. */
static void batch_end(struct batch *batch)
{
	struct cswap_queue *queue = batch->queue;
	unsigned long flags;

	if (!batch->pages)
		return;
	spin_lock_irqsave(&queue->lock, flags);
	if (batch_plugged(queue, batch->pages, current->plug))
		spin_unlock_irqrestore(&queue->lock, flags);
	else
		cswap_queue_unlock_and_send(queue, flags);
}

void cswap_wait_unplugged(struct cswap_queue *queue)
{
	spin_lock_irq(&queue->lock);
	wait_event_lock_irq(queue->store_wait, !queue->plug, queue->lock);
	spin_unlock_irq(&queue->lock);
}

/* --- store --- */

/* What a store holds while it seals. */
struct store_hold {
	u32 copy;
	bool probe;			/* see probe_due() */
};

/*
 * Requests in flight on a stalled pair may be lost, and then nothing would ever
 * move the pair again: now and then one store is sent as a probe. The probe's bio
 * fails, too: if it succeeded, reclaim would count progress and never invoke the
 * OOM killer.
 */
static bool probe_due(const struct cswap_queue *queue)
{
	return time_after(jiffies, queue->probed + stall_jiffies(queue->dev));
}

/*
 * After a notice that the guest was cloned there's no key for a moment. If stores failed at once,
 * reclaim would give up, and the OOM killer would kill, in that moment. Waits with nothing held,
 * once for a bio.
 */
static void store_await_key(struct cswap_dev *dev)
{
	cswap_seal_await(&dev->seal, stall_jiffies(dev));
}

/* True when the wait is over: with a copy, or with an error. */
static bool store_try(struct cswap_queue *queue, u64 slot, struct store_hold *hold,
		      blk_status_t *status)
{
	bool stalled, over = true;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	*status = BLK_STS_IOERR;
	/* the rings may hold unread answers, which no task waits for */
	if (cswap_queue_stalled(queue) || queue->shard.free.first == CSWAP_NONE)
		cswap_queue_read(queue);
	stalled = cswap_queue_stalled(queue);
	if (cswap_queue_is_lost(queue) || cswap_store_refused(&queue->shard, slot) ||
	    (stalled && !probe_due(queue)))
		goto out;
	hold->copy = cswap_store_begin(&queue->shard, jiffies);
	over = hold->copy != CSWAP_NONE;
	if (over) {
		*status = BLK_STS_OK;
		hold->probe = stalled;
		if (stalled)
			queue->probed = jiffies;
	} else {
		over = stalled;
	}
out:
	if (*status)
		/* about to sleep or to fail: don't hold pages back for the next store */
		cswap_queue_unlock_and_send(queue, flags);
	else
		spin_unlock_irqrestore(&queue->lock, flags);
	return over;
}

static blk_status_t store_await(struct cswap_queue *queue, u64 slot, struct store_hold *hold)
{
	unsigned int jumps = READ_ONCE(queue->dev->jumps);
	blk_status_t status;
	unsigned long flags;
	long left;

	do {
		left = wait_event_one_timeout(queue->store_wait,
					      store_try(queue, slot, hold, &status),
					      stall_jiffies(queue->dev));
	} while (!left && cswap_clock_jumped(queue->dev, &jumps));
	if (!left)
		status = BLK_STS_IOERR;
	spin_lock_irqsave(&queue->lock, flags);
	if (queue->shard.free.count)
		cswap_queue_wake_store(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
	return status;
}

/* Under the lock. */
static void store_refused(struct cswap_queue *queue, u64 slot)
{
	queue->stats.store_refusals++;
	trace_cswap_stall(queue->dev->number, queue->index, slot, queue->shard.free.count);
}

static blk_status_t store_take(struct cswap_queue *queue, u64 slot, struct store_hold *hold)
{
	blk_status_t status;
	unsigned long flags;

	if (!store_try(queue, slot, hold, &status))
		status = store_await(queue, slot, hold);
	if (!status)
		return status;
	spin_lock_irqsave(&queue->lock, flags);
	store_refused(queue, slot);
	spin_unlock_irqrestore(&queue->lock, flags);
	return status;
}

static void store_give_up(struct cswap_queue *queue, u64 slot, struct store_hold *hold)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	cswap_store_cancel(&queue->shard, hold->copy);
	cswap_queue_wake_store(queue);
	store_refused(queue, slot);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/* Seal the page into the copy, and publish that. */
static int store_seal(struct cswap_queue *queue, u64 slot, struct page *page,
		      unsigned int offset, const struct store_hold *hold)
{
	struct cswap_seal *seal = &queue->dev->seal;
	struct cswap_cipher *cipher = cswap_cipher_get(seal);
	unsigned long flags;
	int srcu, rc = -EIO;
	s64 counter;
	u32 free;

	counter = cswap_seal_begin(seal, &srcu);
	if (counter < 0 || cswap_seal_page(seal, cipher, counter, slot, page, offset))
		goto out;
	memcpy(queue->copy_io[hold->copy].data.va, cipher->page, VIRTIO_CSWAP_SLOT_SIZE);
	rc = 0;

	spin_lock_irqsave(&queue->lock, flags);
	free = queue->shard.free.count;
	cswap_store_publish(&queue->shard, hold->copy, slot, counter, cipher->tag);
	/* an older copy of the slot, which won't be sent any more */
	if (queue->shard.free.count > free)
		cswap_queue_wake_store(queue);
	if (hold->probe)
		store_refused(queue, slot);
	else
		queue->stats.stores++;
	spin_unlock_irqrestore(&queue->lock, flags);
out:
	cswap_seal_end(seal, srcu);
	cswap_cipher_put(cipher);
	return rc;
}

static blk_status_t store_page(struct cswap_dev *dev, u64 slot, struct page *page,
			       unsigned int offset, struct batch *batch)
{
	struct cswap_queue *queue = cswap_queue_of(dev, slot);
	struct store_hold hold;
	blk_status_t status;

	batch_turn(batch, queue);
	status = store_take(queue, slot, &hold);
	if (status)
		return status;
	if (store_seal(queue, slot, page, offset, &hold)) {
		store_give_up(queue, slot, &hold);
		return BLK_STS_IOERR;
	}
	batch_add(batch);
	return hold.probe ? BLK_STS_IOERR : BLK_STS_OK;
}

/* --- load --- */

/* Where a page is wanted. */
struct load_to {
	u64 slot;
	struct page *page;
	unsigned int offset;
	struct bio *bio;		/* the page is a part of; ended then */
	unsigned int tries;		/* that have failed */
	u32 since;			/* seconds of the tick's: the bio came then */
	ktime_t asked, started;		/* the page was wanted; this try for it began */
	unsigned long begun;		/* for the disk's statistics */
};

/* A load that has been begun, in the way that @how says. */
struct load_hold {
	enum cswap_load_how how;
	u32 index;			/* of the copy or the load */
	bool over;			/* it's no use to wait any more */
};

/* Begin a load, if it can be; CSWAP_LOAD_WAIT if not. Under the lock. */
static void load_look(struct cswap_queue *queue, const struct load_to *to,
		      struct load_hold *hold)
{
	hold->how = CSWAP_LOAD_WAIT;
	if (queue->state == CSWAP_DEAD)
		return;
	hold->how = cswap_load_begin(&queue->shard, to->slot, &hold->index);
	if (hold->how == CSWAP_LOAD_DEVICE && cswap_queue_is_lost(queue)) {
		cswap_load_end(&queue->shard, hold->index);
		hold->how = CSWAP_LOAD_WAIT;
	}
}

/* A load has been begun: note where its page goes. The load is sent when the lock is dropped. */
static void load_fill(struct cswap_queue *queue, const struct load_to *to, u32 l)
{
	struct cswap_load_io *io = &queue->load_io[l];

	io->page = to->page;
	io->wanted = to->page;
	io->offset = to->offset;
	io->bio = to->bio;
	io->tries = to->tries;
	io->begun = to->begun;
	io->status = BLK_STS_OK;
	io->handed_over = false;
	io->asked = to->asked;
	io->started = to->started;
	io->since = to->since;
	io->sent = CSWAP_NONE;
	/* its clock runs, and whether there are rings or not */
	cswap_tick_soon(queue->dev);
}

static bool load_waits(const struct load_hold *hold)
{
	return hold->how == CSWAP_LOAD_BUSY || hold->how == CSWAP_LOAD_WAIT;
}

/* True when the wait is over: with a load, or without. */
static bool load_try(struct cswap_queue *queue, const struct load_to *to, struct load_hold *hold)
{
	bool over = cswap_load_overdue(queue->dev, to->since);
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	load_look(queue, to, hold);
	/* what it waits for may be on the rings, unread */
	if (load_waits(hold) && over && cswap_queue_read(queue))
		load_look(queue, to, hold);
	/* no answer will come, and a load that waits for its slot gets no turn */
	over |= cswap_queue_is_lost(queue);
	if (hold->how == CSWAP_LOAD_DEVICE)
		load_fill(queue, to, hold->index);
	if (load_waits(hold))
		/* about to sleep: send first what other tasks may wait for */
		cswap_queue_unlock_and_send(queue, flags);
	else
		spin_unlock_irqrestore(&queue->lock, flags);	/* the batch is sent */
	hold->over = over || !load_waits(hold);
	return hold->over;
}

/* Wait for a free load (one waiter is woken), or for the slot's turn (all waiters are woken). */
static void load_await(struct cswap_queue *queue, const struct load_to *to, struct load_hold *hold)
{
	unsigned long flags;

	while (!hold->over) {
		if (hold->how == CSWAP_LOAD_BUSY) {
			wait_event(queue->slot_wait,
				   load_try(queue, to, hold) ||
				   hold->how == CSWAP_LOAD_WAIT);
			continue;
		}
		wait_event_one(queue->load_wait,
			       load_try(queue, to, hold) ||
			       hold->how == CSWAP_LOAD_BUSY);
		spin_lock_irqsave(&queue->lock, flags);
		cswap_queue_wake_load(queue);
		spin_unlock_irqrestore(&queue->lock, flags);
	}
}

/* No load could be begun for as long as a reader may wait, or none ever will be. */
static void load_lost(struct cswap_queue *queue, const struct load_to *to)
{
	unsigned long flags;
	bool known;

	spin_lock_irqsave(&queue->lock, flags);
	queue->stats.load_timeouts++;
	cswap_observe_wait(queue, to->asked);
	known = cswap_queue_is_lost(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
	if (!known)
		dev_err_ratelimited(&queue->dev->vdev->dev,
				    "slot %llu: all requests for pages wait for the device; the page is given up\n",
				    to->slot);
}

static bool load_begin(struct cswap_queue *queue, const struct load_to *to,
		       struct load_hold *hold)
{
	if (!load_try(queue, to, hold))
		load_await(queue, to, hold);
	if (load_waits(hold))
		load_lost(queue, to);
	return !load_waits(hold);
}

/*
 * The slot is empty: nothing was stored there, or it was freed. Readers through the page cache
 * (blkid, mkswap) get zeros. A swap-in gets an error, because zeros would be wrong data without
 * one. A read with O_DIRECT can't be told from a swap-in.
 */
static blk_status_t load_nothing(struct cswap_dev *dev, const struct load_to *to)
{
	struct folio *folio = page_folio(to->page);

	if (!folio_test_anon(folio) && !folio_test_swapcache(folio) &&
	    folio->mapping) {
		memzero_page(to->page, to->offset, VIRTIO_CSWAP_SLOT_SIZE);
		return BLK_STS_OK;
	}
	if (!xchg(&dev->nothing_warned, true))
		dev_warn(&dev->vdev->dev,
			 "slot %llu was read, but nothing is stored there; the read fails (further ones fail silently)\n",
			 to->slot);
	return BLK_STS_IOERR;
}

/* Open what lies in the page. */
static int load_open(struct cswap_queue *queue, const struct load_to *to,
		     u64 counter, const u8 *tag)
{
	struct cswap_cipher *cipher = cswap_cipher_get(&queue->dev->seal);
	int rc = cswap_open_page(&queue->dev->seal, cipher, counter, to->slot, tag,
				 to->page, to->offset);

	cswap_cipher_put(cipher);
	return rc;
}

static int load_from_copy(struct cswap_queue *queue, const struct load_to *to, u32 c)
{
	/* tag and page don't change while we hold the copy */
	const struct cswap_copy *copy = &queue->shard.copies[c];
	unsigned long flags;
	int rc;

	memcpy_to_page(to->page, to->offset, queue->copy_io[c].data.va,
		       VIRTIO_CSWAP_SLOT_SIZE);
	rc = load_open(queue, to, copy->counter, copy->tag);
	spin_lock_irqsave(&queue->lock, flags);
	queue->stats.pool_loads += !rc;
	cswap_copy_put(&queue->shard, c);
	cswap_queue_wake_store(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
	return rc;
}

/*
 * The device has failed a LOAD of several pages, which says nothing about this page: ask for it
 * alone.
 */
static bool load_is_blameless(const struct cswap_load_io *io, blk_status_t status)
{
	return status && io->grouped;
}

/* Ask again, by the same load. CSWAP_LOAD_WAIT: nothing will be answered any more. */
static enum cswap_load_how load_again(struct cswap_queue *queue, const struct load_to *to,
				      struct cswap_load_io *io, u32 *copy)
{
	enum cswap_load_how how = CSWAP_LOAD_WAIT;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	queue->stats.retries += io->tries > 0;
	if (cswap_queue_is_lost(queue))
		queue->stats.load_timeouts++;
	else
		how = cswap_load_again(&queue->shard, io - queue->load_io, copy);
	if (how == CSWAP_LOAD_DEVICE) {
		load_fill(queue, to, io - queue->load_io);
		cswap_queue_unlock_and_send(queue, flags);
	} else {
		spin_unlock_irqrestore(&queue->lock, flags);
	}
	return how;
}

static void load_retried(struct cswap_queue *queue)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	queue->stats.retries++;
	spin_unlock_irqrestore(&queue->lock, flags);
}

/* @opened: whether the page that the load brought has opened. */
static void load_let_go(struct cswap_queue *queue, struct cswap_load_io *io, bool opened)
{
	unsigned long flags;
	bool deferred;

	spin_lock_irqsave(&queue->lock, flags);
	queue->stats.loads += opened;
	cswap_observe_wait(queue, io->asked);
	deferred = cswap_load_end(&queue->shard, io - queue->load_io);
	cswap_queue_wake_readers(queue);
	if (deferred) {
		/* that copy is sent, or free if its slot is */
		cswap_queue_wake_store(queue);
		cswap_queue_unlock_and_send(queue, flags);
	} else {
		spin_unlock_irqrestore(&queue->lock, flags);
	}
}

/* All tries have failed: log why. */
static blk_status_t load_give_up(struct cswap_queue *queue, const struct load_to *to,
				 blk_status_t status)
{
	unsigned long flags;

	if (status) {
		dev_err_ratelimited(&queue->dev->vdev->dev,
				    "slot %llu: the device could not read the page (%u tries); the read fails\n",
				    to->slot, CSWAP_OPEN_TRIES);
		return status;
	}
	spin_lock_irqsave(&queue->lock, flags);
	queue->stats.tampered++;
	spin_unlock_irqrestore(&queue->lock, flags);
	cswap_observe_tampered(queue->dev);
	dev_err_ratelimited(&queue->dev->vdev->dev,
			    "slot %llu: the page that came back is not the last one stored (%u tries); the read fails\n",
			    to->slot, CSWAP_OPEN_TRIES);
	return BLK_STS_PROTECTION;
}

/*
 * A load has its answer. Returns true, and the status, if its page is done as well; else the load
 * is with the device again, and this is called again at its next end. Waits for nothing that
 * another load holds, because one worker ends several loads in turn.
 */
static bool load_finish(struct cswap_queue *queue, struct cswap_load_io *io,
			blk_status_t *status)
{
	struct load_to to = {
		.slot = queue->shard.loads[io - queue->load_io].slot,
		.page = io->wanted,
		.offset = io->offset,
		.bio = io->bio,
		.tries = io->tries,
		.since = io->since,
		.asked = io->asked,
		.begun = io->begun,
	};
	u64 counter = queue->shard.loads[io - queue->load_io].counter;
	enum cswap_load_how how;
	bool sealed, opened;
	u32 copy;

	*status = io->status;
	sealed = !*status && load_open(queue, &to, counter, io->tag);
	opened = !*status && !sealed;
	while (sealed || (*status && *status != BLK_STS_TIMEOUT)) {
		io->tries += !load_is_blameless(io, *status);
		if (sealed)
			trace_cswap_not_open(queue->dev->number, queue->index, to.slot, io->tries);
		if (io->tries == CSWAP_OPEN_TRIES) {
			*status = load_give_up(queue, &to, *status);
			break;
		}
		to.tries = io->tries;
		to.started = ktime_get();
		how = load_again(queue, &to, io, &copy);
		if (how == CSWAP_LOAD_DEVICE)
			return false;
		if (how != CSWAP_LOAD_COPY) {
			*status = how == CSWAP_LOAD_WAIT ? BLK_STS_TIMEOUT :
							   load_nothing(queue->dev, &to);
			break;
		}
		*status = BLK_STS_OK;
		sealed = load_from_copy(queue, &to, copy);
	}
	load_let_go(queue, io, opened);
	return true;
}

/* A bio gets the first error of its parts. */
static void bio_note_status(struct bio *bio, blk_status_t status)
{
	if (status)
		cmpxchg(&bio->bi_status, 0, status);
}

static void bio_end_part(struct bio *bio, blk_status_t status)
{
	bio_note_status(bio, status);
	bio_endio(bio);
}

/* In the disk's statistics a page that is read is an I/O: it waits by itself. */
static void load_account_begin(struct load_to *to)
{
	to->begun = cswap_account_begin(to->bio->bi_bdev, REQ_OP_READ, CSWAP_SECTORS);
}

static void load_end_part(struct bio *bio, unsigned long begun, blk_status_t status)
{
	cswap_account_end(bio->bi_bdev, REQ_OP_READ, CSWAP_SECTORS, begun);
	bio_end_part(bio, status);
}

void cswap_finish_work(struct work_struct *work)
{
	struct cswap_load_io *io, *next, *first = container_of(work, struct cswap_load_io, work);
	struct cswap_queue *queue = first->queue;
	unsigned int noio = memalloc_noio_save();
	struct llist_node *list;
	unsigned long begun;
	blk_status_t status;
	struct bio *bio;

	list = llist_reverse_order(llist_del_all(&first->finished));
	llist_for_each_entry_safe(io, next, list, node) {
		bio = io->bio;
		begun = io->begun;
		if (load_finish(queue, io, &status))
			load_end_part(bio, begun, status);
	}
	memalloc_noio_restore(noio);
}

/* Load a page; false if its part of the bio ends later. */
static bool load_page_now(struct cswap_queue *queue, struct load_to *to, struct batch *batch,
			  blk_status_t *status)
{
	struct load_hold hold;

	for (; to->tries < CSWAP_OPEN_TRIES; to->tries++) {
		if (to->tries)
			load_retried(queue);
		*status = BLK_STS_TIMEOUT;
		if (!load_begin(queue, to, &hold))
			return true;
		*status = BLK_STS_OK;
		switch (hold.how) {
		case CSWAP_LOAD_DEVICE:
			batch_add(batch);
			return false;
		case CSWAP_LOAD_COPY:
			/* a page that didn't open may have been sent to the device again */
			if (!load_from_copy(queue, to, hold.index))
				return true;
			break;
		default:
			*status = load_nothing(queue->dev, to);
			return true;
		}
	}
	*status = load_give_up(queue, to, BLK_STS_OK);
	return true;
}

/* Load a page and end its part of the bio, now or later. Returns an error if it has failed now. */
static blk_status_t load_page(struct cswap_dev *dev, struct load_to *to, struct batch *batch)
{
	struct cswap_queue *queue = cswap_queue_of(dev, to->slot);
	blk_status_t status;

	bio_inc_remaining(to->bio);
	load_account_begin(to);
	to->asked = ktime_get();
	to->started = to->asked;
	batch_turn(batch, queue);
	if (!load_page_now(queue, to, batch, &status))
		return BLK_STS_OK;
	load_end_part(to->bio, to->begun, status);
	return status;
}

/* --- the disk --- */

static blk_status_t transfer_page(struct cswap_dev *dev, struct bio *bio, u32 since, u64 slot,
				  struct page *page, unsigned int offset,
				  struct batch *batch)
{
	struct load_to to = {
		.slot = slot, .page = page, .offset = offset, .bio = bio, .since = since,
	};

	if (op_is_write(bio_op(bio)))
		return store_page(dev, slot, page, offset, batch);
	return load_page(dev, &to, batch);
}

/* Ends the writes that mustn't end inside submit_bio. */
void cswap_written_work(struct work_struct *work)
{
	struct cswap_dev *dev = container_of(work, struct cswap_dev, written_work);
	struct bio_list written;
	struct bio *bio;

	spin_lock_irq(&dev->written_lock);
	written = dev->written;
	bio_list_init(&dev->written);
	spin_unlock_irq(&dev->written_lock);
	while ((bio = bio_list_pop(&written)))
		bio_endio(bio);
}

static void write_end(struct cswap_dev *dev, struct bio *bio, unsigned long begun,
		      blk_status_t status)
{
	unsigned long flags;

	bio_note_status(bio, status);
	bio_end_io_acct(bio, begun);
	if (!dev->written_wq) {
		bio_endio(bio);
		return;
	}
	spin_lock_irqsave(&dev->written_lock, flags);
	bio_list_add(&dev->written, bio);
	spin_unlock_irqrestore(&dev->written_lock, flags);
	queue_work(dev->written_wq, &dev->written_work);
}

/*
 * Page by page, holding nothing from one to the next. The first page that fails ends the transfer:
 * a bio fails as a whole, and each of the pages that follow might wait as long for the device.
 */
static void transfer(struct cswap_dev *dev, struct bio *bio)
{
	u64 slot = bio->bi_iter.bi_sector / CSWAP_SECTORS;
	struct batch batch = { };
	blk_status_t status = BLK_STS_OK;
	u32 since = cswap_seconds(dev);
	unsigned long begun = 0;
	struct bvec_iter iter;
	struct bio_vec bv;

	if (op_is_write(bio_op(bio)))
		begun = bio_start_io_acct(bio);
	bio_for_each_segment(bv, bio, iter) {
		unsigned int done;

		if ((bv.bv_len | bv.bv_offset) % VIRTIO_CSWAP_SLOT_SIZE) {
			status = BLK_STS_IOERR;
			break;
		}
		for (done = 0; done < bv.bv_len && !status;
		     done += VIRTIO_CSWAP_SLOT_SIZE)
			status = transfer_page(dev, bio, since, slot++, bv.bv_page,
					       bv.bv_offset + done, &batch);
		if (status)
			break;
	}
	batch_end(&batch);
	if (op_is_write(bio_op(bio)))
		write_end(dev, bio, begun, status);
	else
		bio_end_part(bio, status);
}

static void slot_free(struct cswap_dev *dev, u64 slot)
{
	if (cswap_slot_free(&dev->records[slot]))
		cswap_discard_note(dev, slot);
}

static void discard(struct cswap_dev *dev, struct bio *bio)
{
	u64 slot = bio->bi_iter.bi_sector / CSWAP_SECTORS;
	u64 end = slot + bio->bi_iter.bi_size / VIRTIO_CSWAP_SLOT_SIZE;
	unsigned long begun = bio_start_io_acct(bio);

	for (; slot < end; slot++) {
		slot_free(dev, slot);
		if (!(slot % 65536))
			cond_resched();
	}
	bio_end_io_acct(bio, begun);
	bio_endio(bio);
}

static void cswap_submit_bio(struct bio *bio)
{
	struct cswap_dev *dev = bio->bi_bdev->bd_disk->private_data;
	unsigned int noio = memalloc_noio_save();

	switch (bio_op(bio)) {
	case REQ_OP_WRITE:
		store_await_key(dev);
		fallthrough;
	case REQ_OP_READ:
		transfer(dev, bio);
		break;
	case REQ_OP_DISCARD:
		discard(dev, bio);
		break;
	default:
		bio->bi_status = BLK_STS_NOTSUPP;
		bio_endio(bio);
		break;
	}
	memalloc_noio_restore(noio);
}

/*
 * The swap core has freed slot @slot. Called under a lock of the swap core's that is also taken
 * with interrupts off.
 */
static void cswap_swap_slot_free_notify(struct block_device *bdev, unsigned long slot)
{
	struct cswap_dev *dev = bdev->bd_disk->private_data;

	if (slot < dev->geometry.capacity)
		slot_free(dev, slot);
}

static void cswap_free_disk(struct gendisk *disk)
{
	cswap_dev_free(disk->private_data);
}

static const struct block_device_operations cswap_fops = {
	.owner = THIS_MODULE,
	.submit_bio = cswap_submit_bio,
	.swap_slot_free_notify = cswap_swap_slot_free_notify,
	.free_disk = cswap_free_disk,
};

int cswap_disk_add(struct cswap_dev *dev)
{
	u32 max_discard = UINT_MAX / VIRTIO_CSWAP_SLOT_SIZE * CSWAP_SECTORS;
	struct gendisk *disk;
	int rc;

	disk = cswap_alloc_disk(max_discard);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	disk->fops = &cswap_fops;
	disk->private_data = dev;
	disk->flags |= GENHD_FL_NO_PART;
	snprintf(disk->disk_name, sizeof(disk->disk_name), "cswap%d", dev->number);
	set_capacity(disk, dev->geometry.capacity * CSWAP_SECTORS);
	dev->disk = disk;
	rc = device_add_disk(&dev->vdev->dev, disk, cswap_disk_groups);
	if (rc) {
		/* the disk's free_disk is not called before it was added */
		dev->disk = NULL;
		put_disk(disk);
	}
	return rc;
}
