/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cswap_seal.h - sealing and opening pages; making and dropping their keys.
 * Theory of operation in cswap_seal.c. Knows nothing of the transport.
 */
#ifndef CSWAP_SEAL_H
#define CSWAP_SEAL_H

#include <linux/crypto.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <linux/virtio_cswap.h>

#include "cswap_epochs.h"

struct aead_request;
struct page;

struct cswap_seal {
	u64 device;			/* in the additional data */
	char alg[CRYPTO_MAX_ALG_NAME];	/* driver name of the AEAD, for all epochs */

	unsigned int made;		/* keys so far */
	struct cswap_counter counter;
	bool failing;			/* the last try to make one came to nothing */
	wait_queue_head_t renewed;	/* stores that wait for a new key */
	struct srcu_struct srcu;	/* readers of @epochs */
	struct cswap_epochs __rcu *epochs; /* keys are transforms; written by @rekey_work alone */
	struct cswap_cipher **ciphers;	/* [nr_cpu_ids], of possible CPUs */

	struct workqueue_struct *wq;	/* of its own: stores in reclaim wait for it */
	struct delayed_work rekey_work;
	unsigned long last_rekey;	/* jiffies; @rekey_work alone */
	/*
	 * Tells which epochs are in use: calls cswap_epochs_mark() for every
	 * counter that some slot may be opened with. May sleep.
	 */
	void (*in_use)(struct cswap_seal *seal, const struct cswap_epochs *epochs,
		       unsigned long *used);
};

/*
 * What one seal or open needs beside the page, allocated beforehand, one for each CPU. A task
 * that is moved to another CPU while it has one keeps it, and others wait for it meanwhile.
 */
struct cswap_cipher {
	struct mutex lock;		/* held by the task that has the cipher */
	struct aead_request *request;
	struct virtio_cswap_aad aad;
	u8 tag[VIRTIO_CSWAP_TAG_SIZE];
	u8 *page;			/* SLOT_SIZE: where a page is sealed into */
	struct scatterlist src[3], dst[3]; /* additional data, page, tag */
};

/*
 * Make the first key, of AES-256-GCM on the CPU. -ENOENT if the kernel has no such
 * implementation. Waits for the random number generator. Sleeps.
 */
int cswap_seal_init(struct cswap_seal *seal, u64 device, u64 rekey_pages,
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
/*
 * Wait for the key that a store needs, if it isn't there, but not longer than
 * @timeout jiffies, nor when it can't be had soon. Holding nothing. Whether it's
 * there then is said by cswap_seal_begin().
 */
void cswap_seal_await(struct cswap_seal *seal, unsigned long timeout);
/* The number of keys there have been is of interest to people: 1 and up. */
unsigned int cswap_seal_epochs(struct cswap_seal *seal);

/* One beside those that the seal has; @cipher is zeroed. */
int cswap_cipher_init(struct cswap_cipher *cipher, struct cswap_seal *seal);
void cswap_cipher_exit(struct cswap_cipher *cipher);
/*
 * Have this CPU's cipher until it's put back. May sleep, but only for a task that seals or opens a
 * page.
 */
struct cswap_cipher *cswap_cipher_get(struct cswap_seal *seal);
void cswap_cipher_put(struct cswap_cipher *cipher);

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
