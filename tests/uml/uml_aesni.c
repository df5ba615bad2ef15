// SPDX-License-Identifier: GPL-2.0-only
/*
 * uml_aesni.c - the CPU's AES for User-Mode Linux: gcm(aes) and xts(aes) at native speed.
 *
 * An ARCH=um kernel has only the C code for AES, some thirty times slower than what any guest
 * would use. With this module, sealed swap and dm-crypt can be timed in it. It registers
 * synchronous ciphers with priority 1000; load it before anything asks for a cipher. gcm(aes) has
 * the name that it has on x86, as the driver uses no cipher whose name it doesn't know.
 *
 * Why vector registers are free to use here, and only here: the kernel is an ordinary process of
 * the host. Its "interrupts" are signals, and a signal frame saves all vector state; its context
 * switches are function calls, across which no vector register survives; and the guest's programs
 * live in other host processes. So there is nothing for kernel_fpu_begin() to protect. On real
 * hardware each of these is false, hence the #error below.
 *
 * GCM after Gueron: GHASH in the POLYVAL domain, eight blocks to a reduction, woven into the AES
 * rounds of eight counter blocks. Inputs are walked like those of any kernel cipher.
 */
#include <linux/module.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <crypto/aes.h>
#include <crypto/gcm.h>
#include <crypto/xts.h>
#include <crypto/utils.h>
#include <crypto/scatterwalk.h>
#include <crypto/internal/aead.h>
#include <crypto/internal/skcipher.h>

#ifndef CONFIG_UML
#error "only ARCH=um may use vector registers like this"
#endif

#define _MM_MALLOC_H_INCLUDED		/* that header wants libc's stdlib.h */
#include <immintrin.h>

typedef __m128i v128;
#define PAR 8				/* blocks in flight */
#define LD(p)		_mm_loadu_si128((const v128 *)(p))
#define ST(p, v)	_mm_storeu_si128((v128 *)(p), (v))
#define EACH(i)		_Pragma("GCC unroll 8") for (int i = 0; i < PAR; i++)

/* Round keys in the order of use. */
struct rk {
	u8 k[15][16];
	unsigned int nr;
};

/* @d, the keys of the inverse cipher, may be NULL. */
static int key_expand(struct rk *e, struct rk *d, const u8 *key, unsigned int len)
{
	struct crypto_aes_ctx c;
	int rc = aes_expandkey(&c, key, len);

	if (!rc) {
		e->nr = 6 + len / 4;
		memcpy(e->k, c.key_enc, 16 * (e->nr + 1));
		if (d) {
			d->nr = e->nr;
			memcpy(d->k, c.key_dec, 16 * (d->nr + 1));
		}
	}
	memzero_explicit(&c, sizeof(c));
	return rc;
}

static __always_inline v128 aes1(const struct rk *rk, v128 x, bool dec)
{
	unsigned int r, nr = rk->nr;

	x = _mm_xor_si128(x, LD(rk->k[0]));
	for (r = 1; r < nr; r++)
		x = dec ? _mm_aesdec_si128(x, LD(rk->k[r])) :
			  _mm_aesenc_si128(x, LD(rk->k[r]));
	return dec ? _mm_aesdeclast_si128(x, LD(rk->k[nr])) :
		     _mm_aesenclast_si128(x, LD(rk->k[nr]));
}

/* ---- GCM */

struct gcm_key {
	struct rk rk;
	u8 h[PAR][16];		/* h[i] = H^(i+1), in the POLYVAL domain */
	u8 hx[PAR][16];		/* low half: hi64(h[i]) ^ lo64(h[i]) */
};

static __always_inline v128 bswap128(v128 x)
{
	return _mm_shuffle_epi8(x, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
						10, 11, 12, 13, 14, 15));
}

/* (hi:lo) * x^-128 mod x^128 + x^127 + x^126 + x^121 + 1 */
static __always_inline v128 gh_reduce(v128 lo, v128 mid, v128 hi)
{
	const v128 p = _mm_set_epi64x(0, 0xc200000000000000ULL);

	mid = _mm_xor_si128(mid, _mm_xor_si128(lo, hi));
	lo = _mm_xor_si128(lo, _mm_slli_si128(mid, 8));
	hi = _mm_xor_si128(hi, _mm_srli_si128(mid, 8));
	lo = _mm_xor_si128(_mm_shuffle_epi32(lo, 0x4e), _mm_clmulepi64_si128(lo, p, 0));
	lo = _mm_xor_si128(_mm_shuffle_epi32(lo, 0x4e), _mm_clmulepi64_si128(lo, p, 0));
	return _mm_xor_si128(lo, hi);
}

/* A sum of 256-bit products, before the reduction. */
struct gh_acc {
	v128 lo, mid, hi;
};

/* acc += x * H^pow, unreduced, three multiplications */
static __always_inline void gh_mac(struct gh_acc *a, const struct gcm_key *k,
				   int pow, v128 x)
{
	v128 h = LD(k->h[pow - 1]), hx = LD(k->hx[pow - 1]);
	v128 xx = _mm_xor_si128(x, _mm_srli_si128(x, 8));

	a->lo = _mm_xor_si128(a->lo, _mm_clmulepi64_si128(x, h, 0x00));
	a->hi = _mm_xor_si128(a->hi, _mm_clmulepi64_si128(x, h, 0x11));
	a->mid = _mm_xor_si128(a->mid, _mm_clmulepi64_si128(xx, hx, 0x00));
}

static __always_inline v128 gh_mul1(const struct gcm_key *k, v128 x)
{
	struct gh_acc a = { _mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128() };

	gh_mac(&a, k, 1, x);
	return gh_reduce(a.lo, a.mid, a.hi);
}

static __always_inline v128 gh_block(const struct gcm_key *k, v128 acc, v128 c)
{
	return gh_mul1(k, _mm_xor_si128(acc, bswap128(c)));
}

static v128 gh_bytes(const struct gcm_key *k, v128 acc, const u8 *p, size_t n)
{
	for (; n >= 16; p += 16, n -= 16)
		acc = gh_block(k, acc, LD(p));
	if (n) {
		u8 b[16] = {};

		memcpy(b, p, n);
		acc = gh_block(k, acc, LD(b));
	}
	return acc;
}

static void gcm_set_h(struct gcm_key *k)
{
	u8 b[16];
	u64 lo, hi, c;
	v128 h;

	ST(b, aes1(&k->rk, _mm_setzero_si128(), false));
	hi = get_unaligned_be64(b);
	lo = get_unaligned_be64(b + 8);
	c = -(hi >> 63);			/* multiply by x */
	hi = (hi << 1) | (lo >> 63);
	lo = (lo << 1) ^ (c & 1);
	hi ^= c & 0xc200000000000000ULL;
	h = _mm_set_epi64x(hi, lo);
	for (int i = 0; i < PAR; i++) {
		ST(k->h[i], h);
		ST(k->hx[i], _mm_xor_si128(h, _mm_srli_si128(h, 8)));
		h = gh_mul1(k, h);
	}
	memzero_explicit(b, sizeof(b));
}

/*
 * Eight blocks: the AES rounds, with GHASH of eight ciphertext blocks at @g
 * (the previous output when encrypting, this input when decrypting) woven in.
 */
static __always_inline void gcm_8(const struct gcm_key *k, u8 *d, const u8 *s,
				  v128 *ctr, v128 *acc, const u8 *g)
{
	const v128 one = _mm_set_epi32(0, 0, 0, 1);
	struct gh_acc a = { _mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128() };
	unsigned int r, nr = k->rk.nr;
	v128 x[PAR], c = *ctr, key = LD(k->rk.k[0]);

	EACH(i) {
		x[i] = _mm_xor_si128(bswap128(c), key);
		c = _mm_add_epi32(c, one);
	}
	*ctr = c;
	_Pragma("GCC unroll 8")
	for (r = 1; r <= PAR; r++) {
		key = LD(k->rk.k[r]);
		EACH(i) x[i] = _mm_aesenc_si128(x[i], key);
		if (g) {
			v128 b = bswap128(LD(g + 16 * (r - 1)));

			if (r == 1)
				b = _mm_xor_si128(b, *acc);
			gh_mac(&a, k, PAR + 1 - r, b);
		}
	}
	for (; r < nr; r++) {
		key = LD(k->rk.k[r]);
		EACH(i) x[i] = _mm_aesenc_si128(x[i], key);
	}
	if (g)
		*acc = gh_reduce(a.lo, a.mid, a.hi);
	key = LD(k->rk.k[nr]);
	EACH(i) ST(d + 16 * i, _mm_xor_si128(_mm_aesenclast_si128(x[i], key), LD(s + 16 * i)));
}

static __always_inline v128 gh_8(const struct gcm_key *k, v128 acc, const u8 *g)
{
	struct gh_acc a = { _mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128() };

	EACH(i) {
		v128 b = bswap128(LD(g + 16 * i));

		gh_mac(&a, k, PAR - i, i ? b : _mm_xor_si128(b, acc));
	}
	return gh_reduce(a.lo, a.mid, a.hi);
}

/* Any length; only the last call of a message may be no multiple of 16. */
static __always_inline void gcm_part(const struct gcm_key *k, u8 *d, const u8 *s,
				     size_t n, v128 *ctr, v128 *acc, bool dec)
{
	const v128 one = _mm_set_epi32(0, 0, 0, 1);
	const u8 *prev = NULL;

	for (; n >= 16 * PAR; n -= 16 * PAR, s += 16 * PAR, d += 16 * PAR) {
		if (dec) {
			gcm_8(k, d, s, ctr, acc, s);
		} else if (!prev) {
			gcm_8(k, d, s, ctr, acc, NULL);
			prev = d;
		} else {
			gcm_8(k, d, s, ctr, acc, prev);
			prev = d;
		}
	}
	if (prev)
		*acc = gh_8(k, *acc, prev);
	while (n) {
		u8 b[16] = {};
		size_t m = min_t(size_t, n, 16);
		v128 in, out, ks = aes1(&k->rk, bswap128(*ctr), false);

		*ctr = _mm_add_epi32(*ctr, one);
		memcpy(b, s, m);
		in = LD(b);
		ST(b, _mm_xor_si128(in, ks));
		memcpy(d, b, m);
		memset(b + m, 0, 16 - m);
		out = LD(b);
		*acc = gh_block(k, *acc, dec ? in : out);
		n -= m;
		s += m;
		d += m;
	}
}

static v128 gcm_aad(const struct gcm_key *k, struct scatterlist *sg, unsigned int n)
{
	v128 acc = _mm_setzero_si128();
	struct scatter_walk w;
	unsigned int have = 0;
	u8 b[16];

	scatterwalk_start(&w, sg);
	while (n) {
		unsigned int m = scatterwalk_next(&w, n), i = 0;
		const u8 *p = w.addr;

		while (i < m) {
			unsigned int t = min(m - i, 16 - have);

			memcpy(b + have, p + i, t);
			have += t;
			i += t;
			if (have == 16) {
				acc = gh_block(k, acc, LD(b));
				have = 0;
			}
		}
		scatterwalk_done_src(&w, m);
		n -= m;
	}
	return have ? gh_bytes(k, acc, b, have) : acc;
}

static __always_inline int gcm_crypt(struct aead_request *req, bool dec)
{
	struct crypto_aead *tfm = crypto_aead_reqtfm(req);
	const struct gcm_key *k = crypto_aead_ctx(tfm);
	unsigned int as = crypto_aead_authsize(tfm);
	unsigned int len = req->cryptlen - (dec ? as : 0);
	struct skcipher_walk w;
	v128 acc, ctr, j0;
	u8 b[16], t[16];
	int rc;

	memcpy(b, req->iv, GCM_AES_IV_SIZE);
	put_unaligned_be32(1, b + 12);
	j0 = aes1(&k->rk, LD(b), false);
	put_unaligned_be32(2, b + 12);
	ctr = bswap128(LD(b));
	acc = gcm_aad(k, req->src, req->assoclen);

	rc = dec ? skcipher_walk_aead_decrypt(&w, req, false) :
		   skcipher_walk_aead_encrypt(&w, req, false);
	while (w.nbytes) {
		unsigned int n = w.nbytes;

		if (n < w.total)
			n = round_down(n, 16);
		gcm_part(k, w.dst.virt.addr, w.src.virt.addr, n, &ctr, &acc, dec);
		rc = skcipher_walk_done(&w, w.nbytes - n);
	}
	if (rc)
		return rc;
	put_unaligned_be64((u64)req->assoclen * 8, b);
	put_unaligned_be64((u64)len * 8, b + 8);
	acc = gh_block(k, acc, LD(b));
	ST(b, _mm_xor_si128(bswap128(acc), j0));
	if (!dec) {
		scatterwalk_map_and_copy(b, req->dst, req->assoclen + len, as, 1);
		return 0;
	}
	scatterwalk_map_and_copy(t, req->src, req->assoclen + len, as, 0);
	return crypto_memneq(b, t, as) ? -EBADMSG : 0;
}

static int gcm_enc(struct aead_request *req)
{
	return gcm_crypt(req, false);
}

static int gcm_dec(struct aead_request *req)
{
	return gcm_crypt(req, true);
}

static int gcm_set_key(struct crypto_aead *tfm, const u8 *key, unsigned int len)
{
	struct gcm_key *k = crypto_aead_ctx(tfm);
	int rc = key_expand(&k->rk, NULL, key, len);

	if (!rc)
		gcm_set_h(k);
	return rc;
}

static int gcm_set_authsize(struct crypto_aead *tfm, unsigned int as)
{
	return crypto_gcm_check_authsize(as);
}

static struct aead_alg gcm_alg = {
	.setkey = gcm_set_key,
	.setauthsize = gcm_set_authsize,
	.encrypt = gcm_enc,
	.decrypt = gcm_dec,
	.ivsize = GCM_AES_IV_SIZE,
	.chunksize = 16,
	.maxauthsize = 16,
	.base = {
		.cra_name = "gcm(aes)",
		.cra_driver_name = "generic-gcm-aesni",
		.cra_priority = 1000,
		.cra_blocksize = 1,
		.cra_ctxsize = sizeof(struct gcm_key),
		.cra_module = THIS_MODULE,
	},
};

/* ---- XTS */

struct xts_key {
	struct rk enc, dec, tweak;
};

static __always_inline v128 xts_next(v128 t)
{
	v128 c = _mm_shuffle_epi32(_mm_srai_epi32(t, 31), 0x13);

	return _mm_xor_si128(_mm_add_epi64(t, t),
			     _mm_and_si128(c, _mm_set_epi32(0, 1, 0, 0x87)));
}

static __always_inline v128 xts_1(const struct rk *rk, v128 x, v128 t, bool dec)
{
	return _mm_xor_si128(aes1(rk, _mm_xor_si128(x, t), dec), t);
}

/* @n is a multiple of 16 */
static __always_inline v128 xts_part(const struct rk *rk, u8 *d, const u8 *s,
				     size_t n, v128 t, bool dec)
{
	unsigned int r, nr = rk->nr;

	for (; n >= 16 * PAR; n -= 16 * PAR, s += 16 * PAR, d += 16 * PAR) {
		v128 x[PAR], tw[PAR], key = LD(rk->k[0]);

		EACH(i) {
			tw[i] = t;
			x[i] = _mm_xor_si128(_mm_xor_si128(LD(s + 16 * i), t), key);
			t = xts_next(t);
		}
		for (r = 1; r < nr; r++) {
			key = LD(rk->k[r]);
			EACH(i) x[i] = dec ? _mm_aesdec_si128(x[i], key) :
					     _mm_aesenc_si128(x[i], key);
		}
		key = LD(rk->k[nr]);
		EACH(i) {
			x[i] = dec ? _mm_aesdeclast_si128(x[i], key) :
				     _mm_aesenclast_si128(x[i], key);
			ST(d + 16 * i, _mm_xor_si128(x[i], tw[i]));
		}
	}
	for (; n; n -= 16, s += 16, d += 16) {
		ST(d, xts_1(rk, LD(s), t, dec));
		t = xts_next(t);
	}
	return t;
}

static __always_inline int xts_crypt(struct skcipher_request *req, bool dec)
{
	const struct xts_key *k = crypto_skcipher_ctx(crypto_skcipher_reqtfm(req));
	const struct rk *rk = dec ? &k->dec : &k->enc;
	unsigned int len = req->cryptlen, tail = len % 16;
	unsigned int bulk = tail ? len - tail - 16 : len;
	struct skcipher_request sub;
	struct skcipher_walk w;
	u8 b[32], o[32];
	v128 t, t2, x;
	int rc;

	if (len < 16)
		return -EINVAL;
	t = aes1(&k->tweak, LD(req->iv), false);
	if (bulk) {
		sub = *req;
		sub.cryptlen = bulk;
		rc = skcipher_walk_virt(&w, &sub, false);
		while (w.nbytes) {
			unsigned int n = round_down(w.nbytes, 16);

			t = xts_part(rk, w.dst.virt.addr, w.src.virt.addr, n, t, dec);
			rc = skcipher_walk_done(&w, w.nbytes - n);
		}
		if (rc)
			return rc;
	}
	if (!tail)
		return 0;
	/* ciphertext stealing over the last 16 + tail bytes */
	scatterwalk_map_and_copy(b, req->src, bulk, 16 + tail, 0);
	t2 = xts_next(t);
	x = xts_1(rk, LD(b), dec ? t2 : t, dec);
	ST(o, x);
	memcpy(o + 16, o, tail);
	memcpy(o, b + 16, tail);
	ST(o, xts_1(rk, LD(o), dec ? t : t2, dec));
	scatterwalk_map_and_copy(o, req->dst, bulk, 16 + tail, 1);
	return 0;
}

static int xts_enc(struct skcipher_request *req)
{
	return xts_crypt(req, false);
}

static int xts_dec(struct skcipher_request *req)
{
	return xts_crypt(req, true);
}

static int xts_set_key(struct crypto_skcipher *tfm, const u8 *key, unsigned int len)
{
	struct xts_key *k = crypto_skcipher_ctx(tfm);
	int rc = xts_verify_key(tfm, key, len);

	if (!rc)
		rc = key_expand(&k->enc, &k->dec, key, len / 2);
	return rc ?: key_expand(&k->tweak, NULL, key + len / 2, len / 2);
}

static struct skcipher_alg xts_alg = {
	.setkey = xts_set_key,
	.encrypt = xts_enc,
	.decrypt = xts_dec,
	.min_keysize = 32,
	.max_keysize = 64,
	.ivsize = 16,
	.base = {
		.cra_name = "xts(aes)",
		.cra_driver_name = "xts-aes-uml-aesni",
		.cra_priority = 1000,
		.cra_blocksize = 16,
		.cra_ctxsize = sizeof(struct xts_key),
		.cra_module = THIS_MODULE,
	},
};

/* ---- the module */

static bool __init cpu_ok(void)
{
	/* CPUID.1:ECX bits of AES, PCLMULQDQ, SSSE3, OSXSAVE, AVX */
	const u32 need = BIT(25) | BIT(1) | BIT(9) | BIT(27) | BIT(28);
	u32 a = 1, b, c = 0, d;

	asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if ((c & need) != need)
		return false;
	/* XCR0: the host saves the SSE and AVX registers */
	asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return (a & 6) == 6;
}

static int __init uml_aesni_init(void)
{
	int rc;

	/* No fallback: whoever loads this to measure must not measure something else. */
	if (!cpu_ok())
		return -ENODEV;
	rc = crypto_register_aead(&gcm_alg);
	if (rc)
		return rc;
	rc = crypto_register_skcipher(&xts_alg);
	if (rc)
		crypto_unregister_aead(&gcm_alg);
	return rc;
}

static void __exit uml_aesni_exit(void)
{
	crypto_unregister_skcipher(&xts_alg);
	crypto_unregister_aead(&gcm_alg);
}

module_init(uml_aesni_init);
module_exit(uml_aesni_exit);
MODULE_DESCRIPTION("AES-NI gcm(aes) and xts(aes) for User-Mode Linux");
MODULE_LICENSE("GPL");
MODULE_ALIAS_CRYPTO("gcm(aes)");
MODULE_ALIAS_CRYPTO("xts(aes)");
