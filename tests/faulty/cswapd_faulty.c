// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswapd_faulty.c - cswapd as a broken and malicious host would have it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bad_config.h"
#include "balloon_fault.h"
#include "daemon.h"
#include "eavesdrop.h"
#include "common/log.h"
#include "store_fault.h"

static const char *report_path;

static const struct conf_extra_option faulty_options[] = {
	{ "fault", true },
	{ "balloon-fault", true },
	{ "fault-armed", false },
	{ "fault-report", true },
	{ "search", true },
	{ "bad-config", true },
	{ NULL, false },
};

static void arm(bool armed)
{
	store_fault_arm(armed);
	balloon_fault_arm(armed);
}

static const char *take_option(const char *name, const char *value)
{
	if (!strcmp(name, "fault"))
		return store_fault_add(value);
	if (!strcmp(name, "balloon-fault"))
		return balloon_fault_add(value);
	if (!strcmp(name, "bad-config"))
		return bad_config_add(value);
	if (!strcmp(name, "search"))
		return eavesdrop_start(value);
	if (!strcmp(name, "fault-report"))
		report_path = value;
	else
		arm(true);
	return NULL;
}

/* All at once: whoever waits for the file sees all of it or nothing. */
static void report(void)
{
	char *temporary = NULL;
	FILE *file;
	bool ok;

	if (!report_path || asprintf(&temporary, "%s.new", report_path) < 0)
		return;
	file = fopen(temporary, "we");
	ok = file && store_fault_report(file) && balloon_fault_report(file);
	if (file && fclose(file))
		ok = false;
	if (!ok || rename(temporary, report_path))
		log_err("can't write %s: %s", report_path, strerror(errno));
	free(temporary);
}

/* Called before what was held back is let go. */
static void handle_signal(int signal)
{
	arm(signal == SIGUSR1);
	log_notice("faults %s", signal == SIGUSR1 ? "armed" : "disarmed");
	report();
}

static const char *get_report_path(void)
{
	return report_path;
}

static void end(void)
{
	report();
	eavesdrop_report();
}

static struct conf_extra faulty_extra = {
	.program = "cswapd-faulty",
	.option = take_option,
	.options = faulty_options,
};

static const struct vhost_user_lies faulty_lies = {
	.config = bad_config_apply,
	.features = bad_config_features,
};

static const struct daemon_variant faulty = {
	.extra = &faulty_extra,
	.lies = &faulty_lies,
	.wrap = store_fault_wrap,
	.signal = handle_signal,
	.writes = get_report_path,
	.end = end,
};

int main(int argc, char **argv)
{
	char *help;
	int status;

	if (asprintf(&help, "%s%s", store_fault_help, balloon_fault_help) < 0)
		return 1;
	faulty_extra.help = help;
	status = daemon_main(argc, argv, &faulty);
	free(help);
	return status;
}
