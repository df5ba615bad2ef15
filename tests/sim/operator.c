// SPDX-License-Identifier: GPL-2.0-only
/*
 * operator.c - the daemon's control socket, as a test needs it: ask, get a line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "operator.h"

static int talk(int fd, const char *line, char reply[OPERATOR_REPLY_BYTES])
{
	const struct timeval patience = { .tv_sec = FE_PATIENCE_MS / 1000 };
	size_t bytes = 0;
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0 ||
	    send(fd, "\n", 1, MSG_NOSIGNAL) < 0)
		return -1;
	while (bytes < OPERATOR_REPLY_BYTES - 1) {
		n = recv(fd, reply + bytes, OPERATOR_REPLY_BYTES - 1 - bytes, 0);
		if (n <= 0)
			return -1;
		bytes += n;
		if (reply[bytes - 1] != '\n')
			continue;
		reply[bytes] = '\0';
		return 0;
	}
	return -1;
}

int operator_ask(struct guest *g, const char *path, const char *line,
		 char reply[OPERATOR_REPLY_BYTES])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = -1;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s.ctl", path);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address)))
		rc = talk(fd, line, reply);
	if (rc)
		guest_fail(g, "control socket: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

u64 operator_number(const char *reply, const char *key)
{
	const char *at = strstr(reply, key);

	at = at ? strchr(at + strlen(key), ':') : NULL;
	if (!at || at[1] < '0' || at[1] > '9')
		return ~0ull;
	return strtoull(at + 1, NULL, 10);
}

int operator_status(struct guest *g, const char *path, const char *key, u64 *value)
{
	char reply[OPERATOR_REPLY_BYTES];

	if (operator_ask(g, path, "{\"request\":\"status\"}", reply))
		return -1;
	*value = operator_number(reply, key);
	return 0;
}

int operator_target(struct guest *g, const char *path, u64 bytes)
{
	char line[128], reply[OPERATOR_REPLY_BYTES];

	snprintf(line, sizeof(line), "{\"request\":\"target\",\"bytes\":%llu}", bytes);
	if (operator_ask(g, path, line, reply))
		return -1;
	return strstr(reply, "\"ok\":true") ? 0 :
		guest_fail(g, "target refused: %s", reply);
}
