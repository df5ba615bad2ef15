// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_seal_test.c - seals and opens the test vectors with the driver's own code, on the kernel's
 * AEAD.
 *
 * Theory of operation: the source of the driver's seal is included, not copied, so what is tested
 * is what the driver does. The only thing that differs is the key, which is the vector's. At load
 * time each vector is sealed, opened, and opened with one thing changed at a time: a bit of the
 * page, of the tag, the slot, the counter, the device. What came out is in debugfs:
 *	cswap_seal_test/vectors		the text that tests/vectors/seal_vectors.h defines
 *	cswap_seal_test/opened		cipher=NAME opened=N refused=N wrong=N
 *	cswap_seal_test/speed		measured when it is read, the fastest of some rounds: cipher=NAME
 *					seal_ns=N open_ns=N, a page
 * Names of implementations that the driver must and must not use are tried as well.
 */
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "../../guest/cswap_epochs.c"
#include "../../guest/cswap_seal.c"
#include "../vectors/seal_vectors.h"

struct sealed {
	u8 tag[VIRTIO_CSWAP_TAG_SIZE];
	u8 head[CSWAP_VECTOR_EDGE_BYTES];
	u8 tail[CSWAP_VECTOR_EDGE_BYTES];
};

static struct sealed sealed[CSWAP_SEAL_VECTORS];
static char alg[CRYPTO_MAX_ALG_NAME];
static unsigned int opened, refused, wrong;
static struct dentry *dir;

/* One vector's seal, its cipher and a page. */
struct bench {
	struct cswap_seal seal;
	struct cswap_cipher cipher;
	struct page *page;
	const struct cswap_seal_vector *vector;
};

static int key_set(struct bench *bench)
{
	struct cswap_epochs *epochs = rcu_dereference_protected(bench->seal.epochs, 1);
	u8 key[VIRTIO_CSWAP_KEY_SIZE];
	unsigned int i;

	for (i = 0; i < sizeof(key); i++)
		key[i] = cswap_vector_key_byte(bench->vector->key_seed, i);
	return crypto_aead_setkey(epochs->epoch[0].key, key, sizeof(key));
}

static int bench_init(struct bench *bench, const struct cswap_seal_vector *vector)
{
	int rc;

	bench->vector = vector;
	bench->page = alloc_page(GFP_KERNEL);
	if (!bench->page)
		return -ENOMEM;
	rc = cswap_seal_init(&bench->seal, vector->device, CSWAP_MAX_COUNTER, NULL);
	if (rc)
		goto err_page;
	rc = key_set(bench) ?: cswap_cipher_init(&bench->cipher, &bench->seal);
	if (rc)
		goto err_seal;
	return 0;

err_seal:
	cswap_seal_exit(&bench->seal);
err_page:
	__free_page(bench->page);
	return rc;
}

static void bench_exit(struct bench *bench)
{
	cswap_cipher_exit(&bench->cipher);
	cswap_seal_exit(&bench->seal);
	__free_page(bench->page);
}

static void page_fill(struct bench *bench)
{
	u8 *page = page_address(bench->page);
	unsigned int i;

	for (i = 0; i < VIRTIO_CSWAP_SLOT_SIZE; i++)
		page[i] = cswap_vector_page_byte(bench->vector->page, bench->vector->slot, i);
}

static bool page_is_filled(struct bench *bench)
{
	const u8 *page = page_address(bench->page);
	unsigned int i;

	for (i = 0; i < VIRTIO_CSWAP_SLOT_SIZE; i++)
		if (page[i] != cswap_vector_page_byte(bench->vector->page, bench->vector->slot, i))
			return false;
	return true;
}

/* What is changed before a page is opened. */
struct change {
	u64 slot, counter, device;	/* xor */
	unsigned int page_bit, tag_bit;	/* number of the bit + 1; 0: none */
};

/* Open what lies in cipher->page, with @change; the private copy stays as it was. */
static int open_changed(struct bench *bench, const u8 *tag, const struct change *change)
{
	const struct cswap_seal_vector *vector = bench->vector;
	u8 *page = page_address(bench->page), changed_tag[VIRTIO_CSWAP_TAG_SIZE];
	int rc;

	memcpy(page, bench->cipher.page, VIRTIO_CSWAP_SLOT_SIZE);
	memcpy(changed_tag, tag, sizeof(changed_tag));
	if (change->page_bit)
		page[(change->page_bit - 1) / 8] ^= 1 << (change->page_bit - 1) % 8;
	if (change->tag_bit)
		changed_tag[(change->tag_bit - 1) / 8] ^= 1 << (change->tag_bit - 1) % 8;
	bench->seal.device = vector->device ^ change->device;
	rc = cswap_open_page(&bench->seal, &bench->cipher, vector->counter ^ change->counter,
			     vector->slot ^ change->slot, changed_tag, bench->page, 0);
	bench->seal.device = vector->device;
	return rc;
}

static const struct change changes[] = {
	{ .slot = 1 }, { .slot = BIT_ULL(40) },
	{ .counter = 1 }, { .counter = BIT_ULL(63) },
	{ .device = 1 }, { .device = BIT_ULL(63) },
	{ .page_bit = 1 }, { .page_bit = VIRTIO_CSWAP_SLOT_SIZE * 4 },
	{ .page_bit = VIRTIO_CSWAP_SLOT_SIZE * 8 },
	{ .tag_bit = 1 }, { .tag_bit = VIRTIO_CSWAP_TAG_SIZE * 8 },
};

/* A page that was refused must not be there in any form. */
static bool refused_cleanly(struct bench *bench, int rc)
{
	return rc == -EBADMSG && !memchr_inv(page_address(bench->page), 0, VIRTIO_CSWAP_SLOT_SIZE);
}

static int vector_run(unsigned int n)
{
	struct bench *bench = kzalloc(sizeof(*bench), GFP_KERNEL);
	const struct cswap_seal_vector *vector = &cswap_seal_vectors[n];
	unsigned int i;
	int rc, idx;

	if (!bench)
		return -ENOMEM;
	rc = bench_init(bench, vector);
	if (rc)
		goto out;
	strscpy(alg, bench->seal.alg, sizeof(alg));
	page_fill(bench);
	/* a store is inside this from cswap_seal_begin() on */
	idx = srcu_read_lock(&bench->seal.srcu);
	rc = cswap_seal_page(&bench->seal, &bench->cipher, vector->counter, vector->slot,
			     bench->page, 0);
	srcu_read_unlock(&bench->seal.srcu, idx);
	if (rc)
		goto out_exit;
	memcpy(sealed[n].tag, bench->cipher.tag, sizeof(sealed[n].tag));
	memcpy(sealed[n].head, bench->cipher.page, sizeof(sealed[n].head));
	memcpy(sealed[n].tail,
	       bench->cipher.page + VIRTIO_CSWAP_SLOT_SIZE - sizeof(sealed[n].tail),
	       sizeof(sealed[n].tail));

	if (!open_changed(bench, sealed[n].tag, &(struct change) { }) && page_is_filled(bench))
		opened++;
	else
		wrong++;
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		if (refused_cleanly(bench, open_changed(bench, sealed[n].tag, &changes[i])))
			refused++;
		else
			wrong++;
	}
out_exit:
	bench_exit(bench);
out:
	kfree(bench);
	return rc;
}

static void hex_of(char *to, const u8 *from, unsigned int bytes)
{
	snprintf(to, 2 * bytes + 1, "%*phN", (int)bytes, from);
}

static int vectors_show(struct seq_file *m, void *v)
{
	char tag[2 * VIRTIO_CSWAP_TAG_SIZE + 1];
	char head[2 * CSWAP_VECTOR_EDGE_BYTES + 1], tail[2 * CSWAP_VECTOR_EDGE_BYTES + 1];
	unsigned int i;

	seq_puts(m, CSWAP_VECTORS_TITLE);
	for (i = 0; i < CSWAP_SEAL_VECTORS; i++) {
		const struct cswap_seal_vector *vector = &cswap_seal_vectors[i];

		hex_of(tag, sealed[i].tag, sizeof(sealed[i].tag));
		hex_of(head, sealed[i].head, sizeof(sealed[i].head));
		hex_of(tail, sealed[i].tail, sizeof(sealed[i].tail));
		seq_printf(m, CSWAP_VECTOR_FORMAT, vector->key_seed,
			   (unsigned long long)vector->device, (unsigned long long)vector->slot,
			   (unsigned long long)vector->counter,
			   cswap_vector_page_name(vector->page), tag, head, tail);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vectors);

static int opened_show(struct seq_file *m, void *v)
{
	seq_printf(m, "cipher=%s opened=%u refused=%u wrong=%u\n", alg, opened, refused, wrong);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(opened);

/* ---- how long a page takes */

#define SPEED_ROUNDS	16
#define SPEED_PAGES	64

/* The fastest round tells what the CPU can do: others may have shared it with somebody. */
static int speed_round(struct bench *bench, s64 *seal_ns, s64 *open_ns)
{
	const struct cswap_seal_vector *vector = bench->vector;
	const struct change none = { };
	ktime_t begin = ktime_get(), sealed_at;
	int rc = 0, i, idx;

	idx = srcu_read_lock(&bench->seal.srcu);
	for (i = 0; i < SPEED_PAGES && !rc; i++)
		rc = cswap_seal_page(&bench->seal, &bench->cipher, vector->counter, vector->slot,
				     bench->page, 0);
	srcu_read_unlock(&bench->seal.srcu, idx);
	sealed_at = ktime_get();
	for (i = 0; i < SPEED_PAGES && !rc; i++)
		rc = open_changed(bench, bench->cipher.tag, &none);
	*open_ns = min(*open_ns, ktime_to_ns(ktime_sub(ktime_get(), sealed_at)) / SPEED_PAGES);
	*seal_ns = min(*seal_ns, ktime_to_ns(ktime_sub(sealed_at, begin)) / SPEED_PAGES);
	return rc;
}

static int speed_show(struct seq_file *m, void *v)
{
	struct bench *bench = kzalloc(sizeof(*bench), GFP_KERNEL);
	s64 seal_ns = S64_MAX, open_ns = S64_MAX;
	int rc, i;

	if (!bench)
		return -ENOMEM;
	rc = bench_init(bench, &cswap_seal_vectors[0]);
	if (rc)
		goto out;
	page_fill(bench);
	for (i = 0; i < SPEED_ROUNDS && !rc; i++) {
		rc = speed_round(bench, &seal_ns, &open_ns);
		cond_resched();
	}
	if (!rc)
		seq_printf(m, "cipher=%s seal_ns=%lld open_ns=%lld\n", bench->seal.alg, seal_ns,
			   open_ns);
	bench_exit(bench);
out:
	kfree(bench);
	return rc;
}
DEFINE_SHOW_ATTRIBUTE(speed);

/* As kernels have them; engines' among them, and what templates make of engines' parts. */
static const struct {
	const char *driver;
	bool on_cpu;
} names[] = {
	{ "generic-gcm-vaes-avx512", true },
	{ "gcm-aes-ce", true },
	{ "gcm_base(ctr-aes-aesni,ghash-clmulni)", true },
	{ "gcm_base(ctr(aes-generic),ghash-generic)", true },
	{ "gcm_base(ctr-aes-neonbs,ghash-lib)", true },
	{ "n5_aes_gcm", false },
	{ "gcm-aes-chcr", false },
	{ "hisi_sec_gcm(aes)", false },
	{ "gcm_base(ctr-aes-ccp,ghash-clmulni)", false },
	{ "gcm_base(ctr-aes-aesni,ghash-iproc)", false },
	{ "gcm_base(ctr(qat_aes),ghash-generic)", false },
	{ "gcm_base(ctr-aes-aesni,ghash-clmulni),x)", false },
	{ "gcm_base(ctr-aes-aesni", false },
	{ "gcm_base(", false },
	{ "gcm-aes-", false },
	{ "", false },
};

static void names_try(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (runs_on_cpu(names[i].driver) == names[i].on_cpu)
			continue;
		pr_err("cswap_seal_test: \"%s\": wrong about where it runs\n", names[i].driver);
		wrong++;
	}
}

static int __init cswap_seal_test_init(void)
{
	unsigned int i;
	int rc;

	names_try();
	for (i = 0; i < CSWAP_SEAL_VECTORS; i++) {
		rc = vector_run(i);
		if (rc)
			return rc;
	}
	dir = debugfs_create_dir("cswap_seal_test", NULL);
	debugfs_create_file("vectors", 0444, dir, NULL, &vectors_fops);
	debugfs_create_file("opened", 0444, dir, NULL, &opened_fops);
	debugfs_create_file("speed", 0444, dir, NULL, &speed_fops);
	return 0;
}
module_init(cswap_seal_test_init);

static void __exit cswap_seal_test_exit(void)
{
	debugfs_remove(dir);
}
module_exit(cswap_seal_test_exit);

MODULE_DESCRIPTION("Test vectors of the sealed page, by the driver's own code");
MODULE_LICENSE("GPL");
