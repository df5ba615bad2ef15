// SPDX-License-Identifier: GPL-2.0-only
/*
 * crcheck.c - holds uml_aesni to the kernel's C code: random cases, then use from softirqs.
 *
 * Loading it is the test: it loads if all was well, and fails with -EINVAL if anything was not,
 * with the counts in the log. A case is a random key, length, associated data, tag size and
 * scatterlist, encrypted by both, in place or not, then decrypted, sometimes with one bit
 * flipped. The second part encrypts one page over and over in process context while a timer does
 * the same in softirqs: vector registers that leaked between them would show. Last it says how long
 * a page takes.
 */
#define pr_fmt(fmt) "crcheck: " fmt

#include <crypto/aead.h>
#include <crypto/skcipher.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/timer.h>

#define BUF_BYTES	8192
#define SG_ENTRIES	8
#define AAD_MAX		80
#define TEXT_MAX	4096
#define SOFTIRQ_AAD	16
#define SOFTIRQ_TEXT	4080
#define SPEED_ROUNDS	1000U
#define SPEED_PAGES	16

static unsigned int cases = 20000;
module_param(cases, uint, 0444);
MODULE_PARM_DESC(cases, "Random cases");

static unsigned int secs = 5;
module_param(secs, uint, 0444);
MODULE_PARM_DESC(secs, "Seconds of the run beside softirqs");

/* The C code's names: of Linux 7.3 and later, and of 7.2. */
static const char * const gcm_references[] = { "gcm-aes-lib", "gcm_base(ctr(aes-lib),ghash-lib)" };
static const char * const xts_references[] = { "xts-aes-lib", "xts(ecb(aes-lib))" };

/* One of the two ciphers that are compared; [0] is ours. */
struct side {
	struct crypto_aead *gcm;
	struct crypto_skcipher *xts;
	struct aead_request *gcm_req;
	struct skcipher_request *xts_req;
	struct scatterlist src[SG_ENTRIES], dst[SG_ENTRIES];
	u8 *out;
	u8 iv[16];
};

struct one_case {
	unsigned int aad_len, text_len, tag_len, gcm_key_len, xts_key_len;
	bool in_place, flip;
	u8 key[64], iv[16];
};

static struct side sides[2];
static u8 *input;
static unsigned int bad_encrypt, bad_decrypt, bad_xts;

/* The softirq run. */
static struct aead_request *timer_req;
static u8 *timer_in, *timer_out, *timer_want;
static unsigned int timer_ops, timer_errors;

static void random_sg(struct scatterlist *sg, u8 *p, unsigned int len)
{
	unsigned int i = 0, part;

	sg_init_table(sg, SG_ENTRIES);
	while (len) {
		part = i == SG_ENTRIES - 1 ? len : 1 + get_random_u32_below(len);
		sg_set_buf(&sg[i++], p, part);
		p += part;
		len -= part;
	}
	if (i)
		sg_mark_end(&sg[i - 1]);
}

static void random_case(struct one_case *c, unsigned int number)
{
	c->aad_len = get_random_u32_below(AAD_MAX);
	c->text_len = get_random_u32_below(number & 1 ? TEXT_MAX + 1 : 300);
	c->tag_len = 12 + get_random_u32_below(5);
	c->gcm_key_len = 16 + 8 * get_random_u32_below(3);
	c->xts_key_len = get_random_u32_below(2) ? 64 : 32;
	c->in_place = number & 2;
	c->flip = number & 4;
	get_random_bytes(c->key, sizeof(c->key));
	get_random_bytes(c->iv, sizeof(c->iv));
	get_random_bytes(input, BUF_BYTES);
}

/* ---- GCM */

static int gcm_encrypt(struct side *s, const struct one_case *c, bool in_place)
{
	unsigned int len = c->aad_len + c->text_len + c->tag_len;
	int rc = crypto_aead_setkey(s->gcm, c->key, c->gcm_key_len) ?:
		 crypto_aead_setauthsize(s->gcm, c->tag_len);

	memcpy(s->iv, c->iv, sizeof(s->iv));
	memset(s->out, 0, BUF_BYTES);
	if (in_place)
		memcpy(s->out, input, c->aad_len + c->text_len);
	random_sg(s->src, input, len);
	random_sg(s->dst, s->out, len);
	aead_request_set_crypt(s->gcm_req, in_place ? s->dst : s->src, s->dst, c->text_len, s->iv);
	aead_request_set_ad(s->gcm_req, c->aad_len);
	return rc ?: crypto_aead_encrypt(s->gcm_req);
}

/* Of what gcm_encrypt left in our output. */
static bool gcm_decrypt_ok(struct side *s, const struct one_case *c)
{
	unsigned int len = c->aad_len + c->text_len + c->tag_len;
	int rc;

	memcpy(s->out, input, c->aad_len);
	memcpy(s->iv, c->iv, sizeof(s->iv));
	if (c->flip)
		s->out[get_random_u32_below(len)] ^= 1 << get_random_u32_below(8);
	aead_request_set_crypt(s->gcm_req, s->dst, s->dst, c->text_len + c->tag_len, s->iv);
	rc = crypto_aead_decrypt(s->gcm_req);
	if (c->flip)
		return rc == -EBADMSG;
	return !rc && !memcmp(s->out, input, c->aad_len + c->text_len);
}

static void gcm_check(const struct one_case *c)
{
	int rc0 = gcm_encrypt(&sides[0], c, c->in_place);
	int rc1 = gcm_encrypt(&sides[1], c, false);

	if (rc0 || rc1 || memcmp(sides[0].out + c->aad_len, sides[1].out + c->aad_len,
				 c->text_len + c->tag_len)) {
		if (!bad_encrypt++)
			pr_err("gcm: key %u aad %u text %u tag %u: %d, %d\n", c->gcm_key_len,
			       c->aad_len, c->text_len, c->tag_len, rc0, rc1);
	}
	if (!gcm_decrypt_ok(&sides[0], c))
		bad_decrypt++;
}

/* ---- XTS */

static int xts_encrypt(struct side *s, const struct one_case *c, bool in_place)
{
	int rc = crypto_skcipher_setkey(s->xts, c->key, c->xts_key_len);

	memcpy(s->iv, c->iv, sizeof(s->iv));
	if (in_place)
		memcpy(s->out, input, c->text_len);
	random_sg(s->src, input, c->text_len);
	random_sg(s->dst, s->out, c->text_len);
	skcipher_request_set_crypt(s->xts_req, in_place ? s->dst : s->src, s->dst, c->text_len, s->iv);
	return rc ?: crypto_skcipher_encrypt(s->xts_req);
}

static void xts_check(struct one_case *c)
{
	struct side *s = &sides[0];
	bool ok;

	if (c->text_len < 16)
		c->text_len += 16;
	ok = !xts_encrypt(s, c, c->in_place) && !xts_encrypt(&sides[1], c, false) &&
	     !memcmp(s->out, sides[1].out, c->text_len);
	memcpy(s->iv, c->iv, sizeof(s->iv));
	skcipher_request_set_crypt(s->xts_req, s->dst, s->dst, c->text_len, s->iv);
	ok = ok && !crypto_skcipher_decrypt(s->xts_req) && !memcmp(s->out, input, c->text_len);
	if (!ok && !bad_xts++)
		pr_err("xts: key %u text %u\n", c->xts_key_len, c->text_len);
}

static void random_run(void)
{
	struct one_case c;
	unsigned int i;

	for (i = 0; i < cases; i++) {
		random_case(&c, i);
		gcm_check(&c);
		xts_check(&c);
		cond_resched();
	}
	pr_info("%u cases: bad gcm encryptions %u, decryptions %u, bad xts %u\n", cases,
		bad_encrypt, bad_decrypt, bad_xts);
}

/* ---- beside softirqs */

static int fixed_encrypt(struct aead_request *req, u8 *out)
{
	struct scatterlist src, dst;
	u8 iv[16] = { 9 };

	sg_init_one(&src, timer_in, SOFTIRQ_AAD + SOFTIRQ_TEXT + 16);
	sg_init_one(&dst, out, SOFTIRQ_AAD + SOFTIRQ_TEXT + 16);
	aead_request_set_ad(req, SOFTIRQ_AAD);
	aead_request_set_crypt(req, &src, &dst, SOFTIRQ_TEXT, iv);
	return crypto_aead_encrypt(req);
}

static bool fixed_ok(struct aead_request *req, u8 *out)
{
	return !fixed_encrypt(req, out) &&
	       !memcmp(out + SOFTIRQ_AAD, timer_want + SOFTIRQ_AAD, SOFTIRQ_TEXT + 16);
}

static void timer_tick(struct timer_list *timer)
{
	timer_ops++;
	if (!fixed_ok(timer_req, timer_out))
		timer_errors++;
	mod_timer(timer, jiffies + 1);
}

static DEFINE_TIMER(ticker, timer_tick);

static unsigned int softirq_run(void)
{
	unsigned long end = jiffies + secs * HZ;
	unsigned int ops = 0, errors = 0;

	crypto_aead_setauthsize(sides[0].gcm, 16);
	get_random_bytes(timer_in, BUF_BYTES);
	if (fixed_encrypt(timer_req, timer_want))
		return 1;
	mod_timer(&ticker, jiffies + 1);
	while (time_before(jiffies, end)) {
		errors += !fixed_ok(sides[0].gcm_req, sides[0].out);
		ops++;
		cond_resched();
	}
	timer_delete_sync(&ticker);
	pr_info("%u operations, %u bad; in softirqs %u, %u bad\n", ops, errors, timer_ops, timer_errors);
	return errors + timer_errors + !timer_ops;
}

/* ---- speed */

/* The best of many short rounds: a busy host disturbs most of them, not all. */
static void speed_run(void)
{
	unsigned int round, i;
	u64 best = U64_MAX;

	for (round = 0; round < SPEED_ROUNDS; round++) {
		u64 begun = ktime_get_ns();

		for (i = 0; i < SPEED_PAGES; i++)
			fixed_encrypt(sides[0].gcm_req, sides[0].out);
		best = min(best, ktime_get_ns() - begun);
		cond_resched();
	}
	pr_info("gcm: %llu ns a page, the best of %u rounds\n", best / SPEED_PAGES, SPEED_ROUNDS);
}

/* ---- the module */

static int __init side_init(struct side *s, const char *gcm, const char *xts)
{
	s->gcm = crypto_alloc_aead(gcm, 0, CRYPTO_ALG_ASYNC);
	if (IS_ERR(s->gcm))
		return PTR_ERR(s->gcm);
	s->xts = crypto_alloc_skcipher(xts, 0, CRYPTO_ALG_ASYNC);
	if (IS_ERR(s->xts)) {
		crypto_free_aead(s->gcm);
		return PTR_ERR(s->xts);
	}
	s->gcm_req = aead_request_alloc(s->gcm, GFP_KERNEL);
	s->xts_req = skcipher_request_alloc(s->xts, GFP_KERNEL);
	s->out = kmalloc(BUF_BYTES, GFP_KERNEL);
	return 0;
}

static void side_exit(struct side *s)
{
	kfree(s->out);
	if (s->xts_req)
		skcipher_request_free(s->xts_req);
	if (s->gcm_req)
		aead_request_free(s->gcm_req);
	crypto_free_skcipher(s->xts);
	crypto_free_aead(s->gcm);
}

static int __init buffers_init(void)
{
	input = kmalloc(BUF_BYTES, GFP_KERNEL);
	timer_in = kmalloc(BUF_BYTES, GFP_KERNEL);
	timer_out = kmalloc(BUF_BYTES, GFP_KERNEL);
	timer_want = kmalloc(BUF_BYTES, GFP_KERNEL);
	timer_req = aead_request_alloc(sides[0].gcm, GFP_KERNEL);
	return input && timer_in && timer_out && timer_want && timer_req &&
	       sides[0].out && sides[0].gcm_req && sides[0].xts_req &&
	       sides[1].out && sides[1].gcm_req && sides[1].xts_req ? 0 : -ENOMEM;
}

static void buffers_exit(void)
{
	if (timer_req)
		aead_request_free(timer_req);
	kfree(timer_want);
	kfree(timer_out);
	kfree(timer_in);
	kfree(input);
}

static int __init crcheck_init(void)
{
	unsigned int i;
	int rc = side_init(&sides[0], "generic-gcm-aesni", "xts-aes-uml-aesni");

	if (rc) {
		pr_err("no uml_aesni: %d\n", rc);
		return rc;
	}
	for (i = 0, rc = -ENOENT; i < ARRAY_SIZE(gcm_references) && rc; i++)
		rc = side_init(&sides[1], gcm_references[i], xts_references[i]);
	if (rc) {
		pr_err("nothing to compare with: %d\n", rc);
		side_exit(&sides[0]);
		return rc;
	}
	rc = buffers_init();
	if (!rc) {
		random_run();
		rc = softirq_run() || bad_encrypt || bad_decrypt || bad_xts || !cases ? -EINVAL : 0;
		speed_run();
	}
	buffers_exit();
	side_exit(&sides[1]);
	side_exit(&sides[0]);
	return rc;
}

static void __exit crcheck_exit(void)
{
}

module_init(crcheck_init);
module_exit(crcheck_exit);
MODULE_DESCRIPTION("Checks uml_aesni against the kernel's C code");
MODULE_LICENSE("GPL");
