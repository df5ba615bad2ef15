// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_seal.c - sealing and opening pages; keys, their epochs and the counter.
 *
 * Theory of operation
 *
 * A page is sealed with AES-256-GCM. Its nonce is a 64-bit counter of stores,
 * which is never set back, not even when the key changes; so 8 bytes in a
 * slot's record name the key, the nonce and with them the only version of the
 * slot that will open: freshness.
 *
 * Keys are ranges of that counter, epochs. A new one begins when the guest may
 * have been cloned (both clones would use the same nonces) or when a key has
 * sealed enough. Old keys stay while a slot may need them. The order that makes
 * this safe without a lock on the data path:
 *
 *	the new epoch is published, to begin far (EPOCH_GAP) ahead of the counter;
 *	then the counter is moved there.
 *
 * A store takes its counter first and finds the key by it, so it gets the old
 * key for a counter before the jump and the new one after it. The gap is more
 * than can be handed out in between.
 *
 * An epoch is dropped when no record names it. A store that has taken a counter
 * but not yet written the record is inside an SRCU read section, and so is
 * everybody who uses a key: dropping waits for them, twice.
 *
 * Crypto runs from private memory to private memory: GCM reads its input twice
 * (once to hash, once to encrypt), and some implementations read their output
 * again; in shared memory the host could change it in between.
 */
#include <crypto/aead.h>
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/kmod.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "cswap_seal.h"

#define EPOCH_GAP		BIT_ULL(32)
/* A host that sends clone notices without end gets no more keys than this. */
#define REKEY_INTERVAL		HZ

/* --- epochs --- */

static unsigned int epoch_of(const struct cswap_epochs *epochs, u64 counter)
{
	unsigned int i = epochs->nr;

	while (--i && epochs->epoch[i].first > counter)
		;
	return i;
}

void cswap_epochs_mark(const struct cswap_epochs *epochs, unsigned long *used,
		       u64 counter)
{
	__set_bit(epoch_of(epochs, counter), used);
}

unsigned int cswap_seal_epochs(struct cswap_seal *seal)
{
	int idx = srcu_read_lock(&seal->srcu);
	unsigned int nr = srcu_dereference(seal->epochs, &seal->srcu)->nr;

	srcu_read_unlock(&seal->srcu, idx);
	return nr;
}

static struct crypto_aead *key_make(const char *alg)
{
	u8 key[VIRTIO_CSWAP_KEY_SIZE];
	struct crypto_aead *tfm;
	int rc = -EINVAL;

	tfm = crypto_alloc_aead(alg, 0, 0);
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

/* From here on stores take counters from @first up. */
static void counter_jump(struct cswap_seal *seal, u64 first)
{
	WRITE_ONCE(seal->renew_at, first + seal->rekey_pages);
	atomic64_add(EPOCH_GAP, &seal->counter);
}

/* Where the next epoch begins: out of reach of stores that run just now. */
static u64 next_first(struct cswap_seal *seal)
{
	return atomic64_read(&seal->counter) + EPOCH_GAP / 2;
}

/*
 * The table with @tfm's epoch added and those dropped that no slot needs; what
 * was dropped is in @dropped. The newest of @old stays: stores still use it.
 */
static struct cswap_epochs *epochs_renew(struct cswap_seal *seal,
					 const struct cswap_epochs *old,
					 struct crypto_aead *tfm,
					 struct cswap_epochs *dropped)
{
	struct cswap_epochs *new = kzalloc(sizeof(*new), GFP_KERNEL);
	unsigned long used = 0;
	unsigned int i;

	if (!new)
		return ERR_PTR(-ENOMEM);
	/* whoever took a counter of an older epoch has written his record now */
	synchronize_srcu(&seal->srcu);
	__set_bit(old->nr - 1, &used);
	seal->in_use(seal, old, &used);

	dropped->nr = 0;
	for (i = 0; i < old->nr; i++) {
		struct cswap_epochs *to = test_bit(i, &used) ? new : dropped;

		to->epoch[to->nr++] = old->epoch[i];
	}
	if (new->nr == CSWAP_MAX_EPOCHS) {
		kfree(new);
		return ERR_PTR(-ENOSPC);
	}
	new->epoch[new->nr++] = (struct cswap_epoch) { next_first(seal), tfm };
	return new;
}

static int rekey(struct cswap_seal *seal)
{
	struct cswap_epochs *old = rcu_dereference_protected(seal->epochs, 1);
	struct cswap_epochs *new, dropped;
	struct crypto_aead *tfm;
	unsigned int i;

	if (atomic64_read(&seal->counter) > CSWAP_MAX_COUNTER - 2 * EPOCH_GAP)
		return -EKEYEXPIRED;
	tfm = key_make(seal->alg);
	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	new = epochs_renew(seal, old, tfm, &dropped);
	if (IS_ERR(new)) {
		crypto_free_aead(tfm);
		return PTR_ERR(new);
	}
	rcu_assign_pointer(seal->epochs, new);
	counter_jump(seal, new->epoch[new->nr - 1].first);
	WRITE_ONCE(seal->made, seal->made + 1);

	synchronize_srcu(&seal->srcu);
	for (i = 0; i < dropped.nr; i++)
		crypto_free_aead(dropped.epoch[i].tfm);
	kfree(old);
	return 0;
}

static void rekey_work(struct work_struct *work)
{
	struct cswap_seal *seal = container_of(to_delayed_work(work),
					       struct cswap_seal, rekey_work);
	unsigned long due = seal->last_rekey + REKEY_INTERVAL;
	int served = atomic_read(&seal->stale);
	int rc;

	/*
	 * A key that nobody asks for isn't made, however many notices come, and
	 * those that are made are rationed.
	 */
	if (!atomic_read(&seal->wanted))
		return;
	if (time_before(jiffies, due)) {
		queue_delayed_work(system_unbound_wq, &seal->rekey_work,
				   due - jiffies);
		return;
	}
	rc = rekey(seal);
	seal->last_rekey = jiffies;
	if (!rc) {
		atomic_sub(served, &seal->stale);
		atomic_set(&seal->wanted, 0);
		return;
	}
	pr_warn_ratelimited("virtio_cswap: no new key yet (%d): it's tried again, and the old one serves for as long as it may\n",
			    rc);
	if (rc != -EKEYEXPIRED)
		queue_delayed_work(system_unbound_wq, &seal->rekey_work,
				   REKEY_INTERVAL);
}

void cswap_seal_rekey(struct cswap_seal *seal)
{
	atomic_inc(&seal->stale);
}

/* Not awaited: making a key allocates, and the caller may be in reclaim. */
static void rekey_ask(struct cswap_seal *seal)
{
	if (!atomic_xchg(&seal->wanted, 1))
		queue_delayed_work(system_unbound_wq, &seal->rekey_work, 0);
}

s64 cswap_seal_begin(struct cswap_seal *seal, int *srcu)
	__acquires(&seal->srcu)
{
	u64 counter, renew_at;

	*srcu = srcu_read_lock(&seal->srcu);
	if (unlikely(atomic_read(&seal->stale))) {
		rekey_ask(seal);
		return -EAGAIN;
	}
	counter = atomic64_inc_return(&seal->counter);
	renew_at = READ_ONCE(seal->renew_at);
	if (unlikely(counter >= renew_at)) {
		/* there's time: the old key serves until the new one is there */
		rekey_ask(seal);
		if (counter >= CSWAP_MAX_COUNTER || counter - renew_at > CSWAP_MAX_REKEY)
			return -EKEYEXPIRED;
	}
	return counter;
}

void cswap_seal_end(struct cswap_seal *seal, int srcu)
	__releases(&seal->srcu)
{
	srcu_read_unlock(&seal->srcu, srcu);
}

int cswap_seal_init(struct cswap_seal *seal, const char *alg, u64 device,
		    u64 rekey_pages,
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
	tfm = key_make(alg);
	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	epochs = kzalloc(sizeof(*epochs), GFP_KERNEL);
	rc = epochs ? init_srcu_struct(&seal->srcu) : -ENOMEM;
	if (rc) {
		kfree(epochs);
		crypto_free_aead(tfm);
		return rc;
	}
	/* the same implementation for later keys: requests are sized for it */
	strscpy(seal->alg, crypto_tfm_alg_driver_name(crypto_aead_tfm(tfm)),
		sizeof(seal->alg));
	seal->device = device;
	seal->rekey_pages = rekey_pages;
	seal->renew_at = rekey_pages;
	seal->in_use = in_use;
	seal->made = 1;
	seal->last_rekey = jiffies - REKEY_INTERVAL;
	atomic64_set(&seal->counter, 0);
	atomic_set(&seal->stale, 0);
	atomic_set(&seal->wanted, 0);
	epochs->epoch[epochs->nr++] = (struct cswap_epoch) { 0, tfm };
	rcu_assign_pointer(seal->epochs, epochs);
	INIT_DELAYED_WORK(&seal->rekey_work, rekey_work);
	return 0;
}

void cswap_seal_exit(struct cswap_seal *seal)
{
	struct cswap_epochs *epochs = rcu_dereference_protected(seal->epochs, 1);
	unsigned int i;

	cancel_delayed_work_sync(&seal->rekey_work);
	/* freeing a transform zeroes its key */
	for (i = 0; i < epochs->nr; i++)
		crypto_free_aead(epochs->epoch[i].tfm);
	kfree(epochs);
	RCU_INIT_POINTER(seal->epochs, NULL);
	cleanup_srcu_struct(&seal->srcu);
}

/* --- ciphers --- */

int cswap_cipher_init(struct cswap_cipher *cipher, struct cswap_seal *seal)
{
	struct cswap_epochs *epochs = rcu_dereference_protected(seal->epochs, 1);

	cipher->page = (u8 *)__get_free_page(GFP_KERNEL);
	cipher->request = aead_request_alloc(epochs->epoch[0].tfm, GFP_KERNEL);
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

	return epochs->epoch[epoch_of(epochs, counter)].tfm;
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
		/* some implementations have written what they couldn't prove */
		memzero_page(page, offset, VIRTIO_CSWAP_SLOT_SIZE);
	return rc;
}
