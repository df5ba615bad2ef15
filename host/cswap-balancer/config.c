// SPDX-License-Identifier: GPL-2.0-only
/*
 * config.c - the balancer's configuration: one file of key = value, sections for guests.
 *
 * A line is empty, a comment (#), a section ([guest NAME]) or KEY = VALUE. A key that isn't
 * known, or a value that makes no sense, is an error that names its line: nothing is guessed,
 * because a floor that was misspelt would be no floor.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "common/log.h"

#define DEFAULT_GUESTS "/run/cswapd"
#define MAX_LINE 512
#define DIGITS ", with three digits behind the point at most"
#define TOO_SMALL "a percentage, 0.1% at least"	/* and not 0 without a word */

const char *const config_answer_names[] = {
	[CONFIG_REPORT] = "report", [CONFIG_SLOW] = "slow",
	[CONFIG_FREEZE] = "freeze", [CONFIG_HOLD] = "hold", NULL,
};

const char *const config_answer_files[] = {
	[CONFIG_SLOW] = "cpu.max", [CONFIG_FREEZE] = "cgroup.freeze", [CONFIG_HOLD] = "memory.max",
};

/* --- values; all return NULL, or what they should have been --- */

/* "12.5" as thousandths; *@rest is what follows. A finer number is none: it would be less without a word. */
static bool take_number(const char *text, uint64_t *thousandths, const char **rest)
{
	unsigned int digits = 0, scale = 1000;
	bool is_finer = false;
	uint64_t value = 0;

	for (; isdigit((unsigned char)*text); text++, digits++)
		if (digits < 15)
			value = value * 10 + (uint64_t)(*text - '0');
	value *= 1000;
	if (*text == '.') {
		for (text++; isdigit((unsigned char)*text); text++, digits++)
			if (scale > 1)
				value += (uint64_t)(*text - '0') * (scale /= 10);
			else
				is_finer |= *text != '0';
	}
	*thousandths = value;
	*rest = text;
	return digits && digits < 15 && !is_finer;
}

static const char *parse_amount(const char *text, void *to)
{
	static const char suffixes[] = "KMGT";
	struct config_amount *amount = to;
	const char *rest, *suffix;
	unsigned int shift;
	uint64_t value;

	if (!take_number(text, &value, &rest))
		return "a size (512M, 2G) or a percentage (10%)" DIGITS;
	if (!strcmp(rest, "%")) {
		amount->permille = (unsigned int)(value / 100);
		amount->bytes = 0;
		if (value && value < 100)
			return TOO_SMALL;
		return value <= 100000 ? NULL : "a percentage up to 100%";
	}
	suffix = *rest ? strchr(suffixes, *rest) : NULL;
	if (!suffix || strcmp(rest + 1, ""))
		return "a size with K, M, G or T, or a percentage";
	shift = 10 * (unsigned int)(suffix - suffixes + 1);
	/* Before it's shifted: what is too large may look small afterwards. */
	if (value / 1000 > POLICY_MAX_BYTES >> shift)
		return "a size up to 64T";
	value = (value / 1000 << shift) + (value % 1000 << shift) / 1000;
	if (value > POLICY_MAX_BYTES)
		return "a size up to 64T";
	*amount = (struct config_amount) { .bytes = value };
	return NULL;
}

/* A percentage as permille, in an unsigned int. */
static const char *parse_permille(const char *text, void *to)
{
	const char *rest;
	uint64_t value;

	if (!take_number(text, &value, &rest) || strcmp(rest, "%") || value > 100000)
		return "a percentage up to 100%" DIGITS;
	*(unsigned int *)to = (unsigned int)(value / 100);
	return value && value < 100 ? TOO_SMALL : NULL;
}

static const char *parse_percent(const char *text, void *to)
{
	const char *wrong = parse_permille(text, to);
	unsigned int permille = *(unsigned int *)to;

	*(unsigned int *)to = permille / 10;
	return !wrong && permille && permille < 10 ? "a percentage, 1% at least" : wrong;
}

static const char *parse_time(const char *text, void *to)
{
	const char *rest;
	uint64_t value;

	if (!take_number(text, &value, &rest))
		return "a time (500ms, 2s, 5min)";
	if (!strcmp(rest, "s"))
		value *= 1;
	else if (!strcmp(rest, "ms"))
		value /= 1000;
	else if (!strcmp(rest, "min"))
		value *= 60;
	else
		return "a time in ms, s or min";
	if (value < 100 || value > 3600000)
		return "a time from 100ms to 60min";
	*(unsigned int *)to = (unsigned int)value;
	return NULL;
}

static const char *parse_shares(const char *text, void *to)
{
	const char *rest;
	uint64_t value;

	if (!take_number(text, &value, &rest) || *rest || value % 1000 || !value ||
	    value > 1000ULL * POLICY_MAX_SHARES)
		return "a whole number from 1 to 10000";
	*(uint32_t *)to = (uint32_t)(value / 1000);
	return NULL;
}

static const char *parse_switch(const char *text, void *to)
{
	bool on = !strcmp(text, "yes");

	*(bool *)to = on;
	return on || !strcmp(text, "no") ? NULL : "yes or no";
}

static const char *parse_path(const char *text, void *to)
{
	char **path = to;

	if (text[0] != '/')
		return "an absolute path";
	free(*path);
	*path = strdup(text);
	return *path ? NULL : "shorter: there is no memory";
}

static const char *parse_answers(const char *text, void *to)
{
	struct config *config = to;
	char copy[MAX_LINE], *word, *at;
	unsigned int i;

	snprintf(copy, sizeof(copy), "%s", text);
	config->answers = 0;
	for (word = strtok_r(copy, " ,\t", &at); word; word = strtok_r(NULL, " ,\t", &at)) {
		for (i = 0; config_answer_names[i] && strcmp(config_answer_names[i], word); i++)
			;
		if (!config_answer_names[i] || config->answers == CONFIG_MAX_ANSWERS)
			return "a list of report, slow, freeze, hold";
		config->answer[config->answers++] = (enum config_answer)i;
	}
	return NULL;
}

/* --- lines --- */

struct key {
	const char *name;
	const char *(*parse)(const char *text, void *to);
	void *to;
};

/* @seen: a bit for each of @keys that was there already. */
static const char *set_key(const struct key *keys, unsigned int *seen, const char *name,
			   const char *value)
{
	unsigned int i;

	for (i = 0; keys[i].name && strcmp(keys[i].name, name); i++)
		;
	if (!keys[i].name)
		return "";
	if (*seen & 1u << i)
		return "there once; it was said before";
	*seen |= 1u << i;
	return keys[i].parse(value, keys[i].to);
}

static const char *set_value(struct config *config, struct config_guest *guest,
			     const char *name, const char *value)
{
	struct policy_conf *policy = &config->policy;
	const struct key for_all[] = {
		{ "guests", parse_path, &config->guests_dir },
		{ "cgroup", parse_path, &config->cgroup },
		{ "reserve", parse_amount, &config->reserve },
		{ "band", parse_amount, &config->band },
		{ "interval", parse_time, &config->interval_ms },
		{ "step", parse_permille, &policy->step_permille },
		{ "tax", parse_percent, &policy->tax_percent },
		{ "slo", parse_permille, &policy->slo_permille },
		{ "stall", parse_permille, &policy->stall_permille },
		{ "cool_down", parse_time, &policy->cool_ms },
		{ "patience", parse_time, &policy->patience_ms },
		{ "answers", parse_answers, config },
		{ "floor", parse_amount, &config->general.floor },
		{ "shares", parse_shares, &config->general.shares },
		{ NULL, NULL, NULL },
	};

	if (guest) {
		const struct key for_one[] = {
			{ "floor", parse_amount, &guest->floor },
			{ "shares", parse_shares, &guest->shares },
			{ "manage", parse_switch, &guest->manage },
			{ "cgroup", parse_path, &guest->cgroup },
			{ NULL, NULL, NULL },
		};

		return set_key(for_one, &guest->seen, name, value);
	}
	return set_key(for_all, &config->general.seen, name, value);
}

static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

static bool complain(const char *path, unsigned int line, const char *what, const char *about)
{
	log_err("%s:%u: %s%s", path, line, about, what);
	return false;
}

/* "[guest NAME]", as of here. */
static bool begin_section(struct config *config, const char *path, unsigned int line, char *text)
{
	struct config_guest *guest;
	char *end = strchr(text, ']'), *name;

	if (!end || end[1] || strncmp(text, "[guest ", 7))
		return complain(path, line, " is no section; sections are [guest NAME]", text);
	*end = '\0';
	name = trim(text + 7);
	if (!*name || strchr(name, '/'))
		return complain(path, line, "a guest needs a name without a slash", "");
	for (guest = config->guests; guest; guest = guest->next)
		if (!strcmp(guest->name, name))
			return complain(path, line, " has a section already", name);
	guest = malloc(sizeof(*guest));
	if (!guest)
		return complain(path, line, "no memory", "");
	*guest = config->general;
	guest->line = line;
	guest->seen = 0;
	guest->cgroup = NULL;
	guest->name = strdup(name);
	guest->next = config->guests;
	config->guests = guest;
	return guest->name;
}

static bool take_line(struct config *config, const char *path, unsigned int line, char *text)
{
	char *value, *name;
	const char *wrong;

	text = trim(text);
	if (!*text || *text == '#')
		return true;
	if (*text == '[')
		return begin_section(config, path, line, text);
	value = strchr(text, '=');
	if (!value)
		return complain(path, line, " is neither KEY = VALUE nor [guest NAME]", text);
	*value = '\0';
	name = trim(text);
	value[1 + strcspn(value + 1, "#")] = '\0';
	value = trim(value + 1);
	wrong = set_value(config, config->guests, name, value);
	if (!wrong)
		return true;
	if (*wrong) {
		log_err("%s:%u: %s = %s: should be %s", path, line, name, value, wrong);
		return false;
	}
	return complain(path, line, config->guests ? " is not known in a guest's section" :
						     " is not known", name);
}

static void set_defaults(struct config *config)
{
	*config = (struct config) {
		.guests_dir = strdup(DEFAULT_GUESTS),
		.reserve = { .permille = 100 },
		.band = { .permille = 5 },
		.policy = policy_defaults,
		.interval_ms = 1000,
		.answers = 1,
		.answer = { CONFIG_REPORT },
		.general = { .floor = { .permille = 250 }, .shares = 100, .manage = true },
	};
}

bool config_read(struct config *config, const char *path)
{
	unsigned int line = 0;
	char text[MAX_LINE];
	bool good = true;
	FILE *file;

	set_defaults(config);
	if (!path)
		return true;
	file = fopen(path, "re");
	if (!file) {
		log_err("%s: %s", path, strerror(errno));
		return false;
	}
	while (good && fgets(text, sizeof(text), file)) {
		line++;
		if (!strchr(text, '\n') && strlen(text) == sizeof(text) - 1)
			good = complain(path, line, "the line is too long", "");
		else
			good = take_line(config, path, line, text);
	}
	/* A folder can be opened, but not read. */
	if (good && ferror(file)) {
		log_err("%s: %s", path, strerror(errno));
		good = false;
	}
	fclose(file);
	config->policy.answers = config->answers;
	return good;
}

void config_free(struct config *config)
{
	struct config_guest *guest;

	while ((guest = config->guests)) {
		config->guests = guest->next;
		free(guest->name);
		free(guest->cgroup);
		free(guest);
	}
	free(config->guests_dir);
	free(config->cgroup);
}

const struct config_guest *config_find(const struct config *config, const char *name)
{
	const struct config_guest *guest;

	for (guest = config->guests; guest; guest = guest->next)
		if (!strcmp(guest->name, name))
			return guest;
	return &config->general;
}

uint64_t config_bytes(const struct config_amount *amount, uint64_t of)
{
	return amount->permille ? of / 1000 * amount->permille : amount->bytes;
}
