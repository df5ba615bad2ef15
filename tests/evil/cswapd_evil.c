// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswapd_evil.c - cswapd in the hands of somebody who wants the guest's pages, or its end.
 *
 * Theory of operation: the daemon is cswapd as it is; the linker puts rings.c around
 * what it does to the rings (--wrap), and liar.c decides what is a lie there.
 * cswapd-faulty breaks one thing in a way that can be foretold, slot by slot; this
 * one breaks whatever the rings and the protocol allow, by the thousand.
 */
#include <signal.h>
#include <stdio.h>

#include "daemon.h"
#include "liar.h"
#include "common/log.h"

static const struct conf_extra_option options[] = {
	{ "seed", true },
	{ "rate", true },
	{ "only", true },
	{ "lie", true },
	{ "armed", false },
	{ "report", true },
	{ "log", true },
	{ "keep", true },
	{ NULL, false },
};

static const struct conf_extra extra = {
	.program = "cswapd-evil",
	.option = liar_take_option,
	.options = options,
	.help = liar_help,
};

static void handle_signal(int signal)
{
	liar_arm(signal == SIGUSR1);
	log_notice("faults %s", signal == SIGUSR1 ? "armed" : "disarmed");
	if (signal == SIGUSR2)
		liar_report();
}

/* Nothing lies between the workers and the store: the rings are enough. */
static struct store *wrap(struct store *store)
{
	if (liar_begin())
		return store;
	store_close(store);
	return NULL;
}

static uint64_t true_features(uint64_t features)
{
	return features;
}

static const struct vhost_user_lies lies = {
	.config = liar_config,
	.features = true_features,
};

static const struct daemon_variant evil = {
	.extra = &extra,
	.lies = &lies,
	.wrap = wrap,
	.writes = liar_writes,
	.signal = handle_signal,
	.end = liar_report,
};

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &evil);
}
