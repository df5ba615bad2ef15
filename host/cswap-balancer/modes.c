// SPDX-License-Identifier: GPL-2.0-only
/*
 * modes.c - what operators have said of guests: paused, drained, or neither.
 *
 * An operator's word holds until the operator's next one. So it's kept in a file that outlives the balancer, as notes are
 * (notes.c), and goes when the host's run does: a line for each guest, which is written anew, under another name, with
 * each change. A guest's folder goes and comes back when its daemon is restarted, and the word stays for that; but a
 * guest that is started later under the name of another isn't that other guest. The two are told apart by time alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "modes.h"

#define ALL_LINE "all paused\n"

static const char *const words[] = {
	[POLICY_AUTO] = "managed", [POLICY_MODE_PAUSED] = "paused", [POLICY_MODE_DRAIN] = "draining",
};

#define NUM_WORDS (sizeof(words) / sizeof(words[0]))

static struct mode *find(const struct modes *modes, const char *guest)
{
	size_t i;

	for (i = 0; i < modes->count; i++)
		if (!strcmp(modes->mode[i].guest, guest))
			return &modes->mode[i];
	return NULL;
}

static struct mode *add(struct modes *modes, const char *guest)
{
	size_t room = modes->room ? 2 * modes->room : 16;
	struct mode *more;

	if (strlen(guest) >= sizeof(more->guest))
		return NULL;
	if (modes->count == modes->room) {
		more = realloc(modes->mode, room * sizeof(*more));
		if (!more)
			return NULL;
		modes->mode = more;
		modes->room = room;
	}
	more = &modes->mode[modes->count++];
	*more = (struct mode) { .seen = false };
	memcpy(more->guest, guest, strlen(guest));
	return more;
}

static void drop(struct modes *modes, struct mode *mode)
{
	*mode = modes->mode[--modes->count];
}

/* --- the file --- */

static bool write_all(const struct modes *modes, FILE *file)
{
	size_t i;

	if (modes->paused)
		fputs(ALL_LINE, file);
	for (i = 0; i < modes->count; i++)
		fprintf(file, "%s %s\n", words[modes->mode[i].mode], modes->mode[i].guest);
	return !ferror(file);
}

static void save(const struct modes *modes)
{
	char new[PATH_MAX + 8];
	FILE *file;
	bool good;

	if (!modes->path[0])
		return;
	snprintf(new, sizeof(new), "%s.new", modes->path);
	file = fopen(new, "we");
	good = file && write_all(modes, file);
	if (file && fclose(file))
		good = false;
	if (!good || rename(new, modes->path))
		log_warning("can't write %s: %s: when the balancer is restarted, guests aren't paused or drained any more",
			    modes->path, strerror(errno));
}

/* False: it makes no sense. */
static bool read_line(struct modes *modes, char *line)
{
	char *end = strchr(line, '\n'), *name = strchr(line, ' ');
	struct mode *mode;
	size_t word;

	if (!strcmp(line, ALL_LINE))
		return modes->paused = true;
	if (!end || !name || name + 1 == end)
		return false;
	*end = *name++ = '\0';
	for (word = 0; word < NUM_WORDS && strcmp(line, words[word]); word++)
		;
	mode = word < NUM_WORDS && !find(modes, name) ? add(modes, name) : NULL;
	if (mode)
		mode->mode = (enum policy_mode)word;
	return mode;
}

void modes_open(struct modes *modes, const char *path)
{
	char line[128];
	FILE *file;

	*modes = (struct modes) { .paused = false };
	if (!path)
		return;
	snprintf(modes->path, sizeof(modes->path), "%s", path);
	file = fopen(path, "re");
	if (!file && errno != ENOENT)
		log_warning("can't read %s: %s: no guest is paused or drained", path, strerror(errno));
	while (file && fgets(line, sizeof(line), file))
		if (!read_line(modes, line))
			log_warning("%s: a line makes no sense, and is ignored", path);
	if (file)
		fclose(file);
}

void modes_close(struct modes *modes)
{
	free(modes->mode);
	*modes = (struct modes) { .paused = false };
}

/* --- what is said --- */

enum policy_mode modes_get(const struct modes *modes, const char *guest, enum policy_mode otherwise)
{
	const struct mode *mode = find(modes, guest);

	return mode ? mode->mode : otherwise;
}

void modes_set(struct modes *modes, const char *guest, enum policy_mode mode, enum policy_mode otherwise)
{
	struct mode *kept = find(modes, guest);

	if (mode == otherwise && kept) {
		drop(modes, kept);
	} else if (mode != otherwise) {
		/* A line has room for one name, and a name may have any byte. */
		if (!kept && !strchr(guest, '\n'))
			kept = add(modes, guest);
		if (!kept) {
			log_warning("guest %s: when its daemon or the balancer is restarted, it isn't %s any more", guest,
				    words[mode]);
			return;
		}
		kept->mode = mode;
	}
	save(modes);
}

void modes_pause_all(struct modes *modes, bool paused)
{
	modes->paused = paused;
	save(modes);
}

/* --- which guests there are --- */

void modes_see(struct modes *modes, const char *guest)
{
	struct mode *mode = find(modes, guest);

	if (mode)
		mode->seen = true;
}

void modes_end_look(struct modes *modes, uint64_t now_ms)
{
	size_t i, before = modes->count;

	for (i = modes->count; i-- > 0;) {
		struct mode *mode = &modes->mode[i];

		if (mode->seen)
			mode->gone_ms = 0;
		else if (!mode->gone_ms)
			mode->gone_ms = now_ms;
		mode->seen = false;
		if (mode->gone_ms && now_ms - mode->gone_ms >= MODES_GONE_MS) {
			log_notice("guest %s: gone for good: it's no longer %s", mode->guest, words[mode->mode]);
			drop(modes, mode);
		}
	}
	if (modes->count != before)
		save(modes);
}
