// SPDX-License-Identifier: GPL-2.0-only
/*
 * balancer.c - what is asked of cswap-balancer (docs/balancer-control.md).
 */
#include <stdio.h>
#include <string.h>

#include "balancer.h"
#include "common/clock.h"
#include "connection.h"
#include "instances.h"
#include "print.h"

#define COLUMNS 80
/* For what is said beside something else. */
#define PATIENCE_MS 1000

static struct json_object *member(struct json_object *from, const char *name)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(from, name, &value);
	return value;
}

static const char *text(struct json_object *from, const char *name)
{
	const char *value = json_object_get_string(member(from, name));

	return value ? value : "unknown";
}

static const char *size(struct json_object *from, const char *name)
{
	struct json_object *value = member(from, name);

	return instances_size(value ? json_object_get_uint64(value) :
				      STATUS_UNKNOWN);
}

/* A sentence behind what stands in front of it; broken between words, at a terminal's edge. */
static void print_wrapped(const char *front, const char *sentence)
{
	int indent = (int)strlen(front), column = indent, bytes;

	fputs(front, stdout);
	for (; *sentence; sentence += bytes) {
		sentence += *sentence == ' ';
		bytes = (int)strcspn(sentence, " ");
		if (column > indent && column + 1 + bytes > COLUMNS) {
			printf("\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			putchar(' ');
			column++;
		}
		printf("%.*s", bytes, sentence);
		column += bytes;
	}
	putchar('\n');
}

static void print_guest(struct json_object *guest)
{
	printf("%s: %s (%s)\n", text(guest, "name"), text(guest, "state"), text(guest, "reason"));
	print_wrapped("  why        ", text(guest, "why"));
	printf("  memory     %s, at least %s, weight %s\n",
	       size(guest, "size_bytes"), size(guest, "floor_bytes"),
	       text(guest, "shares"));
	printf("  allotted   %s; asked to release %s, has released %s by its own account\n",
	       size(guest, "allotted_bytes"), size(guest, "target_bytes"),
	       size(guest, "released_bytes"));
	printf("  uses       %s, as the host measures it\n",
	       size(guest, "used_bytes"));
}

static void print_explanation(struct json_object *answer)
{
	struct json_object *steps = member(answer, "steps"), *change;
	struct json_object *history = member(answer, "history");
	char front[32];
	size_t i;

	for (i = 0; json_object_is_type(steps, json_type_array) &&
		    i < json_object_array_length(steps); i++) {
		snprintf(front, sizeof(front), "  %zu. ", i + 1);
		print_wrapped(front,
			      json_object_get_string(json_object_array_get_idx(steps, i)));
	}
	if (!json_object_is_type(history, json_type_array))
		return;
	for (i = 0; i < json_object_array_length(history); i++) {
		change = json_object_array_get_idx(history, i);
		printf("  %.0f s ago: %s to %s: %s\n",
		       json_object_get_double(member(change, "age_ms")) / 1000,
		       size(change, "from_bytes"), size(change, "to_bytes"),
		       text(change, "reason"));
	}
}

static void print_status(struct json_object *answer)
{
	struct json_object *host = member(answer, "host");
	struct json_object *guests = member(answer, "guests");

	printf("balancer %s%s\n",
	       json_object_get_boolean(member(answer, "paused")) ? "paused" : "at work",
	       json_object_get_boolean(member(answer, "dry_run")) ? ", and only says what it would do" : "");
	if (member(host, "available_bytes"))
		printf("  host       %s of %s available, %s in reserve, %s missing\n",
		       size(host, "available_bytes"), size(host, "limit_bytes"),
		       size(host, "reserve_bytes"), size(host, "deficit_bytes"));
	else
		puts("  host       its memory can't be measured, and nothing is decided: see the balancer's log");
	printf("  guests     %s known, %s managed, %s stuck, %s refused\n",
	       text(guests, "known"), text(guests, "managed"),
	       text(guests, "stuck"), text(guests, "refused"));
}

static void print_guests(struct json_object *list)
{
	struct json_object *guests = member(list, "guests"), *guest;
	unsigned int columns = sizeof("GUEST") - 1, length;
	size_t i, count = json_object_array_length(guests);

	for (i = 0; i < count; i++) {
		length = instances_columns(text(json_object_array_get_idx(guests, i), "name"));
		columns = length > columns ? length : columns;
	}
	printf("%s %8s %8s %8s %8s  %s\n", instances_name("GUEST", columns), "MEMORY", "ALLOTTED",
	       "RELEASED", "USED", "STATE");
	for (i = 0; i < count; i++) {
		guest = json_object_array_get_idx(guests, i);
		printf("%s %8s %8s %8s %8s  %s: %s\n", instances_name(text(guest, "name"), columns),
		       size(guest, "size_bytes"), size(guest, "allotted_bytes"),
		       size(guest, "released_bytes"), size(guest, "used_bytes"),
		       text(guest, "state"), text(guest, "why"));
	}
}

static void print_answer(struct json_object *answer)
{
	struct json_object *guest = member(answer, "guest");

	if (!guest) {
		print_status(answer);
		return;
	}
	print_guest(guest);
	print_explanation(answer);
}

/* One request and its answer, which is to be put; NULL: there is none. With patience nothing is said of that. */
static struct json_object *ask(const char *socket, const char *command, const char *guest,
			       unsigned int patience_ms)
{
	struct json_object *request = json_object_new_object(), *answer = NULL;
	struct connection connection = {
		.quiet = patience_ms,
		.absent = "cswap-balancer doesn't run (systemctl start cswap-balancer)",
	};
	uint64_t deadline_ms = patience_ms ? clock_now_ms() + patience_ms : 0;

	json_object_object_add(request, "request", json_object_new_string(command));
	if (guest)
		json_object_object_add(request, "guest", json_object_new_string(guest));
	if (!connection_open(&connection, socket)) {
		json_object_put(request);
		return NULL;
	}
	if (!connection_send(&connection, request) ||
	    connection_receive(&connection, deadline_ms, &answer) != CONNECTION_OK)
		answer = NULL;
	connection_close(&connection);
	return answer;
}

struct json_object *balancer_list(const struct options *options, unsigned int patience_ms)
{
	return ask(options->balancer, "list", NULL, patience_ms);
}

/* The guest whose @field is @value; NULL: none is. */
static struct json_object *find_guest(struct json_object *list, const char *field,
				      const char *value)
{
	struct json_object *guests = member(list, "guests"), *guest;
	size_t i;

	for (i = 0; json_object_is_type(guests, json_type_array) &&
		    i < json_object_array_length(guests); i++) {
		guest = json_object_array_get_idx(guests, i);
		if (!strcmp(text(guest, field), value))
			return guest;
	}
	return NULL;
}

struct json_object *balancer_find_guest(struct json_object *list, const char *socket)
{
	return find_guest(list, "socket", socket);
}

const char *balancer_remark(struct json_object *list, const char *socket)
{
	struct json_object *guest = balancer_find_guest(list, socket);
	const char *state = guest ? text(guest, "state") : "managed";

	/* The daemon says those itself. */
	if (!strcmp(state, "managed") || !strcmp(state, "late") || !strcmp(state, "unready"))
		return NULL;
	return state;
}

void balancer_warn(const struct options *options, const char *socket)
{
	struct json_object *list = balancer_list(options, PATIENCE_MS), *guest;
	const char *state;

	guest = balancer_find_guest(list, socket);
	state = guest ? text(guest, "state") : "paused";
	if (strcmp(state, "paused") && !json_object_get_boolean(member(list, "paused")) &&
	    !json_object_get_boolean(member(list, "dry_run")))
		fprintf(stderr, "cswapctl: cswap-balancer sets this guest's target, and will replace yours: cswapctl pause %s\n",
			text(guest, "name"));
	json_object_put(list);
}

/* The host, and below it the guests. */
static int show_all(const struct options *options)
{
	struct json_object *status = ask(options->balancer, "status", NULL, 0), *list = NULL;

	if (status)
		list = ask(options->balancer, "list", NULL, 0);
	if (list && options->json) {
		print_json(list);
	} else if (list) {
		print_status(status);
		print_guests(list);
	}
	json_object_put(status);
	json_object_put(list);
	return list ? 0 : EXIT_FAILED;
}

/* On stderr, if it's known: what is to be done in the guest when that has its memory, and how long it takes. */
static void tell_way_back(const struct options *options)
{
	struct json_object *list = balancer_list(options, PATIENCE_MS);
	struct json_object *guest = find_guest(list, "name", options->guest);
	struct json_object *answer = guest ? ask(text(guest, "socket"), "status", NULL, PATIENCE_MS) :
					     NULL;
	struct status status;

	if (answer) {
		status_read(answer, &status);
		if (status_way_back(&status))
			fprintf(stderr, "cswapctl: swapoff in %s then brings back %s\n",
				options->guest, status_way_back(&status));
	}
	json_object_put(answer);
	json_object_put(list);
}

int balancer_run(const struct options *options, const char *command)
{
	struct json_object *answer;

	if (!strcmp(command, "balancer"))
		return show_all(options);
	if (!strcmp(command, "drain"))
		tell_way_back(options);
	answer = ask(options->balancer, command, options->guest, 0);
	if (!answer)
		return EXIT_FAILED;
	if (options->json)
		print_json(answer);
	else
		print_answer(answer);
	json_object_put(answer);
	return 0;
}
