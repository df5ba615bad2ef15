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
#include <linux/module.h>
#include <linux/string.h>
#include <crypto/aead.h>
#include <crypto/internal/aead.h>

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

static char behind[CRYPTO_MAX_ALG_NAME];

struct engine_context {
	struct crypto_aead *gcm;
};

static int engine_setkey(struct crypto_aead *tfm, const u8 *key, unsigned int len)
{
	struct engine_context *context = crypto_aead_ctx(tfm);

	atomic_inc(&nr_keys);
	return crypto_aead_setkey(context->gcm, key, len);
}

static int engine_setauthsize(struct crypto_aead *tfm, unsigned int size)
{
	struct engine_context *context = crypto_aead_ctx(tfm);

	return crypto_aead_setauthsize(context->gcm, size);
}

static struct aead_request *inner(struct aead_request *req)
{
	struct engine_context *context = crypto_aead_ctx(crypto_aead_reqtfm(req));
	struct aead_request *sub = aead_request_ctx(req);

	aead_request_set_tfm(sub, context->gcm);
	aead_request_set_callback(sub, req->base.flags, req->base.complete, req->base.data);
	aead_request_set_crypt(sub, req->src, req->dst, req->cryptlen, req->iv);
	aead_request_set_ad(sub, req->assoclen);
	return sub;
}

static int engine_encrypt(struct aead_request *req)
{
	return crypto_aead_encrypt(inner(req));
}

static int engine_decrypt(struct aead_request *req)
{
	return crypto_aead_decrypt(inner(req));
}

static int engine_init(struct crypto_aead *tfm)
{
	struct engine_context *context = crypto_aead_ctx(tfm);

	context->gcm = crypto_alloc_aead(behind, 0, 0);
	if (IS_ERR(context->gcm))
		return PTR_ERR(context->gcm);
	crypto_aead_set_reqsize(tfm, sizeof(struct aead_request) +
				crypto_aead_reqsize(context->gcm));
	return 0;
}

static void engine_exit(struct crypto_aead *tfm)
{
	struct engine_context *context = crypto_aead_ctx(tfm);

	crypto_free_aead(context->gcm);
}

static struct aead_alg engine_alg = {
	.base = {
		.cra_name = "gcm(aes)",
		.cra_driver_name = "gcm-aes-engine",
		.cra_priority = 6000,
		.cra_blocksize = 1,
		.cra_ctxsize = sizeof(struct engine_context),
		.cra_module = THIS_MODULE,
	},
	.ivsize = 12,
	.maxauthsize = 16,
	.setkey = engine_setkey,
	.setauthsize = engine_setauthsize,
	.encrypt = engine_encrypt,
	.decrypt = engine_decrypt,
	.init = engine_init,
	.exit = engine_exit,
};

static int __init engine_begin(void)
{
	struct crypto_aead *before = crypto_alloc_aead("gcm(aes)", 0, 0);

	if (IS_ERR(before))
		return PTR_ERR(before);
	strscpy(behind, crypto_tfm_alg_driver_name(crypto_aead_tfm(before)), sizeof(behind));
	crypto_free_aead(before);
	if (async)
		engine_alg.base.cra_flags = CRYPTO_ALG_ASYNC | CRYPTO_ALG_ALLOCATES_MEMORY |
					    CRYPTO_ALG_KERN_DRIVER_ONLY;
	return crypto_register_aead(&engine_alg);
}
module_init(engine_begin);

static void __exit engine_end(void)
{
	crypto_unregister_aead(&engine_alg);
}
module_exit(engine_end);

MODULE_DESCRIPTION("A crypto engine without the engine, for tests");
MODULE_LICENSE("GPL");
