/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * notes.h - what was in a guest's cgroup before the balancer wrote there.
 */
#ifndef CSWAP_BALANCER_NOTES_H
#define CSWAP_BALANCER_NOTES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NOTES_MAX_PATH	512
#define NOTES_MAX_VALUE	64

struct note {
	struct note *next;
	char guest[64];
	char cgroup[NOTES_MAX_PATH];
	uint64_t device, inode;		/* of that folder: another may have its name later */
	char file[32];
	char was[NOTES_MAX_VALUE];	/* before, verbatim */
	char set[NOTES_MAX_VALUE];	/* by the balancer */
	bool complained;		/* that it can't be undone */
};

struct notes {
	int dir;			/* -1: none */
	struct note *first;
};

/*
 * Open the folder @path and read what is there; @create: make it if it's missing. False (said
 * why): it can't be used, or another process has it. Without @create a missing folder is an
 * empty one.
 */
bool notes_open(struct notes *notes, const char *path, bool create);
void notes_close(struct notes *notes);

struct note *notes_find(const struct notes *notes, const char *guest);
/* Keep a copy of @note, in its file first. NULL (said why): it isn't kept. */
struct note *notes_add(struct notes *notes, const struct note *note);
void notes_remove(struct notes *notes, struct note *note);

#endif
