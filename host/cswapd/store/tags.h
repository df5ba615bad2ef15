/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tags.h - where the tags of a store's slots are kept: the contract with store_tagged.c.
 *
 * The functions are those of a store, but for 16 bytes a slot. Operations of one slot come one
 * at a time; operations of neighbouring slots may be under way in other threads.
 */
#ifndef CSWAPD_TAGS_H
#define CSWAPD_TAGS_H

#include "store.h"

struct tags;
struct tags_lane;

/* @error: 0 or -errno. */
typedef void tags_done_fn(void *context, struct store_op *op, int error);

struct tags_ops {
	bool (*activate)(struct tags *tags);
	void (*deactivate)(struct tags *tags);
	struct tags_lane *(*lane_open)(struct tags *tags, struct io_uring *ring,
				       tags_done_fn *done, void *context);
	/* Of op->tag, both ways. Errors come by the callback, also from inside. */
	void (*read)(struct tags_lane *lane, struct store_op *op);
	void (*write)(struct tags_lane *lane, struct store_op *op);
	/* What only these slots use may be given back. */
	void (*forget)(struct tags_lane *lane, struct store_op *op);
	/* A completion on the ring that carries @op and STORE_PART_TAGS. */
	void (*complete)(struct tags_lane *lane, struct store_op *op, int result);
	void (*lane_close)(struct tags_lane *lane);
	void (*close)(struct tags *tags);
	/* As a store's that moves; NULL: they can't. */
	bool (*idle)(struct tags *tags);
	bool (*take)(struct tags *tags);
	bool (*yield)(struct tags *tags);
	bool (*get)(struct tags *tags, uint64_t slot, struct virtio_cswap_tag *to,
		    unsigned int count);
	bool (*put)(struct tags *tags, uint64_t slot, const struct virtio_cswap_tag *from,
		    unsigned int count);
};

struct tags {
	const struct tags_ops *ops;
};

struct tags_lane {
	struct tags *tags;
	struct io_uring *ring;
	tags_done_fn *done;
	void *context;
};

/* The tags file of @files, which outlive it. NULL: logged. */
struct tags *tags_file_open(const struct store_files *files);

#endif
