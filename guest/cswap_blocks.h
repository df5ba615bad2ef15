/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cswap_blocks.h - the blocks of memory that the guest has given up: the state of each, and what
 * the driver tells the device of it. Theory of operation in cswap_blocks.c.
 *
 * Pure: no I/O, no allocation, no locks (the caller has one); the tests compile
 * the same source in userspace.
 */
#ifndef CSWAP_BLOCKS_H
#define CSWAP_BLOCKS_H

#include <linux/types.h>
#include <linux/virtio_cswap.h>

/* Blocks in a request at most: 1 GiB of them. */
#define CSWAP_BATCH_BLOCKS	512

enum cswap_block_state {
	CSWAP_BLOCK_HELD,	/* the device doesn't know the block */
	CSWAP_BLOCK_RELEASING,	/* its RELEASE isn't answered */
	CSWAP_BLOCK_RELEASED,	/* its RELEASE is answered */
	CSWAP_BLOCK_RECLAIMING,	/* its RECLAIM isn't answered */
	/* below: the guest uses the block already, and its RECLAIM... */
	CSWAP_BLOCK_OWED,	/* is still to be sent */
	CSWAP_BLOCK_OWED_SENT,	/* isn't answered */
	CSWAP_BLOCK_STATES
};

struct cswap_block {
	struct cswap_block *next;	/* on a list */
	u64 pfn;
	u32 pages;
	u8 state;			/* enum cswap_block_state */
};

/* Memory, by its page frame number. */
struct cswap_mem_range {
	u64 pfn;
	u64 pages;
};

enum cswap_batch_op { CSWAP_BATCH_NONE, CSWAP_BATCH_RELEASE, CSWAP_BATCH_RECLAIM };

struct cswap_blocks {
	struct cswap_block *held, *released, *owed; /* lists of these states */
	struct cswap_block *again;		/* RELEASED as well, and to be RELEASEd again */
	struct cswap_block *spare;		/* structs that no block uses */
	enum cswap_batch_op op;			/* of the request that is with the device */
	bool repeats;				/* its blocks were on @again */
	u32 batch_blocks;
	struct cswap_block *batch[CSWAP_BATCH_BLOCKS]; /* its blocks */
	u64 pages[CSWAP_BLOCK_STATES];		/* in each state */
};

/* Pages that the guest has given up. */
static inline u64 cswap_blocks_out(const struct cswap_blocks *blocks)
{
	return blocks->pages[CSWAP_BLOCK_HELD] + blocks->pages[CSWAP_BLOCK_RELEASING] +
	       blocks->pages[CSWAP_BLOCK_RELEASED] + blocks->pages[CSWAP_BLOCK_RECLAIMING];
}

/* A struct that no block needs, for the next one or to be freed; or NULL. */
struct cswap_block *cswap_blocks_spare(struct cswap_blocks *blocks);
/* Keep a struct that was for a block and isn't needed. */
void cswap_blocks_keep(struct cswap_blocks *blocks, struct cswap_block *block);
/* The guest has given up @pages from @pfn on; @block is a struct for them. */
void cswap_blocks_add(struct cswap_blocks *blocks, struct cswap_block *block,
		      u64 pfn, u32 pages);

/*
 * What to RELEASE now, or if there is nothing, again, about @pages: fills @ranges
 * (MAX_RANGES), merged and in order, and returns their number. These blocks are
 * with the device until cswap_blocks_answered() or cswap_blocks_reset(). 0 when
 * there's nothing to send, or nothing may be: another request is out, or a RECLAIM
 * is owed.
 */
u32 cswap_blocks_release(struct cswap_blocks *blocks, u64 pages,
			 struct cswap_mem_range *ranges);
/*
 * The same for RECLAIM: what is owed, or if nothing is, released blocks of about
 * @pages.
 */
u32 cswap_blocks_reclaim(struct cswap_blocks *blocks, u64 pages,
			 struct cswap_mem_range *ranges);
/* The request that is out was answered, and well if @ok. */
void cswap_blocks_answered(struct cswap_blocks *blocks, bool ok);
/* The request couldn't be sent: its blocks are what they were before. */
void cswap_blocks_unsent(struct cswap_blocks *blocks);
/*
 * The host may have memory again behind what is released: all of it is to be
 * RELEASEd again. False if that can't begin yet, since it's under way, or a request
 * is out.
 */
bool cswap_blocks_again(struct cswap_blocks *blocks);
/* The device was reset: it can't touch a block, and has forgotten all of them. */
void cswap_blocks_reset(struct cswap_blocks *blocks);

/* Says which blocks are meant; NULL: any block. */
struct cswap_blocks_wanted {
	bool (*is_wanted)(const struct cswap_blocks_wanted *wanted, u64 pfn);
};

/*
 * Memory for the guest to use again: a block that is held, and those that lie
 * behind it and are next on its list, of @most pages together unless one has
 * more; with @urgent also blocks that the device thinks are released, and will be
 * told of later. Never one whose RELEASE isn't answered. False when there is none.
 */
bool cswap_blocks_get(struct cswap_blocks *blocks, bool urgent, u64 most,
		      const struct cswap_blocks_wanted *wanted, struct cswap_mem_range *range);
/* True if a block that is meant is in a RELEASE that isn't answered. */
bool cswap_blocks_is_releasing(const struct cswap_blocks *blocks,
			       const struct cswap_blocks_wanted *wanted);

#endif /* CSWAP_BLOCKS_H */
