// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker_loop.c - a worker's thread: its rounds, and how it sleeps and wakes.
 *
 * Theory of operation: in a round completions are reaped; the pairs take what the guest has
 * posted (worker_pair.c), and operations go to the store; the control queue has its turn
 * (worker_control.c); what ended is delivered, and the guest is called. A worker without
 * work polls for a moment and then sleeps in io_uring, which watches the kick descriptors
 * as well.
 *
 * Between two rounds it does what the front end's thread asks for: runs a function, or
 * comes to stand still.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "worker_parts.h"

#define RING_ENTRIES 1024
#define REAP_BATCH 64

/* --- completions --- */

static unsigned int finish_ops(struct worker *worker)
{
	unsigned int finished = 0;

	while (worker->done_ops) {
		struct store_op *op = worker->done_ops;

		worker->done_ops = op->next;
		worker->busy_ops--;
		finished++;
		switch (op->kind) {
		case STORE_DISCARD:
			control_finish_discard(worker, op);
			break;
		case STORE_GIVE_BACK:
			owed_finish(worker, op);
			break;
		case STORE_READ:
		case STORE_WRITE:
			pair_finish_op(worker, op);
			break;
		}
	}
	return finished;
}

/* False: there is no room for it now. */
static bool watch(struct worker *worker, int fd, uint64_t token)
{
	struct io_uring_sqe *sqe = store_get_sqe(&worker->uring);

	if (!sqe)
		return false;
	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	io_uring_sqe_set_data64(sqe, token);
	return true;
}

void loop_watch_ring(struct worker *worker, struct ring *ring)
{
	ring->watched = watch(worker, ring->setup.kick_fd, (uintptr_t)ring | TOKEN_KICK);
}

static struct ring *ring_of_token(uint64_t token)
{
	return (struct ring *)(uintptr_t)(token & ~(uint64_t)TOKEN_MASK);
}

void loop_break_ring(struct worker *worker, struct ring *ring, const char *why)
{
	if (ring->pair)
		pair_break(ring->pair, ring, why);
	else
		control_break(worker, why);
}

/*
 * Older kernels (5.x) end a multishot poll by -ECANCELED when they have no room for a completion; later ones end it by what
 * was polled for. Either may begin anew.
 */
static bool has_failed(const struct io_uring_cqe *cqe)
{
	return cqe->res < 0 ? cqe->res != -ECANCELED : cqe->res & (POLLERR | POLLHUP | POLLNVAL);
}

/*
 * The kick descriptor became readable. It's never read: a multishot poll
 * reports every write to it.
 */
static void kick_event(struct worker *worker, struct ring *ring,
		       const struct io_uring_cqe *cqe)
{
	if (cqe->flags & IORING_CQE_F_MORE)
		return;
	ring->watched = false;
	/* It has ended because we want it to. */
	if (!ring_attached(ring) || ring->setup.kick_fd < 0)
		return;
	if (has_failed(cqe)) {
		loop_break_ring(worker, ring, "kick descriptor is dead");
		return;
	}
	loop_watch_ring(worker, ring);
}

/* The monitor asks whether the thread runs: the answer, whether it reaps, waits or works. */
static void beat_event(struct worker *worker, const struct io_uring_cqe *cqe)
{
	const struct worker_config *config = &worker->set->config;

	watchdog_answer(config->beats, 1 + worker->index);
	/* A wait may be long, and no other code would begin the poll again. */
	if (!(cqe->flags & IORING_CQE_F_MORE) && !has_failed(cqe))
		worker->beats_watched = watch(worker, config->beat_fd, TOKEN_BEAT);
}

/* False: there's no room. */
static bool watch_beats(struct worker *worker)
{
	const struct worker_config *config = &worker->set->config;

	if (config->beats && !worker->beats_watched)
		worker->beats_watched = watch(worker, config->beat_fd, TOKEN_BEAT);
	return !config->beats || worker->beats_watched;
}

static void handle_cqe(struct worker *worker, const struct io_uring_cqe *cqe)
{
	uint64_t token = io_uring_cqe_get_data64(cqe);
	enum store_part part;

	switch (token & TOKEN_MASK) {
	case TOKEN_NONE:
		break;
	case TOKEN_KICK:
		kick_event(worker, ring_of_token(token), cqe);
		break;
	case TOKEN_MAIL:
		if (token == TOKEN_BEAT)
			beat_event(worker, cqe);
		else
			worker->mail_watched = cqe->flags & IORING_CQE_F_MORE;
		break;
	case TOKEN_PUNCH:
		control_punch_done(worker, (struct control_request *)(uintptr_t)(token & ~(uint64_t)TOKEN_MASK),
				   cqe->res);
		break;
	default:
		part = token & STORE_PART_MASK;
		worker->lane->store->ops->complete(worker->lane,
			(struct store_op *)(uintptr_t)(token & ~(uint64_t)STORE_PART_MASK),
			part, cqe->res);
	}
}

static unsigned int reap(struct worker *worker)
{
	struct io_uring_cqe *cqes[REAP_BATCH];
	unsigned int n, i;

	n = io_uring_peek_batch_cqe(&worker->uring, cqes, REAP_BATCH);
	for (i = 0; i < n; i++) {
		/* Handling may submit, never reap: the entries stay ours. */
		handle_cqe(worker, cqes[i]);
	}
	io_uring_cq_advance(&worker->uring, n);
	return finish_ops(worker);
}

void loop_unwatch_ring(struct worker *worker, struct ring *ring)
{
	struct io_uring_sqe *sqe;

	if (!ring->watched)
		return;
	while (!(sqe = store_get_sqe(&worker->uring)))
		reap(worker);
	io_uring_prep_cancel64(sqe, (uintptr_t)ring | TOKEN_KICK, 0);
	io_uring_sqe_set_data64(sqe, TOKEN_NONE);
	while (ring->watched) {
		io_uring_submit_and_wait(&worker->uring, 1);
		reap(worker);
	}
}

static void submit(struct worker *worker)
{
	op_flush(worker);
	if (io_uring_sq_ready(&worker->uring))
		io_uring_submit(&worker->uring);
}

/* --- a round --- */

/*
 * Something that was read, or written, wasn't there any more: all that ended since is void, and
 * nothing goes on before the memory is shared anew. Asked before anything is published.
 */
static void check_memory(struct worker *worker)
{
	static const char why[] = "guest memory has vanished";
	struct pair *pair;

	if (!memory_has_vanished(worker->set->config.memory))
		return;
	for_each_pair(worker, pair)
		if (pair_live(pair))
			pair_break(pair, &pair->request, why);
	if (ring_live(&worker->control.ring))
		control_break(worker, why);
}

/* One round; returns how much there was to do. */
static unsigned int run_round(struct worker *worker)
{
	unsigned int work = reap(worker);
	struct pair *pair;

	for_each_pair(worker, pair)
		work += pair_run(pair);
	submit(worker);
	work += finish_ops(worker);
	if (!worker_stands(worker, NULL))
		work += control_take(worker);
	work += control_begin(worker);
	work += owed_begin(worker);
	work += finish_ops(worker);
	work += control_answer(worker);
	submit(worker);
	check_memory(worker);
	for_each_pair(worker, pair)
		pair_deliver(pair, false);
	if (ring_live(&worker->control.ring))
		ring_publish(worker, &worker->control.ring);
	return work;
}

/* --- sleep --- */

static bool has_mail(const struct worker *worker)
{
	return __atomic_load_n(&worker->mail, __ATOMIC_ACQUIRE);
}

static bool has_ask(const struct worker *worker)
{
	return __atomic_load_n(&worker->ask_number, __ATOMIC_ACQUIRE) !=
	       worker->stand_number;
}

/* Ask for kicks where one would give work. True if there is work already. */
static bool enable_kicks(struct worker *worker)
{
	struct vring_device *control = &worker->control.ring.vring;
	struct pair *pair;
	bool more = false;

	for_each_pair(worker, pair) {
		if (!pair_live(pair) || pair->stalled || worker_stands(worker, pair))
			continue;
		/* Buffers are wanted only while something waits for them. */
		if (pair->loads_waiting || pair->done.first) {
			vring_enable_kicks(&pair->response.vring);
			more |= vring_has_avail(&pair->response.vring);
		}
		if (!pair->num_free || !worker->free_ops)
			continue;
		vring_enable_kicks(&pair->request.vring);
		more |= vring_has_avail(&pair->request.vring);
	}
	if (ring_live(&worker->control.ring) && worker->control.free &&
	    !worker->control.stalled && !worker_stands(worker, NULL)) {
		vring_enable_kicks(control);
		more |= vring_has_avail(control);
	}
	return more;
}

static void disable_kicks(struct worker *worker)
{
	struct pair *pair;

	for_each_pair(worker, pair) {
		if (!pair_live(pair))
			continue;
		vring_disable_kicks(&pair->request.vring);
		vring_disable_kicks(&pair->response.vring);
	}
	if (ring_live(&worker->control.ring))
		vring_disable_kicks(&worker->control.ring.vring);
}

static void wait_for_event(struct worker *worker)
{
	const uint64_t control_ns = control_wait_ns(worker), owed_ns = owed_wait_ns(worker);
	const uint64_t wait_ns = !owed_ns || (control_ns && control_ns < owed_ns) ?
					 control_ns : owed_ns;
	struct __kernel_timespec timeout = {
		.tv_sec = (long long)(wait_ns / 1000000000),
		.tv_nsec = (long long)(wait_ns % 1000000000),
	};
	struct io_uring_cqe *cqe;

	if (wait_ns)
		io_uring_submit_and_wait_timeout(&worker->uring, &cqe, 1, &timeout,
						 NULL);
	else
		io_uring_submit_and_wait(&worker->uring, 1);
}

/* One for which there was no room before. False: nor is there now. */
static bool watch_kicks(struct worker *worker, struct ring *ring)
{
	if (!ring->watched && ring->setup.kick_fd >= 0)
		loop_watch_ring(worker, ring);
	return ring->watched || ring->setup.kick_fd < 0;
}

/* All that is to wake the thread. False: something wouldn't. */
static bool watch_all(struct worker *worker)
{
	struct ring *control = &worker->control.ring;
	struct pair *pair;
	bool all;

	if (!worker->mail_watched)
		worker->mail_watched = watch(worker, worker->mail_fd, TOKEN_MAIL);
	all = watch_beats(worker) && worker->mail_watched;
	for_each_pair(worker, pair)
		if (pair_live(pair))
			all = watch_kicks(worker, &pair->request) && watch_kicks(worker, &pair->response) && all;
	return (!ring_live(control) || watch_kicks(worker, control)) && all;
}

static void sleep_in_uring(struct worker *worker)
{
	if (!watch_all(worker) || enable_kicks(worker))
		goto out;
	if (has_mail(worker) || has_ask(worker))
		goto out;
	COUNT(worker, sleeps, 1);
	wait_for_event(worker);
out:
	disable_kicks(worker);
}

/* --- polling --- */

#define POLL_MAX_ODDS	8
/* Without odds one wait in so many is polled, to learn whether that has changed. */
#define POLL_TRY	16

/*
 * A poll in vain costs its whole time, and then the sleep as well. Polls for the store go on while one in three ends
 * a wait, for that is a page's latency; those for the guest while every second does. How long a sleep took doesn't
 * tell: it has the wake-up in it, which may take longer than what was waited for.
 */
static const unsigned int odds_won[WAIT_KINDS] = { [WAIT_STORE] = 2, [WAIT_GUEST] = 1 };

static bool is_worth_polling(struct polling *polling)
{
	if (!polling->odds && ++polling->slept < POLL_TRY)
		return false;
	polling->slept = 0;
	return true;
}

/* Poll for a moment, if that pays. True if something came up. */
static bool poll_awhile(struct worker *worker)
{
	const enum wait_for what = worker->busy_ops ? WAIT_STORE : WAIT_GUEST;
	const uint64_t max_ns = (uint64_t)worker->set->config.poll_us * 1000;
	struct polling *polling = &worker->polling[what];
	uint64_t end;

	if (!max_ns || !is_worth_polling(polling))
		return false;
	end = worker_now_ns() + max_ns;
	do {
		if (has_mail(worker) || has_ask(worker) || run_round(worker)) {
			if (polling->odds < POLL_MAX_ODDS)
				polling->odds += odds_won[what];
			return true;
		}
	} while (worker_now_ns() < end);
	if (polling->odds)
		polling->odds--;
	return false;
}

/* --- what others ask for --- */

static void take_ask(struct worker *worker)
{
	if (!has_ask(worker))
		return;
	pthread_mutex_lock(&worker->lock);
	worker->stand = worker->ask;
	worker->stand_number = worker->ask_number;
	pthread_mutex_unlock(&worker->lock);
	worker->paused = worker->stand.still == WORKER_TABLE;
}

/* Has all of it ended that was under way? */
static bool has_ended(const struct worker *worker)
{
	struct pair *pair;

	for_each_pair(worker, pair)
		if (worker_stands(worker, pair) && pair->running)
			return false;
	/* What is given back touches no memory of the guest's, but it's I/O of ours. */
	if (worker->stand.still == WORKER_ALL && (worker->giving.running || store_is_busy(worker->lane)))
		return false;
	return !worker_stands(worker, NULL) ||
	       !control_is_busy(worker, worker->stand.still == WORKER_MEMORY);
}

/* What it waited for may have ended in a round that had no work. */
static bool can_stand(const struct worker *worker)
{
	return worker->still_number != worker->stand_number && has_ended(worker);
}

/* Show the guest all that ended. Outcomes that have no buffer stay, as do EVENTs. */
static void deliver_all(struct worker *worker)
{
	struct pair *pair;

	check_memory(worker);
	for_each_pair(worker, pair)
		pair_deliver(pair, true);
	if (ring_live(&worker->control.ring))
		ring_publish(worker, &worker->control.ring);
}

/* What was asked for stands still, or runs again. */
static void tell_still(struct worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	__atomic_store_n(&worker->still_number, worker->stand_number,
			 __ATOMIC_RELEASE);
	pthread_cond_signal(&worker->replied);
	pthread_mutex_unlock(&worker->lock);
	signal_fd(worker->set->still_fd);
}

/* Come to stand still as was asked. False: something is still under way. */
static bool come_to_stand(struct worker *worker)
{
	if (worker->still_number == worker->stand_number)
		return false;
	switch (worker->stand.still) {
	case WORKER_RUNS:
		/* A thread that stands still again and again doesn't keep others from running. */
		run_round(worker);
		break;
	case WORKER_TABLE:
		break;
	default:
		worker->lane->store->ops->hurry(worker->lane);
		if (!has_ended(worker))
			return false;
		deliver_all(worker);
		worker->paused = worker->stand.still != WORKER_RING;
	}
	tell_still(worker);
	return true;
}

static void read_mail(struct worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	worker->mail(worker, worker->mail_arg);
	__atomic_store_n(&worker->mail, NULL, __ATOMIC_RELEASE);
	pthread_cond_signal(&worker->replied);
	pthread_mutex_unlock(&worker->lock);
}

/* What ends meanwhile waits, too: it would be looked up in guest memory. */
static void wait_for_word(struct worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	while (!worker->mail && !has_ask(worker))
		pthread_cond_wait(&worker->word, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
}

static void worker_loop(struct worker *worker)
{
	while (!worker->quit) {
		take_ask(worker);
		if (has_mail(worker))
			read_mail(worker);
		else if (come_to_stand(worker))
			continue;
		else if (worker->paused)
			wait_for_word(worker);
		else if (!run_round(worker) && !poll_awhile(worker) && !can_stand(worker))
			sleep_in_uring(worker);
	}
}

/* --- start and end of a thread --- */

/* The administrator may have switched it off, for all or for us; which isn't always for us to see. */
static void explain_no_uring(int error)
{
	int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
	char disabled = '?';

	if (fd >= 0) {
		if (read(fd, &disabled, 1) != 1)
			disabled = '?';
		close(fd);
	}
	if (disabled == '1' || disabled == '2')
		log_err("io_uring can't be used: %s: it is switched off on this host; sysctl kernel.io_uring_disabled=0 switches it on",
			strerror(error));
	else if (error == EPERM || error == ENOSYS)
		log_err("io_uring can't be used: %s: a filter of system calls (a container's seccomp profile, SystemCallFilter=) forbids io_uring_setup, or sysctl kernel.io_uring_disabled isn't 0",
			strerror(error));
	else
		log_err("io_uring can't be used: %s", strerror(error));
}

static int open_uring(struct worker *worker)
{
	struct io_uring_params params = {
		/* Completions wait for us instead of interrupting us. */
		.flags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
			 IORING_SETUP_R_DISABLED,
	};
	int error;

	error = io_uring_queue_init_params(RING_ENTRIES, &worker->uring,
					   &params);
	if (error == -EINVAL) {
		memset(&params, 0, sizeof(params));
		params.flags = IORING_SETUP_R_DISABLED;
		error = io_uring_queue_init_params(RING_ENTRIES,
						   &worker->uring, &params);
	}
	if (error)
		explain_no_uring(-error);
	return error;
}

static int open_worker(struct worker *worker)
{
	struct store *store = worker->set->config.store;
	int error = open_uring(worker);

	if (error)
		return error;
	worker->lane = store->ops->lane_open(store, &worker->uring,
					     OPS_PER_WORKER, op_done, worker);
	error = worker->lane ? sandbox_enable_uring(worker->set->config.sandbox,
						    &worker->uring) : -errno;
	if (!error)
		return 0;
	if (worker->lane)
		store->ops->lane_close(worker->lane);
	io_uring_queue_exit(&worker->uring);
	return error;
}

void *loop_main(void *arg)
{
	struct worker *worker = arg;
	int error = open_worker(worker);
	char name[16];

	snprintf(name, sizeof(name), "cswapd-%u", worker->index);
	pthread_setname_np(pthread_self(), name);
	pthread_mutex_lock(&worker->lock);
	worker->start_error = error;
	worker->started = true;
	pthread_cond_signal(&worker->replied);
	pthread_mutex_unlock(&worker->lock);
	if (error)
		return NULL;
	watch_beats(worker);
	worker_loop(worker);
	worker->lane->store->ops->lane_close(worker->lane);
	io_uring_queue_exit(&worker->uring);
	return NULL;
}
