// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_vu_message.c - messages in any pieces, at any pace: nobody waits for the next one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "frontend/vu_message.h"

#define PAYLOAD 40
#define WHOLE (sizeof(struct vu_header) + PAYLOAD)

struct ends {
	int ours;
	int theirs;
};

static int setup(void **state)
{
	static struct ends ends;
	int fd[2];

	log_init(LOG_CRIT);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	ends = (struct ends){ fd[0], fd[1] };
	*state = &ends;
	return 0;
}

static int teardown(void **state)
{
	struct ends *ends = *state;

	close(ends->ours);
	close(ends->theirs);
	return 0;
}

static struct vu_message make(uint32_t size)
{
	struct vu_message msg = { .header = { 37, VU_VERSION, size }, .reply_fd = -1 };
	uint32_t i;

	for (i = 0; i < size; i++)
		msg.payload[i] = (uint8_t)(i * 7 + 1);
	return msg;
}

/* A piece of a message, with descriptors if there are any. */
static void send_piece(int fd, const struct vu_message *msg, size_t from, size_t bytes,
		       unsigned int num_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE((VU_MAX_FDS + 1) * sizeof(int))];
	struct iovec iov = { (uint8_t *)(uintptr_t)msg + from, bytes };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	int along[VU_MAX_FDS + 1];
	unsigned int i;

	for (i = 0; i < num_fds; i++)
		along[i] = fd;
	if (num_fds)
		vu_attach_fds(&header, control, along, num_fds);
	assert_int_equal(sendmsg(fd, &header, MSG_NOSIGNAL), bytes);
}

static void expect_whole(const struct vu_message *got, const struct vu_message *sent,
			 size_t done, unsigned int num_fds)
{
	unsigned int i;

	assert_int_equal(done, WHOLE);
	assert_memory_equal(got, sent, WHOLE);
	assert_int_equal(got->num_fds, num_fds);
	for (i = 0; i < num_fds; i++)
		assert_true(fcntl(got->fd[i], F_GETFD) & FD_CLOEXEC);
}

/* Cut in two at each place, in three, and into single bytes. */
static void any_pieces(void **state)
{
	const struct vu_message sent = make(PAYLOAD);
	struct ends *ends = *state;
	size_t step, at, bytes;

	for (step = 1; step <= WHOLE; step++) {
		struct vu_message got;
		size_t done = 0;

		assert_int_equal(vu_message_read(ends->ours, &got, &done), VU_MORE);
		assert_int_equal(done, 0);
		for (at = 0; at < WHOLE; at += bytes) {
			bytes = WHOLE - at < step ? WHOLE - at : step;
			send_piece(ends->theirs, &sent, at, bytes, at ? 0 : 3);
			assert_int_equal(vu_message_read(ends->ours, &got, &done),
					 at + bytes == WHOLE ? VU_DONE : VU_MORE);
			assert_int_equal(done, at + bytes);
		}
		expect_whole(&got, &sent, done, 3);
		vu_message_close_fds(&got);
	}
}

/* What comes behind a message is the next one's. */
static void no_byte_of_the_next(void **state)
{
	const struct vu_message sent = make(PAYLOAD);
	struct ends *ends = *state;
	struct vu_message got;
	unsigned int i;

	for (i = 0; i < 3; i++)
		send_piece(ends->theirs, &sent, 0, WHOLE, i);
	for (i = 0; i < 3; i++) {
		size_t done = 0;

		assert_int_equal(vu_message_read(ends->ours, &got, &done), VU_DONE);
		expect_whole(&got, &sent, done, i);
		vu_message_close_fds(&got);
	}
}

static void cut_anywhere(void **state)
{
	const struct vu_message sent = make(PAYLOAD);
	struct ends *ends;
	size_t at;

	for (at = 0; at < WHOLE; at++) {
		struct vu_message got;
		size_t done = 0;

		ends = *state;
		if (at)
			send_piece(ends->theirs, &sent, 0, at, 2);
		shutdown(ends->theirs, SHUT_WR);
		assert_int_equal(vu_message_read(ends->ours, &got, &done), VU_OVER);
		assert_int_equal(got.num_fds, at ? 2 : 0);
		vu_message_close_fds(&got);
		teardown(state);
		setup(state);
	}
}

/* Nothing behind a bad header is read, nor waited for. */
static void bad_headers(void **state)
{
	const struct vu_header bad[] = {
		{ 1, 0, 8 }, { 1, 2, 8 }, { 1, 3, 8 },
		{ 1, VU_VERSION, VU_MAX_PAYLOAD + 1 }, { 1, VU_VERSION, UINT32_MAX },
	};
	struct ends *ends = *state;
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vu_message sent = { .header = bad[i] }, got;
		size_t done = 0;

		send_piece(ends->theirs, &sent, 0, sizeof(sent.header), 0);
		assert_int_equal(vu_message_read(ends->ours, &got, &done), VU_OVER);
	}
}

static void too_many_descriptors(void **state)
{
	const struct vu_message sent = make(PAYLOAD);
	struct ends *ends = *state;
	struct vu_message got;
	size_t done = 0;

	send_piece(ends->theirs, &sent, 0, WHOLE, VU_MAX_FDS + 1);
	assert_int_equal(vu_message_read(ends->ours, &got, &done), VU_OVER);
	assert_int_equal(got.num_fds, VU_MAX_FDS);
	vu_message_close_fds(&got);
}

/* Fill the way to a front end that doesn't read. */
static void fill(int fd)
{
	static const uint8_t bytes[4096];

	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
	while (send(fd, bytes, 1, MSG_DONTWAIT) > 0)
		continue;
	assert_int_equal(errno, EAGAIN);
}

static void read_all(int fd)
{
	uint8_t bytes[4096];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
}

/* A reply waits where it is, and leaves with its descriptor once there is room. */
static void reply_waits(void **state)
{
	struct vu_message reply = make(PAYLOAD), got;
	struct ends *ends = *state;
	size_t done = 0, got_bytes = 0;

	reply.reply_fd = ends->ours;
	fill(ends->ours);
	assert_int_equal(vu_message_reply(ends->ours, &reply, &done), VU_MORE);
	assert_int_equal(done, 0);
	read_all(ends->theirs);
	assert_int_equal(vu_message_reply(ends->ours, &reply, &done), VU_DONE);
	assert_int_equal(vu_message_read(ends->theirs, &got, &got_bytes), VU_DONE);
	assert_int_equal(got.header.flags, VU_VERSION | VU_FLAG_REPLY);
	expect_whole(&got, &reply, got_bytes, 1);
	vu_message_close_fds(&got);
	/* Nobody is there any more. */
	done = 0;
	shutdown(ends->theirs, SHUT_RD);
	assert_int_equal(vu_message_reply(ends->ours, &reply, &done), VU_OVER);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(any_pieces),
		test(no_byte_of_the_next),
		test(cut_anywhere),
		test(bad_headers),
		test(too_many_descriptors),
		test(reply_waits),
	};

	return cmocka_run_group_tests_name("vu_message", tests, NULL, NULL);
}
