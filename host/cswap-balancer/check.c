// SPDX-License-Identifier: GPL-2.0-only
/*
 * check.c - whether a configuration fits the machine.
 *
 * This checks what the balancer will use: that a cgroup has the files that the balancer reads
 * or writes there, that floors and the reserve fit into the memory that there is. A cgroup
 * that isn't there is no error, because it comes with its VMM; it is reported, because it may
 * be misspelt.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "host.h"
#include "common/log.h"

__attribute__((format(printf, 1, 2)))
static bool complain(const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_err("%s", text);
	return false;
}

static uintmax_t mib(uint64_t bytes)
{
	return bytes >> 20;
}

static const char *name_of(const struct config_guest *guest)
{
	return guest->name ? guest->name : "(all guests)";
}

static bool is_there(const char *path, const char *whose)
{
	struct stat st;

	if (!stat(path, &st) || errno != ENOENT)
		return true;
	log_warning("%s: cgroup = %s isn't there now; is it spelt right?", whose, path);
	return false;
}

static bool has_file(const char *dir, const char *name)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return !access(path, F_OK);
}

/* --- memory --- */

static bool check_floor(const char *path, const struct config_guest *guest, uint64_t limit,
			uint64_t reserve)
{
	if (guest->floor.permille || guest->floor.bytes <= limit - reserve)
		return true;
	return complain("%s: guest %s: floor = %ju MiB: with the reserve of %ju MiB that is more than the %ju MiB that there are",
			path, name_of(guest), mib(guest->floor.bytes), mib(reserve), mib(limit));
}

static bool check_memory(const struct config *config, const char *path)
{
	const struct config_guest *guest;
	struct host_sample host;
	uint64_t limit, reserve;
	bool good;

	if (config->cgroup && !is_there(config->cgroup, path))
		return true;
	if (!host_sample(config->cgroup, &host))
		return complain("%s: the host's memory can't be measured: %s%s", path, host.failed,
				config->cgroup ? " (cgroup = is to be a cgroup's folder)" : "");
	limit = host.memory.limit;
	reserve = config_bytes(&config->reserve, limit);
	if (reserve >= limit)
		return complain("%s: reserve = %ju MiB: there are %ju MiB in all", path, mib(reserve),
				mib(limit));
	good = check_floor(path, &config->general, limit, reserve);
	for (guest = config->guests; guest; guest = guest->next)
		good &= check_floor(path, guest, limit, reserve);
	return good;
}

/* --- cgroups --- */

/* NULL: it has all that the answers write. Every cgroup can be frozen but version 1's, and the root. */
static const char *missing_file(const struct config *config, const char *cgroup)
{
	const char *file = config_answer_files[CONFIG_FREEZE];
	unsigned int i;

	if (!has_file(cgroup, file))
		return file;
	for (i = 0; i < config->answers; i++) {
		file = config_answer_files[config->answer[i]];
		if (file && !has_file(cgroup, file))
			return file;
	}
	return NULL;
}

/* Its own, and no other guest's: what is done to one guest must not be another's loss. */
static bool check_cgroup(const struct config *config, const char *path,
			 const struct config_guest *guest)
{
	const struct config_guest *other;
	const char *missing;

	if (config->cgroup && !strcmp(config->cgroup, guest->cgroup))
		return complain("%s:%u: guest %s: cgroup = %s is that of all guests", path, guest->line,
				guest->name, guest->cgroup);
	for (other = guest->next; other; other = other->next)
		if (other->cgroup && !strcmp(other->cgroup, guest->cgroup))
			return complain("%s:%u: guest %s: cgroup = %s is guest %s's", path, guest->line,
					guest->name, guest->cgroup, other->name);
	if (!is_there(guest->cgroup, guest->name))
		return true;
	missing = missing_file(config, guest->cgroup);
	if (missing)
		return complain("%s:%u: guest %s: cgroup = %s has no %s: it is no cgroup (version 2), or the controller isn't enabled there",
				path, guest->line, guest->name, guest->cgroup, missing);
	return true;
}

static bool check_answers(const struct config *config, const char *path)
{
	const struct config_guest *guest;
	const char *needs = NULL;
	bool good = true, some = false;
	unsigned int i;

	for (guest = config->guests; guest; guest = guest->next) {
		some |= guest->cgroup != NULL;
		if (guest->cgroup)
			good &= check_cgroup(config, path, guest);
	}
	for (i = 0; i < config->answers && !needs; i++)
		if (config_answer_files[config->answer[i]])
			needs = config_answer_names[config->answer[i]];
	if (needs && !some)
		return complain("%s: answers = %s: no guest has a cgroup to do that to; name one's in its section (cgroup =)",
				path, needs);
	return good;
}

bool check_config(const struct config *config, const char *path)
{
	bool good;

	if (!path)
		path = "defaults";
	good = check_memory(config, path);
	return check_answers(config, path) && good;
}
