// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_fdstore.c - a systemd that takes its time: nobody waits for it, and in the end it has it all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "life/fdstore.h"
#include "common/log.h"

#define NAMES 300
#define ROUNDS 4
/* Whoever waits for systemd ends the test by SIGALRM. */
#define PATIENCE_S 60

static char directory[] = "/tmp/test-fdstore.XXXXXX";
static int systemd;

/* What systemd has: under each name, of which file. */
static struct {
	unsigned int fds;
	ino_t inode;
} kept[NAMES];
static unsigned int ready;

static int setup(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)state;
	log_init(LOG_CRIT);
	assert_non_null(mkdtemp(directory));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", directory);
	systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(systemd, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	alarm(PATIENCE_S);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(getenv("NOTIFY_SOCKET"));
	rmdir(directory);
	return 0;
}

static void take_fd(struct msghdr *header, unsigned int name)
{
	struct cmsghdr *rights = CMSG_FIRSTHDR(header);
	struct stat st;
	int fd;

	assert_non_null(rights);
	memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	kept[name].fds++;
	kept[name].inode = st.st_ino;
}

/* False: there is no message. */
static bool take_message(void)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	char text[256] = "";
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr header = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	unsigned int name;

	if (recvmsg(systemd, &header, MSG_CMSG_CLOEXEC) < 0) {
		assert_int_equal(errno, EAGAIN);
		return false;
	}
	if (sscanf(text, "FDSTORE=1\nFDPOLL=0\nFDNAME=cswapd-%u", &name) == 1)
		take_fd(&header, name);
	else if (sscanf(text, "FDSTOREREMOVE=1\nFDNAME=cswapd-%u", &name) == 1)
		kept[name].fds = 0;
	else if (!strcmp(text, "READY=1"))
		ready++;
	else
		fail_msg("%s", text);
	return true;
}

/* The loop of a daemon, and systemd, a message at a time. */
static void run(void)
{
	struct pollfd out;

	do {
		while (take_message())
			continue;
		out = fdstore_poll();
		if (out.fd >= 0 && poll(&out, 1, 0) == 1)
			fdstore_run();
	} while (out.fd >= 0);
	while (take_message())
		continue;
}

static int new_file(ino_t *inode)
{
	int fd = memfd_create("kept", MFD_CLOEXEC);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	*inode = st.st_ino;
	return fd;
}

/* Said again and again while systemd doesn't listen: it gets the last word on each name. */
static void last_word_counts(void **state)
{
	static int fd[NAMES];
	static ino_t inode[NAMES];
	unsigned int round, i;
	char name[16];

	(void)state;
	memset(fd, -1, sizeof(fd));
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < NAMES; i++) {
			if (fd[i] >= 0)
				close(fd[i]);
			snprintf(name, sizeof(name), "%u", i);
			fd[i] = (i + round) % 3 ? new_file(&inode[i]) : -1;
			if (fd[i] >= 0)
				fdstore_keep(name, fd[i]);
			else
				fdstore_drop(name);
		}
		if (round == 1)
			run();
	}
	fdstore_tell("READY=1");
	fdstore_tell("READY=1");
	run();
	for (i = 0; i < NAMES; i++) {
		assert_int_equal(kept[i].fds, fd[i] >= 0);
		if (fd[i] >= 0)
			assert_int_equal(kept[i].inode, inode[i]);
	}
	assert_int_equal(ready, 1);
}

/* At its end a daemon leaves all of it. */
static void finishes(void **state)
{
	ino_t inode;
	int fd = new_file(&inode);

	(void)state;
	fdstore_keep("7", fd);
	fdstore_finish();
	assert_int_equal(fdstore_poll().fd, -1);
	run();
	assert_int_equal(kept[7].fds, 1);
	assert_int_equal(kept[7].inode, inode);
}

/* Nobody listens any more, which is nobody's end. */
static void nobody_there(void **state)
{
	ino_t inode;

	(void)state;
	close(systemd);
	fdstore_keep("8", new_file(&inode));
	fdstore_tell("READY=1");
	assert_int_equal(fdstore_poll().fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_word_counts),
		cmocka_unit_test(finishes),
		cmocka_unit_test(nobody_there),
	};

	return cmocka_run_group_tests_name("fdstore", tests, setup, teardown);
}
