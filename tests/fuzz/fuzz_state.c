// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_state.c - what an earlier process left for this one: the front end's state, and the log of
 * what was in hand.
 *
 * Whoever took that process over could write there what he liked, and its successor reads it with
 * rights that he didn't have any more. An input begins with what a good process leaves, and
 * changes some of it, and of the guest's memory.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "vhost_user.h"

enum part { PART_FRONT, PART_LOG, PART_MEMORY, NUM_PARTS };

static struct fuzz_bench *b;
static struct vhost_user *vu;
static struct vhost_user_saved front;

/* Two regions and all rings, each of which was being served. */
static void make_good(void)
{
	unsigned int i;

	memset(&front, 0, sizeof(front));
	front.connected = true;
	front.agreed.features = 1ULL << 32 | 1ULL << 30 | 1ULL << 29 | 7;
	front.num_regions = 1;
	front.region[0].gpa = FUZZ_GPA;
	front.region[0].uva = FUZZ_UVA;
	front.region[0].size = FUZZ_BYTES;
	for (i = 0; i < FUZZ_RINGS; i++) {
		const uint64_t uva = FUZZ_UVA + FUZZ_RING_OFFSET(i);

		front.ring[i].setup = (struct vring_setup) {
			.desc_uva = uva, .avail_uva = uva + 4096, .used_uva = uva + 8192,
			.num = FUZZ_RING_NUM,
		};
		front.ring[i].has_addr = true;
		front.ring[i].enabled = true;
		front.ring[i].attached = true;
	}
	memset(b->log, 0, sizeof(*b->log));
	b->log->control.ring.live = true;
	b->log->pair[0].request_ring.live = true;
	b->log->pair[0].response_ring.live = true;
}

static void change(struct fuzz_input *in)
{
	const struct {
		void *at;
		size_t bytes;
	} parts[NUM_PARTS] = {
		[PART_FRONT] = { &front, sizeof(front) },
		[PART_LOG] = { b->log, offsetof(struct inflight, pair[1]) },
		[PART_MEMORY] = { b->guest, FUZZ_BYTES },
	};
	unsigned int part = fuzz_u8(in) % NUM_PARTS;
	size_t offset = fuzz_u32(in) % parts[part].bytes;
	size_t left = parts[part].bytes - offset, bytes = fuzz_u8(in);

	fuzz_take(in, (uint8_t *)parts[part].at + offset, bytes < left ? bytes : left);
}

/* They must be bools, or the compiler's own check is all that is found. */
static void make_bool(bool *value)
{
	uint8_t byte;

	memcpy(&byte, value, 1);
	*value = byte & 1;
}

static void make_bools(void)
{
	unsigned int i;

	front.connected = true;
	make_bool(&front.inflight);
	make_bool(&front.agreed.owned);
	make_bool(&front.agreed.asked_features);
	make_bool(&front.agreed.owned_before_features);
	for (i = 0; i < FUZZ_RINGS; i++) {
		make_bool(&front.ring[i].setup.event_idx);
		make_bool(&front.ring[i].has_addr);
		make_bool(&front.ring[i].enabled);
		make_bool(&front.ring[i].attached);
		make_bool(&front.ring[i].resumable);
	}
}

/* The descriptors become the server's. */
static void go_on(void)
{
	int ends[2], fd[VHOST_USER_MAX_FDS];
	unsigned int i;

	memset(fd, -1, sizeof(fd));
	fd[1] = inflight_create_file(b->limits.queue_pairs);
	fd[2] = fcntl(b->memory_fd, F_DUPFD_CLOEXEC, 0);
	for (i = 0; i < FUZZ_RINGS; i++) {
		fd[2 + MEMORY_MAX_REGIONS + 3 * i] = fcntl(b->kick[i], F_DUPFD_CLOEXEC, 0);
		fd[2 + MEMORY_MAX_REGIONS + 3 * i + 1] = fcntl(b->call[i], F_DUPFD_CLOEXEC, 0);
	}
	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	vhost_user_restore(vu, &front, ends[0], fd);
	fuzz_bench_run(b);
	vhost_user_disconnect(vu);
	close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	b = fuzz_bench();
	vu = fuzz_server();
	make_good();
	while (in.left)
		change(&in);
	make_bools();
	go_on();
	FUZZ_CHECK(!b->memory.count);
	memset(b->log, 0, sizeof(*b->log));
	fuzz_bench_clear(b);
	return 0;
}
