// SPDX-License-Identifier: GPL-2.0-only
/*
 * host.c - what the host has, and what is left of it: measured.
 *
 * For the whole host these are MemTotal and MemAvailable. What is left of a cgroup is its limit
 * less what it uses; memory that it could drop at once doesn't count as used: the files' pages on
 * its lists. (A guest's memory is shmem, which isn't on these lists.) Both versions of cgroups are
 * understood, by their files.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

/* Returns false. */
static bool note_failure(struct host_sample *sample, const char *path)
{
	snprintf(sample->failed, sizeof(sample->failed), "%s: %s", path,
		 errno ? strerror(errno) : "no number is there");
	return false;
}

/* A file's first number, "max" being UINT64_MAX. */
static bool read_number(struct host_sample *sample, const char *dir, const char *name, uint64_t *value)
{
	char path[512], word[32] = "";
	bool found;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	errno = 0;
	file = fopen(path, "re");
	if (!file)
		return note_failure(sample, path);
	found = fscanf(file, "%31s", word) == 1;
	if (!found)
		note_failure(sample, path);
	fclose(file);
	*value = strcmp(word, "max") ? strtoull(word, NULL, 10) : UINT64_MAX;
	return found;
}

/* The number behind @name in a file of lines that begin with a name; @unit bytes each. */
static uint64_t find_number(FILE *file, const char *name)
{
	char line[128];
	size_t length = strlen(name);

	rewind(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, length) && strchr(": ", line[length]))
			return strtoull(line + length + 1, NULL, 10);
	return 0;
}

static bool sample_host(struct host_sample *sample)
{
	static const char path[] = "/proc/meminfo";
	struct policy_host_sample *to = &sample->memory;
	FILE *file = fopen(path, "re");

	if (!file)
		return note_failure(sample, path);
	errno = 0;
	to->limit = find_number(file, "MemTotal") << 10;
	to->available = find_number(file, "MemAvailable") << 10;
	fclose(file);
	return to->limit || note_failure(sample, path);
}

static bool sample_cgroup(const char *dir, struct host_sample *sample)
{
	struct policy_host_sample *to = &sample->memory;
	uint64_t limit, used, files = 0;
	char path[512];
	FILE *file;
	/* If neither is there it's the second that is named when all is told. */
	bool unified = !read_number(sample, dir, "memory.usage_in_bytes", &used);

	if (unified && !read_number(sample, dir, "memory.current", &used))
		return false;
	if (!read_number(sample, dir, unified ? "memory.max" : "memory.limit_in_bytes", &limit))
		return false;
	snprintf(path, sizeof(path), "%s/memory.stat", dir);
	file = fopen(path, "re");
	if (file) {
		files = find_number(file, unified ? "inactive_file" : "total_inactive_file") +
			find_number(file, unified ? "active_file" : "total_active_file");
		fclose(file);
	}
	if (limit < to->limit)
		to->limit = limit;
	used = used > files ? used - files : 0;
	limit = to->limit > used ? to->limit - used : 0;
	/* The host itself may have less. */
	if (limit < to->available)
		to->available = limit;
	return true;
}

/* "some avg10=1.23 ..." */
static int sample_pressure(const char *path)
{
	static const char begin[] = "some avg10=";
	FILE *file = fopen(path, "re");
	char line[128] = "";
	bool found;

	if (!file)
		return -1;
	found = fgets(line, sizeof(line), file) && !strncmp(line, begin, strlen(begin));
	fclose(file);
	return found ? (int)strtol(line + strlen(begin), NULL, 10) : -1;
}

bool host_sample(const char *cgroup, struct host_sample *sample)
{
	char path[512];

	sample->pressure_percent = -1;
	if (!sample_host(sample))
		return false;
	if (cgroup) {
		if (!sample_cgroup(cgroup, sample))
			return false;
		snprintf(path, sizeof(path), "%s/memory.pressure", cgroup);
		sample->pressure_percent = sample_pressure(path);
	}
	if (sample->pressure_percent < 0)
		sample->pressure_percent = sample_pressure("/proc/pressure/memory");
	return true;
}
