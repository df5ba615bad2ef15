// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_handover.c - what a daemon asks of its store while a guest comes: by messages of a front end, at a store that
 * answers as the test says.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "frontend/handover.h"
#include "frontend/vhost_user.h"
#include "life/device_state.h"

#define SLOTS 64
#define GUEST_GPA 0x100000
#define GUEST_UVA 0x7f0000000000
#define GUEST_BYTES (16 * 4096)
#define RING_NUM 16

enum { SET_MEM_TABLE = 5, SET_VRING_NUM = 8, SET_VRING_ADDR = 9, SET_VRING_KICK = 12, SET_VRING_ENABLE = 18,
	SET_DEVICE_STATE_FD = 42, CHECK_DEVICE_STATE = 43 };
enum { SAVE, LOAD };

/* A store that has tags, and no pages. */
struct fake {
	struct store store;
	struct virtio_cswap_tag tag[SLOTS];
	bool fails;			/* put_tags() does */
	enum store_taken answer;	/* of take() */
	bool gives;			/* answer of give_back() */
	unsigned int taken_by_ticket, taken_back, yielded, given_back; /* how often it was asked */
};

struct bench {
	struct fake fake;
	struct store *pages;		/* of the workers: memory */
	struct store_identity identity;
	struct device_limits limits;
	struct memory memory;
	struct balloon balloon;
	struct balloon_log *balloon_log;
	struct inflight *log;
	struct worker_set *workers;
	uint32_t holder;
	struct vhost_user *vu;
	int memory_fd;
	uint8_t *state;			/* of the guest that comes */
	uint64_t bytes;
};

/* --- the store --- */

static enum store_taken take(struct store *store, const struct store_ticket *ticket)
{
	struct fake *fake = (struct fake *)store;

	++*(ticket ? &fake->taken_by_ticket : &fake->taken_back);
	return fake->answer;
}

static bool yield(struct store *store)
{
	((struct fake *)store)->yielded++;
	return true;
}

static bool give_back(struct store *store)
{
	struct fake *fake = (struct fake *)store;

	fake->given_back++;
	return fake->gives;
}

static bool get_tags(struct store *store, uint64_t slot, struct virtio_cswap_tag *to,
		     unsigned int count)
{
	memcpy(to, &((struct fake *)store)->tag[slot], count * sizeof(*to));
	return true;
}

static bool put_tags(struct store *store, uint64_t slot, const struct virtio_cswap_tag *from,
		     unsigned int count)
{
	struct fake *fake = (struct fake *)store;

	memcpy(&fake->tag[slot], from, count * sizeof(*from));
	return !fake->fails;
}

static const struct store_move_ops move_ops = {
	.take = take, .yield = yield, .give_back = give_back, .get_tags = get_tags, .put_tags = put_tags,
};
static const struct store_ops ops = { .move = &move_ops };

/* --- the bench --- */

static void *map(uint64_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(at != MAP_FAILED);
	return at;
}

static void connect_front_end(struct bench *b)
{
	vhost_user_connect(b->vu, eventfd(0, EFD_CLOEXEC));
}

static void begin_process(struct bench *b)
{
	b->vu = vhost_user_new(&(struct vhost_user_config) {
		.limits = b->limits, .memory = &b->memory, .workers = b->workers, .store = b->identity,
		.movable = &b->fake.store, .balloon = &b->balloon, .holder = &b->holder,
	});
	assert_non_null(b->vu);
}

static void write_state(struct bench *b)
{
	struct worker_counters counters = { .stores = 1 };
	const struct device_state device = {
		&b->limits, &b->identity, &b->fake.store, &b->balloon, &b->memory, b->log, &counters,
		{ .number = "a move" },
	};

	memset(&b->fake.tag[3], 9, sizeof(b->fake.tag[3]));
	b->state = map(device_state_room(&b->limits));
	b->bytes = device_state_write(&device, b->state);
	assert_true(b->bytes);
	memset(b->fake.tag, 0, sizeof(b->fake.tag));
}

static int setup(void **state)
{
	struct bench *b = map(sizeof(*b));

	log_init(LOG_CRIT);
	b->limits = (struct device_limits) {
		.capacity = SLOTS, .queue_pairs = 1, .block_bytes = 4096, .report_period_ms = 1000,
		.release_method = VIRTIO_CSWAP_RELEASE_CONVERT,
	};
	b->fake.store = (struct store) { .ops = &ops, .facts.flags = STORE_BY_TICKET };
	b->fake.answer = STORE_NOT_YET;
	b->log = map(sizeof(*b->log));
	b->balloon_log = map(sizeof(*b->balloon_log));
	balloon_init(&b->balloon, b->limits.block_bytes);
	balloon_keep(&b->balloon, b->balloon_log);
	b->pages = store_open(NULL, SLOTS);
	assert_true(b->pages->ops->activate(b->pages));
	b->workers = worker_start(&(struct worker_config) {
		.workers = 1, .limits = b->limits, .store = b->pages, .memory = &b->memory,
		.balloon = &b->balloon, .log = b->log, .beat_fd = -1,
	});
	assert_non_null(b->workers);
	write_state(b);
	b->memory_fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(b->memory_fd, GUEST_BYTES), 0);
	b->holder = HANDOVER_AWAY;
	begin_process(b);
	connect_front_end(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	vhost_user_free(b->vu);
	worker_stop(b->workers);
	balloon_free(&b->balloon);
	store_close(b->pages);
	close(b->memory_fd);
	munmap(b->balloon_log, sizeof(*b->balloon_log));
	munmap(b->log, sizeof(*b->log));
	munmap(b->state, device_state_room(&b->limits));
	munmap(b, sizeof(*b));
	return 0;
}

/* --- messages --- */

static struct vu_message message(uint32_t request, const void *payload, uint32_t bytes, int fd)
{
	struct vu_message msg = { .header = { request, VU_VERSION, bytes } };

	memcpy(msg.payload, payload, bytes);
	msg.fd[0] = fd;
	msg.num_fds = fd >= 0;
	return msg;
}

/* Handle it, without waiting. False: the front end is dropped. */
static bool handle(struct bench *b, struct vu_message msg, uint64_t *answer)
{
	bool reply, alive = vhost_user_handle(b->vu, &msg, &reply);

	if (answer)
		memcpy(answer, msg.payload, sizeof(*answer));
	vu_message_close_fds(&msg);
	return alive;
}

static bool say(struct bench *b, uint32_t request, const void *payload, uint32_t bytes, int fd)
{
	return handle(b, message(request, payload, bytes, fd), NULL);
}

static struct vu_message check_message(void)
{
	return message(CHECK_DEVICE_STATE, "", 0, -1);
}

/* All of the state is there, and the front end hasn't asked about it yet. */
static void send_state(struct bench *b)
{
	const uint32_t what[2] = { LOAD, 0 };
	int fd[2];

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	assert_true(say(b, SET_DEVICE_STATE_FD, what, sizeof(what), fd[0]));
	assert_int_equal(write(fd[1], b->state, b->bytes), (ssize_t)b->bytes);
	close(fd[1]);
	vhost_user_move_state(b->vu);
}

static void share_memory(struct bench *b)
{
	const struct {
		uint32_t count, padding;
		uint64_t gpa, bytes, uva, offset;
	} table = { 1, 0, GUEST_GPA, GUEST_BYTES, GUEST_UVA, 0 };

	assert_true(say(b, SET_MEM_TABLE, &table, sizeof(table), dup(b->memory_fd)));
}

/* All that ring 0 needs but its kick. */
static void prepare_ring(struct bench *b)
{
	const struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} addr = { .desc = GUEST_UVA, .avail = GUEST_UVA + 4096, .used = GUEST_UVA + 8192 };
	const uint32_t num[2] = { 0, RING_NUM }, on[2] = { 0, 1 };

	share_memory(b);
	assert_true(say(b, SET_VRING_NUM, num, sizeof(num), -1));
	assert_true(say(b, SET_VRING_ADDR, &addr, sizeof(addr), -1));
	assert_true(say(b, SET_VRING_ENABLE, on, sizeof(on), -1));
}

static struct vu_message kick_message(void)
{
	const uint64_t index = 0;

	return message(SET_VRING_KICK, &index, sizeof(index), eventfd(0, EFD_CLOEXEC));
}

/* --- tests --- */

static void a_guest_comes(void **state)
{
	struct bench *b = *state;
	struct vu_message check = check_message();
	uint64_t answer;

	send_state(b);
	assert_true(vhost_user_waits(b->vu, &check));
	assert_int_equal(b->fake.taken_by_ticket, 1);
	b->fake.answer = STORE_TAKEN;
	assert_false(vhost_user_waits(b->vu, &check));
	assert_true(handle(b, check, &answer));
	assert_int_equal(answer, 0);
	assert_int_equal(b->holder, HANDOVER_LOADED);
	assert_int_equal(b->fake.tag[3].b[0], 9);
	assert_int_equal(b->fake.taken_back, 0);
	prepare_ring(b);
	assert_true(handle(b, kick_message(), NULL));
	assert_int_equal(b->holder, HANDOVER_OURS);
	assert_int_equal(b->fake.yielded, 0);
}

/* A store that will never be had isn't asked for again: the move fails at once. */
static void a_refusal_ends_the_move(void **state)
{
	struct bench *b = *state;
	struct vu_message check = check_message();
	uint64_t answer;

	send_state(b);
	assert_true(vhost_user_waits(b->vu, &check));
	b->fake.answer = STORE_REFUSED;
	assert_false(vhost_user_waits(b->vu, &check));
	assert_true(handle(b, check, &answer));
	assert_int_equal(answer, 1);
	assert_int_equal(b->fake.taken_by_ticket, 2);
	assert_true(b->fake.yielded > 0);
	assert_int_equal(b->holder, HANDOVER_AWAY);
	assert_int_equal(b->fake.tag[3].b[0], 0);
}

/* A ring that is to run here ends the move: the store isn't taken for a state that nobody has applied. */
static void a_ring_takes_nothing_for_a_guest_that_comes(void **state)
{
	struct bench *b = *state;
	struct vu_message kick;

	send_state(b);
	prepare_ring(b);
	kick = kick_message();
	assert_true(vhost_user_waits(b->vu, &kick));
	assert_int_equal(b->fake.taken_by_ticket, 0);
	assert_true(b->fake.taken_back > 0);
	vhost_user_give_up(b->vu);
	assert_false(handle(b, kick, NULL));
	assert_int_equal(b->holder, HANDOVER_AWAY);
}

static void come(struct bench *b)
{
	uint64_t answer;

	b->fake.answer = STORE_TAKEN;
	send_state(b);
	assert_true(handle(b, check_message(), &answer));
	assert_int_equal(answer, 0);
	assert_int_equal(b->holder, HANDOVER_LOADED);
}

/* All that the next process has of this one is the word. */
static void die(struct bench *b)
{
	vhost_user_free(b->vu);
	begin_process(b);
}

/* The guest never ran here. A process that dies while it gives the store back is followed by one that goes on. */
static void the_next_process_gives_back(void **state)
{
	struct bench *b = *state;

	come(b);
	assert_false(vhost_user_leaves(b->vu));
	vhost_user_disconnect(b->vu);
	assert_true(vhost_user_leaves(b->vu));
	assert_int_equal(b->fake.given_back, 1);
	die(b);
	assert_true(handover_is_away(b->holder));
	assert_true(vhost_user_leaves(b->vu));
	vhost_user_move_state(b->vu);
	assert_int_equal(b->fake.given_back, 2);
	assert_int_equal(b->fake.yielded, 0);
	b->fake.gives = true;
	vhost_user_move_state(b->vu);
	assert_int_equal(b->fake.yielded, 1);
	assert_false(vhost_user_leaves(b->vu));
	assert_int_equal(b->holder, HANDOVER_AWAY);
	die(b);
	assert_false(vhost_user_leaves(b->vu));
	/* The next guest may come. */
	connect_front_end(b);
	come(b);
}

/* A guest of which a block is released comes, and is moving on before it has run here, through what is returned. */
static int come_and_leave(struct bench *b)
{
	const uint32_t what[2] = { SAVE, 0 };
	int fd[2];

	share_memory(b);
	b->balloon_log->released[GUEST_GPA / 4096 / 64] = 1;
	b->log->control.ring.state = INFLIGHT_RING_PARKED;
	munmap(b->state, device_state_room(&b->limits));
	write_state(b);
	b->balloon_log->released[GUEST_GPA / 4096 / 64] = 0;
	b->log->control.ring.state = INFLIGHT_RING_NEW;
	come(b);
	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(say(b, SET_DEVICE_STATE_FD, what, sizeof(what), fd[1]));
	return fd[0];
}

/* All of it has left: another daemon may have the store. */
static void come_and_move_on(struct bench *b)
{
	const int fd = come_and_leave(b);
	uint8_t part[4096];
	uint64_t answer;
	ssize_t n;

	do {
		vhost_user_move_state(b->vu);
		n = read(fd, part, sizeof(part));
	} while (n > 0 || (n < 0 && errno == EAGAIN));
	assert_int_equal(n, 0);
	close(fd);
	assert_true(handle(b, check_message(), &answer));
	assert_int_equal(answer, 0);
	assert_true(handover_is_away(b->holder));
	assert_true(b->fake.yielded);
}

/* That move fails: what came with the guest is worth what it was worth. */
static void a_guest_that_moves_on_and_stays(void **state)
{
	struct bench *b = *state;
	struct balloon_state balloon;
	struct vu_message kick;

	come_and_move_on(b);
	prepare_ring(b);
	kick = kick_message();
	assert_false(vhost_user_waits(b->vu, &kick));
	assert_int_equal(b->holder, HANDOVER_LOADED);
	assert_true(handle(b, kick, NULL));
	assert_int_equal(b->holder, HANDOVER_OURS);
	balloon_get(&b->balloon, &balloon);
	assert_int_equal(balloon.released_bytes, 4096);
}

/* Nor does it stay: the store, taken back or not, is another daemon's. */
static void a_guest_that_moves_on_and_is_lost(void **state)
{
	struct bench *b = *state;
	struct vu_message kick = kick_message();

	come_and_move_on(b);
	vhost_user_disconnect(b->vu);
	assert_int_equal(b->holder, HANDOVER_AWAY);
	connect_front_end(b);
	come_and_move_on(b);
	prepare_ring(b);
	assert_false(vhost_user_waits(b->vu, &kick));
	b->fake.gives = true;
	vhost_user_disconnect(b->vu);
	assert_int_equal(b->fake.given_back, 1);
	assert_int_equal(b->holder, HANDOVER_AWAY);
	/* Nor has it left: the store was never another's. */
	connect_front_end(b);
	close(come_and_leave(b));
	vhost_user_disconnect(b->vu);
	assert_int_equal(b->fake.given_back, 2);
	assert_int_equal(b->holder, HANDOVER_AWAY);
	vu_message_close_fds(&kick);
}

/* It was taken, and its tags can't be written: no ring runs here either. */
static void a_state_that_fails_is_given_back(void **state)
{
	struct bench *b = *state;
	uint64_t answer;

	b->fake.answer = STORE_TAKEN;
	b->fake.fails = true;
	send_state(b);
	assert_true(handle(b, check_message(), &answer));
	assert_int_equal(answer, 1);
	assert_true(vhost_user_leaves(b->vu));
	b->fake.gives = true;
	vhost_user_move_state(b->vu);
	assert_int_equal(b->holder, HANDOVER_AWAY);
	assert_int_equal(b->fake.yielded, 1);
}

/* It's no state of ours: the file is closed, too. */
static void a_file_of_another_size_is_closed(void **state)
{
	struct bench *b = *state;
	const struct handover_config config = { .limits = &b->limits, .holder = &b->holder };
	const int fd = memfd_create("state", MFD_CLOEXEC);
	struct handover handover;

	assert_true(fd >= 0);
	handover_init(&handover, &config);
	handover_restore(&handover, &(struct handover_transfer) { .fd = -1, .state_fd = fd });
	assert_int_equal(handover.phase, HANDOVER_FAILED);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_guest_comes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refusal_ends_the_move, setup, teardown),
		cmocka_unit_test_setup_teardown(a_ring_takes_nothing_for_a_guest_that_comes, setup, teardown),
		cmocka_unit_test_setup_teardown(the_next_process_gives_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_guest_that_moves_on_and_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(a_guest_that_moves_on_and_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(a_state_that_fails_is_given_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_of_another_size_is_closed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
