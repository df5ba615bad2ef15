/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cswap.h - the device's state, and what each file of the driver offers the
 * others. Read it after cswap_slots.h and cswap_seal.h.
 *
 * Locks: each queue pair has one spinlock (irqs off) that guards its shard and its
 * rings; no path takes two of them. It's the innermost: outside of it come a CPU's cipher
 * (a mutex, held while a page is sealed or opened) and then the seal's SRCU. The control queue
 * and the list of writes to be ended have their own, and the balloon's blocks have one
 * (never taken in interrupts); they nest in none. Outside of all of these come two mutexes: @life,
 * and in it the balloon's @step. All else is either set up before
 * the disk exists, one worker's, or atomic.
 */
#ifndef CSWAP_H
#define CSWAP_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/nodemask.h>
#include <linux/notifier.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/vmstat.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "cswap_blocks.h"
#include "cswap_policy.h"
#include "cswap_seal.h"
#include "cswap_slots.h"
#include "cswap_wire.h"

/* The swap core counts slots in pages: with larger ones it would free others than it stored. */
static_assert(PAGE_SIZE == VIRTIO_CSWAP_SLOT_SIZE,
	      "virtio_cswap needs a kernel with pages of 4 KiB");

#define CSWAP_NAME		"virtio_cswap"
#define CSWAP_SECTORS		(VIRTIO_CSWAP_SLOT_SIZE >> SECTOR_SHIFT)
/* A page is fetched so often before it's given up. */
#define CSWAP_OPEN_TRIES	4

/* Of the histogram of loads: below 1 us, 2, 4 ... 8 s, and more. */
#define CSWAP_LATENCY_BUCKETS	25

struct cswap_dev;

/* A piece of the pool: less than a page and in one, or whole pages in one block. */
struct cswap_piece {
	void *va;
	dma_addr_t dma;			/* what goes into a descriptor */
};

/* Memory shared with the device for life, in blocks that are never converted again. */
struct cswap_pool {
	struct device *dma_dev;		/* NULL: the device uses physical addresses */
	unsigned int order;		/* of a block */
	unsigned int nr_blocks;
	unsigned int nr_pages;
	struct cswap_pool_block {
		void *va;
		dma_addr_t dma;
	} *blocks;
};

/* A response buffer, posted for as long as the device runs. */
struct cswap_posted {
	struct cswap_piece head;	/* header, or all of an ack buffer */
	struct cswap_piece data;	/* data buffers: the pages */
	unsigned int room;		/* so many; 0: an ack buffer */
};

/* A request whose chain is with the device, or a free one. */
struct cswap_sent {
	struct cswap_piece head;
	u64 cookie;
	struct cswap_sent *next;	/* of the free ones */
};

/* Where a load's page goes; [i] belongs to shard.loads[i]. */
struct cswap_load_io {
	struct page *page;		/* where the answer goes; NULL: too late for it */
	struct page *wanted;		/* the same, for the owner */
	unsigned int offset;
	blk_status_t status;		/* of the device's answer, or why there's none */
	u8 tag[VIRTIO_CSWAP_TAG_SIZE];
	u32 since;			/* seconds of the tick's: its bio came then */
	u32 sent;			/* ...and it was sent for the first time, or CSWAP_NONE */
	ktime_t asked, started;		/* the page was wanted; this try for it began */
	struct bio *bio;		/* that the page is a part of */
	unsigned long begun;		/* for the disk's statistics */
	struct llist_node node;		/* on @finished of the first of its group */
	struct llist_head finished;	/* loads to be opened by @work */
	struct work_struct work;
	struct cswap_queue *queue;
	unsigned int tries;		/* that have failed, for this page */
	bool grouped;			/* the LOAD that is over was of several pages */
	bool handed_over;		/* the owner knows; what comes later is for no reader */
};

/* [i] belongs to shard.copies[i]. */
struct cswap_copy_io {
	struct cswap_piece data;
};

/* One writer at a time, under the lock; read without it. */
struct cswap_stats {
	u64 stores;			/* pages sealed */
	u64 loads;			/* pages opened that came from the device */
	u64 pool_loads;			/* pages opened from the pool */
	u64 store_requests;		/* STOREs sent, of several pages each */
	u64 load_requests;		/* LOADs sent, the same */
	u64 store_errors;		/* STOREs that the device failed */
	u64 store_refusals;		/* stores failed back to the swap core */
	u64 load_errors;		/* LOADs of one page that the device failed */
	u64 load_timeouts;
	u64 retries;			/* pages fetched again since they didn't open */
	u64 tampered;			/* pages given up since they didn't open */
	u64 protocol_errors;		/* answers that made no sense */
	u64 load_ns;			/* time that readers waited for the device, for all tries */
};

/*
 * What may be done with a pair's rings, and with the device. A pair's is changed under its
 * lock, the device's under @life; what each allows is in cswap_queue.c and cswap_life.c.
 */
enum cswap_state {
	CSWAP_STOPPED,			/* there are no rings now; they'll be made again */
	CSWAP_RUNNING,
	CSWAP_BROKEN,			/* the device broke the protocol; until a reset */
	CSWAP_DEAD,			/* removed or given up, for ever */
};

struct cswap_queue {
	struct cswap_dev *dev;
	unsigned int index;

	spinlock_t lock;		/* all below, up to the waiters */
	struct cswap_shard shard;
	struct virtqueue *request_vq, *response_vq;
	enum cswap_state state;
	bool quiet;			/* the device was asked not to interrupt */
	unsigned long probed;		/* jiffies: a store was let in though they stood still */
	unsigned int untold;		/* pages that wait for the end of @plug */
	struct blk_plug *plug;		/* of a task that will call @unplug, or NULL */
	struct blk_plug_cb unplug;
	struct cswap_copy_io *copy_io;
	struct cswap_load_io *load_io;
	struct cswap_posted *posted;
	unsigned int nr_posted;
	struct cswap_sent *sents;
	unsigned int nr_sents;
	struct cswap_sent *free_sents;	/* as many as requests may be sent yet */
	struct scatterlist sg[1 + VIRTIO_CSWAP_MAX_REQUEST_PAGES]; /* of the chain that is made */
	struct cswap_stats stats;
	u64 load_us[CSWAP_LATENCY_BUCKETS]; /* pages by how long they were waited for */

	wait_queue_head_t store_wait;	/* for a copy; a wake-up is for one */
	wait_queue_head_t load_wait;	/* for a load; a wake-up is for one */
	wait_queue_head_t slot_wait;	/* for the slot's turn; few do, and each for its own */
	struct work_struct read_work;	/* takes what an interrupt has left */
} ____cacheline_aligned_in_smp;

/* What is said on the control queue: one request of each kind at a time. */
enum cswap_control_kind {
	CSWAP_CONTROL_DISCARD,
	CSWAP_CONTROL_MEM,		/* RELEASE or RECLAIM */
	CSWAP_CONTROL_EVENT,
	CSWAP_CONTROL_REPORT,
	CSWAP_CONTROL_KINDS
};

enum cswap_request_state {
	CSWAP_REQUEST_IDLE,
	CSWAP_REQUEST_SENT,		/* with the device */
	CSWAP_REQUEST_ANSWERED,		/* the answer waits to be fetched */
};

struct cswap_control_request {
	void *request, *response;	/* the owner's while idle */
	enum cswap_request_state state;
	u32 used;			/* bytes of the answer, as the device claims */
	unsigned long sent;		/* jiffies */
	void (*answered)(struct cswap_dev *dev); /* in interrupt: there's an answer */
};

struct cswap_control {
	spinlock_t lock;		/* the ring, and requests' states */
	struct virtqueue *vq;
	bool running;
	struct cswap_control_request request[CSWAP_CONTROL_KINDS];
};

/* DISCARD. */
struct cswap_discard {
	bool supported;
	bool lost;			/* what is in flight will never be answered */
	bool reset_wanted;		/* for want of an answer to the request in flight */
	u32 since;			/* cswap_seconds() when it was sent */
	unsigned long *clusters;	/* runs of CSWAP_SHARD_SLOTS with freed slots */
	unsigned long pending;		/* bit 0: the work is due */
	struct delayed_work work;
	struct cswap_range range[VIRTIO_CSWAP_MAX_RANGES]; /* in flight */
	unsigned int nr_ranges;
	unsigned int max_ranges;	/* of the next request */
	u64 cursor;			/* go on with the cluster below this one */
	atomic64_t slots;		/* discarded, for the statistics */
};

/* Counts of the kernel's, that only grow. */
struct cswap_mem_counts {
	u64 swap_in, swap_out;		/* pages */
	u64 refaults;			/* pages */
	u64 alloc_stalls;
	unsigned long events[NR_VM_EVENT_ITEMS]; /* too large for a stack */
};

/* A node's memory. */
struct cswap_mem_node {
	atomic_long_t given;		/* pages */
	unsigned long cursor;		/* where blocks are sought, downwards */
	bool barren;			/* a round brought nothing: huge pages are moved as well */
	bool dry;			/* it had nothing to give... */
	unsigned long dry_until;	/* ...and isn't asked before, in jiffies */
};

/* Where memory is taken from the guest. */
struct cswap_mem {
	struct cswap_mem_node *nodes;	/* [nr_node_ids] */
	struct cswap_dump_map *dump;	/* for a crash kernel, or NULL */
	unsigned int move;		/* blocks to be moved together */
	u32 singles;			/* pages to be taken before blocks are sought again */
	bool reclaimed;			/* for want of free pages, since the flag was last read */
	/* for the statistics */
	atomic64_t conversions;		/* ranges, in either direction */
	u64 moved;			/* blocks had by moving what was in them */
	u64 pinned;			/* tries of that which failed */
	u64 gathered;			/* pages */
};

/* A block in the allocator's terms. */
#define CSWAP_BLOCK_ORDER	9
static_assert(1 << CSWAP_BLOCK_ORDER == CSWAP_BLOCK_PAGES);

/* Ranges that are taken at a time, and the pages in them. */
#define CSWAP_TAKE_RANGES	16
#define CSWAP_TAKE_PAGES	(CSWAP_TAKE_RANGES * (u64)CSWAP_BLOCK_PAGES)
/* Where no more than that is free above the high watermark, memory is short. */
#define CSWAP_SHORT_PAGES	(8 * CSWAP_BLOCK_PAGES)

/* Something that failed, to be tried later each time. In jiffies. */
struct cswap_backoff {
	unsigned long delay;		/* 0: all is well */
	unsigned long until;
};

struct cswap_balloon {
	bool supported, running;
	bool shut_down;			/* only rescue() converts any more */
	bool single;			/* single pages, if there are no blocks */

	/* held by the worker, but not while it looks for memory; a reset waits for it */
	struct mutex step;
	unsigned int noio;		/* of its holder's */
	unsigned int stops;		/* under it */

	spinlock_t lock;		/* blocks; what is out may be read without */
	struct cswap_blocks blocks;

	/* the worker's; read by others */
	/*
	 * Freezable. While a LOAD is lost that the work waits for, the guest doesn't sleep: the
	 * freezer gives up, and the reset that brings the answer comes then.
	 */
	struct workqueue_struct *wq;
	struct delayed_work work;
	struct cswap_mem mem;
	struct cswap_policy policy;
	struct cswap_mem_counts counts;
	struct cswap_mem_range ranges[VIRTIO_CSWAP_MAX_RANGES];
	struct cswap_mem_range fresh[CSWAP_TAKE_RANGES]; /* just taken */
	u32 run_pages;			/* that are converted together; any thread may write it */
	u64 target;			/* bytes, as the device says; any value */
	u64 floor;			/* pages */
	u32 stopped;			/* VIRTIO_CSWAP_STOP_* */
	bool heard;			/* a target, since the start */
	bool again;			/* the device has asked for all to be released again */
	unsigned long again_began;	/* jiffies: the last time that was begun */
	unsigned long again_at;		/* jiffies: it isn't begun again before */
	unsigned long started;		/* jiffies */
	unsigned long event_at;		/* jiffies: the next isn't asked for before */
	s64 step_ooms;			/* when the step began */
	unsigned int step_stops;	/* the same */
	struct cswap_backoff memory;	/* there was none to be had */
	struct cswap_backoff release, reclaim; /* the device refused */
	u64 steps, events, event_errors, requests, ranges_sent, refusals;

	struct task_struct *rescuer;
	wait_queue_head_t rescue_wait, rescue_done;
	unsigned int rescues_asked;	/* under @lock; read without */
	unsigned int rescues_done;	/* the last one asked for that is over */
	nodemask_t rescue_nodes;	/* under @lock: the tasks that lack memory may use these */
	struct notifier_block oom_notifier, reboot_notifier, memory_notifier;
	atomic64_t ooms;		/* times that the guest was out of memory */
	atomic64_t rescued;		/* pages taken back then */
	/* pages, in all */
	atomic64_t taken, returned;
	atomic64_t lost;		/* in no known state, and never used again */
};

struct cswap_reporter {
	bool running;
	unsigned long period;		/* jiffies; 0: the device wants none */
	struct delayed_work work;
	struct cswap_mem_counts counts;
	u64 reports;			/* sent */
};

struct cswap_dev {
	struct virtio_device *vdev;
	struct cswap_geometry geometry;
	int number;			/* of cswapN */
	/* its owner's settings of this device; CSWAP_UNSET: the module's parameters are for it */
	long stall_ms, load_timeout_s;

	struct mutex life;		/* held while rings are made or deleted */
	enum cswap_state state;		/* read without it: all pairs' but BROKEN */
	/*
	 * WQ_MEM_RECLAIM. Freezable, because a device that sleeps mustn't be restored. It runs
	 * until the freezer has frozen all programs. If a kernel thread waits for a page that only
	 * a reset brings, the freezer gives up after pm_freeze_timeout, and the reset comes then.
	 */
	struct workqueue_struct *reset_wq;
	struct delayed_work reset_work;	/* a reset is due, or the rings are to be made again */
	unsigned long reset_at;		/* jiffies: not before */
	bool reset_wanted;		/* by the guest, for want of an answer */
	u32 reset_second;		/* of the tick's: it was wanted last */
	u64 resets;
	u32 stopped_at;			/* by cswap_seconds() */
	unsigned long restart_delay;	/* jiffies: until the rings are made again */

	cswap_record_t *records;	/* [capacity] */
	unsigned int nr_queues;
	unsigned int ring_size;		/* descriptors in the shortest ring */
	struct cswap_queue *queues;
	struct cswap_pool pool;
	struct cswap_seal seal;
	struct cswap_control control;
	struct cswap_discard discard;
	struct cswap_balloon balloon;
	struct cswap_reporter reporter;

	struct gendisk *disk;
	struct workqueue_struct *wq;	/* WQ_MEM_RECLAIM: reads end here */
	struct workqueue_struct *written_wq; /* so do writes; NULL: they end at once */
	struct work_struct written_work;
	spinlock_t written_lock;	/* @written */
	struct bio_list written;	/* stored, to be ended */
	struct delayed_work tick;	/* clocks and retries, while there's need */
	unsigned long tick_due;		/* jiffies; a late one says that the guest stood still */
	unsigned int jumps;		/* times that it was late */
	unsigned long ticking;		/* bit 0: it's to run, hasn't looked at @tick_due */
	u32 seconds;			/* in which the tick ran; see cswap_age_s() */
	unsigned long second_at;	/* jiffies: the last of them, the tick's */
	struct notifier_block fork_notifier, pm_notifier;
	struct dentry *debugfs;
	struct work_struct tampered_work; /* tells of it by a uevent */
	bool nothing_warned;		/* of a swap-in of what isn't stored */
};

/* The bit of @ticking. */
#define CSWAP_TICKING	0

#define CSWAP_UNSET	(-1L)
#define CSWAP_LEAST_STALL_MS	50
#define CSWAP_MOST_STALL_MS	600000
#define CSWAP_MOST_LOAD_TIMEOUT_S 86400

/* Module parameters, virtio_cswap.c. */
extern ulong cswap_stall_ms;
extern ulong cswap_load_timeout_s;
extern bool cswap_balloon_enabled;
extern bool cswap_reports_enabled;
extern bool cswap_single_pages;
extern bool cswap_reclaim_enabled;
extern ulong cswap_brake_percent;
extern struct cswap_floor {
	u32 percent;
	u32 mib;			/* rather than that, if it isn't 0 */
} cswap_floor;

/* --- cswap_pool.c --- */

/*
 * About @pages, in whole blocks: pool->nr_pages. It's rounded up, or down if it would be more than
 * @most. May sleep.
 */
int cswap_pool_alloc(struct cswap_pool *pool, struct device *dma_dev,
		     unsigned int pages, unsigned int most);
void cswap_pool_free(struct cswap_pool *pool);
/* What lies at @offset of @page; it goes on to the end of a block, (1 << pool->order) pages. */
struct cswap_piece cswap_pool_piece(const struct cswap_pool *pool,
				    unsigned int page, unsigned int offset);

/* --- cswap_queue.c: rings --- */

/*
 * Set up @queue for rings of @ring descriptors, with @pages of the pool from
 * @first_page on. -ENOSPC when that's too little of either. May sleep.
 */
int cswap_queue_init(struct cswap_dev *dev, struct cswap_queue *queue,
		     unsigned int ring, unsigned int first_page,
		     unsigned int pages);
void cswap_queue_exit(struct cswap_queue *queue);
/* The rings exist: post all responses, send what waits. Sleeps not. */
int cswap_queue_start(struct cswap_queue *queue);
/* From here on no task begins to use the rings. @state: STOPPED or DEAD. */
void cswap_queue_stop(struct cswap_queue *queue, enum cswap_state state);
/*
 * The rings are deleted: nothing is in flight. Readers of a pair that is DEAD get an
 * error, else their requests are sent again at the next start.
 */
void cswap_queue_forget(struct cswap_queue *queue);
/* Nothing will be sent or answered, at least until a reset. Under the lock. */
bool cswap_queue_is_lost(const struct cswap_queue *queue);
void cswap_queue_interrupt(struct virtqueue *vq);
/* Send what can be sent; returns with the lock dropped and the device told. */
void cswap_queue_unlock_and_send(struct cswap_queue *queue, unsigned long flags)
	__releases(&queue->lock);
/* There may be a copy for a store: wake one that waits, if one does. Under the lock. */
void cswap_queue_wake_store(struct cswap_queue *queue);
/* Wake one of those that wait for a load, if there is one to be had. Under the lock. */
void cswap_queue_wake_load(struct cswap_queue *queue);
/*
 * A reader has released its load: wake one that waits for a load, and all that wait for its slot.
 * Under the lock.
 */
void cswap_queue_wake_readers(struct cswap_queue *queue);
/* Take what is on the rings; true if they had moved. Under the lock. */
bool cswap_queue_read(struct cswap_queue *queue);
/* Take what an interrupt has left. */
void cswap_read_work(struct work_struct *work);
/* Wake all waiters, which look again at the pair's state and at the clock. Any context. */
void cswap_queue_wake_all_readers(struct cswap_queue *queue);
/*
 * The owner's turn: @io has an answer, or there will be none. @first's work opens it, that of the
 * first of its LOAD. Under the lock.
 */
void cswap_queue_hand_over(struct cswap_queue *queue, struct cswap_load_io *io,
			   struct cswap_load_io *first);

/* --- cswap_clock.c: how long the guest has waited --- */

/* No answer for longer than a store may be kept waiting. Under the lock. */
bool cswap_queue_stalled(const struct cswap_queue *queue);
void cswap_tick(struct work_struct *work);
/* Something needs a tick, in a second at the latest. Any context. */
void cswap_tick_soon(struct cswap_dev *dev);
/*
 * The guest stood still since *@jumps was read, or has just gone on: a time-out
 * doesn't count. *@jumps is read anew.
 */
bool cswap_clock_jumped(const struct cswap_dev *dev, unsigned int *jumps);
/*
 * The clock of what waits for an answer: seconds in which the guest ran. It moves while
 * something is in flight or waits for a load, and a first second may be a short one.
 */
u32 cswap_seconds(const struct cswap_dev *dev);
/* How long ago it showed @since. */
u32 cswap_age_s(const struct cswap_dev *dev, u32 since);
/* A reader has waited since then for as long as load_timeout_s allows. */
bool cswap_load_overdue(const struct cswap_dev *dev, u32 since);

/* --- cswap_life.c: rings made and deleted --- */

/* Before anything else of these. */
void cswap_life_init(struct cswap_dev *dev);
/*
 * For probe: have the transport make the rings, which may interrupt from here on. Returns 0, or an
 * error after which there are no rings. Sleeps.
 */
int cswap_life_find_rings(struct cswap_dev *dev);
/* Descriptors in the shortest ring. */
unsigned int cswap_life_ring_size(const struct cswap_dev *dev);
/* Everything that uses the rings begins. After an error comes cswap_life_end(). Sleeps. */
int cswap_life_start(struct cswap_dev *dev);
/*
 * For remove, and a probe that fails: requests that wait get an error, and so do later ones; the
 * device is reset, the rings are deleted, and no others are made. Sleeps.
 */
void cswap_life_end(struct cswap_dev *dev);
/* The virtio driver's callbacks of these names, and reset_prepare and reset_done. */
int cswap_life_freeze(struct virtio_device *vdev);
int cswap_life_restore(struct virtio_device *vdev);
void cswap_life_config_changed(struct virtio_device *vdev);
void cswap_life_shutdown(struct virtio_device *vdev);
/* The device is to be reset: it doesn't answer what pages wait for. Any context. */
void cswap_reset_want(struct cswap_dev *dev);

/* --- cswap_blk.c: the disk --- */

int cswap_disk_add(struct cswap_dev *dev);
/* Loads are over: open their pages, and end their bios. */
void cswap_finish_work(struct work_struct *work);
/* The queue was stopped: wait for the task whose plug would have it send. */
void cswap_wait_unplugged(struct cswap_queue *queue);
/* Writes that didn't end in submit_bio. */
void cswap_written_work(struct work_struct *work);
/* Only the memory that the disk itself needs until its last user is gone. */
void cswap_dev_free(struct cswap_dev *dev);

/* --- cswap_control.c: the control ring --- */

/* After the last of all, or a failure, comes cswap_control_exit(). May sleep. */
int cswap_control_init(struct cswap_dev *dev);
void cswap_control_exit(struct cswap_dev *dev);
void cswap_control_start(struct cswap_dev *dev);
/* Nothing is sent and no answer is taken any more. */
void cswap_control_stop(struct cswap_dev *dev);
/* The rings are deleted: nothing is with the device. */
void cswap_control_forget(struct cswap_dev *dev);
void cswap_control_interrupt(struct virtqueue *vq);
/*
 * Send the request of @kind, whose first @bytes were filled in. Any context.
 * Returns 0, -EBUSY when it's with the device already or there's none, or what
 * else became of it.
 */
int cswap_control_send(struct cswap_dev *dev, enum cswap_control_kind kind,
		       unsigned int bytes);
/*
 * Fetch an answer: what the device wrote, which the caller must check when it reads it, or NULL if
 * there's none. From here on the request is idle.
 */
const void *cswap_control_answer(struct cswap_dev *dev, enum cswap_control_kind kind,
				 u32 *used);
/* It is with the device. */
bool cswap_control_is_sent(struct cswap_dev *dev, enum cswap_control_kind kind);
/* It has been with the device for longer than that, also while the guest stood still. */
bool cswap_control_overdue(struct cswap_dev *dev, enum cswap_control_kind kind,
			   unsigned int ms);
/* The transport gave the ring up: nothing is sent or answered until a reset. */
bool cswap_control_is_broken(struct cswap_dev *dev);

bool cswap_control_is_idle(struct cswap_dev *dev, enum cswap_control_kind kind);

static inline void *cswap_control_request(struct cswap_dev *dev,
					  enum cswap_control_kind kind)
{
	return dev->control.request[kind].request;
}

/* --- cswap_discard.c: DISCARD --- */

int cswap_discard_init(struct cswap_dev *dev);
void cswap_discard_start(struct cswap_dev *dev);
void cswap_discard_stop(struct cswap_dev *dev);
/* The rings are deleted: what was in flight isn't. */
void cswap_discard_forget(struct cswap_dev *dev);
/* No answer for more than @seconds in which the guest ran; true once for each request. */
bool cswap_discard_overdue(struct cswap_dev *dev, u32 seconds);
/* @slot was freed. Any context, no lock of ours. */
void cswap_discard_note(struct cswap_dev *dev, u64 slot);

/* --- cswap_take.c: memory that the guest can do without --- */

/*
 * Take up to @pages from the guest, or with @single a page if there's no block.
 * @stop says when to break off. May take long, reclaim, and sleep. Returns how many
 * @ranges (CSWAP_TAKE_RANGES) were taken and marked; -ENOMEM when no more can be had for
 * now; -EAGAIN.
 */
int cswap_mem_take(struct cswap_mem *mem, u64 pages, bool single,
		   bool (*stop)(void *arg), void *arg, struct cswap_mem_range *ranges);
/* The zone of @pfn is short of memory, and on one of @nodes. Any context. */
bool cswap_mem_is_short(u64 pfn, const nodemask_t *nodes);
/* A zone of @nodes is short of memory. Any context. */
bool cswap_mem_are_short(const nodemask_t *nodes);

/* --- cswap_mem.c: memory that was taken --- */

/* After the last of all, or a failure, comes cswap_mem_exit(). */
int cswap_mem_init(struct cswap_mem *mem);
void cswap_mem_exit(struct cswap_mem *mem);
/* These pages, each with a reference, aren't the guest's any more. Sleeps. */
void cswap_mem_mark(struct cswap_mem *mem, const struct cswap_mem_range *range);
/* Back to the guest. */
void cswap_mem_put(struct cswap_mem *mem, const struct cswap_mem_range *range);
/*
 * Convert memory that was taken: to be the host's, to be the guest's again.
 * What fails is in no known state: it's lost. They sleep, and don't allocate for
 * a block that has been converted before.
 */
int __must_check cswap_mem_share(struct cswap_mem *mem, const struct cswap_mem_range *range);
int __must_check cswap_mem_unshare(struct cswap_mem *mem, const struct cswap_mem_range *range);
/* Sleeps. */
void cswap_mem_count(struct cswap_mem_counts *counts);

/* --- cswap_dump.c: what a crash kernel mustn't read --- */

/* Sleeps. It may have no map then, which is no error. */
void cswap_dump_init(struct cswap_mem *mem);
void cswap_dump_exit(struct cswap_mem *mem);
/* The block that @pfn is in was taken, or is the guest's again. Any context. */
void cswap_dump_note(struct cswap_mem *mem, u64 pfn, bool taken);
/* For sysfs: where it is. */
int cswap_dump_print(const struct cswap_mem *mem, char *buf);
/* This kernel writes another's dump: then it's begin and end, and no device. */
bool cswap_dump_is_crash_kernel(void);
void cswap_dump_begin(void);
void cswap_dump_end(void);

/* --- cswap_balloon.c --- */

/*
 * Why this guest can't use a balloon with such a configuration, or NULL: for the negotiation of
 * features. Values that no configuration may have are for cswap_wire_check_config().
 */
const char *cswap_balloon_unusable(u32 block_size, u8 release_method);
/* Before anything else of these. */
void cswap_balloon_prepare(struct cswap_dev *dev);
/* After all, or a failure, also of what comes before it, comes cswap_balloon_exit(). */
int cswap_balloon_init(struct cswap_dev *dev);
void cswap_balloon_exit(struct cswap_dev *dev);
void cswap_balloon_start(struct cswap_dev *dev);
void cswap_balloon_stop(struct cswap_dev *dev);
/* The rings are deleted: the device can't touch a block any more. */
void cswap_balloon_forget(struct cswap_dev *dev);
/* Pages that the balloon has now. */
u64 cswap_balloon_pages(const struct cswap_balloon *balloon);
/* Why the balloon isn't larger, in a word. */
const char *cswap_balloon_stopped(const struct cswap_balloon *balloon);

/*
 * A range of blocks, at most @most pages, that nobody else has from here on; false if there is
 * none. @urgent: also without an answer of the device. @wanted, or NULL: which blocks. Takes
 * the balloon's lock.
 */
bool cswap_balloon_get(struct cswap_balloon *balloon, bool urgent, u64 most,
		       const struct cswap_blocks_wanted *wanted, struct cswap_mem_range *range);
/* Into the guest's use again; what can't be converted is lost. Sleeps, and allocates nothing. */
void cswap_balloon_give_back(struct cswap_balloon *balloon, const struct cswap_mem_range *range);
/* The worker looks at everything now, if there is one. Any context. */
void cswap_balloon_look(struct cswap_balloon *balloon);

/* --- cswap_rescue.c --- */

/* Before anything else. */
void cswap_rescue_prepare(struct cswap_balloon *balloon);
/* After all, or a failure, also of what comes before it, comes cswap_rescue_exit(). Both sleep. */
int cswap_rescue_init(struct cswap_dev *dev);
void cswap_rescue_exit(struct cswap_dev *dev);

/* --- cswap_report.c --- */

void cswap_report_init(struct cswap_dev *dev);
void cswap_report_start(struct cswap_dev *dev);
void cswap_report_stop(struct cswap_dev *dev);

/* --- cswap_observe.c: what engineers see of the disk; tracepoints are in cswap_trace.h --- */

/* Before anything else. */
void cswap_observe_init(struct cswap_dev *dev);
/*
 * begin: the disk is there. end: no task reads from it any more, so no page fails authentication.
 * Both sleep.
 */
void cswap_observe_begin(struct cswap_dev *dev);
void cswap_observe_end(struct cswap_dev *dev);
/* A page, wanted since @asked, has come or won't come. Under the pair's lock. */
void cswap_observe_wait(struct cswap_queue *queue, ktime_t asked);
/* A page was given up since it didn't open. Any context. */
void cswap_observe_tampered(struct cswap_dev *dev);

/* --- cswap_sysfs.c --- */

extern const struct attribute_group *cswap_disk_groups[];

/* A member of struct cswap_stats, over all pairs. */
static inline u64 cswap_stats_sum(const struct cswap_dev *dev, size_t offset)
{
	unsigned int i;
	u64 total = 0;

	for (i = 0; i < dev->nr_queues; i++)
		total += READ_ONCE(*(u64 *)((u8 *)&dev->queues[i].stats + offset));
	return total;
}

static inline unsigned long cswap_setting(long own, ulong all)
{
	return own == CSWAP_UNSET ? all : own;
}

/* How long a store may be kept waiting. */
static inline unsigned int cswap_stall_ms_of(const struct cswap_dev *dev)
{
	return cswap_setting(READ_ONCE(dev->stall_ms), READ_ONCE(cswap_stall_ms));
}

/* How long a reader waits; 0: for ever. */
static inline u32 cswap_load_timeout_of(const struct cswap_dev *dev)
{
	return cswap_setting(READ_ONCE(dev->load_timeout_s), READ_ONCE(cswap_load_timeout_s));
}

static inline struct cswap_queue *cswap_queue_of(struct cswap_dev *dev, u64 slot)
{
	return &dev->queues[cswap_slot_shard(slot, dev->nr_queues)];
}

#endif /* CSWAP_H */
