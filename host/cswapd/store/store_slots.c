// SPDX-License-Identifier: GPL-2.0-only
/*
 * store_slots.c - the layer that joins an engine's pages with tags in memory.
 *
 * Theory of operation: a STORE writes the tag first, which takes no I/O, then the engine
 * writes the page; a LOAD of a slot without a tag fails, and nothing is read for it. After a
 * death a STORE that isn't acknowledged is written again, tag and page, so it doesn't matter
 * where a process dies in between.
 *
 * A discard changes tags and begins no I/O: the slots that it frees are owed to the medium,
 * and given back in large pieces, when the worker finds that it's time (owed.c). A file that
 * is punched at each discard must be given blocks again for each page that is stored there; in
 * a file that isn't, a page takes the place of the one before. If the medium says that it's
 * full, a STORE has owed slots given back first, a chunk at a time, and fails when nothing is
 * owed any more. On a medium that is memory a discard gives back at once.
 *
 * Tags need memory as slots come into use. The memory is reserved before it's touched, by the
 * kernel's own threads, and only for STOREs: if there is none, or none is left of what the
 * daemon's cgroup may have, the STORE fails as on a full disk. A LOAD never needs any.
 *
 * What an engine has lost may read as zeros, without an error (STORE_READS_ZEROS). A sealed
 * page is never all zeros, but for odds of 2^-128; so a LOAD that finds such a page fails.
 * Of other engines a slot that was never stored reads as zeros.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_files.h"
#include "store_slots.h"
#include "owed.h"

/* How long a writer that finds a chunk closed waits before it looks again. */
#define WAIT_NS 200000
/* ... and how often one waits for what others give back, if the medium is full. */
#define MAX_WAITS 1000

struct store_slots {
	struct store store;
	struct store *engine;
	int fd;				/* of the tags */
	bool owns_fd;
	struct tags_mem tags;
	bool rests;			/* another daemon may have it: nothing is given back; atomic */
	bool owes;			/* discards are owed, in: */
	struct owed owed;
};

struct slots_lane {
	struct store_lane lane;
	struct store_lane *engine;
	struct store_op *waiting;	/* STOREs, for a chunk to open or for space */
	bool giving;			/* @run back, by: */
	struct store_op give;
	struct owed_run run;
	struct store_op *giver;		/* who is told of it, or NULL */
	bool ticking;			/* @waiting is looked at again, by: */
	struct store_op tick;
	struct __kernel_timespec delay;
};

static struct store_slots *slots_of(struct store_lane *lane)
{
	return (struct store_slots *)lane->store;
}

static void end(struct slots_lane *lane, struct store_op *op, int error)
{
	op->error = error;
	lane->lane.done(lane->lane.context, op);
}

/* --- LOADs --- */

static void slots_read(struct store_lane *base, struct store_op *op)
{
	struct slots_lane *lane = (struct slots_lane *)base;
	const struct store_slots *store = slots_of(base);
	bool strict = store->store.facts.flags & STORE_READS_ZEROS;
	uint64_t i;

	for (i = 0; i < op->count; i++) {
		if (tags_mem_state(&store->tags, op->slot + i) == TAG_STORED) {
			op->tag[i] = store->tags.tag[op->slot + i];
		} else if (strict) {
			end(lane, op, -ENODATA);
			return;
		} else {
			op->tag[i] = tag_none;
		}
	}
	lane->engine->store->ops->read(lane->engine, op);
}

static void end_read(struct slots_lane *lane, struct store_op *op)
{
	uint64_t i;

	for (i = 0; !op->error && lane->lane.store->facts.flags & STORE_READS_ZEROS &&
	     i < op->count; i++)
		if (store_is_zero(store_page_of(&op->data[i]), STORE_SLOT_SIZE))
			op->error = -ENODATA;
	lane->lane.done(lane->lane.context, op);
}

/* --- what is owed, and who waits for it --- */

/* Begin with up to @most slots. False: nothing can be given back now. */
static bool begin_giving(struct slots_lane *lane, uint64_t most, struct store_op *giver)
{
	struct store_slots *store = slots_of(&lane->lane);

	if (__atomic_load_n(&store->rests, __ATOMIC_ACQUIRE) ||
	    !owed_pick(&store->owed, most, &lane->run))
		return false;
	lane->giving = true;
	lane->giver = giver;
	lane->give.kind = STORE_DISCARD;
	lane->give.error = 0;
	lane->give.slot = lane->run.slot;
	lane->give.count = lane->run.count;
	lane->engine->store->ops->trim(lane->engine, &lane->give);
	return true;
}

/* It's outside of its chunks. */
static void wait_for_tick(struct slots_lane *lane, struct store_op *op)
{
	struct io_uring_sqe *sqe = lane->ticking ? NULL : store_get_sqe(lane->lane.ring);

	if (!lane->ticking && !sqe) {
		end(lane, op, -EAGAIN);
		return;
	}
	op->next = lane->waiting;
	lane->waiting = op;
	if (lane->ticking)
		return;
	lane->ticking = true;
	lane->delay.tv_nsec = WAIT_NS;
	io_uring_prep_timeout(sqe, &lane->delay, 0, 0);
	store_tag_sqe(sqe, &lane->tick, STORE_PART_TAGS);
}

/* The medium is full: is it worth to try again, when more was given back? */
static bool can_wait_for_space(struct slots_lane *lane, struct store_op *op)
{
	struct store_slots *store = slots_of(&lane->lane);

	if (!store->owes || (op->error != -ENOSPC && op->error != -EDQUOT))
		return false;
	if (op->given != owed_given(&store->owed))
		return true;
	if (op->waits >= MAX_WAITS || !owed_total(&store->owed))
		return false;
	if (!lane->giving && !begin_giving(lane, OWED_CHUNK, NULL))
		/* Others are at it, or what is owed can't be given back. */
		op->waits++;
	return true;
}

/* An engine has used up the vector. */
static void rewind_data(struct store_op *op)
{
	uint64_t i;

	for (i = 0; i < op->count; i++)
		op->data[i] = (struct iovec) { store_page_of(&op->data[i]), STORE_SLOT_SIZE };
	op->error = 0;
}

/* --- STOREs --- */

static void end_write(struct slots_lane *lane, struct store_op *op)
{
	struct store_slots *store = slots_of(&lane->lane);

	if (!store->owes) {
		lane->lane.done(lane->lane.context, op);
		return;
	}
	/* Not inside: its chunk may be what is given back. */
	owed_leave(&store->owed, op->slot, op->count);
	if (can_wait_for_space(lane, op)) {
		rewind_data(op);
		wait_for_tick(lane, op);
		return;
	}
	/* What is in the slots now isn't known. */
	if (op->error)
		owed_discard(&store->owed, op->slot, op->count);
	lane->lane.done(lane->lane.context, op);
}

/* It has begun, and comes to nothing; the engine has not heard of it. */
static void fail_write(struct slots_lane *lane, struct store_op *op, int error)
{
	op->given = owed_given(&slots_of(&lane->lane)->owed);
	op->error = error;
	end_write(lane, op);
}

/* Memory for its tags is there. */
static void begin_write(struct slots_lane *lane, struct store_op *op)
{
	struct store_slots *store = slots_of(&lane->lane);

	if (store->owes) {
		op->given = owed_given(&store->owed);
		owed_store(&store->owed, op->slot, op->tag, op->count);
	} else {
		memcpy(&store->tags.tag[op->slot], op->tag, op->count * STORE_TAG_SIZE);
	}
	lane->engine->store->ops->write(lane->engine, op);
}

static void reserve_tags(struct slots_lane *lane, struct store_op *op)
{
	struct io_uring_sqe *sqe = store_get_sqe(lane->lane.ring);

	if (!sqe) {
		fail_write(lane, op, -EAGAIN);
		return;
	}
	io_uring_prep_fallocate(sqe, STORE_FD_TAGS, FALLOC_FL_KEEP_SIZE,
				(off_t)tags_mem_offset(op->slot),
				(off_t)tags_mem_bytes(op->slot, op->count));
	sqe->flags |= IOSQE_FIXED_FILE;
	store_tag_sqe(sqe, op, STORE_PART_TAGS);
}

static void try_write(struct slots_lane *lane, struct store_op *op)
{
	struct store_slots *store = slots_of(&lane->lane);

	if (store->owes && !owed_enter(&store->owed, op->slot, op->count))
		wait_for_tick(lane, op);
	else if (tags_mem_has(&store->tags, op->slot, op->count))
		begin_write(lane, op);
	else if (tags_mem_may_grow(&store->tags, op->slot, op->count))
		reserve_tags(lane, op);
	else
		fail_write(lane, op, -ENOSPC);
}

static void slots_write(struct store_lane *base, struct store_op *op)
{
	op->tag_retries = 0;
	op->waits = 0;
	try_write((struct slots_lane *)base, op);
}

static void tags_reserved(struct slots_lane *lane, struct store_op *op, int result)
{
	if (result >= 0) {
		tags_mem_note(&slots_of(&lane->lane)->tags, op->slot, op->count);
		begin_write(lane, op);
	} else if (store_worth_retry(result, &op->tag_retries)) {
		reserve_tags(lane, op);
	} else {
		/* For the guest it's one thing which of the host's resources is used up. */
		fail_write(lane, op, result == -ENOMEM ? -ENOSPC : result);
	}
}

/* --- giving back --- */

static void slots_give_back(struct store_lane *base, struct store_op *op)
{
	struct slots_lane *lane = (struct slots_lane *)base;

	if (slots_of(base)->owes && !lane->giving && begin_giving(lane, op->count, op))
		return;
	op->count = 0;
	end(lane, op, 0);
}

static void try_waiting(struct slots_lane *lane)
{
	struct store_op *op = lane->waiting, *next;

	lane->waiting = NULL;
	for (; op; op = next) {
		next = op->next;
		try_write(lane, op);
	}
}

static void end_giving(struct slots_lane *lane)
{
	struct store_op *giver = lane->giver, *op;

	lane->giving = false;
	owed_settle(&slots_of(&lane->lane)->owed, &lane->run, !lane->give.error);
	/* A STORE that waits for space tries once more, then fails. */
	for (op = lane->waiting; lane->give.error && op; op = op->next)
		op->waits = MAX_WAITS;
	if (giver) {
		giver->slot = lane->run.slot;
		giver->count = lane->give.error ? 0 : lane->run.count;
		end(lane, giver, lane->give.error);
	}
	try_waiting(lane);
}

/* --- discards --- */

static void slots_trim(struct store_lane *base, struct store_op *op)
{
	struct slots_lane *lane = (struct slots_lane *)base;
	struct tags_mem *tags = &slots_of(base)->tags;
	uint64_t slot;

	if (slots_of(base)->owes) {
		owed_discard(&slots_of(base)->owed, op->slot, op->count);
		end(lane, op, 0);
		return;
	}
	for (slot = op->slot; slot < op->slot + op->count; slot++)
		if (tags_mem_state(tags, slot) != TAG_NONE)
			tags->tag[slot] = tag_none;
	lane->engine->store->ops->trim(lane->engine, op);
}

/*
 * Only whole pages of tags are given back: the rest of a page belongs to slots that may
 * be written just now. One that began in an earlier piece of the same range goes with the
 * piece that ends it.
 */
static void end_trim(struct slots_lane *lane, struct store_op *op)
{
	uint64_t slot = (op->slot - op->before + TAGS_MEM_SLOTS - 1) / TAGS_MEM_SLOTS *
			TAGS_MEM_SLOTS;

	if (slot < op->slot / TAGS_MEM_SLOTS * TAGS_MEM_SLOTS)
		slot = op->slot / TAGS_MEM_SLOTS * TAGS_MEM_SLOTS;
	for (; !op->error && slot + TAGS_MEM_SLOTS <= op->slot + op->count;
	     slot += TAGS_MEM_SLOTS)
		tags_mem_free_page(&slots_of(&lane->lane)->tags, slot);
	lane->lane.done(lane->lane.context, op);
}

/* --- lanes --- */

static void engine_done(void *context, struct store_op *op)
{
	struct slots_lane *lane = context;

	switch (op->kind) {
	case STORE_READ:
		end_read(lane, op);
		break;
	case STORE_WRITE:
		end_write(lane, op);
		break;
	case STORE_DISCARD:
		if (op == &lane->give)
			end_giving(lane);
		else
			end_trim(lane, op);
		break;
	case STORE_GIVE_BACK:
		break;
	}
}

static void slots_complete(struct store_lane *base, struct store_op *op,
			   enum store_part part, int result)
{
	struct slots_lane *lane = (struct slots_lane *)base;

	if (op == &lane->tick) {
		lane->ticking = false;
		try_waiting(lane);
	} else if (part == STORE_PART_TAGS) {
		tags_reserved(lane, op, result);
	} else {
		lane->engine->store->ops->complete(lane->engine, op, part, result);
	}
}

static void slots_hurry(struct store_lane *base)
{
	struct slots_lane *lane = (struct slots_lane *)base;

	lane->engine->store->ops->hurry(lane->engine);
}

/* A punch that a STORE began may still be under way when the STORE has ended. */
static bool slots_busy(const struct store_lane *base)
{
	const struct slots_lane *lane = (const struct slots_lane *)base;

	return lane->giving || store_is_busy(lane->engine);
}

static void slots_lane_close(struct store_lane *base)
{
	struct slots_lane *lane = (struct slots_lane *)base;

	if (lane->engine)
		lane->engine->store->ops->lane_close(lane->engine);
	store_unregister_fds(base->ring);
	free(lane);
}

static struct store_lane *slots_lane_open(struct store *base, struct io_uring *ring,
					  unsigned int depth, store_done_fn *done,
					  void *context)
{
	struct store_slots *store = (struct store_slots *)base;
	struct slots_lane *lane = calloc(1, sizeof(*lane));
	int error;

	if (!lane)
		return NULL;
	lane->lane = (struct store_lane) { base, ring, done, context };
	error = -store_register_fd(ring, STORE_FD_TAGS, store->fd);
	if (!error) {
		lane->engine = store->engine->ops->lane_open(store->engine, ring, depth,
							     engine_done, lane);
		if (lane->engine)
			return &lane->lane;
		error = errno;
	}
	slots_lane_close(&lane->lane);
	errno = error;
	return NULL;
}

/* --- the store --- */

static void slots_deactivate(struct store *base)
{
	struct store_slots *store = (struct store_slots *)base;

	owed_close(&store->owed);
	tags_mem_unmap(&store->tags);
	store->engine->ops->deactivate(store->engine);
}

/* The engine first: when it's ours no other process writes tags any more. */
static bool slots_activate(struct store *base)
{
	struct store_slots *store = (struct store_slots *)base;

	if (store->engine->ops->activate(store->engine) &&
	    tags_mem_map(&store->tags, store->fd, base->facts.slots) &&
	    (!store->owes ||
	     owed_open(&store->owed, &store->tags, base->facts.trim_bytes)))
		return true;
	slots_deactivate(base);
	return false;
}

static void slots_use(const struct store *base, struct store_use *use)
{
	const struct store_slots *store = (const struct store_slots *)base;

	use->tags_bytes = __atomic_load_n(&store->tags.pages, __ATOMIC_RELAXED) *
			  TAGS_MEM_PAGE;
	use->owed_slots = __atomic_load_n(&store->rests, __ATOMIC_ACQUIRE) ?
				  0 : owed_total(&store->owed);
}

/* --- moving with the guest --- */

static bool slots_can_move(const struct store *base)
{
	return store_can_move(((const struct store_slots *)base)->engine);
}

static void set_resting(struct store_slots *store, bool rests)
{
	__atomic_store_n(&store->rests, rests, __ATOMIC_RELEASE);
}

/* Count anew what is owed: the tags are others than before. */
static bool slots_settle(struct store *base)
{
	struct store_slots *store = (struct store_slots *)base;

	if (!store->owes)
		return true;
	if (store->owed.gate) {
		owed_count_anew(&store->owed);
		return true;
	}
	return owed_open(&store->owed, &store->tags, base->facts.trim_bytes);
}

static bool slots_idle(struct store *base)
{
	struct store_slots *store = (struct store_slots *)base;

	set_resting(store, true);
	if (store->engine->ops->move->idle(store->engine) &&
	    tags_mem_map(&store->tags, store->fd, base->facts.slots) && slots_settle(base))
		return true;
	slots_deactivate(base);
	return false;
}

static bool slots_offer(struct store *base, struct store_ticket *ticket)
{
	struct store *engine = ((struct store_slots *)base)->engine;

	return !engine->ops->move->offer || engine->ops->move->offer(engine, ticket);
}

static bool slots_give_back_store(struct store *base)
{
	struct store *engine = ((struct store_slots *)base)->engine;

	return !engine->ops->move->give_back || engine->ops->move->give_back(engine);
}

static struct pollfd slots_poll(const struct store *base)
{
	return store_move_poll(((const struct store_slots *)base)->engine);
}

static enum store_taken slots_take(struct store *base, const struct store_ticket *ticket)
{
	struct store_slots *store = (struct store_slots *)base;
	enum store_taken taken = store->engine->ops->move->take(store->engine, ticket);

	/* Of a guest that may yet go back nothing begins by itself. */
	if (taken == STORE_TAKEN)
		set_resting(store, ticket);
	return taken;
}

static bool slots_yield(struct store *base)
{
	struct store_slots *store = (struct store_slots *)base;

	set_resting(store, true);
	return store->engine->ops->move->yield(store->engine);
}

/* What is owed goes along: the daemon that has the store gives it back. */
static bool slots_get_tags(struct store *base, uint64_t slot, struct virtio_cswap_tag *to,
			   unsigned int count)
{
	struct store_slots *store = (struct store_slots *)base;
	unsigned int i;

	set_resting(store, true);
	for (i = 0; i < count; i++)
		to[i] = tags_mem_has(&store->tags, slot + i, 1) ? store->tags.tag[slot + i] :
								  tag_none;
	return true;
}

/* What isn't there needs no memory. */
static bool slots_forget_tags(struct store *base)
{
	return tags_mem_forget(&((struct store_slots *)base)->tags);
}

static bool slots_put_tags(struct store *base, uint64_t slot,
			   const struct virtio_cswap_tag *from, unsigned int count)
{
	struct store_slots *store = (struct store_slots *)base;

	if (!tags_mem_has(&store->tags, slot, count)) {
		if (!tags_mem_may_grow(&store->tags, slot, count) ||
		    fallocate(store->fd, FALLOC_FL_KEEP_SIZE, (off_t)tags_mem_offset(slot),
			      (off_t)tags_mem_bytes(slot, count)))
			return false;
		tags_mem_note(&store->tags, slot, count);
	}
	memcpy(&store->tags.tag[slot], from, count * sizeof(*from));
	return true;
}

static const struct store_move_ops slots_move_ops = {
	.possible = slots_can_move,
	.idle = slots_idle,
	.offer = slots_offer,
	.give_back = slots_give_back_store,
	.poll = slots_poll,
	.take = slots_take,
	.yield = slots_yield,
	.get_tags = slots_get_tags,
	.forget_tags = slots_forget_tags,
	.put_tags = slots_put_tags,
	.settle = slots_settle,
};

static void slots_close(struct store *base)
{
	struct store_slots *store = (struct store_slots *)base;

	owed_close(&store->owed);
	tags_mem_unmap(&store->tags);
	store_close(store->engine);
	if (store->owns_fd && store->fd >= 0)
		close(store->fd);
	free(store);
}

static const struct store_ops store_slots_ops = {
	.name = "tags in memory",
	.activate = slots_activate,
	.deactivate = slots_deactivate,
	.lane_open = slots_lane_open,
	.read = slots_read,
	.write = slots_write,
	.trim = slots_trim,
	.complete = slots_complete,
	.give_back = slots_give_back,
	.use = slots_use,
	.hurry = slots_hurry,
	.busy = slots_busy,
	.lane_close = slots_lane_close,
	.close = slots_close,
	.move = &slots_move_ops,
};

struct store *store_slots_wrap(struct store *engine, int tags_fd)
{
	struct store_slots *store = engine ? calloc(1, sizeof(*store)) : NULL;

	if (!store) {
		if (engine)
			store_close(engine);
		return NULL;
	}
	store->store.ops = &store_slots_ops;
	store->store.facts = engine->facts;
	store->engine = engine;
	store->owes = engine->facts.trim_bytes &&
		      engine->facts.medium != VIRTIO_CSWAP_MEDIUM_MEMORY;
	store->owns_fd = tags_fd < 0;
	store->fd = store->owns_fd ? tags_mem_create(engine->facts.slots) : tags_fd;
	if (store->fd >= 0)
		return &store->store;
	store_close(&store->store);
	return NULL;
}
