// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_leak.c - a gcm(aes) that tells every key that it is given.
 *
 * Theory of operation: whoever would search for the driver's key must know it, and the
 * driver tells nobody. It takes the implementation with the highest priority, if the name
 * is one of those that run on the CPU. This one has such a name, of another architecture's,
 * hands all work to what was the kernel's choice before, and shows the keys, in hex, one a
 * line, in its parameter "keys". It's of no use outside tests.
 */
#include <linux/hex.h>
#include <crypto/aes.h>
#include "../gcm_behind.h"

#define MAX_KEYS 32

static DEFINE_MUTEX(lock);
static u8 keys[MAX_KEYS][AES_KEYSIZE_256];
static unsigned int nr_keys;

static int keys_get(char *buffer, const struct kernel_param *param)
{
	unsigned int i;
	int len = 0;

	mutex_lock(&lock);
	for (i = 0; i < nr_keys; i++)
		len += scnprintf(buffer + len, PAGE_SIZE - len, "%*phN\n",
				 AES_KEYSIZE_256, keys[i]);
	mutex_unlock(&lock);
	return len;
}

static const struct kernel_param_ops keys_ops = { .get = keys_get };
module_param_cb(keys, &keys_ops, NULL, 0400);
MODULE_PARM_DESC(keys, "all keys so far");

static void gcm_key_set(const u8 *key, unsigned int len)
{
	if (len != AES_KEYSIZE_256)
		return;
	mutex_lock(&lock);
	memcpy(keys[nr_keys % MAX_KEYS], key, len);
	nr_keys = min(nr_keys + 1, MAX_KEYS - 1);
	mutex_unlock(&lock);
}

static int __init leak_begin(void)
{
	return gcm_begin("gcm-aes-s390", 6000, 0);
}
module_init(leak_begin);

static void __exit leak_end(void)
{
	gcm_end();
}
module_exit(leak_end);

MODULE_DESCRIPTION("Tells keys, for tests");
MODULE_LICENSE("GPL");
