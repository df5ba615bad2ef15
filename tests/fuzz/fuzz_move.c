// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_move.c - the state of a guest that comes from another daemon, which may be anybody.
 *
 * An input changes some of a good state, or cuts it short, and of the guest's memory. What is taken is
 * served: the rings go on from what the state says is in hand.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/handover.h"
#include "fuzz.h"
#include "life/device_state.h"

enum part { PART_STATE, PART_MEMORY, PART_CUT, NUM_PARTS };

static struct fuzz_bench *b;
static struct virtio_cswap_tag tag[FUZZ_CAPACITY];
static uint8_t *good, *state;
static uint64_t room, good_bytes, bytes;

static bool get_tags(struct store *store, uint64_t slot, struct virtio_cswap_tag *to,
		     unsigned int count)
{
	(void)store;
	FUZZ_CHECK(slot < FUZZ_CAPACITY && count <= FUZZ_CAPACITY - slot);
	memcpy(to, &tag[slot], count * sizeof(*to));
	return true;
}

static bool put_tags(struct store *store, uint64_t slot, const struct virtio_cswap_tag *from,
		     unsigned int count)
{
	(void)store;
	FUZZ_CHECK(slot < FUZZ_CAPACITY && count <= FUZZ_CAPACITY - slot);
	memcpy(&tag[slot], from, count * sizeof(*from));
	return true;
}

static bool always(struct store *store)
{
	(void)store;
	return true;
}

static enum store_taken take(struct store *store, const struct store_ticket *ticket)
{
	(void)store;
	(void)ticket;
	return STORE_TAKEN;
}

static const struct store_move_ops move_ops = {
	.idle = always, .take = take, .yield = always, .get_tags = get_tags, .put_tags = put_tags,
};
static const struct store_ops ops = { .move = &move_ops };
static struct store store = { .ops = &ops };
static const struct store_identity identity;

static void *map(uint64_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	FUZZ_CHECK(at != MAP_FAILED);
	return at;
}

static void open_all(void)
{
	struct worker_counters counters = { .stores = 1 };
	struct device_state device;

	if (b)
		return;
	b = fuzz_bench();
	balloon_keep(&b->balloon, &b->state->balloon);
	room = device_state_room(&b->limits);
	good = map(room);
	state = map(room);
	memset(&tag[3], 9, 40 * sizeof(tag[0]));
	FUZZ_CHECK(!memory_add(&b->memory, FUZZ_GPA, FUZZ_UVA, FUZZ_BYTES, 0, b->memory_fd));
	memset(b->log, 0, sizeof(*b->log));
	b->log->control.ring.state = INFLIGHT_RING_PARKED;
	b->log->pair[0].request_ring.state = INFLIGHT_RING_PARKED;
	b->log->pair[0].response_ring.state = INFLIGHT_RING_PARKED;
	device = (struct device_state) {
		&b->limits, &identity, &store, &b->balloon, &b->memory, b->log, &counters, { .number = "a move" },
	};
	good_bytes = device_state_write(&device, good);
	FUZZ_CHECK(good_bytes && good_bytes <= room);
}

static void change(struct fuzz_input *in)
{
	unsigned int part = fuzz_u8(in) % NUM_PARTS;
	uint32_t offset = fuzz_u32(in);
	uint8_t n = fuzz_u8(in);

	if (part == PART_CUT) {
		bytes = offset % (good_bytes + 64);
	} else if (part == PART_STATE) {
		offset %= (uint32_t)good_bytes;
		fuzz_take(in, state + offset, n < good_bytes - offset ? n : good_bytes - offset);
	} else {
		offset %= FUZZ_BYTES;
		fuzz_take(in, b->guest + offset, n < FUZZ_BYTES - offset ? n : FUZZ_BYTES - offset);
	}
}

/* As a front end does: a pipe's worth at a time. */
static bool load(struct handover *handover)
{
	uint64_t at = 0;
	ssize_t n;
	int fd[2];

	FUZZ_CHECK(!pipe2(fd, O_CLOEXEC | O_NONBLOCK));
	FUZZ_CHECK(!handover_begin(handover, true, fd[0]));
	while (at < bytes) {
		n = write(fd[1], state + at, bytes - at);
		if (n > 0)
			at += (uint64_t)n;
		handover_run(handover);
		if (handover->fd < 0)
			break;
	}
	close(fd[1]);
	return handover_check(handover);
}

static void serve(void)
{
	bool attached[FUZZ_RINGS];
	unsigned int i;

	for (i = 0; i < FUZZ_RINGS; i++) {
		const struct worker_ring setup = {
			.setup = fuzz_ring_setup(i, 0, false),
			.kick_fd = b->kick[i],
			.call_fd = b->call[i],
			.err_fd = -1,
		};

		attached[i] = !worker_attach(b->workers, i, &setup);
	}
	fuzz_bench_run(b);
	for (i = 0; i < FUZZ_RINGS; i++)
		if (attached[i])
			worker_detach(b->workers, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint32_t holder = HANDOVER_AWAY;
	struct handover handover;

	open_all();
	memcpy(state, good, good_bytes);
	memset(state + good_bytes, 0, 64);
	bytes = good_bytes;
	while (in.left)
		change(&in);
	handover_init(&handover, &(struct handover_config) {
		.store = &store, .identity = &identity, .limits = &b->limits, .memory = &b->memory,
		.balloon = &b->balloon, .workers = b->workers, .holder = &holder,
	});
	if (load(&handover)) {
		FUZZ_CHECK(holder == HANDOVER_LOADED);
		FUZZ_CHECK(!handover_end(&handover) && holder == HANDOVER_OURS);
		serve();
	} else {
		FUZZ_CHECK(holder == HANDOVER_AWAY);
	}
	handover_lose(&handover);
	worker_forget(b->workers);
	memset(b->log, 0, sizeof(*b->log));
	balloon_forget(&b->balloon);
	fuzz_bench_clear(b);
	return 0;
}
