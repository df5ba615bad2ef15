/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vu_message.h - a message of the vhost-user protocol: reading and answering.
 */
#ifndef CSWAPD_VU_MESSAGE_H
#define CSWAPD_VU_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define VU_VERSION		0x1
#define VU_VERSION_MASK		0x3
#define VU_FLAG_REPLY		0x4
#define VU_FLAG_NEED_REPLY	0x8

/* The most descriptors in a message: SET_MEM_TABLE. */
#define VU_MAX_FDS		8
#define VU_MAX_PAYLOAD		512

/* In the host's byte order. */
struct vu_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

struct vu_message {
	struct vu_header header;
	uint8_t payload[VU_MAX_PAYLOAD];
	int fd[VU_MAX_FDS];		/* -1: taken */
	unsigned int num_fds;
	int reply_fd;			/* sent along with the reply, and not closed; -1: none */
};

enum vu_progress {
	VU_MORE,			/* not all of it yet */
	VU_DONE,
	VU_OVER,			/* the connection is */
};

/*
 * Read what there is of a message, of which *@done bytes are in @msg already: 0 to
 * begin with. Doesn't wait. VU_OVER says why, unless the connection was closed in
 * order. The descriptors that have come are in @msg, also if there is more to come.
 */
enum vu_progress vu_message_read(int fd, struct vu_message *msg, size_t *done);

/*
 * Have descriptors go along with what @header sends. @control has room for
 * CMSG_SPACE() of them, aligned as a struct cmsghdr.
 */
void vu_attach_fds(struct msghdr *header, void *control, const int *fd,
		   unsigned int num_fds);

/* Send @msg back as a reply, as much as goes: likewise. */
enum vu_progress vu_message_reply(int fd, struct vu_message *msg, size_t *done);

void vu_message_close_fds(struct vu_message *msg);

#endif
