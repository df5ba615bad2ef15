// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_cvm_test.c - does to memory what a right driver does, and what a broken one does, so that
 * the emulated confidential guest can be seen to notice.
 *
 * A block of 2 MiB is there for the asking. A line "VERB ARG..." written to
 * /sys/kernel/debug/cswap_cvm is one deed; reading the file gives its result as "NAME=VALUE...".
 * rc is what the kernel's function returned, status what the TDX module, the instruction or the
 * hypervisor said. A page's number counts from the block's begin.
 *
 *	where			gpa of the block
 *	fill TEXT		each page begins with TEXT
 *	zeroed FIRST COUNT	how many of these pages are all zeros
 *	fresh FIRST COUNT	how many hold what an accepted page does: in a TD zeros, in an SNP guest
 *				the emulation's garbage
 *	shared FIRST COUNT	set_memory_decrypted()
 *	private FIRST COUNT	set_memory_encrypted()
 *	time COUNT		converts all of the block there and back so often: to_shared_ns and
 *				to_private_ns (which includes acceptance) of the fastest time
 *	pairs PAGE COUNT	converts it there and back, with the content checked each time; fails
 *				if that did, has no result, and may run several times at once
 *	assign PAGE		asks the hypervisor to make it private, no more: the page is pending then
 *	unassign PAGE		asks it to make it shared, no more
 *	accept PAGE LEVEL	accepts (validates) 4 KiB or, at level 1, 2 MiB, no more
 *	rescind PAGE LEVEL	takes that back (SNP)
 *	free-ghcb CPU		does to an offline CPU's GHCBs what docs/upstream's patch has the kernel do
 *				(SNP)
 *	touch-private PAGE	reads it as private memory, whatever it is
 *	touch-shared PAGE	reads it as shared memory, whatever it is
 *	touch-mmio GPA		reads a device's memory there as private memory
 *	touch-gpa GPA		reads private memory of others there (a released block, say)
 */
#include <linux/cc_platform.h>
#include <linux/debugfs.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
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
#define TDX_SHARED		BIT_ULL(47)

#define SNP_GHCB_MSR		0xc0010130
#define SNP_PSC			0x14
#define SNP_PSC_PRIVATE		1
#define SNP_PSC_SHARED		2
#define SNP_NO_CHANGE		255
/* What the emulation leaves in a page that becomes valid. */
#define SNP_GARBAGE		0xa5

static bool test_snp;
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

/* ---- the TDX module and its hypervisor, past the kernel's own functions, which a module can't call */

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

static u64 test_tdx_accept(unsigned long number, u64 level)
{
	u64 arg[4] = { 0 };

	return test_tdcall(TDG_MEM_PAGE_ACCEPT, test_gpa(number) | level, arg);
}

static u64 test_tdx_map(unsigned long number, bool private)
{
	u64 arg[4] = { 0, VMCALL_MAP_GPA, test_gpa(number) | (private ? 0 : TDX_SHARED), PAGE_SIZE };

	return test_tdcall(TDG_VP_VMCALL, VMCALL_REGS, arg) ?: arg[0];
}

/* ---- an SNP guest's instructions and hypervisor, likewise */

static u64 test_snp_validate(unsigned long number, u64 large, u64 validate)
{
	u64 rc = (unsigned long)test_page(number);
	bool same;

	asm volatile(".byte 0xf2, 0x0f, 0x01, 0xff"
		     : "=@ccc" (same), "+a" (rc) : "c" (large), "d" (validate) : "memory");
	return same ? SNP_NO_CHANGE : rc;
}

static u64 test_rdmsr(void)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a" (low), "=d" (high) : "c" (SNP_GHCB_MSR));
	return (u64)high << 32 | low;
}

static void test_wrmsr(u64 value)
{
	asm volatile("wrmsr" : : "c" (SNP_GHCB_MSR), "a" ((u32)value), "d" ((u32)(value >> 32)) : "memory");
}

/* The GHCB's MSR protocol: 0 if it's done. */
static u64 test_snp_map(unsigned long number, bool private)
{
	u64 operation = private ? SNP_PSC_PRIVATE : SNP_PSC_SHARED;
	unsigned long flags;
	u64 was, answer;

	local_irq_save(flags);
	was = test_rdmsr();
	test_wrmsr(operation << 52 | test_gpa(number) | SNP_PSC);
	asm volatile("rep; vmmcall" : : : "memory");
	answer = test_rdmsr();
	test_wrmsr(was);
	local_irq_restore(flags);
	return answer ^ (SNP_PSC + 1);
}

/* ---- either */

static u64 test_map(unsigned long number, bool private)
{
	return test_snp ? test_snp_map(number, private) : test_tdx_map(number, private);
}

static u64 test_accept(unsigned long number, u64 level)
{
	return test_snp ? test_snp_validate(number, level, 1) : test_tdx_accept(number, level);
}

static u8 test_fresh(void)
{
	return test_snp ? SNP_GARBAGE : 0;
}

/* ---- the kernel's own state of a CPU's GHCBs */

/* As the kernel has it: two pages, and whether each is in use. */
struct test_runtime_data {
	u8 ghcb[PAGE_SIZE], backup_ghcb[PAGE_SIZE];
	bool ghcb_active, backup_ghcb_active;
};

/* Of what isn't exported; a probe is told where a function is. */
static unsigned long test_symbol(const char *name)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	unsigned long (*lookup)(const char *name);

	if (register_kprobe(&probe))
		return 0;
	lookup = (void *)probe.addr;
	unregister_kprobe(&probe);
	return lookup(name);
}

/* How many of the two were in use. */
static int test_free_ghcb(unsigned int cpu)
{
	struct test_runtime_data * __percpu *all;
	struct test_runtime_data *data;
	int used;

	all = (struct test_runtime_data * __percpu *)test_symbol("runtime_data");
	if (!all || cpu >= nr_cpu_ids || cpu_online(cpu))
		return -EINVAL;
	data = *per_cpu_ptr(all, cpu);
	used = data->ghcb_active + data->backup_ghcb_active;
	data->ghcb_active = false;
	data->backup_ghcb_active = false;
	return used;
}

/* ---- deeds */

static void test_fill(const char *text)
{
	unsigned long i;

	for (i = 0; i < TEST_PAGES; i++)
		strscpy(test_page(i), text, 128);
}

static bool test_holds(const void *page, u8 byte)
{
	return !memchr_inv(page, byte, PAGE_SIZE);
}

static unsigned long test_count(unsigned long first, unsigned long count, u8 byte)
{
	unsigned long i, n = 0;

	for (i = first; i < first + count; i++)
		n += test_holds(test_page(i), byte);
	return n;
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
		wrong += !test_holds(page, test_fresh());
		cond_resched();
	}
	return wrong;
}

/* The fastest time tells what a conversion costs: others may have shared the CPU with somebody. */
static int test_time(unsigned long count, char *result)
{
	unsigned long address = (unsigned long)test_block, i;
	s64 shared_ns = S64_MAX, private_ns = S64_MAX;
	int rc = count ? 0 : -EINVAL;

	for (i = 0; i < count && !rc; i++) {
		ktime_t begin = ktime_get(), middle;

		rc = set_memory_decrypted(address, TEST_PAGES);
		middle = ktime_get();
		rc = rc ?: set_memory_encrypted(address, TEST_PAGES);
		shared_ns = min(shared_ns, ktime_to_ns(ktime_sub(middle, begin)));
		private_ns = min(private_ns, ktime_to_ns(ktime_sub(ktime_get(), middle)));
		cond_resched();
	}
	return rc ?: sprintf(result, "to_shared_ns=%lld to_private_ns=%lld", shared_ns, private_ns);
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

/* A device's memory that a driver has mapped wrongly. */
static int test_touch_mmio(phys_addr_t gpa, u32 *word)
{
	void __iomem *at = ioremap_encrypted(gpa, PAGE_SIZE);

	if (!at)
		return -ENOMEM;
	*word = readl(at);
	iounmap(at);
	return 0;
}

static int test_do(const char *verb, const char *text, unsigned long a, unsigned long b)
{
	char *result = test_result;
	u32 word = 0;
	int rc;

	if (a + b > TEST_PAGES && strcmp(verb, "pairs") && strcmp(verb, "touch-gpa") &&
	    strcmp(verb, "touch-mmio") && strcmp(verb, "time"))
		return -EINVAL;
	if (!strcmp(verb, "where"))
		return sprintf(result, "gpa=0x%llx", (u64)test_gpa(0));
	if (!strcmp(verb, "fill")) {
		test_fill(text);
		return sprintf(result, "rc=0");
	}
	if (!strcmp(verb, "zeroed"))
		return sprintf(result, "zeroed=%lu", test_count(a, b, 0));
	if (!strcmp(verb, "fresh"))
		return sprintf(result, "fresh=%lu", test_count(a, b, test_fresh()));
	if (!strcmp(verb, "shared"))
		return sprintf(result, "rc=%d", set_memory_decrypted((unsigned long)test_page(a), b));
	if (!strcmp(verb, "private"))
		return sprintf(result, "rc=%d", set_memory_encrypted((unsigned long)test_page(a), b));
	if (!strcmp(verb, "time"))
		return test_time(a, result);
	if (!strcmp(verb, "pairs"))
		return test_pairs(a, b) ? -EIO : 0;
	if (!strcmp(verb, "assign"))
		return sprintf(result, "status=0x%llx", test_map(a, true));
	if (!strcmp(verb, "unassign"))
		return sprintf(result, "status=0x%llx", test_map(a, false));
	if (!strcmp(verb, "accept"))
		return sprintf(result, "status=0x%llx", test_accept(a, b));
	if (!strcmp(verb, "rescind") && test_snp)
		return sprintf(result, "status=0x%llx", test_snp_validate(a, b, 0));
	if (!strcmp(verb, "free-ghcb") && test_snp) {
		rc = test_free_ghcb(a);
		return rc < 0 ? rc : sprintf(result, "used=%d", rc);
	}
	if (!strcmp(verb, "touch-private"))
		rc = test_touch(virt_to_page(test_page(a)), PAGE_KERNEL, &word);
	else if (!strcmp(verb, "touch-shared"))
		rc = test_touch(virt_to_page(test_page(a)), pgprot_decrypted(PAGE_KERNEL), &word);
	else if (!strcmp(verb, "touch-mmio"))
		rc = test_touch_mmio(a, &word);
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
	test_snp = cc_platform_has(CC_ATTR_GUEST_SEV_SNP);
	test_block = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, TEST_ORDER);
	if (!test_block)
		return -ENOMEM;
	test_file = debugfs_create_file("cswap_cvm", 0600, NULL, NULL, &test_fops);
	return 0;
}

/* What became of the block isn't known any more, so it is never given back. */
static void __exit test_exit(void)
{
	debugfs_remove(test_file);
}

module_init(test_init);
module_exit(test_exit);
MODULE_DESCRIPTION("deeds for the emulated confidential guest");
MODULE_LICENSE("GPL");
