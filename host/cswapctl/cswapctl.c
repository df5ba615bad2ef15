// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswapctl.c - an operator's view of the guests' daemons, and the balloon's target.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/version.h"
#include "balancer.h"
#include "guest.h"
#include "instances.h"
#include "list.h"
#include "metrics.h"
#include "options.h"
#include "shrink.h"
#include "stores.h"
#include "top.h"

static const char usage[] =
"usage: cswapctl [--guest NAME|--socket PATH] [--json] COMMAND\n"
"Shows and steers how much memory guests give to their host.\n"
"\n"
"All guests:\n"
"  list                   a line for each\n"
"  top                    the same, live; q quits\n"
"  metrics                for Prometheus\n"
"    --output FILE        replace this one, for node_exporter's textfiles\n"
"  stores [PATH...]       the stores in these folders (default: where the guests'\n"
"                         are), what they occupy, and which nobody needs\n"
"\n"
"One guest:\n"
"  status [GUEST]         what the guest claims and what the host measures\n"
"  target [GUEST] SIZE|PERCENT%\n"
"                         ask the guest to RELEASE so much of its memory, in all:\n"
"                         512M, 1.5G, 25%; 0 gives everything back. The guest\n"
"                         keeps the rest: this is the size of the balloon, not\n"
"                         what is left to the guest\n"
"    --wait               show progress until it is reached, or the guest says\n"
"                         why it stopped\n"
"    --timeout SECONDS    don't wait longer than that\n"
"  shrink [GUEST] SIZE|PERCENT% [--timeout SECONDS] -- COMMAND...\n"
"                         before a move: ask the guest to RELEASE so much, wait for\n"
"                         that (60 s at most), run COMMAND, and then ask for no\n"
"                         more than the target again, also if this is killed\n"
"  watch [GUEST]          a line of status again and again\n"
"    --interval SECONDS   so often (default 1); top's, too\n"
"\n"
"What cswap-balancer does:\n"
"  balancer               the host's memory, and each guest's share of it\n"
"  explain GUEST          why the guest has what it has\n"
"  pause [GUEST]          leave the target as it is, or all\n"
"  drain GUEST            give it all of its memory back, and leave it so\n"
"  resume [GUEST]         go on after either\n"
"\n"
"  --guest NAME           another way to name the guest of cswapd@NAME.service\n"
"  --socket PATH          the daemon's --control socket (default: that of the\n"
"                         only guest on this host)\n"
"  --directory DIR        where the guests' folders are (default /run/cswapd)\n"
"  --configuration DIR    the daemons' (default /etc/cswapd), for stores\n"
"  --balancer PATH        its socket (default /run/cswap-balancer/control)\n"
"  --json                 print the answers as they are\n"
"  --help, --version\n"
"\n"
"Exit status: 0 done, or the target was reached; 1 failed; 2 usage; 3 the guest\n"
"stopped short of the target; 4 timed out. Without --wait a target that was\n"
"accepted is enough for 0. shrink ends as its COMMAND does.\n";

static int complain(const char *what, const char *about)
{
	fprintf(stderr, "cswapctl: %s: %s (try --help)\n", about, what);
	return EXIT_USAGE;
}

/* --- the command line --- */

enum { OPT_SOCKET = 256, OPT_GUEST, OPT_DIRECTORY, OPT_BALANCER, OPT_CONFIGURATION,
       OPT_OUTPUT,
       OPT_JSON, OPT_WAIT, OPT_TIMEOUT, OPT_INTERVAL, OPT_HELP, OPT_VERSION };

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "guest", required_argument, NULL, OPT_GUEST },
	{ "directory", required_argument, NULL, OPT_DIRECTORY },
	{ "balancer", required_argument, NULL, OPT_BALANCER },
	{ "configuration", required_argument, NULL, OPT_CONFIGURATION },
	{ "output", required_argument, NULL, OPT_OUTPUT },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "wait", no_argument, NULL, OPT_WAIT },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "interval", required_argument, NULL, OPT_INTERVAL },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

static bool parse_seconds(const char *text, uint64_t *ms)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.001 && seconds <= 1e9))
		return false;
	*ms = (uint64_t)(seconds * 1000);
	return true;
}

/* Returns -1 to go on, or an exit status. */
static int parse_options(struct options *options, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case OPT_SOCKET:
			options->socket = optarg;
			break;
		case OPT_GUEST:
			options->guest = optarg;
			break;
		case OPT_DIRECTORY:
			options->directory = optarg;
			break;
		case OPT_BALANCER:
			options->balancer = optarg;
			break;
		case OPT_CONFIGURATION:
			options->configuration = optarg;
			break;
		case OPT_OUTPUT:
			options->output = optarg;
			break;
		case OPT_JSON:
			options->json = true;
			break;
		case OPT_WAIT:
			options->wait = true;
			break;
		case OPT_TIMEOUT:
			if (!parse_seconds(optarg, &options->timeout_ms))
				return complain("not a time in seconds", optarg);
			break;
		case OPT_INTERVAL:
			if (!parse_seconds(optarg, &options->interval_ms))
				return complain("not a time in seconds", optarg);
			break;
		case OPT_HELP:
			fputs(usage, stdout);
			return 0;
		case OPT_VERSION:
			printf("cswapctl %s\n", cswap_version);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	return -1;
}

enum subject { ALL_GUESTS, ONE_GUEST, BALANCER };

/* Which words a command takes; an amount is the last one, but for a COMMAND of the operator's after --. */
enum words { NOTHING, PATHS, MAYBE_GUEST, A_GUEST, AN_AMOUNT, AN_AMOUNT_AND_COMMAND };

static const struct command {
	const char *name;
	enum subject subject;
	enum words words;
} commands[] = {
	{ "list", ALL_GUESTS, NOTHING },
	{ "top", ALL_GUESTS, NOTHING },
	{ "metrics", ALL_GUESTS, NOTHING },
	{ "stores", ALL_GUESTS, PATHS },
	{ "status", ONE_GUEST, MAYBE_GUEST },
	{ "watch", ONE_GUEST, MAYBE_GUEST },
	{ "target", ONE_GUEST, AN_AMOUNT },
	{ "shrink", ONE_GUEST, AN_AMOUNT_AND_COMMAND },
	{ "balancer", BALANCER, NOTHING },
	{ "pause", BALANCER, MAYBE_GUEST },
	{ "resume", BALANCER, MAYBE_GUEST },
	{ "drain", BALANCER, A_GUEST },
	{ "explain", BALANCER, A_GUEST },
};

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static bool runs_another(const struct command *command)
{
	return command->words == AN_AMOUNT_AND_COMMAND;
}

/* An option that its command doesn't know would be silently without effect. */
static int check_options(const struct options *options, const struct command *command)
{
	if (options->socket && (options->guest || command->subject != ONE_GUEST))
		return complain("names one guest's daemon: not together with --guest, and for status, watch, target and shrink only",
				"--socket");
	if (options->wait && strcmp(command->name, "target"))
		return complain("only target can --wait", command->name);
	if (options->timeout_ms && !options->wait && !runs_another(command))
		return complain("needs target --wait, or shrink", "--timeout");
	if (options->command && !runs_another(command))
		return complain("only shrink runs a command", command->name);
	if (!options->command && runs_another(command))
		return complain("which command, after --?", command->name);
	if (options->output && strcmp(command->name, "metrics"))
		return complain("only metrics has an --output", command->name);
	if (options->interval_ms && strcmp(command->name, "watch") && strcmp(command->name, "top"))
		return complain("only watch and top have an --interval", command->name);
	return -1;
}

/* The guest's name, if there is one: as a word, or by --guest. */
static int take_guest(struct options *options, const struct command *command, int argc, char **argv)
{
	if (argc > 1 || (argc && (command->words == NOTHING || options->guest || options->socket)))
		return complain("unexpected argument", argv[argc - 1]);
	if (argc)
		options->guest = argv[0];
	if (command->words == A_GUEST && !options->guest)
		return complain("which guest?", command->name);
	return -1;
}

static int run_all(const struct options *options, const char *command)
{
	if (!strcmp(command, "list"))
		return list_run(options);
	if (!strcmp(command, "top"))
		return top_run(options);
	return metrics_run(options);
}

static int run(struct options *options, int argc, char **argv)
{
	const struct command *command = find_command(argv[0]);
	struct json_object *target = NULL;
	int status;

	if (!command)
		return complain("no such command", argv[0]);
	status = check_options(options, command);
	if (status >= 0)
		return status;
	if (command->words == PATHS)
		return stores_run(options, argv + 1);
	if (command->words == AN_AMOUNT || runs_another(command)) {
		if (argc < 2)
			return complain("how much? A size or a percentage", command->name);
		target = guest_make_request(command->name, argv[argc - 1]);
		if (!target)
			return complain("neither a size (512M, 1.5G) nor a percentage (25%)", argv[argc - 1]);
		argc--;
	}
	status = take_guest(options, command, argc - 1, argv + 1);
	if (status >= 0) {
		json_object_put(target);
		return status;
	}
	if (command->subject == ALL_GUESTS)
		return run_all(options, command->name);
	if (command->subject == BALANCER)
		return balancer_run(options, command->name);
	if (options->command)
		return shrink_run(options, target, options->command);
	return guest_run(options, command->name, target);
}

/* A host may have more guests than a process usually has descriptors. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	struct options options = { .directory = INSTANCES_DIRECTORY,
				   .balancer = BALANCER_SOCKET,
				   .configuration = STORES_CONFIGURATION };
	int status;

	/* Whose options the command's are isn't for us to ask. */
	for (int i = 1; i < argc && !options.command; i++) {
		if (strcmp(argv[i], "--") || i + 1 == argc)
			continue;
		options.command = argv + i + 1;
		argc = i;
	}
	status = parse_options(&options, argc, argv);
	if (status >= 0)
		return status;
	if (optind == argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	raise_descriptor_limit();
	return run(&options, argc - optind, argv + optind);
}
