// SPDX-License-Identifier: GPL-2.0-only
/*
 * ctl.c - the control socket: an operator's requests, a line each.
 *
 * Theory of operation: everything here is non-blocking and bounded, because the
 * thread that does it also serves the front end. A client has one answer under
 * way at a time; until the client has read it, nothing more is read from the client,
 * and what a watch would have sent is left out. Too long a line ends the
 * connection. When there are too many clients, the daemon closes the connection that was
 * silent for the longest time.
 *
 * Root and the user that the daemon runs as may connect. The daemon checks the peer's
 * credentials, whatever the socket's mode is.
 *
 * When there are no descriptors left for one more client, new clients wait in the socket's
 * queue, and the socket isn't polled for a while: it would be readable all the time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "ctl.h"
#include "listener.h"
#include "log.h"

/* After a connection that couldn't be accepted. */
#define ACCEPT_PAUSE_MS 1000

struct client {
	int fd;				/* -1: none */
	uint64_t heard;			/* when it was, counting what is heard */
	unsigned int watch_ms;		/* 0: no watch */
	bool holds;			/* of what the caller has: one client at most */
	uint64_t next_ms;		/* when the watch is due */
	size_t in_bytes;
	char in[CTL_LINE_BYTES];
	char *out;			/* NULL: nothing to send */
	size_t out_bytes;
	size_t out_sent;
};

struct ctl {
	const struct ctl_ops *ops;
	void *context;
	char *path;
	int listen_fd;
	uint64_t accept_at_ms;		/* not before */
	struct log_rate accept_rate;	/* lines about it */
	uint64_t heard;
	struct client client[CTL_MAX_CLIENTS];
};

static void client_let_go(const struct ctl *ctl, struct client *client)
{
	if (client->holds)
		ctl->ops->let_go(ctl->context);
	client->holds = false;
}

static void client_close(const struct ctl *ctl, struct client *client)
{
	client_let_go(ctl, client);
	close(client->fd);
	free(client->out);
	memset(client, 0, sizeof(*client));
	client->fd = -1;
}

/* --- answers --- */

/* Send as much as goes. False: the client is gone. */
static bool client_send(struct client *client)
{
	ssize_t n;

	while (client->out) {
		n = send(client->fd, client->out + client->out_sent,
			 client->out_bytes - client->out_sent,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		client->out_sent += (size_t)n;
		if (client->out_sent < client->out_bytes)
			continue;
		free(client->out);
		client->out = NULL;
	}
	return true;
}

/* Begin to send @text, which is ours to free; nothing else is under way. */
static bool client_answer(struct client *client, char *text)
{
	size_t len;
	char *line;

	if (!text)
		return false;
	len = strlen(text);
	line = realloc(text, len + 1);
	if (!line) {
		free(text);
		return false;
	}
	/* The end of the string becomes the end of the line. */
	line[len] = '\n';
	client->out = line;
	client->out_bytes = len + 1;
	client->out_sent = 0;
	return client_send(client);
}

/* --- requests --- */

static bool client_request(struct ctl *ctl, struct client *client, char *line)
{
	char *text;

	client_let_go(ctl, client);
	client->watch_ms = 0;
	text = ctl->ops->answer(ctl->context, line, &client->watch_ms);
	client->holds = client->watch_ms & CTL_HOLDS;
	client->watch_ms &= ~CTL_HOLDS;
	if (!client_answer(client, text))
		return false;
	client->next_ms = clock_now_ms() + client->watch_ms;
	return true;
}

/* Answer the requests that are whole, as long as the answers go out. */
static bool client_take_lines(struct ctl *ctl, struct client *client)
{
	char *end;

	while (!client->out &&
	       (end = memchr(client->in, '\n', client->in_bytes))) {
		size_t bytes = (size_t)(end - client->in) + 1;
		char line[CTL_LINE_BYTES];

		memcpy(line, client->in, bytes - 1);
		line[bytes - 1] = '\0';
		client->in_bytes -= bytes;
		memmove(client->in, end + 1, client->in_bytes);
		if (!client_request(ctl, client, line))
			return false;
	}
	return client->in_bytes < sizeof(client->in) ||
	       memchr(client->in, '\n', client->in_bytes);
}

/* Only when all that came before is answered; so at its end nothing is left. */
static bool client_receive(struct ctl *ctl, struct client *client)
{
	ssize_t n;

	n = recv(client->fd, client->in + client->in_bytes,
		 sizeof(client->in) - client->in_bytes, MSG_DONTWAIT);
	if (n <= 0)
		return n && (errno == EAGAIN || errno == EINTR);
	client->heard = ++ctl->heard;
	client->in_bytes += (size_t)n;
	return true;
}

/* False: it's to be closed. */
static bool client_run(struct ctl *ctl, struct client *client, short events)
{
	if (events & (POLLERR | POLLNVAL))
		return false;
	if (!client_send(client))
		return false;
	if (events & (POLLIN | POLLHUP) && !client->out &&
	    !client_receive(ctl, client))
		return false;
	if (!client_take_lines(ctl, client))
		return false;
	if (!client->watch_ms || clock_now_ms() < client->next_ms)
		return true;
	client->next_ms = clock_now_ms() + client->watch_ms;
	return client->out ||
	       client_answer(client, ctl->ops->watch(ctl->context));
}

/* --- clients come --- */

static bool may_connect(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return false;
	if (!peer.uid || peer.uid == geteuid())
		return true;
	log_warning("control socket: user %u was refused", peer.uid);
	return false;
}

/* A free place, or that of the client that may go first. */
static struct client *make_room(struct ctl *ctl)
{
	struct client *oldest = NULL;
	unsigned int i;

	for (i = 0; i < CTL_MAX_CLIENTS; i++) {
		struct client *client = &ctl->client[i];

		if (client->fd < 0)
			return client;
		/* A client that holds something sends nothing more. */
		if (!client->holds && (!oldest || client->heard < oldest->heard))
			oldest = client;
	}
	client_close(ctl, oldest);
	return oldest;
}

/* It waits in the queue; what is short may be there later. */
static void put_off(struct ctl *ctl, int error)
{
	ctl->accept_at_ms = clock_now_ms() + ACCEPT_PAUSE_MS;
	log_limited(&ctl->accept_rate, LOG_WARNING,
		    "control socket: can't accept a connection: %s%s", strerror(error),
		    error == EMFILE ? ": raise RLIMIT_NOFILE (LimitNOFILE= of the unit)" : "");
}

static void accept_client(struct ctl *ctl)
{
	int fd = accept4(ctl->listen_fd, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			put_off(ctl, errno);
		return;
	}
	if (!may_connect(fd)) {
		close(fd);
		return;
	}
	client = make_room(ctl);
	client->fd = fd;
	client->heard = ++ctl->heard;
}

/* --- for the caller's loop --- */

size_t ctl_prepare_poll(const struct ctl *ctl, struct pollfd *fds)
{
	size_t used = 1;
	unsigned int i;

	fds[0] = (struct pollfd) {
		.fd = clock_now_ms() < ctl->accept_at_ms ? -1 : ctl->listen_fd,
		.events = POLLIN,
	};
	for (i = 0; i < CTL_MAX_CLIENTS; i++) {
		const struct client *client = &ctl->client[i];

		fds[1 + i] = (struct pollfd) {
			.fd = client->fd,
			.events = client->out ? POLLOUT : POLLIN,
		};
		if (client->fd >= 0)
			used = 2 + i;
	}
	/* poll() refuses more entries than there may be descriptors. */
	return used;
}

int ctl_timeout_ms(const struct ctl *ctl)
{
	uint64_t now = clock_now_ms(), soonest = UINT64_MAX;
	unsigned int i;

	if (ctl->accept_at_ms > now)
		soonest = ctl->accept_at_ms;
	for (i = 0; i < CTL_MAX_CLIENTS; i++)
		if (ctl->client[i].fd >= 0 && ctl->client[i].watch_ms &&
		    ctl->client[i].next_ms < soonest)
			soonest = ctl->client[i].next_ms;
	if (soonest == UINT64_MAX)
		return -1;
	return soonest > now ? (int)(soonest - now) : 0;
}

void ctl_run(struct ctl *ctl, const struct pollfd *fds)
{
	unsigned int i;

	for (i = 0; i < CTL_MAX_CLIENTS; i++) {
		struct client *client = &ctl->client[i];

		if (client->fd >= 0 && client->fd == fds[1 + i].fd &&
		    !client_run(ctl, client, fds[1 + i].revents))
			client_close(ctl, client);
	}
	if (fds[0].revents)
		accept_client(ctl);
}

/* --- opening and closing --- */

struct ctl *ctl_open(const char *path, const struct ctl_ops *ops,
		     void *context)
{
	struct ctl *ctl = calloc(1, sizeof(*ctl));
	unsigned int i;
	mode_t mask;

	if (!ctl)
		return NULL;
	for (i = 0; i < CTL_MAX_CLIENTS; i++)
		ctl->client[i].fd = -1;
	ctl->ops = ops;
	ctl->context = context;
	ctl->path = strdup(path);
	mask = umask(0177);
	ctl->listen_fd = ctl->path ? listener_open(path, CTL_MAX_CLIENTS) : -1;
	umask(mask);
	if (ctl->listen_fd < 0) {
		free(ctl->path);
		free(ctl);
		return NULL;
	}
	return ctl;
}

void ctl_close(struct ctl *ctl)
{
	unsigned int i;

	for (i = 0; i < CTL_MAX_CLIENTS; i++)
		if (ctl->client[i].fd >= 0)
			client_close(ctl, &ctl->client[i]);
	unlink(ctl->path);
	close(ctl->listen_fd);
	free(ctl->path);
	free(ctl);
}
