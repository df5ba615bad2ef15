/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * connection.h - a daemon's control socket: finding it, and lines of JSON over it.
 *
 * All that can fail says so on stderr, except where a connection is quiet.
 */
#ifndef CSWAPCTL_CONNECTION_H
#define CSWAPCTL_CONNECTION_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

struct connection {
	bool quiet;			/* set before it's opened, as is the next */
	const char *absent;		/* says what to do when no daemon listens, or NULL */
	int fd;				/* -1: closed */
	char *in;
	size_t in_bytes, in_size;
};

enum connection_result {
	CONNECTION_OK,
	CONNECTION_FAILED,
	CONNECTION_TIMEOUT,
};

/*
 * The control socket of @guest in @directory, or of the only guest there is if
 * that is NULL. To be freed; NULL: there is none, or more than one; which there are
 * is said.
 */
char *connection_find_socket(const char *directory, const char *guest);

/* False: errno says why. */
bool connection_open(struct connection *connection, const char *path);
void connection_close(struct connection *connection);

bool connection_send(struct connection *connection, struct json_object *request);

/*
 * Receive an answer that isn't an error, until @deadline_ms (0: no end) at the
 * longest.
 */
enum connection_result connection_receive(struct connection *connection,
					  uint64_t deadline_ms,
					  struct json_object **answer);

#endif
