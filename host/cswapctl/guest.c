// SPDX-License-Identifier: GPL-2.0-only
/*
 * guest.c - what is asked of one guest's daemon: its status, once or again and again, and a target.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balancer.h"
#include "common/clock.h"
#include "connection.h"
#include "guest.h"
#include "instances.h"
#include "print.h"
#include "status.h"

/* While waiting, a line each so often, if it says anything new. */
#define WAIT_INTERVAL_MS 200

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
		print_json(answer);
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
	/* Until the reader of the output leaves, or the daemon ends. */
	while (connection_receive(connection, 0, &answer) == CONNECTION_OK) {
		show(options, answer, status_print_line);
		if (ferror(stdout))
			return 0;
	}
	return EXIT_FAILED;
}

/* --- target --- */

/* ".5" and its like, in units of 2^32 behind the point. */
static uint64_t parse_fraction(char **end)
{
	uint64_t digits = 0, scale = 1;

	if (**end != '.')
		return 0;
	for ((*end)++; **end >= '0' && **end <= '9'; (*end)++) {
		if (scale >= 1000000000)
			continue;
		digits = digits * 10 + (uint64_t)(**end - '0');
		scale *= 10;
	}
	return (digits << 32) / scale;
}

static bool parse_size(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "KMGT";
	unsigned long long value;
	unsigned int shift = 0;
	const char *suffix;
	uint64_t fraction;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *text < '0' || *text > '9')
		return false;
	fraction = parse_fraction(&end);
	if (*end) {
		suffix = strchr(suffixes, *end & ~0x20);
		if (!suffix || !*suffix)
			return false;
		shift = 10 * (unsigned int)(suffix - suffixes + 1);
		end += end[1] == 'i' ? 2 : 1;
		end += *end == 'B';
	}
	/* Half a byte is a mistake. */
	if (*end || value >= (unsigned long long)INT64_MAX >> shift || (fraction && !shift))
		return false;
	*bytes = (value << shift) + (shift > 32 ? fraction << (shift - 32) : fraction >> (32 - shift));
	return true;
}

struct json_object *guest_make_request(const char *verb, const char *text)
{
	struct json_object *request;
	double percent;
	uint64_t bytes;
	char *end;

	if (parse_size(text, &bytes)) {
		request = make_request(verb);
		json_object_object_add(request, "bytes",
				       json_object_new_uint64(bytes));
		return request;
	}
	percent = strtod(text, &end);
	if (end == text || strcmp(end, "%") || !(percent >= 0 && percent <= 100))
		return NULL;
	request = make_request(verb);
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
		deadline_ms = clock_now_ms() + options->timeout_ms;
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

/* What is asked of one guest's daemon. */
int guest_run(const struct options *options, const char *command,
		     struct json_object *target)
{
	struct connection connection = { .quiet = false };
	char *found = NULL;
	const char *path = options->socket;
	int status;

	if (!path)
		path = found = connection_find_socket(options->directory, options->guest);
	if (!path || !connection_open(&connection, path)) {
		json_object_put(target);
		free(found);
		return EXIT_FAILED;
	}
	if (target)
		balancer_warn(options, path);
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
