// SPDX-License-Identifier: GPL-2.0-only
/*
 * vu_message.c - a message of the vhost-user protocol: reading and answering.
 *
 * Theory of operation: a message is a header and a payload whose size the header
 * tells, perhaps with descriptors. It's read whole, whatever pieces it comes in;
 * what it means is another's concern.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "log.h"
#include "vu_message.h"

#define TIMEOUT_S 10

void vu_message_set_timeout(int fd)
{
	const struct timeval timeout = { .tv_sec = TIMEOUT_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
}

void vu_message_close_fds(struct vu_message *msg)
{
	unsigned int i;

	for (i = 0; i < msg->num_fds; i++)
		if (msg->fd[i] >= 0)
			close(msg->fd[i]);
	msg->num_fds = 0;
}

static bool read_all(int fd, void *to, size_t size)
{
	uint8_t *at = to;

	while (size) {
		ssize_t n = recv(fd, at, size, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

/* Keep the descriptors that fit; a front end may send more than is good. */
static bool take_control_data(struct msghdr *header, struct vu_message *msg)
{
	struct cmsghdr *control;
	size_t bytes;

	for (control = CMSG_FIRSTHDR(header); control;
	     control = CMSG_NXTHDR(header, control)) {
		if (control->cmsg_level != SOL_SOCKET ||
		    control->cmsg_type != SCM_RIGHTS)
			continue;
		bytes = control->cmsg_len - CMSG_LEN(0);
		msg->num_fds = (unsigned int)(bytes / sizeof(int));
		memcpy(msg->fd, CMSG_DATA(control),
		       msg->num_fds * sizeof(int));
	}
	return !(header->msg_flags & MSG_CTRUNC);
}

/* It may connect, say something wrong and be hung up on, again and again. */
static struct log_rate complaints;	/* one thread reads messages */

#define complain(...) log_limited(&complaints, LOG_ERR, "front end: " __VA_ARGS__)

bool vu_message_read(int fd, struct vu_message *msg)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(msg->fd))];
	struct iovec iov = { &msg->header, sizeof(msg->header) };
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	msg->num_fds = 0;
	do {
		n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0) {
		if (n < 0 && errno != ECONNRESET)
			complain("%s", strerror(errno));
		return false;
	}
	if (!take_control_data(&header, msg)) {
		complain("too many descriptors in a message");
		return false;
	}
	if (!read_all(fd, (uint8_t *)&msg->header + n,
		      sizeof(msg->header) - (size_t)n)) {
		complain("message cut short");
		return false;
	}
	if ((msg->header.flags & VU_VERSION_MASK) != VU_VERSION ||
	    msg->header.size > sizeof(msg->payload)) {
		complain("malformed message %u", msg->header.request);
		return false;
	}
	if (!read_all(fd, msg->payload, msg->header.size)) {
		complain("message cut short");
		return false;
	}
	return true;
}

void vu_attach_fds(struct msghdr *header, void *control, const int *fd,
		   unsigned int num_fds)
{
	const size_t bytes = num_fds * sizeof(int);
	struct cmsghdr *rights;

	memset(control, 0, CMSG_SPACE(bytes));
	header->msg_control = control;
	header->msg_controllen = CMSG_SPACE(bytes);
	rights = CMSG_FIRSTHDR(header);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(rights), fd, bytes);
}

bool vu_message_reply(int fd, struct vu_message *msg)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov[2] = {
		{ &msg->header, sizeof(msg->header) },
		{ msg->payload, msg->header.size },
	};
	struct msghdr header = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t size = sizeof(msg->header) + msg->header.size;
	ssize_t n;

	if (msg->reply_fd >= 0)
		vu_attach_fds(&header, control, &msg->reply_fd, 1);
	msg->header.flags = VU_VERSION | VU_FLAG_REPLY;
	do {
		n = sendmsg(fd, &header, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	/* A reply is far smaller than a socket's buffer. */
	return n == (ssize_t)size;
}
