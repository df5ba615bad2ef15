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
 * the front end (monitor_talk.c). The descriptors that came with messages are kept
 * here, too, and those of the store's files, which are found or made here, once
 * (monitor_kept.c, store_files.c).
 * The monitor looks at nothing of the guest's: no ring, no memory, no page. So there is
 * little here that could go wrong.
 *
 * A worker is a fork, so the next one finds descriptors and state by inheriting
 * them, and opens all else itself: the store's files anew, by their descriptors,
 * io_uring, control socket. The lock on the store is on the dead worker's own open
 * file, which exists until the last of its I/O has ended: a worker that gets the lock
 * knows that this I/O has ended.
 *
 * Under systemd everything that is kept is in systemd's descriptor store as well, so that
 * the monitor may end, too (a restart, an upgrade): the next monitor takes it from there.
 * Without systemd the worker ends with its monitor.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "fdstore.h"
#include "common/listener.h"
#include "monitor_parts.h"
#include "own_memory.h"

/*
 * A worker that lived shorter than this is followed by the next after a pause:
 * one that doesn't keep a guest waiting, but leaves a CPU to others; one of
 * LONG_PAUSE_MS as long as none gets ready.
 */
#define SHORT_LIFE_MS 1000
#define SHORT_PAUSE_MS 20
/* So long a server that can't be used is left alone. */
#define UNFIT_PAUSE_MS 5000

/* Front ends that may wait while one is served; a VMM may not want to wait for connect(). */
#define BACKLOG 16

/* --- workers come and go --- */

static int be_worker(struct monitor *monitor, int channel, pid_t parent)
{
	int fd[VHOST_USER_MAX_FDS];
	const struct monitor_gift gift = {
		.state = monitor->state,
		.files = monitor->config->conf->store_path ? &monitor->files : NULL,
		.store = monitor->store,
		.channel = channel,
		.watchdog = &monitor->watchdog,
		.front_end = monitor->front_end,
		.fd = fd,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || !monitor_give_fds(monitor, fd))
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
	monitor->started_ms = clock_now_ms();
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
	uint64_t now = clock_now_ms();

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
		monitor->start_at_ms = clock_now_ms();
		return;
	}
	plan_next(monitor);
	at_ms = monitor->start_at_ms;
	if (lost)
		monitor->state->server.losses++;
	if (lost && code == STORE_EXIT_UNFIT)
		at_ms += UNFIT_PAUSE_MS;
	monitor_find_server(monitor, monitor->start_at_ms, at_ms, lost);
}

static bool was_expected(const struct monitor *monitor, bool exited, int code)
{
	return monitor->relieved || link_was_lost(&monitor->link, exited, code);
}

static void lose_channel(struct monitor *monitor)
{
	close(monitor->channel);
	monitor->channel = -1;
}

static void hear_worker(struct monitor *monitor)
{
	/* It has ended, or is about to, which a signal tells: until then don't spin. */
	if (!monitor_take_answer(monitor))
		lose_channel(monitor);
}

/* True: we have to end, too, with *@code. */
static bool bury_worker(struct monitor *monitor, int *code)
{
	bool exited, expected;
	int status;

	if (waitpid(monitor->worker, &status, WNOHANG) != monitor->worker)
		return false;
	/* Another process may have its number now. */
	monitor->worker = 0;
	/* What it said before it died counts. */
	while (monitor->channel >= 0)
		hear_worker(monitor);
	watchdog_end(&monitor->watchdog);
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
	uint64_t now = clock_now_ms(), next = UINT64_MAX;

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
		 clock_now_ms() >= monitor->accept_at_ms)
		front_end.fd = monitor->listen_fd;
	return front_end;
}

static void tell_alive(struct monitor *monitor)
{
	if (!monitor->alive_ms || clock_now_ms() < monitor->alive_at_ms)
		return;
	monitor->alive_at_ms = clock_now_ms() + monitor->alive_ms;
	if (watchdog_is_well(&monitor->watchdog))
		fdstore_tell("WATCHDOG=1");
}

/* There are connections: for the next one, which comes at once. */
static void relieve_worker(struct monitor *monitor)
{
	monitor->start_at_ms = clock_now_ms();
	if (!monitor->worker || monitor->relieved)
		return;
	monitor->relieved = true;
	watchdog_end(&monitor->watchdog);
	kill(monitor->worker, SIGKILL);
}

static void do_what_is_due(struct monitor *monitor)
{
	if (link_run(&monitor->link, clock_now_ms()) && !monitor->quitting)
		relieve_worker(monitor);
	if (!monitor->worker && clock_now_ms() >= monitor->start_at_ms &&
	    !start_worker(monitor)) {
		plan_next(monitor);
		monitor_find_server(monitor, monitor->start_at_ms, monitor->start_at_ms, false);
	}
	if (monitor->talk == TALK_KEEPING && !fdstore_is_busy())
		monitor_end_event(monitor);
	monitor_drop_slow_front_end(monitor);
	watchdog_look(&monitor->watchdog, clock_now_ms());
	tell_alive(monitor);
	if (is_serving(monitor) && monitor->talk == TALK_READ)
		monitor_send_event(monitor);
}

static int serve(struct monitor *monitor)
{
	int code = 0;

	for (;;) {
		struct pollfd fds[5 + STORE_MAX_CONNECTIONS + 1];
		nfds_t count;

		do_what_is_due(monitor);
		fds[0] = (struct pollfd){ .fd = monitor->signal_fd, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = monitor->channel, .events = POLLIN };
		fds[2] = front_end_poll(monitor);
		fds[3] = fdstore_poll();
		fds[4] = (struct pollfd){ .fd = monitor->link.server.wake_fd, .events = POLLIN };
		count = 5 + nbd_dial_poll(&monitor->link.dial, fds + 5);
		if (poll(fds, count, timeout_ms(monitor)) < 0) {
			if (errno == EINTR)
				continue;
			return 1;
		}
		if (fds[1].revents)
			hear_worker(monitor);
		else if (fds[2].revents && monitor->front_end >= 0)
			monitor_talk_to_front_end(monitor);
		else if (fds[2].revents)
			monitor_accept_front_end(monitor);
		if (fds[3].revents)
			fdstore_run();
		if (fds[4].revents)
			link_hear(&monitor->link, clock_now_ms());
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
		monitor_begin_connection(monitor, fd);
		return true;
	case 1:
		monitor->listen_fd = fd;
		return true;
	default:
		return false;
	}
}

/* If it can't be, the process that serves says so. */
static void lock_own_memory(const struct monitor *monitor)
{
	const struct iovec others[] = {
		{ monitor->store->facts.pages, monitor->store->facts.pages_bytes },
		{ &monitor->state->balloon, sizeof(monitor->state->balloon) },
	};

	(void)own_memory_lock(others, sizeof(others) / sizeof(others[0]));
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

	monitor_keep_none(&monitor);
	link_init(&monitor.link, config->conf);
	passed_fd = fdstore_take(monitor_found_fd, &monitor);
	if (take_signals(&monitor) && monitor_open_state(&monitor) && monitor_open_store(&monitor) &&
	    open_watchdogs(&monitor) && open_front_end(&monitor, passed_fd)) {
		lock_own_memory(&monitor);
		code = serve(&monitor);
	}
	fdstore_finish();
	if (monitor.made_socket)
		unlink(config->conf->socket_path);
	if (monitor.store)
		store_close(monitor.store);
	/* All that is kept is closed by our end. */
	return code;
}
