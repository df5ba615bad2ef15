// SPDX-License-Identifier: GPL-2.0-only
/*
 * monitor.c - the process that outlives the one that serves the guest.
 *
 * Theory of operation: the monitor starts a worker process, which is the daemon
 * as far as guest and operator can tell, and starts another when that dies. A
 * front end takes a closed connection for the end of its device; so the
 * connection is the monitor's. It reads each message whole, hands it to the
 * worker, and waits for the answer before it reads another; a worker that dies
 * meanwhile leaves the message to the next (keep.c). Nothing in the loop waits for
 * the front end: a message may come in pieces, and a reply leave in some, but all of
 * it in ten seconds. The descriptors that came with messages are kept here, too, and
 * those of the store's files, which are found or made here, once (store_files.c).
 * Nothing of the guest's is ever looked at: no ring, no memory, no page. So there is
 * little here that could go wrong.
 *
 * A worker is a fork, so the next one finds descriptors and state by inheriting
 * them, and opens all else itself: the store's files anew, by their descriptors,
 * io_uring, control socket. The lock on the store is on the dead worker's own open
 * file, which exists until the last of its I/O has ended; to get it is to know that.
 *
 * Under systemd everything kept is in its descriptor store as well, so that the
 * monitor may end, too (a restart, an upgrade): the next one takes it from there.
 * The monitor without systemd takes its worker with it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "fdstore.h"
#include "common/listener.h"
#include "common/log.h"
#include "link.h"
#include "monitor.h"

/*
 * A worker that lived shorter than this is followed by the next after a pause:
 * one that doesn't keep a guest waiting, but leaves a CPU to others; a longer one
 * as long as none gets ready.
 */
#define SHORT_LIFE_MS 1000
#define SHORT_PAUSE_MS 20
#define LONG_PAUSE_MS 1000
/* So long the next worker waits for a server, and so long a server that can't be used is left alone. */
#define SERVER_PAUSE_MS 100
#define UNFIT_PAUSE_MS 5000

/* Front ends that may wait while one is served; a VMM may not want to wait for connect(). */
#define BACKLOG 16

/* For all of a message, from its first byte, and for all of a reply. */
#define MESSAGE_MS 10000

/* Of the connection, the state, the store, and all that is kept. */
_Static_assert(VHOST_USER_MAX_FDS + 2 + STORE_NUM_FILES <= FDSTORE_MAX,
	       "systemd is to keep it all");

/* What goes on with the front end, in this order. */
enum talk {
	TALK_READING,			/* a message; @done bytes of it are there */
	TALK_READ,			/* there is an event for the worker */
	TALK_TOLD,			/* the present worker has it */
	TALK_KEEPING,			/* it's done; systemd doesn't have yet what came with it */
	TALK_REPLYING,			/* @done bytes of the reply have left */
};

struct monitor {
	const struct monitor_config *config;
	struct keep_state *state;
	int state_fd;
	struct store_files files;
	struct store *store;		/* of @files, or memory; never active here */
	struct link link;		/* to a server that the store is at */
	bool relieved;			/* the worker is on its way out: the next one has what it lacked */
	int kept_file[STORE_NUM_FILES];	/* of another monitor's; -1: none */
	struct watchdog watchdog;
	uint64_t alive_ms;		/* every so often systemd wants to hear of us; 0: never */
	uint64_t alive_at_ms;		/* next */
	int listen_fd;
	int signal_fd;
	bool made_socket;
	int front_end;			/* -1: none */
	int kept[VHOST_USER_MAX_FDS];	/* -1: none */
	bool store_fds;			/* systemd keeps them as well */

	pid_t worker;			/* 0: none */
	int channel;
	bool ready;			/* the present one */
	bool was_ready;			/* any */
	bool quitting;
	uint64_t started_ms;
	uint64_t start_at_ms;		/* not before */
	uint64_t accept_at_ms;		/* ... a front end */
	unsigned int pause_ms;

	enum talk talk;
	size_t done;
	uint64_t hurry_ms;		/* the message or reply under way has until then; 0: none */
	struct keep_event event;
	bool has_reply;
	struct vu_message reply;
	struct log_rate slow_rate;	/* lines about messages without an end, */
	struct log_rate accept_rate;	/* and about connections that can't be had */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- what is kept --- */

static void store_fd(const struct monitor *monitor, const char *name, int fd)
{
	if (!monitor->store_fds)
		return;
	if (fd >= 0)
		fdstore_keep(name, fd);
	else
		fdstore_drop(name);
}

static void keep_fd(struct monitor *monitor, unsigned int key, int fd)
{
	char name[16];

	if (monitor->kept[key] >= 0)
		close(monitor->kept[key]);
	monitor->kept[key] = fd;
	snprintf(name, sizeof(name), "%u", key);
	store_fd(monitor, name, fd);
}

/* What `systemctl status` says beside the unit. */
static void tell_status(const struct monitor *monitor)
{
	fdstore_tell(monitor->front_end >= 0 ? "STATUS=A VMM is connected" :
					       "STATUS=No VMM is connected");
}

static void keep_front_end(struct monitor *monitor, int fd)
{
	if (monitor->front_end >= 0)
		close(monitor->front_end);
	monitor->front_end = fd;
	store_fd(monitor, "front-end", fd);
	tell_status(monitor);
}

static const char *const file_names[STORE_NUM_FILES] = { "data", "tags" };

/* What systemd kept of another monitor. */
static void found_fd(void *context, const char *name, int fd)
{
	struct monitor *monitor = context;
	unsigned long key;
	char *end;

	key = strtoul(name, &end, 10);
	if (!strcmp(name, "state") && monitor->state_fd < 0)
		monitor->state_fd = fd;
	else if (!strcmp(name, "front-end") && monitor->front_end < 0)
		monitor->front_end = fd;
	else if (!strcmp(name, file_names[STORE_DATA_FILE]) &&
		 monitor->kept_file[STORE_DATA_FILE] < 0)
		monitor->kept_file[STORE_DATA_FILE] = fd;
	else if (!strcmp(name, file_names[STORE_TAGS_FILE]) &&
		 monitor->kept_file[STORE_TAGS_FILE] < 0)
		monitor->kept_file[STORE_TAGS_FILE] = fd;
	else if (end != name && !*end && key < VHOST_USER_MAX_FDS &&
		 monitor->kept[key] < 0)
		monitor->kept[key] = fd;
	else
		close(fd);
}

static void drop_found(struct monitor *monitor, const char *why)
{
	unsigned int i;

	log_warning("not going on from what an earlier daemon left: %s", why);
	if (monitor->state)
		munmap(monitor->state, sizeof(*monitor->state));
	monitor->state = NULL;
	close(monitor->state_fd);
	monitor->state_fd = -1;
	fdstore_drop("state");
	keep_front_end(monitor, -1);
	for (i = 0; i < VHOST_USER_MAX_FDS; i++)
		if (monitor->kept[i] >= 0)
			keep_fd(monitor, i, -1);
	for (i = 0; i < STORE_NUM_FILES; i++) {
		if (monitor->kept_file[i] < 0)
			continue;
		close(monitor->kept_file[i]);
		monitor->kept_file[i] = -1;
		fdstore_drop(file_names[i]);
	}
	/* A block device is free only when systemd doesn't hold it either. */
	fdstore_finish();
}

/* Is there a guest that would lose its pages without the state that was found? */
static bool guest_waits(const struct monitor *monitor)
{
	struct pollfd front_end = { .fd = monitor->front_end };

	return monitor->front_end >= 0 &&
	       monitor->state->front[monitor->state->active].connected &&
	       poll(&front_end, 1, 0) == 0;
}

static struct store_request request_of(struct monitor *monitor)
{
	const struct conf *conf = monitor->config->conf;

	return (struct store_request) {
		.data_path = conf->store_path,
		.tags_path = conf->tags_path,
		.slots = conf->slots,
		.format = conf->format,
		.incoming = conf->incoming,
		.user = conf->socket_path,
		.server = &monitor->link.server,
	};
}

/* The same options, the same store? Otherwise @wrong says what differs. */
static bool state_fits(struct monitor *monitor, char wrong[STORE_WRONG_BYTES])
{
	const struct conf *conf = monitor->config->conf;
	const struct store_request request = request_of(monitor);
	const struct keep_state *state = monitor->state;
	const char *option = keep_find_difference(state, conf);

	if (!option && !conf->store_path)
		option = "--store";
	if (!option)
		return store_files_go_on(&monitor->files, &request, &state->kind.store,
					 &state->names, monitor->kept_file, wrong);
	snprintf(wrong, STORE_WRONG_BYTES, "%s isn't what it was", option);
	return false;
}

/* False: the end, and what was found stays where it is, for a better start. */
static bool take_found(struct monitor *monitor)
{
	char wrong[STORE_WRONG_BYTES];

	monitor->state = keep_map(monitor->state_fd);
	if (!monitor->state) {
		drop_found(monitor, "it was another version; its front end is dropped");
		return true;
	}
	if (state_fits(monitor, wrong)) {
		log_notice("going on where another daemon ended");
		return true;
	}
	if (!guest_waits(monitor)) {
		drop_found(monitor, wrong);
		return true;
	}
	log_err("the guest that is attached can't go on: %s. Start with the options of before and it goes on; or stop the unit, and the guest is given up",
		wrong);
	return false;
}

/* Those that aren't yet where the next monitor finds them. */
static void keep_files(const struct monitor *monitor)
{
	unsigned int i;

	for (i = 0; i < STORE_NUM_FILES; i++)
		if (monitor->files.fd[i] >= 0 && monitor->kept_file[i] < 0)
			store_fd(monitor, file_names[i], monitor->files.fd[i]);
}

static bool open_state(struct monitor *monitor)
{
	const struct conf *conf = monitor->config->conf;
	const struct store_request request = request_of(monitor);

	/* Anonymous memory isn't kept: without its pages the rest is worth nothing. */
	monitor->store_fds = conf->store_path && fdstore_exists();
	if (monitor->state_fd >= 0 && !take_found(monitor))
		return false;
	if (monitor->state) {
		keep_files(monitor);
		return true;
	}
	if (conf->store_path && !store_files_open(&monitor->files, &request))
		return false;
	monitor->state = keep_create(conf, conf->store_path ? &monitor->files : NULL,
				     &monitor->state_fd);
	if (!monitor->state)
		return false;
	store_fd(monitor, "state", monitor->state_fd);
	keep_files(monitor);
	return true;
}

/*
 * Connect from @at_ms on. From @start_ms on there is to be a worker; one that has no server
 * only if to connect takes its time.
 */
static void find_server(struct monitor *monitor, uint64_t start_ms, uint64_t at_ms, bool anew)
{
	if (!monitor->link.exists)
		return;
	link_begin(&monitor->link, now_ms(), at_ms, anew);
	monitor->start_at_ms = start_ms + SERVER_PAUSE_MS;
}

static bool open_store(struct monitor *monitor)
{
	const struct conf *conf = monitor->config->conf;

	monitor->store = store_open(conf->store_path ? &monitor->files : NULL,
				    conf->slots);
	monitor->link.server.log = &monitor->state->server;
	find_server(monitor, now_ms(), now_ms(), true);
	return monitor->store;
}

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

static void begin_connection(struct monitor *monitor, int fd)
{
	keep_front_end(monitor, fd);
	monitor->event.message.num_fds = 0;
	begin_event(monitor, KEEP_CONNECT);
}

static void accept_front_end(struct monitor *monitor)
{
	int fd = accept4(monitor->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0) {
		begin_connection(monitor, fd);
	} else if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN) {
		log_limited(&monitor->accept_rate, LOG_WARNING,
			    "can't accept a connection: %s%s", strerror(errno),
			    errno == EMFILE ? ": raise RLIMIT_NOFILE (LimitNOFILE= of the unit)" : "");
		/* It waits in the queue; what is short may be there later. */
		monitor->accept_at_ms = now_ms() + LONG_PAUSE_MS;
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
			monitor->hurry_ms = now_ms() + MESSAGE_MS;
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
			monitor->hurry_ms = now_ms() + MESSAGE_MS;
		break;
	case VU_DONE:
		begin_reading(monitor);
		break;
	case VU_OVER:
		end_connection(monitor);
	}
}

static void talk_to_front_end(struct monitor *monitor)
{
	if (monitor->talk == TALK_READING)
		read_front_end(monitor);
	else if (monitor->talk == TALK_REPLYING)
		reply_front_end(monitor);
}

/* Answer what is done, and go on. */
static void end_event(struct monitor *monitor)
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
 * A guest may rely on what is done, and we may be killed then: so systemd has it first. That's the
 * only one who waits for systemd.
 */
static void keep_then_end_event(struct monitor *monitor)
{
	if (!fdstore_is_busy()) {
		end_event(monitor);
		return;
	}
	monitor->talk = TALK_KEEPING;
	monitor->hurry_ms = now_ms() + MESSAGE_MS;
}

static void drop_slow_front_end(struct monitor *monitor)
{
	if (!monitor->hurry_ms || now_ms() < monitor->hurry_ms)
		return;
	if (monitor->talk == TALK_KEEPING) {
		log_limited(&monitor->slow_rate, LOG_WARNING,
			    "systemd doesn't take descriptors: a restart now would lose the front end");
		end_event(monitor);
		return;
	}
	log_limited(&monitor->slow_rate, LOG_ERR,
		    monitor->talk == TALK_READING ?
			    "front end: a message has no end after %u s: it is dropped" :
			    "front end: a reply isn't read in %u s: it is dropped",
		    MESSAGE_MS / 1000);
	end_connection(monitor);
}

static void send_event(struct monitor *monitor)
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
		monitor->kept[answer->reply_key & ~KEEP_HAS_FD] : -1;
}

static void finish_event(struct monitor *monitor, const struct keep_answer *answer,
			 const int *fd)
{
	enum keep_event_kind kind = monitor->event.kind;
	unsigned int i;

	for (i = 0; i < answer->num_keys; i++)
		keep_fd(monitor, answer->key[i] & ~KEEP_HAS_FD,
			answer->key[i] & KEEP_HAS_FD ? *fd++ : -1);
	monitor->state->active = !monitor->state->active;
	vu_message_close_fds(&monitor->event.message);
	if (kind == KEEP_DISCONNECT) {
		keep_front_end(monitor, -1);
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

/* What was said in it is lost, also to the worker, who takes it for told: the next begins again. */
static void refuse_answer(const struct monitor *monitor)
{
	log_err("the worker's answer makes no sense, or its descriptors have no room (RLIMIT_NOFILE): another begins again");
	if (monitor->worker)
		kill(monitor->worker, SIGKILL);
}

/* False: there is no more. */
static bool take_answer(struct monitor *monitor)
{
	struct keep_answer answer;
	unsigned int num_fds;
	int fd[VU_MAX_FDS];

	if (!keep_receive(monitor->channel, &answer, sizeof(answer), fd,
			  &num_fds)) {
		/* Half an answer may bring some, too. */
		close_fds(fd, num_fds);
		return false;
	}
	if (answer.kind == KEEP_READY) {
		if (!monitor->was_ready) {
			tell_status(monitor);
			fdstore_tell("READY=1");
		}
		monitor->ready = true;
		monitor->was_ready = true;
		watchdog_begin(&monitor->watchdog, monitor->worker, now_ms());
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

/* --- workers come and go --- */

static int be_worker(struct monitor *monitor, int channel, pid_t parent)
{
	const struct monitor_gift gift = {
		.state = monitor->state,
		.files = monitor->config->conf->store_path ? &monitor->files : NULL,
		.store = monitor->store,
		.channel = channel,
		.watchdog = &monitor->watchdog,
		.front_end = monitor->front_end,
		.fd = monitor->kept,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		return 1;
	close(monitor->signal_fd);
	if (monitor->listen_fd >= 0)
		close(monitor->listen_fd);
	close(monitor->state_fd);
	link_forget(&monitor->link);
	fdstore_close();
	/* What the message under way brought comes by the channel. */
	vu_message_close_fds(&monitor->event.message);
	return monitor->config->work(monitor->config->context, &gift);
}

static bool start_worker(struct monitor *monitor)
{
	pid_t parent = getpid();
	int channel[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel)) {
		log_err("can't start a worker: %s", strerror(errno));
		return false;
	}
	monitor->started_ms = now_ms();
	link_give(&monitor->link);
	monitor->worker = fork();
	if (!monitor->worker) {
		close(channel[0]);
		exit(be_worker(monitor, channel[1], parent));
	}
	close(channel[1]);
	link_given(&monitor->link);
	if (monitor->worker < 0) {
		log_err("can't start a worker: %s", strerror(errno));
		close(channel[0]);
		monitor->worker = 0;
		return false;
	}
	monitor->channel = channel[0];
	monitor->ready = false;
	if (monitor->talk == TALK_TOLD)
		monitor->talk = TALK_READ;
	return true;
}

static void plan_next(struct monitor *monitor)
{
	uint64_t now = now_ms();

	if (now - monitor->started_ms > SHORT_LIFE_MS)
		monitor->pause_ms = 0;
	else if (monitor->ready || !monitor->pause_ms)
		monitor->pause_ms = SHORT_PAUSE_MS;
	else if (monitor->pause_ms < LONG_PAUSE_MS)
		monitor->pause_ms *= 2;
	monitor->start_at_ms = now + monitor->pause_ms;
}

/* The one that died, so, had a server, or had none and was in the way. */
static void plan_next_and_server(struct monitor *monitor, bool exited, int code)
{
	bool lost = link_was_lost(&monitor->link, exited, code);
	uint64_t at_ms;

	if (monitor->relieved) {
		monitor->relieved = false;
		monitor->pause_ms = 0;
		monitor->start_at_ms = now_ms();
		return;
	}
	plan_next(monitor);
	at_ms = monitor->start_at_ms;
	if (lost)
		monitor->state->server.losses++;
	if (lost && code == STORE_EXIT_UNFIT)
		at_ms += UNFIT_PAUSE_MS;
	find_server(monitor, monitor->start_at_ms, at_ms, lost);
}

static bool was_expected(const struct monitor *monitor, bool exited, int code)
{
	return monitor->relieved || link_was_lost(&monitor->link, exited, code);
}

/* It has ended, or is about to, which a signal tells: until then don't spin. */
static void lose_channel(struct monitor *monitor)
{
	close(monitor->channel);
	monitor->channel = -1;
}

/* True: we have to end, too, with *@code. */
static bool bury_worker(struct monitor *monitor, int *code)
{
	bool exited, expected;
	int status;

	if (waitpid(monitor->worker, &status, WNOHANG) != monitor->worker)
		return false;
	/* What it said before it died counts. */
	while (take_answer(monitor))
		continue;
	if (monitor->channel >= 0)
		lose_channel(monitor);
	watchdog_end(&monitor->watchdog);
	monitor->worker = 0;
	exited = WIFEXITED(status);
	*code = exited ? WEXITSTATUS(status) : 1;
	expected = was_expected(monitor, exited, *code);
	if (monitor->quitting || (!monitor->was_ready && !expected) || (exited && !*code) ||
	    (monitor->front_end < 0 && monitor->listen_fd < 0))
		return true;
	if (WIFSIGNALED(status) && !expected)
		log_warning("worker was killed by signal %d (%s)",
			    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (!expected)
		log_warning("worker ended with %d", *code);
	plan_next_and_server(monitor, exited, *code);
	monitor->ready = false;
	return false;
}

/* True: end with *@code. */
static bool handle_signal(struct monitor *monitor, int *code)
{
	struct signalfd_siginfo info;

	if (read(monitor->signal_fd, &info, sizeof(info)) != sizeof(info))
		return false;
	if (info.ssi_signo == SIGCHLD)
		return monitor->worker && bury_worker(monitor, code);
	if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
		monitor->quitting = true;
		/* From now on it may wait for the medium. */
		watchdog_end(&monitor->watchdog);
		fdstore_tell("STOPPING=1");
	}
	*code = 0;
	if (monitor->worker)
		kill(monitor->worker, (int)info.ssi_signo);
	return monitor->quitting && !monitor->worker;
}

/* --- the loop --- */

static uint64_t earlier(uint64_t a_ms, uint64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}

/* What there is to do without being told to: ms from now, -1 for nothing. */
static int timeout_ms(const struct monitor *monitor)
{
	uint64_t now = now_ms(), next = UINT64_MAX;

	if (!monitor->worker)
		next = monitor->start_at_ms;
	if (monitor->accept_at_ms > now)
		next = earlier(next, monitor->accept_at_ms);
	if (monitor->hurry_ms)
		next = earlier(next, monitor->hurry_ms);
	next = earlier(next, watchdog_next_ms(&monitor->watchdog));
	next = earlier(next, nbd_dial_next_ms(&monitor->link.dial));
	if (monitor->alive_ms)
		next = earlier(next, monitor->alive_at_ms);
	if (next == UINT64_MAX)
		return -1;
	return next > now ? (int)(next - now) : 0;
}

static bool is_serving(const struct monitor *monitor)
{
	return monitor->ready && monitor->channel >= 0;
}

/* What comes next by the front end: a connection, a message, room for a reply. */
static struct pollfd front_end_poll(const struct monitor *monitor)
{
	struct pollfd front_end = { .fd = monitor->front_end, .events = POLLIN };

	if (monitor->talk == TALK_REPLYING)
		front_end.events = POLLOUT;
	else if (monitor->talk != TALK_READING)
		front_end.fd = -1;
	else if (monitor->front_end < 0 && is_serving(monitor) &&
		 now_ms() >= monitor->accept_at_ms)
		front_end.fd = monitor->listen_fd;
	return front_end;
}

static void tell_alive(struct monitor *monitor)
{
	if (!monitor->alive_ms || now_ms() < monitor->alive_at_ms)
		return;
	monitor->alive_at_ms = now_ms() + monitor->alive_ms;
	if (watchdog_is_well(&monitor->watchdog))
		fdstore_tell("WATCHDOG=1");
}

/* There are connections: for the next one, which comes at once. */
static void relieve_worker(struct monitor *monitor)
{
	monitor->start_at_ms = now_ms();
	if (!monitor->worker || monitor->relieved)
		return;
	monitor->relieved = true;
	watchdog_end(&monitor->watchdog);
	kill(monitor->worker, SIGKILL);
}

static void do_what_is_due(struct monitor *monitor)
{
	if (link_run(&monitor->link, now_ms()) && !monitor->quitting)
		relieve_worker(monitor);
	if (!monitor->worker && now_ms() >= monitor->start_at_ms &&
	    !start_worker(monitor)) {
		plan_next(monitor);
		find_server(monitor, monitor->start_at_ms, monitor->start_at_ms, false);
	}
	if (monitor->talk == TALK_KEEPING && !fdstore_is_busy())
		end_event(monitor);
	drop_slow_front_end(monitor);
	watchdog_look(&monitor->watchdog, now_ms());
	tell_alive(monitor);
	if (is_serving(monitor) && monitor->talk == TALK_READ)
		send_event(monitor);
}

static int serve(struct monitor *monitor)
{
	int code = 0;

	for (;;) {
		struct pollfd fds[4 + STORE_MAX_CONNECTIONS + 1];
		nfds_t count;

		do_what_is_due(monitor);
		fds[0] = (struct pollfd){ .fd = monitor->signal_fd, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = monitor->channel, .events = POLLIN };
		fds[2] = front_end_poll(monitor);
		fds[3] = fdstore_poll();
		count = 4 + nbd_dial_poll(&monitor->link.dial, fds + 4);
		if (poll(fds, count, timeout_ms(monitor)) < 0) {
			if (errno == EINTR)
				continue;
			return 1;
		}
		if (fds[1].revents & POLLIN)
			take_answer(monitor);
		else if (fds[1].revents)
			lose_channel(monitor);
		else if (fds[2].revents && monitor->front_end >= 0)
			talk_to_front_end(monitor);
		else if (fds[2].revents)
			accept_front_end(monitor);
		if (fds[3].revents)
			fdstore_run();
		if (fds[0].revents && handle_signal(monitor, &code))
			return code;
	}
}

/* Before any worker, so that all of them are born with the mask. */
static bool take_signals(struct monitor *monitor)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGCHLD };
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	monitor->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	return monitor->signal_fd >= 0;
}

static bool open_watchdogs(struct monitor *monitor)
{
	const struct conf *conf = monitor->config->conf;
	uint64_t usec;

	if (sd_watchdog_enabled(0, &usec) > 0)
		monitor->alive_ms = usec / 2000;
	return watchdog_open(&monitor->watchdog, &monitor->state->beats, 1 + conf->workers,
			     conf->watchdog_s);
}

static bool open_front_end(struct monitor *monitor, int passed_fd)
{
	const struct conf *conf = monitor->config->conf;
	int fd = conf->fd >= 0 ? conf->fd : passed_fd;

	if (conf->socket_path) {
		monitor->listen_fd = listener_open(conf->socket_path, BACKLOG);
		monitor->made_socket = monitor->listen_fd >= 0;
		return monitor->made_socket;
	}
	if (fd < 0) {
		log_err("neither --socket nor --fd, and no socket from systemd");
		return false;
	}
	switch (listener_is_listening(fd)) {
	case 0:
		begin_connection(monitor, fd);
		return true;
	case 1:
		monitor->listen_fd = fd;
		return true;
	default:
		return false;
	}
}

int monitor_run(const struct monitor_config *config)
{
	struct monitor monitor = {
		.config = config,
		.state_fd = -1,
		.files = STORE_FILES_NONE,
		.kept_file = { -1, -1 },
		.listen_fd = -1,
		.signal_fd = -1,
		.front_end = -1,
		.channel = -1,
	};
	int passed_fd, code = 1;

	memset(monitor.kept, -1, sizeof(monitor.kept));
	link_init(&monitor.link, config->conf);
	passed_fd = fdstore_take(found_fd, &monitor);
	if (take_signals(&monitor) && open_state(&monitor) && open_store(&monitor) &&
	    open_watchdogs(&monitor) && open_front_end(&monitor, passed_fd))
		code = serve(&monitor);
	fdstore_finish();
	if (monitor.made_socket)
		unlink(config->conf->socket_path);
	if (monitor.store)
		store_close(monitor.store);
	/* All that is kept is closed by our end. */
	return code;
}
