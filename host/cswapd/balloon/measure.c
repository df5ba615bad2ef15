// SPDX-License-Identifier: GPL-2.0-only
/*
 * measure.c - how much memory the guest takes, as the host sees it.
 *
 * There are two measures, and neither relies on what the guest says. The cgroup of the VMM
 * is the truth, if the VMM is alone in it: it counts whatever is charged to it,
 * private memory of a confidential guest included. The blocks of the files that
 * the front end shares are exact for a plain guest's memfd; they don't include
 * private memory (guest_memfd has no such count), and sink when a file is
 * punched even where an assigned device has the pages pinned.
 *
 * The cgroup also counts what the VMM has read and written of other files, a disk's image for example. These
 * pages are available to the host, so they are told beside it. (The guest's memory is shmem or hugetlbfs, which is on
 * no list of files' pages.)
 *
 * The cgroup shows such pinned pages: a page that was discarded while a device has it pinned is
 * charged until the device unpins it, and is of no kind that memory.stat lists.
 *
 * The cgroup's files are opened when the front end connects, and kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "measure.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

/* The unified hierarchy's line: "0::/path". */
static bool find_path(pid_t pid, char *path, size_t size)
{
	char name[64], line[512];
	bool found = false;
	FILE *file;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)pid);
	file = fopen(name, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		found = !strncmp(line, "0::/", 4) && strlen(line + 3) < size;
		if (found)
			memcpy(path, line + 3, strlen(line + 3) + 1);
	}
	fclose(file);
	return found;
}

/* A peer outside our PID namespace is process 0 to us. */
static bool find_peer_path(int socket, char *path, size_t size)
{
	struct ucred peer = { .pid = 0 };
	socklen_t peer_size = sizeof(peer);

	return !getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) &&
	       peer.pid > 0 && find_path(peer.pid, path, size);
}

/* A file of the cgroup's; -1 with errno. */
static int open_file(const struct measure *measure, const char *file, char *name, size_t size)
{
	snprintf(name, size, "%s%s/%s", CGROUP_ROOT, measure->cgroup, file);
	return open(name, O_RDONLY | O_CLOEXEC);
}

void measure_open(struct measure *measure, int socket, const char *path)
{
	char name[sizeof(CGROUP_ROOT "/memory.current") + sizeof(measure->cgroup)];

	measure_close(measure);
	if (path)
		snprintf(measure->cgroup, sizeof(measure->cgroup), "%s", path);
	else if (!find_peer_path(socket, measure->cgroup, sizeof(measure->cgroup)))
		return;
	measure->stat_fd = open_file(measure, "memory.stat", name, sizeof(name));
	measure->cgroup_fd = open_file(measure, "memory.current", name, sizeof(name));
	if (measure->cgroup_fd >= 0)
		log_debug("front end is in cgroup %s", measure->cgroup);
	else if (path)
		log_warning("can't read %s: %s", name, strerror(errno));
}

void measure_close(struct measure *measure)
{
	if (measure->cgroup_fd >= 0)
		close(measure->cgroup_fd);
	if (measure->stat_fd >= 0)
		close(measure->stat_fd);
	measure->cgroup_fd = -1;
	measure->stat_fd = -1;
	measure->cgroup[0] = '\0';
}

/* All of a small file, as text. */
static bool read_text(int fd, char *text, size_t size)
{
	ssize_t n = fd < 0 ? -1 : pread(fd, text, size - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	return true;
}

/* A decimal number at the beginning of a text; false if there's none. */
static bool read_number(const char *text, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return !errno && end != text;
}

bool measure_cgroup(const struct measure *measure, uint64_t *bytes)
{
	char text[32];

	return read_text(measure->cgroup_fd, text, sizeof(text)) && read_number(text, bytes);
}

/* The member of that name, in a text of lines "name number"; false if there is none. */
static bool find_number(const char *text, const char *name, uint64_t *number)
{
	const size_t len = strlen(name);

	for (; text; text = strchr(text, '\n'), text += text ? 1 : 0)
		if (!strncmp(text, name, len) && text[len] == ' ')
			return read_number(text + len, number);
	return false;
}

bool measure_cache(const struct measure *measure, uint64_t *bytes)
{
	char text[16384];
	uint64_t active;

	if (!read_text(measure->stat_fd, text, sizeof(text)) ||
	    !find_number(text, "inactive_file", bytes) || !find_number(text, "active_file", &active))
		return false;
	*bytes += active;
	return true;
}

bool measure_kept(const struct measure *measure, uint64_t *bytes)
{
	/* What is charged is of one of these kinds; the last is counted in some hosts only. */
	static const char *const kinds[] = { "anon", "file", "kernel", "sock", "hugetlb" };
	char text[16384];
	uint64_t used = 0, part;
	unsigned int i;

	/* In this order: what is charged meanwhile isn't taken for kept. */
	if (!measure_cgroup(measure, bytes) ||
	    !read_text(measure->stat_fd, text, sizeof(text)))
		return false;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (find_number(text, kinds[i], &part))
			used += part;
		else if (strcmp(kinds[i], "hugetlb"))
			return false;
	}
	*bytes = *bytes > used ? *bytes - used : 0;
	return true;
}

bool measure_files(const struct memory *memory, uint64_t *bytes)
{
	struct {
		dev_t dev;
		ino_t inode;
	} file[MEMORY_MAX_REGIONS];
	unsigned int i, j, files = 0;
	struct stat st;

	*bytes = 0;
	for (i = 0; i < memory->count; i++) {
		if (memory->region[i].fd < 0 ||
		    fstat(memory->region[i].fd, &st))
			return false;
		for (j = 0; j < files; j++)
			if (file[j].dev == st.st_dev && file[j].inode == st.st_ino)
				break;
		/* Several regions of one file are one file. */
		if (j < files)
			continue;
		file[files].dev = st.st_dev;
		file[files++].inode = st.st_ino;
		*bytes += (uint64_t)st.st_blocks * 512;
	}
	return files;
}
