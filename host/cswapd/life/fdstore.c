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
 * room: the loop that polls fdstore_poll() calls fdstore_run(). What is to be dropped is said first, since systemd
 * keeps no open file twice: what it still has under an old name it doesn't take under a new one. A descriptor that is
 * to be kept must stay open until something else is said of its name. If the daemon is killed while systemd doesn't
 * listen, its successor gets the descriptors that systemd had taken until then: monitor.c answers no
 * message before systemd has taken what belongs to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "fdstore.h"
#include "common/log.h"
#include "frontend/vu_message.h"

#define PREFIX "cswapd-"
#define NAME_BYTES 24
/* Those that are kept, and those that are to be dropped meanwhile. */
#define MAX_ENTRIES (2 * FDSTORE_MAX)
#define MAX_STATES 8
/* How long systemd may take for each message when there is nothing else to do. */
#define FINISH_MS 5000

/* Linux 6.10; the C library's headers may be older. */
#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY 1027
#endif

/* What systemd is to have under a name. */
enum wish {
	WISH_GRANTED,			/* without @fd the entry is free */
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
	struct entry entry[MAX_ENTRIES];
} store = { .fd = -1 };

/* --- open files --- */

/*
 * What systemd does where the kernel has neither call: it takes two descriptors of one inode for the same. For a file
 * either is as good as the other. For the rest, as eventfds, which are all of one inode, either isn't: the next daemon
 * will miss one.
 */
static bool is_same_inode(int a, int b)
{
	struct stat of_a, of_b;

	return !fstat(a, &of_a) && !fstat(b, &of_b) && S_ISREG(of_a.st_mode) &&
	       of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino &&
	       fcntl(a, F_GETFL) == fcntl(b, F_GETFL);
}

bool fdstore_is_same(int a, int b)
{
	long result = fcntl(a, F_DUPFD_QUERY, b);

	if (result >= 0)
		return result;
	/* Of one's own process no right is asked for. */
	result = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b);
	return result < 0 ? is_same_inode(a, b) : !result;
}

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

static bool is_free(const struct entry *entry)
{
	return entry->wish == WISH_GRANTED && entry->fd < 0;
}

/* The one of this name, or a free one; NULL: there is none. */
static struct entry *find(const char *name)
{
	struct entry *entry = NULL;
	unsigned int i;

	for (i = 0; i < store.count; i++) {
		if (!strcmp(store.entry[i].name, name))
			return &store.entry[i];
		if (!entry && is_free(&store.entry[i]))
			entry = &store.entry[i];
	}
	if (!entry && store.count == MAX_ENTRIES)
		return NULL;
	if (!entry)
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

static void log_not_kept(const char *why)
{
	log_warning("systemd doesn't keep a descriptor: a restart will lose the front end: %s", why);
}

void fdstore_keep(const char *name, int fd)
{
	struct entry *entry = fdstore_exists() ? find(name) : NULL;

	if (!entry) {
		if (fdstore_exists())
			log_not_kept("it takes none any more");
		return;
	}
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
		log_not_kept(strerror(error));
	want(entry, entry->wish == WISH_REPLACE && !error ? WISH_KEEP : WISH_GRANTED);
	return error;
}

/* False: there is no room for more. */
static bool grant_all(bool drops)
{
	unsigned int i;

	for (i = 0; i < store.count && store.wishes; i++) {
		struct entry *entry = &store.entry[i];

		if (entry->wish && (entry->wish == WISH_KEEP) != drops && is_full(grant(entry)))
			return false;
	}
	return true;
}

void fdstore_run(void)
{

	while (store.num_states) {
		if (is_full(tell(store.state[0], -1)))
			return;
		memmove(store.state, store.state + 1,
			--store.num_states * sizeof(store.state[0]));
	}
	if (grant_all(true))
		grant_all(false);
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
