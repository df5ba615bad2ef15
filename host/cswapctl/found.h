/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * found.h - files that begin with a store's signature, and which process has them open.
 */
#ifndef CSWAPCTL_FOUND_H
#define CSWAPCTL_FOUND_H

#include <stddef.h>
#include <sys/types.h>

#include "common/signature.h"

/* A file or a block device. */
struct found {
	char *path;
	struct signature signature;
	bool is_device;
	bool is_locked;
	bool is_held;			/* some process has it open */
	dev_t device;			/* with the next: which it is */
	ino_t inode;			/* 0: a block device */
	uint64_t occupied_bytes;	/* of the disk; of a block device: unknown, 0 */
	uint64_t used_s;		/* since 1970: its last use that is known of */
};

struct found_list {
	struct found *list;
	size_t count;
	bool incomplete;		/* something couldn't be looked at; it's been said */
};

/* What lies at @path or, if that's a folder, below it. False: no memory. */
bool found_add(struct found_list *found, const char *path);

/* Find out what is held, of all in the list: by what /proc shows to us. */
void found_look_for_holders(struct found_list *found);

void found_free(struct found_list *found);

#endif
