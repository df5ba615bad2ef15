// SPDX-License-Identifier: GPL-2.0-only
/*
 * census.c - what the daemon at the other end of the socket holds, by /proc.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "hostile.h"

static int count_descriptors(struct guest *g, int pid, unsigned int *count)
{
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return guest_fail(g, "can't look into %s", path);
	*count = 0;
	while (readdir(dir))
		++*count;
	closedir(dir);
	return 0;
}

static int count_mappings(struct guest *g, int pid, unsigned int *count)
{
	char path[64], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "r");
	if (!f)
		return guest_fail(g, "can't look into %s", path);
	*count = 0;
	while (fgets(line, sizeof(line), f))
		*count += strstr(line, "memfd:guest") != NULL;
	fclose(f);
	return 0;
}

int census_worker(int pid)
{
	char path[64];
	int worker = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%d", &worker) != 1)
		worker = 0;
	fclose(f);
	return worker;
}

int hostile_census(struct guest *g, struct hostile_census *to)
{
	unsigned int descriptors;
	struct ucred peer;
	int worker;
	socklen_t length = sizeof(peer);

	if (getsockopt(g->fe.socket, SOL_SOCKET, SO_PEERCRED, &peer, &length))
		return guest_fail(g, "the daemon has no credentials");
	to->pid = peer.pid;
	worker = census_worker(to->pid);
	EXPECT(g, worker, "nobody serves the guest");
	TRY(count_descriptors(g, to->pid, &to->descriptors));
	TRY(count_descriptors(g, worker, &descriptors));
	to->descriptors += descriptors;
	return count_mappings(g, worker, &to->mappings);
}
