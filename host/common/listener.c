// SPDX-License-Identifier: GPL-2.0-only
/*
 * listener.c - the socket that a front end connects to.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "listener.h"
#include "log.h"

/* Does a process listen at @address? */
static bool is_live(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool live;

	if (fd < 0)
		return true;
	/* Refused is what a file without a listener says; EAGAIN: a full queue. */
	live = !connect(fd, (const struct sockaddr *)address,
			sizeof(*address)) || errno == EAGAIN;
	close(fd);
	return live;
}

/* Make way at the path, if nothing of value is there. */
static bool remove_stale(const struct sockaddr_un *address)
{
	const char *path = address->sun_path;
	struct stat st;

	if (lstat(path, &st)) {
		if (errno == ENOENT)
			return true;
		log_err("can't examine %s: %s", path, strerror(errno));
		return false;
	}
	if (!S_ISSOCK(st.st_mode)) {
		log_err("%s exists and is not a socket", path);
		return false;
	}
	if (is_live(address)) {
		log_err("%s is in use: another process listens there", path);
		return false;
	}
	if (unlink(path) && errno != ENOENT) {
		log_err("can't remove stale %s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

int listener_open(const char *path, int backlog)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		log_err("%s: path too long for a socket", path);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	if (!remove_stale(&address))
		return -1;
	/*
	 * If another process was quicker there is no connection after a poll, and accept() mustn't
	 * wait.
	 */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, backlog)) {
		log_err("can't listen at %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

int listener_is_listening(int fd)
{
	socklen_t size = sizeof(int);
	int listening = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size)) {
		log_err("descriptor %d is not a socket: %s", fd,
			strerror(errno));
		return -1;
	}
	return !!listening;
}
