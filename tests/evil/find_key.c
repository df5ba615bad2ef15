// SPDX-License-Identifier: GPL-2.0-only
/*
 * find_key.c - is an AES-256 key, or anything that is as good as it, in a file?
 *
 * Theory of operation: whoever has two neighbouring round keys has the key, and a
 * single one is half of it. So each of the fifteen is searched for, at any place, as it
 * lies in memory, with its words swapped (as tables on other machines have it), and as
 * ciphers for decryption keep it (InvMixColumns). So is the key of GHASH, with which tags
 * can be forged. The tables are made here, from the definition of AES.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS 14
#define WORDS (4 * (ROUNDS + 1))
#define PATTERNS (3 * (ROUNDS + 1) + 1)

struct patterns {
	uint8_t byte[PATTERNS][16];
	bool by_first[256];
};

static uint8_t sbox[256];

static uint8_t times(uint8_t a, uint8_t b)
{
	uint8_t product = 0;

	for (; b; b >>= 1) {
		if (b & 1)
			product ^= a;
		a = (uint8_t)(a << 1 ^ (a & 0x80 ? 0x1b : 0));
	}
	return product;
}

static void make_sbox(void)
{
	unsigned int x, y, i;

	for (x = 0; x < 256; x++) {
		uint8_t inverse = 0, s;

		for (y = 1; y < 256 && !inverse; y++)
			if (times((uint8_t)x, (uint8_t)y) == 1)
				inverse = (uint8_t)y;
		s = inverse;
		for (i = 1; i < 5; i++)
			s ^= (uint8_t)(inverse << i | inverse >> (8 - i));
		sbox[x] = s ^ 0x63;
	}
}

/* FIPS 197, 5.2 */
static void expand(const uint8_t *key, uint8_t schedule[WORDS][4])
{
	uint8_t rcon = 1;
	unsigned int i, j;

	memcpy(schedule, key, 32);
	for (i = 8; i < WORDS; i++) {
		uint8_t t[4];

		memcpy(t, schedule[i - 1], 4);
		if (i % 8 == 0) {
			uint8_t first = t[0];

			for (j = 0; j < 4; j++)
				t[j] = sbox[j == 3 ? first : t[j + 1]];
			t[0] ^= rcon;
			rcon = times(rcon, 2);
		} else if (i % 8 == 4) {
			for (j = 0; j < 4; j++)
				t[j] = sbox[t[j]];
		}
		for (j = 0; j < 4; j++)
			schedule[i][j] = schedule[i - 8][j] ^ t[j];
	}
}

static void mix(uint8_t column[4], const uint8_t by[4])
{
	uint8_t in[4];
	unsigned int i;

	memcpy(in, column, 4);
	for (i = 0; i < 4; i++)
		column[i] = times(in[i], by[0]) ^ times(in[(i + 1) % 4], by[1]) ^
			    times(in[(i + 2) % 4], by[2]) ^ times(in[(i + 3) % 4], by[3]);
}

/* The cipher of the block of zeros: the key of GHASH. */
static void encrypt_zeros(uint8_t schedule[WORDS][4], uint8_t *block)
{
	static const uint8_t forth[4] = { 2, 3, 1, 1 };
	uint8_t state[16], shifted[16];
	unsigned int round, i;

	memcpy(state, schedule[0], 16);
	for (round = 1; round <= ROUNDS; round++) {
		for (i = 0; i < 16; i++)
			shifted[i] = sbox[state[(i + 4 * (i % 4)) % 16]];
		for (i = 0; i < 16 && round < ROUNDS; i += 4)
			mix(shifted + i, forth);
		for (i = 0; i < 16; i++)
			state[i] = shifted[i] ^ schedule[4 * round + i / 4][i % 4];
	}
	memcpy(block, state, 16);
}

static void make_patterns(struct patterns *patterns, const uint8_t *key)
{
	static const uint8_t back[4] = { 14, 11, 13, 9 };
	uint8_t schedule[WORDS][4];
	unsigned int round, i, n = 0;

	expand(key, schedule);
	for (round = 0; round <= ROUNDS; round++, n += 3) {
		memcpy(patterns->byte[n], schedule[4 * round], 16);
		memcpy(patterns->byte[n + 2], schedule[4 * round], 16);
		for (i = 0; i < 16; i++)
			patterns->byte[n + 1][i] = schedule[4 * round + i / 4][3 - i % 4];
		for (i = 0; i < 16; i += 4)
			mix(patterns->byte[n + 2] + i, back);
	}
	encrypt_zeros(schedule, patterns->byte[n]);
	for (n = 0; n < PATTERNS; n++)
		patterns->by_first[patterns->byte[n][0]] = true;
}

static uint64_t count(const struct patterns *patterns, const uint8_t *at, size_t len)
{
	uint64_t found = 0;
	size_t i;
	unsigned int n;

	for (i = 0; i + 16 <= len; i++) {
		if (!patterns->by_first[at[i]])
			continue;
		for (n = 0; n < PATTERNS; n++)
			found += !memcmp(at + i, patterns->byte[n], 16);
	}
	return found;
}

static bool search(const struct patterns *patterns, const char *path,
		   uint64_t *found, uint64_t *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t begin, end = 0;
	struct stat st;
	uint8_t *map;

	if (fd < 0 || fstat(fd, &st))
		return false;
	map = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0) : NULL;
	if (map == MAP_FAILED)
		return false;
	/* it may be growing */
	while (map && end < st.st_size && (begin = lseek(fd, end, SEEK_DATA)) >= 0 &&
	       begin < st.st_size) {
		end = lseek(fd, begin, SEEK_HOLE);
		if (end < 0 || end > st.st_size)
			end = st.st_size;
		*found += count(patterns, map + begin, (size_t)(end - begin));
		*bytes += (uint64_t)(end - begin);
	}
	if (map)
		munmap(map, (size_t)st.st_size);
	close(fd);
	return true;
}

static bool parse_key(const char *hex, uint8_t *key)
{
	unsigned int i;

	for (i = 0; i < 32; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &key[i]) != 1)
			return false;
	return strlen(hex) == 64;
}

/* FIPS 197, A.3 and C.3: whoever searches for the wrong bytes finds nothing. */
static bool self_test(void)
{
	static const uint8_t last[4] = { 0x70, 0x6c, 0x63, 0x1e };
	static const uint8_t zeros[16] = {
		0xdc, 0x95, 0xc0, 0x78, 0xa2, 0x40, 0x89, 0x89,
		0xad, 0x48, 0xa2, 0x14, 0x92, 0x84, 0x20, 0x87,
	};
	uint8_t key[32], schedule[WORDS][4], block[16];

	if (!parse_key("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", key))
		return false;
	expand(key, schedule);
	if (memcmp(schedule[WORDS - 1], last, sizeof(last)))
		return false;
	memset(key, 0, sizeof(key));
	expand(key, schedule);
	encrypt_zeros(schedule, block);
	return !memcmp(block, zeros, sizeof(zeros));
}

int main(int argc, char **argv)
{
	struct patterns patterns = { 0 };
	uint64_t found = 0, bytes = 0;
	uint8_t key[32];
	int i;

	make_sbox();
	if (!self_test()) {
		fputs("find-key: its own AES is wrong\n", stderr);
		return 2;
	}
	if (argc < 3 || !parse_key(argv[1], key)) {
		fputs("usage: find-key HEX FILE...\n"
		      "Prints how often an AES-256 key's round keys, or its GHASH key, are in the files,\n"
		      "and how many bytes that aren't holes it searched. Exit status: 0, or 2 if it\n"
		      "could not.\n", stderr);
		return 2;
	}
	make_patterns(&patterns, key);
	for (i = 2; i < argc; i++) {
		if (!search(&patterns, argv[i], &found, &bytes)) {
			fprintf(stderr, "find-key: %s: %s\n", argv[i], strerror(errno));
			return 2;
		}
	}
	printf("%ju %ju\n", (uintmax_t)found, (uintmax_t)bytes);
	return 0;
}
