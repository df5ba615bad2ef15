// SPDX-License-Identifier: GPL-2.0-only
/*
 * mconsole.c - sends one command to the management console of a User-Mode Linux guest.
 *
 * The protocol is arch/um/include/shared/mconsole.h of Linux: one datagram with a magic number,
 * answered by one or more datagrams. The command that the tests want it for is
 *	config virtio_uml.device=SOCKET:13:1
 * which attaches a device to a guest that already runs; the last number must be new each time.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define MCONSOLE_MAGIC		0xcafebabeu
#define MCONSOLE_VERSION	2u
#define MCONSOLE_MAX_DATA	512
#define ANSWER_TIMEOUT_S	10

struct request {
	uint32_t magic, version, len;
	char data[MCONSOLE_MAX_DATA];
};

struct reply {
	uint32_t err, more, len;
	char data[MCONSOLE_MAX_DATA];
};

static int die(const char *what)
{
	fprintf(stderr, "mconsole: %s: %s\n", what, strerror(errno));
	return 2;
}

/* The guest answers to the sender's address, so that needs a name: an abstract one is enough. */
static int open_socket(void)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX };
	struct timeval timeout = { .tv_sec = ANSWER_TIMEOUT_S };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ||
	    bind(fd, (struct sockaddr *)&own, sizeof(sa_family_t)))
		return -1;
	return fd;
}

static int print_answer(int fd)
{
	struct reply reply;
	ssize_t n;

	do {
		n = recv(fd, &reply, sizeof(reply), 0);
		if (n < 0)
			return die("no answer");
		if ((size_t)n < offsetof(struct reply, data) || reply.len > sizeof(reply.data)) {
			errno = EPROTO;
			return die("answer");
		}
		fwrite(reply.data, 1, strnlen(reply.data, reply.len), stdout);
	} while (reply.more);
	putchar('\n');
	return reply.err ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct request request = { .magic = MCONSOLE_MAGIC, .version = MCONSOLE_VERSION };
	int fd;

	if (argc != 3 || strlen(argv[1]) >= sizeof(to.sun_path) ||
	    strlen(argv[2]) >= sizeof(request.data)) {
		fprintf(stderr, "Usage: mconsole SOCKET COMMAND\n"
			"Exit: 0 done; 1 the guest refused (its words are printed); 2 no answer.\n");
		return 2;
	}
	strcpy(to.sun_path, argv[1]);
	request.len = (uint32_t)strlen(argv[2]);
	memcpy(request.data, argv[2], request.len);
	fd = open_socket();
	if (fd < 0)
		return die("socket");
	if (sendto(fd, &request, sizeof(request), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return die(argv[1]);
	return print_answer(fd);
}
