// SPDX-License-Identifier: GPL-2.0-only
/*
 * balancer.c - what is asked of cswap-balancer (docs/balancer-control.md).
 */
#include <stdio.h>
#include <string.h>

#include "balancer.h"
#include "connection.h"
#include "instances.h"

#define COLUMNS 80

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
	printf("  host       %s of %s available, %s in reserve, %s missing\n",
	       size(host, "available_bytes"), size(host, "limit_bytes"),
	       size(host, "reserve_bytes"), size(host, "deficit_bytes"));
	printf("  guests     %s known, %s managed, %s stuck, %s refused\n",
	       text(guests, "known"), text(guests, "managed"),
	       text(guests, "stuck"), text(guests, "refused"));
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

int balancer_run(const struct options *options, const char *command,
		 const char *guest)
{
	struct json_object *request = json_object_new_object(), *answer;
	struct connection connection = { .quiet = false };
	int status = EXIT_FAILED;

	json_object_object_add(request, "request", json_object_new_string(command));
	if (guest)
		json_object_object_add(request, "guest",
				       json_object_new_string(guest));
	if (!connection_open(&connection, options->balancer)) {
		json_object_put(request);
		return EXIT_FAILED;
	}
	if (connection_send(&connection, request) &&
	    connection_receive(&connection, 0, &answer) == CONNECTION_OK) {
		if (options->json)
			puts(json_object_to_json_string_ext(answer,
							    JSON_C_TO_STRING_PLAIN));
		else
			print_answer(answer);
		json_object_put(answer);
		status = 0;
	}
	connection_close(&connection);
	return status;
}
