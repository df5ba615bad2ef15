// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_state.c - what an earlier process left for this one: the front end's state, the log of
 * what was in hand, and what the guest had released.
 *
 * Whoever took that process over could write there what he liked, and its successor reads it with
 * rights that he didn't have any more. An input begins with what a good process leaves, and
 * changes some of it, and of the guest's memory. What goes on from there has two more events, and
 * tells the monitor of each: that must be what a monitor takes.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "life/keep.h"
#include "frontend/vhost_user.h"

/* A message that brings a descriptor: how many rings, and how large, is at 16 of its payload. */
#define GET_INFLIGHT_FD 31
/* Of the dirty log: for all of the guest's memory, and something behind it. */
#define LOG_BYTES ((FUZZ_GPA + FUZZ_BYTES) / 4096 / 8 + 64)

/* What make-seeds says of it: otherwise its seeds change something else. */
_Static_assert(offsetof(struct inflight, control.chain) == 8216 &&
	       offsetof(struct inflight, pair[0].request) == 9256 &&
	       offsetof(struct inflight, pair[0].response) == 50216, "make-seeds: CONTROL_CHAIN and so on");
_Static_assert(offsetof(struct vhost_user_saved, num_regions) == 64 &&
	       offsetof(struct vhost_user_saved, region) == 72 &&
	       offsetof(struct vhost_user_saved, num_gone) == 22552 &&
	       offsetof(struct vhost_user_saved, gone) == 22560, "make-seeds: NUM_REGIONS and so on");
_Static_assert(offsetof(struct balloon_log, released) == 4096 &&
	       offsetof(struct keep_state, active) == 2152, "make-seeds: RELEASED, ACTIVE");

enum part { PART_FRONT, PART_LOG, PART_MEMORY, PART_BALLOON, PART_KIND, NUM_PARTS };

static struct fuzz_bench *b;
static struct vhost_user *vu;
static struct vhost_user_saved *front;
static int monitor = -1;		/* its end of the channel */

/* What was broken is broken until the guest resets it: that's no input's business. */
static void reset_rings(void)
{
	unsigned int i;

	FUZZ_CHECK(!memory_add(&b->memory, FUZZ_GPA, FUZZ_UVA, FUZZ_BYTES, 0, b->memory_fd));
	for (i = 0; i < FUZZ_RINGS; i++) {
		const struct worker_ring setup = {
			.setup = fuzz_ring_setup(i, 0, false),
			.kick_fd = b->kick[i],
			.call_fd = b->call[i],
			.err_fd = -1,
		};

		FUZZ_CHECK(!worker_attach(b->workers, i, &setup));
		worker_detach(b->workers, i);
	}
	worker_pause(b->workers);
	memory_clear(&b->memory);
	worker_resume(b->workers);
}

/* Two regions and all rings, each of which was being served. */
static void make_good(void)
{
	unsigned int i;

	b->state->active = 0;
	front = &b->state->front[0];
	memset(front, 0, sizeof(*front));
	front->connected = true;
	front->agreed.features = 1ULL << 32 | 1ULL << 30 | 1ULL << 29 | 7;
	front->log_bytes = LOG_BYTES;
	front->num_regions = 1;
	front->region[0].gpa = FUZZ_GPA;
	front->region[0].uva = FUZZ_UVA;
	front->region[0].size = FUZZ_BYTES;
	for (i = 0; i < FUZZ_RINGS; i++) {
		front->ring[i].setup = fuzz_ring_setup(i, 0, false);
		front->ring[i].has_addr = true;
		front->ring[i].enabled = true;
		front->ring[i].attached = true;
	}
	memset(b->log, 0, sizeof(*b->log));
	b->log->control.ring.state = INFLIGHT_RING_SERVED;
	b->log->pair[0].request_ring.state = INFLIGHT_RING_SERVED;
	b->log->pair[0].response_ring.state = INFLIGHT_RING_SERVED;
}

static void change(struct fuzz_input *in)
{
	const struct {
		void *at;
		size_t bytes;
	} parts[NUM_PARTS] = {
		[PART_FRONT] = { front, sizeof(*front) },
		[PART_LOG] = { b->log, offsetof(struct inflight, pair[1]) },
		[PART_MEMORY] = { b->guest, FUZZ_BYTES },
		/* The guest's memory is among the first of what there could be. */
		[PART_BALLOON] = { &b->state->balloon,
				   offsetof(struct balloon_log, released) + 8 * sizeof(uint64_t) },
		[PART_KIND] = { b->state, offsetof(struct keep_state, front) },
	};
	unsigned int part = fuzz_u8(in) % NUM_PARTS;
	size_t offset = fuzz_u32(in) % parts[part].bytes;
	size_t left = parts[part].bytes - offset, bytes = fuzz_u8(in);

	fuzz_take(in, (uint8_t *)parts[part].at + offset, bytes < left ? bytes : left);
}

static void make_bools(void)
{
	unsigned int i;

	front->connected = true;
	fuzz_make_bool(&front->inflight);
	fuzz_make_bool(&front->agreed.owned);
	fuzz_make_bool(&front->agreed.asked_features);
	fuzz_make_bool(&front->agreed.owned_before_features);
	fuzz_make_bool(&front->agreed.log_lost);
	for (i = 0; i < FUZZ_RINGS; i++) {
		fuzz_make_bool(&front->ring[i].setup.event_idx);
		fuzz_make_bool(&front->ring[i].setup.log);
		fuzz_make_bool(&front->ring[i].has_addr);
		fuzz_make_bool(&front->ring[i].enabled);
		fuzz_make_bool(&front->ring[i].attached);
	}
}

/* A dirty log, in which what is behind the guest's memory has no place. */
static int make_log(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	FUZZ_CHECK(fd >= 0 && !ftruncate(fd, LOG_BYTES) &&
		   !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	return fd;
}

/* As the monitor has kept them: they become the server's. */
static void open_kept(int fd[VHOST_USER_MAX_FDS])
{
	const struct store_identity store = { 0 };
	unsigned int i;

	memset(fd, -1, VHOST_USER_MAX_FDS * sizeof(fd[0]));
	fd[VHOST_USER_INFLIGHT_FD] = inflight_create_file(b->limits.queue_pairs, &store);
	fd[VHOST_USER_LOG_FD] = make_log();
	fd[VHOST_USER_FIXED_FDS] = fcntl(b->memory_fd, F_DUPFD_CLOEXEC, 0);
	for (i = 0; i < FUZZ_RINGS; i++) {
		fd[VHOST_USER_FIXED_FDS + MEMORY_MAX_REGIONS + 3 * i] = fcntl(b->kick[i], F_DUPFD_CLOEXEC, 0);
		fd[VHOST_USER_FIXED_FDS + MEMORY_MAX_REGIONS + 3 * i + 1] = fcntl(b->call[i], F_DUPFD_CLOEXEC, 0);
	}
}

/* What the worker says is done: as many descriptors as it names. */
static void hear_answer(void)
{
	unsigned int num_fds, named = 0, i;
	struct keep_answer answer;
	int fd[VU_MAX_FDS];

	FUZZ_CHECK(keep_receive(monitor, &answer, sizeof(answer), fd, &num_fds) == KEEP_WHOLE);
	FUZZ_CHECK(answer.kind == KEEP_DONE && answer.num_keys <= VHOST_USER_MAX_FDS);
	for (i = 0; i < answer.num_keys; i++) {
		FUZZ_CHECK((answer.key[i] & ~KEEP_HAS_FD) < VHOST_USER_MAX_FDS);
		named += !!(answer.key[i] & KEEP_HAS_FD);
	}
	FUZZ_CHECK(named == num_fds);
	while (num_fds--)
		close(fd[num_fds]);
	b->state->active = !b->state->active;
}

static void have_done(struct keep *keep, const struct keep_event *event)
{
	struct keep_event got;
	bool alive = true, reply = false;

	FUZZ_CHECK(keep_send(monitor, event, sizeof(*event), NULL, 0));
	FUZZ_CHECK(keep_next(keep, &got) && got.kind == event->kind);
	if (got.kind == KEEP_DISCONNECT)
		vhost_user_disconnect(vu);
	else
		alive = vhost_user_handle(vu, &got.message, &reply);
	FUZZ_CHECK(keep_done(keep, vu, alive, reply ? &got.message : NULL));
	hear_answer();
}

/* A message whose answer brings a descriptor, and the end. */
static void have_events(struct keep *keep)
{
	static const uint16_t rings[] = { FUZZ_RINGS, FUZZ_RING_NUM };
	struct keep_event event = { .kind = KEEP_MESSAGE };

	event.message.header.request = GET_INFLIGHT_FD;
	event.message.header.flags = VU_VERSION;
	event.message.header.size = 16 + sizeof(rings);
	memcpy(event.message.payload + 16, rings, sizeof(rings));
	have_done(keep, &event);
	event.kind = KEEP_DISCONNECT;
	have_done(keep, &event);
}

/* Memory that was away when the process died. */
static void bring_memory(void)
{
	if (b->memory.count)
		return;
	worker_pause_table(b->workers);
	FUZZ_CHECK(!memory_add(&b->memory, FUZZ_GPA, FUZZ_UVA, FUZZ_BYTES, 0, b->memory_fd));
	worker_resume(b->workers);
	fuzz_bench_run(b);
}

static void go_on(void)
{
	struct keep keep = { .state = keep_map(b->state_fd) };
	const struct vhost_user_saved *saved;
	int ends[2], fd[VHOST_USER_MAX_FDS];
	struct balloon_state balloon;

	/* It's of another daemon's, or nonsense. */
	if (!keep.state)
		return;
	if (keep_find_difference(keep.state, &b->conf)) {
		munmap(keep.state, sizeof(*keep.state));
		return;
	}
	FUZZ_CHECK(keep.state->active < 2);
	saved = &keep.state->front[keep.state->active];
	open_kept(fd);
	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	balloon_keep(&b->balloon, &b->state->balloon);
	vhost_user_restore(vu, saved, ends[0], fd);
	balloon_restore(&b->balloon);
	balloon_get(&b->balloon, &balloon);
	FUZZ_CHECK(balloon.released_bytes <= FUZZ_BYTES);
	fuzz_bench_run(b);
	bring_memory();
	/* As when a front end has read all of the guest's memory. */
	vhost_user_ask_again(vu);
	close(ends[1]);
	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
	monitor = ends[0];
	keep.channel = ends[1];
	keep_begin(&keep, vu, fd);
	have_events(&keep);
	close(ends[0]);
	close(ends[1]);
	munmap(keep.state, sizeof(*keep.state));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct keep_kind kind;

	b = fuzz_bench();
	vu = fuzz_server();
	kind = b->state->kind;
	reset_rings();
	make_good();
	while (in.left)
		change(&in);
	make_bools();
	/* Either may be said to be the one that counts. */
	b->state->front[1] = *front;
	go_on();
	FUZZ_CHECK(!b->memory.count);
	b->state->kind = kind;
	memset(b->log, 0, sizeof(*b->log));
	balloon_forget(&b->balloon);
	fuzz_bench_clear(b);
	return 0;
}
