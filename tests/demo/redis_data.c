// SPDX-License-Identifier: GPL-2.0-only
/*
 * redis_data.c - fills a Redis with data that can be told right from wrong.
 *
 * Theory of operation: a value is a function of the seed, its key and its
 * version: the marker, then pseudo-random bytes, which nothing can compress.
 * So nothing needs to be remembered in order to verify one, and an older
 * version, another key's value, or a single wrong bit shows.
 *
 *	fill	write all keys
 *	use	write one key of sixteen again; between two of these read and verify
 *		keys here and there: a mixed load, in pseudo-random order
 *	verify	read and verify all keys, in order
 *
 * Commands are sent in batches; the server answers in the same order.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define MAX_VALUE_BYTES 65536
#define MAX_COMPLAINTS 5
#define UPDATE_EVERY 16

static FILE *to_server, *from_server;
static uint64_t num_keys, seed;
static size_t value_bytes, marker_bytes;
static const char *marker;
static uint64_t written, verified, wrong;

static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("redis-data: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	exit(2);
}

/* --- the data --- */

/* The finalizer of splitmix64: neighbours come out unrelated. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static void make_value(uint64_t key, unsigned int version, char *value)
{
	uint64_t state = mix(seed ^ mix(key * 4 + version));
	size_t at = marker_bytes;
	uint64_t word;

	memcpy(value, marker, marker_bytes);
	for (; at < value_bytes; at += sizeof(word)) {
		state += 0x9e3779b97f4a7c15;
		word = mix(state);
		memcpy(value + at, &word, value_bytes - at < sizeof(word) ?
					  value_bytes - at : sizeof(word));
	}
}

static void check_value(uint64_t key, unsigned int version, const char *value)
{
	static char expected[MAX_VALUE_BYTES];
	size_t at = 0;

	make_value(key, version, expected);
	verified++;
	if (!memcmp(value, expected, value_bytes))
		return;
	while (value[at] == expected[at])
		at++;
	if (wrong++ < MAX_COMPLAINTS)
		fprintf(stderr, "key %" PRIu64 " version %u: wrong from byte %zu on\n",
			key, version, at);
}

/* --- the protocol: arrays of strings there, lines and strings back --- */

static void send_set(uint64_t key, unsigned int version)
{
	static char value[MAX_VALUE_BYTES];

	make_value(key, version, value);
	fprintf(to_server, "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012" PRIu64 "\r\n$%zu\r\n",
		key, value_bytes);
	fwrite(value, 1, value_bytes, to_server);
	fputs("\r\n", to_server);
	written++;
}

static void send_get(uint64_t key)
{
	fprintf(to_server, "*2\r\n$3\r\nGET\r\n$16\r\nkey:%012" PRIu64 "\r\n", key);
}

static void send_batch(void)
{
	if (fflush(to_server))
		fail("can't send: %s", strerror(errno));
}

static void receive_line(char *line, int size)
{
	if (!fgets(line, size, from_server))
		fail("the server is gone");
}

static void receive_ok(void)
{
	char line[256];

	receive_line(line, sizeof(line));
	if (strcmp(line, "+OK\r\n"))
		fail("SET: %s", line);
}

static void receive_value(uint64_t key, unsigned int version)
{
	static char value[MAX_VALUE_BYTES + 2];
	char line[256];

	receive_line(line, sizeof(line));
	if (line[0] != '$' || strtoull(line + 1, NULL, 10) != value_bytes)
		fail("GET of key %" PRIu64 ": %s", key, line);
	if (fread(value, 1, value_bytes + 2, from_server) != value_bytes + 2)
		fail("the server is gone");
	check_value(key, version, value);
}

/* --- what there is to do --- */

static uint64_t batch_end(uint64_t first)
{
	return num_keys - first < BATCH ? num_keys : first + BATCH;
}

static void fill(void)
{
	uint64_t first, key;

	for (first = 0; first < num_keys; first = batch_end(first)) {
		for (key = first; key < batch_end(first); key++)
			send_set(key, 0);
		send_batch();
		for (key = first; key < batch_end(first); key++)
			receive_ok();
	}
}

static unsigned int final_version(uint64_t key)
{
	return key % UPDATE_EVERY == 0;
}

static void verify(void)
{
	uint64_t first, key;

	for (first = 0; first < num_keys; first = batch_end(first)) {
		for (key = first; key < batch_end(first); key++)
			send_get(key);
		send_batch();
		for (key = first; key < batch_end(first); key++)
			receive_value(key, final_version(key));
	}
}

/* One of those that are never written again. */
static uint64_t constant_key(uint64_t i)
{
	uint64_t key = mix(seed + i) % num_keys;

	return key % UPDATE_EVERY ? key : key + 1;
}

static void use(void)
{
	const uint64_t updates = num_keys / UPDATE_EVERY;
	uint64_t first, end, i;

	for (first = 0; first < updates; first = end) {
		end = updates - first < BATCH ? updates : first + BATCH;
		for (i = first; i < end; i++) {
			send_set(i * UPDATE_EVERY, 1);
			send_get(constant_key(i));
		}
		send_batch();
		for (i = first; i < end; i++) {
			receive_ok();
			receive_value(constant_key(i), 0);
		}
	}
}

static void connect_server(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
	    (int)sizeof(address.sun_path))
		fail("%s: too long", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		fail("%s: %s", path, strerror(errno));
	to_server = fdopen(fd, "w");
	from_server = fdopen(dup(fd), "r");
	if (!to_server || !from_server)
		fail("%s", strerror(errno));
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (!*text || *end)
		fail("%s: not a number", text);
	return value;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} jobs[] = { { "fill", fill }, { "use", use }, { "verify", verify } };
	unsigned int i;

	if (argc != 7)
		fail("usage: redis-data fill|use|verify SOCKET KEYS VALUE-BYTES SEED MARKER");
	/* A whole number of groups: then key + 1 is one, too. */
	num_keys = number(argv[3]) / UPDATE_EVERY * UPDATE_EVERY;
	value_bytes = number(argv[4]);
	seed = number(argv[5]);
	marker = argv[6];
	marker_bytes = strlen(marker);
	if (!num_keys || value_bytes > MAX_VALUE_BYTES || value_bytes < marker_bytes)
		fail("no sensible number");
	connect_server(argv[2]);
	for (i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		if (strcmp(argv[1], jobs[i].name))
			continue;
		jobs[i].run();
		printf("written=%" PRIu64 " verified=%" PRIu64 " wrong=%" PRIu64 "\n",
		       written, verified, wrong);
		return wrong ? 1 : 0;
	}
	fail("%s: no such job", argv[1]);
}
