/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_world.h - a worker with a queue pair and the control queue, and a guest and a front end that the test plays.
 */
#ifndef TEST_WORLD_H
#define TEST_WORLD_H

#include "test_ring.h"

#include <sys/eventfd.h>

#include "common/log.h"
#include "serve/worker_parts.h"

#define PAGE 4096
#ifndef SLOTS
#define SLOTS 64
#endif
#define RINGS 3
/* Of a ring with as many descriptors as there can be, its parts 32 KiB each; requests and buffers are behind. */
#define PART_BYTES (8 * PAGE)
#define RING_BYTES (3 * PART_BYTES)
#define CTRL_OFFSET (RINGS * RING_BYTES)
#define LOAD_OFFSET (CTRL_OFFSET + PAGE)
#define BUFFER_OFFSET (LOAD_OFFSET + PAGE)
#define WORLD_BYTES (BUFFER_OFFSET + 2 * PAGE)

enum { CONTROL, REQUEST, RESPONSE };

struct world {
	uint8_t *guest;
	struct memory memory;
	struct balloon balloon;
	struct inflight log;
	struct store *store;
	struct worker_set *set;
};

static struct world *world;

static inline void *part_of(unsigned int ring, unsigned int part)
{
	return world->guest + ring * RING_BYTES + part * PART_BYTES;
}

static inline struct vring_used *used_of(unsigned int ring)
{
	return part_of(ring, 2);
}

static inline struct inflight_pair *pair_log(void)
{
	return &world->log.pair[0];
}

static inline struct pair *pair(void)
{
	return &world->set->pairs[0];
}

static inline struct control *control(void)
{
	return &world->set->workers[0].control;
}

static inline unsigned int kept_responses(void)
{
	return pair()->ack_heads.count + pair()->data.count;
}

/* --- the guest --- */

static inline void put(unsigned int ring, unsigned int i, uint64_t offset, uint32_t len, uint16_t flags,
		uint16_t next)
{
	struct vring_desc *desc = part_of(ring, 0);

	desc[i] = (struct vring_desc) { GUEST_GPA + offset, len, flags, next };
}

/* Every head is a buffer for acks, and all but the last one an EVENT, or a LOAD. */
static inline void fill_rings(void)
{
	const struct virtio_cswap_ctrl event = { .op = VIRTIO_CSWAP_CTRL_EVENT };
	const struct virtio_cswap_request load = { .op = VIRTIO_CSWAP_OP_LOAD, .count = 1 };
	const uint16_t last = VRING_MAX_NUM - 1;
	uint16_t i;

	memcpy(world->guest + CTRL_OFFSET, &event, sizeof(event));
	memcpy(world->guest + LOAD_OFFSET, &load, sizeof(load));
	for (i = 0; i < last; i++) {
		put(CONTROL, i, CTRL_OFFSET, sizeof(event), VRING_DESC_F_NEXT, last);
		put(REQUEST, i, LOAD_OFFSET, sizeof(load), 0, 0);
		put(RESPONSE, i, BUFFER_OFFSET, 64, VRING_DESC_F_WRITE, 0);
	}
	put(CONTROL, last, BUFFER_OFFSET, 64, VRING_DESC_F_WRITE, 0);
	put(RESPONSE, last, BUFFER_OFFSET, 64, VRING_DESC_F_WRITE, 0);
}

static inline void post_heads(unsigned int ring, uint16_t count)
{
	struct vring_avail *avail = part_of(ring, 1);
	uint16_t i;

	for (i = 0; i < count; i++)
		avail->ring[i] = (uint16_t)(ring == RESPONSE ? i : i % (VRING_MAX_NUM - 1));
	avail->idx = count;
}

/* --- the front end --- */

static inline const char *attach_ring(unsigned int index, uint16_t at, bool take_over)
{
	const uint64_t base = GUEST_UVA + index * RING_BYTES;
	const struct worker_ring ring = {
		.setup = {
			.desc_uva = base, .avail_uva = base + PART_BYTES,
			.used_uva = base + 2 * PART_BYTES, .num = VRING_MAX_NUM,
			.base = at,
		},
		.kick_fd = eventfd(0, EFD_CLOEXEC),
		.call_fd = -1,
		.err_fd = -1,
		.take_over = take_over,
	};

	return worker_attach(world->set, index, &ring);
}

static inline const char *attach_at(unsigned int index, uint16_t at)
{
	return attach_ring(index, at, false);
}

static inline const char *attach(unsigned int index)
{
	return attach_at(index, 0);
}

/* --- a world --- */

static inline int start_workers(void)
{
	const struct worker_config config = {
		.workers = 1,
		.limits = {
			.capacity = SLOTS, .queue_pairs = 1, .block_bytes = PAGE,
			.release_method = VIRTIO_CSWAP_RELEASE_CONVERT,
		},
		.memory = &world->memory,
		.balloon = &world->balloon,
		.store = world->store,
		.log = &world->log,
		.sandbox = SANDBOX_OFF,
	};

	world->set = worker_start(&config);
	if (!world->set)
		return -1;
	worker_set_features(world->set, true, true, false, true);
	return 0;
}

static inline int make_world(void **state)
{
	(void)state;
	memset(world->guest, 0, WORLD_BYTES);
	memset(&world->log, 0, sizeof(world->log));
	fill_rings();
	if (start_workers())
		return -1;
	worker_pause(world->set);
	memory_clear(&world->memory);
	if (memory_add_mapped(&world->memory, GUEST_GPA, GUEST_UVA, WORLD_BYTES, world->guest))
		return -1;
	worker_resume(world->set);
	/* No target that a guest hasn't been told: events are kept. */
	world->log.control.told_known = true;
	return 0;
}

static inline int end_world(void **state)
{
	(void)state;
	worker_stop(world->set);
	return 0;
}

/* Once. 0: it's there. */
static inline int open_world(void)
{
	log_init(LOG_CRIT);
	world = calloc(1, sizeof(*world));
	if (!world)
		return -1;
	world->guest = mmap(NULL, WORLD_BYTES, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	world->store = store_open(NULL, SLOTS);
	if (world->guest == MAP_FAILED || !world->store ||
	    !world->store->ops->activate(world->store))
		return -1;
	balloon_init(&world->balloon, PAGE);
	return 0;
}

#endif
