/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tags_room.h - whether this process may take more memory for tags.
 */
#ifndef CSWAPD_TAGS_ROOM_H
#define CSWAPD_TAGS_ROOM_H

#include <stdbool.h>
#include <stdint.h>

/* Its own cgroup, and those above it. */
#define TAGS_ROOM_LEVELS 6
/* What must be left of a limit for all else that the process does. */
#define TAGS_ROOM_MARGIN (4ULL << 20)

struct tags_room {
	unsigned int levels;
	struct {
		int max, current, stat;	/* descriptors of its files */
	} level[TAGS_ROOM_LEVELS];
};

/*
 * Open the files of cgroup @path and those above it, below @root; "": what this process is
 * in. Where there are none there is no limit.
 */
void tags_room_open(struct tags_room *room, const char *root, const char *path);
void tags_room_close(struct tags_room *room);

/* Is there room for so much more? By the limits as they are now; any thread. */
bool tags_room_has(const struct tags_room *room, uint64_t bytes);

#endif
