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
 *
 * Where the CPU has VAES, and AVX-512 for it, as servers have, runs of sixteen blocks are done four
 * to an instruction; what is left over goes the other way. Both ciphers have it, so that sealed swap and
 * dm-crypt are compared on the same ground. "wide=0" keeps to the narrow way.
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

/* Four blocks in a register, four registers in flight. */
typedef __m512i v512;
#define WIDE_TARGET	"avx512f,avx512bw,avx512dq,vaes,vpclmulqdq"
#define WIDE_FN		noinline __attribute__((__target__(WIDE_TARGET)))
#define WIDE_FN_INLINE	static __always_inline __attribute__((__target__(WIDE_TARGET)))
#define WIDE		16		/* blocks in flight */
#define LD4(p)		_mm512_loadu_si512(p)
#define ST4(p, v)	_mm512_storeu_si512(p, v)
#define EACH4(i)	_Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)
#define KEY4(p)		_mm512_broadcast_i32x4(LD(p))

static bool wide = true;
module_param(wide, bool, 0444);
MODULE_PARM_DESC(wide, "Use VAES, if the CPU has it (default 1)");

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
	u8 w[WIDE][16];		/* w[i] = H^(WIDE-i), in the order of blocks */
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
	ST(k->h[0], h);
	for (int i = 0; i < WIDE; i++) {
		ST(k->w[WIDE - 1 - i], h);
		if (i < PAR) {
			ST(k->h[i], h);
			ST(k->hx[i], _mm_xor_si128(h, _mm_srli_si128(h, 8)));
		}
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

/* Four products each, unreduced; schoolbook, where gh_mac() has three multiplications and shuffles. */
struct gh_acc4 {
	v512 lo, mid, hi;
};

WIDE_FN_INLINE void gh_mac4(struct gh_acc4 *a, v512 h, v512 x)
{
	a->lo = _mm512_xor_si512(a->lo, _mm512_clmulepi64_epi128(x, h, 0x00));
	a->hi = _mm512_xor_si512(a->hi, _mm512_clmulepi64_epi128(x, h, 0x11));
	a->mid = _mm512_ternarylogic_epi64(a->mid, _mm512_clmulepi64_epi128(x, h, 0x01),
					   _mm512_clmulepi64_epi128(x, h, 0x10), 0x96);
}

WIDE_FN_INLINE v128 fold4(v512 x)
{
	__m256i y = _mm256_xor_si256(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));

	return _mm_xor_si128(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
}

WIDE_FN_INLINE v128 gh_reduce4(const struct gh_acc4 *a)
{
	v128 lo = fold4(a->lo), hi = fold4(a->hi);

	/* as if by three multiplications: that's what it undoes */
	return gh_reduce(lo, _mm_xor_si128(fold4(a->mid), _mm_xor_si128(lo, hi)), hi);
}

WIDE_FN_INLINE v512 bswap4(v512 x)
{
	return _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(
		_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)));
}

/* The i-th four of sixteen blocks of ciphertext. */
WIDE_FN_INLINE void gh_four(struct gh_acc4 *a, const struct gcm_key *k, v128 acc, const u8 *g, int i)
{
	v512 x = bswap4(LD4(g + 64 * i));

	if (!i)
		x = _mm512_xor_si512(x, _mm512_zextsi128_si512(acc));
	gh_mac4(a, LD4(k->w[4 * i]), x);
}

/* Like gcm_8(), sixteen blocks. */
WIDE_FN_INLINE void gcm_16(const struct gcm_key *k, u8 *d, const u8 *s, v512 *ctr, v128 *acc,
			   const u8 *g)
{
	const v512 four = _mm512_broadcast_i32x4(_mm_set_epi32(0, 0, 0, 4));
	struct gh_acc4 a = { _mm512_setzero_si512(), _mm512_setzero_si512(),
			     _mm512_setzero_si512() };
	v512 x[4], key = KEY4(k->rk.k[0]);
	unsigned int r, nr = k->rk.nr;

	EACH4(i) {
		x[i] = _mm512_xor_si512(bswap4(*ctr), key);
		*ctr = _mm512_add_epi32(*ctr, four);
	}
	_Pragma("GCC unroll 8")
	for (r = 1; r <= 8; r++) {
		key = KEY4(k->rk.k[r]);
		EACH4(i) x[i] = _mm512_aesenc_epi128(x[i], key);
		if (g && r % 2)
			gh_four(&a, k, *acc, g, r / 2);
	}
	for (; r < nr; r++) {
		key = KEY4(k->rk.k[r]);
		EACH4(i) x[i] = _mm512_aesenc_epi128(x[i], key);
	}
	if (g)
		*acc = gh_reduce4(&a);
	key = KEY4(k->rk.k[nr]);
	EACH4(i) ST4(d + 64 * i, _mm512_xor_si512(_mm512_aesenclast_epi128(x[i], key),
						  LD4(s + 64 * i)));
}

/* What there is of whole runs; returns how many bytes that was. */
static WIDE_FN size_t gcm_wide(const struct gcm_key *k, u8 *d, const u8 *s, size_t n,
			       v128 *ctr, v128 *acc, bool dec)
{
	const size_t run = 16 * WIDE;
	v512 c = _mm512_add_epi32(_mm512_broadcast_i32x4(*ctr),
				  _mm512_set_epi32(0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0));
	size_t done;

	for (done = 0; n - done >= run; done += run) {
		if (dec)
			gcm_16(k, d + done, s + done, &c, acc, s + done);
		else if (!done)
			gcm_16(k, d, s, &c, acc, NULL);
		else
			gcm_16(k, d + done, s + done, &c, acc, d + done - run);
	}
	if (done && !dec) {
		struct gh_acc4 a = { _mm512_setzero_si512(), _mm512_setzero_si512(),
				     _mm512_setzero_si512() };

		EACH4(i) gh_four(&a, k, *acc, d + done - run, i);
		*acc = gh_reduce4(&a);
	}
	*ctr = _mm512_castsi512_si128(c);
	return done;
}

/* Any length; only the last call of a message may be no multiple of 16. */
static __always_inline void gcm_part(const struct gcm_key *k, u8 *d, const u8 *s,
				     size_t n, v128 *ctr, v128 *acc, bool dec)
{
	const v128 one = _mm_set_epi32(0, 0, 0, 1);
	const u8 *prev = NULL;

	if (wide && n >= 16 * WIDE) {
		size_t done = gcm_wide(k, d, s, n, ctr, acc, dec);

		n -= done;
		s += done;
		d += done;
	}
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

/* The next but three of each: times x^4. */
WIDE_FN_INLINE v512 xts_next4(v512 t)
{
	const v512 p = _mm512_broadcast_i32x4(_mm_set_epi64x(0, 0x87));
	v512 out = _mm512_srli_epi64(t, 60);

	return _mm512_ternarylogic_epi64(_mm512_slli_epi64(t, 4), _mm512_bslli_epi128(out, 8),
					 _mm512_clmulepi64_epi128(out, p, 0x01), 0x96);
}

/* What there is of whole runs, of tweak *@t on; returns how many bytes that was. */
static WIDE_FN size_t xts_wide(const struct rk *rk, u8 *d, const u8 *s, size_t n, v128 *t, bool dec)
{
	unsigned int r, nr = rk->nr;
	size_t done;
	u8 b[64];
	v512 c;

	for (int i = 0; i < 4; i++) {
		ST(b + 16 * i, *t);
		*t = xts_next(*t);
	}
	c = LD4(b);
	for (done = 0; n - done >= 16 * WIDE; done += 16 * WIDE) {
		v512 x[4], tw[4], key = KEY4(rk->k[0]);

		EACH4(i) {
			tw[i] = c;
			x[i] = _mm512_ternarylogic_epi64(LD4(s + done + 64 * i), c, key, 0x96);
			c = xts_next4(c);
		}
		for (r = 1; r < nr; r++) {
			key = KEY4(rk->k[r]);
			EACH4(i) x[i] = dec ? _mm512_aesdec_epi128(x[i], key) :
					      _mm512_aesenc_epi128(x[i], key);
		}
		key = KEY4(rk->k[nr]);
		EACH4(i) {
			x[i] = dec ? _mm512_aesdeclast_epi128(x[i], key) :
				     _mm512_aesenclast_epi128(x[i], key);
			ST4(d + done + 64 * i, _mm512_xor_si512(x[i], tw[i]));
		}
	}
	*t = _mm512_castsi512_si128(c);
	memzero_explicit(b, sizeof(b));
	return done;
}

/* @n is a multiple of 16 */
static __always_inline v128 xts_part(const struct rk *rk, u8 *d, const u8 *s,
				     size_t n, v128 t, bool dec)
{
	unsigned int r, nr = rk->nr;

	if (wide && n >= 16 * WIDE) {
		size_t done = xts_wide(rk, d, s, n, &t, dec);

		n -= done;
		s += done;
		d += done;
	}
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

static void __init cpuid(u32 leaf, u32 *b, u32 *c)
{
	u32 a = leaf, d;

	*c = 0;
	asm volatile("cpuid" : "+a"(a), "=b"(*b), "+c"(*c), "=d"(d));
}

/* XCR0: the registers that the host saves. */
static u32 __init saved_registers(void)
{
	u32 a, d;

	asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return a;
}

static bool __init cpu_ok(void)
{
	/* CPUID.1:ECX bits of AES, PCLMULQDQ, SSSE3, OSXSAVE, AVX */
	const u32 need = BIT(25) | BIT(1) | BIT(9) | BIT(27) | BIT(28);
	u32 b, c;

	cpuid(1, &b, &c);
	return (c & need) == need && (saved_registers() & 6) == 6;
}

static bool __init cpu_is_wide(void)
{
	/* CPUID.7:EBX bits of AVX512F, DQ, BW; ECX of VAES, VPCLMULQDQ */
	const u32 need_b = BIT(16) | BIT(17) | BIT(30), need_c = BIT(9) | BIT(10);
	u32 b, c;

	cpuid(7, &b, &c);
	return (b & need_b) == need_b && (c & need_c) == need_c &&
	       (saved_registers() & 0xe6) == 0xe6;
}

static int __init uml_aesni_init(void)
{
	int rc;

	/* No fallback: whoever loads this to measure must not measure something else. */
	if (!cpu_ok())
		return -ENODEV;
	wide = wide && cpu_is_wide();
	pr_info("uml_aesni: %s\n", wide ? "VAES, 16 blocks at a time" : "AES-NI, 8 blocks at a time");
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
