// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_seal.c - sealing and opening pages; making and dropping their keys.
 *
 * Theory of operation
 *
 * A page is sealed with AES-256-GCM. Its nonce is a 64-bit counter of stores,
 * which is never set back, not even when the key changes; so 8 bytes in a
 * slot's record name the key, the nonce and with them the only version of the
 * slot that will open: freshness.
 *
 * A key belongs to a range of that counter, an epoch; cswap_epochs.c has their arithmetic. A new
 * epoch begins when the guest may have been cloned (both clones would use the same nonces) or when
 * a key has sealed enough. Old keys stay while a slot may need them.
 *
 * An epoch is dropped when no record names it. A store that has taken a counter but not yet written
 * the record is inside an SRCU read section, and so is every other user of a key: dropping waits
 * for both, by two grace periods.
 *
 * Crypto runs from private memory to private memory: GCM reads its input twice
 * (once to hash, once to encrypt), and some implementations read their output
 * again; in shared memory the host could change it in between.
 *
 * And it runs on the CPU. The kernel takes the implementation with the highest
 * priority, and drivers of crypto engines have priorities above the CPU's: a host
 * that emulates a PCI engine would be told every key. So an implementation is used
 * only if its name is one of those known to run on the CPU. Flags don't tell: some
 * engines look synchronous, and some kernels wrap the CPU's AES as asynchronous.
 */
#include <crypto/aead.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/kmod.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "cswap_seal.h"

/* A host that sends clone notices without end causes no more keys than this. */
#define REKEY_INTERVAL		HZ

/*
 * Most engines have these flags; an implementation that allocates can't be used in reclaim anyway
 * (I3).
 */
#define CIPHER_MASK		(CRYPTO_ALG_ALLOCATES_MEMORY | CRYPTO_ALG_KERN_DRIVER_ONLY)

/* --- ciphers that run on the CPU --- */

/* Their drivers' names, from Linux 6.1 on, the better ones first. */
static const char * const cpu_gcms[] = {
	"generic-gcm-vaes-avx512",
	"generic-gcm-vaes-avx10_512",
	"generic-gcm-vaes-avx10_256",
	"generic-gcm-vaes-avx2",
	"generic-gcm-aesni-avx",
	"generic-gcm-aesni",
	"gcm-aes-ce",
	"gcm-aes-s390",
	"gcm-aes-lib",
};

/* What gcm_base(CTR,GHASH) may be made of. */
static const char * const cpu_ctrs[] = {
	"ctr-aes-vaes-avx512",
	"ctr-aes-vaes-avx10_512",
	"ctr-aes-vaes-avx10_256",
	"ctr-aes-vaes-avx2",
	"ctr-aes-aesni-avx",
	"ctr-aes-aesni",
	"ctr(aes-aesni)",
	"ctr-aes-ce",
	"ctr-aes-neonbs",
	"ctr-aes-neon",
	"ctr(aes-ce)",
	"ctr(aes-arm64)",
	"ctr-aes-s390",
	"ctr-aes-riscv64-zvkned-zvkb",
	"ctr-aes-lib",
	"ctr(aes-lib)",
	"ctr(aes-generic)",
	"ctr(aes-fixed-time)",
};

static const char * const cpu_ghashes[] = {
	"ghash-clmulni",
	"ghash-ce",
	"ghash-neon",
	"ghash-s390",
	"ghash-riscv64-zvkg",
	"ghash-lib",
	"ghash-generic",
};

/* If none of cpu_gcms is there: what every kernel can make. */
static const char * const cpu_templates[] = {
	"gcm_base(ctr-aes-lib,ghash-lib)",
	"gcm_base(ctr(aes-lib),ghash-lib)",
	"gcm_base(ctr(aes-generic),ghash-lib)",
	"gcm_base(ctr(aes-generic),ghash-generic)",
};

static bool is_among(const char *name, size_t len, const char * const *names, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (strlen(names[i]) == len && !memcmp(names[i], name, len))
			return true;
	return false;
}

static bool runs_on_cpu(const char *driver)
{
	size_t len = strlen(driver), begin = str_has_prefix(driver, "gcm_base(");
	const char *ctr = driver + begin, *comma = strrchr(driver, ',');

	if (!begin || !comma || driver[len - 1] != ')')
		return is_among(driver, len, cpu_gcms, ARRAY_SIZE(cpu_gcms));
	return is_among(ctr, comma - ctr, cpu_ctrs, ARRAY_SIZE(cpu_ctrs)) &&
	       is_among(comma + 1, driver + len - 1 - (comma + 1), cpu_ghashes,
			ARRAY_SIZE(cpu_ghashes));
}

/* @alg is a name of gcm(aes), or of an implementation. */
static struct crypto_aead *aead_alloc(const char *alg, u32 mask)
{
	struct crypto_aead *tfm = crypto_alloc_aead(alg, 0, CIPHER_MASK | mask);
	const char *driver;

	if (IS_ERR(tfm))
		return tfm;
	driver = crypto_tfm_alg_driver_name(crypto_aead_tfm(tfm));
	if (runs_on_cpu(driver))
		return tfm;
	pr_warn("virtio_cswap: the kernel's choice for gcm(aes), %s, isn't known to run on the CPU alone: not used\n",
		driver);
	crypto_free_aead(tfm);
	return ERR_PTR(-ENOENT);
}

static struct crypto_aead *aead_choose(void)
{
	struct crypto_aead *tfm = aead_alloc("gcm(aes)", 0);
	unsigned int i;

	for (i = 0; IS_ERR(tfm) && i < ARRAY_SIZE(cpu_gcms); i++)
		tfm = aead_alloc(cpu_gcms[i], CRYPTO_NOLOAD);
	for (i = 0; IS_ERR(tfm) && i < ARRAY_SIZE(cpu_templates); i++)
		tfm = aead_alloc(cpu_templates[i], 0);
	return tfm;
}

/* --- keys --- */

unsigned int cswap_seal_epochs(struct cswap_seal *seal)
{
	int idx = srcu_read_lock(&seal->srcu);
	unsigned int nr = srcu_dereference(seal->epochs, &seal->srcu)->nr;

	srcu_read_unlock(&seal->srcu, idx);
	return nr;
}

/* @alg is the implementation of the keys before, or NULL. */
static struct crypto_aead *key_make(const char *alg)
{
	u8 key[VIRTIO_CSWAP_KEY_SIZE];
	struct crypto_aead *tfm;
	int rc = -EINVAL;

	tfm = alg ? aead_alloc(alg, 0) : aead_choose();
	if (IS_ERR(tfm))
		return tfm;
	if (crypto_aead_ivsize(tfm) != VIRTIO_CSWAP_NONCE_SIZE)
		goto err_free;
	rc = crypto_aead_setauthsize(tfm, VIRTIO_CSWAP_TAG_SIZE);
	if (rc)
		goto err_free;
	get_random_bytes(key, sizeof(key));
	rc = crypto_aead_setkey(tfm, key, sizeof(key));
	memzero_explicit(key, sizeof(key));
	if (rc)
		goto err_free;
	return tfm;

err_free:
	crypto_free_aead(tfm);
	return ERR_PTR(rc);
}

/* Which of @epochs some slot may need. */
static unsigned long epochs_used(struct cswap_seal *seal,
				 const struct cswap_epochs *epochs)
{
	unsigned long used = 0;

	/* every store that took a counter of an older epoch has written its record now */
	synchronize_srcu(&seal->srcu);
	seal->in_use(seal, epochs, &used);
	return used;
}

static int rekey(struct cswap_seal *seal)
{
	struct cswap_epochs *old = rcu_dereference_protected(seal->epochs, 1);
	struct cswap_epochs *new, dropped;
	struct crypto_aead *tfm;
	unsigned long used;
	unsigned int i;
	u64 first;
	int rc;

	rc = cswap_counter_room(&seal->counter);
	if (rc)
		return rc;
	new = kzalloc(sizeof(*new), GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	tfm = key_make(seal->alg);
	rc = PTR_ERR_OR_ZERO(tfm);
	if (rc)
		goto err_new;
	used = epochs_used(seal, old);
	first = cswap_counter_next_first(&seal->counter);
	rc = cswap_epochs_renew(old, used, first, tfm, new, &dropped);
	if (rc)
		goto err_key;
	rcu_assign_pointer(seal->epochs, new);
	cswap_counter_jump(&seal->counter, first);
	WRITE_ONCE(seal->made, seal->made + 1);

	synchronize_srcu(&seal->srcu);
	for (i = 0; i < dropped.nr; i++)
		crypto_free_aead(dropped.epoch[i].key);
	kfree(old);
	return 0;

err_key:
	crypto_free_aead(tfm);
err_new:
	kfree(new);
	return rc;
}

static void rekey_work(struct work_struct *work)
{
	struct cswap_seal *seal = container_of(to_delayed_work(work),
					       struct cswap_seal, rekey_work);
	int notices = cswap_counter_notices(&seal->counter);
	unsigned long delay = cswap_rekey_delay(jiffies, seal->last_rekey,
						REKEY_INTERVAL);
	unsigned int noio;
	int rc;

	/* Notices alone make no key: a key is made when a store asks for one, and only so often. */
	if (!cswap_counter_asked(&seal->counter))
		return;
	if (delay) {
		queue_delayed_work(seal->wq, &seal->rekey_work, delay);
		return;
	}
	/* stores wait for this work: it must not wait for a store, in reclaim */
	noio = memalloc_noio_save();
	rc = rekey(seal);
	memalloc_noio_restore(noio);
	seal->last_rekey = jiffies;
	WRITE_ONCE(seal->failing, rc);
	if (!rc)
		cswap_counter_served(&seal->counter, notices);
	wake_up_all(&seal->renewed);
	if (!rc)
		return;
	pr_warn_ratelimited("virtio_cswap: no new key yet (%d): it's tried again, and the old one serves for as long as it may\n",
			    rc);
	if (rc != -EKEYEXPIRED)
		queue_delayed_work(seal->wq, &seal->rekey_work, REKEY_INTERVAL);
}

void cswap_seal_rekey(struct cswap_seal *seal)
{
	cswap_counter_notice(&seal->counter);
}

/* Leaves the key to a worker: making a key allocates, and the caller may be in reclaim. */
static void rekey_start(struct cswap_seal *seal)
{
	queue_delayed_work(seal->wq, &seal->rekey_work, 0);
}

/* True when a store need not wait (any more): there's a key, or none to be had. */
static bool key_awaited(struct cswap_seal *seal)
{
	if (!cswap_counter_stale(&seal->counter))
		return true;
	if (cswap_counter_ask(&seal->counter))
		rekey_start(seal);
	return READ_ONCE(seal->failing);
}

void cswap_seal_await(struct cswap_seal *seal, unsigned long timeout)
{
	if (unlikely(cswap_counter_stale(&seal->counter)))
		wait_event_timeout(seal->renewed, key_awaited(seal), timeout);
}

s64 cswap_seal_begin(struct cswap_seal *seal, int *srcu)
	__acquires(&seal->srcu)
{
	bool ask;
	s64 counter;

	*srcu = srcu_read_lock(&seal->srcu);
	counter = cswap_counter_take(&seal->counter, &ask);
	if (unlikely(ask))
		rekey_start(seal);
	return counter;
}

void cswap_seal_end(struct cswap_seal *seal, int srcu)
	__releases(&seal->srcu)
{
	srcu_read_unlock(&seal->srcu, srcu);
}

/* --- ciphers --- */

int cswap_cipher_init(struct cswap_cipher *cipher, struct cswap_seal *seal)
{
	struct cswap_epochs *epochs = rcu_dereference_protected(seal->epochs, 1);

	mutex_init(&cipher->lock);
	cipher->page = (u8 *)__get_free_page(GFP_KERNEL);
	cipher->request = aead_request_alloc(epochs->epoch[0].key, GFP_KERNEL);
	if (!cipher->page || !cipher->request) {
		cswap_cipher_exit(cipher);
		return -ENOMEM;
	}
	return 0;
}

void cswap_cipher_exit(struct cswap_cipher *cipher)
{
	/* zeroed: it may hold traces of a page */
	if (cipher->request)
		aead_request_free(cipher->request);
	free_page((unsigned long)cipher->page);
	cipher->request = NULL;
	cipher->page = NULL;
}

static void ciphers_free(struct cswap_seal *seal)
{
	unsigned int cpu;

	for (cpu = 0; seal->ciphers && cpu < nr_cpu_ids; cpu++) {
		if (seal->ciphers[cpu])
			cswap_cipher_exit(seal->ciphers[cpu]);
		kfree(seal->ciphers[cpu]);
	}
	kfree(seal->ciphers);
	seal->ciphers = NULL;
}

/* Not per-CPU memory: the cipher takes addresses of the direct map only. */
static int ciphers_make(struct cswap_seal *seal)
{
	unsigned int cpu;
	int rc;

	seal->ciphers = kcalloc(nr_cpu_ids, sizeof(*seal->ciphers), GFP_KERNEL);
	if (!seal->ciphers)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		struct cswap_cipher *cipher = kzalloc_node(sizeof(*cipher), GFP_KERNEL,
							   cpu_to_node(cpu));

		seal->ciphers[cpu] = cipher;
		rc = cipher ? cswap_cipher_init(cipher, seal) : -ENOMEM;
		if (rc)
			return rc;
	}
	return 0;
}

struct cswap_cipher *cswap_cipher_get(struct cswap_seal *seal)
{
	struct cswap_cipher *cipher = seal->ciphers[raw_smp_processor_id()];

	mutex_lock(&cipher->lock);
	return cipher;
}

void cswap_cipher_put(struct cswap_cipher *cipher)
{
	mutex_unlock(&cipher->lock);
}

/* --- life cycle --- */

int cswap_seal_init(struct cswap_seal *seal, u64 device, u64 rekey_pages,
		    void (*in_use)(struct cswap_seal *seal,
				   const struct cswap_epochs *epochs,
				   unsigned long *used))
{
	struct cswap_epochs *epochs;
	struct crypto_aead *tfm;
	int rc;

	rc = wait_for_random_bytes();
	if (rc)
		return rc;
	/*
	 * Newer kernels always have a slow implementation built in, so asking
	 * for the algorithm doesn't load the fast ones; this does.
	 */
	request_module("crypto-aes");
	tfm = key_make(NULL);
	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	rc = -ENOMEM;
	epochs = kzalloc(sizeof(*epochs), GFP_KERNEL);
	seal->wq = alloc_workqueue("cswap_keys", WQ_MEM_RECLAIM | WQ_UNBOUND, 1);
	if (!epochs || !seal->wq)
		goto err;
	epochs->epoch[epochs->nr++] = (struct cswap_epoch) { 0, tfm };
	rcu_assign_pointer(seal->epochs, epochs);
	rc = ciphers_make(seal) ?: init_srcu_struct(&seal->srcu);
	if (rc)
		goto err;
	/* the same implementation for later keys: requests are sized for it */
	strscpy(seal->alg, crypto_tfm_alg_driver_name(crypto_aead_tfm(tfm)),
		sizeof(seal->alg));
	seal->device = device;
	seal->in_use = in_use;
	seal->made = 1;
	seal->last_rekey = jiffies - REKEY_INTERVAL;
	cswap_counter_init(&seal->counter, rekey_pages);
	seal->failing = false;
	init_waitqueue_head(&seal->renewed);
	INIT_DELAYED_WORK(&seal->rekey_work, rekey_work);
	return 0;

err:
	ciphers_free(seal);
	RCU_INIT_POINTER(seal->epochs, NULL);
	if (seal->wq)
		destroy_workqueue(seal->wq);
	kfree(epochs);
	crypto_free_aead(tfm);
	return rc;
}

void cswap_seal_exit(struct cswap_seal *seal)
{
	struct cswap_epochs *epochs = rcu_dereference_protected(seal->epochs, 1);
	unsigned int i;

	cancel_delayed_work_sync(&seal->rekey_work);
	destroy_workqueue(seal->wq);
	ciphers_free(seal);
	/* freeing a transform zeroes its key */
	for (i = 0; i < epochs->nr; i++)
		crypto_free_aead(epochs->epoch[i].key);
	kfree(epochs);
	RCU_INIT_POINTER(seal->epochs, NULL);
	cleanup_srcu_struct(&seal->srcu);
}

/* --- sealing and opening --- */

static void put_nonce(u8 nonce[VIRTIO_CSWAP_NONCE_SIZE], u64 counter)
{
	__le64 le = cpu_to_le64(counter);

	memset(nonce, 0, VIRTIO_CSWAP_NONCE_SIZE - sizeof(le));
	memcpy(nonce + VIRTIO_CSWAP_NONCE_SIZE - sizeof(le), &le, sizeof(le));
}

/*
 * Run the AEAD over additional data, @in to @out and the tag. An asynchronous
 * implementation (a wrapper that some kernels put around the fast ones) is
 * awaited; none is allowed to sleep for memory (no MAY_SLEEP).
 */
static int cipher_run(struct cswap_cipher *cipher, struct crypto_aead *tfm,
		      u64 device, u64 slot, u64 counter, bool seal)
{
	u8 nonce[VIRTIO_CSWAP_NONCE_SIZE];
	DECLARE_CRYPTO_WAIT(wait);
	struct aead_request *req = cipher->request;
	unsigned int len = VIRTIO_CSWAP_SLOT_SIZE;

	put_nonce(nonce, counter);
	cipher->aad.device = cpu_to_le64(device);
	cipher->aad.slot = cpu_to_le64(slot);
	sg_set_buf(&cipher->src[0], &cipher->aad, sizeof(cipher->aad));
	sg_set_buf(&cipher->dst[0], &cipher->aad, sizeof(cipher->aad));
	sg_set_buf(&cipher->src[2], cipher->tag, sizeof(cipher->tag));
	sg_set_buf(&cipher->dst[2], cipher->tag, sizeof(cipher->tag));

	aead_request_set_tfm(req, tfm);
	aead_request_set_callback(req, 0, crypto_req_done, &wait);
	aead_request_set_ad(req, sizeof(cipher->aad));
	aead_request_set_crypt(req, cipher->src, cipher->dst,
			       seal ? len : len + VIRTIO_CSWAP_TAG_SIZE, nonce);
	return crypto_wait_req(seal ? crypto_aead_encrypt(req) :
				      crypto_aead_decrypt(req), &wait);
}

static struct crypto_aead *key_of(struct cswap_seal *seal, u64 counter)
{
	struct cswap_epochs *epochs = srcu_dereference(seal->epochs, &seal->srcu);

	return epochs->epoch[cswap_epoch_of(epochs, counter)].key;
}

int cswap_seal_page(struct cswap_seal *seal, struct cswap_cipher *cipher,
		    u64 counter, u64 slot, struct page *page, unsigned int offset)
{
	sg_init_table(cipher->src, 3);
	sg_init_table(cipher->dst, 3);
	sg_set_page(&cipher->src[1], page, VIRTIO_CSWAP_SLOT_SIZE, offset);
	sg_set_buf(&cipher->dst[1], cipher->page, VIRTIO_CSWAP_SLOT_SIZE);
	return cipher_run(cipher, key_of(seal, counter), seal->device, slot,
			  counter, true);
}

int cswap_open_page(struct cswap_seal *seal, struct cswap_cipher *cipher,
		    u64 counter, u64 slot, const u8 *tag, struct page *page,
		    unsigned int offset)
{
	int rc, idx;

	sg_init_table(cipher->src, 3);
	sg_init_table(cipher->dst, 3);
	sg_set_page(&cipher->src[1], page, VIRTIO_CSWAP_SLOT_SIZE, offset);
	sg_set_page(&cipher->dst[1], page, VIRTIO_CSWAP_SLOT_SIZE, offset);
	memcpy(cipher->tag, tag, sizeof(cipher->tag));

	idx = srcu_read_lock(&seal->srcu);
	rc = cipher_run(cipher, key_of(seal, counter), seal->device, slot,
			counter, false);
	srcu_read_unlock(&seal->srcu, idx);
	if (rc)
		/* some implementations write the plaintext before the tag has been found wrong */
		memzero_page(page, offset, VIRTIO_CSWAP_SLOT_SIZE);
	return rc;
}
