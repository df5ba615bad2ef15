/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_ring.h - a driver's side of a split ring, in memory of our own.
 *
 * Guest memory is GUEST_BYTES at guest address GUEST_GPA (and, to tell the two
 * apart, front end address GUEST_UVA); the ring's parts lie at its begin.
 */
#ifndef TEST_RING_H
#define TEST_RING_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "rings/vring.h"

#define GUEST_BYTES (64 * 4096)
#define GUEST_GPA 0x100000
#define GUEST_UVA 0x7f0000000000
#define RING_NUM 16
#define DESC_OFFSET 0
#define AVAIL_OFFSET 4096
#define USED_OFFSET 8192
/* Buffers start here. */
#define DATA_OFFSET (3 * 4096)

struct test_ring {
	uint8_t *guest;
	struct memory memory;
	struct vring_setup setup;
	struct vring_device vring;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vring_chain chain;
};

static inline void test_ring_attach(struct test_ring *t)
{
	assert_null(vring_attach(&t->vring, &t->memory, &t->setup));
}

static inline int test_ring_setup(void **state)
{
	struct test_ring *t = calloc(1, sizeof(*t));

	t->guest = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_null(memory_add_mapped(&t->memory, GUEST_GPA, GUEST_UVA,
				      GUEST_BYTES, t->guest));
	t->desc = (struct vring_desc *)(t->guest + DESC_OFFSET);
	t->avail = (struct vring_avail *)(t->guest + AVAIL_OFFSET);
	t->used = (struct vring_used *)(t->guest + USED_OFFSET);
	t->setup = (struct vring_setup) {
		.desc_uva = GUEST_UVA + DESC_OFFSET,
		.avail_uva = GUEST_UVA + AVAIL_OFFSET,
		.used_uva = GUEST_UVA + USED_OFFSET,
		.num = RING_NUM,
	};
	test_ring_attach(t);
	*state = t;
	return 0;
}

static inline int test_ring_teardown(void **state)
{
	struct test_ring *t = *state;

	munmap(t->guest, GUEST_BYTES);
	free(t);
	return 0;
}

static inline void put_desc(struct test_ring *t, unsigned int i,
			    uint64_t offset, uint32_t len, uint16_t flags,
			    uint16_t next)
{
	t->desc[i] = (struct vring_desc) {
		.addr = GUEST_GPA + offset,
		.len = len,
		.flags = flags,
		.next = next,
	};
}

static inline void post(struct test_ring *t, uint16_t head)
{
	t->avail->ring[t->avail->idx % t->setup.num] = head;
	t->avail->idx++;
}

static inline uint16_t *used_event_of(struct test_ring *t)
{
	return &t->avail->ring[t->setup.num];
}

static inline uint16_t *avail_event_of(struct test_ring *t)
{
	return (uint16_t *)&t->used->ring[t->setup.num];
}

static inline enum vring_result pop(struct test_ring *t)
{
	return vring_pop(&t->vring, &t->chain);
}

#endif
