/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * signature.h - how a store's file begins: what it is, and which daemon used it last.
 */
#ifndef CSWAP_SIGNATURE_H
#define CSWAP_SIGNATURE_H

#include <stdbool.h>
#include <stdint.h>

#define SIGNATURE_ID_BYTES 16
#define SIGNATURE_VERSION 1
/* It stands alone in it. */
#define SIGNATURE_BLOCK 4096

/* Less than a sector, so it's written whole. All else of the block is 0. */
struct signature {
	char magic[16];
	uint32_t version;		/* little-endian, as all numbers */
	uint32_t file;			/* 0: data, 1: tags */
	uint8_t store_id[SIGNATURE_ID_BYTES]; /* the same in both */
	uint8_t id[SIGNATURE_ID_BYTES];	/* as long as the file is what it is */
	uint64_t slots;			/* as of its last use, as is what follows */
	uint64_t used_s;		/* since 1970 */
	char boot_id[40];		/* the host's; text, empty: unknown */
	char user[128];			/* the socket of the daemon that uses it */
	uint8_t host_id[SIGNATURE_ID_BYTES]; /* of the host's machine-id; 0: unknown */
};

/* When and where it was used last. */
enum signature_origin {
	SIGNATURE_UNKNOWN,		/* it doesn't say, or this host's id isn't known */
	SIGNATURE_THIS_BOOT,
	SIGNATURE_EARLIER_BOOT,		/* of this host */
	SIGNATURE_OTHER_HOST,
};

/* Is this one, of whatever version? */
bool signature_is_one(const struct signature *signature);

/* The file begins with one, of whatever version. May wait for the disk. */
bool signature_read(int fd, struct signature *signature);

/* A new signature, of this moment and host, for @user (NULL: no daemon in particular). */
void signature_begin(struct signature *signature, const char *user);

enum signature_origin signature_origin(const struct signature *signature);

/* Is its user the one that signature_begin() would call @user? Never, if it names no daemon. */
bool signature_is_of(const struct signature *signature, const char *user);

#endif
