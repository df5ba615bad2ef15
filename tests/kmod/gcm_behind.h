/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * gcm_behind.h - a gcm(aes) that hands all work to the kernel's choice, and looks at its keys.
 *
 * Theory of operation: the module that includes this header registers gcm_alg under a name and a
 * priority of the module's own (gcm_begin()). The implementation that the kernel had chosen until then does
 * the work behind it. The module defines gcm_key_set(), which is told every key and may sleep.
 */
#ifndef CSWAP_GCM_BEHIND_H
#define CSWAP_GCM_BEHIND_H

#include <linux/module.h>
#include <linux/string.h>
#include <crypto/aead.h>
#include <crypto/internal/aead.h>

static void gcm_key_set(const u8 *key, unsigned int len);

static char gcm_behind[CRYPTO_MAX_ALG_NAME];

struct gcm_context {
	struct crypto_aead *gcm;
};

static int gcm_setkey(struct crypto_aead *tfm, const u8 *key, unsigned int len)
{
	struct gcm_context *context = crypto_aead_ctx(tfm);

	gcm_key_set(key, len);
	return crypto_aead_setkey(context->gcm, key, len);
}

static int gcm_setauthsize(struct crypto_aead *tfm, unsigned int size)
{
	struct gcm_context *context = crypto_aead_ctx(tfm);

	return crypto_aead_setauthsize(context->gcm, size);
}

static struct aead_request *gcm_inner(struct aead_request *req)
{
	struct gcm_context *context = crypto_aead_ctx(crypto_aead_reqtfm(req));
	struct aead_request *sub = aead_request_ctx(req);

	aead_request_set_tfm(sub, context->gcm);
	aead_request_set_callback(sub, req->base.flags, req->base.complete, req->base.data);
	aead_request_set_crypt(sub, req->src, req->dst, req->cryptlen, req->iv);
	aead_request_set_ad(sub, req->assoclen);
	return sub;
}

static int gcm_encrypt(struct aead_request *req)
{
	return crypto_aead_encrypt(gcm_inner(req));
}

static int gcm_decrypt(struct aead_request *req)
{
	return crypto_aead_decrypt(gcm_inner(req));
}

static int gcm_init(struct crypto_aead *tfm)
{
	struct gcm_context *context = crypto_aead_ctx(tfm);

	context->gcm = crypto_alloc_aead(gcm_behind, 0, 0);
	if (IS_ERR(context->gcm))
		return PTR_ERR(context->gcm);
	crypto_aead_set_reqsize(tfm, sizeof(struct aead_request) +
				crypto_aead_reqsize(context->gcm));
	return 0;
}

static void gcm_exit(struct crypto_aead *tfm)
{
	struct gcm_context *context = crypto_aead_ctx(tfm);

	crypto_free_aead(context->gcm);
}

/* gcm_begin() sets the name, the priority and the flags. */
static struct aead_alg gcm_alg = {
	.base = {
		.cra_name = "gcm(aes)",
		.cra_blocksize = 1,
		.cra_ctxsize = sizeof(struct gcm_context),
		.cra_module = THIS_MODULE,
	},
	.ivsize = 12,
	.maxauthsize = 16,
	.setkey = gcm_setkey,
	.setauthsize = gcm_setauthsize,
	.encrypt = gcm_encrypt,
	.decrypt = gcm_decrypt,
	.init = gcm_init,
	.exit = gcm_exit,
};

static int gcm_begin(const char *name, int priority, u32 flags)
{
	struct crypto_aead *before = crypto_alloc_aead("gcm(aes)", 0, 0);

	if (IS_ERR(before))
		return PTR_ERR(before);
	strscpy(gcm_behind, crypto_tfm_alg_driver_name(crypto_aead_tfm(before)),
		sizeof(gcm_behind));
	crypto_free_aead(before);
	strscpy(gcm_alg.base.cra_driver_name, name, CRYPTO_MAX_ALG_NAME);
	gcm_alg.base.cra_priority = priority;
	gcm_alg.base.cra_flags = flags;
	return crypto_register_aead(&gcm_alg);
}

static void gcm_end(void)
{
	crypto_unregister_aead(&gcm_alg);
}

#endif
