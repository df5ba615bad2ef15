// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_vhost_user.c - messages of a front end, well-formed and otherwise.
 *
 * The server runs in the test's own thread, the workers beside it.
 */
#include "test_ring.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "frontend/vhost_user.h"
#include "life/keep.h"

#define CAPACITY 1024
#define PAIRS 2
#define NUM_RINGS (1 + 2 * PAIRS)
#define NEED_REPLY 0x8
#define REPLY_ACK (1ULL << 3)
#define PROTOCOL_FEATURES (1ULL << 30)

enum {
	GET_FEATURES = 1, SET_FEATURES = 2, SET_OWNER = 3, SET_MEM_TABLE = 5,
	SET_LOG_BASE = 6,
	SET_VRING_NUM = 8, SET_VRING_ADDR = 9, SET_VRING_BASE = 10,
	GET_VRING_BASE = 11, SET_VRING_KICK = 12, SET_VRING_CALL = 13,
	SET_VRING_ERR = 14, GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16, GET_QUEUE_NUM = 17, SET_VRING_ENABLE = 18,
	SET_BACKEND_REQ_FD = 21, GET_CONFIG = 24, SET_CONFIG = 25,
	RESET_DEVICE = 34, GET_MAX_MEM_SLOTS = 36, ADD_MEM_REG = 37,
	REM_MEM_REG = 38, SET_STATUS = 39, GET_STATUS = 40,
};

struct header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

struct region {
	uint64_t gpa;
	uint64_t size;
	uint64_t uva;
	uint64_t offset;
};

struct bench {
	struct store *store;
	struct memory memory;
	struct balloon balloon;
	struct worker_set *workers;
	struct watchdog_beats beats;
	int beat_fd;
	struct vhost_user *vu;
	int fd;				/* the front end's end */
	int memory_fd;
	uint8_t *guest;
	int kick[NUM_RINGS];
	int call[NUM_RINGS];
};

static int bench_setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct worker_config workers = {
		.workers = 2,
		.limits = {
			.capacity = CAPACITY, .queue_pairs = PAIRS,
			.release_method = VIRTIO_CSWAP_RELEASE_DISCARD,
			.block_bytes = 4096, .report_period_ms = 1000,
		},
		.memory = &b->memory,
		.balloon = &b->balloon,
		.punch = true,
	};
	struct vhost_user_config config = {
		.limits = workers.limits,
		.memory = &b->memory,
		.balloon = &b->balloon,
	};
	int fds[2];

	/* What is wrong is checked below; nobody needs to read it. */
	log_init(LOG_CRIT);
	balloon_init(&b->balloon, 4096);
	b->store = store_open(NULL, CAPACITY);
	assert_true(b->store->ops->activate(b->store));
	workers.store = b->store;
	workers.beats = &b->beats;
	workers.beat_fd = b->beat_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->workers = worker_start(&workers);
	assert_non_null(b->workers);
	config.workers = b->workers;
	b->vu = vhost_user_new(&config);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	vhost_user_connect(b->vu, fds[0]);
	b->fd = fds[1];
	b->memory_fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(b->memory_fd, GUEST_BYTES), 0);
	b->guest = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			b->memory_fd, 0);
	memset(b->kick, -1, sizeof(b->kick));
	memset(b->call, -1, sizeof(b->call));
	*state = b;
	return 0;
}

static int bench_teardown(void **state)
{
	struct bench *b = *state;
	unsigned int i;

	vhost_user_free(b->vu);
	worker_stop(b->workers);
	balloon_free(&b->balloon);
	store_close(b->store);
	munmap(b->guest, GUEST_BYTES);
	for (i = 0; i < NUM_RINGS; i++) {
		if (b->kick[i] >= 0)
			close(b->kick[i]);
		if (b->call[i] >= 0)
			close(b->call[i]);
	}
	close(b->memory_fd);
	close(b->beat_fd);
	if (b->fd >= 0)
		close(b->fd);
	free(b);
	return 0;
}

/* --- talking to the server --- */

static void send_raw(struct bench *b, const struct header *header,
		     const void *payload, size_t bytes, const int *fds,
		     unsigned int num_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))];
	struct iovec iov[2] = {
		{ (void *)(uintptr_t)header, sizeof(*header) },
		{ (void *)(uintptr_t)payload, bytes },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct cmsghdr *cmsg;

	if (num_fds) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(num_fds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(num_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, num_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(b->fd, &msg, 0), sizeof(*header) + bytes);
}

/* Send a message and have it handled; false if that ended the connection. */
static bool say(struct bench *b, uint32_t request, uint32_t flags,
		const void *payload, uint32_t bytes, int fd)
{
	const struct header header = { request, 1 | flags, bytes };

	send_raw(b, &header, payload, bytes, &fd, fd >= 0);
	return vhost_user_receive(b->vu);
}

static bool say_u64(struct bench *b, uint32_t request, uint64_t value, int fd)
{
	return say(b, request, 0, &value, sizeof(value), fd);
}

static bool say_state(struct bench *b, uint32_t request, uint32_t index,
		      uint32_t num)
{
	const uint32_t payload[2] = { index, num };

	return say(b, request, 0, payload, sizeof(payload), -1);
}

static uint32_t get_reply(struct bench *b, uint32_t request, void *payload,
			  size_t room)
{
	struct header header;

	assert_int_equal(recv(b->fd, &header, sizeof(header), MSG_DONTWAIT),
			 sizeof(header));
	assert_int_equal(header.request, request);
	assert_int_equal(header.flags, 1 | 4);
	assert_true(header.size <= room);
	if (header.size)
		assert_int_equal(recv(b->fd, payload, header.size,
				      MSG_DONTWAIT), header.size);
	return header.size;
}

static uint64_t ask_u64(struct bench *b, uint32_t request)
{
	uint64_t value = 0;

	assert_true(say(b, request, 0, NULL, 0, -1));
	assert_int_equal(get_reply(b, request, &value, sizeof(value)), 8);
	return value;
}

static bool nothing_to_read(struct bench *b)
{
	char byte;

	return recv(b->fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* --- setting up like a front end --- */

static void share_memory(struct bench *b)
{
	const struct {
		uint32_t count, padding;
		struct region region;
	} table = {
		.count = 1,
		.region = { GUEST_GPA, GUEST_BYTES, GUEST_UVA, 0 },
	};

	assert_true(say(b, SET_MEM_TABLE, 0, &table, sizeof(table),
			b->memory_fd));
}

static void negotiate(struct bench *b, uint64_t without)
{
	uint64_t features = ask_u64(b, GET_FEATURES);

	assert_true(say_u64(b, SET_PROTOCOL_FEATURES,
			    ask_u64(b, GET_PROTOCOL_FEATURES), -1));
	assert_true(say_u64(b, SET_FEATURES, features & ~without, -1));
}

/* Ring n: its own three pages behind the buffers. */
static uint64_t ring_offset(unsigned int index)
{
	return GUEST_BYTES / 2 + (uint64_t)index * 3 * 4096;
}

static bool set_addr(struct bench *b, unsigned int index)
{
	const struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} addr = {
		.index = index,
		.desc = GUEST_UVA + ring_offset(index),
		.avail = GUEST_UVA + ring_offset(index) + 4096,
		.used = GUEST_UVA + ring_offset(index) + 8192,
	};

	return say(b, SET_VRING_ADDR, 0, &addr, sizeof(addr), -1);
}

static void start_ring(struct bench *b, unsigned int index)
{
	b->kick[index] = eventfd(0, EFD_CLOEXEC);
	b->call[index] = eventfd(0, EFD_CLOEXEC);
	assert_true(say_state(b, SET_VRING_NUM, index, RING_NUM));
	assert_true(say_state(b, SET_VRING_BASE, index, 0));
	assert_true(set_addr(b, index));
	assert_true(say_u64(b, SET_VRING_CALL, index, b->call[index]));
	assert_true(say_u64(b, SET_VRING_KICK, index, b->kick[index]));
	assert_true(say_state(b, SET_VRING_ENABLE, index, 1));
}

static void start_all(struct bench *b)
{
	unsigned int i;

	negotiate(b, 1ULL << VIRTIO_RING_F_EVENT_IDX);
	share_memory(b);
	for (i = 0; i < NUM_RINGS; i++)
		start_ring(b, i);
}

/* --- a driver --- */

static struct vring_desc *desc_of(struct bench *b, unsigned int index)
{
	return (struct vring_desc *)(b->guest + ring_offset(index));
}

static struct vring_avail *avail_of(struct bench *b, unsigned int index)
{
	return (struct vring_avail *)(b->guest + ring_offset(index) + 4096);
}

static struct vring_used *used_of(struct bench *b, unsigned int index)
{
	return (struct vring_used *)(b->guest + ring_offset(index) + 8192);
}

static void set_desc(struct bench *b, unsigned int index, unsigned int i,
		     uint64_t offset, uint32_t len, uint16_t flags)
{
	desc_of(b, index)[i] = (struct vring_desc) {
		GUEST_GPA + offset, len, flags, (uint16_t)(i + 1)
	};
}

static void post_and_kick(struct bench *b, unsigned int index, uint16_t head)
{
	struct vring_avail *avail = avail_of(b, index);
	const uint64_t one = 1;

	avail->ring[avail->idx % RING_NUM] = head;
	__atomic_store_n(&avail->idx, (uint16_t)(avail->idx + 1),
			 __ATOMIC_RELEASE);
	assert_int_equal(write(b->kick[index], &one, 8), 8);
}

/* Wait for the call that follows when the used index has come to @idx. */
static void await_used(struct bench *b, unsigned int index, uint16_t idx)
{
	struct pollfd poll_fd = { .fd = b->call[index], .events = POLLIN };
	uint64_t count;

	while (__atomic_load_n(&used_of(b, index)->idx, __ATOMIC_ACQUIRE) !=
	       idx) {
		assert_int_equal(poll(&poll_fd, 1, 10000), 1);
		assert_int_equal(read(b->call[index], &count, 8), 8);
	}
}

#define REQUEST_AT 0
#define TAG_AT 32
#define STORE_PAGE_AT 4096
#define ACK_AT 8192
#define LOAD_HEADER_AT 12288
#define LOAD_PAGE_AT 16384

static void put_request(struct bench *b, uint16_t op, uint64_t slot)
{
	*(struct virtio_cswap_request *)(b->guest + REQUEST_AT) =
		(struct virtio_cswap_request) {
			.op = htole16(op),
			.count = htole16(1),
			.cookie = htole64(0xc0 + slot),
			.slot = htole64(slot),
		};
}

static const struct virtio_cswap_ack *ack_at(struct bench *b, uint64_t offset)
{
	return (void *)(b->guest + offset +
			sizeof(struct virtio_cswap_response));
}

static void post_store(struct bench *b, unsigned int pair, uint64_t slot,
		       int byte)
{
	put_request(b, VIRTIO_CSWAP_OP_STORE, slot);
	memset(b->guest + TAG_AT, byte + 1, 16);
	memset(b->guest + STORE_PAGE_AT, byte, 4096);
	set_desc(b, 1 + 2 * pair, 0, REQUEST_AT, 48, VRING_DESC_F_NEXT);
	set_desc(b, 1 + 2 * pair, 1, STORE_PAGE_AT, 4096, 0);
	post_and_kick(b, 1 + 2 * pair, 0);
}

static void post_ack_buffer(struct bench *b, unsigned int pair)
{
	set_desc(b, 2 + 2 * pair, 0, ACK_AT, 256, VRING_DESC_F_WRITE);
	post_and_kick(b, 2 + 2 * pair, 0);
}

static void post_data_buffer(struct bench *b, unsigned int pair)
{
	unsigned int index = 2 + 2 * pair;

	set_desc(b, index, 2, LOAD_HEADER_AT, 48,
		 VRING_DESC_F_WRITE | VRING_DESC_F_NEXT);
	set_desc(b, index, 3, LOAD_PAGE_AT, 4096, VRING_DESC_F_WRITE);
	post_and_kick(b, index, 2);
}

static void post_load(struct bench *b, unsigned int pair, uint64_t slot)
{
	unsigned int index = 1 + 2 * pair;

	put_request(b, VIRTIO_CSWAP_OP_LOAD, slot);
	set_desc(b, index, 2, REQUEST_AT, 32, 0);
	post_and_kick(b, index, 2);
}

static void store_and_load(struct bench *b, unsigned int pair, uint16_t round)
{
	unsigned int request = 1 + 2 * pair;
	unsigned int response = 2 + 2 * pair;

	post_ack_buffer(b, pair);
	post_store(b, pair, 7, 'p');
	await_used(b, response, round + 1);
	await_used(b, request, round + 1);
	assert_int_equal(le64toh(ack_at(b, ACK_AT)->cookie), 0xc7);
	assert_int_equal(ack_at(b, ACK_AT)->status, 0);
	assert_int_equal(used_of(b, response)->ring[round % RING_NUM].len, 32);

	post_data_buffer(b, pair);
	post_load(b, pair, 7);
	await_used(b, response, round + 2);
	assert_int_equal(ack_at(b, LOAD_HEADER_AT)->status, 0);
	assert_int_equal(b->guest[LOAD_HEADER_AT + 32], 'p' + 1);
	assert_int_equal(b->guest[LOAD_PAGE_AT], 'p');
	assert_int_equal(b->guest[LOAD_PAGE_AT + 4095], 'p');
}

/* --- the tests --- */

/* Checks: device-feature-in-order */
static void features_are_as_specified(void **state)
{
	struct bench *b = *state;
	uint64_t features = ask_u64(b, GET_FEATURES);

	assert_int_equal(features, 1ULL << VIRTIO_F_VERSION_1 |
			 1ULL << VIRTIO_F_ACCESS_PLATFORM |
			 1ULL << VIRTIO_RING_F_EVENT_IDX | PROTOCOL_FEATURES |
			 1ULL << 26 /* LOG_ALL */ | 1ULL << VIRTIO_CSWAP_F_DISCARD |
			 1ULL << VIRTIO_CSWAP_F_BALLOON |
			 1ULL << VIRTIO_CSWAP_F_REPORT | 1ULL << VIRTIO_CSWAP_F_AGAIN);
	assert_int_equal(ask_u64(b, GET_PROTOCOL_FEATURES), 0x1a22b);
	assert_int_equal(ask_u64(b, GET_QUEUE_NUM), NUM_RINGS);
	assert_int_equal(ask_u64(b, GET_MAX_MEM_SLOTS), MEMORY_MAX_REGIONS);
	assert_false(say_u64(b, SET_FEATURES,
			     1ULL << VIRTIO_F_RING_PACKED, -1));
}

/* Threads with nothing to do, or with a ring, say that they are there whenever they are asked. */
static void threads_answer(void **state)
{
	struct bench *b = *state;
	const uint64_t one = 1;
	unsigned int round, i;

	for (round = 1; round < 5; round++) {
		if (round == 3)
			start_all(b);
		__atomic_store_n(&b->beats.asked, round, __ATOMIC_RELEASE);
		assert_int_equal(write(b->beat_fd, &one, sizeof(one)), sizeof(one));
		for (i = 1; i <= 2; i++)
			while (__atomic_load_n(&b->beats.seen[i], __ATOMIC_ACQUIRE) != round)
				sched_yield();
		assert_int_equal(b->beats.main_waits, 0);
	}
	assert_int_equal(b->beats.seen[0], 0);
}

/* It takes ownership first, and has no DMA API. */
static void uml_is_not_offered_access_platform(void **state)
{
	struct bench *b = *state;

	assert_true(say(b, SET_OWNER, 0, NULL, 0, -1));
	assert_false(ask_u64(b, GET_FEATURES) &
		     1ULL << VIRTIO_F_ACCESS_PLATFORM);
}

static void protocol_features_not_offered_are_refused(void **state)
{
	struct bench *b = *state;

	assert_false(say_u64(b, SET_PROTOCOL_FEATURES, 1ULL << 12, -1));
}

static void stores_and_loads(void **state)
{
	struct bench *b = *state;

	start_all(b);
	store_and_load(b, 0, 0);
	store_and_load(b, 0, 2);
	store_and_load(b, 1, 0);
}

/* What came back is the guest's: it writes there at once, and finds that later. */
/* Checks: device-request-hands-off */
static void used_buffers_are_left_alone(void **state)
{
	struct bench *b = *state;
	unsigned int i;

	start_all(b);
	post_store(b, 0, 3, 'u');
	await_used(b, 1, 1);
	memset(b->guest + REQUEST_AT, 0xff, 4096);
	memset(b->guest + STORE_PAGE_AT, 0xff, 4096);
	post_ack_buffer(b, 0);
	await_used(b, 2, 1);
	assert_int_equal(le64toh(ack_at(b, ACK_AT)->cookie), 0xc3);
	assert_int_equal(ack_at(b, ACK_AT)->status, 0);
	memset(b->guest + ACK_AT, 0xff, 4096);
	post_load(b, 0, 3);
	await_used(b, 1, 2);
	memset(b->guest + REQUEST_AT, 0xff, 4096);
	post_data_buffer(b, 0);
	await_used(b, 2, 2);
	assert_int_equal(le64toh(ack_at(b, LOAD_HEADER_AT)->cookie), 0xc3);
	assert_int_equal(ack_at(b, LOAD_HEADER_AT)->status, 0);
	for (i = 0; i < 4096; i++) {
		assert_int_equal(b->guest[LOAD_PAGE_AT + i], 'u');
		assert_int_equal(b->guest[ACK_AT + i], 0xff);
		assert_int_equal(b->guest[REQUEST_AT + i], 0xff);
		assert_int_equal(b->guest[STORE_PAGE_AT + i], 0xff);
	}
}

/* QEMU's way to add memory, while the rings run. */
static void memory_comes_and_goes_under_load(void **state)
{
	struct bench *b = *state;
	struct {
		uint64_t padding;
		struct region region;
	} reg = { .region = { 0x40000000, 4096, 0x1000, 0 } };
	uint16_t i;

	start_all(b);
	for (i = 0; i < 20; i += 2) {
		store_and_load(b, 1, i);
		assert_true(say(b, i & 2 ? REM_MEM_REG : ADD_MEM_REG, 0, &reg,
				sizeof(reg), i & 2 ? -1 : b->memory_fd));
	}
	/* And all of it replaced by itself, as after a hotplug. */
	share_memory(b);
	store_and_load(b, 1, i);
}

/* Rings whose memory goes are broken, and work again when set up again. */
static void memory_taken_away_breaks_the_rings(void **state)
{
	struct bench *b = *state;
	struct {
		uint64_t padding;
		struct region region;
	} reg = { .region = { GUEST_GPA, GUEST_BYTES, GUEST_UVA, 0 } };

	start_all(b);
	assert_true(say(b, REM_MEM_REG, 0, &reg, sizeof(reg), -1));
	memset(b->guest + GUEST_BYTES / 2, 0, GUEST_BYTES / 2);
	assert_true(say_u64(b, SET_STATUS, 0, -1));
	share_memory(b);
	start_ring(b, 1);
	start_ring(b, 2);
	store_and_load(b, 0, 0);
}

static uint32_t get_base(struct bench *b, unsigned int index)
{
	uint32_t reply[2] = { 0 };

	assert_true(say_state(b, GET_VRING_BASE, index, 0));
	get_reply(b, GET_VRING_BASE, reply, sizeof(reply));
	return reply[1];
}

/* As when a VM is stopped and goes on: nothing held may be lost by it. */
static void rings_stop_and_go_on(void **state)
{
	struct bench *b = *state;

	start_all(b);
	store_and_load(b, 0, 0);
	/* An ack buffer not used yet, and a LOAD that waits for a buffer. */
	post_ack_buffer(b, 0);
	post_load(b, 0, 7);
	await_used(b, 1, 3);
	assert_int_equal(get_base(b, 1), 3);
	assert_int_equal(get_base(b, 2), 3);
	assert_true(say_state(b, SET_VRING_BASE, 1, 3));
	assert_true(say_state(b, SET_VRING_BASE, 2, 3));
	assert_true(say_u64(b, SET_VRING_KICK, 1, b->kick[1]));
	assert_true(say_u64(b, SET_VRING_KICK, 2, b->kick[2]));
	post_store(b, 0, 9, 'q');
	await_used(b, 2, 3);
	assert_int_equal(le64toh(ack_at(b, ACK_AT)->cookie), 0xc9);
	post_data_buffer(b, 0);
	await_used(b, 2, 4);
	assert_int_equal(le64toh(ack_at(b, LOAD_HEADER_AT)->cookie), 0xc7);
	assert_int_equal(b->guest[LOAD_PAGE_AT], 'p');
}

static void await_flags(struct bench *b, unsigned int index, uint16_t flags)
{
	while (__atomic_load_n(&used_of(b, index)->flags, __ATOMIC_ACQUIRE) !=
	       flags)
		sched_yield();
}

/* A kick is asked for only where it would give work. */
static void kicks_are_asked_for_when_needed(void **state)
{
	struct bench *b = *state;

	start_all(b);
	await_flags(b, 1, 0);
	assert_int_equal(used_of(b, 2)->flags, VRING_USED_F_NO_NOTIFY);
	post_load(b, 0, 7);
	await_flags(b, 2, 0);
	post_data_buffer(b, 0);
	await_used(b, 2, 1);
}

/* Two neighbours, seen at once: one operation, each its own page and tag. */
static void neighbours_are_kept_apart(void **state)
{
	struct bench *b = *state;
	uint64_t pages = LOAD_PAGE_AT + 4096;
	struct virtio_cswap_request *request = (void *)(b->guest + REQUEST_AT);
	struct vring_avail *avail;
	unsigned int i;

	start_all(b);
	for (i = 0; i < 2; i++) {
		post_ack_buffer(b, 0);
		post_store(b, 0, 40 + i, 'k' + 10 * (int)i);
		await_used(b, 2, (uint16_t)(i + 1));
	}
	avail = avail_of(b, 2);
	for (i = 0; i < 2; i++) {
		set_desc(b, 2, 2 + 2 * i, LOAD_HEADER_AT + 64 * i, 48,
			 VRING_DESC_F_WRITE | VRING_DESC_F_NEXT);
		set_desc(b, 2, 3 + 2 * i, pages + 4096 * i, 4096,
			 VRING_DESC_F_WRITE);
		avail->ring[2 + i] = (uint16_t)(2 + 2 * i);
		request[4 * i] = (struct virtio_cswap_request) {
			.op = htole16(VIRTIO_CSWAP_OP_LOAD),
			.count = htole16(1),
			.cookie = htole64(40 + i),
			.slot = htole64(40 + i),
		};
		set_desc(b, 1, 4 + i, REQUEST_AT + 128 * i, 32, 0);
	}
	__atomic_store_n(&avail->idx, 4, __ATOMIC_RELEASE);
	avail = avail_of(b, 1);
	avail->ring[2] = 4;
	avail->idx = 3;
	post_and_kick(b, 1, 5);
	await_used(b, 2, 4);
	/* Which buffer serves which is the device's choice; the cookie says it. */
	for (i = 0; i < 2; i++) {
		uint64_t header = LOAD_HEADER_AT + 64 * i;
		uint64_t slot = le64toh(ack_at(b, header)->cookie);
		int byte = slot == 40 ? 'k' : 'k' + 10;

		assert_int_equal(b->guest[header + 32], byte + 1);
		assert_int_equal(b->guest[pages + 4096 * i], byte);
	}
}

/* An outcome that finds no buffer is kept over a stop, dropped by a reset. */
/* Checks: device-init-quiesce */
static void a_reset_forgets_outcomes(void **state)
{
	struct bench *b = *state;

	start_all(b);
	post_store(b, 0, 3, 'r');
	await_used(b, 1, 1);
	assert_true(say(b, RESET_DEVICE, 0, NULL, 0, -1));
	memset(b->guest + GUEST_BYTES / 2, 0, GUEST_BYTES / 2);
	start_ring(b, 1);
	start_ring(b, 2);
	store_and_load(b, 0, 0);
}

static void disabled_ring_is_not_served(void **state)
{
	struct bench *b = *state;

	start_all(b);
	assert_true(say_state(b, SET_VRING_ENABLE, 1, 0));
	post_ack_buffer(b, 0);
	post_store(b, 0, 9, 's');
	/* The other pair being served shows that this one is left alone. */
	store_and_load(b, 1, 0);
	assert_int_equal(used_of(b, 1)->idx, 0);
	/* The two pairs share the place of the request. */
	put_request(b, VIRTIO_CSWAP_OP_STORE, 9);
	assert_true(say_state(b, SET_VRING_ENABLE, 1, 1));
	await_used(b, 2, 1);
	assert_int_equal(le64toh(ack_at(b, ACK_AT)->cookie), 0xc9);
}

static void a_broken_pair_leaves_the_other_alone(void **state)
{
	struct bench *b = *state;

	start_all(b);
	avail_of(b, 1)->idx = 999;
	post_and_kick(b, 1, 0);
	store_and_load(b, 1, 0);
	assert_int_equal(used_of(b, 1)->idx, 0);
}

static void config_is_read_in_any_piece(void **state)
{
	struct bench *b = *state;
	struct {
		uint32_t offset, size, flags;
		uint8_t space[256];
	} msg = { .size = 256 };

	assert_true(say(b, GET_CONFIG, 0, &msg, sizeof(msg), -1));
	assert_int_equal(get_reply(b, GET_CONFIG, &msg, sizeof(msg)),
			 sizeof(msg));
	assert_int_equal(msg.space[8], 0);
	assert_int_equal(msg.space[9], 16);
	msg.offset = 12;
	msg.size = 2;
	assert_true(say(b, GET_CONFIG, 0, &msg, 12 + 2, -1));
	assert_int_equal(get_reply(b, GET_CONFIG, &msg, sizeof(msg)), 14);
	assert_int_equal(msg.space[0], PAIRS);
	/* Refused by an empty reply. */
	msg.offset = 255;
	assert_true(say(b, GET_CONFIG, 0, &msg, 12 + 2, -1));
	assert_int_equal(get_reply(b, GET_CONFIG, &msg, sizeof(msg)), 0);
	msg.offset = UINT32_MAX;
	assert_true(say(b, GET_CONFIG, 0, &msg, 12 + 2, -1));
	assert_int_equal(get_reply(b, GET_CONFIG, &msg, sizeof(msg)), 0);
	msg.offset = 0;
	msg.size = 200;
	assert_true(say(b, GET_CONFIG, 0, &msg, 12 + 2, -1));
	assert_int_equal(get_reply(b, GET_CONFIG, &msg, sizeof(msg)), 0);
	/* Writes change nothing, and are no error. */
	msg.size = 2;
	assert_true(say(b, SET_CONFIG, 0, &msg, 12 + 2, -1));
	assert_true(say(b, GET_CONFIG, 0, &msg, 12 + 2, -1));
	assert_int_equal(get_reply(b, GET_CONFIG, &msg, sizeof(msg)), 14);
	assert_int_equal(msg.space[0], CAPACITY & 0xff);
	assert_int_equal(msg.space[1], CAPACITY >> 8);
}

static void status_is_remembered(void **state)
{
	struct bench *b = *state;

	assert_true(say_u64(b, SET_STATUS, 8, -1));
	assert_int_equal(ask_u64(b, GET_STATUS), 8);
	assert_true(say_u64(b, SET_STATUS, 0, -1));
	assert_int_equal(ask_u64(b, GET_STATUS), 0);
}

static void replies_when_asked_to(void **state)
{
	struct bench *b = *state;
	const uint32_t good[2] = { 1, 16 }, bad[2] = { 99, 16 };
	const uint64_t reply_ack = REPLY_ACK;
	uint64_t reply = 99;

	/* Not before it's negotiated. */
	assert_true(say(b, SET_VRING_NUM, NEED_REPLY, good, 8, -1));
	assert_true(nothing_to_read(b));
	/* User-mode Linux wants an answer to this one already. */
	assert_true(say(b, SET_PROTOCOL_FEATURES, NEED_REPLY, &reply_ack, 8,
			-1));
	get_reply(b, SET_PROTOCOL_FEATURES, &reply, 8);
	assert_int_equal(reply, 0);
	reply = 99;
	assert_true(say(b, SET_VRING_NUM, NEED_REPLY, good, 8, -1));
	get_reply(b, SET_VRING_NUM, &reply, 8);
	assert_int_equal(reply, 0);
	assert_true(say(b, SET_VRING_NUM, NEED_REPLY, bad, 8, -1));
	get_reply(b, SET_VRING_NUM, &reply, 8);
	assert_int_equal(reply, 1);
	assert_true(say(b, 99, NEED_REPLY, bad, 8, -1));
	get_reply(b, 99, &reply, 8);
	assert_int_equal(reply, 1);
	/* Without it, an unknown message is ignored, a bad one the end. */
	assert_true(say(b, 99, 0, bad, 8, -1));
	assert_false(say(b, SET_VRING_NUM, 0, bad, 8, -1));
}

/* --- hostile front ends: each case ends the connection, not the server --- */

static void reconnect(struct bench *b)
{
	int fds[2];

	close(b->fd);
	vhost_user_disconnect(b->vu);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	vhost_user_connect(b->vu, fds[0]);
	b->fd = fds[1];
}

/* A closed connection, or one that ends inside a message. */
static void ends_are_noticed(void **state)
{
	struct bench *b = *state;
	const struct header header = { SET_FEATURES, 1, 8 };

	assert_int_equal(shutdown(b->fd, SHUT_WR), 0);
	assert_false(vhost_user_receive(b->vu));
	reconnect(b);
	assert_int_equal(send(b->fd, &header, 5, 0), 5);
	assert_int_equal(shutdown(b->fd, SHUT_WR), 0);
	assert_false(vhost_user_receive(b->vu));
	reconnect(b);
	send_raw(b, &header, "abc", 3, NULL, 0);
	assert_int_equal(shutdown(b->fd, SHUT_WR), 0);
	assert_false(vhost_user_receive(b->vu));
}

static void malformed_headers_end_it(void **state)
{
	static const struct header headers[] = {
		{ SET_FEATURES, 0, 8 },		/* no version */
		{ SET_FEATURES, 2, 8 },		/* another version */
		{ SET_FEATURES, 1, 513 },	/* too large */
		{ SET_FEATURES, 1, UINT32_MAX },
	};
	struct bench *b = *state;
	const uint64_t payload = 0;
	unsigned int i;

	for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		send_raw(b, &headers[i], &payload, 8, NULL, 0);
		assert_false(vhost_user_receive(b->vu));
		reconnect(b);
	}
}

/* Every message with every payload size that isn't its own. */
static void wrong_sizes_end_it(void **state)
{
	static const struct {
		uint32_t request;
		uint32_t size;
	} messages[] = {
		{ GET_FEATURES, 0 }, { SET_FEATURES, 8 }, { SET_OWNER, 0 },
		{ SET_VRING_NUM, 8 }, { SET_VRING_ADDR, 40 },
		{ SET_VRING_BASE, 8 }, { GET_VRING_BASE, 8 },
		{ SET_VRING_KICK, 8 }, { SET_VRING_CALL, 8 },
		{ SET_VRING_ERR, 8 }, { GET_PROTOCOL_FEATURES, 0 },
		{ SET_PROTOCOL_FEATURES, 8 }, { GET_QUEUE_NUM, 0 },
		{ SET_VRING_ENABLE, 8 }, { RESET_DEVICE, 0 },
		{ GET_MAX_MEM_SLOTS, 0 }, { ADD_MEM_REG, 40 },
		{ REM_MEM_REG, 40 }, { SET_STATUS, 8 }, { GET_STATUS, 0 },
	};
	const uint8_t payload[64] = { 0 };
	struct bench *b = *state;
	unsigned int i;
	uint32_t size;

	for (i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		for (size = 0; size <= 48; size++) {
			if (size == messages[i].size)
				continue;
			assert_false(say(b, messages[i].request, 0, payload,
					 size, -1));
			reconnect(b);
		}
	}
	for (size = 0; size < 12; size++) {
		assert_false(say(b, GET_CONFIG, 0, payload, size, -1));
		reconnect(b);
		assert_false(say(b, SET_CONFIG, 0, payload, size, -1));
		reconnect(b);
		if (size < 8) {
			assert_false(say(b, SET_MEM_TABLE, 0, payload, size,
					 -1));
			reconnect(b);
		}
	}
}

static unsigned int open_fds(void)
{
	unsigned int count = 0;
	int fd;

	for (fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Descriptors nobody asked for are closed, however many. */
static void descriptors_do_not_leak(void **state)
{
	struct bench *b = *state;
	const struct header header = { SET_OWNER, 1, 0 };
	const struct header kick = { SET_VRING_KICK, 1, 8 };
	const uint64_t no_ring = 77;
	unsigned int before = open_fds();
	unsigned int num;
	int fds[16];

	for (num = 0; num < 16; num++)
		fds[num] = b->memory_fd;
	for (num = 1; num <= 16; num++) {
		send_raw(b, &header, NULL, 0, fds, num);
		assert_false(vhost_user_receive(b->vu));
		reconnect(b);
		send_raw(b, &kick, &no_ring, 8, fds, num);
		assert_false(vhost_user_receive(b->vu));
		reconnect(b);
	}
	assert_int_equal(open_fds(), before);
}

static void bad_rings_are_refused(void **state)
{
	struct bench *b = *state;
	static const uint32_t requests[] = {
		SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_ENABLE
	};
	unsigned int i;

	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		assert_false(say_state(b, requests[i], NUM_RINGS, 16));
		reconnect(b);
		assert_false(say_state(b, requests[i], UINT32_MAX, 16));
		reconnect(b);
	}
	assert_false(say_state(b, SET_VRING_NUM, 0, 65536 + 16));
	reconnect(b);
	assert_false(say_state(b, SET_VRING_BASE, 0, 65536));
	reconnect(b);
	assert_false(say_u64(b, SET_VRING_KICK, 0, -1));
	reconnect(b);
	/* No descriptor at all: polling for ever isn't offered. */
	assert_false(say_u64(b, SET_VRING_KICK, 0x100, -1));
	reconnect(b);
	/* No memory was shared: the addresses mean nothing. */
	assert_true(say_state(b, SET_VRING_NUM, 0, RING_NUM));
	assert_true(say_u64(b, SET_VRING_KICK, 0, b->memory_fd));
	assert_true(say_state(b, SET_VRING_ENABLE, 0, 1));
	assert_false(set_addr(b, 0));
}

static void running_rings_keep_their_size(void **state)
{
	struct bench *b = *state;

	start_all(b);
	assert_false(say_state(b, SET_VRING_NUM, 1, 32));
	reconnect(b);
	memset(b->guest + GUEST_BYTES / 2, 0, GUEST_BYTES / 2);
	start_all(b);
	assert_false(say_state(b, SET_VRING_BASE, 1, 1));
}

static void bad_memory_tables_are_refused(void **state)
{
	struct bench *b = *state;
	struct {
		uint32_t count, padding;
		struct region region[9];
	} table = { .count = 1 };
	const int fds[2] = { b->memory_fd, b->memory_fd };
	struct header header = { SET_MEM_TABLE, 1, 0 };

	table.region[0] = (struct region) { 0, GUEST_BYTES, 0, 0 };
	/* No descriptor: nothing is shared. */
	assert_false(say(b, SET_MEM_TABLE, 0, &table, 8 + 32, -1));
	reconnect(b);
	table.count = 0;
	assert_false(say(b, SET_MEM_TABLE, 0, &table, 8, -1));
	reconnect(b);
	table.count = 9;
	assert_false(say(b, SET_MEM_TABLE, 0, &table, 8 + 9 * 32,
			 b->memory_fd));
	reconnect(b);
	table.count = UINT32_MAX;
	assert_false(say(b, SET_MEM_TABLE, 0, &table, 8 + 32, b->memory_fd));
	reconnect(b);
	/* More regions than payload, more regions than descriptors. */
	table.count = 2;
	assert_false(say(b, SET_MEM_TABLE, 0, &table, 8 + 32, b->memory_fd));
	reconnect(b);
	assert_false(say(b, SET_MEM_TABLE, 0, &table, 8 + 64, b->memory_fd));
	reconnect(b);
	/* And the other way round. */
	table.count = 1;
	header.size = 8 + 32;
	send_raw(b, &header, &table, 8 + 32, fds, 2);
	assert_false(vhost_user_receive(b->vu));
	reconnect(b);
	table.region[0].size++;
	assert_false(say(b, SET_MEM_TABLE, 0, &table, 8 + 32, b->memory_fd));
	reconnect(b);
	table.region[0].size = GUEST_BYTES;
	assert_true(say(b, SET_MEM_TABLE, 0, &table, 8 + 32, b->memory_fd));
}

/* Eight regions are the most that come in one message. */
static void large_memory_tables(void **state)
{
	struct bench *b = *state;
	const struct header header = { SET_MEM_TABLE, 1, 8 + 8 * 32 };
	struct {
		uint32_t count, padding;
		struct region region[8];
	} table = { .count = 8 };
	int fds[9];
	unsigned int i;

	for (i = 0; i < 9; i++)
		fds[i] = b->memory_fd;
	for (i = 0; i < 8; i++)
		table.region[i] = (struct region) {
			GUEST_GPA + i * 4096, 4096, GUEST_UVA + i * 4096,
			i * 4096
		};
	send_raw(b, &header, &table, sizeof(table), fds, 8);
	assert_true(vhost_user_receive(b->vu));
	assert_int_equal(b->memory.count, 8);
	send_raw(b, &header, &table, sizeof(table), fds, 9);
	assert_false(vhost_user_receive(b->vu));
}

/* A kick descriptor that can't be polled breaks its pair only. */
static void dead_kicks_break_their_pair(void **state)
{
	struct bench *b = *state;
	int ends[2];

	start_all(b);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	close(ends[1]);
	assert_true(say_u64(b, SET_VRING_KICK, 1, ends[0]));
	close(ends[0]);
	assert_true(say_u64(b, SET_VRING_KICK, 2, b->memory_fd));
	store_and_load(b, 1, 0);
}

/* --- the dirty log --- */

#define LOG_BYTES ((GUEST_GPA + GUEST_BYTES) / 4096 / 8)

static int make_log(int seals)
{
	int fd = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, LOG_BYTES), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* Whatever it is, the answer is the same; is it used? */
static bool log_is_used(struct bench *b, int fd, uint64_t bytes, uint64_t offset)
{
	const uint64_t payload[2] = { bytes, offset };

	assert_true(say(b, SET_LOG_BASE, 0, payload, sizeof(payload), fd));
	assert_int_equal(get_reply(b, SET_LOG_BASE, NULL, 0), 0);
	return b->memory.dirty.bits;
}

static void bad_logs_are_not_used(void **state)
{
	struct bench *b = *state;
	int good = make_log(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	int shrinks = make_log(F_SEAL_GROW);
	int read_only = make_log(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	int pipe_fds[2];

	assert_int_equal(pipe(pipe_fds), 0);
	start_all(b);
	assert_false(log_is_used(b, -1, LOG_BYTES, 0));
	assert_false(log_is_used(b, shrinks, LOG_BYTES, 0));
	assert_false(log_is_used(b, read_only, LOG_BYTES, 0));
	assert_false(log_is_used(b, pipe_fds[1], LOG_BYTES, 0));
	assert_false(log_is_used(b, good, 0, 0));
	assert_false(log_is_used(b, good, LOG_BYTES + 1, 0));
	assert_false(log_is_used(b, good, LOG_BYTES, 1));
	assert_false(log_is_used(b, good, 2, UINT64_MAX));
	assert_true(log_is_used(b, good, LOG_BYTES, 0));
	/* A bad one in place of a good one: the good one isn't it any more. */
	assert_false(log_is_used(b, shrinks, LOG_BYTES, 0));
	store_and_load(b, 0, 0);
	close(good);
	close(shrinks);
	close(read_only);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static bool is_logged(const uint8_t *bits, uint64_t gpa)
{
	return bits[gpa / 4096 / 8] >> gpa / 4096 % 8 & 1;
}

/* The pages that are written, and no others; a log that is too short is written as far as it goes. */
static void buffers_are_logged(void **state)
{
	struct bench *b = *state;
	int fd = make_log(F_SEAL_SHRINK | F_SEAL_GROW);
	uint64_t features;
	uint8_t *bits = mmap(NULL, LOG_BYTES, PROT_READ, MAP_SHARED, fd, 0);

	start_all(b);
	assert_true(log_is_used(b, fd, LOG_BYTES, 0));
	store_and_load(b, 0, 0);
	assert_true(is_logged(bits, GUEST_GPA + ACK_AT));
	assert_true(is_logged(bits, GUEST_GPA + LOAD_HEADER_AT));
	assert_true(is_logged(bits, GUEST_GPA + LOAD_PAGE_AT));
	assert_false(is_logged(bits, GUEST_GPA + STORE_PAGE_AT));
	assert_false(is_logged(bits, GUEST_GPA + LOAD_PAGE_AT + 4096));
	/* Without the feature it's the end of the log. */
	features = ask_u64(b, GET_FEATURES) & ~(1ULL << VIRTIO_RING_F_EVENT_IDX);
	assert_true(features & 1ULL << 26);
	assert_true(say_u64(b, SET_FEATURES, features, -1));
	assert_non_null(b->memory.dirty.bits);
	assert_true(say_u64(b, SET_FEATURES, features & ~(1ULL << 26), -1));
	assert_null(b->memory.dirty.bits);
	assert_true(log_is_used(b, fd, (GUEST_GPA + 4096) / 4096 / 8, 0));
	store_and_load(b, 1, 0);
	munmap(bits, LOG_BYTES);
	close(fd);
}

/* --- the successor --- */

#define FIRST_REGION VHOST_USER_FIXED_FDS

/* The halves of the guest's memory as two regions. The rings are in the second one. */
static void share_halves(struct bench *b)
{
	const uint64_t half = GUEST_BYTES / 2;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		const struct {
			uint64_t padding;
			struct region region;
		} one = { 0, { GUEST_GPA + i * half, half, GUEST_UVA + i * half, i * half } };

		assert_true(say(b, ADD_MEM_REG, 0, &one, sizeof(one), b->memory_fd));
	}
}

/* The process ends, and the next one has all but the descriptor @lost. */
static void take_over(struct bench *b, struct keep *keep, unsigned int lost)
{
	struct vhost_user_saved *saved = malloc(sizeof(*saved));
	struct vhost_user_fd was[VHOST_USER_MAX_FDS];
	int fd[VHOST_USER_MAX_FDS], front_end[2];
	unsigned int i;

	vhost_user_save(b->vu, saved, was);
	for (i = 0; i < VHOST_USER_MAX_FDS; i++)
		fd[i] = was[i].fd < 0 || i == lost ? -1 : fcntl(was[i].fd, F_DUPFD_CLOEXEC, 0);
	vhost_user_disconnect(b->vu);
	close(b->fd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, front_end), 0);
	b->fd = front_end[1];
	vhost_user_restore(b->vu, saved, front_end[0], fd);
	keep_begin(keep, b->vu, fd);
	free(saved);
}

static unsigned int count_attached(const struct bench *b)
{
	struct vhost_user_saved *saved = malloc(sizeof(*saved));
	struct vhost_user_fd now[VHOST_USER_MAX_FDS];
	unsigned int i, count = 0;

	vhost_user_save(b->vu, saved, now);
	for (i = 0; i < NUM_RINGS; i++)
		count += saved->ring[i].attached;
	free(saved);
	return count;
}

/* The front end is gone, and the monitor hears of each descriptor that it has that there is none. */
static void expect_all_told(struct bench *b, struct keep *keep, int monitor, unsigned int had)
{
	struct keep_answer answer;
	unsigned int i, regions = 0, num_fds;
	int fd[VU_MAX_FDS];

	vhost_user_disconnect(b->vu);
	assert_true(keep_done(keep, b->vu, true, NULL));
	assert_int_equal(keep_receive(monitor, &answer, sizeof(answer), fd, &num_fds), KEEP_WHOLE);
	assert_int_equal(num_fds, 0);
	for (i = 0; i < answer.num_keys; i++)
		regions += answer.key[i] >= FIRST_REGION && answer.key[i] < FIRST_REGION + 2;
	assert_int_equal(regions, had);
}

static void goes_on_with_all_memory_or_none(void **state)
{
	struct bench *b = *state;
	static struct keep_state keep_state;
	struct keep keep = { .state = &keep_state };
	int ends[2];
	char byte;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	keep.channel = ends[0];
	negotiate(b, 1ULL << VIRTIO_RING_F_EVENT_IDX);
	share_halves(b);
	start_ring(b, 0);
	take_over(b, &keep, VHOST_USER_MAX_FDS);
	assert_int_equal(b->memory.count, 2);
	assert_int_equal(count_attached(b), 1);
	assert_true(nothing_to_read(b));
	/* The half with the rings is there. */
	take_over(b, &keep, FIRST_REGION);
	assert_int_equal(b->memory.count, 0);
	assert_int_equal(count_attached(b), 0);
	assert_int_equal(recv(b->fd, &byte, 1, MSG_DONTWAIT), 0);
	expect_all_told(b, &keep, ends[1], 1);
	close(ends[0]);
	close(ends[1]);
}

/* One that dies before the rings' memory comes again is followed by one that awaits it, too. */
static void goes_on_when_memory_comes_again(void **state)
{
	const uint64_t half = GUEST_BYTES / 2;
	struct bench *b = *state;
	struct {
		uint64_t padding;
		struct region region;
	} one = { 0, { GUEST_GPA + half, half, GUEST_UVA + half, half } };
	static struct keep_state keep_state;
	struct keep keep = { .state = &keep_state, .channel = -1 };
	unsigned int i;

	negotiate(b, 1ULL << VIRTIO_RING_F_EVENT_IDX);
	share_halves(b);
	start_ring(b, 1);
	start_ring(b, 2);
	assert_true(say(b, REM_MEM_REG, 0, &one, sizeof(one), -1));
	for (i = 0; i < 2; i++) {
		take_over(b, &keep, VHOST_USER_MAX_FDS);
		assert_int_equal(b->memory.count, 1);
		assert_true(memory_is_gone(&b->memory, GUEST_GPA + half));
		assert_false(memory_is_gone(&b->memory, GUEST_GPA));
		assert_int_equal(count_attached(b), 2);
	}
	assert_true(say(b, ADD_MEM_REG, 0, &one, sizeof(one), b->memory_fd));
	assert_false(memory_is_gone(&b->memory, GUEST_GPA + half));
	store_and_load(b, 0, 0);
}

#define CASE(function) \
	cmocka_unit_test_setup_teardown(function, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(features_are_as_specified),
		CASE(threads_answer),
		CASE(uml_is_not_offered_access_platform),
		CASE(protocol_features_not_offered_are_refused),
		CASE(stores_and_loads),
		CASE(used_buffers_are_left_alone),
		CASE(memory_comes_and_goes_under_load),
		CASE(memory_taken_away_breaks_the_rings),
		CASE(rings_stop_and_go_on),
		CASE(kicks_are_asked_for_when_needed),
		CASE(neighbours_are_kept_apart),
		CASE(a_reset_forgets_outcomes),
		CASE(disabled_ring_is_not_served),
		CASE(a_broken_pair_leaves_the_other_alone),
		CASE(config_is_read_in_any_piece),
		CASE(status_is_remembered),
		CASE(replies_when_asked_to),
		CASE(ends_are_noticed),
		CASE(malformed_headers_end_it),
		CASE(wrong_sizes_end_it),
		CASE(descriptors_do_not_leak),
		CASE(bad_rings_are_refused),
		CASE(running_rings_keep_their_size),
		CASE(bad_memory_tables_are_refused),
		CASE(large_memory_tables),
		CASE(dead_kicks_break_their_pair),
		CASE(bad_logs_are_not_used),
		CASE(buffers_are_logged),
		CASE(goes_on_with_all_memory_or_none),
		CASE(goes_on_when_memory_comes_again),
	};

	return cmocka_run_group_tests_name("vhost_user", tests, NULL, NULL);
}
