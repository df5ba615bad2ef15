// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswapd_faulty.c - cswapd as a broken and malicious host would have it.
 */
#include <signal.h>
#include <string.h>

#include "bad_config.h"
#include "daemon.h"
#include "eavesdrop.h"
#include "log.h"
#include "store_fault.h"

static const char *report_path;

static const struct conf_extra_option faulty_options[] = {
	{ "fault", true },
	{ "fault-armed", false },
	{ "fault-report", true },
	{ "search", true },
	{ "bad-config", true },
	{ NULL, false },
};

static const char *take_option(const char *name, const char *value)
{
	if (!strcmp(name, "fault"))
		return store_fault_add(value);
	if (!strcmp(name, "bad-config"))
		return bad_config_add(value);
	if (!strcmp(name, "search"))
		return eavesdrop_start(value);
	if (!strcmp(name, "fault-report"))
		report_path = value;
	else
		store_fault_arm(true);
	return NULL;
}

static void report(void)
{
	if (report_path)
		store_fault_report(report_path);
}

/* Called before what was held back is let go. */
static void handle_signal(int signal)
{
	store_fault_arm(signal == SIGUSR1);
	log_notice("faults %s", signal == SIGUSR1 ? "armed" : "disarmed");
	if (signal == SIGUSR2)
		report();
}

static void end(void)
{
	report();
	eavesdrop_report();
}

static const struct conf_extra faulty_extra = {
	.program = "cswapd-faulty",
	.help = store_fault_help,
	.option = take_option,
	.options = faulty_options,
};

static const struct vhost_user_lies faulty_lies = {
	.config = bad_config_apply,
	.features = bad_config_features,
};

static const struct daemon_variant faulty = {
	.extra = &faulty_extra,
	.hooks = &store_fault_hooks,
	.lies = &faulty_lies,
	.wrap = store_fault_wrap,
	.signal = handle_signal,
	.end = end,
};

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &faulty);
}
