// SPDX-License-Identifier: GPL-2.0-only
/*
 * conf.c - the command line.
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "life/keep.h"
#include "store/store_nbd.h"
#include "common/log.h"
#include "common/version.h"

#define DEFAULT_QUEUE_PAIRS 4
#define DEFAULT_POLL_US 20
#define MAX_POLL_US 10000
#define DEFAULT_REPORT_PERIOD_MS 1000
#define MAX_REPORT_PERIOD_MS 3600000
#define DEFAULT_WATCHDOG_S 30
#define MAX_WATCHDOG_S 86400
#define MAX_EXTRA_OPTIONS 8

enum {
	OPT_SOCKET = 256, OPT_FD, OPT_STORE, OPT_TAGS, OPT_CONNECTIONS, OPT_FORMAT, OPT_INCOMING,
	OPT_SIZE, OPT_QUEUES,
	OPT_WORKERS, OPT_MEDIUM, OPT_POLL_US, OPT_ACCESS_PLATFORM,
	OPT_RELEASE, OPT_BLOCK_SIZE, OPT_REPORT_PERIOD, OPT_CONTROL,
	OPT_CGROUP, OPT_SANDBOX, OPT_WATCHDOG,
	OPT_LOG_LEVEL, OPT_ONE_SHOT, OPT_HELP, OPT_VERSION, OPT_KEEP_LAYOUT,
	OPT_EXTRA,			/* and those behind it */
};

static const struct option options[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "fd", required_argument, NULL, OPT_FD },
	{ "store", required_argument, NULL, OPT_STORE },
	{ "tags", required_argument, NULL, OPT_TAGS },
	{ "connections", required_argument, NULL, OPT_CONNECTIONS },
	{ "format", no_argument, NULL, OPT_FORMAT },
	{ "incoming", no_argument, NULL, OPT_INCOMING },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "queues", required_argument, NULL, OPT_QUEUES },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "medium", required_argument, NULL, OPT_MEDIUM },
	{ "poll-us", required_argument, NULL, OPT_POLL_US },
	{ "access-platform", required_argument, NULL, OPT_ACCESS_PLATFORM },
	{ "release", required_argument, NULL, OPT_RELEASE },
	{ "block-size", required_argument, NULL, OPT_BLOCK_SIZE },
	{ "report-period", required_argument, NULL, OPT_REPORT_PERIOD },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "cgroup", required_argument, NULL, OPT_CGROUP },
	{ "sandbox", required_argument, NULL, OPT_SANDBOX },
	{ "watchdog", required_argument, NULL, OPT_WATCHDOG },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "one-shot", no_argument, NULL, OPT_ONE_SHOT },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "keep-layout", no_argument, NULL, OPT_KEEP_LAYOUT },
};

#define NUM_OPTIONS (sizeof(options) / sizeof(options[0]))

static const char usage[] =
"usage: %s --socket PATH --store FILE|nbd:SOCKET|mem --size SIZE [options]\n"
"Keeps the sealed pages that a guest's virtio-cswap driver swaps out.\n"
"\n"
"  --socket PATH       listen for the VMM (vhost-user front end) here\n"
"  --fd N              or use this socket, listening or connected\n"
"  --store FILE        sparse file (made if missing) or block device; or \"mem\"\n"
"  --store nbd:SOCKET[:EXPORT]\n"
"                      an NBD server behind a Unix socket, which admits no more\n"
"                      connections than --workers times --connections\n"
"  --connections N     to an NBD server, for each worker (default 1)\n"
"  --tags FILE         the tags go into this file (default: into memory, 16 bytes\n"
"                      for each page that is swapped out)\n"
"  --format            make a store of what is there, whatever it is\n"
"  --incoming          a guest will come from another daemon, which has FILE:\n"
"                      take it over with the guest's state, not before\n"
"  --size SIZE         of the store, e.g. 512M or 64G\n"
"  --queues N          queue pairs offered (default 4, up to 64)\n"
"  --workers N         threads that share the queue pairs (default 1)\n"
"  --medium KIND       what the guest is told: auto, memory, flash, disk\n"
"  --poll-us N         poll so long before sleeping (default 20; 0 on a single\n"
"                      CPU)\n"
"  --access-platform auto|on|off\n"
"                      offer VIRTIO_F_ACCESS_PLATFORM (auto: unless the front\n"
"                      end is user-mode Linux)\n"
"  --release convert|punch|off\n"
"                      memory that the guest releases is freed by its own\n"
"                      conversion (convert, default), by discarding what is\n"
"                      behind it (punch: plain guests, no assigned devices), or\n"
"                      there is no balloon (off)\n"
"  --block-size SIZE   unit of that (default 4K; the page size of hugetlb memory)\n"
"  --report-period MS  how often the guest may report (default 1000; 0: never)\n"
"  --control PATH      take an operator's requests here (see cswapctl)\n"
"  --cgroup PATH       the VMM's, to be measured (default: found out)\n"
"  --sandbox auto|strict|off\n"
"                      give up all rights but those needed: as far as the host\n"
"                      allows (auto, default), or else don't start (strict)\n"
"  --watchdog SECONDS  a process that serves is replaced if it hangs for so long\n"
"                      (default 30; 0: never)\n"
"  --log-level LEVEL   error, warning, notice, info (default) or debug\n"
"  --one-shot          exit when the front end disconnects\n"
"  --help, --version\n"
"  --keep-layout       say in what form this version leaves its state to the next\n";

static const char size_suffixes[] = "KMGT";

uint64_t conf_parse_size(const char *text)
{
	unsigned long long value;
	unsigned int shift = 0;
	const char *suffix;
	char *end;

	if (*text < '0' || *text > '9')
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return 0;
	if (*end) {
		suffix = strchr(size_suffixes, *end & ~0x20);
		if (!suffix || !*suffix)
			return 0;
		shift = 10 * (unsigned int)(suffix - size_suffixes + 1);
		/* "64GiB" and "64GB" are the same to us. */
		end += end[1] == 'i' ? 2 : 1;
		end += *end == 'B';
	}
	if (*end || value > UINT64_MAX >> shift)
		return 0;
	value <<= shift;
	if (value % VIRTIO_CSWAP_SLOT_SIZE ||
	    value / VIRTIO_CSWAP_SLOT_SIZE > VIRTIO_CSWAP_MAX_CAPACITY)
		return 0;
	return value;
}

static bool parse_number(const char *text, unsigned int max,
			 unsigned int *value)
{
	unsigned long number;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || *end || number > max)
		return false;
	*value = (unsigned int)number;
	return true;
}

static bool parse_medium(const char *text, uint8_t *medium)
{
	static const struct {
		const char *name;
		uint8_t medium;
	} media[] = {
		{ "auto", CONF_MEDIUM_AUTO },
		{ "memory", VIRTIO_CSWAP_MEDIUM_MEMORY },
		{ "flash", VIRTIO_CSWAP_MEDIUM_FLASH },
		{ "disk", VIRTIO_CSWAP_MEDIUM_DISK },
	};
	unsigned int i;

	for (i = 0; i < sizeof(media) / sizeof(media[0]); i++) {
		if (!strcmp(text, media[i].name)) {
			*medium = media[i].medium;
			return true;
		}
	}
	return false;
}

static bool parse_access(const char *text, enum vhost_user_access *access)
{
	if (!strcmp(text, "auto"))
		*access = ACCESS_AUTO;
	else if (!strcmp(text, "on"))
		*access = ACCESS_ON;
	else if (!strcmp(text, "off"))
		*access = ACCESS_OFF;
	else
		return false;
	return true;
}

static bool parse_release(const char *text, enum conf_release *release)
{
	if (!strcmp(text, "convert"))
		*release = CONF_RELEASE_CONVERT;
	else if (!strcmp(text, "punch"))
		*release = CONF_RELEASE_PUNCH;
	else if (!strcmp(text, "off"))
		*release = CONF_RELEASE_OFF;
	else
		return false;
	return true;
}

static bool parse_sandbox(const char *text, enum sandbox_mode *mode)
{
	if (!strcmp(text, "auto"))
		*mode = SANDBOX_AUTO;
	else if (!strcmp(text, "strict"))
		*mode = SANDBOX_STRICT;
	else if (!strcmp(text, "off"))
		*mode = SANDBOX_OFF;
	else
		return false;
	return true;
}

static bool parse_block_size(const char *text, uint32_t *bytes)
{
	uint64_t size = conf_parse_size(text);

	if (size < VIRTIO_CSWAP_MIN_BLOCK_SIZE ||
	    size > VIRTIO_CSWAP_MAX_BLOCK_SIZE || size & (size - 1))
		return false;
	*bytes = (uint32_t)size;
	return true;
}

static bool parse_level(const char *text, int *level)
{
	*level = log_parse_level(text);
	return *level >= 0;
}

static bool parse_fd(const char *text, int *fd)
{
	unsigned int number;

	if (!parse_number(text, INT32_MAX, &number))
		return false;
	*fd = (int)number;
	return true;
}

/* Take one option. False: its value is no good. */
static bool take_option(struct conf *conf, int option, const char *value)
{
	switch (option) {
	case OPT_SOCKET:
		conf->socket_path = value;
		return *value;
	case OPT_FD:
		return parse_fd(value, &conf->fd);
	case OPT_STORE:
		conf->store_path = value;
		return *value;
	case OPT_TAGS:
		conf->tags_path = value;
		return *value;
	case OPT_CONNECTIONS:
		return parse_number(value, STORE_MAX_CONNECTIONS, &conf->connections) &&
		       conf->connections;
	case OPT_FORMAT:
		conf->format = true;
		return true;
	case OPT_INCOMING:
		conf->incoming = true;
		return true;
	case OPT_SIZE:
		conf->slots = conf_parse_size(value) / VIRTIO_CSWAP_SLOT_SIZE;
		return conf->slots;
	case OPT_QUEUES:
		return parse_number(value, VIRTIO_CSWAP_MAX_QUEUE_PAIRS,
				    &conf->queue_pairs) && conf->queue_pairs;
	case OPT_WORKERS:
		return parse_number(value, WORKER_MAX_WORKERS,
				    &conf->workers) && conf->workers;
	case OPT_MEDIUM:
		return parse_medium(value, &conf->medium);
	case OPT_POLL_US:
		return parse_number(value, MAX_POLL_US, &conf->poll_us);
	case OPT_ACCESS_PLATFORM:
		return parse_access(value, &conf->access);
	case OPT_RELEASE:
		return parse_release(value, &conf->release);
	case OPT_BLOCK_SIZE:
		return parse_block_size(value, &conf->block_bytes);
	case OPT_REPORT_PERIOD:
		return parse_number(value, MAX_REPORT_PERIOD_MS,
				    &conf->report_period_ms);
	case OPT_CONTROL:
		conf->control_path = value;
		return *value;
	case OPT_CGROUP:
		conf->cgroup = value;
		return *value == '/';
	case OPT_SANDBOX:
		return parse_sandbox(value, &conf->sandbox);
	case OPT_WATCHDOG:
		return parse_number(value, MAX_WATCHDOG_S, &conf->watchdog_s);
	case OPT_LOG_LEVEL:
		return parse_level(value, &conf->log_level);
	case OPT_ONE_SHOT:
		conf->one_shot = true;
		return true;
	default:
		return false;
	}
}

/* What an option's value may be, for the message about a wrong one. */
static const char *allowed(int option)
{
	static const struct {
		int option;
		const char *values;
	} all[] = {
		{ OPT_FD, "the number of an open descriptor" },
		{ OPT_CONNECTIONS, "1 to 64" },
		{ OPT_SIZE, "a multiple of 4096 bytes, e.g. 512M or 64G" },
		{ OPT_QUEUES, "1 to 64" },
		{ OPT_WORKERS, "1 to 64" },
		{ OPT_MEDIUM, "auto, memory, flash or disk" },
		{ OPT_POLL_US, "0 to 10000 microseconds" },
		{ OPT_ACCESS_PLATFORM, "auto, on or off" },
		{ OPT_RELEASE, "convert (confidential guests), punch (plain guests) or off" },
		{ OPT_BLOCK_SIZE, "a power of two from 4K to 1G" },
		{ OPT_REPORT_PERIOD, "0 to 3600000 milliseconds" },
		{ OPT_CGROUP, "a path from the root" },
		{ OPT_SANDBOX, "auto, strict or off" },
		{ OPT_WATCHDOG, "0 to 86400 seconds" },
		{ OPT_LOG_LEVEL, "error, warning, notice, info or debug" },
	};
	unsigned int i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].option == option)
			return all[i].values;
	return "something that isn't empty";
}

static_assert(VIRTIO_CSWAP_MAX_QUEUE_PAIRS == 64 && WORKER_MAX_WORKERS == 64 && STORE_MAX_CONNECTIONS == 64 &&
	      MAX_POLL_US == 10000 &&
	      MAX_REPORT_PERIOD_MS == 3600000 && MAX_WATCHDOG_S == 86400, "allowed() and --help say so");

static bool complain(const char *program, const char *what)
{
	fprintf(stderr, "%s: %s (try --help)\n", program, what);
	return false;
}

/* From here on @connections are those of all workers. */
static bool check_server(struct conf *conf, const char *program)
{
	char path[STORE_NBD_PATH_BYTES];
	const char *export_name;

	if (!store_nbd_is_name(conf->store_path))
		return !conf->connections ||
		       complain(program, "--connections is for an NBD server");
	if (!store_nbd_parse(conf->store_path, path, &export_name))
		return complain(program, "--store: no nbd:SOCKET[:EXPORT], or too long");
	conf->connections = (conf->connections ? conf->connections : 1) * conf->workers;
	return conf->connections <= STORE_MAX_CONNECTIONS ||
	       complain(program, "too many connections: --connections times --workers");
}

/* What is missing, or doesn't go together. */
static bool check(struct conf *conf, const char *program)
{
	if (!conf->store_path)
		return complain(program, "--store is missing");
	if (!conf->slots)
		return complain(program, "--size is missing");
	if (conf->socket_path && conf->fd >= 0)
		return complain(program, "--socket and --fd exclude each other");
	if (!strcmp(conf->store_path, "mem")) {
		if (conf->tags_path || conf->format || conf->incoming)
			return complain(program, "--tags, --format and --incoming are for files");
		conf->store_path = NULL;
	}
	if (conf->format && conf->incoming)
		return complain(program, "--format and --incoming exclude each other");
	/* More threads than pairs would have nothing to do. */
	if (conf->workers > conf->queue_pairs)
		conf->workers = conf->queue_pairs;
	return check_server(conf, program);
}

/* The common options and the extra ones, in one table for getopt. */
static void merge_options(struct option *all, const struct conf_extra *extra)
{
	unsigned int i;

	memset(all, 0, sizeof(*all) * (NUM_OPTIONS + MAX_EXTRA_OPTIONS + 1));
	memcpy(all, options, sizeof(options));
	for (i = 0; extra && i < MAX_EXTRA_OPTIONS && extra->options[i].name;
	     i++) {
		all[NUM_OPTIONS + i].name = extra->options[i].name;
		all[NUM_OPTIONS + i].has_arg = extra->options[i].has_value;
		all[NUM_OPTIONS + i].val = (int)(OPT_EXTRA + i);
	}
}

static void set_defaults(struct conf *conf)
{
	memset(conf, 0, sizeof(*conf));
	conf->fd = -1;
	conf->queue_pairs = DEFAULT_QUEUE_PAIRS;
	conf->workers = 1;
	conf->medium = CONF_MEDIUM_AUTO;
	conf->block_bytes = VIRTIO_CSWAP_MIN_BLOCK_SIZE;
	conf->report_period_ms = DEFAULT_REPORT_PERIOD_MS;
	conf->watchdog_s = DEFAULT_WATCHDOG_S;
	conf->log_level = LOG_INFO;
	/* Polling on the only CPU keeps off what it waits for. */
	conf->poll_us = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? DEFAULT_POLL_US : 0;
}

static enum conf_result take_extra(const struct conf_extra *extra, int option,
				   const char *value)
{
	const char *name = extra->options[option - OPT_EXTRA].name;
	const char *wrong = extra->option(name, value);

	if (!wrong)
		return CONF_OK;
	fprintf(stderr, "%s: --%s: %s\n", extra->program, name, wrong);
	return CONF_EXIT_USAGE;
}

enum conf_result conf_parse(struct conf *conf, int argc, char **argv,
			    const struct conf_extra *extra)
{
	struct option all[NUM_OPTIONS + MAX_EXTRA_OPTIONS + 1];
	const char *program = extra ? extra->program : "cswapd";
	int option, index;

	set_defaults(conf);
	merge_options(all, extra);
	optind = 1;
	while ((option = getopt_long(argc, argv, "", all, &index)) != -1) {
		if (option == '?')
			return CONF_EXIT_USAGE;
		if (option == OPT_HELP) {
			printf(usage, program);
			if (extra)
				fputs(extra->help, stdout);
			return CONF_EXIT_0;
		}
		if (option == OPT_VERSION) {
			printf("%s %s\n", program, cswap_version);
			return CONF_EXIT_0;
		}
		if (option == OPT_KEEP_LAYOUT) {
			printf("%s\n", keep_layout());
			return CONF_EXIT_0;
		}
		if (extra && option >= OPT_EXTRA) {
			if (take_extra(extra, option, optarg))
				return CONF_EXIT_USAGE;
		} else if (!take_option(conf, option, optarg)) {
			fprintf(stderr, "%s: --%s %s: the value must be %s\n", program,
				all[index].name, optarg, allowed(option));
			return CONF_EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "%s: unexpected argument %s (try --help)\n", program, argv[optind]);
		return CONF_EXIT_USAGE;
	}
	return check(conf, program) ? CONF_OK : CONF_EXIT_USAGE;
}
