// SPDX-License-Identifier: GPL-2.0-only
/*
 * store_tagged.c - the layer that joins an engine's pages with tags in a file.
 *
 * Theory of operation: an operation has two parts, the engine's and the tags', which are
 * under way at the same time. It ends when both parts have ended. Neither knows of the other.
 *
 * What an engine has lost may read as zeros, without an error (STORE_READS_ZEROS). A sealed
 * page and a tag are never all zeros, but for odds of 2^-128; so a LOAD fails if it finds a
 * page or a tag of zeros.
 */
#include <errno.h>
#include <stdlib.h>

#include "tags.h"

struct store_tagged {
	struct store store;
	struct store *engine;
	struct tags *tags;
};

struct tagged_lane {
	struct store_lane lane;
	struct store_lane *engine;
	struct tags_lane *tags;
};

/* --- the data path --- */

/* Is one of the pages that were read none that was stored? */
static bool is_hollow(const struct store_op *op)
{
	uint64_t i;

	for (i = 0; i < op->count; i++)
		if (store_is_zero(store_page_of(&op->data[i]), STORE_SLOT_SIZE) ||
		    store_is_zero(&op->tag[i], sizeof(op->tag[i])))
			return true;
	return false;
}

static void part_end(struct store_lane *lane, struct store_op *op)
{
	if (--op->parts)
		return;
	if (!op->error)
		op->error = op->tags_error;
	if (op->kind == STORE_READ && !op->error &&
	    lane->store->facts.flags & STORE_READS_ZEROS && is_hollow(op))
		op->error = -ENODATA;
	lane->done(lane->context, op);
}

static void engine_done(void *context, struct store_op *op)
{
	part_end(context, op);
}

static void tags_done(void *context, struct store_op *op, int error)
{
	op->tags_error = error;
	part_end(context, op);
}

static void begin(struct store_op *op)
{
	op->parts = 2;
	op->tags_error = 0;
}

static void tagged_read(struct store_lane *base, struct store_op *op)
{
	struct tagged_lane *lane = (struct tagged_lane *)base;

	begin(op);
	lane->engine->store->ops->read(lane->engine, op);
	lane->tags->tags->ops->read(lane->tags, op);
}

static void tagged_write(struct store_lane *base, struct store_op *op)
{
	struct tagged_lane *lane = (struct tagged_lane *)base;

	begin(op);
	lane->engine->store->ops->write(lane->engine, op);
	lane->tags->tags->ops->write(lane->tags, op);
}

static void tagged_trim(struct store_lane *base, struct store_op *op)
{
	struct tagged_lane *lane = (struct tagged_lane *)base;

	begin(op);
	lane->tags->tags->ops->forget(lane->tags, op);
	lane->engine->store->ops->trim(lane->engine, op);
}

static void tagged_complete(struct store_lane *base, struct store_op *op,
			    enum store_part part, int result)
{
	struct tagged_lane *lane = (struct tagged_lane *)base;

	if (part == STORE_PART_TAGS)
		lane->tags->tags->ops->complete(lane->tags, op, result);
	else
		lane->engine->store->ops->complete(lane->engine, op, part, result);
}

static void tagged_hurry(struct store_lane *base)
{
	struct tagged_lane *lane = (struct tagged_lane *)base;

	lane->engine->store->ops->hurry(lane->engine);
}

static bool tagged_busy(const struct store_lane *base)
{
	return store_is_busy(((const struct tagged_lane *)base)->engine);
}

/* --- lanes --- */

static void tagged_lane_close(struct store_lane *base)
{
	struct tagged_lane *lane = (struct tagged_lane *)base;

	if (lane->tags)
		lane->tags->tags->ops->lane_close(lane->tags);
	if (lane->engine)
		lane->engine->store->ops->lane_close(lane->engine);
	free(lane);
}

static struct store_lane *tagged_lane_open(struct store *base, struct io_uring *ring,
					   unsigned int depth, store_done_fn *done,
					   void *context)
{
	struct store_tagged *store = (struct store_tagged *)base;
	struct tagged_lane *lane = calloc(1, sizeof(*lane));
	int error;

	if (!lane)
		return NULL;
	lane->lane = (struct store_lane) { base, ring, done, context };
	lane->engine = store->engine->ops->lane_open(store->engine, ring, depth,
						     engine_done, lane);
	if (lane->engine)
		lane->tags = store->tags->ops->lane_open(store->tags, ring, tags_done,
							 lane);
	if (lane->tags)
		return &lane->lane;
	error = errno;
	tagged_lane_close(&lane->lane);
	errno = error;
	return NULL;
}

/* --- the store --- */

static void tagged_deactivate(struct store *base)
{
	struct store_tagged *store = (struct store_tagged *)base;

	store->tags->ops->deactivate(store->tags);
	store->engine->ops->deactivate(store->engine);
}

static bool tagged_activate(struct store *base)
{
	struct store_tagged *store = (struct store_tagged *)base;

	if (store->engine->ops->activate(store->engine) &&
	    store->tags->ops->activate(store->tags))
		return true;
	tagged_deactivate(base);
	return false;
}

/* --- moving with the guest --- */

static bool tagged_can_move(const struct store *base)
{
	const struct store_tagged *store = (const struct store_tagged *)base;

	return store_can_move(store->engine) && store->tags->ops->idle;
}

static bool tagged_idle(struct store *base)
{
	struct store_tagged *store = (struct store_tagged *)base;

	if (store->engine->ops->move->idle(store->engine) &&
	    store->tags->ops->idle(store->tags))
		return true;
	tagged_deactivate(base);
	return false;
}

static bool tagged_offer(struct store *base, struct store_ticket *ticket)
{
	struct store *engine = ((struct store_tagged *)base)->engine;

	return !engine->ops->move->offer || engine->ops->move->offer(engine, ticket);
}

static bool tagged_give_back(struct store *base)
{
	struct store *engine = ((struct store_tagged *)base)->engine;

	return !engine->ops->move->give_back || engine->ops->move->give_back(engine);
}

static struct pollfd tagged_poll(const struct store *base)
{
	return store_move_poll(((const struct store_tagged *)base)->engine);
}

static enum store_taken tagged_take(struct store *base, const struct store_ticket *ticket)
{
	struct store_tagged *store = (struct store_tagged *)base;
	enum store_taken taken = store->engine->ops->move->take(store->engine, ticket);

	if (taken != STORE_TAKEN || store->tags->ops->take(store->tags))
		return taken;
	store->engine->ops->move->yield(store->engine);
	return store_not_taken(ticket);
}

/* The engine last: the process that has it has all. */
static bool tagged_yield(struct store *base)
{
	struct store_tagged *store = (struct store_tagged *)base;

	return store->tags->ops->yield(store->tags) &&
	       store->engine->ops->move->yield(store->engine);
}

static bool tagged_get_tags(struct store *base, uint64_t slot, struct virtio_cswap_tag *to,
			    unsigned int count)
{
	struct store_tagged *store = (struct store_tagged *)base;

	return store->tags->ops->get(store->tags, slot, to, count);
}

static bool tagged_put_tags(struct store *base, uint64_t slot,
			    const struct virtio_cswap_tag *from, unsigned int count)
{
	struct store_tagged *store = (struct store_tagged *)base;

	return store->tags->ops->put(store->tags, slot, from, count);
}

static const struct store_move_ops tagged_move_ops = {
	.possible = tagged_can_move,
	.idle = tagged_idle,
	.offer = tagged_offer,
	.give_back = tagged_give_back,
	.poll = tagged_poll,
	.take = tagged_take,
	.yield = tagged_yield,
	.get_tags = tagged_get_tags,
	.put_tags = tagged_put_tags,
};

static void tagged_close(struct store *base)
{
	struct store_tagged *store = (struct store_tagged *)base;

	store->tags->ops->close(store->tags);
	store_close(store->engine);
	free(store);
}

static const struct store_ops store_tagged_ops = {
	.name = "tags",
	.activate = tagged_activate,
	.deactivate = tagged_deactivate,
	.lane_open = tagged_lane_open,
	.read = tagged_read,
	.write = tagged_write,
	.trim = tagged_trim,
	.complete = tagged_complete,
	.hurry = tagged_hurry,
	.busy = tagged_busy,
	.lane_close = tagged_lane_close,
	.close = tagged_close,
	.move = &tagged_move_ops,
};

struct store *store_tagged_wrap(struct store *engine, struct tags *tags)
{
	struct store_tagged *store = calloc(1, sizeof(*store));

	if (store && engine && tags) {
		store->store.ops = &store_tagged_ops;
		store->store.facts = engine->facts;
		store->engine = engine;
		store->tags = tags;
		return &store->store;
	}
	free(store);
	if (engine)
		store_close(engine);
	if (tags)
		tags->ops->close(tags);
	return NULL;
}
