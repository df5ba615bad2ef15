// SPDX-License-Identifier: GPL-2.0-only
/*
 * seal_kunit.c - pages are sealed as another implementation seals them, and whatever was changed
 * doesn't open.
 *
 * Theory of operation: the driver's own cswap_seal_page() and cswap_open_page() run on whatever
 * AES-GCM this kernel has on its CPU. Only the key differs, which is the vector's. The expected
 * tags are from libsodium. As in lib/crypto/tests random pages are the same in each run, and the
 * benchmark is for those who ask for it.
 */
#include <crypto/aead.h>
#include <kunit/test.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>

#include "../cswap_seal.h"
#include "seal-testvecs.h"

#define SLOT_BITS	(VIRTIO_CSWAP_SLOT_SIZE * 8)
#define TAG_BITS	(VIRTIO_CSWAP_TAG_SIZE * 8)
#define RANDOM_PAGES	100

/* A seal with a key of the test's, and a page. */
struct bench {
	struct cswap_seal seal;
	struct cswap_cipher cipher;
	struct page *page;
};

static int bench_init(struct kunit *test)
{
	struct bench *bench = kunit_kzalloc(test, sizeof(*bench), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, bench);
	bench->page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bench->page);
	KUNIT_ASSERT_EQ(test, cswap_seal_init(&bench->seal, 0, CSWAP_MAX_COUNTER, NULL), 0);
	KUNIT_ASSERT_EQ(test, cswap_cipher_init(&bench->cipher, &bench->seal), 0);
	test->priv = bench;
	return 0;
}

static void bench_exit(struct kunit *test)
{
	struct bench *bench = test->priv;

	if (!bench)
		return;
	cswap_cipher_exit(&bench->cipher);
	cswap_seal_exit(&bench->seal);
	__free_page(bench->page);
}

static void bench_set(struct kunit *test, const struct cswap_seal_vector *vector)
{
	struct bench *bench = test->priv;
	struct cswap_epochs *epochs = rcu_dereference_protected(bench->seal.epochs, 1);
	u8 key[VIRTIO_CSWAP_KEY_SIZE], *page = page_address(bench->page);
	unsigned int i;

	for (i = 0; i < sizeof(key); i++)
		key[i] = cswap_vector_key_byte(vector->key_seed, i);
	KUNIT_ASSERT_EQ(test, crypto_aead_setkey(epochs->epoch[0].key, key, sizeof(key)), 0);
	bench->seal.device = vector->device;
	for (i = 0; i < VIRTIO_CSWAP_SLOT_SIZE; i++)
		page[i] = cswap_vector_page_byte(vector->page, vector->slot, i);
}

/* Seal the page that there is; the sealed page is in cipher->page. */
static void bench_run(struct kunit *test, const struct cswap_seal_vector *vector)
{
	struct bench *bench = test->priv;
	int srcu, rc;

	srcu = srcu_read_lock(&bench->seal.srcu);
	rc = cswap_seal_page(&bench->seal, &bench->cipher, vector->counter, vector->slot,
			     bench->page, 0);
	srcu_read_unlock(&bench->seal.srcu, srcu);
	KUNIT_ASSERT_EQ(test, rc, 0);
}

/* Seal the vector's page. */
static void bench_seal(struct kunit *test, const struct cswap_seal_vector *vector)
{
	bench_set(test, vector);
	bench_run(test, vector);
}

/* Open what lies in cipher->page as the page of @as, with @tag. */
static int bench_open(struct bench *bench, const struct cswap_seal_vector *as, const u8 *tag)
{
	int srcu, rc;

	memcpy(page_address(bench->page), bench->cipher.page, VIRTIO_CSWAP_SLOT_SIZE);
	bench->seal.device = as->device;
	srcu = srcu_read_lock(&bench->seal.srcu);
	rc = cswap_open_page(&bench->seal, &bench->cipher, as->counter, as->slot, tag,
			     bench->page, 0);
	srcu_read_unlock(&bench->seal.srcu, srcu);
	return rc;
}

/* Refused means that nothing of the page is left. */
static void expect_refused(struct kunit *test, const struct cswap_seal_vector *as, const u8 *tag)
{
	struct bench *bench = test->priv;

	KUNIT_ASSERT_EQ(test, bench_open(bench, as, tag), -EBADMSG);
	KUNIT_ASSERT_NULL(test, memchr_inv(page_address(bench->page), 0, VIRTIO_CSWAP_SLOT_SIZE));
}

static void flip(u8 *bytes, unsigned int bit)
{
	bytes[bit / 8] ^= 1 << bit % 8;
}

static const struct cswap_seal_vector any = {
	.key_seed = 0x5a, .page = CSWAP_PAGE_MIX, .device = 1, .slot = 7,
	.counter = 0x0123456789abcdefULL,
};

/* Both ends of each page and its tag are as expected; the tag covers the rest. */
static void test_vectors(struct kunit *test)
{
	struct bench *bench = test->priv;
	unsigned int i;

	static_assert(ARRAY_SIZE(cswap_sealed_vectors) == CSWAP_SEAL_VECTORS);
	for (i = 0; i < CSWAP_SEAL_VECTORS; i++) {
		const struct cswap_sealed *sealed = &cswap_sealed_vectors[i];
		const u8 *page = bench->cipher.page;

		bench_seal(test, &cswap_seal_vectors[i]);
		KUNIT_ASSERT_MEMEQ_MSG(test, bench->cipher.tag, sealed->tag, sizeof(sealed->tag),
				       "vector %u", i);
		KUNIT_ASSERT_MEMEQ_MSG(test, page, sealed->head, sizeof(sealed->head),
				       "vector %u", i);
		KUNIT_ASSERT_MEMEQ_MSG(test, page + VIRTIO_CSWAP_SLOT_SIZE - sizeof(sealed->tail),
				       sealed->tail, sizeof(sealed->tail), "vector %u", i);
	}
}

static void test_opens_what_was_sealed(struct kunit *test)
{
	struct bench *bench = test->priv;
	u8 tag[VIRTIO_CSWAP_TAG_SIZE], *page = page_address(bench->page);
	unsigned int i, j;

	for (i = 0; i < CSWAP_SEAL_VECTORS; i++) {
		const struct cswap_seal_vector *vector = &cswap_seal_vectors[i];

		bench_seal(test, vector);
		memcpy(tag, bench->cipher.tag, sizeof(tag));
		KUNIT_ASSERT_EQ_MSG(test, bench_open(bench, vector, tag), 0, "vector %u", i);
		for (j = 0; j < VIRTIO_CSWAP_SLOT_SIZE; j++)
			KUNIT_ASSERT_EQ(test, page[j], cswap_vector_page_byte(vector->page,
									      vector->slot, j));
	}
}

/* Every bit of the tag; of the page each first bit of a cipher's block, and the last. */
static void test_flipped_bits(struct kunit *test)
{
	struct bench *bench = test->priv;
	u8 tag[VIRTIO_CSWAP_TAG_SIZE];
	unsigned int bit;

	bench_seal(test, &any);
	memcpy(tag, bench->cipher.tag, sizeof(tag));
	for (bit = 0; bit < TAG_BITS; bit++) {
		flip(tag, bit);
		expect_refused(test, &any, tag);
		flip(tag, bit);
	}
	for (bit = 0; bit < SLOT_BITS; bit += 128) {
		flip(bench->cipher.page, bit);
		expect_refused(test, &any, tag);
		flip(bench->cipher.page, bit);
	}
	flip(bench->cipher.page, SLOT_BITS - 1);
	expect_refused(test, &any, tag);
	flip(bench->cipher.page, SLOT_BITS - 1);
	KUNIT_EXPECT_EQ(test, bench_open(bench, &any, tag), 0);
}

/* A page of another slot, device, or store: replay is the last. */
static void test_other_places(struct kunit *test)
{
	struct bench *bench = test->priv;
	u8 tag[VIRTIO_CSWAP_TAG_SIZE];
	unsigned int bit;

	bench_seal(test, &any);
	memcpy(tag, bench->cipher.tag, sizeof(tag));
	for (bit = 0; bit < 64; bit++) {
		struct cswap_seal_vector other = any;

		other.slot ^= BIT_ULL(bit);
		expect_refused(test, &other, tag);
		other = any;
		other.device ^= BIT_ULL(bit);
		expect_refused(test, &other, tag);
		other = any;
		other.counter ^= BIT_ULL(bit);
		expect_refused(test, &other, tag);
	}
}

/* An older page of the slot, with the tag that was right then. */
static void test_replay(struct kunit *test)
{
	struct bench *bench = test->priv;
	struct cswap_seal_vector newer = any;
	u8 tag[VIRTIO_CSWAP_TAG_SIZE], *old;

	old = kunit_kmalloc(test, VIRTIO_CSWAP_SLOT_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, old);
	bench_seal(test, &any);
	memcpy(old, bench->cipher.page, VIRTIO_CSWAP_SLOT_SIZE);
	memcpy(tag, bench->cipher.tag, sizeof(tag));
	newer.counter++;
	bench_seal(test, &newer);
	memcpy(bench->cipher.page, old, VIRTIO_CSWAP_SLOT_SIZE);
	expect_refused(test, &newer, tag);
}

/* A place and a key that nobody has thought of. */
static struct cswap_seal_vector random_vector(struct rnd_state *random)
{
	struct cswap_seal_vector vector = { .page = CSWAP_PAGE_MIX };

	prandom_bytes_state(random, &vector.key_seed, sizeof(vector.key_seed));
	prandom_bytes_state(random, &vector.device, sizeof(vector.device));
	prandom_bytes_state(random, &vector.slot, sizeof(vector.slot));
	prandom_bytes_state(random, &vector.counter, sizeof(vector.counter));
	return vector;
}

/* Random pages open as they were; with one bit changed anywhere they don't, and leave nothing. */
static void test_random_pages(struct kunit *test)
{
	struct bench *bench = test->priv;
	u8 *page = page_address(bench->page), tag[VIRTIO_CSWAP_TAG_SIZE], *plain;
	struct rnd_state random;
	unsigned int i, bit;

	plain = kunit_kmalloc(test, VIRTIO_CSWAP_SLOT_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, plain);
	prandom_seed_state(&random, 1);
	for (i = 0; i < RANDOM_PAGES; i++) {
		struct cswap_seal_vector vector = random_vector(&random);

		prandom_bytes_state(&random, plain, VIRTIO_CSWAP_SLOT_SIZE);
		bench_set(test, &vector);
		memcpy(page, plain, VIRTIO_CSWAP_SLOT_SIZE);
		bench_run(test, &vector);
		memcpy(tag, bench->cipher.tag, sizeof(tag));
		KUNIT_ASSERT_EQ_MSG(test, bench_open(bench, &vector, tag), 0, "page %u", i);
		KUNIT_ASSERT_MEMEQ_MSG(test, page, plain, VIRTIO_CSWAP_SLOT_SIZE, "page %u", i);
		bit = prandom_u32_state(&random) % (SLOT_BITS + TAG_BITS);
		if (bit < SLOT_BITS)
			flip(bench->cipher.page, bit);
		else
			flip(tag, bit - SLOT_BITS);
		expect_refused(test, &vector, tag);
	}
}

/* Each CPU has a cipher of its own. */
static void test_cipher_of_each_cpu(struct kunit *test)
{
	struct bench *bench = test->priv;
	unsigned int cpu;
	int srcu, rc;

	bench_seal(test, &any);
	for_each_possible_cpu(cpu) {
		struct cswap_cipher *cipher = bench->seal.ciphers[cpu];

		srcu = srcu_read_lock(&bench->seal.srcu);
		rc = cswap_seal_page(&bench->seal, cipher, any.counter, any.slot, bench->page, 0);
		srcu_read_unlock(&bench->seal.srcu, srcu);
		KUNIT_ASSERT_EQ_MSG(test, rc, 0, "CPU %u", cpu);
		KUNIT_ASSERT_MEMEQ_MSG(test, cipher->tag, bench->cipher.tag, sizeof(cipher->tag),
				       "CPU %u", cpu);
		KUNIT_ASSERT_MEMEQ_MSG(test, cipher->page, bench->cipher.page,
				       VIRTIO_CSWAP_SLOT_SIZE, "CPU %u", cpu);
	}
}

/* Says how fast, and can't fail. */
static void benchmark(struct kunit *test)
{
	struct bench *bench = test->priv;
	unsigned int i, pages = 1000;
	u64 ns;

	if (!IS_ENABLED(CONFIG_CRYPTO_LIB_BENCHMARK))
		kunit_skip(test, "not enabled");
	bench_seal(test, &any);
	ns = ktime_get_ns();
	for (i = 0; i < pages; i++) {
		int srcu = srcu_read_lock(&bench->seal.srcu);

		if (cswap_seal_page(&bench->seal, &bench->cipher, any.counter + i, any.slot,
				    bench->page, 0))
			kunit_warn(test, "a page wasn't sealed");
		srcu_read_unlock(&bench->seal.srcu, srcu);
	}
	ns = ktime_get_ns() - ns;
	kunit_info(test, "%s: %llu ns a page", bench->seal.alg, ns / pages);
}

static struct kunit_case seal_cases[] = {
	KUNIT_CASE(test_vectors),
	KUNIT_CASE(test_opens_what_was_sealed),
	KUNIT_CASE(test_flipped_bits),
	KUNIT_CASE(test_other_places),
	KUNIT_CASE(test_replay),
	KUNIT_CASE(test_random_pages),
	KUNIT_CASE(test_cipher_of_each_cpu),
	KUNIT_CASE(benchmark),
	{}
};

static struct kunit_suite seal_suite = {
	.name = "virtio_cswap_seal",
	.init = bench_init,
	.exit = bench_exit,
	.test_cases = seal_cases,
};

kunit_test_suite(seal_suite);
