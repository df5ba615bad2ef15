// SPDX-License-Identifier: GPL-2.0-only
/*
 * move_state.c - what the state of a guest that moves costs while the guest stands still: for each GiB in its store.
 *
 * Usage: move-state [GIB [ROUNDS]]
 *
 * The daemon's own code writes a state with a tag for each page, and checks and applies it in another device; between
 * them it goes through two pipes with 64 KiB at a time, as QEMU passes it on. Prints medians, and the lowest and highest.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "life/device_state.h"

#define PAGES_PER_GIB (1ULL << 18)
#define MAX_ROUNDS 99
#define PIECE (64 * 1024)

struct device {
	struct device_limits limits;
	struct store_identity identity;
	struct balloon balloon;
	struct memory memory;
	struct worker_counters counters;
	struct device_state state;
};

struct way {
	int from, to;
	const uint8_t *out;
	uint64_t bytes;
};

static struct device source, other;

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1000000;
}

static void expect(bool is_so, const char *what)
{
	if (is_so)
		return;
	fprintf(stderr, "move-state: %s\n", what);
	exit(1);
}

static void *map(uint64_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	expect(at != MAP_FAILED, "no memory");
	return at;
}

static void init(struct device *device, uint64_t slots)
{
	struct store *store = store_open(NULL, slots);

	expect(store && store->ops->activate(store), "no store");
	device->limits = (struct device_limits) { .capacity = slots, .queue_pairs = 4, .block_bytes = 2 << 20 };
	balloon_init(&device->balloon, 2 << 20);
	balloon_keep(&device->balloon, map(sizeof(struct balloon_log)));
	device->state = (struct device_state) {
		.limits = &device->limits, .identity = &device->identity, .store = store,
		.balloon = &device->balloon, .memory = &device->memory,
		.log = map(sizeof(struct inflight)), .counters = &device->counters,
	};
}

/* As after a guest's work: each page is in use, and each tag another. */
static void fill(struct store *store, uint64_t slots)
{
	struct virtio_cswap_tag tag[512];
	uint64_t slot;
	size_t i;

	for (slot = 0; slot < slots; slot += 512) {
		for (i = 0; i < sizeof(tag); i++)
			((uint8_t *)tag)[i] = (uint8_t)(i * 7 + slot + 1);
		expect(store->ops->move->put_tags(store, slot, tag, 512), "a tag can't be put");
	}
}

static void *write_all(void *arg)
{
	const struct way *way = arg;
	uint64_t at = 0;
	ssize_t n;

	while (at < way->bytes && (n = write(way->to, way->out + at, way->bytes - at)) > 0)
		at += (uint64_t)n;
	close(way->to);
	return NULL;
}

/* QEMU's part: from one pipe into the other, by its stream. */
static void *pass_on(void *arg)
{
	const struct way *way = arg;
	char piece[PIECE];
	ssize_t n;

	while ((n = read(way->from, piece, sizeof(piece))) > 0)
		expect(write(way->to, piece, (size_t)n) == n, "the pipe is broken");
	close(way->to);
	return NULL;
}

static uint64_t transfer(const uint8_t *from, uint64_t bytes, uint8_t *to)
{
	struct way ways[2] = { { .out = from, .bytes = bytes } };
	pthread_t thread[2];
	int first[2], second[2];
	uint64_t at = 0;
	ssize_t n;

	expect(!pipe(first) && !pipe(second), "no pipe");
	ways[0].to = first[1];
	ways[1].from = first[0];
	ways[1].to = second[1];
	pthread_create(&thread[0], NULL, write_all, &ways[0]);
	pthread_create(&thread[1], NULL, pass_on, &ways[1]);
	while ((n = read(second[0], to + at, PIECE)) > 0)
		at += (uint64_t)n;
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	close(first[0]);
	close(second[0]);
	return at;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(const char *what, double ms[MAX_ROUNDS], unsigned int rounds, double gib)
{
	qsort(ms, rounds, sizeof(ms[0]), compare);
	printf("%-8s %7.2f ms a GiB (%.2f to %.2f)\n", what, ms[rounds / 2] / gib, ms[0] / gib, ms[rounds - 1] / gib);
}

int main(int argc, char **argv)
{
	const double gib = argc > 1 ? atof(argv[1]) : 4;
	const unsigned int rounds = argc > 2 ? (unsigned int)atoi(argv[2]) : 9;
	const uint64_t slots = (uint64_t)(gib * PAGES_PER_GIB);
	double save[MAX_ROUNDS], pass[MAX_ROUNDS], load[MAX_ROUNDS];
	uint64_t room, bytes = 0;
	uint8_t *out, *in;
	unsigned int i;

	expect(slots >= 512 && !(slots % 512) && rounds && rounds <= MAX_ROUNDS, "usage: move-state [GIB [ROUNDS]]");
	log_init(LOG_ERR);
	init(&source, slots);
	init(&other, slots);
	fill(source.state.store, slots);
	room = device_state_room(&source.limits);
	for (i = 0; i < rounds; i++) {
		double begin = now_ms();

		out = map(room);
		bytes = device_state_write(&source.state, out);
		expect(bytes, "the state can't be written");
		save[i] = now_ms() - begin;
		in = map(room);
		begin = now_ms();
		expect(transfer(out, bytes, in) == bytes, "some of it is lost");
		pass[i] = now_ms() - begin;
		begin = now_ms();
		expect(!device_state_check(&other.state, in, bytes) && device_state_apply(&other.state, in),
		       "the state isn't taken");
		load[i] = now_ms() - begin;
		munmap(out, room);
		munmap(in, room);
	}
	printf("%.1f GiB in the store: %.2f MiB of state a GiB; medians of %u rounds\n", gib,
	       (double)bytes / gib / (1 << 20), rounds);
	print("write", save, rounds, gib);
	print("pass on", pass, rounds, gib);
	print("take", load, rounds, gib);
	return 0;
}
