/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vu_message.h - a message of the vhost-user protocol: reading and answering.
 */
#ifndef CSWAPD_VU_MESSAGE_H
#define CSWAPD_VU_MESSAGE_H

#include <stdbool.h>
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

/* A front end that stops in the middle of a message is dropped after a while. */
void vu_message_set_timeout(int fd);

/* False when the connection is over; says why unless it was closed in order. */
bool vu_message_read(int fd, struct vu_message *msg);

/*
 * Have descriptors go along with what @header sends. @control has room for
 * CMSG_SPACE() of them, aligned as a struct cmsghdr.
 */
void vu_attach_fds(struct msghdr *header, void *control, const int *fd,
		   unsigned int num_fds);

/* Send @msg back as a reply. */
bool vu_message_reply(int fd, struct vu_message *msg);

void vu_message_close_fds(struct vu_message *msg);

#endif
