// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_monitor.c - what the process that serves the guest tells the one that outlives it.
 *
 * The worker reads what the guest writes; the monitor has more rights than it has, holds all
 * descriptors, and reads what the worker sends, and what the front end does. An input is a series of
 * answers, each to an event of one kind or to what the front end has just said: it begins as a good
 * one, some of it is changed, it may be cut short, and descriptors come along.
 */
#include <fcntl.h>

#include "fuzz.h"
#include "life/monitor_talk.c"

/* An event of each kind that an answer may be to, or none. */
#define NUM_EVENTS (KEEP_DISCONNECT + 2)

static struct conf conf = { .slots = 16, .queue_pairs = 1, .block_bytes = 4096 };
static const struct monitor_config config = { .conf = &conf };
static struct monitor monitor;
static int worker = -1, vmm = -1;

static void open_monitor(void)
{
	if (monitor.state)
		return;
	log_init(LOG_CRIT);
	monitor.config = &config;
	monitor.front_end = -1;
	monitor_keep_none(&monitor);
	monitor.state = keep_create(&conf, NULL, &monitor.state_fd);
	FUZZ_CHECK(monitor.state);
	/* Nothing of it runs: there's nobody to kill. */
	FUZZ_CHECK(watchdog_open(&monitor.watchdog, &monitor.state->beats, 2, 30));
}

static void open_pair(int type, int *ours, int *theirs)
{
	int ends[2];

	FUZZ_CHECK(!socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
	*ours = ends[0];
	*theirs = ends[1];
}

static void drop_message(void)
{
	vu_message_close_fds(&monitor.event.message);
	monitor.event.message.num_fds = 0;
}

static void await_answer(unsigned int event)
{
	drop_message();
	monitor.talk = event < NUM_EVENTS - 1 ? TALK_TOLD : TALK_READING;
	monitor.done = 0;
	monitor.event.kind = event < NUM_EVENTS - 1 ? (enum keep_event_kind)event : KEEP_MESSAGE;
	if (monitor.front_end < 0)
		open_pair(SOCK_STREAM, &monitor.front_end, &vmm);
}

/* A header, and what may be less than it says, or more. */
static void write_message(struct fuzz_input *in)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE((VU_MAX_FDS + 1) * sizeof(int))];
	unsigned int num_fds = fuzz_u8(in) % (VU_MAX_FDS + 2), i;
	uint8_t bytes[sizeof(struct vu_header) + 256];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct vu_header header;
	int fd[VU_MAX_FDS + 1];

	iov.iov_len = fuzz_u16(in) % sizeof(bytes) + 1;
	fuzz_take(in, &header, sizeof(header));
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, &header, sizeof(header));
	for (i = 0; i < num_fds; i++)
		fd[i] = monitor.state_fd;
	if (num_fds)
		vu_attach_fds(&msg, control, fd, num_fds);
	/* What was left of earlier ones may fill the socket. */
	FUZZ_CHECK(sendmsg(vmm, &msg, MSG_NOSIGNAL) == (ssize_t)iov.iov_len || errno == EAGAIN);
}

/* A reply may not have left before the front end reads. */
static void let_reply_leave(void)
{
	char bytes[4096];

	while (recv(vmm, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
	monitor_talk_to_front_end(&monitor);
}

/*
 * What the front end has to say, by whom it's told to the worker: if nothing else is under way, and
 * once all of it is there.
 */
static void hear_front_end(struct fuzz_input *in)
{
	struct keep_event event;
	int fd[VU_MAX_FDS], ours;
	unsigned int num_fds;

	if (monitor.talk == TALK_REPLYING)
		let_reply_leave();
	if (monitor.talk != TALK_READING && monitor.talk != TALK_READ)
		return;
	if (monitor.front_end < 0) {
		open_pair(SOCK_STREAM, &ours, &vmm);
		monitor_begin_connection(&monitor, ours);
	} else if (monitor.talk == TALK_READING) {
		write_message(in);
		monitor_talk_to_front_end(&monitor);
	}
	if (monitor.talk == TALK_READING) {
		FUZZ_CHECK(monitor.done && monitor.hurry_ms);
		return;
	}
	FUZZ_CHECK(monitor.talk == TALK_READ && !monitor.hurry_ms);
	monitor_send_event(&monitor);
	FUZZ_CHECK(keep_receive(worker, &event, sizeof(event), fd, &num_fds) == KEEP_WHOLE);
	FUZZ_CHECK(num_fds == (event.kind == KEEP_CONNECT ? 1 : event.message.num_fds));
	close_fds(fd, num_fds);
}

static void change(struct fuzz_input *in, struct keep_answer *answer)
{
	size_t offset = fuzz_u16(in) % sizeof(*answer);
	size_t bytes = fuzz_u8(in), left = sizeof(*answer) - offset;

	fuzz_take(in, (uint8_t *)answer + offset, bytes < left ? bytes : left);
	fuzz_make_bool(&answer->alive);
	fuzz_make_bool(&answer->reply);
}

/* A good answer of so many keys, each with a descriptor. */
static void make_good(struct fuzz_input *in, struct keep_answer *answer, unsigned int num_fds)
{
	unsigned int i;

	memset(answer, 0, sizeof(*answer));
	answer->kind = KEEP_DONE;
	answer->alive = true;
	answer->reply = true;
	answer->message.header.size = 8;
	answer->num_keys = num_fds;
	for (i = 0; i < num_fds; i++)
		answer->key[i] = (uint16_t)(fuzz_u8(in) % VHOST_USER_MAX_FDS) | KEEP_HAS_FD;
	answer->reply_key = answer->key[0];
}

static void say(struct fuzz_input *in)
{
	unsigned int how = fuzz_u8(in), num_fds = fuzz_u8(in) % (VU_MAX_FDS + 1), i;
	struct keep_answer answer;
	size_t bytes = sizeof(answer);
	int fd[VU_MAX_FDS];

	/* Whoever stops in the middle for too long is dropped. */
	if (monitor.hurry_ms && how % 8 == 7) {
		monitor.hurry_ms = 1;
		monitor_drop_slow_front_end(&monitor);
		FUZZ_CHECK(monitor.talk == TALK_READ && monitor.event.kind == KEEP_DISCONNECT);
	}
	if (how & 0x40)
		hear_front_end(in);
	else
		await_answer(how % NUM_EVENTS);
	make_good(in, &answer, num_fds);
	for (i = 0; i < how / 8 % 4; i++)
		change(in, &answer);
	if (how & 0x80)
		bytes = fuzz_u16(in) % sizeof(answer) + 1;
	for (i = 0; i < num_fds; i++)
		fd[i] = monitor.state_fd;
	FUZZ_CHECK(keep_send(worker, &answer, bytes, fd, num_fds));
	monitor_take_answer(&monitor);
	FUZZ_CHECK(monitor.state->active < 2);
}

static void hang_up(void)
{
	unsigned int i;

	drop_message();
	begin_reading(&monitor);
	monitor_keep_front_end(&monitor, -1);
	for (i = 0; i < VHOST_USER_MAX_FDS; i++)
		monitor_keep_fd(&monitor, i, -1);
	monitor_keep_state(&monitor);
	close(monitor.channel);
	close(worker);
	/* It may have been given another meanwhile; the last is ours to close. */
	if (vmm >= 0)
		close(vmm);
	vmm = -1;
}

/* All low numbers: more than an input can leave open before it's found out. */
static unsigned int count_fds(void)
{
	unsigned int count = 0;
	int fd;

	for (fd = 0; fd < 64; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	unsigned int before;

	open_monitor();
	before = count_fds();
	open_pair(SOCK_SEQPACKET, &monitor.channel, &worker);
	while (in.left) {
		if (monitor.front_end < 0 && vmm >= 0) {
			close(vmm);
			vmm = -1;
		}
		say(&in);
	}
	hang_up();
	FUZZ_CHECK(count_fds() == before);
	return 0;
}
