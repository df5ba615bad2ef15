/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * store.h - what keeps the slots: the contract between the workers and an engine.
 *
 * Theory of operation: a store is an engine, which keeps pages and knows nothing of tags,
 * and layers around it, which look like an engine to the layer above them:
 *
 *	worker -> [tests: faults] -> tags -> engine
 *
 * Tags are in memory (store_slots.c) or in a file of their own (store_tagged.c).
 *
 * An engine is a file of its own (store_file.c, store_block.c, store_mem.c) with a
 * table of functions. Its life:
 *   open		once, in the process that lives longest. Facts are known from then on;
 *			nothing is written.
 *   activate		in the process that serves: it may write from now on, and no other
 *			process does any more (I6). deactivate: others may.
 *   idle, take, yield	of a store that moves with its guest from one daemon to another:
 *			struct store_move_ops.
 *   lane_open		in each of its threads, which has an io_uring of its own.
 *   read, write, trim	of a lane, by its thread. They come back by its callback, in any
 *			order, from inside these calls or complete().
 */
#ifndef CSWAPD_STORE_H
#define CSWAPD_STORE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <liburing.h>
#include <linux/virtio_cswap.h>

#define STORE_SLOT_SIZE VIRTIO_CSWAP_SLOT_SIZE
#define STORE_TAG_SIZE VIRTIO_CSWAP_TAG_SIZE
/* Pages in one operation. */
#define STORE_MAX_PAGES 64

enum store_kind {
	STORE_WRITE,
	STORE_READ,
	STORE_DISCARD,
	STORE_GIVE_BACK,		/* of what was discarded: any slots, up to @count of them */
};

/*
 * An operation's io_uring requests carry its address and whose they are; the owner of
 * the ring uses the lower values for itself.
 */
enum store_part {
	STORE_PART_DATA = 4,		/* the engine's */
	STORE_PART_TAGS = 5,
	STORE_PART_TIMER = 6,		/* of a layer that waits */
};

#define STORE_PART_MASK 7

/* An engine behind a server may have so many connections, in all. */
#define STORE_MAX_CONNECTIONS 64

/* Indices of the descriptors that a lane registers with its ring; an engine's are the last. */
enum { STORE_FD_TAGS, STORE_FD_DATA, STORE_NUM_FDS = STORE_FD_DATA + STORE_MAX_CONNECTIONS };

struct store_op {
	struct store_op *next;		/* the present owner's */
	void *user;			/* the submitter's, as is @rest */
	void *rest;
	enum store_kind kind;
	int error;			/* outcome: 0 or -errno */
	uint64_t slot;			/* the first */
	uint64_t count;			/* slots; WRITE, READ: up to STORE_MAX_PAGES */
	uint64_t before;		/* DISCARD: slots before it that it goes on from */
	uint64_t begun_ns;		/* the submitter's; other threads look at it */
	struct iovec data[STORE_MAX_PAGES]; /* WRITE, READ: a page each; an engine may change them */
	struct virtio_cswap_tag tag[STORE_MAX_PAGES]; /* in for WRITE, out for READ; no engine's */

	/* The engine's own. */
	struct iovec *data_left;
	uint64_t slots_done;
	uint32_t data_bytes_left;
	uint8_t retries;

	/* Those of the layers around it. */
	uint8_t parts;			/* store_tagged.c: under way */
	int tags_error;			/* store_tagged.c */
	uint32_t tag_bytes_done;	/* tags_file.c */
	uint8_t tag_retries;		/* tags_file.c, store_slots.c */
	uint16_t waits;			/* store_slots.c, as is the next */
	uint64_t given;
	struct __kernel_timespec delay;	/* store_fault.c */
};

struct store;
struct store_lane;
struct store_files;

typedef void store_done_fn(void *context, struct store_op *op);

/* What a store takes and owes at the moment. */
struct store_use {
	uint64_t tags_bytes;		/* of memory */
	uint64_t owed_slots;		/* discarded, and not given back to the medium yet */
};

/*
 * What a guest's state takes along for the one who is to have the store: which one, and which move this is. Engines
 * that have a lock need none.
 */
#define STORE_TICKET_BYTES 16

struct store_ticket {
	uint8_t id[STORE_TICKET_BYTES];	/* in its signature */
	uint8_t number[STORE_TICKET_BYTES]; /* no other move has it */
};

/* Is the store this daemon's now? */
enum store_taken {
	STORE_TAKEN,			/* no other process writes from now on */
	STORE_NOT_YET,			/* it isn't known, or another daemon has it and may let go: worth another question */
	STORE_REFUSED,			/* another daemon has it, and keeps it */
};

/*
 * How a store goes to another daemon, with its guest. No operation is under way at any of these, and none
 * blocks but for I/O of the host's own: take() and give_back() of a store at a server say that its answers aren't there
 * yet, for four seconds at most in each process. Lanes stay open. All can be called again.
 */
struct store_move_ops {
	/* Could it? An engine that can't leaves the table out. */
	bool (*possible)(const struct store *store);
	/* Instead of activate(): open, but somebody else may be writing. False: logged. */
	bool (*idle)(struct store *store);
	/* A ticket for this move; who takes the store back needs none. NULL: nobody needs any. */
	bool (*offer)(struct store *store, struct store_ticket *ticket);
	/*
	 * From idle to active, tried once: nobody else writes from now on, who wrote before has ended, and
	 * what he wrote can be read. @ticket: of a guest that comes: nothing is begun that wasn't asked for, until
	 * it's taken again without one, as the guest stays; NULL: it was ours before. NOT_YET:
	 * to be asked for again, when poll() says so and every now and then. Who doesn't ask again yields, and so does
	 * who is REFUSED.
	 */
	enum store_taken (*take)(struct store *store, const struct store_ticket *ticket);
	/*
	 * From active to idle: what was written can be read by who takes it. False: it may be lost. Of one that
	 * isn't active: no more is wanted of it.
	 */
	bool (*yield)(struct store *store);
	/*
	 * What was taken by a ticket, and never used, can be taken back by who offered it; then it's to be
	 * yielded. False: not yet, to be asked for again as take() is, and by the next process if this one ends
	 * (which it may have to, at a server). NULL: to yield says that.
	 */
	bool (*give_back)(struct store *store);
	/* Until what is it of no use to ask take() or give_back() again? fd -1: nothing. NULL: never anything. */
	struct pollfd (*poll)(const struct store *store);
	/*
	 * Tags of @count slots; of one without a page: zeros, or anything. Active, and from here on nothing
	 * is begun that wasn't asked for, until it's taken again. False: I/O error.
	 */
	bool (*get_tags)(struct store *store, uint64_t slot, struct virtio_cswap_tag *to,
			 unsigned int count);
	bool (*put_tags)(struct store *store, uint64_t slot, const struct virtio_cswap_tag *from,
			 unsigned int count);
	/* Before any tag is put: those of a guest that was here before. NULL: they do no harm. */
	bool (*forget_tags)(struct store *store);
	/* All tags were put. NULL: there's nothing to do. False: no memory. */
	bool (*settle)(struct store *store);
};

struct store_ops {
	const char *name;		/* of the engine: "file" */

	/*
	 * Engines only: what @files hold (they outlive the store), or NULL for none. Doesn't
	 * wait for anybody. NULL: logged.
	 */
	struct store *(*open)(const struct store_files *files, uint64_t slots);
	/* May wait for who had it before. False: logged. */
	bool (*activate)(struct store *store);
	/* No lane is open. Also of a store that isn't active. */
	void (*deactivate)(struct store *store);
	/*
	 * A lane for the calling thread, on its @ring, for up to @depth operations at a
	 * time. NULL with errno set.
	 */
	struct store_lane *(*lane_open)(struct store *store, struct io_uring *ring,
					unsigned int depth, store_done_fn *done,
					void *context);
	/* Never fail: errors come by the callback, in op->error. */
	void (*read)(struct store_lane *lane, struct store_op *op);
	void (*write)(struct store_lane *lane, struct store_op *op);
	/* An engine that can't give space back says that it's done. */
	void (*trim)(struct store_lane *lane, struct store_op *op);
	/* A completion on the ring that carries @op and @part. */
	void (*complete)(struct store_lane *lane, struct store_op *op,
			 enum store_part part, int result);
	/*
	 * Give some of what is owed back; op->slot and op->count say what, 0: there is
	 * nothing that can be now. NULL: nothing is ever owed.
	 */
	void (*give_back)(struct store_lane *lane, struct store_op *op);
	/* What the store takes and owes now; NULL: nothing. Any thread. */
	void (*use)(const struct store *store, struct store_use *use);
	/* Hold nothing back any longer: somebody waits for all to end. */
	void (*hurry)(struct store_lane *lane);
	/* Is something under way that no operation of the lane's user waits for? NULL: never. Its thread. */
	bool (*busy)(const struct store_lane *lane);
	void (*lane_close)(struct store_lane *lane);
	/* Deactivates, too. */
	void (*close)(struct store *store);
	const struct store_move_ops *move; /* NULL: it can't */
};

/* What is lost reads as zeros, without an error. */
#define STORE_READS_ZEROS (1 << 0)
/* The ticket alone says whether it's the store that a guest's pages are in. */
#define STORE_BY_TICKET (1 << 1)

/* What is known of a store from its opening on. */
struct store_facts {
	uint64_t slots;
	uint32_t trim_bytes;		/* granularity of what a trim gives back; 0: nothing */
	unsigned int merge_pages;	/* 1: don't merge requests; else up to this */
	uint8_t medium;			/* VIRTIO_CSWAP_MEDIUM_* */
	uint8_t flags;			/* STORE_* */
	void *pages;			/* NULL, or the guest's, in this process's memory */
	size_t pages_bytes;
};

struct store {
	const struct store_ops *ops;
	struct store_facts facts;
};

struct store_lane {
	struct store *store;
	struct io_uring *ring;
	store_done_fn *done;
	void *context;
};

/* The engine for @files (NULL: anonymous memory), and its tags. NULL: logged. */
struct store *store_open(const struct store_files *files, uint64_t slots);

static inline struct store_use store_get_use(const struct store *store)
{
	struct store_use use = { 0 };

	if (store->ops->use)
		store->ops->use(store, &use);
	return use;
}

static inline bool store_is_busy(const struct store_lane *lane)
{
	return lane->store->ops->busy && lane->store->ops->busy(lane);
}

static inline void store_close(struct store *store)
{
	store->ops->close(store);
}

static inline bool store_can_move(const struct store *store)
{
	const struct store_move_ops *move = store->ops->move;

	return move && (!move->possible || move->possible(store));
}

/*
 * What to answer when a store that has a lock can't be had. A guest that comes: the daemon that it left gave the lock up
 * before, so the one that has it now keeps it. A guest that stays: the other daemon may yet give it back.
 */
static inline enum store_taken store_not_taken(const struct store_ticket *ticket)
{
	return ticket ? STORE_REFUSED : STORE_NOT_YET;
}

/* Of one that can move. */
static inline struct pollfd store_move_poll(const struct store *store)
{
	const struct store_move_ops *move = store->ops->move;

	return move->poll ? move->poll(store) : (struct pollfd){ .fd = -1 };
}

static inline void store_submit(struct store_lane *lane, struct store_op *op)
{
	const struct store_ops *ops = lane->store->ops;

	op->error = 0;
	switch (op->kind) {
	case STORE_WRITE:
		ops->write(lane, op);
		break;
	case STORE_READ:
		ops->read(lane, op);
		break;
	case STORE_DISCARD:
		ops->trim(lane, op);
		break;
	case STORE_GIVE_BACK:
		ops->give_back(lane, op);
		break;
	}
}

/* --- for engines and layers --- */

extern const struct store_ops store_file_ops, store_block_ops, store_mem_ops, store_nbd_ops;

struct tags;

/* @engine with @tags, both ours from now on: one of them may be NULL, then so is the result. */
struct store *store_tagged_wrap(struct store *engine, struct tags *tags);

/* A submission entry for @part of @op, or NULL if the ring is stuck. */
struct io_uring_sqe *store_get_sqe(struct io_uring *ring);
void store_tag_sqe(struct io_uring_sqe *sqe, struct store_op *op,
		   enum store_part part);

/* Register @fd as @index, for the life of the ring. 0 or -errno. */
int store_register_fd(struct io_uring *ring, unsigned int index, int fd);
/* All of them: or they'd be in use until the kernel has cleaned up. */
void store_unregister_fds(struct io_uring *ring);

/* Some kinds of failure are worth another try; the rest is the outcome. */
bool store_worth_retry(int result, uint8_t *retries);

/* It ends at the first word in all cases but the one. */
bool store_is_zero(const void *from, size_t bytes);

/* An engine may have moved the vector along: where did the page begin? */
static inline uint8_t *store_page_of(const struct iovec *iov)
{
	return (uint8_t *)iov->iov_base - (STORE_SLOT_SIZE - iov->iov_len);
}

#endif
