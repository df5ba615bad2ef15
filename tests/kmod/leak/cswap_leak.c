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
#include <linux/module.h>
#include <linux/string.h>
#include <crypto/aead.h>
#include <crypto/aes.h>
#include <crypto/internal/aead.h>

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

static char behind[CRYPTO_MAX_ALG_NAME];

struct leak_context {
	struct crypto_aead *gcm;
};

static int leak_setkey(struct crypto_aead *tfm, const u8 *key, unsigned int len)
{
	struct leak_context *context = crypto_aead_ctx(tfm);

	if (len == AES_KEYSIZE_256) {
		mutex_lock(&lock);
		memcpy(keys[nr_keys % MAX_KEYS], key, len);
		nr_keys = min(nr_keys + 1, MAX_KEYS - 1);
		mutex_unlock(&lock);
	}
	return crypto_aead_setkey(context->gcm, key, len);
}

static int leak_setauthsize(struct crypto_aead *tfm, unsigned int size)
{
	struct leak_context *context = crypto_aead_ctx(tfm);

	return crypto_aead_setauthsize(context->gcm, size);
}

static struct aead_request *inner(struct aead_request *req)
{
	struct leak_context *context = crypto_aead_ctx(crypto_aead_reqtfm(req));
	struct aead_request *sub = aead_request_ctx(req);

	aead_request_set_tfm(sub, context->gcm);
	aead_request_set_callback(sub, req->base.flags, req->base.complete, req->base.data);
	aead_request_set_crypt(sub, req->src, req->dst, req->cryptlen, req->iv);
	aead_request_set_ad(sub, req->assoclen);
	return sub;
}

static int leak_encrypt(struct aead_request *req)
{
	return crypto_aead_encrypt(inner(req));
}

static int leak_decrypt(struct aead_request *req)
{
	return crypto_aead_decrypt(inner(req));
}

static int leak_init(struct crypto_aead *tfm)
{
	struct leak_context *context = crypto_aead_ctx(tfm);

	context->gcm = crypto_alloc_aead(behind, 0, 0);
	if (IS_ERR(context->gcm))
		return PTR_ERR(context->gcm);
	crypto_aead_set_reqsize(tfm, sizeof(struct aead_request) +
				crypto_aead_reqsize(context->gcm));
	return 0;
}

static void leak_exit(struct crypto_aead *tfm)
{
	struct leak_context *context = crypto_aead_ctx(tfm);

	crypto_free_aead(context->gcm);
}

static struct aead_alg leak_alg = {
	.base = {
		.cra_name = "gcm(aes)",
		.cra_driver_name = "gcm-aes-s390",
		.cra_priority = 6000,
		.cra_blocksize = 1,
		.cra_ctxsize = sizeof(struct leak_context),
		.cra_module = THIS_MODULE,
	},
	.ivsize = 12,
	.maxauthsize = 16,
	.setkey = leak_setkey,
	.setauthsize = leak_setauthsize,
	.encrypt = leak_encrypt,
	.decrypt = leak_decrypt,
	.init = leak_init,
	.exit = leak_exit,
};

static int __init leak_begin(void)
{
	struct crypto_aead *before = crypto_alloc_aead("gcm(aes)", 0, 0);

	if (IS_ERR(before))
		return PTR_ERR(before);
	strscpy(behind, crypto_tfm_alg_driver_name(crypto_aead_tfm(before)), sizeof(behind));
	crypto_free_aead(before);
	return crypto_register_aead(&leak_alg);
}
module_init(leak_begin);

static void __exit leak_end(void)
{
	crypto_unregister_aead(&leak_alg);
}
module_exit(leak_end);

MODULE_DESCRIPTION("Tells keys, for tests");
MODULE_LICENSE("GPL");
