// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswapctl.c - an operator's view of the guests' daemons, and the balloon's target.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "balancer.h"
#include "connection.h"
#include "instances.h"
#include "list.h"
#include "metrics.h"
#include "options.h"
#include "status.h"
#include "top.h"

#ifndef CSWAP_VERSION
#define CSWAP_VERSION "0.1"
#endif

/* While waiting, a line each so often, if it says anything new. */
#define WAIT_INTERVAL_MS 200

static const char usage[] =
"usage: cswapctl [--guest NAME|--socket PATH] [--json] COMMAND\n"
"Shows and steers how much memory guests give to their host.\n"
"\n"
"All guests:\n"
"  list                   a line for each\n"
"  top                    the same, live; q quits\n"
"  metrics                for Prometheus\n"
"    --output FILE        replace this one, for node_exporter's textfiles\n"
"\n"
"One guest:\n"
"  status                 what the guest claims and what the host measures\n"
"  target SIZE|PERCENT%   ask the guest to RELEASE so much of its memory, in all:\n"
"                         512M, 2G, 25%; 0 gives everything back. The guest\n"
"                         keeps the rest: this is the size of the balloon, not\n"
"                         what is left to the guest\n"
"    --wait               show progress until it is reached, or the guest says\n"
"                         why it stopped\n"
"    --timeout SECONDS    don't wait longer than that\n"
"  watch                  a line of status again and again\n"
"    --interval SECONDS   so often (default 1); top's, too\n"
"\n"
"What cswap-balancer does:\n"
"  explain GUEST          why the guest has what it has\n"
"  pause [GUEST]          leave the target as it is, or all\n"
"  drain GUEST            give it all of its memory back, and leave it so\n"
"  resume [GUEST]         go on after either\n"
"\n"
"  --guest NAME           the guest of cswapd@NAME.service\n"
"  --socket PATH          the daemon's --control socket (default: that of the\n"
"                         only guest on this host)\n"
"  --directory DIR        where the guests' folders are (default /run/cswapd)\n"
"  --balancer PATH        its socket (default /run/cswap-balancer/control)\n"
"  --json                 print the answers as they are\n"
"  --help, --version\n"
"\n"
"Exit status: 0 done, or the target was reached; 1 failed; 2 usage; 3 the guest\n"
"stopped short of the target; 4 timed out. Without --wait a target that was\n"
"accepted is enough for 0.\n";

static int complain(const char *what, const char *about)
{
	fprintf(stderr, "cswapctl: %s: %s (try --help)\n", about, what);
	return EXIT_USAGE;
}

/* --- requests --- */

static struct json_object *make_request(const char *name)
{
	struct json_object *request = json_object_new_object();

	json_object_object_add(request, "request", json_object_new_string(name));
	return request;
}

/* Show an answer; it's gone afterwards. */
static void show(const struct options *options, struct json_object *answer,
		 void (*print)(const struct status *status))
{
	struct status status;

	if (options->json) {
		puts(json_object_to_json_string_ext(answer,
						    JSON_C_TO_STRING_PLAIN));
		fflush(stdout);
	} else {
		status_read(answer, &status);
		print(&status);
	}
	json_object_put(answer);
}

static int run_status(struct connection *connection,
		      const struct options *options)
{
	struct json_object *answer;

	if (!connection_send(connection, make_request("status")) ||
	    connection_receive(connection, 0, &answer) != CONNECTION_OK)
		return EXIT_FAILED;
	show(options, answer, status_print);
	return 0;
}

static bool begin_watch(struct connection *connection, uint64_t interval_ms)
{
	struct json_object *request = make_request("watch");

	if (interval_ms)
		json_object_object_add(request, "interval_ms",
				       json_object_new_uint64(interval_ms));
	return connection_send(connection, request);
}

static int run_watch(struct connection *connection,
		     const struct options *options)
{
	struct json_object *answer;

	if (!begin_watch(connection, options->interval_ms))
		return EXIT_FAILED;
	/* Until whoever reads this has enough, or the daemon ends. */
	while (connection_receive(connection, 0, &answer) == CONNECTION_OK) {
		show(options, answer, status_print_line);
		if (ferror(stdout))
			return 0;
	}
	return EXIT_FAILED;
}

/* --- target --- */

static bool parse_size(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "KMGT";
	unsigned long long value;
	unsigned int shift = 0;
	const char *suffix;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *text < '0' || *text > '9')
		return false;
	if (*end) {
		suffix = strchr(suffixes, *end & ~0x20);
		if (!suffix || !*suffix)
			return false;
		shift = 10 * (unsigned int)(suffix - suffixes + 1);
		end += end[1] == 'i' ? 2 : 1;
		end += *end == 'B';
	}
	if (*end || value > (unsigned long long)INT64_MAX >> shift)
		return false;
	*bytes = value << shift;
	return true;
}

/* The request for "512M" or "25%"; NULL if it's neither. */
static struct json_object *make_target(const char *text)
{
	struct json_object *request;
	double percent;
	uint64_t bytes;
	char *end;

	if (parse_size(text, &bytes)) {
		request = make_request("target");
		json_object_object_add(request, "bytes",
				       json_object_new_uint64(bytes));
		return request;
	}
	percent = strtod(text, &end);
	if (end == text || strcmp(end, "%") || !(percent >= 0 && percent <= 100))
		return NULL;
	request = make_request("target");
	json_object_object_add(request, "percent",
			       json_object_new_double(percent));
	return request;
}

/* Has a line anything to say that the one before it hadn't? */
static bool is_news(const struct status *status, uint64_t *released,
		    char stopped[16])
{
	bool news = status->released != *released ||
		    strncmp(status->stopped, stopped, 15);

	*released = status->released;
	snprintf(stopped, 16, "%s", status->stopped);
	return news;
}

static int conclude(const struct status *status, enum status_progress progress)
{
	if (progress != STATUS_STOPPED)
		return EXIT_REACHED;
	fprintf(stderr, "cswapctl: the guest stopped short of the target: %s\n",
		status_reason(status));
	return EXIT_PARTIAL;
}

static int await_target(struct connection *connection,
			const struct options *options, uint64_t report_number)
{
	uint64_t released = STATUS_UNKNOWN, deadline_ms = 0;
	char stopped[16] = "";

	if (options->timeout_ms)
		deadline_ms = connection_now_ms() + options->timeout_ms;
	if (!begin_watch(connection, WAIT_INTERVAL_MS))
		return EXIT_FAILED;
	for (;;) {
		enum status_progress progress;
		struct json_object *answer;
		struct status status;
		int result;

		switch (connection_receive(connection, deadline_ms, &answer)) {
		case CONNECTION_FAILED:
			return EXIT_FAILED;
		case CONNECTION_TIMEOUT:
			fputs("cswapctl: the target wasn't reached in time\n", stderr);
			return EXIT_TIMEOUT;
		case CONNECTION_OK:
			break;
		}
		status_read(answer, &status);
		progress = status_progress(&status, report_number);
		if (is_news(&status, &released, stopped) ||
		    progress != STATUS_WORKING)
			show(options, json_object_get(answer), status_print_line);
		result = conclude(&status, progress);
		json_object_put(answer);
		if (progress != STATUS_WORKING)
			return result;
	}
}

static int run_target(struct connection *connection,
		      const struct options *options, struct json_object *request)
{
	struct json_object *answer;
	struct status status;
	uint64_t number;

	if (!connection_send(connection, request) ||
	    connection_receive(connection, 0, &answer) != CONNECTION_OK)
		return EXIT_FAILED;
	status_read(answer, &status);
	number = status.report_number;
	if (!options->wait) {
		show(options, answer, status_print_line);
		return 0;
	}
	json_object_put(answer);
	return await_target(connection, options, number);
}

/* --- the command line --- */

enum { OPT_SOCKET = 256, OPT_GUEST, OPT_DIRECTORY, OPT_BALANCER, OPT_OUTPUT,
       OPT_JSON, OPT_WAIT, OPT_TIMEOUT, OPT_INTERVAL, OPT_HELP, OPT_VERSION };

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "guest", required_argument, NULL, OPT_GUEST },
	{ "directory", required_argument, NULL, OPT_DIRECTORY },
	{ "balancer", required_argument, NULL, OPT_BALANCER },
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
			puts("cswapctl " CSWAP_VERSION);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	return -1;
}

/* What is asked of one guest's daemon. */
static int run_guest(const struct options *options, const char *command,
		     struct json_object *target)
{
	struct connection connection = { .quiet = false };
	char *found = NULL;
	const char *path = options->socket;
	int status;

	if (!path)
		path = found = connection_find_socket(options->directory,
						     options->guest);
	if (!path || !connection_open(&connection, path)) {
		json_object_put(target);
		free(found);
		return EXIT_FAILED;
	}
	if (target)
		status = run_target(&connection, options, target);
	else if (!strcmp(command, "watch"))
		status = run_watch(&connection, options);
	else
		status = run_status(&connection, options);
	connection_close(&connection);
	free(found);
	return status;
}

/* The guest, named by an option or as an argument. False: both. */
static bool name_guest(struct options *options, int argc, char **argv)
{
	if (argc < 2)
		return true;
	if (options->guest || argc > 2)
		return false;
	options->guest = argv[1];
	return true;
}

static int run_all(const struct options *options, const char *command)
{
	if (!strcmp(command, "list"))
		return list_run(options);
	if (!strcmp(command, "top"))
		return top_run(options);
	return metrics_run(options);
}

static bool is_one_of(const char *command, const char *const *commands)
{
	while (*commands && strcmp(command, *commands))
		commands++;
	return *commands;
}

static int run(struct options *options, int argc, char **argv)
{
	static const char *const of_all[] = { "list", "top", "metrics", NULL };
	static const char *const of_balancer[] = { "pause", "resume", "drain",
						   "explain", NULL };
	struct json_object *target = NULL;
	const char *command = argv[0];

	if (options->socket && options->guest)
		return complain("not together with --socket", "--guest");
	if (is_one_of(command, of_balancer)) {
		if (!name_guest(options, argc, argv))
			return complain("unexpected argument", argv[argc - 1]);
		if (!options->guest && (*command == 'd' || *command == 'e'))
			return complain("which guest?", command);
		return balancer_run(options, command, options->guest);
	}
	if (!strcmp(command, "target")) {
		if (argc != 2)
			return complain("how much? A size or a percentage", command);
		target = make_target(argv[1]);
		if (!target)
			return complain("neither a size nor a percentage", argv[1]);
	} else if (argc != 1) {
		return complain("unexpected argument", argv[1]);
	} else if (is_one_of(command, of_all)) {
		return run_all(options, command);
	} else if (strcmp(command, "status") && strcmp(command, "watch")) {
		return complain("no such command", command);
	}
	return run_guest(options, command, target);
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
				   .balancer = BALANCER_SOCKET };
	int status = parse_options(&options, argc, argv);

	if (status >= 0)
		return status;
	if (optind == argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	raise_descriptor_limit();
	return run(&options, argc - optind, argv + optind);
}
