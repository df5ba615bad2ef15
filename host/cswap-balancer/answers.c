// SPDX-License-Identifier: GPL-2.0-only
/*
 * answers.c - what is done about a guest that makes no progress.
 *
 * The operator's list, one after the other: a line in the log; a tenth of a CPU; a
 * standstill; a memory.max of what it is left. One is in force at a time. Each hits the
 * cgroup that the configuration names for that guest and nothing else, so that it is never
 * another guest's loss. It's undone when the guest makes progress, and when the balancer
 * ends: somebody else's policy begins then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "answers.h"
#include "host.h"
#include "cswapd/log.h"

#define SLOW "10000 100000"

static bool write_file(const struct guest *guest, const char *name, const char *text)
{
	char path[512];
	int fd;
	bool good;

	snprintf(path, sizeof(path), "%s/%s", guest->config->cgroup, name);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (!good)
		log_warning("guest %s: can't write %s: %s", guest->name, path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return good;
}

static void write_bytes(const struct guest *guest, const char *name, uint64_t bytes)
{
	char text[32];

	if (bytes == UINT64_MAX)
		snprintf(text, sizeof(text), "max");
	else
		snprintf(text, sizeof(text), "%ju", (uintmax_t)bytes);
	write_file(guest, name, text);
}

static void give(struct guest *guest, enum config_answer answer, uint64_t left)
{
	if (answer != CONFIG_REPORT && !guest->config->cgroup) {
		log_warning("guest %s: to %s it, its cgroup must be named", guest->name,
			    config_answer_names[answer]);
		return;
	}
	log_warning("guest %s: makes no progress: %s", guest->name, config_answer_names[answer]);
	switch (answer) {
	case CONFIG_SLOW:
		write_file(guest, "cpu.max", SLOW);
		break;
	case CONFIG_FREEZE:
		write_file(guest, "cgroup.freeze", "1");
		break;
	case CONFIG_HOLD:
		if (!host_read_number(guest->config->cgroup, "memory.max", &guest->was_max))
			guest->was_max = UINT64_MAX;
		write_bytes(guest, "memory.max", left);
		break;
	default:
		break;
	}
}

static void undo(const struct guest *guest, enum config_answer answer)
{
	if (!guest->config->cgroup)
		return;
	switch (answer) {
	case CONFIG_SLOW:
		write_file(guest, "cpu.max", "max 100000");
		break;
	case CONFIG_FREEZE:
		write_file(guest, "cgroup.freeze", "0");
		break;
	case CONFIG_HOLD:
		write_bytes(guest, "memory.max", guest->was_max);
		break;
	default:
		break;
	}
}

/* Put @answer in the place of what is in force; 0: nothing. */
static void change(const struct guests *guests, struct guest *guest, unsigned int answer,
		   uint64_t left)
{
	if (guest->answer)
		undo(guest, guests->config->answer[guest->answer - 1]);
	if (answer)
		give(guest, guests->config->answer[answer - 1], left);
	else
		log_notice("guest %s: is left alone again", guest->name);
	guest->answer = answer;
}

void answers_give(struct guests *guests)
{
	size_t i;

	for (i = 0; i < guests->policy.count; i++) {
		const struct policy_guest *verdict = &guests->policy.guest[i];

		if (guests->guest[i].answer != verdict->answer)
			change(guests, &guests->guest[i], verdict->answer,
			       verdict->allot + (verdict->lies ? 0 : verdict->over));
	}
}

void answers_undo(struct guests *guests)
{
	size_t i;

	for (i = 0; i < guests->policy.count; i++)
		if (guests->guest[i].answer)
			change(guests, &guests->guest[i], 0, 0);
}
