// SPDX-License-Identifier: GPL-2.0-only
/*
 * notes.c - what was in a guest's cgroup before the balancer wrote there.
 *
 * There is one file for each guest that has an answer in force, in a folder that outlives the
 * process and not the machine's run, as cgroups do. A note is whole or isn't there: it's
 * written under another name and renamed. The note is there before the balancer writes to the
 * cgroup, and goes after the balancer has undone what it wrote. So after a process was killed,
 * at any moment, the next process knows what to undo.
 *
 * The folder is locked as long as it's open: two balancers would undo each other's answers.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "notes.h"
#include "common/log.h"

/* No guest has such a name. */
#define NEW_NAME ".new"

/* --- the form of a note --- */

static bool write_note(FILE *file, const struct note *note)
{
	fprintf(file, "cgroup %s\ndevice %ju\ninode %ju\nfile %s\nwas %s\nset %s\n", note->cgroup,
		(uintmax_t)note->device, (uintmax_t)note->inode, note->file, note->was, note->set);
	return !ferror(file);
}

/* The rest of the next line, which begins with @name. */
static bool read_text(FILE *file, const char *name, char *to, size_t size)
{
	char line[NOTES_MAX_PATH + 16];
	size_t length = strlen(name), bytes;

	if (!fgets(line, sizeof(line), file) || strncmp(line, name, length) || line[length] != ' ')
		return false;
	bytes = strcspn(line + length + 1, "\n");
	if (line[length + 1 + bytes] != '\n' || bytes >= size)
		return false;
	memcpy(to, line + length + 1, bytes);
	to[bytes] = '\0';
	return true;
}

static bool read_count(FILE *file, const char *name, uint64_t *to)
{
	char text[32], *end;

	if (!read_text(file, name, text, sizeof(text)))
		return false;
	*to = strtoull(text, &end, 10);
	return end != text && !*end;
}

static bool read_note(FILE *file, struct note *note)
{
	return read_text(file, "cgroup", note->cgroup, sizeof(note->cgroup)) &&
	       read_count(file, "device", &note->device) && read_count(file, "inode", &note->inode) &&
	       read_text(file, "file", note->file, sizeof(note->file)) && !strchr(note->file, '/') &&
	       read_text(file, "was", note->was, sizeof(note->was)) &&
	       read_text(file, "set", note->set, sizeof(note->set));
}

/* --- files --- */

static FILE *open_file(const struct notes *notes, const char *name, int flags, const char *mode)
{
	int fd = openat(notes->dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *file = fd >= 0 ? fdopen(fd, mode) : NULL;

	if (!file && fd >= 0)
		close(fd);
	return file;
}

static bool save(const struct notes *notes, const struct note *note)
{
	FILE *file = open_file(notes, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC, "w");
	bool good = file && write_note(file, note);

	if (file && fclose(file))
		good = false;
	if (good && !renameat(notes->dir, NEW_NAME, notes->dir, note->guest))
		return true;
	log_err("guest %s: can't note what %s/%s was: %s", note->guest, note->cgroup, note->file,
		strerror(errno));
	return false;
}

static bool load(struct notes *notes, const char *name)
{
	struct note *note = calloc(1, sizeof(*note));
	FILE *file = note && strlen(name) < sizeof(note->guest) ?
			     open_file(notes, name, O_RDONLY, "r") : NULL;
	bool good = file && read_note(file, note);

	if (file)
		fclose(file);
	if (!good) {
		log_err("the note of guest %s can't be read: its cgroup stays as it is", name);
		free(note);
		return false;
	}
	snprintf(note->guest, sizeof(note->guest), "%s", name);
	note->next = notes->first;
	notes->first = note;
	return true;
}

static bool load_all(struct notes *notes)
{
	int fd = openat(notes->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			load(notes, entry->d_name);
	closedir(dir);
	return true;
}

/* --- the caller's interface --- */

bool notes_open(struct notes *notes, const char *path, bool create)
{
	*notes = (struct notes) { .dir = -1 };
	if (create && mkdir(path, 0700) && errno != EEXIST) {
		log_err("can't make %s: %s", path, strerror(errno));
		return false;
	}
	notes->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (notes->dir < 0 && errno == ENOENT && !create)
		return true;
	if (notes->dir >= 0 && !flock(notes->dir, LOCK_EX | LOCK_NB) && load_all(notes))
		return true;
	log_err("%s: %s", path, notes->dir >= 0 && errno == EWOULDBLOCK ?
				    "another cswap-balancer uses it" : strerror(errno));
	notes_close(notes);
	return false;
}

void notes_close(struct notes *notes)
{
	struct note *note;

	while ((note = notes->first)) {
		notes->first = note->next;
		free(note);
	}
	if (notes->dir >= 0)
		close(notes->dir);
	notes->dir = -1;
}

struct note *notes_find(const struct notes *notes, const char *guest)
{
	struct note *note;

	for (note = notes->first; note; note = note->next)
		if (!strcmp(note->guest, guest))
			return note;
	return NULL;
}

struct note *notes_add(struct notes *notes, const struct note *note)
{
	struct note *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *note;
	if (!save(notes, copy)) {
		free(copy);
		return NULL;
	}
	copy->next = notes->first;
	notes->first = copy;
	return copy;
}

void notes_remove(struct notes *notes, struct note *note)
{
	struct note **at = &notes->first;

	while (*at != note)
		at = &(*at)->next;
	*at = note->next;
	if (unlinkat(notes->dir, note->guest, 0))
		log_warning("guest %s: can't remove its note: %s", note->guest, strerror(errno));
	free(note);
}
