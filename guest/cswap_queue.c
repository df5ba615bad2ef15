// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_queue.c - the rings of a queue pair, and the clocks.
 *
 * Theory of operation
 *
 * A pair owns a share of the pool and a shard of the slots, so everything that
 * happens to a slot happens under one lock and on two rings. What is in flight
 * is bounded so that neither ring can be full and no answer can lack a buffer:
 * of a ring of N descriptors
 *
 *	request		N/8 LOADs (1 each) and up to 7N/16 STOREs (2 each)
 *	response	N/8 data buffers (2 each) and an ack buffer (1) for each STORE
 *
 * Response buffers are posted once and put back as soon as they have been read.
 * A page is copied out of its data buffer into the page that was asked for,
 * still sealed; whoever asked opens it there.
 *
 * The response ring is read before the request ring: the device gives a chain
 * back before it answers, so an answer that has been seen means that the
 * chain is there to be seen.
 *
 * Interrupts are wanted while somebody waits for an answer: for a LOAD, or for
 * room in the pool, which is when half of its copies are in use. For what became
 * of a STORE nobody waits: it is read when that much of the pool is in use, before
 * an interrupt is asked for, or by the tick.
 *
 * The host could fill buffers as fast as they are posted again, so each look at the
 * rings takes so many and no more; if an interrupt leaves some, a worker reads on.
 *
 * What may be done is said by the pair's state, under its lock:
 *
 *			store			load, of what isn't in the pool
 *	STOPPED		into the pool		begun, and sent by the start
 *	RUNNING		and sent		sent
 *	BROKEN, DEAD	fails			fails
 *
 * A ring is touched in state RUNNING only, under the lock, or behind it to notify
 * the device. That is done in an RCU section that begins under the lock, so who
 * has left RUNNING and waited for a grace period may delete the rings.
 *
 * Two clocks: if the rings stand still for stall_ms although something is in
 * flight, or a full pool does, whatever it waits for, stores are refused (the swap
 * core keeps its pages, and reclaim turns elsewhere) until they move again; one store
 * each stall_ms is sent all the same, as a probe, so that a recovered device is
 * noticed. A LOAD has load_timeout_s, since its reader has nowhere else to turn.
 *
 * A guest that stood still (paused or frozen, on a host that slept) finds that an hour
 * has gone by, in which nobody could answer it or it couldn't look. That isn't to count.
 * So the tick counts the seconds of load_timeout_s, one each time it runs; and by how
 * much the tick is late the clock of stores is set forward.
 */
#include <linux/jiffies.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "compat.h"
#include "cswap.h"

/* Headers lie in cache lines of their own: the device reads one while we write the next. */
#define HEAD_STRIDE		64
#define MIN_RING		8
#define MIN_COPIES		8
/* Answers that are taken with interrupts off because of one. */
#define INTERRUPT_ANSWERS	16

/* --- sending --- */

static void piece_to_sg(const struct cswap_queue *queue, struct scatterlist *sg,
			const struct cswap_piece *piece, unsigned int len)
{
	/* physical addresses are taken from the page by some kernels */
	if (!queue->dev->pool.dma_dev)
		sg_set_buf(sg, piece->va, len);
	sg->length = len;
	sg_dma_address(sg) = piece->dma;
	sg_dma_len(sg) = len;
}

/* Nothing can be sent or will be answered any more: everybody is told. */
static void queue_break(struct cswap_queue *queue, const char *why)
{
	if (queue->state != CSWAP_RUNNING)
		return;
	queue->state = CSWAP_BROKEN;
	dev_err(&queue->dev->vdev->dev,
		"queue pair %u: %s; its slots can't be stored or loaded any more\n",
		queue->index, why);
	/* whoever waits for an answer: the tick tells them */
	WRITE_ONCE(queue->dev->tick_due, jiffies);
	mod_delayed_work(queue->dev->wq, &queue->dev->tick, 0);
	wake_up_all(&queue->store_wait);
	wake_up_all(&queue->load_wait);
}

void cswap_tick_soon(struct cswap_dev *dev)
{
	if (delayed_work_pending(&dev->tick))
		return;
	WRITE_ONCE(dev->tick_due, jiffies + HZ);
	queue_delayed_work(dev->wq, &dev->tick, HZ);
}

static void chain_add(struct cswap_queue *queue, struct cswap_sent *sent,
		      u64 cookie, unsigned int head_len,
		      const struct cswap_piece *data)
{
	struct scatterlist sg[2];
	unsigned int nr = data ? 2 : 1;

	/* the clock starts with the first request in flight */
	if (queue->shard.sent + queue->shard.loading == 1)
		queue->shard.moved_at = jiffies;
	sent->cookie = cookie;
	sg_init_table(sg, nr);
	piece_to_sg(queue, &sg[0], &sent->head, head_len);
	if (data)
		piece_to_sg(queue, &sg[1], data, VIRTIO_CSWAP_SLOT_SIZE);
	if (cswap_vq_add_out(queue->request_vq, sg, nr, sent))
		queue_break(queue, "the request ring is broken");
	cswap_tick_soon(queue->dev);
}

/* One of those that wait for what there is now. Under the lock. */
static void wake_one(wait_queue_head_t *wait)
{
	/* who waits has joined the queue before he looked, under the lock: so he's seen */
	if (waitqueue_active(wait))
		wake_up(wait);
}

void cswap_queue_wake_store(struct cswap_queue *queue)
{
	wake_one(&queue->store_wait);
}

static void stores_send(struct cswap_queue *queue)
{
	u32 free = queue->shard.free.count;
	u64 cookie;
	u32 c;

	while (queue->state == CSWAP_RUNNING &&
	       (c = cswap_store_next(&queue->shard, &cookie)) != CSWAP_NONE) {
		struct cswap_copy *copy = &queue->shard.copies[c];
		struct cswap_copy_io *io = &queue->copy_io[c];

		cswap_wire_put_store(io->sent.head.va, cookie, copy->slot, copy->tag);
		chain_add(queue, &io->sent, cookie, CSWAP_STORE_HEADER_BYTES, &io->data);
	}
	/* some were not to be sent any more; who takes the first wakes the next */
	if (queue->shard.free.count > free)
		cswap_queue_wake_store(queue);
}

void cswap_queue_send_load(struct cswap_queue *queue, u32 l, u64 cookie)
{
	struct cswap_load_io *io = &queue->load_io[l];

	io->sent.cookie = cookie;
	if (queue->state != CSWAP_RUNNING) {
		cswap_tick_soon(queue->dev);	/* cswap_queue_start() sends it; it has its clock */
		return;
	}
	cswap_wire_put_load(io->sent.head.va, cookie, queue->shard.loads[l].slot);
	chain_add(queue, &io->sent, cookie, CSWAP_LOAD_HEADER_BYTES, NULL);
}

struct cswap_cipher *cswap_queue_get_cipher(struct cswap_queue *queue)
{
	struct cswap_cipher *cipher = queue->ciphers;

	if (cipher)
		queue->ciphers = cipher->next;
	return cipher;
}

void cswap_queue_put_cipher(struct cswap_queue *queue, struct cswap_cipher *cipher)
{
	cipher->next = queue->ciphers;
	queue->ciphers = cipher;
	wake_one(&queue->cipher_wait);
	cswap_queue_wake_store(queue);
}

/* --- answers --- */

static blk_status_t status_of(u32 status)
{
	switch (status) {
	case VIRTIO_CSWAP_S_OK:
		return BLK_STS_OK;
	case VIRTIO_CSWAP_S_NOSPC:
		return BLK_STS_NOSPC;
	case VIRTIO_CSWAP_S_UNSUPP:
		return BLK_STS_NOTSUPP;
	default:
		return BLK_STS_IOERR;
	}
}

/* The owner's turn: there's an answer, or there will be none. */
static void load_hand_over(struct cswap_queue *queue, struct cswap_load_io *io)
{
	if (io->handed_over)
		return;
	io->handed_over = true;
	io->page = NULL;
	queue->stats.load_ns += ktime_to_ns(ktime_sub(ktime_get(), io->started));
	if (io->status && io->status != BLK_STS_TIMEOUT)
		queue->stats.load_errors++;
	if (!io->bio) {
		complete(&io->done);
	} else {
		llist_add(&io->node, &queue->finished);
		queue_work(queue->dev->wq, &queue->finish_work);
	}
}

static void event_handle(struct cswap_queue *queue, const struct cswap_event *event)
{
	if (!event->over)
		return;
	if (event->kind == CSWAP_COOKIE_STORE) {
		if (event->failed) {
			queue->stats.store_errors++;
			cswap_tick_soon(queue->dev);
		}
		cswap_queue_wake_store(queue);
		return;
	}
	if (!event->abandoned)
		load_hand_over(queue, &queue->load_io[event->index]);
	else
		wake_up(&queue->load_wait);	/* a load is free again, and its slot */
}

static void protocol_error(struct cswap_queue *queue, const char *what)
{
	queue->stats.protocol_errors++;
	dev_warn_ratelimited(&queue->dev->vdev->dev,
			     "queue pair %u: ignored %s from the device\n",
			     queue->index, what);
}

/* Take the answer to a LOAD out of its buffer, sealed as it is. */
static void load_take(struct cswap_load_io *io, const struct cswap_posted *posted,
		      const struct cswap_answer *answer)
{
	if (!io->page)
		return;
	io->status = status_of(answer->outcome[0].status);
	if (answer->has_page) {
		memcpy_to_page(io->page, io->offset, posted->data.va,
			       VIRTIO_CSWAP_SLOT_SIZE);
		memcpy(io->tag, answer->tag, sizeof(io->tag));
	}
}

static void answer_take(struct cswap_queue *queue, const struct cswap_posted *posted,
			u32 used)
{
	enum cswap_cookie_kind kind = posted->is_data ? CSWAP_COOKIE_LOAD :
							CSWAP_COOKIE_STORE;
	struct cswap_answer answer;
	struct cswap_event event;
	unsigned int i;

	if (cswap_wire_get_answer(&answer, posted->head.va, used, posted->is_data)) {
		protocol_error(queue, "a malformed response");
		return;
	}
	for (i = 0; i < answer.outcomes; i++) {
		const struct cswap_outcome *outcome = &answer.outcome[i];

		if (cswap_answer_here(&queue->shard, outcome->cookie, kind,
				      outcome->status, &event)) {
			protocol_error(queue, "a response to nothing in flight");
			continue;
		}
		if (kind == CSWAP_COOKIE_LOAD)
			load_take(&queue->load_io[event.index], posted, &answer);
		event_handle(queue, &event);
	}
}

static int response_post(struct cswap_queue *queue, struct cswap_posted *posted)
{
	struct scatterlist sg[2];
	unsigned int nr = posted->is_data ? 2 : 1;

	sg_init_table(sg, nr);
	piece_to_sg(queue, &sg[0], &posted->head, posted->is_data ?
		    CSWAP_DATA_HEADER_BYTES : CSWAP_ACK_BUFFER_BYTES);
	if (posted->is_data)
		piece_to_sg(queue, &sg[1], &posted->data, VIRTIO_CSWAP_SLOT_SIZE);
	return cswap_vq_add_in(queue->response_vq, sg, nr, posted);
}

/* Take what the device has put on the rings, @most answers of it. Under the lock. */
static bool rings_read(struct cswap_queue *queue, unsigned int most)
{
	struct cswap_posted *posted;
	struct cswap_event event;
	struct cswap_sent *sent;
	bool moved = false;
	unsigned int used;

	while (most-- && (posted = virtqueue_get_buf(queue->response_vq, &used))) {
		answer_take(queue, posted, used);
		if (response_post(queue, posted))
			queue_break(queue, "the response ring is broken");
		moved = true;
	}
	/* these are bounded: none comes back twice, and none is sent here */
	while ((sent = virtqueue_get_buf(queue->request_vq, &used))) {
		if (cswap_chain_back(&queue->shard, sent->cookie, &event))
			protocol_error(queue, "a chain that was not in flight");
		else
			event_handle(queue, &event);
		moved = true;
	}
	if (moved)
		queue->shard.moved_at = jiffies;
	/* the core has found nonsense in one of them */
	if (virtqueue_is_broken(queue->response_vq) ||
	    virtqueue_is_broken(queue->request_vq))
		queue_break(queue, "a ring is broken");
	return moved;
}

/* --- interrupts --- */

/* Somebody may be waiting for the device, or soon will. */
static bool answers_awaited(const struct cswap_queue *queue)
{
	const struct cswap_shard *shard = &queue->shard;

	return shard->loading || shard->free.count < shard->nr_copies / 2;
}

static void interrupts_disable(struct cswap_queue *queue)
{
	virtqueue_disable_cb(queue->response_vq);
	queue->quiet = true;
}

/* False if there are answers already, for which there will be no interrupt. */
static bool interrupts_enable(struct cswap_queue *queue)
{
	queue->quiet = false;
	if (virtqueue_enable_cb(queue->response_vq))
		return true;
	interrupts_disable(queue);
	return false;
}

/* Have interrupts or not; whoever polls turns them on again. */
static void interrupts_set(struct cswap_queue *queue)
{
	if (!queue->quiet && !answers_awaited(queue))
		interrupts_disable(queue);
	if (!queue->quiet || queue->pollers || !answers_awaited(queue) ||
	    interrupts_enable(queue))
		return;
	rings_read(queue, INTERRUPT_ANSWERS);
	if (answers_awaited(queue) && !interrupts_enable(queue)) {
		WRITE_ONCE(queue->unread, true);
		queue_work(queue->dev->wq, &queue->finish_work);
	}
}

void cswap_queue_unlock_and_send(struct cswap_queue *queue, unsigned long flags)
	__releases(&queue->lock)
{
	bool requests = false, responses = false;

	queue->untold = 0;
	if (queue->state == CSWAP_RUNNING) {
		interrupts_set(queue);
		stores_send(queue);
		/* all copies may wait for a DISCARD, and nothing be in flight here */
		if (queue->shard.free.first == CSWAP_NONE)
			cswap_tick_soon(queue->dev);
		requests = virtqueue_kick_prepare(queue->request_vq);
		responses = virtqueue_kick_prepare(queue->response_vq);
	}
	/* from here on the rings are deleted only when we are through; see rings_stop() */
	rcu_read_lock();
	spin_unlock_irqrestore(&queue->lock, flags);
	if (requests)
		virtqueue_notify(queue->request_vq);
	if (responses)
		virtqueue_notify(queue->response_vq);
	rcu_read_unlock();
}

void cswap_queue_interrupt(struct virtqueue *vq)
{
	struct cswap_dev *dev = vq->vdev->priv;
	struct cswap_queue *queue =
		&dev->queues[(vq->index - VIRTIO_CSWAP_VQ_REQUEST(0)) / 2];
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	if (queue->state == CSWAP_RUNNING) {
		interrupts_disable(queue);
		rings_read(queue, INTERRUPT_ANSWERS);
	}
	cswap_queue_unlock_and_send(queue, flags);
}

bool cswap_queue_read(struct cswap_queue *queue)
{
	/* all that is there now: each buffer once */
	return queue->state == CSWAP_RUNNING && rings_read(queue, queue->nr_posted);
}

void cswap_queue_read_on(struct cswap_queue *queue)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	WRITE_ONCE(queue->unread, false);
	if (queue->state == CSWAP_RUNNING)
		rings_read(queue, INTERRUPT_ANSWERS);
	cswap_queue_unlock_and_send(queue, flags);
}

bool cswap_queue_poll(struct cswap_queue *queue)
{
	unsigned long flags;
	bool moved;

	if (!spin_trylock_irqsave(&queue->lock, flags))
		return false;
	moved = cswap_queue_read(queue);
	if (moved)
		cswap_queue_unlock_and_send(queue, flags);
	else
		spin_unlock_irqrestore(&queue->lock, flags);
	return moved;
}

void cswap_queue_poll_begin(struct cswap_queue *queue)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	if (!queue->pollers++ && queue->state == CSWAP_RUNNING)
		interrupts_disable(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
}

void cswap_queue_poll_end(struct cswap_queue *queue)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	queue->pollers--;
	cswap_queue_unlock_and_send(queue, flags);
}

/* --- clocks --- */

/* The guest has just gone on after it stood still; the tick comes, and sets the clocks right. */
static bool tick_is_late(const struct cswap_dev *dev)
{
	return delayed_work_pending(&dev->tick) &&
	       time_after(jiffies, READ_ONCE(dev->tick_due) + HZ);
}

bool cswap_clock_jumped(const struct cswap_dev *dev, unsigned int *jumps)
{
	unsigned int before = *jumps;

	*jumps = READ_ONCE(dev->jumps);
	return *jumps != before || tick_is_late(dev);
}

bool cswap_queue_stalled(const struct cswap_queue *queue)
{
	return !tick_is_late(queue->dev) &&
	       cswap_store_stalled(&queue->shard, jiffies, msecs_to_jiffies(cswap_stall_ms));
}

bool cswap_queue_is_lost(const struct cswap_queue *queue)
{
	return queue->state == CSWAP_BROKEN || queue->state == CSWAP_DEAD;
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
	u32 limit = READ_ONCE(cswap_load_timeout_s);

	/* the first second may have been a short one */
	return limit && cswap_age_s(dev, since) > limit;
}

/* A second has passed, however many the tick is late; it may have been called early, too. */
static void clock_move(struct cswap_dev *dev)
{
	if (time_before(jiffies, dev->second_at + HZ))
		return;
	dev->second_at = jiffies;
	WRITE_ONCE(dev->seconds, dev->seconds + 1);
}

static void loads_time_out(struct cswap_queue *queue)
{
	u32 i;

	for (i = 0; i < queue->shard.nr_loads; i++) {
		struct cswap_load_io *io = &queue->load_io[i];

		if (queue->shard.loads[i].state != CSWAP_LOAD_SENT || io->handed_over)
			continue;
		if (queue->state != CSWAP_BROKEN && !cswap_load_overdue(queue->dev, io->since))
			continue;
		queue->stats.load_timeouts++;
		dev_err_ratelimited(&queue->dev->vdev->dev,
				    "slot %llu: no answer from the device; the page is given up\n",
				    queue->shard.loads[i].slot);
		io->status = BLK_STS_TIMEOUT;
		load_hand_over(queue, io);
	}
}

/* A reader has waited for longer than @limit, in seconds, and for no reset meanwhile. */
static bool loads_want_reset(const struct cswap_queue *queue, u32 limit)
{
	const struct cswap_dev *dev = queue->dev;
	u32 i;

	for (i = 0; i < queue->shard.nr_loads; i++) {
		const struct cswap_load_io *io = &queue->load_io[i];

		if (queue->shard.loads[i].state == CSWAP_LOAD_SENT && !io->handed_over &&
		    cswap_age_s(dev, io->since) > limit &&
		    cswap_age_s(dev, io->since) <= cswap_age_s(dev, dev->reset_second))
			return true;
	}
	return false;
}

/*
 * What the device has lost it won't answer, but it may when it's asked anew. Before a page
 * is given up, or when stores can't go on without the answer to a DISCARD, it is reset: at
 * a third of the time that a reader waits. (load_timeout_s=0: whoever waits for ever
 * doesn't want that.)
 */
static bool queue_wants_reset(const struct cswap_queue *queue)
{
	u32 limit = READ_ONCE(cswap_load_timeout_s);

	if (!CSWAP_CAN_RESET || !limit || queue->state != CSWAP_RUNNING)
		return false;
	return loads_want_reset(queue, limit / 3) ||
	       (queue->shard.free.first == CSWAP_NONE &&
		cswap_discard_overdue(queue->dev, max(limit / 3, 1U) * MSEC_PER_SEC));
}

/* What a tick has found. */
struct tick_result {
	bool again;			/* something needs another one */
	bool reset;			/* the device is to be reset */
};

/* How long the guest stood still before this tick, in jiffies. */
static unsigned long clock_jump(struct cswap_dev *dev)
{
	long late = jiffies - READ_ONCE(dev->tick_due);

	if (late <= HZ)
		return 0;
	WRITE_ONCE(dev->jumps, dev->jumps + 1);
	return late;
}

/* Not later than now: it may have been set since the guest goes on. */
static void clock_set_forward(unsigned long *at, unsigned long by)
{
	*at = time_after(*at + by, jiffies) ? jiffies : *at + by;
}

static void queue_tick(struct cswap_queue *queue, unsigned long jump,
		       struct tick_result *result)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	if (jump) {
		clock_set_forward(&queue->shard.moved_at, jump);
		clock_set_forward(&queue->shard.room_at, jump);
	}
	cswap_queue_read(queue);	/* not all that comes interrupts, or one was lost */
	loads_time_out(queue);
	cswap_store_retry(&queue->shard);
	if (queue->shard.discards_lost)
		cswap_discards_lose(&queue->shard);
	if (queue->shard.free.count)
		cswap_queue_wake_store(queue);
	/* a full pool may wait for something else than what is in flight here */
	result->again |= queue->shard.loading || queue->shard.sent ||
			 queue->shard.send.count || queue->shard.failed ||
			 queue->shard.free.first == CSWAP_NONE;
	result->reset |= queue_wants_reset(queue);
	cswap_queue_unlock_and_send(queue, flags);
	/* who waits for a load looks at the same clock */
	if (wq_has_sleeper(&queue->load_wait))
		wake_up(&queue->load_wait);
}

void cswap_tick(struct work_struct *work)
{
	struct cswap_dev *dev = container_of(to_delayed_work(work),
					     struct cswap_dev, tick);
	unsigned long jump = clock_jump(dev);
	struct tick_result result = { };
	unsigned int i;

	clock_move(dev);
	for (i = 0; i < dev->nr_queues; i++)
		queue_tick(&dev->queues[i], jump, &result);
	if (result.reset) {
		dev->reset_second = cswap_seconds(dev);
		cswap_reset_want(dev);
	}
	if (result.again && READ_ONCE(dev->state) != CSWAP_DEAD)
		cswap_tick_soon(dev);
}

/* --- life cycle --- */

int cswap_queue_start(struct cswap_queue *queue)
{
	unsigned long flags;
	unsigned int i;
	int rc = 0;

	spin_lock_irqsave(&queue->lock, flags);
	for (i = 0; i < queue->nr_posted && !rc; i++)
		rc = response_post(queue, &queue->posted[i]);
	if (rc) {
		spin_unlock_irqrestore(&queue->lock, flags);
		return rc;
	}
	virtqueue_disable_cb(queue->request_vq);
	queue->quiet = false;
	queue->state = CSWAP_RUNNING;
	queue->shard.moved_at = jiffies;
	for (i = 0; i < queue->shard.nr_loads; i++)
		if (queue->shard.loads[i].state == CSWAP_LOAD_SENT)
			cswap_queue_send_load(queue, i, queue->load_io[i].sent.cookie);
	cswap_queue_unlock_and_send(queue, flags);
	return 0;
}

static void load_resend(void *arg, u32 l, u64 cookie)
{
	struct cswap_queue *queue = arg;

	queue->load_io[l].sent.cookie = cookie;
}

void cswap_queue_stop(struct cswap_queue *queue, enum cswap_state state)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	queue->state = state;
	spin_unlock_irqrestore(&queue->lock, flags);
	wake_up_all(&queue->store_wait);
	wake_up_all(&queue->load_wait);
}

void cswap_queue_forget(struct cswap_queue *queue)
{
	unsigned long flags;
	bool fail;
	u32 i;

	spin_lock_irqsave(&queue->lock, flags);
	fail = queue->state == CSWAP_DEAD;
	cswap_shard_reset(&queue->shard, fail, load_resend, queue);
	for (i = 0; fail && i < queue->shard.nr_loads; i++) {
		if (queue->shard.loads[i].state != CSWAP_LOAD_OVER)
			continue;
		if (!queue->load_io[i].handed_over)
			queue->load_io[i].status = BLK_STS_IOERR;
		load_hand_over(queue, &queue->load_io[i]);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	wake_up_all(&queue->store_wait);
	wake_up_all(&queue->load_wait);
}

/* How a pair divides @pages of pool among headers, data buffers and copies. */
struct layout {
	unsigned int loads, sent, copies;
	unsigned int head_pages;
};

static bool layout_make(struct layout *layout, unsigned int ring, unsigned int pages)
{
	unsigned int heads, bytes;

	if (ring < MIN_RING)
		return false;
	layout->loads = clamp(ring / 8, 1U, max(pages / 4, 1U));
	layout->sent = (ring - layout->loads) / 2;
	/* an upper bound: as if all pages were copies */
	heads = 2 * layout->loads + pages;
	bytes = heads * HEAD_STRIDE + layout->sent * CSWAP_ACK_BUFFER_BYTES;
	layout->head_pages = DIV_ROUND_UP(bytes, PAGE_SIZE);
	if (pages < layout->head_pages + layout->loads + MIN_COPIES)
		return false;
	layout->copies = pages - layout->head_pages - layout->loads;
	layout->sent = min(layout->sent, layout->copies);
	return true;
}

/* Hands out the header pages, front to back. */
struct carver {
	const struct cswap_pool *pool;
	unsigned int page, offset;
};

static struct cswap_piece carve(struct carver *carver, unsigned int bytes)
{
	struct cswap_piece piece;

	if (carver->offset + bytes > PAGE_SIZE) {
		carver->page++;
		carver->offset = 0;
	}
	piece = cswap_pool_piece(carver->pool, carver->page, carver->offset);
	carver->offset += bytes;
	return piece;
}

static void queue_carve(struct cswap_queue *queue, const struct layout *layout,
			unsigned int first_page)
{
	const struct cswap_pool *pool = &queue->dev->pool;
	struct carver heads = { pool, first_page, 0 };
	unsigned int page = first_page + layout->head_pages;
	struct cswap_posted *posted = queue->posted;
	unsigned int i;

	/* ack buffers first: they fill their pages without a gap */
	for (i = 0; i < layout->sent; i++, posted++)
		posted->head = carve(&heads, CSWAP_ACK_BUFFER_BYTES);
	for (i = 0; i < layout->loads; i++, posted++) {
		posted->is_data = true;
		posted->head = carve(&heads, HEAD_STRIDE);
		posted->data = cswap_pool_piece(pool, page++, 0);
		queue->load_io[i].sent.head = carve(&heads, HEAD_STRIDE);
		init_completion(&queue->load_io[i].done);
	}
	for (i = 0; i < layout->copies; i++) {
		queue->copy_io[i].sent.head = carve(&heads, HEAD_STRIDE);
		queue->copy_io[i].data = cswap_pool_piece(pool, page++, 0);
	}
}

static int ciphers_init(struct cswap_queue *queue)
{
	unsigned int i, nr = queue->nr_ciphers;
	int rc;

	queue->all_ciphers = kcalloc(nr, sizeof(*queue->all_ciphers), GFP_KERNEL);
	if (!queue->all_ciphers)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		rc = cswap_cipher_init(&queue->all_ciphers[i], &queue->dev->seal);
		if (rc)
			return rc;
		cswap_queue_put_cipher(queue, &queue->all_ciphers[i]);
	}
	return 0;
}

static int queue_alloc(struct cswap_queue *queue, const struct layout *layout)
{
	struct cswap_copy *copies;
	struct cswap_load *loads;

	queue->nr_posted = layout->sent + layout->loads;
	copies = kvcalloc(layout->copies, sizeof(*copies), GFP_KERNEL);
	loads = kcalloc(layout->loads, sizeof(*loads), GFP_KERNEL);
	queue->copy_io = kvcalloc(layout->copies, sizeof(*queue->copy_io), GFP_KERNEL);
	queue->load_io = kcalloc(layout->loads, sizeof(*queue->load_io), GFP_KERNEL);
	queue->posted = kcalloc(queue->nr_posted, sizeof(*queue->posted), GFP_KERNEL);
	if (!copies || !loads || !queue->copy_io || !queue->load_io || !queue->posted) {
		kvfree(copies);
		kfree(loads);
		return -ENOMEM;
	}
	cswap_shard_init(&queue->shard, queue->dev->records, copies, layout->copies,
			 loads, layout->loads, layout->sent);
	return ciphers_init(queue);
}

int cswap_queue_init(struct cswap_dev *dev, struct cswap_queue *queue,
		     unsigned int ring, unsigned int first_page, unsigned int pages)
{
	struct layout layout;
	int rc;

	if (!layout_make(&layout, ring, pages))
		return -ENOSPC;
	/* as many as tasks are likely to seal and open in a pair at once */
	queue->nr_ciphers = 1 + DIV_ROUND_UP(num_possible_cpus(), dev->nr_queues);
	rc = queue_alloc(queue, &layout);
	if (rc) {
		cswap_queue_exit(queue);
		return rc;
	}
	queue_carve(queue, &layout, first_page);
	return 0;
}

void cswap_queue_exit(struct cswap_queue *queue)
{
	unsigned int i;

	for (i = 0; queue->all_ciphers && i < queue->nr_ciphers; i++)
		cswap_cipher_exit(&queue->all_ciphers[i]);
	kfree(queue->all_ciphers);
	kvfree(queue->shard.copies);
	kfree(queue->shard.loads);
	kvfree(queue->copy_io);
	kfree(queue->load_io);
	kfree(queue->posted);
	queue->all_ciphers = NULL;
	queue->shard.copies = NULL;
	queue->shard.loads = NULL;
	queue->copy_io = NULL;
	queue->load_io = NULL;
	queue->posted = NULL;
}
