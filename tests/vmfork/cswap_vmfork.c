// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_vmfork.c - tells a guest that it was cloned, for tests.
 *
 * Writing N to /sys/module/cswap_vmfork/parameters/notices calls, N times, what
 * the kernel's driver for the VM generation ID calls when the hypervisor says
 * that there is a twin: add_vmfork_randomness(), which reseeds the kernel's
 * random numbers and then calls everybody who registered for the notice.
 *
 * That function is exported only if its one caller is a module, and Debian has
 * it built in. So its address is asked of a kprobe.
 */
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static void (*add_randomness)(const void *unique_vm_id, size_t bytes);

/* Kprobes sit behind the landing pad that indirect calls must go to. */
#define ENDBR_BYTES	4

static int find(void)
{
	static const u8 endbr[ENDBR_BYTES] = { 0xf3, 0x0f, 0x1e, 0xfa };
	struct kprobe probe = { .symbol_name = "add_vmfork_randomness" };
	u8 *address;
	int rc = register_kprobe(&probe);

	if (rc)
		return rc;
	address = (u8 *)probe.addr;
	unregister_kprobe(&probe);
	if (!memcmp(address - ENDBR_BYTES, endbr, ENDBR_BYTES))
		address -= ENDBR_BYTES;
	add_randomness = (void *)address;
	return 0;
}

static int notices_set(const char *value, const struct kernel_param *param)
{
	unsigned int count;
	int rc = kstrtouint(value, 0, &count);

	while (!rc && count--) {
		u64 id[2] = { ktime_get_ns(), count };

		add_randomness(id, sizeof(id));
	}
	return rc;
}

static const struct kernel_param_ops notices_ops = { .set = notices_set };

module_param_cb(notices, &notices_ops, NULL, 0200);
MODULE_PARM_DESC(notices, "Tell the guest so many times that it was cloned");

static int __init cswap_vmfork_init(void)
{
	return find();
}
module_init(cswap_vmfork_init);

static void __exit cswap_vmfork_exit(void)
{
}
module_exit(cswap_vmfork_exit);

MODULE_DESCRIPTION("Tells a guest that it was cloned, for tests");
MODULE_LICENSE("GPL");
