/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cswap_seal.h - sealing and opening pages; keys, their epochs and the counter.
 * Theory of operation in cswap_seal.c. Knows nothing of the transport.
 */
#ifndef CSWAP_SEAL_H
#define CSWAP_SEAL_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/crypto.h>
#include <linux/scatterlist.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include <linux/virtio_cswap.h>

struct aead_request;
struct crypto_aead;
struct page;

/* Keys that slots may still be sealed with. */
#define CSWAP_MAX_EPOCHS	16
/* The most pages that a key may seal, before a new one is due. */
#define CSWAP_MAX_REKEY		BIT_ULL(40)
/* A record has 56 bits for the counter; the last value is never handed out. */
#define CSWAP_MAX_COUNTER	(BIT_ULL(56) - 1)

/* A range of the counter, from @first to the next epoch's, and its key. */
struct cswap_epoch {
	u64 first;
	struct crypto_aead *tfm;
};

/* All of them, oldest first. Never changed once published. */
struct cswap_epochs {
	unsigned int nr;
	struct cswap_epoch epoch[CSWAP_MAX_EPOCHS];
};

struct cswap_seal {
	u64 device;			/* in the additional data */
	u64 rekey_pages;		/* a new key after so many stores */
	char alg[CRYPTO_MAX_ALG_NAME];	/* driver name of the AEAD, for all epochs */

	unsigned int made;		/* keys so far */
	atomic64_t counter;		/* the last value handed out */
	u64 renew_at;			/* counter at which the newest key has done its work */
	atomic_t stale;			/* notices not served: no store before a new key */
	atomic_t wanted;		/* a store has asked for a new key */
	struct srcu_struct srcu;	/* readers of @epochs */
	struct cswap_epochs __rcu *epochs; /* written by @rekey_work alone */

	struct delayed_work rekey_work;
	unsigned long last_rekey;	/* jiffies; @rekey_work alone */
	/*
	 * Tells which epochs are in use: calls cswap_epochs_mark() for every
	 * counter that some slot may be opened with. May sleep.
	 */
	void (*in_use)(struct cswap_seal *seal, const struct cswap_epochs *epochs,
		       unsigned long *used);
};

/* What one seal or open needs beside the page, allocated beforehand. */
struct cswap_cipher {
	struct cswap_cipher *next;	/* for the owner's list */
	struct aead_request *request;
	struct virtio_cswap_aad aad;
	u8 tag[VIRTIO_CSWAP_TAG_SIZE];
	u8 *page;			/* SLOT_SIZE: where a page is sealed into */
	struct scatterlist src[3], dst[3]; /* additional data, page, tag */
};

/*
 * Make the first key. @alg is an AEAD of the kernel's, with a 12-byte nonce, a
 * 32-byte key and a 16-byte tag. Waits for the random number generator. Sleeps.
 */
int cswap_seal_init(struct cswap_seal *seal, const char *alg, u64 device,
		    u64 rekey_pages,
		    void (*in_use)(struct cswap_seal *seal,
				   const struct cswap_epochs *epochs,
				   unsigned long *used));
/* Forget all keys. Nobody seals or opens any more. Sleeps. */
void cswap_seal_exit(struct cswap_seal *seal);

/*
 * A new key before any further store: until it's there stores fail with
 * -EAGAIN. Any context.
 */
void cswap_seal_rekey(struct cswap_seal *seal);
/* Note in @used the epoch of @counter; for @in_use. */
void cswap_epochs_mark(const struct cswap_epochs *epochs, unsigned long *used,
		       u64 counter);
/* The number of keys there have been is of interest to people: 1 and up. */
unsigned int cswap_seal_epochs(struct cswap_seal *seal);

int cswap_cipher_init(struct cswap_cipher *cipher, struct cswap_seal *seal);
void cswap_cipher_exit(struct cswap_cipher *cipher);

/*
 * Between begin and end of a store its counter keeps its key alive; the record
 * must name the counter before the end. Returns the counter, or a negative
 * errno: -EAGAIN while a key is being made, -EKEYEXPIRED when there's none left.
 * The end is due either way.
 */
s64 cswap_seal_begin(struct cswap_seal *seal, int *srcu) __acquires(&seal->srcu);
void cswap_seal_end(struct cswap_seal *seal, int srcu) __releases(&seal->srcu);

/*
 * Seal @page into cipher->page and cipher->tag. May sleep; doesn't allocate.
 */
int __must_check cswap_seal_page(struct cswap_seal *seal, struct cswap_cipher *cipher,
				 u64 counter, u64 slot, struct page *page,
				 unsigned int offset);
/*
 * Open @page in place with @tag. Returns 0, or -EBADMSG and then the page holds
 * zeros. May sleep; doesn't allocate. The record must have named the counter
 * since before the slot was looked up, or the page's copy be held.
 */
int __must_check cswap_open_page(struct cswap_seal *seal, struct cswap_cipher *cipher,
				 u64 counter, u64 slot, const u8 *tag,
				 struct page *page, unsigned int offset);

#endif /* CSWAP_SEAL_H */
