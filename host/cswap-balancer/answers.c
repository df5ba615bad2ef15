// SPDX-License-Identifier: GPL-2.0-only
/*
 * answers.c - what is done about a guest that makes no progress.
 *
 * The balancer gives the answers of the operator's list, one after the other: a line in the
 * log; a tenth of a CPU; a standstill; a memory.max of what the guest is left. One is in force
 * at a time. Each changes the cgroup that the configuration names for that guest and nothing
 * else, so that no other guest loses anything, and never gives the guest more than its owner's
 * own limit does.
 *
 * The balancer undoes what it did to a cgroup when the guest makes progress, when the guest's
 * folder goes, when the operator pauses the guest, and when the balancer ends; the next process
 * undoes it if this one was killed. For this the balancer notes the old value before it writes
 * anything (notes.c). To undo is to write the old value back, if the value that the balancer
 * has written is there still: another value comes from somewhere else, and another cgroup of
 * the same name isn't the guest's. If undoing fails the balancer tries again with each
 * decision, and gives no other answer until it succeeds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answers.h"
#include "common/log.h"

#define SLOW_QUOTA_US	10000u
#define SLOW_PERIOD_US	100000u

/* --- a cgroup's files --- */

/* The first line of a file in the folder. */
static bool read_value(int dir, const char *name, char *to, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, to, size - 1) : -1;
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	if (n < 0)
		return false;
	to[n] = '\0';
	to[strcspn(to, "\n")] = '\0';
	return true;
}

static bool write_value(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_TRUNC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return good;
}

/* A cgroup that is being removed has its files for a moment, but says ENODEV. */
static bool is_gone(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ENODEV;
}

/* --- undoing --- */

static bool complain(struct note *note, const char *what)
{
	int error = errno;

	if (!note->complained)
		log_warning("guest %s: can't %s %s/%s: %s; it is tried again",
			    note->guest, what, note->cgroup, note->file, strerror(error));
	note->complained = true;
	return false;
}

/* In the guest's cgroup, whose folder @dir is. */
static bool write_back(struct note *note, int dir)
{
	char now[NOTES_MAX_VALUE];

	if (!read_value(dir, note->file, now, sizeof(now)))
		return is_gone(errno) || complain(note, "read");
	if (!strcmp(now, note->was))
		return true;
	if (strcmp(now, note->set)) {
		log_warning("guest %s: %s/%s is left at \"%s\": it isn't the \"%s\" that the balancer wrote over \"%s\"",
			    note->guest, note->cgroup, note->file, now, note->set, note->was);
		return true;
	}
	if (!write_value(dir, note->file, note->was))
		return is_gone(errno) || complain(note, "undo");
	log_notice("guest %s: %s/%s is \"%s\" again", note->guest, note->cgroup, note->file, note->was);
	return true;
}

/* False: it has to be tried again. */
static bool undo(struct notes *notes, struct note *note)
{
	int dir = open(note->cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	bool done;

	if (dir < 0)
		done = is_gone(errno) || complain(note, "open");
	else if (fstat(dir, &st))
		done = complain(note, "examine");
	else if (st.st_dev != note->device || st.st_ino != note->inode)
		done = true;
	else
		done = write_back(note, dir);
	if (dir >= 0)
		close(dir);
	if (done)
		notes_remove(notes, note);
	return done;
}

/* --- doing --- */

/* What is to be written. False: the owner's own limit, @was, is as strict. */
static bool slow_value(const char *was, char *to)
{
	char *rest;
	uint64_t quota = strtoull(was, &rest, 10), period = strtoull(rest, NULL, 10);

	snprintf(to, NOTES_MAX_VALUE, "%u %u", SLOW_QUOTA_US, SLOW_PERIOD_US);
	/* "max" is no number. */
	return rest == was || quota * SLOW_PERIOD_US > SLOW_QUOTA_US * period;
}

static bool freeze_value(const char *was, char *to)
{
	snprintf(to, NOTES_MAX_VALUE, "1");
	return strcmp(was, to);
}

/* In whole pages, as the kernel would say it. */
static bool hold_value(const char *was, uint64_t left, char *to)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);

	left -= left % page_bytes;
	snprintf(to, NOTES_MAX_VALUE, "%ju", (uintmax_t)left);
	return !strcmp(was, "max") || strtoull(was, NULL, 10) > left;
}

static bool value_of(enum config_answer answer, struct note *note, uint64_t left)
{
	switch (answer) {
	case CONFIG_SLOW:
		return slow_value(note->was, note->set);
	case CONFIG_FREEZE:
		return freeze_value(note->was, note->set);
	default:
		return hold_value(note->was, left, note->set);
	}
}

/* Note, then write. False, with errno, if the cgroup's files don't let themselves be used. */
static bool impose(struct notes *notes, struct note *note, enum config_answer answer, int dir,
		   uint64_t left)
{
	struct note *kept;
	struct stat st;

	if (fstat(dir, &st) || !read_value(dir, note->file, note->was, sizeof(note->was)))
		return false;
	note->device = st.st_dev;
	note->inode = st.st_ino;
	if (!value_of(answer, note, left)) {
		log_notice("guest %s: %s/%s is \"%s\" already", note->guest, note->cgroup, note->file,
			   note->was);
		return true;
	}
	kept = notes_add(notes, note);
	/* What couldn't be undone isn't done; it has been said. */
	if (!kept || write_value(dir, note->file, note->set))
		return true;
	notes_remove(notes, kept);
	return false;
}

static void give(struct notes *notes, const struct guest *guest, enum config_answer answer,
		 uint64_t left)
{
	struct note note = { .next = NULL };
	int dir;

	if (answer != CONFIG_REPORT && !guest->config->cgroup) {
		log_warning("guest %s: to %s it, its cgroup must be named", guest->name,
			    config_answer_names[answer]);
		return;
	}
	log_warning("guest %s: makes no progress: %s", guest->name, config_answer_names[answer]);
	if (answer == CONFIG_REPORT)
		return;
	snprintf(note.guest, sizeof(note.guest), "%s", guest->name);
	snprintf(note.cgroup, sizeof(note.cgroup), "%s", guest->config->cgroup);
	snprintf(note.file, sizeof(note.file), "%s", config_answer_files[answer]);
	dir = open(note.cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || !impose(notes, &note, answer, dir, left))
		log_warning("guest %s: can't %s it: %s/%s: %s", guest->name,
			    config_answer_names[answer], note.cgroup, note.file, strerror(errno));
	if (dir >= 0)
		close(dir);
}

/* Put @answer in the place of what is in force; 0: nothing. */
static void change(struct notes *notes, const struct guests *guests, struct guest *guest,
		   unsigned int answer, uint64_t left)
{
	struct note *note = notes_find(notes, guest->name);

	if (note && !undo(notes, note))
		return;
	if (answer)
		give(notes, guest, guests->config->answer[answer - 1], left);
	else
		log_notice("guest %s: its cgroup is left alone again", guest->name);
	guest->answer = answer;
}

/* Of guests that are gone, and of a process that was killed. */
static void undo_strays(struct notes *notes, const struct guests *guests)
{
	struct note *note, *next;
	struct guest *guest;

	for (note = notes->first; note; note = next) {
		next = note->next;
		guest = guests_find(guests, note->guest);
		if (!guest || !guest->answer)
			undo(notes, note);
	}
}

void answers_give(struct notes *notes, struct guests *guests, bool none)
{
	size_t i;

	undo_strays(notes, guests);
	for (i = 0; i < guests->policy.count; i++) {
		const struct policy_guest *verdict = &guests->policy.guest[i];
		unsigned int answer = none ? 0 : verdict->answer;

		if (guests->guest[i].answer != answer)
			change(notes, guests, &guests->guest[i], answer,
			       verdict->allot + (verdict->lies ? 0 : verdict->over));
	}
}

bool answers_undo(struct notes *notes)
{
	struct note *note, *next;

	for (note = notes->first; note; note = next) {
		next = note->next;
		undo(notes, note);
	}
	return !notes->first;
}
