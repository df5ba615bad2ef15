// SPDX-License-Identifier: GPL-2.0-only
/*
 * daemon.c - what cswapd does from start to end.
 *
 * Theory of operation: the daemon reads its command line and becomes the monitor (monitor.c). The
 * monitor finds the store's files and starts the process that does all else: store, control socket,
 * sandbox, workers, and whatever an earlier process left of a front end, in this order. Thereby the
 * process opens everything by the rights that the daemon was started with, serves without them,
 * and READY means that it can serve a front end. Then it runs one loop over signals, the monitor's
 * events and the control socket. What the store holds stays: the same guest may come back. Signals
 * come by descriptor only; a worker thread never sees a signal.
 *
 * A process that is started again after a death does all of this again: it has every right until it
 * has opened what it needs (start_serving()).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "operator/command.h"
#include "common/clock.h"
#include "common/ctl.h"
#include "daemon.h"
#include "common/log.h"
#include "life/fdstore.h"
#include "life/monitor.h"
#include "life/own_memory.h"
#include "life/sandbox.h"
#include "frontend/vhost_user.h"

#define DESCRIPTORS 4096
/* Between two questions whether another daemon has let go of the store, or a server takes too long. */
#define PATIENCE_POLL_MS 20

enum daemon_end {
	DAEMON_RUNS,
	DAEMON_QUITS,			/* as it was told to */
	DAEMON_FORSAKEN,		/* by the monitor: the next process has to go on */
};

struct daemon {
	const struct daemon_variant *variant;
	struct conf conf;
	const struct store_files *files; /* the monitor's; NULL: memory */
	struct store *store;
	struct memory memory;
	struct balloon balloon;
	struct measure measure;
	struct health health;
	struct worker_set *workers;
	struct vhost_user *vu;
	struct ctl *ctl;		/* NULL: no control socket */
	struct command_context command;
	struct keep keep;
	const struct watchdog *watchdog; /* the monitor's, of us */
	struct keep_event event;	/* the monitor's, if one is under way */
	enum { SERVES, HANDLES, ENDS } phase;
	struct log_rate front_end_rate;	/* lines about its comings and goings */
	int signal_fd;
	enum daemon_end end;
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

/* Who is forsaken stays so. */
static void quit(struct daemon *daemon)
{
	if (daemon->end == DAEMON_RUNS)
		daemon->end = DAEMON_QUITS;
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
		quit(daemon);
		return;
	case SIGUSR1:
		report_counters(daemon);
		break;
	}
	if (daemon->variant) {
		daemon->variant->signal((int)info.ssi_signo);
		/* What was held back may be wanted no longer. */
		worker_hurry(daemon->workers);
	}
}

static void connect_front_end(struct daemon *daemon, int fd)
{
	vhost_user_connect(daemon->vu, fd);
	measure_open(&daemon->measure, fd, daemon->conf.cgroup);
	log_limited(&daemon->front_end_rate, LOG_INFO, "front end connected");
}

static void lose_front_end(struct daemon *daemon)
{
	vhost_user_disconnect(daemon->vu);
	measure_close(&daemon->measure);
	log_limited(&daemon->front_end_rate, LOG_INFO, "front end disconnected");
	if (daemon->conf.one_shot ||
	    (!daemon->conf.socket_path && daemon->conf.fd >= 0))
		quit(daemon);
}

/* Take an event from the monitor, which hears of its end before there is another. */
static void begin_event(struct daemon *daemon)
{
	const struct keep_event *event = &daemon->event;
	struct worker_need need = { .still = WORKER_RUNS };

	if (!keep_next(&daemon->keep, &daemon->event)) {
		log_err("the monitor is gone");
		daemon->end = DAEMON_FORSAKEN;
		return;
	}
	if (event->kind == KEEP_MESSAGE)
		need = vhost_user_needs(daemon->vu, &event->message);
	else if (event->kind == KEEP_DISCONNECT)
		need = VHOST_USER_LOSS_NEEDS;
	daemon->phase = HANDLES;
	if (need.still != WORKER_RUNS)
		worker_ask(daemon->workers, need);
}

/*
 * Must another daemon let go of the store first, or a server answer? A process that takes over meanwhile waits until
 * the same moment.
 */
static bool waits_for_store(struct daemon *daemon)
{
	uint64_t *until_ms = &daemon->keep.state->patient_until_ms;
	unsigned int ms = 0;

	if (vhost_user_leaves(daemon->vu))
		return true;
	if (daemon->event.kind == KEEP_MESSAGE)
		ms = vhost_user_waits(daemon->vu, &daemon->event.message);
	if (ms && !*until_ms)
		*until_ms = clock_now_ms() + ms;
	if (ms && clock_now_ms() < *until_ms)
		return true;
	if (ms)
		vhost_user_give_up(daemon->vu);
	*until_ms = 0;
	return false;
}

/* What it needs stands still. */
static void finish_event(struct daemon *daemon)
{
	struct vu_message *message = &daemon->event.message;
	bool alive = true, reply = false;

	daemon->phase = SERVES;
	switch (daemon->event.kind) {
	case KEEP_CONNECT:
		connect_front_end(daemon, message->fd[0]);
		message->fd[0] = -1;
		break;
	case KEEP_MESSAGE:
		alive = vhost_user_handle(daemon->vu, message, &reply);
		break;
	case KEEP_DISCONNECT:
		lose_front_end(daemon);
		break;
	}
	worker_ask(daemon->workers, (struct worker_need){ .still = WORKER_RUNS });
	vu_message_close_fds(message);
	if (!keep_done(&daemon->keep, daemon->vu, alive, reply ? message : NULL)) {
		log_err("the monitor can't keep what a successor would need");
		daemon->end = DAEMON_FORSAKEN;
	}
}

/* The sooner of two times, -1 for never. */
static int sooner_ms(int a, int b)
{
	return b < 0 || (a >= 0 && a < b) ? a : b;
}

/* The monitor asks whether we are there. */
static void answer_watchdog(struct daemon *daemon)
{
	uint64_t count;

	if (read(daemon->watchdog->main_fd, &count, sizeof(count)) == sizeof(count))
		watchdog_answer(&daemon->keep.state->beats, 0);
}

/*
 * The store's server is away, so no operation at it ends. The log has all of them, for the next
 * daemon; it's as if this one were killed, but that it cleans up.
 */
static _Noreturn void leave_without_server(struct daemon *daemon)
{
	log_warning("ending without the store's server: what waits for it is left to the next daemon");
	report_counters(daemon);
	if (daemon->ctl)
		ctl_close(daemon->ctl);
	if (daemon->variant)
		daemon->variant->end();
	_exit(daemon->end == DAEMON_FORSAKEN);
}

/*
 * The last event is all that is wanted of the workers: no other comes, and one under
 * way never came. True: it's over. If the medium hangs that takes as long as it does.
 */
static bool has_ended(struct daemon *daemon)
{
	if (daemon->end == DAEMON_RUNS)
		return false;
	if (daemon->phase == HANDLES)
		vu_message_close_fds(&daemon->event.message);
	if (daemon->phase != ENDS)
		worker_ask(daemon->workers, VHOST_USER_LOSS_NEEDS);
	daemon->phase = ENDS;
	if (!worker_is_still(daemon->workers) && health_server_away_ms(&daemon->health))
		leave_without_server(daemon);
	return worker_is_still(daemon->workers) && !vhost_user_leaves(daemon->vu);
}

static int timeout_ms(const struct daemon *daemon)
{
	int timeout = daemon->ctl ? ctl_timeout_ms(daemon->ctl) : -1;

	if ((daemon->phase == HANDLES && daemon->keep.state->patient_until_ms) ||
	    vhost_user_leaves(daemon->vu))
		timeout = sooner_ms(timeout, PATIENCE_POLL_MS);
	if (daemon->phase == SERVES)
		timeout = sooner_ms(timeout, vhost_user_again_ms(daemon->vu));
	return timeout;
}

/* What is polled besides the operator's. */
#define NUM_FDS 5

/*
 * Nothing here waits for the medium (but for a moment that a status takes, health.c), so the operator is answered and
 * signals are heard whatever is at it. False: there has to be another.
 */
static bool serve(struct daemon *daemon)
{
	struct ctl *ctl = daemon->ctl;

	while (!has_ended(daemon)) {
		struct pollfd fds[NUM_FDS + CTL_MAX_POLLS] = {
			{ .fd = daemon->signal_fd, .events = POLLIN },
			{ .fd = daemon->phase == SERVES ? daemon->keep.channel : -1,
			  .events = POLLIN },
			{ .fd = worker_still_fd(daemon->workers), .events = POLLIN },
			{ .fd = daemon->watchdog->main_fd, .events = POLLIN },
			vhost_user_state_poll(daemon->vu),
		};
		nfds_t count = NUM_FDS + (ctl ? ctl_prepare_poll(ctl, fds + NUM_FDS) : 0);

		if (poll(fds, count, timeout_ms(daemon)) < 0) {
			if (errno == EINTR)
				continue;
			log_err("poll: %s", strerror(errno));
			return false;
		}
		if (fds[0].revents)
			handle_signal(daemon);
		if (fds[1].revents)
			begin_event(daemon);
		if (fds[4].revents || vhost_user_leaves(daemon->vu))
			vhost_user_move_state(daemon->vu);
		if (worker_is_still(daemon->workers) && daemon->phase == HANDLES &&
		    !waits_for_store(daemon))
			finish_event(daemon);
		if (daemon->phase == SERVES && !vhost_user_again_ms(daemon->vu))
			vhost_user_ask_again(daemon->vu);
		if (fds[3].revents)
			answer_watchdog(daemon);
		if (ctl)
			ctl_run(ctl, fds + NUM_FDS);
	}
	return daemon->end != DAEMON_FORSAKEN;
}

/*
 * May another daemon have the store? If a process dies that has taken a file for a guest that comes, the file's lock is
 * free until the next process takes the lock, and the guest may go on where it was. What is taken at a server stays so.
 */
static bool may_be_others(const struct daemon *daemon)
{
	uint32_t holder = daemon->keep.state->holder;

	return handover_is_away(holder) ||
	       (holder == HANDOVER_LOADED && daemon->files && !daemon->files->server);
}

/* From here on no other process writes to the store, unless it may be another daemon's. */
static bool take_store(struct daemon *daemon)
{
	const struct conf *conf = &daemon->conf;

	/* Before the sandbox: it reads, and may wait. */
	if (daemon->files)
		health_begin(&daemon->health, daemon->files, &daemon->keep.state->health);
	if (conf->medium != CONF_MEDIUM_AUTO)
		daemon->store->facts.medium = conf->medium;
	if (daemon->variant)
		daemon->store = daemon->variant->wrap(daemon->store);
	if (!daemon->store)
		return false;
	if (!may_be_others(daemon))
		return daemon->store->ops->activate(daemon->store);
	if (store_can_move(daemon->store))
		return daemon->store->ops->move->idle(daemon->store);
	log_err("no guest can come with this store: --incoming is for those that two daemons can have");
	return false;
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
		.medium = daemon->store->facts.medium,
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
		.room = daemon->files ? &daemon->health.room : NULL,
		.memory = &daemon->memory,
		.balloon = &daemon->balloon,
		.punch = daemon->conf.release == CONF_RELEASE_PUNCH,
		.sandbox = daemon->conf.sandbox,
		.log = &daemon->keep.state->inflight,
		.counters = daemon->keep.state->counters,
		.beats = &daemon->keep.state->beats,
		.beat_fd = daemon->watchdog->threads_fd,
	};

	balloon_init(&daemon->balloon, daemon->conf.block_bytes);
	balloon_keep(&daemon->balloon, &daemon->keep.state->balloon);
	daemon->workers = worker_start(&config);
	return daemon->workers;
}

/* Go on with the front end that an earlier process served, if there is one. */
static bool open_front_end(struct daemon *daemon, const struct monitor_gift *gift)
{
	struct vhost_user_config config = {
		.access = daemon->conf.access,
		.limits = device_limits(daemon),
		.memory = &daemon->memory,
		.workers = daemon->workers,
		/* Without its pages, or their tags, it would be worth nothing. */
		.inflight = daemon->conf.store_path &&
			    (daemon->conf.tags_path || fdstore_exists()),
		.balloon = &daemon->balloon,
		.holder = &daemon->keep.state->holder,
		.lies = daemon->variant ? daemon->variant->lies : NULL,
	};
	const struct keep_state *state = daemon->keep.state;
	const struct vhost_user_saved *saved = &state->front[state->active & 1];

	if (daemon->files) {
		config.store = daemon->files->identity;
		config.movable = daemon->store;
	}
	daemon->vu = vhost_user_new(&config);
	if (!daemon->vu)
		return false;
	if (saved->connected) {
		/* First: when rings run the account is the worker's. */
		balloon_restore(&daemon->balloon);
		vhost_user_restore(daemon->vu, saved, gift->front_end, gift->fd);
		measure_open(&daemon->measure, gift->front_end,
			     daemon->conf.cgroup);
		log_notice("going on with the front end that was connected");
	} else if (gift->front_end >= 0) {
		/* It comes anew, as the first event. */
		close(gift->front_end);
	}
	keep_begin(&daemon->keep, daemon->vu, gift->fd);
	return true;
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
		{ daemon->conf.control_path, SANDBOX_UNLINK },
		/* Whose cgroup, and how large it is: measure.c. */
		{ "/proc", SANDBOX_READ },
		{ "/sys/fs/cgroup", SANDBOX_READ },
		{ variant ? variant->writes() : NULL, SANDBOX_REPLACE },
	};

	return sandbox_enter(daemon->conf.sandbox, paths,
			     sizeof(paths) / sizeof(paths[0]));
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

static void lock_own_memory(const struct daemon *daemon)
{
	const struct iovec others[] = {
		{ daemon->store->facts.pages, daemon->store->facts.pages_bytes },
		{ &daemon->keep.state->balloon, sizeof(daemon->keep.state->balloon) },
	};
	int error = own_memory_lock(others, sizeof(others) / sizeof(others[0]));

	if (error)
		log_notice("the daemon's memory isn't locked: %s; when the host is short of memory, the guest's pages will wait for it: LimitMEMLOCK=infinity in the unit (or ulimit -l unlimited) allows the lock",
			   strerror(error));
}

/*
 * The next process is a child of the monitor's and not of this one, so what is
 * given up here isn't missed there.
 */
static bool start_serving(struct daemon *daemon, const struct monitor_gift *gift)
{
	if (!take_signals(daemon) || !take_store(daemon) ||
	    !open_control(daemon) || !enter_sandbox(daemon) ||
	    (daemon->files && !health_start(&daemon->health)) ||
	    !start_workers(daemon))
		return false;
	lock_own_memory(daemon);
	/* From here on the guest's memory is mapped. */
	if (!open_front_end(daemon, gift))
		return false;
	daemon->command = (struct command_context) {
		.conf = &daemon->conf,
		.memory = &daemon->memory,
		.measure = &daemon->measure,
		.health = &daemon->health,
		.vu = daemon->vu,
		.balloon = &daemon->balloon,
		.workers = daemon->workers,
		.store = daemon->store,
	};
	return sandbox_seal(daemon->conf.sandbox);
}

static void close_all(struct daemon *daemon)
{
	if (daemon->ctl)
		ctl_close(daemon->ctl);
	if (daemon->vu)
		vhost_user_free(daemon->vu);
	measure_close(&daemon->measure);
	if (daemon->workers) {
		worker_stop(daemon->workers);
		balloon_free(&daemon->balloon);
	}
	health_end(&daemon->health);
	if (daemon->store)
		store_close(daemon->store);
	if (daemon->signal_fd >= 0)
		close(daemon->signal_fd);
	close(daemon->keep.channel);
}

/* The life of a worker process. */
static int work(void *context, const struct monitor_gift *gift)
{
	struct daemon *daemon = context;
	bool started, ended = false;

	daemon->keep.state = gift->state;
	daemon->files = gift->files;
	daemon->store = gift->store;
	daemon->keep.channel = gift->channel;
	daemon->watchdog = gift->watchdog;
	started = start_serving(daemon, gift);
	if (started) {
		log_info("ready: %ju slots, %u queue pairs, %u workers",
			 (uintmax_t)daemon->conf.slots, daemon->conf.queue_pairs,
			 daemon->conf.workers);
		keep_ready(&daemon->keep);
		ended = serve(daemon);
		report_counters(daemon);
	}
	close_all(daemon);
	if (daemon->variant && started)
		daemon->variant->end();
	return ended ? 0 : 1;
}

/*
 * The front end's memory and rings take up to a thousand, and as many may be under way between the
 * processes. Where it isn't allowed, what there is may do.
 */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= DESCRIPTORS)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/*
 * 2: it makes no sense to start this again as it is. But what systemd keeps of a guest that is attached it
 * keeps only as long as it goes on trying; the mistake can be mended meanwhile.
 */
static int usage_code(void)
{
	return getenv("LISTEN_FDS") ? 1 : 2;
}

int daemon_main(int argc, char **argv, const struct daemon_variant *variant)
{
	struct daemon daemon = {
		.variant = variant,
		.signal_fd = -1,
		.measure = MEASURE_NONE,
	};
	const struct monitor_config monitor = {
		.conf = &daemon.conf,
		.work = work,
		.context = &daemon,
	};

	switch (conf_parse(&daemon.conf, argc, argv,
			   variant ? variant->extra : NULL)) {
	case CONF_EXIT_0:
		return 0;
	case CONF_EXIT_USAGE:
		return usage_code();
	case CONF_OK:
		break;
	}
	sandbox_close_inherited(daemon.conf.fd);
	raise_descriptor_limit();
	log_init(daemon.conf.log_level);
	own_memory_begin();
	if (!sandbox_begin(daemon.conf.sandbox))
		return 1;
	return monitor_run(&monitor);
}
