// SPDX-License-Identifier: GPL-2.0-only
/*
 * vu_message.c - a message of the vhost-user protocol: reading and answering.
 *
 * Theory of operation: a message is a header and a payload whose size the header
 * tells, perhaps with descriptors, which come with its first byte. A message may come
 * in any pieces, and a reply may have to leave in pieces: nothing here waits. In between,
 * only the number of bytes that are done is remembered. What a message means,
 * and for how long to wait for its end, is the caller's concern.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "vu_message.h"

static_assert(offsetof(struct vu_message, payload) == sizeof(struct vu_header),
	      "header and payload are read as one");

void vu_message_close_fds(struct vu_message *msg)
{
	unsigned int i;

	for (i = 0; i < msg->num_fds; i++)
		if (msg->fd[i] >= 0)
			close(msg->fd[i]);
	msg->num_fds = 0;
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

static bool check_header(const struct vu_message *msg)
{
	if ((msg->header.flags & VU_VERSION_MASK) == VU_VERSION &&
	    msg->header.size <= sizeof(msg->payload))
		return true;
	complain("malformed message %u", msg->header.request);
	return false;
}

/* With the first byte come the descriptors. */
static ssize_t read_first(int fd, struct vu_message *msg)
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
	n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n <= 0 || take_control_data(&header, msg))
		return n;
	complain("%s", msg->num_fds < VU_MAX_FDS ?
		 "no room for the descriptors of a message: raise RLIMIT_NOFILE" :
		 "too many descriptors in a message");
	return 0;
}

/* The header first: it says how much there is. */
static size_t bytes_missing(const struct vu_message *msg, size_t done)
{
	size_t whole = sizeof(msg->header);

	if (done >= whole)
		whole += msg->header.size;
	return whole - done;
}

static ssize_t read_some(int fd, struct vu_message *msg, size_t done)
{
	return done ? recv(fd, (uint8_t *)msg + done, bytes_missing(msg, done),
			   MSG_DONTWAIT) :
		      read_first(fd, msg);
}

enum vu_progress vu_message_read(int fd, struct vu_message *msg, size_t *done)
{
	while (bytes_missing(msg, *done)) {
		ssize_t n = read_some(fd, msg, *done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return VU_MORE;
		if (n <= 0) {
			if (*done)
				complain("message cut short");
			else if (n < 0 && errno != ECONNRESET)
				complain("%s", strerror(errno));
			return VU_OVER;
		}
		*done += (size_t)n;
		if (*done == sizeof(msg->header) && !check_header(msg))
			return VU_OVER;
	}
	return VU_DONE;
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

static ssize_t write_some(int fd, const struct vu_message *msg, size_t done)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {
		(uint8_t *)(uintptr_t)msg + done,
		sizeof(msg->header) + msg->header.size - done,
	};
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (!done && msg->reply_fd >= 0)
		vu_attach_fds(&header, control, &msg->reply_fd, 1);
	return sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

enum vu_progress vu_message_reply(int fd, struct vu_message *msg, size_t *done)
{
	msg->header.flags = VU_VERSION | VU_FLAG_REPLY;
	while (*done < sizeof(msg->header) + msg->header.size) {
		ssize_t n = write_some(fd, msg, *done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS ?
				       VU_MORE : VU_OVER;
		*done += (size_t)n;
	}
	return VU_DONE;
}
