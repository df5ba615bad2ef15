/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * seal_vectors.h - the inputs of the sealed-page test vectors, and their text.
 *
 * Two implementations of the seal know this table and nothing of each other:
 * the driver's, on the kernel's AEAD, and cswap-seal's, on libsodium. Each
 * seals the table and prints what came out; tests compare the texts byte for
 * byte, with each other and with seal.txt beside this file.
 *
 * The text, every line of it ended by one newline:
 *	CSWAP_VECTORS_TITLE
 *	one line a vector, in the order of the table, by CSWAP_VECTOR_FORMAT:
 *	    key		the seed, two hex digits
 *	    device, slot, counter	decimal
 *	    page	the generator's name, cswap_vector_page_name()
 *	    tag		the 16 bytes of the tag
 *	    head, tail	the first and the last 16 bytes of the ciphertext
 * The last three are 32 lower-case hex digits each. The tag covers the whole
 * ciphertext, so head and tail are only there to tell a wrong tag from a wrong
 * cipher.
 *
 * Plain data and pure functions, for kernel and userspace.
 */
#ifndef CSWAP_SEAL_VECTORS_H
#define CSWAP_SEAL_VECTORS_H

#include <linux/types.h>

#define CSWAP_VECTORS_TITLE "# virtio-cswap sealed page vectors, version 1\n"
/* Arguments: unsigned int, 3 x unsigned long long, 4 x char *. */
#define CSWAP_VECTOR_FORMAT \
	"key=%02x device=%llu slot=%llu counter=%llu page=%s tag=%s head=%s tail=%s\n"
#define CSWAP_VECTOR_EDGE_BYTES	16	/* in head and in tail */

enum cswap_vector_page {
	CSWAP_PAGE_ZERO,
	CSWAP_PAGE_ONES,
	CSWAP_PAGE_COUNT,
	CSWAP_PAGE_MIX,
	CSWAP_PAGE_KINDS,
};

struct cswap_seal_vector {
	__u8 key_seed;
	__u8 page;			/* enum cswap_vector_page */
	__u64 device;
	__u64 slot;
	__u64 counter;
};

static inline const char *cswap_vector_page_name(unsigned int page)
{
	switch (page) {
	case CSWAP_PAGE_ZERO:
		return "zero";
	case CSWAP_PAGE_ONES:
		return "ones";
	case CSWAP_PAGE_COUNT:
		return "count";
	default:
		return "mix";
	}
}

/* Byte @i of the key. */
static inline __u8 cswap_vector_key_byte(__u8 key_seed, unsigned int i)
{
	return (__u8)(key_seed + i * 7);
}

/* Byte @i of the page. */
static inline __u8 cswap_vector_page_byte(unsigned int page, __u64 slot, unsigned int i)
{
	switch (page) {
	case CSWAP_PAGE_ZERO:
		return 0;
	case CSWAP_PAGE_ONES:
		return 0xff;
	case CSWAP_PAGE_COUNT:
		return (__u8)i;
	default:
		return (__u8)(i * 167 + 13 + slot);
	}
}

#define CSWAP_SLOT_LAST	0xfffffffffULL		/* MAX_CAPACITY - 1 */
#define CSWAP_U64_LAST	0xffffffffffffffffULL

static const struct cswap_seal_vector cswap_seal_vectors[] = {
	/* Every page in every slot. */
	{ 0x00, CSWAP_PAGE_ZERO,  0, 0, 1 },
	{ 0x00, CSWAP_PAGE_ONES,  0, 0, 1 },
	{ 0x00, CSWAP_PAGE_COUNT, 0, 0, 1 },
	{ 0x00, CSWAP_PAGE_MIX,   0, 0, 1 },
	{ 0x00, CSWAP_PAGE_ZERO,  0, 1, 1 },
	{ 0x00, CSWAP_PAGE_ONES,  0, 1, 1 },
	{ 0x00, CSWAP_PAGE_COUNT, 0, 1, 1 },
	{ 0x00, CSWAP_PAGE_MIX,   0, 1, 1 },
	{ 0x00, CSWAP_PAGE_ZERO,  0, 1ULL << 35, 1 },
	{ 0x00, CSWAP_PAGE_ONES,  0, 1ULL << 35, 1 },
	{ 0x00, CSWAP_PAGE_COUNT, 0, 1ULL << 35, 1 },
	{ 0x00, CSWAP_PAGE_MIX,   0, 1ULL << 35, 1 },
	{ 0x00, CSWAP_PAGE_ZERO,  0, CSWAP_SLOT_LAST, 1 },
	{ 0x00, CSWAP_PAGE_ONES,  0, CSWAP_SLOT_LAST, 1 },
	{ 0x00, CSWAP_PAGE_COUNT, 0, CSWAP_SLOT_LAST, 1 },
	{ 0x00, CSWAP_PAGE_MIX,   0, CSWAP_SLOT_LAST, 1 },
	/* The counter, across each byte that an implementation might drop. */
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, 1 },
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, 2 },
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, 0xff },
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, 0x100 },
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, 0x10000 },
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, 0x1000000 },
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, 0xffffffffULL },
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, 1ULL << 32 },
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, 1ULL << 40 },
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, 1ULL << 48 },
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, 1ULL << 56 },
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, (1ULL << 63) - 1 },
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, 1ULL << 63 },
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, CSWAP_U64_LAST },
	{ 0x5a, CSWAP_PAGE_MIX, 1, 7, 0x0123456789abcdefULL },
	/* The device, likewise; its first two with slots that mirror them. */
	{ 0xa7, CSWAP_PAGE_COUNT, 5, 6, 3 },
	{ 0xa7, CSWAP_PAGE_COUNT, 6, 5, 3 },
	{ 0xa7, CSWAP_PAGE_COUNT, 0x100, 0, 3 },
	{ 0xa7, CSWAP_PAGE_COUNT, 1ULL << 32, 0, 3 },
	{ 0xa7, CSWAP_PAGE_COUNT, 1ULL << 63, 0, 3 },
	{ 0xa7, CSWAP_PAGE_COUNT, CSWAP_U64_LAST, 0, 3 },
	{ 0xa7, CSWAP_PAGE_COUNT, 0x0123456789abcdefULL, 0x8765432fULL, 3 },
	/* The slot's bytes. */
	{ 0x33, CSWAP_PAGE_ONES, 2, 0xff, 9 },
	{ 0x33, CSWAP_PAGE_ONES, 2, 0x100, 9 },
	{ 0x33, CSWAP_PAGE_ONES, 2, 0x10000, 9 },
	{ 0x33, CSWAP_PAGE_ONES, 2, 0x1000000, 9 },
	{ 0x33, CSWAP_PAGE_ONES, 2, 0xffffffffULL, 9 },
	{ 0x33, CSWAP_PAGE_ONES, 2, 1ULL << 32, 9 },
	/* Keys. */
	{ 0x01, CSWAP_PAGE_ZERO, 0, 0, 1 },
	{ 0x7f, CSWAP_PAGE_ZERO, 0, 0, 1 },
	{ 0x80, CSWAP_PAGE_ZERO, 0, 0, 1 },
	{ 0xff, CSWAP_PAGE_ZERO, 0, 0, 1 },
	/* All at their ends. */
	{ 0xff, CSWAP_PAGE_ONES, CSWAP_U64_LAST, CSWAP_SLOT_LAST, CSWAP_U64_LAST },
	{ 0xff, CSWAP_PAGE_MIX,  CSWAP_U64_LAST, CSWAP_SLOT_LAST, CSWAP_U64_LAST },
};

#define CSWAP_SEAL_VECTORS \
	(sizeof(cswap_seal_vectors) / sizeof(cswap_seal_vectors[0]))

#endif /* CSWAP_SEAL_VECTORS_H */
