// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_dump.c - tells a crash kernel which memory the balloon has, so that a dump doesn't read it.
 *
 * Theory of operation: a crash kernel reads all memory of the kernel that crashed, by
 * /proc/vmcore. The balloon's memory holds nothing, and for each page of it that is read the host
 * has to provide memory. The driver marks the balloon's pages, but the marks are in the dead
 * kernel's memory map, which the crash kernel doesn't understand.
 *
 * So the driver keeps a map with a bit for each block of 2 MiB: whether the block is the balloon's.
 * The owner puts the map's address on the crash kernel's command line:
 *
 *	virtio_cswap.crash_map=$(cat /sys/block/cswap0/cswap/balloon_crash_map)
 *
 * In the crash kernel the driver serves no device (to reset a device and to make a pool would take
 * memory that the dump needs), finds the map, and says for each page whether it may be read. Blocks
 * that weren't there when the driver was loaded, and single pages, have no bit: they're read.
 *
 * The address may be wrong, so the map must begin with a number that only this driver writes. If it
 * doesn't, the driver logs a message, and the dump reads all memory, as it would without a map.
 */
#include <linux/bitops.h>
#include <linux/crash_dump.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>

#include "cswap.h"

#define MAGIC		0x3170616d77736363ULL	/* "ccswmap1" */

struct cswap_dump_map {
	u64 magic;
	u64 blocks;
	unsigned long bits[];
};

static size_t map_bytes(u64 blocks)
{
	return PAGE_ALIGN(sizeof(struct cswap_dump_map) +
			  BITS_TO_LONGS(blocks) * sizeof(unsigned long));
}

void cswap_dump_init(struct cswap_mem *mem)
{
	unsigned long end = 0;
	u64 blocks;
	int node;

	if (!IS_ENABLED(CONFIG_PROC_VMCORE))
		return;
	for_each_online_node(node)
		end = max(end, node_end_pfn(node));
	blocks = DIV_ROUND_UP(end, CSWAP_BLOCK_PAGES);
	/* without the map a dump reads more, and that's all */
	mem->dump = alloc_pages_exact(map_bytes(blocks), GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN);
	if (!mem->dump)
		return;
	mem->dump->blocks = blocks;
	mem->dump->magic = MAGIC;
}

void cswap_dump_exit(struct cswap_mem *mem)
{
	if (!mem->dump)
		return;
	mem->dump->magic = 0;
	free_pages_exact(mem->dump, map_bytes(mem->dump->blocks));
	mem->dump = NULL;
}

void cswap_dump_note(struct cswap_mem *mem, u64 pfn, bool taken)
{
	u64 block = pfn / CSWAP_BLOCK_PAGES;

	if (!mem->dump || block >= mem->dump->blocks)
		return;
	if (taken)
		set_bit(block, mem->dump->bits);
	else
		clear_bit(block, mem->dump->bits);
}

int cswap_dump_print(const struct cswap_mem *mem, char *buf)
{
	if (!mem->dump)
		return sysfs_emit(buf, "none\n");
	return sysfs_emit(buf, "0x%llx,%zu\n", (u64)virt_to_phys(mem->dump),
			  map_bytes(mem->dump->blocks));
}

/* --- in the crash kernel --- */

#ifdef CONFIG_PROC_VMCORE

static char *crash_map;
module_param(crash_map, charp, 0444);
MODULE_PARM_DESC(crash_map, "In a crash kernel: what /sys/block/cswap0/cswap/balloon_crash_map said in the kernel before");

static const struct cswap_dump_map *old_map;

static bool pfn_is_ram(struct vmcore_cb *cb, unsigned long pfn)
{
	u64 block = pfn / CSWAP_BLOCK_PAGES;

	return block >= old_map->blocks || !test_bit(block, old_map->bits);
}

static struct vmcore_cb vmcore_cb = { .pfn_is_ram = pfn_is_ram };

bool cswap_dump_is_crash_kernel(void)
{
	return is_kdump_kernel();
}

void cswap_dump_begin(void)
{
	const struct cswap_dump_map *map;
	unsigned long long address;
	size_t bytes;

	if (!crash_map || sscanf(crash_map, "%llx,%zu", &address, &bytes) != 2 || !bytes) {
		pr_info("virtio_cswap: a crash kernel, and no crash_map=: what the balloon had is read like other memory\n");
		return;
	}
	map = memremap(address, bytes, MEMREMAP_WB);
	if (!map || map->magic != MAGIC || map_bytes(map->blocks) != bytes) {
		pr_warn("virtio_cswap: no map of the balloon at %s: what it had is read like other memory; give what balloon_crash_map says\n",
			crash_map);
		if (map)
			memunmap((void *)map);
		return;
	}
	old_map = map;
	register_vmcore_cb(&vmcore_cb);
}

void cswap_dump_end(void)
{
	if (!old_map)
		return;
	unregister_vmcore_cb(&vmcore_cb);
	memunmap((void *)old_map);
	old_map = NULL;
}

#else

bool cswap_dump_is_crash_kernel(void)
{
	return false;
}

void cswap_dump_begin(void)
{
}

void cswap_dump_end(void)
{
}

#endif
