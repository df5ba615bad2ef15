// SPDX-License-Identifier: GPL-2.0-only
/*
 * connection.c - a daemon's control socket: finding it, and lines of JSON over it.
 */
#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/plain.h"
#include "connection.h"

/* A daemon that doesn't answer so long is stuck, or isn't one. */
#define PATIENCE_MS 30000

/* The longest answer that is believed: a list of thousands of guests. */
#define ANSWER_MAX (16u << 20)

/* @what may be the daemon's. */
static bool complain(const char *what, const char *about)
{
	fprintf(stderr, "cswapctl: %s%s", about ? about : "", about ? ": " : "");
	plain_put(stderr, what);
	putc('\n', stderr);
	return false;
}

/* The name of a guest is that of its socket's folder. */
static void print_guests(const glob_t *found)
{
	const char *end, *begin;
	size_t i;

	for (i = 0; i < found->gl_pathc; i++) {
		end = strrchr(found->gl_pathv[i], '/');
		for (begin = end; begin > found->gl_pathv[i] && begin[-1] != '/'; begin--)
			;
		fprintf(stderr, " %.*s", (int)(end - begin), begin);
	}
}

/* There is no such guest, or it must be told which: name those that there are. */
static void explain_guests(const char *directory, const char *guest, const glob_t *found)
{
	if (guest)
		fprintf(stderr, "cswapctl: no guest %s;", guest);
	else
		fputs(found->gl_pathc ? "cswapctl: which guest?" : "cswapctl: no guest;", stderr);
	if (found->gl_pathc) {
		fputs(guest ? " there are:" : " There are:", stderr);
		print_guests(found);
		fputs("\n", stderr);
	} else {
		fprintf(stderr, " no daemon has a control socket in %s/GUEST (systemctl start cswapd@GUEST)\n",
			directory);
	}
}

/* Those that there are; none, where that can't be found out. */
static void find_guests(const char *directory, glob_t *found)
{
	char *pattern = NULL;

	memset(found, 0, sizeof(*found));
	if (asprintf(&pattern, "%s/*/control", directory) >= 0 &&
	    glob(pattern, 0, NULL, found))
		found->gl_pathc = 0;
	free(pattern);
}

char *connection_find_socket(const char *directory, const char *guest)
{
	char *path = NULL;
	glob_t found;

	find_guests(directory, &found);
	if (guest && asprintf(&path, "%s/%s/control", directory, guest) < 0)
		path = NULL;
	else if (!guest && found.gl_pathc == 1)
		path = strdup(found.gl_pathv[0]);
	/* What can't be looked at may be there. */
	if (!path || (access(path, F_OK) && errno == ENOENT)) {
		explain_guests(directory, guest, &found);
		free(path);
		path = NULL;
	}
	globfree(&found);
	return path;
}

static bool complain_of(const struct connection *connection, const char *what,
			const char *about)
{
	return !connection->quiet && complain(what, about);
}

bool connection_open(struct connection *connection, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error;

	connection->fd = -1;
	connection->in = NULL;
	connection->in_bytes = connection->in_size = 0;
	errno = ENAMETOOLONG;
	if (strlen(path) >= sizeof(address.sun_path))
		return complain_of(connection, "path too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path));
	/*
	 * A quiet connection is one of many, and none may delay the others: a full backlog blocks.
	 */
	connection->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
				(connection->quiet ? SOCK_NONBLOCK : 0), 0);
	if (connection->fd < 0)
		return complain_of(connection, strerror(errno), "socket");
	if (!connect(connection->fd, (const struct sockaddr *)&address,
		     sizeof(address)))
		return true;
	error = errno;
	if (error == EACCES || error == EPERM)
		complain_of(connection, "permission denied; run as root", path);
	else if (connection->absent && (error == ENOENT || error == ECONNREFUSED))
		complain_of(connection, connection->absent, NULL);
	else if (error == ECONNREFUSED)
		complain_of(connection, "the daemon behind this socket has ended", path);
	else
		complain_of(connection, strerror(error), path);
	connection_close(connection);
	errno = error;
	return false;
}

void connection_close(struct connection *connection)
{
	if (connection->fd >= 0)
		close(connection->fd);
	connection->fd = -1;
	free(connection->in);
	connection->in = NULL;
}

bool connection_send(struct connection *connection, struct json_object *request)
{
	const char *text = json_object_to_json_string_ext(request,
							  JSON_C_TO_STRING_PLAIN);
	struct iovec iov[2] = {
		{ (void *)(uintptr_t)text, strlen(text) }, { (char[]){ "\n" }, 1 },
	};
	struct msghdr header = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	/* A request is far smaller than a socket's buffer: all or nothing. */
	n = sendmsg(connection->fd, &header, MSG_NOSIGNAL);
	json_object_put(request);
	return n >= 0 ||
	       complain_of(connection, strerror(errno), "the daemon is gone");
}

static enum connection_result failed(const struct connection *connection,
				     const char *what, const char *about)
{
	complain_of(connection, what, about);
	return CONNECTION_FAILED;
}

static bool make_room(struct connection *connection)
{
	size_t size = connection->in_size ? connection->in_size * 2 : 4096;
	char *in;

	if (connection->in_bytes < connection->in_size)
		return true;
	in = size <= ANSWER_MAX ? realloc(connection->in, size) : NULL;
	if (!in)
		return false;
	connection->in = in;
	connection->in_size = size;
	return true;
}

/* Read on; what is read comes behind what is there. */
static enum connection_result fill(struct connection *connection,
				   uint64_t deadline_ms)
{
	struct pollfd pollfd = { .fd = connection->fd, .events = POLLIN };
	uint64_t now = clock_now_ms(), wait_ms = PATIENCE_MS;
	ssize_t n;

	if (deadline_ms && deadline_ms < now + wait_ms)
		wait_ms = deadline_ms > now ? deadline_ms - now : 0;
	n = poll(&pollfd, 1, (int)wait_ms);
	if (!n)
		return wait_ms == PATIENCE_MS ?
			       failed(connection, "the daemon doesn't answer", NULL) :
			       CONNECTION_TIMEOUT;
	if (!make_room(connection))
		return failed(connection, "the answer is too long", NULL);
	n = recv(connection->fd, connection->in + connection->in_bytes,
		 connection->in_size - connection->in_bytes, 0);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return CONNECTION_OK;
	if (n <= 0)
		return failed(connection,
			      n ? strerror(errno) : "it hung up (is this user permitted?)",
			      "the daemon is gone");
	connection->in_bytes += (size_t)n;
	return CONNECTION_OK;
}

static enum connection_result check_answer(const struct connection *connection,
					   struct json_object *answer)
{
	struct json_object *value;

	if (!json_object_is_type(answer, json_type_object) ||
	    !json_object_object_get_ex(answer, "ok", &value))
		return failed(connection, "the answer makes no sense", NULL);
	if (json_object_get_boolean(value))
		return CONNECTION_OK;
	value = NULL;
	json_object_object_get_ex(answer, "error", &value);
	return failed(connection, value ? json_object_get_string(value) : "it doesn't say why",
		      "refused");
}

enum connection_result connection_receive(struct connection *connection,
					  uint64_t deadline_ms,
					  struct json_object **answer)
{
	enum connection_result result;
	size_t bytes;
	char *end;

	while (!connection->in_bytes ||
	       !(end = memchr(connection->in, '\n', connection->in_bytes))) {
		result = fill(connection, deadline_ms);
		if (result != CONNECTION_OK)
			return result;
	}
	*end = '\0';
	*answer = json_tokener_parse(connection->in);
	bytes = (size_t)(end - connection->in) + 1;
	connection->in_bytes -= bytes;
	memmove(connection->in, end + 1, connection->in_bytes);
	result = check_answer(connection, *answer);
	if (result != CONNECTION_OK)
		json_object_put(*answer);
	return result;
}
