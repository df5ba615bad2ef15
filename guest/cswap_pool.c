// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_pool.c - the memory that is shared with the device for life.
 *
 * Theory of operation: in a confidential guest memory from the DMA API is
 * already shared with the host, and each allocation converts what it takes. So
 * there are few, large allocations, made once: a whole aligned 2 MiB converts
 * without splitting the direct map, and no page is ever converted for I/O.
 * A guest whose memory is fragmented has no such block: it makes do with smaller
 * ones, of which each is a conversion.
 *
 * A device that uses physical addresses (a plain guest without
 * ACCESS_PLATFORM) gets ordinary pages: the DMA API might give it addresses of
 * an IOMMU that it doesn't sit behind.
 */
#include <linux/dma-mapping.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "cswap.h"

#define POOL_BLOCK_ORDER	(21 - PAGE_SHIFT)

static int block_alloc(struct cswap_pool *pool, struct cswap_pool_block *block)
{
	/* there are smaller blocks: no process is to be killed for this one */
	gfp_t gfp = GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN | __GFP_ZERO;
	struct page *page;

	if (pool->dma_dev) {
		block->va = dma_alloc_coherent(pool->dma_dev,
					       PAGE_SIZE << pool->order,
					       &block->dma, gfp);
		return block->va ? 0 : -ENOMEM;
	}
	page = alloc_pages(gfp, pool->order);
	if (!page)
		return -ENOMEM;
	block->va = page_address(page);
	block->dma = page_to_phys(page);
	return 0;
}

static void block_free(struct cswap_pool *pool, struct cswap_pool_block *block)
{
	if (pool->dma_dev)
		dma_free_coherent(pool->dma_dev, PAGE_SIZE << pool->order,
				  block->va, block->dma);
	else
		free_pages((unsigned long)block->va, pool->order);
}

void cswap_pool_free(struct cswap_pool *pool)
{
	while (pool->nr_blocks)
		block_free(pool, &pool->blocks[--pool->nr_blocks]);
	kvfree(pool->blocks);
	pool->blocks = NULL;
}

/* Blocks of @order for @pages: the last is as large as the others, if that's no more than @most. */
static unsigned int blocks_for(unsigned int pages, unsigned int most, unsigned int order)
{
	unsigned int nr = DIV_ROUND_UP(pages, 1U << order);

	return nr << order <= most ? nr : pages >> order;
}

static int blocks_alloc(struct cswap_pool *pool, unsigned int pages, unsigned int most,
			unsigned int order)
{
	unsigned int nr = blocks_for(pages, most, order);

	pool->order = order;
	pool->nr_pages = nr << order;
	pool->blocks = kvcalloc(nr, sizeof(*pool->blocks), GFP_KERNEL);
	if (!pool->blocks)
		return -ENOMEM;
	for (pool->nr_blocks = 0; pool->nr_blocks < nr; pool->nr_blocks++)
		if (block_alloc(pool, &pool->blocks[pool->nr_blocks])) {
			cswap_pool_free(pool);
			return -ENOMEM;
		}
	return 0;
}

int cswap_pool_alloc(struct cswap_pool *pool, struct device *dma_dev,
		     unsigned int pages, unsigned int most)
{
	/* a pool of less than a block is made of small ones: little is lost to rounding */
	unsigned int best = pages >> POOL_BLOCK_ORDER ? POOL_BLOCK_ORDER :
							max(ilog2(pages) - 2, 0);
	unsigned int order = best;
	int rc;

	pool->dma_dev = dma_dev;
	do {
		rc = blocks_alloc(pool, pages, most, order);
	} while (rc && order--);
	if (rc)
		pr_err("virtio_cswap: no memory for a pool of %lu KiB that is shared with the device: not used; free some, then load the driver again\n",
		       pages * (PAGE_SIZE / 1024));
	else if (order < best)
		pr_notice("virtio_cswap: memory is fragmented: the pool that is shared with the device is in blocks of %lu KiB, not %lu\n",
			  PAGE_SIZE / 1024 << order, PAGE_SIZE / 1024 << best);
	return rc;
}

struct cswap_piece cswap_pool_piece(const struct cswap_pool *pool,
				    unsigned int page, unsigned int offset)
{
	const struct cswap_pool_block *block = &pool->blocks[page >> pool->order];
	size_t at = ((size_t)(page & ((1U << pool->order) - 1)) << PAGE_SHIFT) + offset;

	return (struct cswap_piece) { block->va + at, block->dma + at };
}
