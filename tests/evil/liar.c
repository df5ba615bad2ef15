// SPDX-License-Identifier: GPL-2.0-only
/*
 * liar.c - which lie is told when: at random from a seed, or by a script.
 *
 * Theory of operation: the code around the rings asks at each opportunity whether
 * to lie. A script names the Nth opportunity for a kind of lie; at random, one
 * opportunity in so many is taken, for one of the kinds that are enabled, by their
 * weights. The seed is printed, and each lie that was told can be logged. A seed
 * makes the same choices again, but it's the guest that makes the opportunities.
 *
 * Lies that end a queue are only told when they are asked for: after one of them
 * there would be no opportunity for another.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "liar.h"
#include "common/log.h"

#define MAX_SCRIPT 64
#define DEFAULT_RATE 8

static const struct {
	const char *name;
	enum place place;
	unsigned int weight;		/* 0: only when it's asked for */
} kinds[NUM_LIES] = {
	[LIE_STATUS] = { "status", PLACE_ANSWER, 8 },
	[LIE_COOKIE] = { "cookie", PLACE_ANSWER, 8 },
	[LIE_RESERVED] = { "reserved", PLACE_ANSWER, 4 },
	[LIE_HEADER] = { "header", PLACE_ANSWER, 4 },
	[LIE_LENGTH] = { "length", PLACE_ANSWER, 4 },
	[LIE_FLIP] = { "flip", PLACE_ANSWER, 16 },
	[LIE_OLDER] = { "older", PLACE_ANSWER, 16 },
	[LIE_TWICE] = { "twice", PLACE_ANSWER, 16 },
	[LIE_FORGED] = { "forged", PLACE_ANSWER, 16 },
	[LIE_GARBAGE] = { "garbage", PLACE_ANSWER, 16 },
	[LIE_EARLY] = { "early", PLACE_REQUEST, 8 },
	[LIE_LATE] = { "late", PLACE_ANSWER, 8 },
	[LIE_NEVER] = { "never", PLACE_ANSWER, 1 },
	[LIE_SCRIBBLE] = { "scribble", PLACE_ANSWER, 16 },
	[LIE_DESCRIPTORS] = { "descriptors", PLACE_ANSWER, 16 },
	[LIE_KICKS] = { "kicks", PLACE_ANSWER, 4 },
	[LIE_REQUEST_BYTES] = { "request-bytes", PLACE_REQUEST, 8 },
	[LIE_CHAIN_LENGTH] = { "chain-length", PLACE_CHAIN, 8 },
	[LIE_CHAIN_LATE] = { "chain-late", PLACE_CHAIN, 8 },
	[LIE_CHAIN_NEVER] = { "chain-never", PLACE_CHAIN, 1 },
	[LIE_CHAIN_SWAP] = { "chain-swap", PLACE_CHAIN, 8 },
	[LIE_CONTROL_BYTES] = { "control-bytes", PLACE_CONTROL, 8 },
	[LIE_CONTROL_LENGTH] = { "control-length", PLACE_CONTROL, 4 },
	[LIE_CONTROL_LATE] = { "control-late", PLACE_CONTROL, 4 },
	[LIE_CONTROL_NEVER] = { "control-never", PLACE_CONTROL, 0 },
	[LIE_MUTE] = { "mute", PLACE_CALL, 1 },
	[LIE_CALL] = { "call", PLACE_CALL, 8 },
	[LIE_WILD_ID] = { "wild-id", PLACE_ANSWER, 0 },
	[LIE_SAME_ID] = { "same-id", PLACE_ANSWER, 0 },
	[LIE_INDEX] = { "index", PLACE_ANSWER, 0 },
	[LIE_CHAIN_WILD_ID] = { "chain-wild-id", PLACE_CHAIN, 0 },
	[LIE_CHAIN_SAME_ID] = { "chain-same-id", PLACE_CHAIN, 0 },
	[LIE_CONTROL_WILD_ID] = { "control-wild-id", PLACE_CONTROL, 0 },
	[LIE_CONFIG] = { "config", PLACE_CONFIG, 0 },
};

const char liar_help[] =
"\n"
"The malicious device:\n"
"  --seed N            of its choices (default: the time); it's logged\n"
"  --rate N            take one opportunity in N (default 8; 0: none but the script's)\n"
"  --only LIE[,LIE...] of these lies only, and all of them alike\n"
"  --lie LIE@N         the Nth opportunity for this lie, too; may be given repeatedly\n"
"  --armed             from the start on; else SIGUSR1 arms, SIGUSR2 disarms\n"
"  --report FILE       how often each lie was told, written when disarmed and at the end\n"
"  --log FILE          every lie, as it's told\n"
"  --keep FILE         all that passes the rings, and the pool, for a search\n"
"Lies about an answer:\n"
"  status, cookie, reserved, header, length   another, or a wild one\n"
"  flip         a bit of the page or its tag\n"
"  older        an older page of the slot, or another slot's, with its tag\n"
"  twice, late, never, early (before the device has even read the request)\n"
"  forged       an answer to no request, well-formed      garbage    random bytes\n"
"  scribble     it changes while the guest reads it\n"
"  descriptors, kicks   rubbish where only the guest, or only the device, should write\n"
"About requests:\n"
"  request-bytes  what is stored is changed while it waits in the pool\n"
"  chain-length, chain-late, chain-never; chain-swap: another one is given back\n"
"About control requests: control-bytes, control-length, control-late\n"
"Of interrupts: mute (none where one is due), call (one where none is)\n"
"Told only if named by --only or --lie:\n"
"  control-never  no answer          config  one field of the configuration, each time it's read\n"
"  wild-id, same-id, index, chain-wild-id, chain-same-id, control-wild-id\n"
"                 a used ring that makes no sense: it ends the queue\n";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All of these under the lock, or set before anything runs. */
static bool armed;
static uint64_t state;			/* of the random numbers */
static uint64_t rate = DEFAULT_RATE;
static unsigned int weight[NUM_LIES];
static uint64_t seen[NUM_LIES], told[NUM_LIES], all_told;
static struct { enum lie lie; uint64_t nth; } script[MAX_SCRIPT];
static unsigned int script_len;
static const char *report_path, *log_path, *keep_path;
static FILE *log_file;

void liar_lock(void)
{
	pthread_mutex_lock(&lock);
}

void liar_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

bool liar_is_armed(void)
{
	return armed;
}

/* splitmix64 */
uint64_t liar_random(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static enum lie choose_by_script(enum place place)
{
	enum lie chosen = LIE_NONE;
	unsigned int i;
	int lie;

	for (lie = 0; lie < NUM_LIES; lie++)
		if (kinds[lie].place == place)
			seen[lie]++;
	for (i = 0; i < script_len; i++)
		if (kinds[script[i].lie].place == place &&
		    seen[script[i].lie] == script[i].nth)
			chosen = script[i].lie;
	return chosen;
}

static enum lie choose_by_weight(enum place place)
{
	uint64_t sum = 0, at;
	int lie;

	for (lie = 0; lie < NUM_LIES; lie++)
		if (kinds[lie].place == place)
			sum += weight[lie];
	if (!sum)
		return LIE_NONE;
	at = liar_below(sum);
	for (lie = 0; lie < NUM_LIES; lie++) {
		if (kinds[lie].place != place)
			continue;
		if (at < weight[lie])
			break;
		at -= weight[lie];
	}
	return (enum lie)lie;
}

enum lie liar_choose(enum place place)
{
	enum lie lie;

	if (!armed)
		return LIE_NONE;
	lie = choose_by_script(place);
	if (lie != LIE_NONE)
		return lie;
	return rate && !liar_below(rate) ? choose_by_weight(place) : LIE_NONE;
}

void liar_told(enum lie lie, unsigned int queue, uint64_t detail)
{
	told[lie]++;
	all_told++;
	if (log_file)
		fprintf(log_file, "%" PRIu64 " queue %u %s %" PRIx64 "\n", all_told,
			queue, kinds[lie].name, detail);
}

void liar_config(struct virtio_cswap_config *config)
{
	uint8_t *bytes = (uint8_t *)config;
	uint64_t at;

	liar_lock();
	if (liar_choose(PLACE_CONFIG) == LIE_CONFIG) {
		/* What is looked at lies in front. */
		at = liar_below(liar_below(2) ? 32 : sizeof(*config));
		bytes[at] = liar_below(2) ? (uint8_t)liar_random() :
					    bytes[at] ^ (uint8_t)(1 << liar_below(8));
		liar_told(LIE_CONFIG, 0, at);
	}
	liar_unlock();
}

void liar_arm(bool on)
{
	liar_lock();
	armed = on;
	if (log_file)
		fflush(log_file);
	liar_unlock();
	if (!on)
		rings_calm();
}

/* All at once: whoever waits for the file sees all of it or nothing. */
void liar_report(void)
{
	char *temporary = NULL;
	FILE *file;
	bool ok;
	int lie;

	if (log_file)
		fflush(log_file);
	if (!report_path || asprintf(&temporary, "%s.new", report_path) < 0)
		return;
	file = fopen(temporary, "we");
	ok = file && fprintf(file, "kind=all ops=%" PRIu64 "\n", all_told) > 0;
	for (lie = 0; ok && lie < NUM_LIES; lie++)
		ok = fprintf(file, "kind=%s ops=%" PRIu64 "\n", kinds[lie].name, told[lie]) > 0;
	if (file && fclose(file))
		ok = false;
	if (!ok || rename(temporary, report_path))
		log_err("can't write %s: %s", report_path, strerror(errno));
	free(temporary);
}

const char *liar_writes(void)
{
	return report_path;
}

/* --- the command line --- */

static enum lie find_lie(const char *name, size_t len)
{
	int lie;

	for (lie = 0; lie < NUM_LIES; lie++)
		if (strlen(kinds[lie].name) == len && !strncmp(kinds[lie].name, name, len))
			break;
	return (enum lie)lie;
}

static const char *take_only(const char *list)
{
	enum lie lie;
	size_t len;

	memset(weight, 0, sizeof(weight));
	for (;; list += len + 1) {
		len = strcspn(list, ",");
		lie = find_lie(list, len);
		if (lie == LIE_NONE)
			return "no such lie";
		weight[lie] = 1;
		if (!list[len])
			return NULL;
	}
}

static const char *take_script(const char *spec)
{
	size_t len = strcspn(spec, "@");
	enum lie lie = find_lie(spec, len);

	if (lie == LIE_NONE)
		return "no such lie";
	if (!spec[len] || script_len == MAX_SCRIPT)
		return "not LIE@N, or too many";
	script[script_len].lie = lie;
	script[script_len].nth = strtoull(spec + len + 1, NULL, 10);
	return script[script_len++].nth ? NULL : "the first is 1";
}

static void set_defaults(void)
{
	static bool done;
	int lie;

	if (done)
		return;
	done = true;
	state = (uint64_t)time(NULL);
	for (lie = 0; lie < NUM_LIES; lie++)
		weight[lie] = kinds[lie].weight;
}

/* Files are opened here: what was open before was closed as inherited. */
bool liar_begin(void)
{
	set_defaults();
	log_notice("seed %ju", (uintmax_t)state);
	if (log_path)
		log_file = fopen(log_path, "we");
	if ((log_path && !log_file) || (keep_path && !rings_keep(keep_path))) {
		log_err("can't write %s: %s", log_path && !log_file ? log_path : keep_path,
			strerror(errno));
		return false;
	}
	return true;
}

const char *liar_take_option(const char *name, const char *value)
{
	set_defaults();
	if (!strcmp(name, "seed"))
		state = strtoull(value, NULL, 0);
	else if (!strcmp(name, "rate"))
		rate = strtoull(value, NULL, 0);
	else if (!strcmp(name, "only"))
		return take_only(value);
	else if (!strcmp(name, "lie"))
		return take_script(value);
	else if (!strcmp(name, "armed"))
		armed = true;
	else if (!strcmp(name, "keep"))
		keep_path = value;
	else if (!strcmp(name, "report"))
		report_path = value;
	else if (!strcmp(name, "log"))
		log_path = value;
	return NULL;
}

