// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_rings.c - whatever a guest writes into its rings and its memory.
 *
 * An input is what the guest does, a step at a time: it writes descriptors, indices and memory,
 * and lets the device look; the front end stops rings and starts them again. Behind it are the
 * daemon's workers, request parser, balloon and a store that fails now and then.
 */
#include "fuzz.h"

enum step {
	STEP_DESC, STEP_CHAIN, STEP_AVAIL, STEP_INDEX, STEP_USED_EVENT, STEP_MEMORY, STEP_RUN,
	STEP_TARGET, STEP_RESTART, STEP_PAUSE, STEP_FORGET, STEP_FEATURES,
	NUM_STEPS
};

static struct fuzz_bench *b;
static bool attached[FUZZ_RINGS];
static uint16_t detached_at[FUZZ_RINGS];

static struct vring_desc *desc_of(unsigned int ring)
{
	return (struct vring_desc *)(b->guest + FUZZ_RING_OFFSET(ring));
}

static struct vring_avail *avail_of(unsigned int ring)
{
	return (struct vring_avail *)(b->guest + FUZZ_RING_OFFSET(ring) + 4096);
}

static void attach(unsigned int ring, uint16_t base, bool event_idx, bool take_over)
{
	const struct worker_ring setup = {
		.setup = fuzz_ring_setup(ring, base, event_idx),
		.kick_fd = b->kick[ring],
		.call_fd = b->call[ring],
		.err_fd = -1,
		.take_over = take_over,
	};

	attached[ring] = !worker_attach(b->workers, ring, &setup);
}

static void detach(unsigned int ring)
{
	if (attached[ring])
		detached_at[ring] = worker_detach(b->workers, ring);
	attached[ring] = false;
}

static void map_guest(void)
{
	worker_pause(b->workers);
	memory_clear(&b->memory);
	/* Two regions, so that something lies between what belongs together. */
	FUZZ_CHECK(!memory_add(&b->memory, FUZZ_GPA, FUZZ_UVA, FUZZ_BYTES / 4, 0, b->memory_fd));
	FUZZ_CHECK(!memory_add(&b->memory, FUZZ_GPA + FUZZ_BYTES / 4, FUZZ_UVA + FUZZ_BYTES / 4,
			       FUZZ_BYTES * 3 / 4, FUZZ_BYTES / 4, b->memory_fd));
	worker_resume(b->workers);
}

/* An address near something, or any at all. */
static uint64_t take_address(struct fuzz_input *in)
{
	uint16_t page = fuzz_u16(in);

	if (page == UINT16_MAX)
		return fuzz_u64(in);
	return FUZZ_GPA + (uint64_t)(page >> 8) * 4096 + (page & 0xff) * 16;
}

static void put_desc(struct fuzz_input *in, unsigned int ring)
{
	struct vring_desc *desc = &desc_of(ring)[fuzz_u8(in) % FUZZ_RING_NUM];

	desc->addr = take_address(in);
	desc->len = fuzz_u32(in);
	desc->flags = fuzz_u16(in);
	desc->next = fuzz_u16(in);
}

static void post(unsigned int ring, uint16_t head)
{
	struct vring_avail *avail = avail_of(ring);

	avail->ring[avail->idx % FUZZ_RING_NUM] = head;
	avail->idx++;
}

/* A chain as a driver makes it: the first ones readable, the others writable. */
static void put_chain(struct fuzz_input *in, unsigned int ring)
{
	unsigned int count = 1 + fuzz_u8(in) % 4, readable = fuzz_u8(in), i;
	uint8_t head = fuzz_u8(in);

	for (i = 0; i < count; i++) {
		uint16_t next = (uint16_t)((head + i + 1) % FUZZ_RING_NUM);
		struct vring_desc *desc = &desc_of(ring)[(head + i) % FUZZ_RING_NUM];

		desc->addr = take_address(in);
		desc->len = fuzz_u16(in);
		desc->flags = (i < readable ? 0 : VRING_DESC_F_WRITE) |
			      (i + 1 < count ? VRING_DESC_F_NEXT : 0);
		desc->next = next;
	}
	post(ring, head % FUZZ_RING_NUM);
}

static void put_memory(struct fuzz_input *in)
{
	uint32_t offset = (uint32_t)(take_address(in) - FUZZ_GPA);
	uint8_t len = fuzz_u8(in);

	if (offset <= FUZZ_BYTES - UINT8_MAX)
		fuzz_take(in, b->guest + offset, len);
}

static void set_features(uint8_t features)
{
	worker_set_features(b->workers, features & 1, features & 2, features & 4,
			    features & 8);
}

static void restart(unsigned int ring, uint8_t how)
{
	bool was = attached[ring];

	detach(ring);
	if (how & 8)
		map_guest();
	if (how & 1)
		attach(ring, was && how & 2 ? detached_at[ring] : how >> 4, how & 4,
		       was && how & 2);
}

static void take_step(struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in);
	unsigned int ring = what / NUM_STEPS % FUZZ_RINGS;

	switch ((enum step)(what % NUM_STEPS)) {
	case STEP_DESC:
		put_desc(in, ring);
		break;
	case STEP_CHAIN:
		put_chain(in, ring);
		break;
	case STEP_AVAIL:
		post(ring, fuzz_u16(in));
		break;
	case STEP_INDEX:
		avail_of(ring)->idx = fuzz_u16(in);
		break;
	case STEP_USED_EVENT:
		avail_of(ring)->ring[FUZZ_RING_NUM] = fuzz_u16(in);
		avail_of(ring)->flags = fuzz_u8(in);
		break;
	case STEP_MEMORY:
		put_memory(in);
		break;
	case STEP_RUN:
		fuzz_bench_run(b);
		break;
	case STEP_TARGET:
		balloon_set_target(&b->balloon, fuzz_u64(in));
		break;
	case STEP_RESTART:
		restart(ring, fuzz_u8(in));
		break;
	case STEP_PAUSE:
		worker_pause(b->workers);
		worker_resume(b->workers);
		break;
	case STEP_FORGET:
		worker_drain(b->workers);
		break;
	case STEP_FEATURES:
		set_features(fuzz_u8(in));
		break;
	case NUM_STEPS:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t how = fuzz_u8(&in);
	unsigned int i;

	b = fuzz_bench();
	set_features(how);
	map_guest();
	balloon_set_target(&b->balloon, 0);
	for (i = 0; i < FUZZ_RINGS; i++)
		attach(i, 0, how & 8, false);
	while (in.left)
		take_step(&in);
	fuzz_bench_run(b);
	for (i = 0; i < FUZZ_RINGS; i++)
		detach(i);
	worker_forget(b->workers);
	fuzz_bench_clear(b);
	return 0;
}
