// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_balancer.c - the host's memory, divided among its guests: main().
 *
 * Theory of operation: there is one thread. In each interval it asks the daemons for their
 * status. When all have answered (late ones are left out after a tenth of the interval), it
 * measures the host, has the policy decide, and tells the daemons. It serves operators'
 * requests in between, and waits nowhere but in poll().
 *
 * The measures of the host and of the guests should be of one moment, because the budget is
 * their sum: so the host is measured when the answers have come, not when they are asked for.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "answers.h"
#include "check.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/version.h"
#include "requests.h"

#define DEFAULT_CONFIG "/etc/cswap-balancer.conf"
#define DEFAULT_CONTROL "/run/cswap-balancer/control"
#define NOTES_NAME "answers"
#define MODES_NAME "modes"
#define ORDER_NAME "order"
/* What isn't a guest's: operators, files that are open for a moment, and what is there once. */
#define OWN_DESCRIPTORS (CTL_MAX_CLIENTS + 16)
#define RETRY_MS 100

struct options {
	const char *config, *control;
	FILE *trace;
	bool dry_run, check, undo;
	int log_level;
};

static void usage(FILE *to)
{
	fputs("Usage: cswap-balancer [OPTION]...\n"
	      "\n"
	      "Divides the host's memory among the guests whose cswapd it finds.\n"
	      "\n"
	      "  --config FILE    (" DEFAULT_CONFIG "; if there is none: the defaults)\n"
	      "  --control PATH   its own control socket (" DEFAULT_CONTROL ")\n"
	      "  --dry-run        say what would be done and why, and do nothing\n"
	      "  --check          read the configuration, say what is wrong with it, and end\n"
	      "  --undo           undo what a balancer that was killed left in guests' cgroups, and end\n"
	      "  --trace FILE     a line of CSV for each decision about a guest\n"
	      "  --log-level L    error, warning, notice, info (default), debug\n"
	      "  --help, --version\n", to);
}

/* Returns an exit status, or -1: go on. */
static int parse_options(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' }, { "control", required_argument, NULL, 's' },
		{ "dry-run", no_argument, NULL, 'n' }, { "check", no_argument, NULL, 'k' },
		{ "undo", no_argument, NULL, 'u' }, { "trace", required_argument, NULL, 't' },
		{ "log-level", required_argument, NULL, 'l' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*options = (struct options) { .control = DEFAULT_CONTROL, .log_level = LOG_INFO };
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'c': options->config = optarg; break;
		case 's': options->control = optarg; break;
		case 'n': options->dry_run = true; break;
		case 'k': options->check = true; break;
		case 'u': options->undo = true; break;
		case 'l': options->log_level = log_parse_level(optarg); break;
		case 't':
			options->trace = fopen(optarg, "we");
			if (!options->trace) {
				fprintf(stderr, "cswap-balancer: %s: %s\n", optarg, strerror(errno));
				return 1;
			}
			break;
		case 'h': usage(stdout); return 0;
		case 'V': printf("cswap-balancer %s\n", cswap_version); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (optind < argc || options->log_level < 0) {
		usage(stderr);
		return 2;
	}
	if (!options->config && !access(DEFAULT_CONFIG, F_OK))
		options->config = DEFAULT_CONFIG;
	return -1;
}

/* --- decisions --- */

static void trace(FILE *to, const struct balancer *balancer, uint64_t now_ms)
{
	size_t i;

	for (i = 0; i < balancer->guests.policy.count; i++) {
		const struct policy_guest_sample *sample = &balancer->guests.sample[i];
		const struct policy_guest *verdict = &balancer->guests.policy.guest[i];

		fprintf(to, "%ju,%ju,%ju,%s,%ju,%ju,%ju,%ju,%u,%u,%s\n", (uintmax_t)now_ms,
			(uintmax_t)balancer->host.memory.available,
			(uintmax_t)balancer->guests.policy.conf.reserve_bytes,
			balancer->guests.guest[i].name, (uintmax_t)sample->size,
			(uintmax_t)verdict->target, (uintmax_t)sample->released,
			(uintmax_t)sample->used, verdict->stall_permille,
			verdict->promotion_permille, policy_reason_names[verdict->reason]);
	}
	fflush(to);
}

/* False: nothing can be decided. */
static bool measure(struct balancer *balancer)
{
	struct policy *policy = &balancer->guests.policy;
	const struct config *config = &balancer->config;

	if (!host_sample(config->cgroup, &balancer->host)) {
		if (!balancer->blind)
			log_warning("the host's memory can't be measured: %s: nothing is decided until it can",
				    balancer->host.failed);
		balancer->blind = true;
		return false;
	}
	if (balancer->blind)
		log_notice("the host's memory can be measured");
	balancer->blind = false;
	policy->conf.reserve_bytes = config_bytes(&config->reserve, balancer->host.memory.limit);
	policy->conf.band_bytes = config_bytes(&config->band, balancer->host.memory.limit);
	return true;
}

/* Answers that are in force come to their end whether anything else can be decided or not. */
static void decide(struct balancer *balancer, const struct options *options)
{
	uint64_t now_ms = clock_now_ms();
	bool measured = measure(balancer);

	if (measured && !balancer->modes.paused) {
		policy_step(&balancer->guests.policy, &balancer->host.memory,
			    balancer->guests.sample, now_ms);
		guests_tell(&balancer->guests, now_ms, balancer->dry_run);
	}
	if (!balancer->dry_run)
		answers_give(&balancer->notes, &balancer->guests, balancer->modes.paused);
	if (!measured)
		return;
	balancer->decisions++;
	balancer->decided_ms = now_ms;
	if (options->trace)
		trace(options->trace, balancer, now_ms);
}

/* --- the loop --- */

/*
 * poll(), of those of @fds that have a descriptor: it refuses more entries than there may be
 * descriptors. @packed has room for as many. If it can't be done it's a wait, for signals alone, so
 * that nothing spins and SIGTERM is obeyed.
 */
static void poll_open(struct pollfd *fds, struct pollfd *packed, size_t count, int timeout_ms)
{
	size_t i, open = 0;

	for (i = 0; i < count; i++)
		if (fds[i].fd >= 0)
			packed[open++] = fds[i];
	if (poll(packed, open, timeout_ms) >= 0) {
		for (i = open = 0; i < count; i++)
			if (fds[i].fd >= 0)
				fds[i].revents = packed[open++].revents;
	} else if (errno != EINTR) {
		poll(fds, 1, timeout_ms < RETRY_MS ? timeout_ms : RETRY_MS);
	}
}

static int until(const struct ctl *ctl, uint64_t deadline_ms, uint64_t now_ms)
{
	int timeout_ms = ctl_timeout_ms(ctl);

	return timeout_ms >= 0 && (uint64_t)timeout_ms < deadline_ms - now_ms ?
		       timeout_ms : (int)(deadline_ms - now_ms);
}

/* Poll for what there is until @deadline_ms. False: it's to end. */
static bool serve_until(struct balancer *balancer, struct ctl *ctl, int signals,
			uint64_t deadline_ms, bool until_heard)
{
	struct pollfd only_signals = { .fd = signals, .events = POLLIN };
	size_t most = 1 + CTL_MAX_POLLS + guests_max_polls(&balancer->guests);
	struct pollfd *fds = calloc(2 * most, sizeof(*fds));
	uint64_t now_ms;
	bool goes_on = true;

	while (goes_on && (now_ms = clock_now_ms()) < deadline_ms &&
	       !(until_heard && guests_are_heard(&balancer->guests))) {
		size_t controls, polls;

		if (!fds) {
			goes_on = poll(&only_signals, 1, (int)(deadline_ms - now_ms)) <= 0;
			continue;
		}
		fds[0] = only_signals;
		controls = ctl_prepare_poll(ctl, fds + 1);
		polls = guests_prepare_poll(&balancer->guests, fds + 1 + controls);
		poll_open(fds, fds + most, 1 + controls + polls, until(ctl, deadline_ms, now_ms));
		guests_run(&balancer->guests, fds + 1 + controls, polls, clock_now_ms());
		ctl_run(ctl, fds + 1);
		goes_on = !fds[0].revents;
	}
	free(fds);
	return goes_on;
}

/* What `systemctl status` says beside the unit, when it has changed. */
static void tell_status(const struct balancer *balancer)
{
	static char told[128];
	const struct guests *guests = &balancer->guests;
	uint64_t available = balancer->host.memory.available;
	uint64_t reserve = guests->policy.conf.reserve_bytes;
	unsigned int stuck = 0;
	char text[128];
	size_t i;

	for (i = 0; i < guests->policy.count; i++)
		stuck += guests->policy.guest[i].stuck;
	snprintf(text, sizeof(text), "STATUS=%s%zu guests, %u stuck; the reserve is %s",
		 balancer->modes.paused ? "Paused: " : "", (size_t)guests->policy.count, stuck,
		 balancer->blind ? "unknown" : available < reserve ? "short" : "whole");
	if (!strcmp(text, told))
		return;
	memcpy(told, text, sizeof(told));
	sd_notify(0, text);
}

static void run(struct balancer *balancer, struct ctl *ctl, int signals,
		const struct options *options)
{
	unsigned int interval_ms = balancer->config.interval_ms;
	uint64_t next_ms = clock_now_ms();
	bool goes_on = true;

	while (goes_on) {
		guests_tick(&balancer->guests, clock_now_ms());
		goes_on = serve_until(balancer, ctl, signals,
				      clock_now_ms() + interval_ms / 10 + 1, true);
		if (!goes_on)
			break;
		decide(balancer, options);
		tell_status(balancer);
		next_ms += interval_ms;
		if (next_ms < clock_now_ms())
			next_ms = clock_now_ms();
		goes_on = serve_until(balancer, ctl, signals, next_ms, false);
	}
}

/* How many guests there can be descriptors for, at most. */
static size_t raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) && getrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	if (limit.rlim_cur <= OWN_DESCRIPTORS)
		return 0;
	return limit.rlim_cur - OWN_DESCRIPTORS < POLICY_MAX_GUESTS ?
		       (size_t)limit.rlim_cur - OWN_DESCRIPTORS : POLICY_MAX_GUESTS;
}

static int catch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* What outlives the balancer is beside the control socket. */
static void name_kept(const struct options *options, const char *name, char path[PATH_MAX])
{
	const char *slash = strrchr(options->control, '/');

	snprintf(path, PATH_MAX, "%.*s%s", slash ? (int)(slash + 1 - options->control) : 0, options->control, name);
}

/* The folder for notes: of two balancers that serve the same one only the first has it. */
static bool open_notes(struct balancer *balancer, const struct options *options, bool create)
{
	char path[PATH_MAX];

	name_kept(options, NOTES_NAME, path);
	return notes_open(&balancer->notes, path, create);
}

static int undo(struct balancer *balancer, const struct options *options)
{
	bool done = open_notes(balancer, options, false) && answers_undo(&balancer->notes);

	notes_close(&balancer->notes);
	return done ? 0 : 1;
}

/*
 * What an earlier balancer has left is undone first: this one begins with no answers, and with its operators' words
 * and the guests' order.
 */
static bool begin(struct balancer *balancer, const struct options *options)
{
	char path[PATH_MAX];

	if (balancer->dry_run) {
		modes_open(&balancer->modes, NULL);
		guests_open(&balancer->guests, &balancer->config, &balancer->modes, raise_limit(), NULL);
		return true;
	}
	if (!open_notes(balancer, options, true))
		return false;
	answers_undo(&balancer->notes);
	name_kept(options, MODES_NAME, path);
	modes_open(&balancer->modes, path);
	name_kept(options, ORDER_NAME, path);
	guests_open(&balancer->guests, &balancer->config, &balancer->modes, raise_limit(), path);
	return guests_lock(&balancer->guests);
}

static int serve(struct balancer *balancer, const struct options *options)
{
	int signals = catch_signals();
	struct ctl *ctl;

	if (signals < 0) {
		log_err("can't begin: signalfd: %s", strerror(errno));
		return 1;
	}
	if (!begin(balancer, options))
		return 1;
	ctl = ctl_open(options->control, &requests_ops, balancer);
	if (!ctl)
		return 1;
	log_notice("ready: guests in %s%s", balancer->config.guests_dir,
		   balancer->dry_run ? "; a dry run" : "");
	sd_notify(0, "READY=1");
	run(balancer, ctl, signals, options);
	sd_notify(0, "STOPPING=1");
	log_notice("ending; the guests' targets stay as they are");
	answers_undo(&balancer->notes);
	notes_close(&balancer->notes);
	ctl_close(ctl);
	guests_close(&balancer->guests);
	modes_close(&balancer->modes);
	close(signals);
	return 0;
}

int main(int argc, char **argv)
{
	static struct balancer balancer = { .notes = { .dir = -1 } };
	struct options options;
	int status = parse_options(&options, argc, argv);

	if (status >= 0)
		return status;
	log_init(options.log_level);
	balancer.dry_run = options.dry_run;
	/* Whatever the configuration is by now. */
	if (options.undo)
		return undo(&balancer, &options);
	if (!config_read(&balancer.config, options.config) ||
	    !check_config(&balancer.config, options.config))
		status = 2;
	else
		status = options.check ? 0 : serve(&balancer, &options);
	config_free(&balancer.config);
	if (options.trace)
		fclose(options.trace);
	return status;
}
