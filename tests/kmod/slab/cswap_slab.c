// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_slab.c - keeps one object, of a slab of one page, in a memory block.
 *
 * Theory of operation: writing a memory block's number to the parameter "block" allocates
 * objects until one lies in that block, and frees the others. The slab is of one page, so it
 * isn't a compound page; see docs/upstream/memory-offline-slab.md for what that does to the
 * block. Unloading frees it.
 */
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#define MOST	1048576

static struct kmem_cache *cache;
static void *kept, **objects;

static int block_set(const char *text, const struct kernel_param *param)
{
	unsigned long block, pages = memory_block_size_bytes() >> PAGE_SHIFT;
	int rc = kstrtoul(text, 0, &block), i, nr = 0;

	if (rc)
		return rc;
	if (kept)
		kmem_cache_free(cache, kept);
	kept = NULL;
	for (; nr < MOST && !kept; nr++) {
		objects[nr] = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!objects[nr])
			break;
		if (page_to_pfn(virt_to_page(objects[nr])) / pages == block)
			kept = objects[nr--];
	}
	for (i = 0; i < nr; i++)
		kmem_cache_free(cache, objects[i]);
	kmem_cache_shrink(cache);
	return kept ? 0 : -ENOENT;
}

static const struct kernel_param_ops block_ops = { .set = block_set };
module_param_cb(block, &block_ops, NULL, 0200);
MODULE_PARM_DESC(block, "number of the memory block that gets the object");

static int __init slab_init(void)
{
	/* not merged with other caches: poisoned, where that is compiled in */
	cache = kmem_cache_create("cswap_slab", 256, 0, SLAB_POISON, NULL);
	objects = kvcalloc(MOST, sizeof(*objects), GFP_KERNEL);
	return cache && objects ? 0 : -ENOMEM;
}
module_init(slab_init);

static void __exit slab_exit(void)
{
	if (kept)
		kmem_cache_free(cache, kept);
	kvfree(objects);
	kmem_cache_destroy(cache);
}
module_exit(slab_exit);

MODULE_DESCRIPTION("Keeps an object in a memory block, for tests");
MODULE_LICENSE("GPL");
