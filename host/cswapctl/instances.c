// SPDX-License-Identifier: GPL-2.0-only
/*
 * instances.c - all daemons of this host, and what each of them says.
 *
 * All daemons are asked before the first answer is waited for, and there is one deadline
 * for all: daemons that are stuck cost this time once, however many they are, and hide no other.
 */
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "connection.h"
#include "instances.h"

static const char *describe(const struct instance *instance)
{
	static const struct {
		const char *word, *state;
	} words[] = {
		{ "none", "at target" },
		{ "memory", "none free" },
		{ "oom", "was oom" },
		{ "unknown", "working" },
	};
	const struct status *status = &instance->status;
	size_t i;

	if (!instance->answer)
		return "no answer";
	if (!strcmp(status->balloon, "absent"))
		return "no guest";
	if (!strcmp(status->balloon, "off") || !strcmp(status->balloon, "declined"))
		return status->balloon;
	if (strcmp(status->balloon, "ready"))
		return "no driver";
	if (!status->reported)
		return "no report";
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(status->stopped, words[i].word))
			return words[i].state;
	return status->stopped;
}

static bool name_instance(struct instance *instance, const char *path)
{
	const char *end = strrchr(path, '/'), *begin = end;

	while (begin > path && begin[-1] != '/')
		begin--;
	instance->socket = strdup(path);
	instance->name = strndup(begin, (size_t)(end - begin));
	return instance->socket && instance->name;
}

/*
 * The requests go out; which were sent is told by @connections[].fd. False: we can't ask, and no
 * daemon is to be taken for dead because of that.
 */
static bool send_all(const struct instances *instances,
		     struct connection *connections)
{
	struct json_object *request;
	size_t i;

	for (i = 0; i < instances->count; i++) {
		connections[i].quiet = true;
		if (!connection_open(&connections[i], instances->list[i].socket)) {
			if (errno != EMFILE && errno != ENFILE && errno != ENOMEM &&
			    errno != ENOBUFS)
				continue;
			fprintf(stderr, "cswapctl: %zu guests can't be asked at once: %s\n",
				instances->count, strerror(errno));
			while (i--)
				connection_close(&connections[i]);
			return false;
		}
		request = json_object_new_object();
		json_object_object_add(request, "request",
				       json_object_new_string("status"));
		if (!connection_send(&connections[i], request))
			connection_close(&connections[i]);
	}
	return true;
}

static void receive_all(struct instances *instances,
			struct connection *connections, uint64_t deadline_ms)
{
	struct instance *instance;
	size_t i;

	for (i = 0; i < instances->count; i++) {
		instance = &instances->list[i];
		if (connections[i].fd >= 0 &&
		    connection_receive(&connections[i], deadline_ms,
				       &instance->answer) != CONNECTION_OK)
			instance->answer = NULL;
		connection_close(&connections[i]);
		status_read(instance->answer, &instance->status);
		instance->state = describe(instance);
	}
}

void instances_free(struct instances *instances)
{
	size_t i;

	for (i = 0; i < instances->count; i++) {
		json_object_put(instances->list[i].answer);
		free(instances->list[i].name);
		free(instances->list[i].socket);
	}
	free(instances->list);
	memset(instances, 0, sizeof(*instances));
}

bool instances_ask(struct instances *instances, const char *directory,
		   unsigned int patience_ms)
{
	struct connection *connections = NULL;
	char *pattern = NULL;
	glob_t found = { 0 };
	bool enough = false;

	memset(instances, 0, sizeof(*instances));
	if (asprintf(&pattern, "%s/*/control", directory) < 0)
		return false;
	if (glob(pattern, 0, NULL, &found) == GLOB_NOSPACE)
		goto out;
	instances->list = calloc(found.gl_pathc + 1, sizeof(*instances->list));
	connections = calloc(found.gl_pathc + 1, sizeof(*connections));
	if (!instances->list || !connections)
		goto out;
	for (; instances->count < found.gl_pathc; instances->count++)
		if (!name_instance(&instances->list[instances->count],
				   found.gl_pathv[instances->count]))
			goto out;
	enough = send_all(instances, connections);
	if (enough)
		receive_all(instances, connections, clock_now_ms() + patience_ms);
out:
	if (!enough)
		instances_free(instances);
	free(connections);
	globfree(&found);
	free(pattern);
	return enough;
}

/* --- names --- */

static bool is_inside_character(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

/* In UTF-8, of characters that have a column each. */
unsigned int instances_columns(const char *name)
{
	unsigned int columns = 0;

	for (; *name; name++)
		columns += !is_inside_character(*name);
	return columns;
}

/* Past so many characters. */
static const char *skip(const char *name, unsigned int columns)
{
	while (*name && columns--)
		for (name++; is_inside_character(*name); name++)
			;
	return name;
}

unsigned int instances_name_columns(const struct instances *instances)
{
	unsigned int most = 0, columns;
	size_t i;

	for (i = 0; i < instances->count; i++) {
		columns = instances_columns(instances->list[i].name);
		most = columns > most ? columns : most;
	}
	return most;
}

const char *instances_name(const char *name, unsigned int columns)
{
	/* A name is a file's. */
	static char text[2 * NAME_MAX + 1];
	unsigned int have = instances_columns(name), head = columns / 2;
	int bytes;

	if (have <= columns || columns < 3) {
		snprintf(text, sizeof(text), "%s%*s", name,
			 (int)(have < columns ? columns - have : 0), "");
		return text;
	}
	bytes = (int)(skip(name, head) - name);
	snprintf(text, sizeof(text), "%.*s~%s", bytes, name,
		 skip(name, have - (columns - head - 1)));
	return text;
}

/* --- figures --- */

const char *instances_size(uint64_t bytes)
{
	static char text[8][16];
	static unsigned int next;
	char *to = text[next++ % 8];
	static const char units[] = "KMGTPE";
	double value = (double)bytes / 1024;
	unsigned int unit = 0;

	if (bytes == STATUS_UNKNOWN)
		return "-";
	if (!bytes)
		return "0";
	while (value >= 1000 && units[unit + 1]) {
		value /= 1024;
		unit++;
	}
	snprintf(to, sizeof(text[0]), "%.*f%c",
		 value < 100 && value != (double)(uint64_t)value ? 1 : 0, value,
		 units[unit]);
	return to;
}

uint64_t instances_kept(const struct status *status)
{
	if (status->memory == STATUS_UNKNOWN || status->released > status->memory)
		return STATUS_UNKNOWN;
	return status->memory - status->released;
}

uint64_t instances_used(const struct status *status)
{
	return status->cgroup != STATUS_UNKNOWN ? status->cgroup : status->files;
}
