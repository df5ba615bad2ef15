// SPDX-License-Identifier: GPL-2.0-only
/*
 * monitor_talk.c - the front end's messages go to the worker, whose answers go back.
 *
 * Theory of operation: one event is under way at a time (enum talk). The monitor reads it whole and tells it to the
 * worker; when the worker has done it, the monitor keeps the outcome and replies. Nothing here waits: a message may
 * come in pieces, and a reply may leave in pieces, but all of it in ten seconds.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fdstore.h"
#include "monitor_parts.h"

/* For all of a message, from its first byte, and for all of a reply. */
#define MESSAGE_MS 10000

/* --- the front end --- */

static void begin_event(struct monitor *monitor, enum keep_event_kind kind)
{
	monitor->event.kind = kind;
	monitor->talk = TALK_READ;
	monitor->hurry_ms = 0;
}

/* The next message may come. */
static void begin_reading(struct monitor *monitor)
{
	monitor->talk = TALK_READING;
	monitor->done = 0;
	monitor->hurry_ms = 0;
	monitor->event.message.num_fds = 0;
}

void monitor_begin_connection(struct monitor *monitor, int fd)
{
	monitor_keep_front_end(monitor, fd);
	monitor->event.message.num_fds = 0;
	begin_event(monitor, KEEP_CONNECT);
}

void monitor_accept_front_end(struct monitor *monitor)
{
	int fd = accept4(monitor->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0) {
		monitor_begin_connection(monitor, fd);
	} else if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN) {
		log_limited(&monitor->accept_rate, LOG_WARNING,
			    "can't accept a connection: %s%s", strerror(errno),
			    errno == EMFILE ? ": raise RLIMIT_NOFILE (LimitNOFILE= of the unit)" : "");
		/* It waits in the queue; what is short may be there later. */
		monitor->accept_at_ms = clock_now_ms() + LONG_PAUSE_MS;
	}
}

static void end_connection(struct monitor *monitor)
{
	vu_message_close_fds(&monitor->event.message);
	begin_event(monitor, KEEP_DISCONNECT);
}

static void read_front_end(struct monitor *monitor)
{
	switch (vu_message_read(monitor->front_end, &monitor->event.message,
				&monitor->done)) {
	case VU_MORE:
		if (monitor->done && !monitor->hurry_ms)
			monitor->hurry_ms = clock_now_ms() + MESSAGE_MS;
		break;
	case VU_DONE:
		begin_event(monitor, KEEP_MESSAGE);
		break;
	case VU_OVER:
		end_connection(monitor);
	}
}

static void reply_front_end(struct monitor *monitor)
{
	switch (vu_message_reply(monitor->front_end, &monitor->reply,
				 &monitor->done)) {
	case VU_MORE:
		if (!monitor->hurry_ms)
			monitor->hurry_ms = clock_now_ms() + MESSAGE_MS;
		break;
	case VU_DONE:
		begin_reading(monitor);
		break;
	case VU_OVER:
		end_connection(monitor);
	}
}

void monitor_talk_to_front_end(struct monitor *monitor)
{
	if (monitor->talk == TALK_READING)
		read_front_end(monitor);
	else if (monitor->talk == TALK_REPLYING)
		reply_front_end(monitor);
}

void monitor_end_event(struct monitor *monitor)
{
	bool has_reply = monitor->has_reply;

	begin_reading(monitor);
	monitor->has_reply = false;
	if (!has_reply)
		return;
	monitor->talk = TALK_REPLYING;
	reply_front_end(monitor);
}

/*
 * A guest may rely on what is done, and the monitor may be killed then: so systemd has it first.
 * Nothing else waits for systemd.
 */
static void keep_then_end_event(struct monitor *monitor)
{
	if (!fdstore_is_busy()) {
		monitor_end_event(monitor);
		return;
	}
	monitor->talk = TALK_KEEPING;
	monitor->hurry_ms = clock_now_ms() + MESSAGE_MS;
}

void monitor_drop_slow_front_end(struct monitor *monitor)
{
	if (!monitor->hurry_ms || clock_now_ms() < monitor->hurry_ms)
		return;
	if (monitor->talk == TALK_KEEPING) {
		log_limited(&monitor->slow_rate, LOG_WARNING,
			    "systemd doesn't take descriptors: a restart now would lose the front end");
		monitor_end_event(monitor);
		return;
	}
	log_limited(&monitor->slow_rate, LOG_ERR,
		    monitor->talk == TALK_READING ?
			    "front end: a message has no end after %u s: it is dropped" :
			    "front end: a reply isn't read in %u s: it is dropped",
		    MESSAGE_MS / 1000);
	end_connection(monitor);
}

void monitor_send_event(struct monitor *monitor)
{
	const struct keep_event *event = &monitor->event;

	/* If the worker is gone the next one gets it. */
	if (event->kind == KEEP_CONNECT)
		keep_send(monitor->channel, event, sizeof(*event),
			  &monitor->front_end, 1);
	else
		keep_send(monitor->channel, event, sizeof(*event),
			  event->message.fd, event->message.num_fds);
	monitor->talk = TALK_TOLD;
}

/* --- the worker's answers --- */

static bool keys_fit(const struct keep_answer *answer, unsigned int num_fds)
{
	unsigned int i, want = 0;

	if (answer->num_keys > VHOST_USER_MAX_FDS ||
	    (answer->reply_key & ~KEEP_HAS_FD) >= VHOST_USER_MAX_FDS)
		return false;
	for (i = 0; i < answer->num_keys; i++) {
		if ((answer->key[i] & ~KEEP_HAS_FD) >= VHOST_USER_MAX_FDS)
			return false;
		want += !!(answer->key[i] & KEEP_HAS_FD);
	}
	return want == num_fds;
}

static void note_reply(struct monitor *monitor, const struct keep_answer *answer)
{
	monitor->has_reply = true;
	monitor->reply = answer->message;
	monitor->reply.reply_fd = answer->reply_key & KEEP_HAS_FD ?
		monitor_kept_fd(monitor, answer->reply_key & ~KEEP_HAS_FD) : -1;
}

static void finish_event(struct monitor *monitor, const struct keep_answer *answer,
			 const int *fd)
{
	enum keep_event_kind kind = monitor->event.kind;
	unsigned int i;

	for (i = 0; i < answer->num_keys; i++)
		monitor_keep_fd(monitor, answer->key[i] & ~KEEP_HAS_FD,
			answer->key[i] & KEEP_HAS_FD ? *fd++ : -1);
	monitor_keep_state(monitor);
	vu_message_close_fds(&monitor->event.message);
	if (kind == KEEP_DISCONNECT) {
		monitor_keep_front_end(monitor, -1);
	} else if (!answer->alive) {
		end_connection(monitor);
		return;
	} else if (answer->reply) {
		note_reply(monitor, answer);
	}
	keep_then_end_event(monitor);
}

static void close_fds(const int *fd, unsigned int num_fds)
{
	while (num_fds--)
		close(fd[num_fds]);
}

/*
 * The content of the answer is lost, also to the worker, which takes it for told: the next worker
 * begins again.
 */
static void refuse_answer(const struct monitor *monitor)
{
	log_err("the worker's answer makes no sense, or its descriptors have no room (RLIMIT_NOFILE): another worker takes over");
	if (monitor->worker)
		kill(monitor->worker, SIGKILL);
}

bool monitor_take_answer(struct monitor *monitor)
{
	struct keep_answer answer;
	unsigned int num_fds;
	int fd[VU_MAX_FDS];
	enum keep_packet got = keep_receive(monitor->channel, &answer, sizeof(answer), fd, &num_fds);

	if (got == KEEP_NONE)
		return false;
	if (got == KEEP_BAD) {
		refuse_answer(monitor);
	} else if (answer.kind == KEEP_READY) {
		if (!monitor->was_ready) {
			monitor_tell_status(monitor);
			fdstore_tell("READY=1");
		}
		monitor->ready = true;
		monitor->was_ready = true;
		watchdog_begin(&monitor->watchdog, monitor->worker, clock_now_ms());
	} else if (monitor->talk == TALK_TOLD) {
		if (keys_fit(&answer, num_fds) &&
		    answer.message.header.size <= VU_MAX_PAYLOAD) {
			finish_event(monitor, &answer, fd);
			return true;
		}
		refuse_answer(monitor);
	}
	close_fds(fd, num_fds);
	return true;
}
