// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_blocks.c - the blocks of memory that the guest has given up: the state of each, and what
 * the driver tells the device of it.
 *
 * Theory of operation
 *
 *	(taken from the guest)
 *	    v
 *	   HELD -------> RELEASING ----> RELEASED ----> RECLAIMING
 *	    |  ^  RELEASE  |  |  answered  |   RECLAIM      |
 *	    |  +-----------+  |            |                |
 *	    |  |  refused     |            +<----- refused -+
 *	    |  +<-------------|------------|---- answered --+
 *	    v                 |            | urgent         | urgent
 *	(back to the guest)   |            v                v
 *	              never   X          OWED ------> OWED_SENT --> (nothing)
 *	                                     RECLAIM       answered, in any way
 *
 * The invariant (I5): between a RELEASE and its answer the device may discard the block at any
 * time, so the guest doesn't use the block, whatever else happens. No time-out leads out of
 * RELEASING; only an answer does, or a reset after which the device can't reach memory. Every
 * answer does, a refusal too: the device discards nothing after its answer.
 *
 * A guest that is out of memory takes RELEASED blocks without asking the device. The driver then
 * owes the device a RECLAIM, and sends it before any RELEASE: the balloon may have taken the same
 * memory again meanwhile, and if the new RELEASE overtook the older RECLAIM, the device would
 * believe that the guest uses the memory.
 *
 * The host may have memory again behind RELEASED blocks, and the device say so. Then they are
 * RELEASEd again, some at a time. A block whose second RELEASE is refused is released all the same.
 *
 * One request is with the device at a time. A reset makes all blocks of the balloon HELD: the
 * driver RELEASEs them again, to a device that knows nothing yet.
 */
#include <linux/sort.h>
#include <linux/string.h>

#include "cswap_blocks.h"

static void push(struct cswap_block **list, struct cswap_block *block)
{
	block->next = *list;
	*list = block;
}

static struct cswap_block *pop(struct cswap_block **list)
{
	struct cswap_block *block = *list;

	if (block)
		*list = block->next;
	return block;
}

static void state_set(struct cswap_blocks *blocks, struct cswap_block *block,
		      enum cswap_block_state state)
{
	blocks->pages[block->state] -= block->pages;
	blocks->pages[state] += block->pages;
	block->state = state;
}

static void place(struct cswap_blocks *blocks, struct cswap_block *block,
		  enum cswap_block_state state, struct cswap_block **list)
{
	state_set(blocks, block, state);
	push(list, block);
}

/* @block is on no list and has no memory any more: keep the struct for another block. */
static void retire(struct cswap_blocks *blocks, struct cswap_block *block)
{
	blocks->pages[block->state] -= block->pages;
	push(&blocks->spare, block);
}

struct cswap_block *cswap_blocks_spare(struct cswap_blocks *blocks)
{
	return pop(&blocks->spare);
}

void cswap_blocks_keep(struct cswap_blocks *blocks, struct cswap_block *block)
{
	push(&blocks->spare, block);
}

void cswap_blocks_add(struct cswap_blocks *blocks, struct cswap_block *block,
		      u64 pfn, u32 pages)
{
	block->pfn = pfn;
	block->pages = pages;
	block->state = CSWAP_BLOCK_HELD;
	blocks->pages[CSWAP_BLOCK_HELD] += pages;
	push(&blocks->held, block);
}

/* --- batches --- */

static int compare_pfns(const void *left, const void *right)
{
	const struct cswap_block *a = *(struct cswap_block * const *)left;
	const struct cswap_block *b = *(struct cswap_block * const *)right;

	return (a->pfn > b->pfn) - (a->pfn < b->pfn);
}

/* Merge neighbours of the sorted batch; blocks that need one range too many go back to @list. */
static u32 batch_merge(struct cswap_blocks *blocks, struct cswap_block **list,
		       struct cswap_mem_range *ranges)
{
	u32 i, nr = 0;

	for (i = 0; i < blocks->batch_blocks; i++) {
		const struct cswap_block *block = blocks->batch[i];

		if (nr && ranges[nr - 1].pfn + ranges[nr - 1].pages == block->pfn) {
			ranges[nr - 1].pages += block->pages;
			continue;
		}
		if (nr == VIRTIO_CSWAP_MAX_RANGES)
			break;
		ranges[nr].pfn = block->pfn;
		ranges[nr++].pages = block->pages;
	}
	while (blocks->batch_blocks > i)
		push(list, blocks->batch[--blocks->batch_blocks]);
	return nr;
}

/* Make a request of blocks from @list, of @pages or a little more. */
static u32 batch_make(struct cswap_blocks *blocks, struct cswap_block **list, u64 pages,
		      enum cswap_batch_op op, enum cswap_block_state state,
		      struct cswap_mem_range *ranges)
{
	u64 taken = 0;
	u32 i, nr;

	blocks->batch_blocks = 0;
	while (*list && taken < pages && blocks->batch_blocks < CSWAP_BATCH_BLOCKS) {
		struct cswap_block *block = pop(list);

		taken += block->pages;
		blocks->batch[blocks->batch_blocks++] = block;
	}
	sort(blocks->batch, blocks->batch_blocks, sizeof(blocks->batch[0]), compare_pfns, NULL);
	nr = batch_merge(blocks, list, ranges);
	for (i = 0; i < blocks->batch_blocks; i++)
		state_set(blocks, blocks->batch[i], state);
	if (nr)
		blocks->op = op;
	return nr;
}

u32 cswap_blocks_release(struct cswap_blocks *blocks, u64 pages,
			 struct cswap_mem_range *ranges)
{
	if (blocks->op != CSWAP_BATCH_NONE || blocks->owed)
		return 0;
	blocks->repeats = !blocks->held;
	return batch_make(blocks, blocks->repeats ? &blocks->again : &blocks->held, pages,
			  CSWAP_BATCH_RELEASE, CSWAP_BLOCK_RELEASING, ranges);
}

u32 cswap_blocks_reclaim(struct cswap_blocks *blocks, u64 pages,
			 struct cswap_mem_range *ranges)
{
	if (blocks->op != CSWAP_BATCH_NONE)
		return 0;
	if (blocks->owed)
		return batch_make(blocks, &blocks->owed, ~0ULL, CSWAP_BATCH_RECLAIM,
				  CSWAP_BLOCK_OWED_SENT, ranges);
	blocks->repeats = !blocks->released;
	return batch_make(blocks, blocks->repeats ? &blocks->again : &blocks->released, pages,
			  CSWAP_BATCH_RECLAIM, CSWAP_BLOCK_RECLAIMING, ranges);
}

static void block_answered(struct cswap_blocks *blocks, struct cswap_block *block, bool ok)
{
	/* a block whose request is refused is what it was before */
	bool held = block->state == CSWAP_BLOCK_RELEASING ? !ok && !blocks->repeats : ok;
	bool again = block->state == CSWAP_BLOCK_RECLAIMING && blocks->repeats;

	if (block->state == CSWAP_BLOCK_OWED_SENT)
		retire(blocks, block);
	else if (held)
		place(blocks, block, CSWAP_BLOCK_HELD, &blocks->held);
	else if (again)
		place(blocks, block, CSWAP_BLOCK_RELEASED, &blocks->again);
	else
		place(blocks, block, CSWAP_BLOCK_RELEASED, &blocks->released);
}

void cswap_blocks_answered(struct cswap_blocks *blocks, bool ok)
{
	while (blocks->batch_blocks)
		block_answered(blocks, blocks->batch[--blocks->batch_blocks], ok);
	blocks->op = CSWAP_BATCH_NONE;
}

void cswap_blocks_unsent(struct cswap_blocks *blocks)
{
	u32 i, kept = 0;

	for (i = 0; i < blocks->batch_blocks; i++) {
		struct cswap_block *block = blocks->batch[i];

		if (block->state == CSWAP_BLOCK_OWED_SENT)
			place(blocks, block, CSWAP_BLOCK_OWED, &blocks->owed);
		else if (block->state == CSWAP_BLOCK_RELEASING && blocks->repeats)
			place(blocks, block, CSWAP_BLOCK_RELEASED, &blocks->again);
		else
			blocks->batch[kept++] = block;
	}
	blocks->batch_blocks = kept;
	cswap_blocks_answered(blocks, false);
}

bool cswap_blocks_again(struct cswap_blocks *blocks)
{
	if (blocks->op != CSWAP_BATCH_NONE || blocks->again)
		return false;
	blocks->again = blocks->released;
	blocks->released = NULL;
	return true;
}

static void all_held(struct cswap_blocks *blocks, struct cswap_block **list)
{
	struct cswap_block *block;

	while ((block = pop(list)))
		place(blocks, block, CSWAP_BLOCK_HELD, &blocks->held);
}

void cswap_blocks_reset(struct cswap_blocks *blocks)
{
	struct cswap_block *block;

	/* the request that was with the device counts as refused */
	cswap_blocks_answered(blocks, false);
	while ((block = pop(&blocks->owed)))
		retire(blocks, block);
	all_held(blocks, &blocks->released);
	all_held(blocks, &blocks->again);
}

/* --- back to the guest --- */

static bool is_wanted(const struct cswap_blocks_wanted *wanted, const struct cswap_block *block)
{
	return !wanted || wanted->is_wanted(wanted, block->pfn);
}

/* Add @block to @range if the range is empty, or ends at the block and has room for it. */
static bool range_add(struct cswap_mem_range *range, const struct cswap_block *block, u64 most)
{
	if (!range->pages)
		range->pfn = block->pfn;
	else if (range->pfn + range->pages != block->pfn || range->pages + block->pages > most)
		return false;
	range->pages += block->pages;
	return true;
}

/*
 * Move the next block from @list into @range; NULL if it isn't wanted or doesn't fit. An empty
 * range begins with the first block that is wanted.
 */
static struct cswap_block *pull(struct cswap_block ***list, u64 most,
				const struct cswap_blocks_wanted *wanted,
				struct cswap_mem_range *range)
{
	struct cswap_block *block;

	if (!range->pages)
		while (**list && !is_wanted(wanted, **list))
			*list = &(**list)->next;
	block = **list;
	if (!block || !is_wanted(wanted, block) || !range_add(range, block, most))
		return NULL;
	**list = block->next;
	return block;
}

static void take_held(struct cswap_blocks *blocks, u64 most,
		      const struct cswap_blocks_wanted *wanted, struct cswap_mem_range *range)
{
	struct cswap_block **list = &blocks->held, *block;

	while ((block = pull(&list, most, wanted, range)))
		retire(blocks, block);
}

/* Take blocks from @list of released ones; a RECLAIM of each is owed from now on. */
static void take_released(struct cswap_blocks *blocks, struct cswap_block **list, u64 most,
			  const struct cswap_blocks_wanted *wanted, struct cswap_mem_range *range)
{
	struct cswap_block *block;

	while ((block = pull(&list, most, wanted, range)))
		place(blocks, block, CSWAP_BLOCK_OWED, &blocks->owed);
}

/* Take blocks of a RECLAIM that is with the device: it does nothing to these either. */
static void take_reclaiming(struct cswap_blocks *blocks, u64 most,
			    const struct cswap_blocks_wanted *wanted, struct cswap_mem_range *range)
{
	struct cswap_block *block;
	u32 i;

	for (i = 0; i < blocks->batch_blocks; i++) {
		block = blocks->batch[i];
		if (block->state == CSWAP_BLOCK_RECLAIMING && is_wanted(wanted, block) &&
		    range_add(range, block, most))
			state_set(blocks, block, CSWAP_BLOCK_OWED_SENT);
	}
}

bool cswap_blocks_get(struct cswap_blocks *blocks, bool urgent, u64 most,
		      const struct cswap_blocks_wanted *wanted, struct cswap_mem_range *range)
{
	range->pages = 0;
	take_held(blocks, most, wanted, range);
	if (!range->pages && urgent)
		take_released(blocks, &blocks->released, most, wanted, range);
	if (!range->pages && urgent)
		take_released(blocks, &blocks->again, most, wanted, range);
	if (!range->pages && urgent)
		take_reclaiming(blocks, most, wanted, range);
	return range->pages;
}

bool cswap_blocks_is_releasing(const struct cswap_blocks *blocks,
			       const struct cswap_blocks_wanted *wanted)
{
	u32 i;

	for (i = 0; i < blocks->batch_blocks; i++)
		if (blocks->batch[i]->state == CSWAP_BLOCK_RELEASING &&
		    is_wanted(wanted, blocks->batch[i]))
			return true;
	return false;
}
