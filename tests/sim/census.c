// SPDX-License-Identifier: GPL-2.0-only
/*
 * census.c - what the daemon at the other end of the socket holds, by /proc.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

static bool has_stopped(int pid, const char *task)
{
	char path[300], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", pid, task);
	f = fopen(path, "r");
	/* a task that is gone doesn't run either */
	if (!f)
		return true;
	/* the name, in parentheses, has no others in it */
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(f);
	return state == 'T';
}

static bool all_have_stopped(int pid)
{
	const struct dirent *entry;
	bool stopped = true;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (stopped && (entry = readdir(dir)))
		stopped = entry->d_name[0] == '.' || has_stopped(pid, entry->d_name);
	closedir(dir);
	return stopped;
}

int stop_process(int pid)
{
	unsigned int tries;

	if (kill(pid, SIGSTOP))
		return -1;
	for (tries = 0; tries < 10000; tries++) {
		if (all_have_stopped(pid))
			return 0;
		usleep(1000);
	}
	return -1;
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
