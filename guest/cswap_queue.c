// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_queue.c - the rings of a queue pair.
 *
 * Theory of operation
 *
 * A pair owns a share of the pool and a shard of the slots, so everything that
 * happens to a slot happens under one lock and on two rings. What is in flight
 * is bounded so that neither ring can be full and no answer can lack a buffer:
 * of a ring of N descriptors
 *
 *	request		N/16 LOADs (1 each), and STOREs (1 each, and 1 for each page)
 *	response	N/16 data buffers (2 each) and an ack buffer (1) for each STORE
 *
 * What waits to be sent goes out when a caller drops the lock by cswap_queue_unlock_and_send():
 * neighbours in one request, a STORE of up to 16 pages, a LOAD of as many as a data buffer has room
 * for, 8. So a page takes a request of its own only where it's alone. No page waits for neighbours
 * to come; a caller that knows of more pages (a bio of many, a plug) sends after the last.
 *
 * Response buffers are posted once and put back as soon as they have been read. The driver copies
 * pages, still sealed, out of their data buffer into the pages that were asked for; the load's
 * worker opens them there.
 *
 * The response ring is read before the request ring: the device gives a chain
 * back before it answers, so an answer that has been seen means that the
 * chain is there to be seen.
 *
 * Interrupts are wanted while a task waits for an answer: for a LOAD, or for room in the pool,
 * which is when half of its copies are in use. No task waits for the outcome of a STORE: it is read
 * when that much of the pool is in use, before an interrupt is asked for, or by the tick.
 *
 * The host could fill buffers as fast as they are posted again, so each reading of the rings takes
 * a bounded number of pages; if an interrupt leaves some, a worker reads on.
 *
 * What may be done is said by the pair's state, under its lock:
 *
 *			store			load, of what isn't in the pool
 *	STOPPED		into the pool		begun, and sent by the start
 *	RUNNING		and sent		sent
 *	BROKEN, DEAD	fails			fails
 *
 * A ring is touched in state RUNNING only, under the lock, or behind it to notify the device. The
 * notification is in an RCU section that begins under the lock, so the rings may be deleted when
 * the state has left RUNNING and a grace period has passed.
 */
#include <linux/jiffies.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "compat.h"
#include "cswap.h"
#include "cswap_trace.h"

/* Headers lie in cache lines of their own: the device reads one while we write the next. */
#define HEAD_STRIDE		64
#define MIN_RING		8
#define MIN_COPIES		8
/* Pages of a data buffer: what the swap core reads ahead at once, by default. */
#define LOAD_PAGES		8U
/* Pages and acks that one interrupt may take, with interrupts off. */
#define INTERRUPT_PAGES		16

/* --- sending --- */

static void piece_to_sg(const struct cswap_queue *queue, struct scatterlist *sg,
			const struct cswap_piece *piece, unsigned int len)
{
	/* Without the DMA API the virtio core takes the address from sg_page(). */
	if (!queue->dev->pool.dma_dev)
		sg_set_buf(sg, piece->va, len);
	sg->length = len;
	sg_dma_address(sg) = piece->dma;
	sg_dma_len(sg) = len;
}

void cswap_queue_wake_all_readers(struct cswap_queue *queue)
{
	wake_up_all(&queue->load_wait);
	wake_up_all(&queue->slot_wait);
}

static void wake_all(struct cswap_queue *queue)
{
	wake_up_all(&queue->store_wait);
	cswap_queue_wake_all_readers(queue);
}

/* Nothing can be sent or will be answered any more: wake all waiters. */
static void queue_break(struct cswap_queue *queue, const char *why)
{
	if (queue->state != CSWAP_RUNNING)
		return;
	queue->state = CSWAP_BROKEN;
	dev_err(&queue->dev->vdev->dev,
		"queue pair %u: %s; its slots can't be stored or loaded any more\n",
		queue->index, why);
	/* the tick wakes the tasks that wait for an answer; it's early, and due when it was */
	cswap_tick_soon(queue->dev);
	mod_delayed_work(queue->dev->wq, &queue->dev->tick, 0);
	wake_all(queue);
}

static struct cswap_sent *sent_take(struct cswap_queue *queue, u64 cookie)
{
	/* there are as many as the shard lets out */
	struct cswap_sent *sent = queue->free_sents;

	queue->free_sents = sent->next;
	sent->cookie = cookie;
	return sent;
}

static void sent_put(struct cswap_queue *queue, struct cswap_sent *sent)
{
	sent->next = queue->free_sents;
	queue->free_sents = sent;
}

/* Give the device the chain in queue->sg, of a header of @head_len bytes and @pages. */
static void chain_add(struct cswap_queue *queue, struct cswap_sent *sent,
		      unsigned int head_len, unsigned int pages)
{
	/* before the clock is looked at: a guest that stands still in between isn't missed */
	cswap_tick_soon(queue->dev);
	/* the clock starts with the first request in flight */
	if (queue->shard.sent + queue->shard.asked == 1)
		queue->shard.moved_at = jiffies;
	piece_to_sg(queue, &queue->sg[0], &sent->head, head_len);
	if (cswap_vq_add_out(queue->request_vq, queue->sg, 1 + pages, sent))
		queue_break(queue, "the request ring is broken");
}

/* Wake one of those that wait for what is available now. Under the lock. */
static void wake_one(wait_queue_head_t *wait)
{
	/* a waiter joins the queue before it looks, under the lock: so it is seen here */
	if (waitqueue_active(wait))
		wake_up(wait);
}

void cswap_queue_wake_store(struct cswap_queue *queue)
{
	wake_one(&queue->store_wait);
}

void cswap_queue_wake_load(struct cswap_queue *queue)
{
	if (queue->shard.free_load != CSWAP_NONE)
		wake_one(&queue->load_wait);
}

void cswap_queue_wake_readers(struct cswap_queue *queue)
{
	cswap_queue_wake_load(queue);
	/* as in wake_one(): a waiter joins before it looks, under the lock */
	if (waitqueue_active(&queue->slot_wait))
		wake_up_all(&queue->slot_wait);
}

static void store_send(struct cswap_queue *queue, const struct cswap_group *group)
{
	struct cswap_sent *sent = sent_take(queue, group->cookie);
	unsigned int i = 0;
	u32 c;

	sg_init_table(queue->sg, 1 + group->count);
	cswap_wire_put_store(sent->head.va, group->cookie, group->slot, group->count);
	for (c = group->first; c != CSWAP_NONE; c = queue->shard.copies[c].next) {
		cswap_wire_put_tag(sent->head.va, i++, queue->shard.copies[c].tag);
		piece_to_sg(queue, &queue->sg[i], &queue->copy_io[c].data, VIRTIO_CSWAP_SLOT_SIZE);
	}
	chain_add(queue, sent, CSWAP_STORE_HEADER_BYTES(group->count), group->count);
	queue->stats.store_requests++;
	trace_cswap_store(queue->dev->number, queue->index, group->slot, group->count);
}

static void load_send(struct cswap_queue *queue, const struct cswap_group *group)
{
	struct cswap_sent *sent = sent_take(queue, group->cookie);
	u32 l;

	for (l = group->first; l != CSWAP_NONE; l = queue->shard.loads[l].follows)
		if (queue->load_io[l].sent == CSWAP_NONE)
			queue->load_io[l].sent = cswap_seconds(queue->dev);
	sg_init_table(queue->sg, 1);
	cswap_wire_put_load(sent->head.va, group->cookie, group->slot, group->count);
	chain_add(queue, sent, CSWAP_LOAD_HEADER_BYTES, 0);
	queue->stats.load_requests++;
	trace_cswap_load(queue->dev->number, queue->index, group->slot, group->count);
}

/* Loads first: tasks wait for them. */
static void requests_send(struct cswap_queue *queue)
{
	u32 free = queue->shard.free.count;
	struct cswap_group group;

	while (queue->state == CSWAP_RUNNING && cswap_load_next(&queue->shard, &group))
		load_send(queue, &group);
	while (queue->state == CSWAP_RUNNING && cswap_store_next(&queue->shard, &group))
		store_send(queue, &group);
	/* some were not to be sent any more; the waiter that takes the first wakes the next */
	if (queue->shard.free.count > free)
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

void cswap_queue_hand_over(struct cswap_queue *queue, struct cswap_load_io *io,
			   struct cswap_load_io *first)
{
	u64 ns;

	if (io->handed_over)
		return;
	io->handed_over = true;
	io->grouped = queue->shard.loads[first - queue->load_io].count > 1;
	io->page = NULL;
	ns = ktime_to_ns(ktime_sub(ktime_get(), io->started));
	queue->stats.load_ns += ns;
	trace_cswap_loaded(queue->dev->number, queue->index,
			   queue->shard.loads[io - queue->load_io].slot, ns / NSEC_PER_USEC,
			   (__force unsigned int)io->status);
	if (io->status && io->status != BLK_STS_TIMEOUT && !io->grouped)
		queue->stats.load_errors++;
	llist_add(&io->node, &first->finished);
	queue_work(queue->dev->wq, &first->work);
}

/* The LOAD that begins with @first is over. */
static void loads_end(struct cswap_queue *queue, u32 first)
{
	u32 l;

	for (l = first; l != CSWAP_NONE; l = queue->shard.loads[l].follows) {
		if (queue->shard.loads[l].state == CSWAP_LOAD_OVER) {
			cswap_queue_hand_over(queue, &queue->load_io[l], &queue->load_io[first]);
		} else {
			/* an abandoned load is free now, and perhaps a copy of its slot's */
			cswap_queue_wake_readers(queue);
			cswap_queue_wake_store(queue);
		}
	}
}

static void event_handle(struct cswap_queue *queue, const struct cswap_event *event)
{
	if (!event->over)
		return;
	if (event->kind == CSWAP_COOKIE_STORE) {
		trace_cswap_stored(queue->dev->number, queue->index,
				   queue->shard.copies[event->index].slot, event->failed);
		if (event->failed) {
			queue->stats.store_errors++;
			cswap_tick_soon(queue->dev);
		}
		cswap_queue_wake_store(queue);
		return;
	}
	loads_end(queue, event->index);
}

static void protocol_error(struct cswap_queue *queue, const char *what)
{
	queue->stats.protocol_errors++;
	dev_warn_ratelimited(&queue->dev->vdev->dev,
			     "queue pair %u: ignored %s from the device\n",
			     queue->index, what);
}

/* Take the answer to the LOAD that begins with @l out of its buffer, sealed as it is. */
static void loads_take(struct cswap_queue *queue, u32 l, const struct cswap_posted *posted,
		       const struct cswap_answer *answer)
{
	unsigned int i;

	for (i = 0; l != CSWAP_NONE; l = queue->shard.loads[l].follows, i++) {
		struct cswap_load_io *io = &queue->load_io[l];

		if (!io->page)
			continue;
		io->status = status_of(answer->outcome[0].status);
		/* an answer has all of its LOAD's pages, or none */
		if (i >= answer->pages)
			continue;
		memcpy_to_page(io->page, io->offset,
			       (u8 *)posted->data.va + (size_t)i * VIRTIO_CSWAP_SLOT_SIZE,
			       VIRTIO_CSWAP_SLOT_SIZE);
		memcpy(io->tag, answer->tag[i], sizeof(io->tag));
	}
}

/* Returns how many pages and acks it had. */
static unsigned int answer_take(struct cswap_queue *queue, const struct cswap_posted *posted,
				u32 used)
{
	enum cswap_cookie_kind kind = posted->room ? CSWAP_COOKIE_LOAD : CSWAP_COOKIE_STORE;
	struct cswap_answer answer;
	struct cswap_event event;
	unsigned int i;

	if (cswap_wire_get_answer(&answer, posted->head.va, used, posted->room)) {
		protocol_error(queue, "a malformed response");
		return 1;
	}
	for (i = 0; i < answer.outcomes; i++) {
		const struct cswap_outcome *outcome = &answer.outcome[i];

		if (cswap_answer_here(&queue->shard, outcome->cookie, kind,
				      outcome->status, answer.pages, &event)) {
			protocol_error(queue, "a response to nothing in flight");
			continue;
		}
		if (kind == CSWAP_COOKIE_LOAD)
			loads_take(queue, event.index, posted, &answer);
		event_handle(queue, &event);
	}
	return max(answer.pages, 1U);
}

static int response_post(struct cswap_queue *queue, struct cswap_posted *posted)
{
	struct scatterlist sg[2];
	unsigned int nr = posted->room ? 2 : 1;

	sg_init_table(sg, nr);
	piece_to_sg(queue, &sg[0], &posted->head, posted->room ?
		    VIRTIO_CSWAP_DATA_OFFSET(posted->room) : CSWAP_ACK_BUFFER_BYTES);
	if (posted->room)
		piece_to_sg(queue, &sg[1], &posted->data, posted->room * VIRTIO_CSWAP_SLOT_SIZE);
	return cswap_vq_add_in(queue->response_vq, sg, nr, posted);
}

/* Take what the device has put on the rings, about @most pages of it. Under the lock. */
static bool rings_read(struct cswap_queue *queue, unsigned int most)
{
	unsigned int used, taken = 0;
	struct cswap_posted *posted;
	struct cswap_event event;
	struct cswap_sent *sent;
	bool moved = false;

	while (taken < most && (posted = virtqueue_get_buf(queue->response_vq, &used))) {
		taken += answer_take(queue, posted, used);
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
		sent_put(queue, sent);
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

/* A task waits for the device, or soon will. */
static bool answers_awaited(const struct cswap_queue *queue)
{
	const struct cswap_shard *shard = &queue->shard;

	return shard->asked || shard->ask.count || shard->free.count < shard->nr_copies / 2;
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

/* Have interrupts or not. */
static void interrupts_set(struct cswap_queue *queue)
{
	if (!queue->quiet && !answers_awaited(queue))
		interrupts_disable(queue);
	if (!queue->quiet || !answers_awaited(queue) || interrupts_enable(queue))
		return;
	rings_read(queue, INTERRUPT_PAGES);
	if (answers_awaited(queue) && !interrupts_enable(queue))
		queue_work(queue->dev->wq, &queue->read_work);
}

void cswap_queue_unlock_and_send(struct cswap_queue *queue, unsigned long flags)
	__releases(&queue->lock)
{
	bool requests = false, responses = false;

	queue->untold = 0;
	if (queue->state == CSWAP_RUNNING) {
		interrupts_set(queue);
		requests_send(queue);
		/* all copies may wait for a DISCARD, and nothing be in flight here */
		if (queue->shard.free.first == CSWAP_NONE)
			cswap_tick_soon(queue->dev);
		requests = virtqueue_kick_prepare(queue->request_vq);
		responses = virtqueue_kick_prepare(queue->response_vq);
	}
	/* from here on the rings aren't deleted before the RCU section's end; see rings_stop() */
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
		rings_read(queue, INTERRUPT_PAGES);
	}
	cswap_queue_unlock_and_send(queue, flags);
}

bool cswap_queue_read(struct cswap_queue *queue)
{
	/* all that is there now: each buffer once */
	return queue->state == CSWAP_RUNNING &&
	       rings_read(queue, queue->shard.nr_loads + queue->shard.limits.stores);
}

void cswap_read_work(struct work_struct *work)
{
	struct cswap_queue *queue = container_of(work, struct cswap_queue, read_work);
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	if (queue->state == CSWAP_RUNNING)
		rings_read(queue, INTERRUPT_PAGES);
	cswap_queue_unlock_and_send(queue, flags);
}

/* --- life cycle --- */

bool cswap_queue_is_lost(const struct cswap_queue *queue)
{
	return queue->state == CSWAP_BROKEN || queue->state == CSWAP_DEAD;
}

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
	cswap_queue_unlock_and_send(queue, flags);
	return 0;
}

void cswap_queue_stop(struct cswap_queue *queue, enum cswap_state state)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	queue->state = state;
	spin_unlock_irqrestore(&queue->lock, flags);
	wake_all(queue);
}

void cswap_queue_forget(struct cswap_queue *queue)
{
	unsigned long flags;
	bool fail;
	u32 i;

	spin_lock_irqsave(&queue->lock, flags);
	fail = queue->state == CSWAP_DEAD;
	cswap_shard_reset(&queue->shard, fail);
	queue->free_sents = NULL;
	for (i = 0; i < queue->nr_sents; i++)
		sent_put(queue, &queue->sents[i]);
	for (i = 0; fail && i < queue->shard.nr_loads; i++) {
		if (queue->shard.loads[i].state != CSWAP_LOAD_OVER)
			continue;
		if (!queue->load_io[i].handed_over)
			queue->load_io[i].status = BLK_STS_IOERR;
		cswap_queue_hand_over(queue, &queue->load_io[i], &queue->load_io[i]);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	wake_all(queue);
}

/* How a pair divides its pages of pool among headers, data buffers and copies. */
struct layout {
	struct cswap_limits limits;
	unsigned int sent_bytes, data_bytes; /* of headers: of a request, of a data buffer */
	unsigned int data_page, copy_page; /* the first ones */
	unsigned int copies;
};

static unsigned int heads_pages(unsigned int heads, unsigned int bytes)
{
	return DIV_ROUND_UP(heads, (unsigned int)PAGE_SIZE / bytes);
}

/* The pages of a data buffer lie in a row, which ends with a block of the pool. */
static unsigned int load_pages(const struct cswap_dev *dev)
{
	unsigned int most = min(dev->geometry.max_request_pages, LOAD_PAGES);

	return min(rounddown_pow_of_two(most), 1U << min(dev->pool.order, 3U));
}

static bool layout_make(struct layout *layout, const struct cswap_dev *dev, unsigned int ring,
			unsigned int first_page, unsigned int pages)
{
	struct cswap_limits *limits = &layout->limits;

	if (ring < MIN_RING)
		return false;
	limits->load_pages = load_pages(dev);
	limits->store_pages = dev->geometry.max_request_pages;
	limits->loads = clamp(ring / 16, 1U, max(pages / 4 / limits->load_pages, 1U));
	limits->store_descriptors = ring - limits->loads;
	limits->stores = min3(limits->store_descriptors / 2, ring - 2 * limits->loads, pages / 2);
	layout->sent_bytes = ALIGN(CSWAP_STORE_HEADER_BYTES(limits->store_pages), HEAD_STRIDE);
	layout->data_bytes = ALIGN(VIRTIO_CSWAP_DATA_OFFSET(limits->load_pages), HEAD_STRIDE);
	layout->data_page = first_page +
			    heads_pages(limits->stores, CSWAP_ACK_BUFFER_BYTES) +
			    heads_pages(limits->stores + limits->loads, layout->sent_bytes) +
			    heads_pages(limits->loads, layout->data_bytes);
	layout->data_page = ALIGN(layout->data_page, limits->load_pages);
	layout->copy_page = layout->data_page + limits->loads * limits->load_pages;
	if (layout->copy_page + MIN_COPIES > first_page + pages)
		return false;
	layout->copies = first_page + pages - layout->copy_page;
	limits->stores = min(limits->stores, layout->copies);
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
	const struct cswap_limits *limits = &layout->limits;
	struct carver heads = { pool, first_page, 0 };
	struct cswap_posted *posted = queue->posted;
	unsigned int i;

	for (i = 0; i < limits->stores; i++, posted++)
		posted->head = carve(&heads, CSWAP_ACK_BUFFER_BYTES);
	for (i = 0; i < limits->loads; i++, posted++) {
		posted->room = limits->load_pages;
		posted->head = carve(&heads, layout->data_bytes);
		posted->data = cswap_pool_piece(pool, layout->data_page + i * posted->room, 0);
	}
	for (i = 0; i < queue->nr_sents; i++) {
		queue->sents[i].head = carve(&heads, layout->sent_bytes);
		sent_put(queue, &queue->sents[i]);
	}
	for (i = 0; i < layout->copies; i++)
		queue->copy_io[i].data = cswap_pool_piece(pool, layout->copy_page + i, 0);
}

static void load_io_init(struct cswap_queue *queue, struct cswap_load_io *io)
{
	io->queue = queue;
	init_llist_head(&io->finished);
	INIT_WORK(&io->work, cswap_finish_work);
}

static int queue_alloc(struct cswap_queue *queue, const struct layout *layout)
{
	const struct cswap_limits *limits = &layout->limits;
	unsigned int i, nr_loads = limits->loads * limits->load_pages;
	struct cswap_copy *copies;
	struct cswap_load *loads;

	queue->nr_posted = limits->stores + limits->loads;
	queue->nr_sents = limits->stores + limits->loads;
	copies = kvcalloc(layout->copies, sizeof(*copies), GFP_KERNEL);
	loads = kcalloc(nr_loads, sizeof(*loads), GFP_KERNEL);
	queue->copy_io = kvcalloc(layout->copies, sizeof(*queue->copy_io), GFP_KERNEL);
	queue->load_io = kvcalloc(nr_loads, sizeof(*queue->load_io), GFP_KERNEL);
	queue->posted = kcalloc(queue->nr_posted, sizeof(*queue->posted), GFP_KERNEL);
	queue->sents = kcalloc(queue->nr_sents, sizeof(*queue->sents), GFP_KERNEL);
	if (!copies || !loads || !queue->copy_io || !queue->load_io || !queue->posted ||
	    !queue->sents) {
		kvfree(copies);
		kfree(loads);
		return -ENOMEM;
	}
	cswap_shard_init(&queue->shard, queue->dev->records, copies, layout->copies,
			 loads, nr_loads, limits);
	for (i = 0; i < nr_loads; i++)
		load_io_init(queue, &queue->load_io[i]);
	return 0;
}

int cswap_queue_init(struct cswap_dev *dev, struct cswap_queue *queue,
		     unsigned int ring, unsigned int first_page, unsigned int pages)
{
	struct layout layout;
	int rc;

	if (!layout_make(&layout, dev, ring, first_page, pages))
		return -ENOSPC;
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
	kvfree(queue->shard.copies);
	kfree(queue->shard.loads);
	kvfree(queue->copy_io);
	kvfree(queue->load_io);
	kfree(queue->posted);
	kfree(queue->sents);
	queue->shard.copies = NULL;
	queue->shard.loads = NULL;
	queue->copy_io = NULL;
	queue->load_io = NULL;
	queue->posted = NULL;
	queue->sents = NULL;
	/* a probe that failed for want of these still ends the device, which walks what there is */
	queue->shard.nr_copies = 0;
	queue->shard.nr_loads = 0;
	queue->nr_posted = 0;
	queue->nr_sents = 0;
}
