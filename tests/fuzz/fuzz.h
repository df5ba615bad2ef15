/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fuzz.h - what the fuzzers share: an input that is read to its end, and a bench with workers.
 *
 * Inputs are little programs for the bench, so that a mutation changes what is said and when,
 * and seldom makes nonsense of all that follows. Where the input ends, numbers are 0.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "balloon/balloon.h"
#include "rings/inflight.h"
#include "life/keep.h"
#include "store/store.h"
#include "frontend/vhost_user.h"
#include "serve/worker.h"

struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_take(struct fuzz_input *in, void *to, size_t size)
{
	size_t n = size < in->left ? size : in->left;

	memset(to, 0, size);
	if (!n)
		return;
	memcpy(to, in->at, n);
	in->at += n;
	in->left -= n;
}

#define FUZZ_TAKE(bits) \
static inline uint##bits##_t fuzz_u##bits(struct fuzz_input *in) \
{ \
	uint##bits##_t value; \
\
	fuzz_take(in, &value, sizeof(value)); \
	return value; \
}

FUZZ_TAKE(8)
FUZZ_TAKE(16)
FUZZ_TAKE(32)
FUZZ_TAKE(64)

/* What is read as a bool must be one, or the compiler's own check is all that is found. */
static inline void fuzz_make_bool(bool *value)
{
	uint8_t byte;

	memcpy(&byte, value, 1);
	*value = byte & 1;
}

/* What must hold, whatever the input: a failure is a crash, which is what a fuzzer looks for. */
#define FUZZ_CHECK(condition) do { if (!(condition)) abort(); } while (0)

/* A store in memory whose slots 96 and 97 fail, workers before it, and no front end. */
#define FUZZ_CAPACITY 128
#define FUZZ_PAIRS 1
#define FUZZ_RINGS VIRTIO_CSWAP_NUM_VQS(FUZZ_PAIRS)

/* The guest's memory: a file, at different addresses for the guest and the front end. */
#define FUZZ_PAGES 64
#define FUZZ_BYTES (FUZZ_PAGES * 4096)
#define FUZZ_GPA 0x100000ULL
#define FUZZ_UVA 0x7f0000000000ULL

/* Each ring has three pages at the end of it: descriptors, available, used. */
#define FUZZ_RING_NUM 16
#define FUZZ_RING_OFFSET(ring) (FUZZ_BYTES / 2 + (ring) * 3 * 4096)

struct fuzz_bench {
	struct store *store;
	struct memory memory;
	struct balloon balloon;
	struct device_limits limits;
	struct conf conf;		/* as far as what outlives a process depends on it */
	struct keep_state *state;
	int state_fd;
	struct inflight *log;		/* the workers', in @state */
	struct worker_set *workers;
	int memory_fd;
	uint8_t *guest;			/* the guest's own mapping */
	int kick[FUZZ_RINGS];
	int call[FUZZ_RINGS];
};

/* Made by the first call; the same for all inputs. */
struct fuzz_bench *fuzz_bench(void);

/* What front ends talk to, before that bench; it has none yet. Made by the first call as well. */
struct vhost_user *fuzz_server(void);

/* Kick all rings, and wait until the worker has found nothing more to do. */
void fuzz_bench_run(struct fuzz_bench *bench);

/* Where a ring is, for the front end. */
static inline struct vring_setup fuzz_ring_setup(unsigned int ring, uint16_t base, bool event_idx)
{
	const uint64_t uva = FUZZ_UVA + FUZZ_RING_OFFSET(ring);

	return (struct vring_setup) {
		.desc_uva = uva, .avail_uva = uva + 4096, .used_uva = uva + 8192,
		.num = FUZZ_RING_NUM, .base = base, .event_idx = event_idx,
	};
}

/* The guest's memory as a new guest would have it. */
void fuzz_bench_clear(struct fuzz_bench *bench);

#endif
