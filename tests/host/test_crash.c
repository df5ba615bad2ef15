// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_crash.c - a worker that dies at each step of its log, and who comes after it.
 *
 * Stores, a load, a discard and an event are served by a process that dies at step 1, 2,
 * 3 and so on of what it notes; a second one goes on, and may die as well; a third ends
 * it. The guest uses at once what it gets back. Everything must have been answered once,
 * and nothing done again that the guest had seen the end of.
 *
 * And polls that the kernel ends by itself, which are begun anew.
 *
 * Checks: device-request-one-outcome, device-discard-done
 */
#include "test_ring.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "serve/worker.h"
#include "worker_hooked.h"

#define PAGE 4096
#define SLOTS 64
#define TARGET 8192
#define RINGS 3
#define NUM_COOKIES 3
/* Far more than it takes to serve them all. */
#define MAX_STEPS 5000
#define MAX_DRAINS 100000
#define PATIENCE_MS 20000

enum { CONTROL, REQUEST, RESPONSE };
/* Heads, by ring. */
enum { DISCARD_HEAD = 0, EVENT_HEAD = 2 };
enum { STORE0_HEAD = 0, LOAD_HEAD = 2, STORE2_HEAD = 3 };
enum { FIRST_DATA_HEAD = 3 };

/* All that outlives a process. */
struct world {
	uint8_t guest[GUEST_BYTES];
	struct inflight log;
	bool used_up[8];		/* by slot: its request must not be run again */
	unsigned int run_again;
	unsigned int discards;
	struct balloon_log balloon;	/* the last: it's large, and only its first words are looked at */
};

static struct world *world;
static struct store *store;
static struct store_ops counting_ops;
static const struct store_ops *real_ops;

static void count(const struct store_op *op)
{
	if (world->used_up[op->slot])
		world->run_again++;
	world->discards += op->kind == STORE_DISCARD;
}

static void counting_write(struct store_lane *lane, struct store_op *op)
{
	count(op);
	real_ops->write(lane, op);
}

static void counting_trim(struct store_lane *lane, struct store_op *op)
{
	count(op);
	real_ops->trim(lane, op);
}

/* --- the guest --- */

static struct vring_desc *desc_of(unsigned int ring)
{
	return (struct vring_desc *)(world->guest + ring * 3 * PAGE);
}

static struct vring_avail *avail_of(unsigned int ring)
{
	return (struct vring_avail *)(world->guest + (ring * 3 + 1) * PAGE);
}

static struct vring_used *used_of(unsigned int ring)
{
	return (struct vring_used *)(world->guest + (ring * 3 + 2) * PAGE);
}

/* Buffers are a page each, behind the rings. */
static uint8_t *buffer(unsigned int n)
{
	return world->guest + (RINGS * 3 + n) * PAGE;
}

static void put(unsigned int ring, unsigned int i, unsigned int n, uint32_t len,
		uint16_t flags)
{
	desc_of(ring)[i] = (struct vring_desc) {
		.addr = GUEST_GPA + (uint64_t)(buffer(n) - world->guest),
		.len = len,
		.flags = flags,
		.next = (uint16_t)(i + 1),
	};
}

static void offer(unsigned int ring, uint16_t head)
{
	struct vring_avail *avail = avail_of(ring);

	avail->ring[avail->idx++ % RING_NUM] = head;
}

static void put_request(unsigned int head, unsigned int n, uint16_t op, uint64_t slot)
{
	const struct virtio_cswap_request request = {
		.op = op, .count = 1, .cookie = 100 + slot, .slot = slot,
	};
	bool is_store = op == VIRTIO_CSWAP_OP_STORE;

	memcpy(buffer(n), &request, sizeof(request));
	put(REQUEST, head, n, sizeof(request) + (is_store ? VIRTIO_CSWAP_TAG_SIZE : 0),
	    is_store ? VRING_DESC_F_NEXT : 0);
	if (is_store)
		put(REQUEST, head + 1, n + 1, PAGE, 0);
}

static void put_control(unsigned int head, unsigned int n, uint16_t op, uint16_t count,
			uint32_t answer_bytes)
{
	const struct virtio_cswap_ctrl ctrl = { .op = op, .count = count };
	const struct virtio_cswap_range range = { .start = 3, .count = 1 };

	memcpy(buffer(n), &ctrl, sizeof(ctrl));
	memcpy(buffer(n) + sizeof(ctrl), &range, sizeof(range));
	put(CONTROL, head, n, sizeof(ctrl) + count * sizeof(range), VRING_DESC_F_NEXT);
	put(CONTROL, head + 1, n + 1, answer_bytes, VRING_DESC_F_WRITE);
}

static void fill_rings(void)
{
	unsigned int i;

	memset(world, 0, offsetof(struct world, balloon.released));
	put_control(DISCARD_HEAD, 0, VIRTIO_CSWAP_CTRL_DISCARD, 1,
		    sizeof(struct virtio_cswap_ctrl_response));
	put_control(EVENT_HEAD, 2, VIRTIO_CSWAP_CTRL_EVENT, 0,
		    sizeof(struct virtio_cswap_event));
	put_request(STORE0_HEAD, 4, VIRTIO_CSWAP_OP_STORE, 0);
	put_request(LOAD_HEAD, 6, VIRTIO_CSWAP_OP_LOAD, 1);
	put_request(STORE2_HEAD, 7, VIRTIO_CSWAP_OP_STORE, 2);
	/* Buffers for one ack, and one for a page. */
	for (i = 0; i < FIRST_DATA_HEAD; i++)
		put(RESPONSE, i, 10 + i, 32, VRING_DESC_F_WRITE);
	put(RESPONSE, i, 10 + i, VIRTIO_CSWAP_DATA_OFFSET(1),
	    VRING_DESC_F_WRITE | VRING_DESC_F_NEXT);
	put(RESPONSE, i + 1, 11 + i, PAGE, VRING_DESC_F_WRITE);
	for (i = 0; i <= FIRST_DATA_HEAD; i++)
		offer(RESPONSE, (uint16_t)i);
}

static void offer_requests(void)
{
	offer(CONTROL, DISCARD_HEAD);
	offer(CONTROL, EVENT_HEAD);
	offer(REQUEST, STORE0_HEAD);
	offer(REQUEST, LOAD_HEAD);
	offer(REQUEST, STORE2_HEAD);
}

static bool is_used(unsigned int ring, uint32_t head)
{
	const struct vring_used *used = used_of(ring);
	uint16_t i;

	for (i = 0; i < used->idx; i++)
		if (used->ring[i].id == head)
			return true;
	return false;
}

/* What came back is the guest's: it writes something else there. */
static void use_again(void)
{
	if (is_used(CONTROL, DISCARD_HEAD)) {
		world->used_up[3] = true;
		memset(buffer(0), 0xff, PAGE);
	}
	if (is_used(REQUEST, STORE0_HEAD)) {
		world->used_up[0] = true;
		memset(buffer(4), 0xff, 2 * PAGE);
	}
	if (is_used(REQUEST, LOAD_HEAD))
		memset(buffer(6), 0xff, PAGE);
	if (is_used(REQUEST, STORE2_HEAD)) {
		world->used_up[2] = true;
		memset(buffer(7), 0xff, 2 * PAGE);
	}
}

/* How often a request was answered, with OK. */
static unsigned int answers(uint64_t cookie)
{
	const struct vring_used *used = used_of(RESPONSE);
	unsigned int found = 0;
	uint16_t i;

	for (i = 0; i < used->idx; i++) {
		const struct virtio_cswap_ack *ack = (const void *)
			(buffer(10 + used->ring[i].id) +
			 sizeof(struct virtio_cswap_response));

		found += ack->cookie == cookie && ack->status == VIRTIO_CSWAP_S_OK;
	}
	return found;
}

static bool is_over(void)
{
	return __atomic_load_n(&used_of(CONTROL)->idx, __ATOMIC_ACQUIRE) >= 2 &&
	       __atomic_load_n(&used_of(REQUEST)->idx, __ATOMIC_ACQUIRE) >= 3 &&
	       __atomic_load_n(&used_of(RESPONSE)->idx, __ATOMIC_ACQUIRE) >= 3;
}

/* --- a process that serves it --- */

static const char *attach(struct worker_set *set, unsigned int index, int kick_fd, int call_fd)
{
	const uint64_t base = GUEST_UVA + index * 3 * PAGE;
	const struct worker_ring ring = {
		.setup = {
			.desc_uva = base, .avail_uva = base + PAGE,
			.used_uva = base + 2 * PAGE, .num = RING_NUM,
		},
		.kick_fd = kick_fd,
		.call_fd = call_fd,
		.err_fd = -1,
	};

	return worker_attach(set, index, &ring);
}

/* 0: served; others: couldn't. */
static int serve(bool successor, unsigned int dies_at)
{
	static struct memory memory;
	static struct balloon balloon;
	const struct worker_config config = {
		.workers = 1,
		.limits = {
			.capacity = SLOTS, .queue_pairs = 1, .discard = true,
			.balloon = true, .again = true, .block_bytes = PAGE,
			.release_method = VIRTIO_CSWAP_RELEASE_CONVERT,
		},
		.store = store,
		.memory = &memory,
		.balloon = &balloon,
		.log = &world->log,
		.sandbox = SANDBOX_OFF,
	};
	struct worker_set *set;
	unsigned int i;

	if (memory_add_mapped(&memory, GUEST_GPA, GUEST_UVA, GUEST_BYTES, world->guest) ||
	    !store->ops->activate(store))
		return 1;
	balloon_init(&balloon, PAGE);
	balloon_keep(&balloon, &world->balloon);
	balloon_set_target(&balloon, TARGET);
	set = worker_start(&config);
	if (!set)
		return 2;
	if (successor)
		worker_dies_at = dies_at;
	for (i = 0; i < RINGS; i++)
		if (attach(set, i, eventfd(0, EFD_CLOEXEC), -1))
			return 3;
	if (!successor) {
		/*
		 * It begins here: that rings are set up is done by messages. The
		 * worker may still be at what followed those, counting steps.
		 */
		worker_pause(set);
		worker_steps = 0;
		worker_dies_at = dies_at;
		balloon_want_again(&balloon);
		offer_requests();
		worker_resume(set);
	}
	for (i = 0; i < MAX_DRAINS && !is_over(); i++)
		worker_drain(set);
	return is_over() ? 0 : 4;
}

/* True if it died of it. */
static bool run_process(bool successor, unsigned int dies_at)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(serve(successor, dies_at));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		use_again();
		return true;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

/* --- what must hold --- */

static void expect_served_once(uint32_t event_flags)
{
	const struct virtio_cswap_event *event = (const void *)buffer(3);
	uint64_t slot;

	assert_int_equal(used_of(CONTROL)->idx, 2);
	assert_true(is_used(CONTROL, DISCARD_HEAD) && is_used(CONTROL, EVENT_HEAD));
	assert_int_equal(event->target, TARGET);
	assert_int_equal(event->flags, event_flags);
	assert_int_equal(used_of(REQUEST)->idx, 3);
	assert_true(is_used(REQUEST, STORE0_HEAD) && is_used(REQUEST, LOAD_HEAD) &&
		    is_used(REQUEST, STORE2_HEAD));
	assert_int_equal(used_of(RESPONSE)->idx, NUM_COOKIES);
	for (slot = 0; slot < NUM_COOKIES; slot++)
		assert_int_equal(answers(100 + slot), 1);
	assert_int_equal(world->run_again, 0);
	assert_in_range(world->discards, 1, 3);
}

static void every_step(void **state)
{
	unsigned int step, again = 0;
	bool died = true;

	(void)state;
	for (step = 1; died && step < MAX_STEPS; step++) {
		fill_rings();
		died = run_process(false, step);
		if (died) {
			again += run_process(true, step * 7 % 60 + 1);
			run_process(true, 0);
		}
		expect_served_once(VIRTIO_CSWAP_EVENT_AGAIN);
	}
	/* The last one didn't die: who died before the note was taken would tell it once more. */
	assert_int_equal(world->balloon.again_told, 1);
	assert_in_range(step, 20, MAX_STEPS - 1);
	assert_in_range(again, 5, MAX_STEPS);
	print_message("%u deaths, %u of successors\n", step - 2, again);
}

/* --- polls that the kernel ends --- */

static bool wait_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	uint64_t count;

	return poll(&pollfd, 1, PATIENCE_MS) == 1 && read(fd, &count, sizeof(count)) == sizeof(count);
}

/* The watchdog's question is answered by the thread, when that is back in its loop. */
static bool wait_for_beat(struct watchdog_beats *beats, int fd)
{
	uint64_t end_ms = clock_now_ms() + PATIENCE_MS;

	__atomic_store_n(&beats->asked, 1, __ATOMIC_RELEASE);
	eventfd_write(fd, 1);
	while (__atomic_load_n(&beats->seen[1], __ATOMIC_ACQUIRE) != 1 && clock_now_ms() < end_ms)
		sched_yield();
	return __atomic_load_n(&beats->seen[1], __ATOMIC_ACQUIRE) == 1;
}

/* Kicks, and nothing else, wake the thread: they are heard by polls that were begun anew. */
static void polls_that_end_are_begun_anew(void **state)
{
	static struct memory memory;
	static struct balloon balloon;
	static struct watchdog_beats beats;
	const struct worker_config config = {
		.workers = 1,
		.limits = {
			.capacity = SLOTS, .queue_pairs = 1, .discard = true,
			.balloon = true, .block_bytes = PAGE,
			.release_method = VIRTIO_CSWAP_RELEASE_CONVERT,
		},
		.store = store, .memory = &memory, .balloon = &balloon, .log = &world->log, .sandbox = SANDBOX_OFF,
		.beats = &beats, .beat_fd = eventfd(0, EFD_CLOEXEC),
	};
	int kick = eventfd(0, EFD_CLOEXEC), call = eventfd(0, EFD_CLOEXEC);
	struct worker_set *set;
	unsigned int i;

	(void)state;
	fill_rings();
	assert_null(memory_add_mapped(&memory, GUEST_GPA, GUEST_UVA, GUEST_BYTES, world->guest));
	assert_true(store->ops->activate(store));
	balloon_init(&balloon, PAGE);
	balloon_set_target(&balloon, TARGET);
	set = worker_start(&config);
	assert_non_null(set);
	for (i = 0; i < RINGS; i++)
		assert_null(attach(set, i, kick, call));
	worker_end_polls(set);
	assert_true(wait_for_beat(&beats, config.beat_fd));
	offer_requests();
	eventfd_write(kick, 1);
	while (!is_over())
		assert_true(wait_readable(call));
	expect_served_once(0);
	worker_stop(set);
	close(kick);
	close(call);
	close(config.beat_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_step),
		/* It has threads, so the last. */
		cmocka_unit_test(polls_that_end_are_begun_anew),
	};

	log_init(LOG_CRIT);
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	store = store_open(NULL, SLOTS);
	if (world == MAP_FAILED || !store)
		return 1;
	real_ops = store->ops;
	counting_ops = *real_ops;
	counting_ops.write = counting_write;
	counting_ops.trim = counting_trim;
	store->ops = &counting_ops;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
