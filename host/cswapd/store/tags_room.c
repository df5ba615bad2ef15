// SPDX-License-Identifier: GPL-2.0-only
/*
 * tags_room.c - whether this process may take more memory for tags.
 *
 * Theory of operation: where a memory cgroup is full the kernel doesn't refuse memory, it
 * kills a process in the cgroup, and that would be this one. So before the daemon reserves
 * memory it looks how much its cgroup, and those above it, have left (memory.max,
 * memory.current). Page cache in the cgroup is counted as left: the kernel takes that first.
 * The files are opened at the start; a limit may be set later, and counts then.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tags_room.h"

#define PATH_BYTES 512
#define STAT_BYTES 4096

/* The last line of the file has the cgroup of the one hierarchy: "0::/a/b". */
static bool find_path(char path[PATH_BYTES])
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	bool found = false;

	while (file && !found && fgets(path, PATH_BYTES, file))
		found = !strncmp(path, "0::/", 4);
	if (file)
		fclose(file);
	if (found)
		memmove(path, path + 3, strlen(path + 3) + 1);
	path[strcspn(path, "\n")] = '\0';
	return found;
}

static int open_file(const char *root, const char *path, const char *name)
{
	char full[2 * PATH_BYTES];

	snprintf(full, sizeof(full), "%s%s/%s", root, path, name);
	return open(full, O_RDONLY | O_CLOEXEC);
}

void tags_room_open(struct tags_room *room, const char *root, const char *path)
{
	char at[PATH_BYTES];
	char *end;

	room->levels = 0;
	snprintf(at, sizeof(at), "%s", path);
	if (!*path && !find_path(at))
		return;
	/* The root of all has no limit. */
	while (room->levels < TAGS_ROOM_LEVELS && (end = strrchr(at, '/')) && end[1]) {
		unsigned int i = room->levels++;

		room->level[i].max = open_file(root, at, "memory.max");
		room->level[i].current = open_file(root, at, "memory.current");
		room->level[i].stat = open_file(root, at, "memory.stat");
		*end = '\0';
	}
}

void tags_room_close(struct tags_room *room)
{
	unsigned int i;

	for (i = 0; i < room->levels; i++) {
		if (room->level[i].max >= 0)
			close(room->level[i].max);
		if (room->level[i].current >= 0)
			close(room->level[i].current);
		if (room->level[i].stat >= 0)
			close(room->level[i].stat);
	}
	room->levels = 0;
}

static bool read_text(int fd, char *text, size_t bytes)
{
	ssize_t n = fd < 0 ? -1 : pread(fd, text, bytes - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* False: it's "max", or there is no such file. */
static bool read_number(int fd, uint64_t *number)
{
	char text[32], *end;

	if (!read_text(fd, text, sizeof(text)))
		return false;
	*number = strtoull(text, &end, 10);
	return end != text;
}

static uint64_t find_number(const char *text, const char *name)
{
	const char *found = strstr(text, name);

	return found ? strtoull(found + strlen(name), NULL, 10) : 0;
}

/* What the kernel can take back in the cgroup at once. */
static uint64_t read_cache(int fd)
{
	char text[STAT_BYTES];

	if (!read_text(fd, text, sizeof(text)))
		return 0;
	return find_number(text, "\ninactive_file ") + find_number(text, "\nactive_file ");
}

bool tags_room_has(const struct tags_room *room, uint64_t bytes)
{
	const uint64_t need = bytes + TAGS_ROOM_MARGIN;
	uint64_t max, current;
	unsigned int i;

	for (i = 0; i < room->levels; i++) {
		if (!read_number(room->level[i].max, &max) ||
		    !read_number(room->level[i].current, &current) ||
		    current + need <= max)
			continue;
		/* It takes the kernel some time to count these. */
		if (current + need > max + read_cache(room->level[i].stat))
			return false;
	}
	return true;
}
