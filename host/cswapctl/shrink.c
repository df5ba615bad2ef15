// SPDX-License-Identifier: GPL-2.0-only
/*
 * shrink.c - a guest pushes out what it can for as long as a command runs, which may be its move to another host.
 *
 * Theory of operation: memory that isn't resident isn't copied by a move. The guest's daemon asks for more than its
 * target as long as our connection exists, and no longer: so if this program or the daemon dies there is nothing to
 * undo, and the target itself never changes, neither here nor in the state that a guest takes along. First we wait
 * until the guest has released so much, or says why it doesn't, or the time is up; then the command runs, however much
 * the guest has released.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "balancer.h"
#include "common/clock.h"
#include "connection.h"
#include "guest.h"
#include "shrink.h"
#include "status.h"

#define DEFAULT_MS 60000

/* NULL, or why the guest gives no more than it has. */
static const char *find_end(enum connection_result result, struct json_object *answer, uint64_t number)
{
	struct status status;
	enum status_progress progress;

	if (result == CONNECTION_TIMEOUT)
		return "the time is up";
	status_read(answer, &status);
	progress = status_progress(&status, number);
	return progress == STATUS_WORKING ? NULL :
	       progress == STATUS_REACHED ? "so much is released" : status_reason(&status);
}

/* Until the guest has pushed out what it can. False: its daemon is gone. */
static bool await_shrunk(struct connection *connection, const struct options *options,
			 struct json_object *first)
{
	const uint64_t end_ms = clock_now_ms() +
				(options->timeout_ms ? options->timeout_ms : DEFAULT_MS);
	struct json_object *answer = first;
	const char *why = NULL;
	struct status status;
	uint64_t number;

	status_read(first, &status);
	number = status.report_number;
	while (!why) {
		struct json_object *next = NULL;
		enum connection_result result = connection_receive(connection, end_ms, &next);

		if (result == CONNECTION_FAILED)
			break;
		if (next) {
			json_object_put(answer);
			answer = next;
		}
		why = find_end(result, answer, number);
	}
	if (why) {
		status_read(answer, &status);
		fprintf(stderr, "cswapctl: the guest has released %ju MiB: %s\n",
			(uintmax_t)status.released >> 20, why);
	}
	json_object_put(answer);
	return why;
}

static int run_command(char *const *command)
{
	pid_t child = fork();
	int status;

	if (!child) {
		execvp(command[0], command);
		fprintf(stderr, "cswapctl: can't run %s: %s\n", command[0], strerror(errno));
		_exit(127);
	}
	/*
	 * A signal to both is meant for the command; the guest has its memory again when the
	 * command has ended.
	 */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	if (child < 0 || waitpid(child, &status, 0) != child) {
		fprintf(stderr, "cswapctl: can't run %s: %s\n", command[0], strerror(errno));
		return EXIT_FAILED;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int shrink_run(const struct options *options, struct json_object *request, char *const *command)
{
	struct connection connection = { .quiet = false };
	struct json_object *answer;
	char *found = NULL;
	const char *path = options->socket;
	int status = EXIT_FAILED;

	if (!path)
		path = found = connection_find_socket(options->directory, options->guest);
	if (!path || !connection_open(&connection, path)) {
		json_object_put(request);
		free(found);
		return EXIT_FAILED;
	}
	if (connection_send(&connection, request) &&
	    connection_receive(&connection, 0, &answer) == CONNECTION_OK &&
	    await_shrunk(&connection, options, answer))
		status = run_command(command);
	connection_close(&connection);
	free(found);
	return status;
}
