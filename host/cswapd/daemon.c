// SPDX-License-Identifier: GPL-2.0-only
/*
 * daemon.c - what cswapd does from start to end.
 *
 * Theory of operation: command line, store, sockets, sandbox, workers, in this
 * order, so that everything is opened by the rights that the daemon was started
 * with and served without them, and READY means that a front end can be. Then one
 * loop over signals, the socket and the control socket: it accepts a front end,
 * handles its messages until it goes, and listens again. What the store holds stays: the same guest may come back.
 * Signals come by descriptor only; a worker never sees one.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "command.h"
#include "ctl.h"
#include "daemon.h"
#include "listener.h"
#include "log.h"
#include "sandbox.h"
#include "vhost_user.h"

struct daemon {
	const struct daemon_variant *variant;
	struct conf conf;
	struct store *store;
	struct memory memory;
	struct balloon balloon;
	struct measure measure;
	struct worker_set *workers;
	struct vhost_user *vu;
	struct ctl *ctl;		/* NULL: no control socket */
	struct command_context command;
	int listen_fd;			/* -1: one connection was given */
	int given_fd;			/* -1: none was */
	int signal_fd;
	bool made_socket;
	bool connected;
	bool quit;
};

static void report_counters(struct daemon *daemon)
{
	struct worker_counters sum;

	worker_count(daemon->workers, &sum);
	log_notice("pages stored %ju, loaded %ju, discarded %ju; bytes in %ju, out %ju",
		   (uintmax_t)sum.stores, (uintmax_t)sum.loads,
		   (uintmax_t)sum.discards,
		   (uintmax_t)sum.stores * VIRTIO_CSWAP_SLOT_SIZE,
		   (uintmax_t)sum.loads * VIRTIO_CSWAP_SLOT_SIZE);
	log_notice("bytes released %ju, reclaimed %ju; punches %ju, targets told %ju, reports %ju",
		   (uintmax_t)sum.released, (uintmax_t)sum.reclaimed,
		   (uintmax_t)sum.punches, (uintmax_t)sum.events,
		   (uintmax_t)sum.reports);
	log_notice("errors: medium %ju, no space %ju, bad requests %ju, broken queues %ju",
		   (uintmax_t)sum.errors_io, (uintmax_t)sum.errors_nospc,
		   (uintmax_t)sum.errors_invalid, (uintmax_t)sum.broken);
	log_notice("store operations %ju, requests merged %ju, calls %ju, sleeps %ju",
		   (uintmax_t)sum.store_ops, (uintmax_t)sum.merged,
		   (uintmax_t)sum.calls, (uintmax_t)sum.sleeps);
}

static void handle_signal(struct daemon *daemon)
{
	struct signalfd_siginfo info;

	if (read(daemon->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGTERM:
	case SIGINT:
		log_info("ending by signal");
		daemon->quit = true;
		return;
	case SIGUSR1:
		report_counters(daemon);
		break;
	}
	if (daemon->variant) {
		daemon->variant->signal((int)info.ssi_signo);
		/* What was held back may be wanted no longer. */
		worker_drain(daemon->workers);
	}
}

static void connect_front_end(struct daemon *daemon, int fd)
{
	vhost_user_connect(daemon->vu, fd);
	measure_open(&daemon->measure, fd, daemon->conf.cgroup);
	daemon->connected = true;
	log_info("front end connected");
}

static void accept_front_end(struct daemon *daemon)
{
	int fd = accept4(daemon->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno != EINTR && errno != ECONNABORTED)
			log_warning("can't accept a connection: %s",
				    strerror(errno));
		return;
	}
	connect_front_end(daemon, fd);
}

static void lose_front_end(struct daemon *daemon)
{
	vhost_user_disconnect(daemon->vu);
	measure_close(&daemon->measure);
	daemon->connected = false;
	log_info("front end disconnected");
	if (daemon->conf.one_shot || daemon->listen_fd < 0)
		daemon->quit = true;
}

static void handle_front_end(struct daemon *daemon)
{
	if (!daemon->connected)
		accept_front_end(daemon);
	else if (!vhost_user_receive(daemon->vu))
		lose_front_end(daemon);
}

static void serve(struct daemon *daemon)
{
	struct ctl *ctl = daemon->ctl;

	while (!daemon->quit) {
		/* While there is a front end, another one waits in the queue. */
		struct pollfd fds[2 + CTL_MAX_POLLS] = {
			{ .fd = daemon->signal_fd, .events = POLLIN },
			{ .fd = daemon->connected ? vhost_user_fd(daemon->vu) :
						    daemon->listen_fd,
			  .events = POLLIN },
		};
		nfds_t count = 2 + (ctl ? ctl_prepare_poll(ctl, fds + 2) : 0);

		if (poll(fds, count, ctl ? ctl_timeout_ms(ctl) : -1) < 0) {
			if (errno == EINTR)
				continue;
			log_err("poll: %s", strerror(errno));
			return;
		}
		if (fds[0].revents)
			handle_signal(daemon);
		if (fds[1].revents)
			handle_front_end(daemon);
		if (ctl)
			ctl_run(ctl, fds + 2);
	}
}

static bool open_store(struct daemon *daemon)
{
	const struct conf *conf = &daemon->conf;
	struct store *outer;

	daemon->store = conf->store_path ?
			store_uring_open(conf->store_path, conf->tags_path,
					 conf->slots) :
			store_mem_open(conf->slots);
	if (!daemon->store)
		return false;
	if (conf->medium != CONF_MEDIUM_AUTO)
		daemon->store->medium = conf->medium;
	if (!daemon->variant)
		return true;
	outer = daemon->variant->wrap(daemon->store);
	if (!outer)
		return false;
	daemon->store = outer;
	return true;
}

static struct device_limits device_limits(const struct daemon *daemon)
{
	static const uint8_t methods[] = {
		[CONF_RELEASE_CONVERT] = VIRTIO_CSWAP_RELEASE_CONVERT,
		[CONF_RELEASE_PUNCH] = VIRTIO_CSWAP_RELEASE_DISCARD,
		[CONF_RELEASE_OFF] = VIRTIO_CSWAP_RELEASE_NONE,
	};

	return (struct device_limits) {
		.capacity = daemon->conf.slots,
		.queue_pairs = daemon->conf.queue_pairs,
		.medium = daemon->store->medium,
		.release_method = methods[daemon->conf.release],
		.block_bytes = daemon->conf.block_bytes,
		.report_period_ms = daemon->conf.report_period_ms,
	};
}

static bool start_workers(struct daemon *daemon)
{
	const struct worker_config config = {
		.workers = daemon->conf.workers,
		.poll_us = daemon->conf.poll_us,
		.limits = device_limits(daemon),
		.store = daemon->store,
		.memory = &daemon->memory,
		.balloon = &daemon->balloon,
		.punch = daemon->conf.release == CONF_RELEASE_PUNCH,
		.hooks = daemon->variant ? daemon->variant->hooks : NULL,
		.sandbox = daemon->conf.sandbox,
	};

	balloon_init(&daemon->balloon, daemon->conf.block_bytes);
	daemon->workers = worker_start(&config);
	return daemon->workers;
}

/* Made here, or given: listening, or connected already. */
static bool open_socket(struct daemon *daemon)
{
	int fd = daemon->conf.fd;

	if (daemon->conf.socket_path) {
		daemon->listen_fd = listener_open(daemon->conf.socket_path, 1);
		daemon->made_socket = daemon->listen_fd >= 0;
		return daemon->made_socket;
	}
	if (fd < 0 && sd_listen_fds(1) == 1)
		fd = SD_LISTEN_FDS_START;
	if (fd < 0) {
		log_err("neither --socket nor --fd, and no socket from systemd");
		return false;
	}
	switch (listener_is_listening(fd)) {
	case 0:
		daemon->given_fd = fd;
		return true;
	case 1:
		daemon->listen_fd = fd;
		return true;
	default:
		return false;
	}
}

static bool open_control(struct daemon *daemon)
{
	if (!daemon->conf.control_path)
		return true;
	daemon->ctl = ctl_open(daemon->conf.control_path, &command_ops,
			       &daemon->command);
	return daemon->ctl;
}

/* What is opened or removed by name later on. */
static bool enter_sandbox(struct daemon *daemon)
{
	const struct daemon_variant *variant = daemon->variant;
	const struct sandbox_path paths[] = {
		{ daemon->conf.socket_path, SANDBOX_UNLINK },
		{ daemon->conf.control_path, SANDBOX_UNLINK },
		/* Whose cgroup, and how large it is: measure.c. */
		{ "/proc", SANDBOX_READ },
		{ "/sys/fs/cgroup", SANDBOX_READ },
		{ variant ? variant->writes() : NULL, SANDBOX_REPLACE },
	};

	return sandbox_enter(daemon->conf.sandbox, paths,
			     sizeof(paths) / sizeof(paths[0]));
}

static bool open_front_end(struct daemon *daemon)
{
	const struct vhost_user_config config = {
		.access = daemon->conf.access,
		.limits = device_limits(daemon),
		.memory = &daemon->memory,
		.workers = daemon->workers,
		.lies = daemon->variant ? daemon->variant->lies : NULL,
	};

	daemon->vu = vhost_user_new(&config);
	if (!daemon->vu)
		return false;
	daemon->command = (struct command_context) {
		.conf = &daemon->conf,
		.memory = &daemon->memory,
		.measure = &daemon->measure,
		.vu = daemon->vu,
		.balloon = &daemon->balloon,
		.workers = daemon->workers,
	};
	if (daemon->given_fd >= 0)
		connect_front_end(daemon, daemon->given_fd);
	return true;
}

/* Before any thread starts, so that all of them inherit the mask. */
static bool take_signals(struct daemon *daemon)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	daemon->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	return daemon->signal_fd >= 0;
}

static bool open_all(struct daemon *daemon)
{
	sandbox_close_inherited(daemon->conf.fd);
	return take_signals(daemon) && open_store(daemon) &&
	       open_socket(daemon) && open_control(daemon) &&
	       enter_sandbox(daemon) && start_workers(daemon) &&
	       open_front_end(daemon);
}

static void close_all(struct daemon *daemon)
{
	if (daemon->ctl)
		ctl_close(daemon->ctl);
	if (daemon->made_socket)
		unlink(daemon->conf.socket_path);
	if (daemon->listen_fd >= 0)
		close(daemon->listen_fd);
	if (daemon->vu)
		vhost_user_free(daemon->vu);
	measure_close(&daemon->measure);
	if (daemon->workers) {
		worker_stop(daemon->workers);
		balloon_free(&daemon->balloon);
	}
	if (daemon->store)
		store_close(daemon->store);
	if (daemon->signal_fd >= 0)
		close(daemon->signal_fd);
}

int daemon_main(int argc, char **argv, const struct daemon_variant *variant)
{
	struct daemon daemon = {
		.variant = variant,
		.listen_fd = -1,
		.given_fd = -1,
		.signal_fd = -1,
		.measure = MEASURE_NONE,
	};
	bool opened;

	switch (conf_parse(&daemon.conf, argc, argv,
			   variant ? variant->extra : NULL)) {
	case CONF_EXIT_0:
		return 0;
	case CONF_EXIT_USAGE:
		return 2;
	case CONF_OK:
		break;
	}
	log_init(daemon.conf.log_level);
	opened = open_all(&daemon);
	if (opened) {
		log_info("ready: %ju slots, %u queue pairs, %u workers",
			 (uintmax_t)daemon.conf.slots, daemon.conf.queue_pairs,
			 daemon.conf.workers);
		/* The last that is said to systemd: it takes a socket. */
		sd_notify(0, "READY=1");
		opened = sandbox_seal(daemon.conf.sandbox);
	}
	if (opened) {
		serve(&daemon);
		report_counters(&daemon);
	}
	close_all(&daemon);
	if (variant && opened)
		variant->end();
	return opened ? 0 : 1;
}
