// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker.c - the set of workers, the threads that carry requests between the rings and the store.
 *
 * Theory of operation: a worker owns some queue pairs (the first one also the
 * control queue), an io_uring and a lane of the store. All of that is touched
 * by its thread alone, so there are no locks; the front end's thread has the worker run
 * a function between two rounds, and waits. This takes no longer than a round: what must
 * have ended before the function runs was asked to stand still beforehand. Only the medium
 * can hold up the standstill, and meanwhile everything else is served (worker_stands()).
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "worker_parts.h"

/* --- what the front end's thread has a worker do --- */

/* So that the watchdog doesn't take this thread for one that hangs. */
static void note_waiting(struct worker_set *set, bool waits)
{
	struct watchdog_beats *beats = set->config.beats;

	if (beats)
		__atomic_store_n(&beats->main_waits, waits, __ATOMIC_RELEASE);
}

static void run_in_worker(struct worker *worker, worker_fn *fn, void *arg)
{
	note_waiting(worker->set, true);
	pthread_mutex_lock(&worker->lock);
	worker->mail_arg = arg;
	__atomic_store_n(&worker->mail, fn, __ATOMIC_RELEASE);
	pthread_cond_signal(&worker->word);
	signal_fd(worker->mail_fd);
	while (worker->mail)
		pthread_cond_wait(&worker->replied, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
	note_waiting(worker->set, false);
}

static void run_in_all(struct worker_set *set, worker_fn *fn)
{
	unsigned int i;

	for (i = 0; i < set->config.workers; i++)
		run_in_worker(&set->workers[i], fn, NULL);
}

static struct worker *worker_of(struct worker_set *set, unsigned int index,
				struct ring **ring)
{
	struct pair *pair;

	if (index == VIRTIO_CSWAP_VQ_CONTROL) {
		*ring = &set->workers[0].control.ring;
		return &set->workers[0];
	}
	pair = &set->pairs[(index - 1) / 2];
	*ring = index & 1 ? &pair->request : &pair->response;
	return pair->worker;
}

/* --- standing still --- */

static bool is_own_ring(const struct worker *worker, const struct ring *ring)
{
	return ring->pair ? ring->pair->worker == worker :
			    ring == &worker->control.ring;
}

void worker_ask(struct worker_set *set, struct worker_need need)
{
	struct ring *ring = NULL;
	unsigned int i;

	if (need.still == WORKER_RUNS && set->need.still == WORKER_RUNS)
		return;
	if (need.still == WORKER_RING)
		worker_of(set, need.index, &ring);
	set->need = need;
	for (i = 0; i < set->config.workers; i++) {
		struct worker *worker = &set->workers[i];

		pthread_mutex_lock(&worker->lock);
		worker->ask.still = need.still;
		worker->ask.ring = ring && is_own_ring(worker, ring) ? ring : NULL;
		__atomic_store_n(&worker->ask_number, worker->ask_number + 1,
				 __ATOMIC_RELEASE);
		pthread_cond_signal(&worker->word);
		pthread_mutex_unlock(&worker->lock);
		signal_fd(worker->mail_fd);
	}
}

bool worker_is_still(struct worker_set *set)
{
	uint64_t unused;
	unsigned int i;

	/* First: a worker that stands still after we looked makes it readable again. */
	(void)!read(set->still_fd, &unused, sizeof(unused));
	for (i = 0; i < set->config.workers; i++)
		if (__atomic_load_n(&set->workers[i].still_number, __ATOMIC_ACQUIRE) !=
		    set->workers[i].ask_number)
			return false;
	return true;
}

int worker_still_fd(const struct worker_set *set)
{
	return set->still_fd;
}

/* Does it stand still already, for what was asked for last? */
static bool is_covered(const struct worker_need *by, const struct worker_need *need)
{
	if (by->still == WORKER_ALL || by->still == need->still)
		return need->still != WORKER_RING || by->still == WORKER_ALL ||
		       by->index == need->index;
	return by->still == WORKER_MEMORY && need->still == WORKER_TABLE;
}

static void await_still(struct worker_set *set)
{
	unsigned int i;

	note_waiting(set, true);
	for (i = 0; i < set->config.workers; i++) {
		struct worker *worker = &set->workers[i];

		pthread_mutex_lock(&worker->lock);
		while (worker->still_number != worker->ask_number)
			pthread_cond_wait(&worker->replied, &worker->lock);
		pthread_mutex_unlock(&worker->lock);
	}
	note_waiting(set, false);
}

/* Have it stand still, and wait for that. Returns what to go back to. */
static struct worker_need stand_still(struct worker_set *set, enum worker_still still,
				      unsigned int index)
{
	const struct worker_need need = { still, index }, before = set->need;

	if (!is_covered(&before, &need))
		worker_ask(set, need);
	await_still(set);
	return before;
}

static void go_back(struct worker_set *set, struct worker_need before)
{
	if (set->need.still == before.still && set->need.index == before.index)
		return;
	worker_ask(set, before);
	await_still(set);
}

/* --- what the front end asks for --- */

const char *worker_attach(struct worker_set *set, unsigned int index,
			  const struct worker_ring *setup)
{
	struct attach attach = { .setup = setup };
	struct worker *worker = worker_of(set, index, &attach.ring);

	run_in_worker(worker, attach_begin, &attach);
	if (!attach.wrong)
		set->attached++;
	return attach.wrong;
}

uint16_t worker_detach(struct worker_set *set, unsigned int index)
{
	const struct worker_need before = stand_still(set, WORKER_RING, index);
	struct ring *ring;
	struct worker *worker = worker_of(set, index, &ring);

	run_in_worker(worker, attach_end, ring);
	go_back(set, before);
	if (!--set->attached)
		balloon_unpin_all(set->config.balloon);
	return ring->vring.last_avail;
}

void worker_set_fds(struct worker_set *set, unsigned int index,
		    const struct worker_ring *setup)
{
	struct attach attach = { .setup = setup };
	struct worker *worker = worker_of(set, index, &attach.ring);

	run_in_worker(worker, attach_set_fds, &attach);
}

void worker_pause(struct worker_set *set)
{
	set->before_pause = stand_still(set, WORKER_MEMORY, 0);
}

void worker_pause_table(struct worker_set *set)
{
	set->before_pause = stand_still(set, WORKER_TABLE, 0);
}

void worker_resume(struct worker_set *set)
{
	balloon_follow(set->config.balloon, set->config.memory);
	run_in_all(set, attach_relocate);
	go_back(set, set->before_pause);
}

void worker_drain(struct worker_set *set)
{
	go_back(set, stand_still(set, WORKER_ALL, 0));
}

static void hurry_worker(struct worker *worker, void *arg)
{
	(void)arg;
	worker->lane->store->ops->hurry(worker->lane);
}

void worker_hurry(struct worker_set *set)
{
	run_in_all(set, hurry_worker);
}

void worker_set_features(struct worker_set *set, bool discard, bool balloon,
			 bool report, bool again)
{
	/* The workers look at it while they look at requests. */
	const struct worker_need before = stand_still(set, WORKER_TABLE, 0);

	set->config.limits.discard = discard;
	set->config.limits.balloon = balloon;
	set->config.limits.report = report;
	set->config.limits.again = again;
	go_back(set, before);
}

void worker_forget(struct worker_set *set)
{
	run_in_all(set, attach_forget);
}

void worker_leave(struct worker_set *set)
{
	set->leaving = true;
}

void worker_use_log(struct worker_set *set, struct inflight *log)
{
	unsigned int i;

	set->leaving = false;
	set->config.log = log ? log : set->home_log;
	for (i = 0; i < set->config.workers; i++)
		run_in_worker(&set->workers[i], attach_use_log, set->config.log);
}

void worker_tell_target(struct worker_set *set)
{
	/* It looks at the target in each round: wake it for one. */
	signal_fd(set->workers[0].mail_fd);
}

void worker_count(struct worker_set *set, struct worker_counters *sum)
{
	const size_t words = sizeof(*sum) / sizeof(uint64_t);
	uint64_t *to = (uint64_t *)sum;
	unsigned int i, j;

	memset(sum, 0, sizeof(*sum));
	/* Those of an earlier process with more threads count as well. */
	for (i = 0; i < WORKER_NUM_COUNTERS; i++) {
		const uint64_t *from = (const uint64_t *)&set->counters[i];

		for (j = 0; j < words; j++)
			to[j] += __atomic_load_n(&from[j], __ATOMIC_RELAXED);
	}
}

/* Operations lie where they are for the life of their thread, and say since when they are at the store. */
uint64_t worker_waits_ns(const struct worker_set *set)
{
	uint64_t now = worker_now_ns(), oldest = now, begun;
	unsigned int i, j;

	for (i = 0; i < set->config.workers; i++) {
		for (j = 0; j < OPS_PER_WORKER; j++) {
			begun = __atomic_load_n(&set->workers[i].ops[j].begun_ns, __ATOMIC_RELAXED);
			if (begun && begun < oldest)
				oldest = begun;
		}
	}
	return now - oldest;
}

void worker_set_counted(struct worker_set *set, const struct worker_counters *sum)
{
	uint64_t *before = (uint64_t *)&set->counters[WORKER_MAX_WORKERS];
	const uint64_t *want = (const uint64_t *)sum;
	struct worker_counters have;
	size_t i;

	worker_count(set, &have);
	/* The threads' own are theirs; unsigned, so it comes out right. */
	for (i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
		before[i] += want[i] - ((const uint64_t *)&have)[i];
}

struct inflight *worker_log(const struct worker_set *set)
{
	return set->config.log;
}

/* --- start and end --- */

static int init_worker(struct worker *worker, struct worker_set *set,
		       unsigned int index)
{
	unsigned int i;

	worker->set = set;
	worker->index = index;
	worker->counters = &set->counters[index];
	worker->control.log = &set->config.log->control;
	worker->control.ring.log = &worker->control.log->ring;
	worker->control.told_known = true;
	control_init_discard(worker);
	owed_init_giving(worker);
	for (i = 0; i < CONTROL_REQUESTS; i++) {
		worker->control.requests[i].next = worker->control.free;
		worker->control.free = &worker->control.requests[i];
	}
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->replied, NULL);
	pthread_cond_init(&worker->word, NULL);
	worker->mail_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	worker->ops = calloc(OPS_PER_WORKER, sizeof(*worker->ops));
	if (worker->mail_fd < 0 || !worker->ops)
		return -ENOMEM;
	for (i = 0; i < OPS_PER_WORKER; i++)
		op_put(worker, &worker->ops[i]);
	return 0;
}

static int start_thread(struct worker *worker)
{
	int error = pthread_create(&worker->thread, NULL, loop_main, worker);

	if (error)
		return -error;
	pthread_mutex_lock(&worker->lock);
	while (!worker->started)
		pthread_cond_wait(&worker->replied, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
	if (worker->start_error)
		pthread_join(worker->thread, NULL);
	return worker->start_error;
}

static void free_set(struct worker_set *set)
{
	unsigned int i;

	for (i = 0; set->workers && i < set->config.workers; i++) {
		struct worker *worker = &set->workers[i];

		/* Not initialized if an earlier one could not be started. */
		if (!worker->set)
			continue;
		if (worker->mail_fd >= 0)
			close(worker->mail_fd);
		pthread_cond_destroy(&worker->replied);
		pthread_cond_destroy(&worker->word);
		pthread_mutex_destroy(&worker->lock);
		free(worker->ops);
	}
	if (set->still_fd >= 0)
		close(set->still_fd);
	free(set->workers);
	free(set->pairs);
	free(set->own_log);
	free(set->own_counters);
	free(set);
}

static void quit_worker(struct worker *worker, void *arg)
{
	(void)arg;
	worker->quit = true;
}

static void stop_threads(struct worker_set *set, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		run_in_worker(&set->workers[i], quit_worker, NULL);
		pthread_join(set->workers[i].thread, NULL);
	}
}

struct worker_set *worker_start(const struct worker_config *config)
{
	struct worker_set *set = calloc(1, sizeof(*set));
	unsigned int i;
	int error = 0;

	if (!set)
		return NULL;
	set->config = *config;
	if (!config->log)
		set->config.log = set->own_log = calloc(1, sizeof(*set->own_log));
	set->home_log = set->config.log;
	set->still_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	set->counters = config->counters;
	if (!set->counters)
		set->counters = set->own_counters =
			calloc(WORKER_NUM_COUNTERS, sizeof(*set->counters));
	set->num_pairs = config->limits.queue_pairs;
	set->pairs = calloc(set->num_pairs, sizeof(*set->pairs));
	set->workers = calloc(config->workers, sizeof(*set->workers));
	if (!set->pairs || !set->workers || !set->config.log || !set->counters ||
	    set->still_fd < 0) {
		free_set(set);
		return NULL;
	}
	for (i = 0; i < set->num_pairs; i++)
		pair_init(&set->pairs[i], &set->workers[i % config->workers],
			  i, &set->config.log->pair[i]);
	for (i = 0; i < config->workers && !error; i++) {
		error = init_worker(&set->workers[i], set, i);
		if (!error)
			error = start_thread(&set->workers[i]);
	}
	if (!error)
		return set;
	log_err("can't start a worker: %s", strerror(-error));
	stop_threads(set, i - 1);
	free_set(set);
	return NULL;
}

void worker_stop(struct worker_set *set)
{
	stand_still(set, WORKER_ALL, 0);
	stop_threads(set, set->config.workers);
	free_set(set);
}
