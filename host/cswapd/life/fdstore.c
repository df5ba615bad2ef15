// SPDX-License-Identifier: GPL-2.0-only
/*
 * fdstore.c - what we tell systemd, and the descriptors that it keeps for the next daemon.
 *
 * The unit's FileDescriptorStoreMax= says whether systemd keeps descriptors, and how many. They are
 * passed like those of socket units, and our prefix tells them apart. The daemon asks systemd not to
 * poll them: the next daemon finds out that a front end has hung up.
 *
 * Theory of operation: systemd may be busy, and its socket takes few messages, so a caller sends
 * nothing. What it says is noted, the newest message on each name only, and sent when the socket has
 * room: the loop that polls fdstore_poll() calls fdstore_run(). A descriptor that is to be kept must
 * stay open until something else is said of its name. If the daemon is killed while systemd doesn't
 * listen, its successor gets the descriptors that systemd had taken until then: monitor.c answers no
 * message before systemd has taken what belongs to it.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "fdstore.h"
#include "common/log.h"
#include "frontend/vu_message.h"

#define PREFIX "cswapd-"
#define NAME_BYTES 16
#define MAX_STATES 8
/* How long systemd may take for each message when there is nothing else to do. */
#define FINISH_MS 5000

/* What systemd is to have under a name. */
enum wish {
	WISH_GRANTED,
	WISH_DROP,			/* nothing */
	WISH_REPLACE,			/* first nothing, then @fd */
	WISH_KEEP,			/* @fd; there is nothing yet */
};

struct entry {
	char name[NAME_BYTES];
	int fd;
	enum wish wish;
};

static struct {
	int fd;				/* systemd's socket; -1: none */
	unsigned int num_states;	/* to be told first: */
	const char *state[MAX_STATES];
	unsigned int wishes;		/* entries that aren't granted */
	unsigned int count;
	struct entry entry[FDSTORE_MAX];
} store = { .fd = -1 };

/* --- the socket --- */

bool fdstore_exists(void)
{
	return getenv("NOTIFY_SOCKET");
}

void fdstore_close(void)
{
	int error = errno;

	if (store.fd >= 0)
		close(store.fd);
	store.fd = -1;
	errno = error;
}

static bool open_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	socklen_t length;

	if (store.fd >= 0)
		return true;
	errno = ENAMETOOLONG;
	if (!path || strlen(path) >= sizeof(address.sun_path))
		return false;
	memcpy(address.sun_path, path, strlen(path));
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (*path == '@')
		address.sun_path[0] = '\0';
	store.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Connected, so that poll() knows when there is room. */
	if (store.fd >= 0 && connect(store.fd, (struct sockaddr *)&address, length))
		fdstore_close();
	return store.fd >= 0;
}

/* 0, or an error; EAGAIN: there is no room now. */
static int tell(const char *text, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (!open_socket())
		return errno;
	if (fd >= 0)
		vu_attach_fds(&header, control, &fd, 1);
	while (sendmsg(store.fd, &header, MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		/* It may listen anew. */
		if (errno == ECONNREFUSED)
			fdstore_close();
		return errno;
	}
	return 0;
}

static bool is_full(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM;
}

/* --- wishes --- */

static struct entry *find(const char *name)
{
	struct entry *entry;
	unsigned int i;

	for (i = 0; i < store.count; i++)
		if (!strcmp(store.entry[i].name, name))
			return &store.entry[i];
	if (store.count == FDSTORE_MAX)
		return NULL;
	entry = &store.entry[store.count++];
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	entry->fd = -1;
	return entry;
}

static void want(struct entry *entry, enum wish wish)
{
	store.wishes += !!wish;
	store.wishes -= !!entry->wish;
	entry->wish = wish;
}

void fdstore_keep(const char *name, int fd)
{
	struct entry *entry = fdstore_exists() ? find(name) : NULL;

	if (!entry)
		return;
	/* What is under the name already would stay beside it. */
	want(entry, entry->fd >= 0 || entry->wish == WISH_DROP ||
		    entry->wish == WISH_REPLACE ? WISH_REPLACE : WISH_KEEP);
	entry->fd = fd;
	fdstore_run();
}

void fdstore_drop(const char *name)
{
	struct entry *entry = fdstore_exists() ? find(name) : NULL;

	if (!entry)
		return;
	want(entry, WISH_DROP);
	entry->fd = -1;
	fdstore_run();
}

void fdstore_tell(const char *state)
{
	unsigned int i;

	for (i = 0; i < store.num_states; i++)
		if (!strcmp(store.state[i], state))
			return;
	if (!fdstore_exists() || i == MAX_STATES)
		return;
	store.state[store.num_states++] = state;
	fdstore_run();
}

/* A step of what is wanted of an entry. */
static int grant(struct entry *entry)
{
	bool drop = entry->wish != WISH_KEEP;
	char text[128];
	int error;

	snprintf(text, sizeof(text), drop ? "FDSTOREREMOVE=1\nFDNAME=" PREFIX "%s" :
					    "FDSTORE=1\nFDPOLL=0\nFDNAME=" PREFIX "%s",
		 entry->name);
	error = tell(text, drop ? -1 : entry->fd);
	if (is_full(error))
		return error;
	if (error)
		log_warning("systemd doesn't keep a descriptor: a restart will lose the front end: %s",
			    strerror(error));
	want(entry, entry->wish == WISH_REPLACE && !error ? WISH_KEEP : WISH_GRANTED);
	return error;
}

void fdstore_run(void)
{
	unsigned int i;

	while (store.num_states) {
		if (is_full(tell(store.state[0], -1)))
			return;
		memmove(store.state, store.state + 1,
			--store.num_states * sizeof(store.state[0]));
	}
	for (i = 0; i < store.count && store.wishes; i++)
		while (store.entry[i].wish)
			if (grant(&store.entry[i]) && store.entry[i].wish)
				return;
}

bool fdstore_is_busy(void)
{
	return store.num_states || store.wishes;
}

struct pollfd fdstore_poll(void)
{
	return (struct pollfd){ .fd = fdstore_is_busy() ? store.fd : -1, .events = POLLOUT };
}

void fdstore_finish(void)
{
	struct pollfd out = fdstore_poll();

	while (out.fd >= 0 && poll(&out, 1, FINISH_MS) == 1) {
		fdstore_run();
		out = fdstore_poll();
	}
}

/* --- the next daemon --- */

int fdstore_take(void (*found)(void *context, const char *name, int fd),
		 void *context)
{
	const size_t prefix = strlen(PREFIX);
	char **names = NULL;
	int i, count, socket = -1;

	count = sd_listen_fds_with_names(1, &names);
	for (i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (!strncmp(names[i], PREFIX, prefix)) {
			struct entry *entry = find(names[i] + prefix);

			/* So that another by this name takes its place. */
			if (entry)
				entry->fd = fd;
			found(context, names[i] + prefix, fd);
		} else if (socket < 0) {
			socket = fd;
		}
		free(names[i]);
	}
	free(names);
	return socket;
}
