// SPDX-License-Identifier: GPL-2.0-only
/*
 * stores.c - the stores that lie on this host, and which of them no guest needs.
 *
 * Theory of operation: no guest needs a store that was last used in an earlier boot of this
 * host, because its guest has ended with its host. A store that was used in this boot may be
 * needed, even if no process has it now: a VMM can connect again. A store that another host
 * used last is that host's. Only stores of the first kind can go; the daemon of such a store
 * would empty it at its start.
 */
#include <endian.h>
#include <errno.h>
#include <glob.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/plain.h"
#include "found.h"
#include "instances.h"
#include "print.h"
#include "stores.h"

#define PAGE_BYTES 4096
#define NAME_COLUMNS 20

enum { DATA, TAGS };

enum store_use { USE_NOW, USE_IDLE, USE_OVER, USE_ELSEWHERE, USE_UNKNOWN };

static const struct {
	const char *word, *reason;
} uses[] = {
	[USE_NOW] = { "in use", "a daemon, or systemd for it, has it open" },
	[USE_IDLE] = { "idle", "used since this host was started: a guest may come back to it" },
	[USE_OVER] = { "can go", "last used before this host was started: its guest has ended" },
	[USE_ELSEWHERE] = { "other host", "another host used it last: look there" },
	[USE_UNKNOWN] = { "unknown", "it doesn't say in which boot it was used" },
};

/* --- what is known of one --- */

static enum store_use use_of(const struct found *one)
{
	static const enum store_use of[] = {
		[SIGNATURE_UNKNOWN] = USE_UNKNOWN,
		[SIGNATURE_THIS_BOOT] = USE_IDLE,
		[SIGNATURE_EARLIER_BOOT] = USE_OVER,
		[SIGNATURE_OTHER_HOST] = USE_ELSEWHERE,
	};

	if (one->is_locked || one->is_held)
		return USE_NOW;
	if (le32toh(one->signature.version) != SIGNATURE_VERSION)
		return USE_UNKNOWN;
	return of[signature_origin(&one->signature)];
}

/* Tags of what is in the list stand for nothing of their own. */
static const struct found *other_file(const struct found_list *found, const struct found *one)
{
	uint32_t which = le32toh(one->signature.file);
	size_t i;

	for (i = 0; i < found->count; i++)
		if (le32toh(found->list[i].signature.file) != which &&
		    !memcmp(found->list[i].signature.store_id, one->signature.store_id,
			    SIGNATURE_ID_BYTES))
			return &found->list[i];
	return NULL;
}

static bool is_shown(const struct found_list *found, const struct found *one)
{
	return le32toh(one->signature.file) == DATA || !other_file(found, one);
}

static uint64_t occupied(const struct found_list *found, const struct found *one)
{
	const struct found *other = other_file(found, one);

	return one->occupied_bytes + (other ? other->occupied_bytes : 0);
}

/* Of web1 in /run/cswapd/web1/socket; else the socket. Nobody can steer a terminal by it. */
static const char *guest_of(const struct found *one)
{
	static char name[sizeof(one->signature.user) + 1];
	char *end, *begin;

	snprintf(name, sizeof(name), "%.*s", (int)sizeof(one->signature.user),
		 one->signature.user);
	plain_make(name);
	end = strrchr(name, '/');
	if (!end || strcmp(end, "/socket"))
		return *name ? name : "-";
	*end = '\0';
	begin = strrchr(name, '/');
	return begin ? begin + 1 : name;
}

/* --- where they may be --- */

/* The value of option @name in @text, which is cut there; NULL: it isn't there. */
static char *take_option(char *text, const char *name)
{
	char *at = strstr(text, name), *end;

	if (!at || (at[strlen(name)] != ' ' && at[strlen(name)] != '='))
		return NULL;
	at += strlen(name) + 1;
	at += strspn(at, " ");
	end = at + strcspn(at, " \t\n\"'");
	*end = '\0';
	return at;
}

/*
 * What a guest's configuration says lies elsewhere: what is relative is in the guest's folder,
 * below the folder of all. What hasn't been made yet is no mistake.
 */
static bool add_configured(struct found_list *found, const char *configuration)
{
	static const char *const options[] = { "--store", "--tags" };
	FILE *file = fopen(configuration, "re");
	bool done = true;
	char line[4096], copy[4096], *path;
	unsigned int i;

	if (!file) {
		fprintf(stderr, "cswapctl: can't read %s: %s\n", configuration,
			strerror(errno));
		found->incomplete = true;
		return true;
	}
	while (done && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "ARGS=", 5))
			continue;
		for (i = 0; done && i < 2; i++) {
			memcpy(copy, line, sizeof(copy));
			path = take_option(copy, options[i]);
			if (path && *path == '/' && !access(path, F_OK))
				done = found_add(found, path);
		}
	}
	fclose(file);
	return done;
}

static bool add_all_configured(struct found_list *found, const char *directory)
{
	char *pattern = NULL;
	glob_t files = { 0 };
	bool done = false;
	size_t i;

	if (asprintf(&pattern, "%s/*.conf", directory) < 0)
		return false;
	if (glob(pattern, 0, NULL, &files) != GLOB_NOSPACE)
		for (i = 0, done = true; done && i < files.gl_pathc; i++)
			done = add_configured(found, files.gl_pathv[i]);
	globfree(&files);
	free(pattern);
	return done;
}

static bool find_all(struct found_list *found, const struct options *options,
		     char *const *paths)
{
	if (!*paths)
		return (access(STORES_DIRECTORY, F_OK) ||
			found_add(found, STORES_DIRECTORY)) &&
		       add_all_configured(found, options->configuration);
	while (*paths && found_add(found, *paths))
		paths++;
	return !*paths;
}

/* --- what is said --- */

/* Any user who may write there chooses the paths: these must not steer a terminal. */
static void print_path(const char *path)
{
	plain_put(stdout, path);
	putchar('\n');
}

static void print_line(const struct found_list *found, const struct found *one)
{
	time_t used = (time_t)one->used_s;
	char when[24] = "-";
	struct tm tm;

	if (used && localtime_r(&used, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	printf("%s %7s %8s  %-16s  %-10s  ", instances_name(guest_of(one), NAME_COLUMNS),
	       le32toh(one->signature.file) == DATA ?
		       instances_size(le64toh(one->signature.slots) * PAGE_BYTES) : "tags",
	       instances_size(one->is_device && !occupied(found, one) ? STATUS_UNKNOWN :
								       occupied(found, one)),
	       when, uses[use_of(one)].word);
	print_path(one->path);
}

static void print_table(const struct found_list *found)
{
	uint64_t all_bytes = 0, free_bytes = 0;
	unsigned int all = 0, can_go = 0;
	size_t i;

	printf("%s %7s %8s  %-16s  %-10s  %s\n", instances_name("GUEST", NAME_COLUMNS), "SIZE",
	       "OCCUPIED", "LAST USE", "STATE", "FILE");
	for (i = 0; i < found->count; i++) {
		const struct found *one = &found->list[i];

		if (!is_shown(found, one))
			continue;
		print_line(found, one);
		all++;
		all_bytes += occupied(found, one);
		if (use_of(one) != USE_OVER)
			continue;
		can_go++;
		free_bytes += occupied(found, one);
	}
	printf("%u stores occupy %s; %u of them can go: %s\n", all, instances_size(all_bytes),
	       can_go, instances_size(free_bytes));
}

static struct json_object *describe(const struct found_list *found, const struct found *one)
{
	const struct found *other = other_file(found, one);
	struct json_object *entry = json_object_new_object();
	bool is_data = le32toh(one->signature.file) == DATA;
	enum store_use use = use_of(one);
	const struct found *tags = is_data ? other : one;

	json_object_object_add(entry, "store",
			       is_data ? json_object_new_string(one->path) : NULL);
	json_object_object_add(entry, "tags",
			       tags ? json_object_new_string(tags->path) : NULL);
	json_object_object_add(entry, "guest", json_object_new_string(guest_of(one)));
	json_object_object_add(entry, "block_device", json_object_new_boolean(one->is_device));
	json_object_object_add(entry, "size_bytes",
			       json_object_new_uint64(le64toh(one->signature.slots) * PAGE_BYTES));
	/* How full a block device is only its makers know. */
	json_object_object_add(entry, "occupied_bytes", one->is_device ? NULL :
			       json_object_new_uint64(occupied(found, one)));
	json_object_object_add(entry, "last_use_s", json_object_new_uint64(one->used_s));
	json_object_object_add(entry, "state", json_object_new_string(uses[use].word));
	json_object_object_add(entry, "can_go", json_object_new_boolean(use == USE_OVER));
	json_object_object_add(entry, "reason", json_object_new_string(uses[use].reason));
	return entry;
}

static void print_all_json(const struct found_list *found)
{
	struct json_object *all = json_object_new_object();
	struct json_object *stores = json_object_new_array();
	size_t i;

	for (i = 0; i < found->count; i++)
		if (is_shown(found, &found->list[i]))
			json_object_array_add(stores, describe(found, &found->list[i]));
	json_object_object_add(all, "stores", stores);
	print_json(all);
	json_object_put(all);
}

int stores_run(const struct options *options, char *const *paths)
{
	struct found_list found = { 0 };
	bool done = find_all(&found, options, paths);

	if (!done)
		fputs("cswapctl: out of memory\n", stderr);
	done = done && !found.incomplete;
	found_look_for_holders(&found);
	if (options->json)
		print_all_json(&found);
	else if (found.count)
		print_table(&found);
	else if (done)
		fputs("cswapctl: there are no stores\n", stderr);
	found_free(&found);
	return done ? 0 : EXIT_FAILED;
}
