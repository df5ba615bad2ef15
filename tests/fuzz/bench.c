// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench.c - the workers that the fuzzers of rings, messages and requests have behind them.
 *
 * They are the daemon's own, threads and all. So that an input does the same each time, nothing
 * polls, and a step of an input ends when the worker goes to sleep: it does so only after a
 * round that found nothing.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "common/log.h"
#include "store_fault.h"

static struct fuzz_bench bench;

/* Requests that fail beside others that don't, and those that wait. */
static struct store *open_store(void)
{
	struct store *store = store_open(NULL, FUZZ_CAPACITY);

	FUZZ_CHECK(store);
	FUZZ_CHECK(!store_fault_add("eio-store:slots=96-96"));
	FUZZ_CHECK(!store_fault_add("nospc-store:slots=97-97"));
	FUZZ_CHECK(!store_fault_add("eio-load:slots=96-97"));
	store_fault_arm(true);
	store = store_fault_wrap(store);
	FUZZ_CHECK(store && store->ops->activate(store));
	store->facts.merge_pages = STORE_MAX_PAGES;
	return store;
}

static void open_bench(void)
{
	struct worker_config config = {
		.workers = 1,
		.memory = &bench.memory,
		.balloon = &bench.balloon,
		.punch = true,
	};
	unsigned int i;

	log_init(-1);
	bench.limits = (struct device_limits) {
		.capacity = FUZZ_CAPACITY,
		.queue_pairs = FUZZ_PAIRS,
		.release_method = VIRTIO_CSWAP_RELEASE_DISCARD,
		.block_bytes = 4096,
		.report_period_ms = 1000,
	};
	bench.store = open_store();
	bench.conf.slots = FUZZ_CAPACITY;
	bench.conf.queue_pairs = FUZZ_PAIRS;
	bench.conf.block_bytes = bench.limits.block_bytes;
	bench.state = keep_create(&bench.conf, NULL, &bench.state_fd);
	FUZZ_CHECK(bench.state);
	bench.log = &bench.state->inflight;
	balloon_init(&bench.balloon, bench.limits.block_bytes);
	balloon_keep(&bench.balloon, &bench.state->balloon);
	config.store = bench.store;
	config.log = bench.log;
	config.counters = bench.state->counters;
	config.limits = bench.limits;
	bench.memory_fd = memfd_create("guest", MFD_CLOEXEC);
	FUZZ_CHECK(!ftruncate(bench.memory_fd, FUZZ_BYTES));
	bench.guest = mmap(NULL, FUZZ_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			   bench.memory_fd, 0);
	FUZZ_CHECK(bench.guest != MAP_FAILED);
	for (i = 0; i < FUZZ_RINGS; i++) {
		bench.kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		bench.call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	bench.workers = worker_start(&config);
	FUZZ_CHECK(bench.workers);
}

struct fuzz_bench *fuzz_bench(void)
{
	if (!bench.workers)
		open_bench();
	return &bench;
}

struct vhost_user *fuzz_server(void)
{
	static struct vhost_user *server;
	struct fuzz_bench *b = fuzz_bench();
	const struct vhost_user_config config = {
		.limits = b->limits,
		.memory = &b->memory,
		.balloon = &b->balloon,
		.workers = b->workers,
		.inflight = true,
	};

	if (!server)
		server = vhost_user_new(&config);
	FUZZ_CHECK(server);
	return server;
}

static uint64_t count_sleeps(struct fuzz_bench *b)
{
	struct worker_counters counters;

	worker_count(b->workers, &counters);
	return counters.sleeps;
}

void fuzz_bench_run(struct fuzz_bench *b)
{
	const uint64_t one = 1;
	uint64_t before;
	unsigned int i;

	/* It has answered its mail since: what sleep comes now is behind a round. */
	worker_drain(b->workers);
	before = count_sleeps(b);
	for (i = 0; i < FUZZ_RINGS; i++)
		FUZZ_CHECK(write(b->kick[i], &one, sizeof(one)) == sizeof(one));
	worker_tell_target(b->workers);
	while (count_sleeps(b) == before)
		sched_yield();
}

void fuzz_bench_clear(struct fuzz_bench *b)
{
	/* Holes are zeros, and cost nothing to make. */
	FUZZ_CHECK(!ftruncate(b->memory_fd, FUZZ_BYTES));
	FUZZ_CHECK(!fallocate(b->memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			      FUZZ_BYTES));
}
