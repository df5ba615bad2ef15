// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_tdx_test.c - does to memory what a right driver does, and what a broken one does, so that
 * the emulated TDX guest can be seen to notice.
 *
 * A block of 2 MiB is there for the asking. A line "VERB ARG..." written to
 * /sys/kernel/debug/cswap_tdx is one deed; reading the file gives its result as "NAME=VALUE...".
 * rc is what the kernel's function returned, status what the TDX module did. A page's number
 * counts from the block's begin.
 *
 *	where			gpa of the block
 *	fill TEXT		each page begins with TEXT
 *	zeroed FIRST COUNT	how many of these pages are all zeros
 *	shared FIRST COUNT	set_memory_decrypted()
 *	private FIRST COUNT	set_memory_encrypted()
 *	pairs PAGE COUNT	converts it there and back, with the content checked each time; fails
 *				if that did, has no result, and may run several times at once
 *	map-private PAGE	TDVMCALL<MapGPA> alone: the page is pending then
 *	accept PAGE LEVEL	TDG.MEM.PAGE.ACCEPT alone
 *	touch-private PAGE	reads it without the shared bit, whatever it is
 *	touch-shared PAGE	reads it with the shared bit, whatever it is
 *	touch-gpa GPA		reads private memory of others there (a released block, say)
 */
#include <linux/cc_platform.h>
#include <linux/debugfs.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/set_memory.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#define TEST_ORDER	9
#define TEST_PAGES	(1UL << TEST_ORDER)

#define TDG_VP_VMCALL		0
#define TDG_MEM_PAGE_ACCEPT	6
#define VMCALL_MAP_GPA		0x10001
/* R10 to R13 are the hypervisor's to see. */
#define VMCALL_REGS		0x3c00

static void *test_block;
static struct dentry *test_file;
static char test_result[128];
static DEFINE_MUTEX(test_lock);

static void *test_page(unsigned long number)
{
	return test_block + number * PAGE_SIZE;
}

static phys_addr_t test_gpa(unsigned long number)
{
	return virt_to_phys(test_block) + number * PAGE_SIZE;
}

/* ---- the TDX module, past the kernel's own functions, which a module can't call */

static u64 test_tdcall(u64 leaf, u64 rcx, u64 arg[4])
{
	register u64 r10 asm("r10") = arg[0];
	register u64 r11 asm("r11") = arg[1];
	register u64 r12 asm("r12") = arg[2];
	register u64 r13 asm("r13") = arg[3];

	asm volatile(".byte 0x66, 0x0f, 0x01, 0xcc"
		     : "+a" (leaf), "+c" (rcx), "+r" (r10), "+r" (r11), "+r" (r12), "+r" (r13)
		     : : "rdx", "r8", "r9", "r14", "r15", "memory", "cc");
	arg[0] = r10;
	return leaf;
}

static u64 test_accept(unsigned long number, u64 level)
{
	u64 arg[4] = { 0 };

	return test_tdcall(TDG_MEM_PAGE_ACCEPT, test_gpa(number) | level, arg);
}

static u64 test_map_private(unsigned long number)
{
	u64 arg[4] = { 0, VMCALL_MAP_GPA, test_gpa(number), PAGE_SIZE };

	return test_tdcall(TDG_VP_VMCALL, VMCALL_REGS, arg) ?: arg[0];
}

/* ---- deeds */

static void test_fill(const char *text)
{
	unsigned long i;

	for (i = 0; i < TEST_PAGES; i++)
		strscpy(test_page(i), text, 128);
}

static unsigned long test_count_zeroed(unsigned long first, unsigned long count)
{
	unsigned long i, zeroed = 0;

	for (i = first; i < first + count; i++)
		zeroed += !memchr_inv(test_page(i), 0, PAGE_SIZE);
	return zeroed;
}

static bool test_holds(const void *page, u8 byte)
{
	return !memchr_inv(page, byte, PAGE_SIZE);
}

/* How many of these conversions went wrong: failed, or left other content than they must. */
static unsigned long test_pairs(unsigned long number, unsigned long count)
{
	unsigned long i, wrong = 0, address = (unsigned long)test_page(number);
	void *page = test_page(number);

	for (i = 0; i < count; i++) {
		memset(page, (u8)i, PAGE_SIZE);
		wrong += !test_holds(page, (u8)i);
		wrong += set_memory_decrypted(address, 1) != 0;
		memset(page, (u8)(i + 1), PAGE_SIZE);
		wrong += !test_holds(page, (u8)(i + 1));
		wrong += set_memory_encrypted(address, 1) != 0;
		wrong += !test_holds(page, 0);
		cond_resched();
	}
	return wrong;
}

/* A second mapping, which doesn't know what became of the page. */
static int test_touch(struct page *page, pgprot_t prot, u32 *word)
{
	void *alias = vmap(&page, 1, VM_MAP, prot);

	if (!alias)
		return -ENOMEM;
	*word = *(volatile u32 *)alias;
	vunmap(alias);
	return 0;
}

static int test_do(const char *verb, const char *text, unsigned long a, unsigned long b)
{
	char *result = test_result;
	u32 word = 0;
	int rc;

	if (a + b > TEST_PAGES && strcmp(verb, "pairs") && strcmp(verb, "touch-gpa"))
		return -EINVAL;
	if (!strcmp(verb, "where"))
		return sprintf(result, "gpa=0x%llx", (u64)test_gpa(0));
	if (!strcmp(verb, "fill")) {
		test_fill(text);
		return sprintf(result, "rc=0");
	}
	if (!strcmp(verb, "zeroed"))
		return sprintf(result, "zeroed=%lu", test_count_zeroed(a, b));
	if (!strcmp(verb, "shared"))
		return sprintf(result, "rc=%d", set_memory_decrypted((unsigned long)test_page(a), b));
	if (!strcmp(verb, "private"))
		return sprintf(result, "rc=%d", set_memory_encrypted((unsigned long)test_page(a), b));
	if (!strcmp(verb, "pairs"))
		return test_pairs(a, b) ? -EIO : 0;
	if (!strcmp(verb, "map-private"))
		return sprintf(result, "status=0x%llx", test_map_private(a));
	if (!strcmp(verb, "accept"))
		return sprintf(result, "status=0x%llx", test_accept(a, b));
	if (!strcmp(verb, "touch-private"))
		rc = test_touch(virt_to_page(test_page(a)), PAGE_KERNEL, &word);
	else if (!strcmp(verb, "touch-shared"))
		rc = test_touch(virt_to_page(test_page(a)), pgprot_decrypted(PAGE_KERNEL), &word);
	else if (!strcmp(verb, "touch-gpa") && pfn_valid(PHYS_PFN(a)))
		rc = test_touch(pfn_to_page(PHYS_PFN(a)), PAGE_KERNEL, &word);
	else
		return -EINVAL;
	return sprintf(result, "rc=%d word=0x%x", rc, word);
}

/* ---- the file */

static ssize_t test_write(struct file *file, const char __user *from, size_t count, loff_t *at)
{
	char line[128] = "", verb[16] = "", text[96] = "";
	unsigned long a = 0, b = 0;
	int rc;

	if (count >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, from, count))
		return -EFAULT;
	if (sscanf(line, "%15s %95s", verb, text) < 1)
		return -EINVAL;
	/* Numbers may be missing: 0 then. */
	(void)sscanf(line, "%*s %li %li", &a, &b);
	/* Pairs run on several CPUs at once. */
	if (strcmp(verb, "pairs"))
		mutex_lock(&test_lock);
	rc = test_do(verb, text, a, b);
	if (strcmp(verb, "pairs"))
		mutex_unlock(&test_lock);
	return rc < 0 ? rc : count;
}

static ssize_t test_read(struct file *file, char __user *to, size_t count, loff_t *at)
{
	return simple_read_from_buffer(to, count, at, test_result, strlen(test_result));
}

static const struct file_operations test_fops = {
	.owner = THIS_MODULE,
	.write = test_write,
	.read = test_read,
};

static int __init test_init(void)
{
	if (!cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT))
		return -ENODEV;
	test_block = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, TEST_ORDER);
	if (!test_block)
		return -ENOMEM;
	test_file = debugfs_create_file("cswap_tdx", 0600, NULL, NULL, &test_fops);
	return 0;
}

/* What became of the block isn't known any more, so it is never given back. */
static void __exit test_exit(void)
{
	debugfs_remove(test_file);
}

module_init(test_init);
module_exit(test_exit);
MODULE_DESCRIPTION("deeds for the emulated TDX guest");
MODULE_LICENSE("GPL");
