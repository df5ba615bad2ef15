// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_engine.c - gcm(aes) as the driver of a crypto engine registers it: it ranks above the CPU's.
 *
 * Theory of operation: a host can emulate a PCI crypto engine that the guest's kernel has a
 * driver for. Such a driver registers gcm(aes) with a high priority, and writes each key to the
 * device. This module stands for one: it hands all work to the implementation that was the
 * kernel's choice before, and counts the keys that it's given. With @async it has the flags of
 * most engines, without it looks like an implementation on the CPU. Of no use outside tests.
 */
#include <linux/atomic.h>
#include "../gcm_behind.h"

static bool async = true;
module_param(async, bool, 0444);
MODULE_PARM_DESC(async, "have the flags of an asynchronous implementation that allocates (default 1)");

static atomic_t nr_keys = ATOMIC_INIT(0);

static int keys_get(char *buffer, const struct kernel_param *param)
{
	return scnprintf(buffer, PAGE_SIZE, "%d\n", atomic_read(&nr_keys));
}

static const struct kernel_param_ops keys_ops = { .get = keys_get };
module_param_cb(keys, &keys_ops, NULL, 0444);
MODULE_PARM_DESC(keys, "keys that were set so far, the kernel's own tests' among them");

static void gcm_key_set(const u8 *key, unsigned int len)
{
	atomic_inc(&nr_keys);
}

static int __init engine_begin(void)
{
	return gcm_begin("gcm-aes-engine", 6000,
			 async ? CRYPTO_ALG_ASYNC | CRYPTO_ALG_ALLOCATES_MEMORY |
				 CRYPTO_ALG_KERN_DRIVER_ONLY : 0);
}
module_init(engine_begin);

static void __exit engine_end(void)
{
	gcm_end();
}
module_exit(engine_end);

MODULE_DESCRIPTION("A crypto engine without the engine, for tests");
MODULE_LICENSE("GPL");
