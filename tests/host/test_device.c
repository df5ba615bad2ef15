// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_device.c - requests, and what a guest may put into them.
 */
#include "test_ring.h"

#include <endian.h>
#include "serve/device.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define CAPACITY 1000
#define BLOCK 8192
/* Where each test puts things in guest memory. */
#define HEADER_AT DATA_OFFSET
#define PAGES_AT (DATA_OFFSET + 4096)

static const struct device_limits limits = {
	.capacity = CAPACITY,
	.queue_pairs = 2,
	.medium = VIRTIO_CSWAP_MEDIUM_FLASH,
	.release_method = VIRTIO_CSWAP_RELEASE_DISCARD,
	.block_bytes = BLOCK,
	.report_period_ms = 250,
	.discard = true,
	.balloon = true,
	.report = true,
};

void __real_vring_copy_from(void *to, const struct vring_segment *segment,
			    uint64_t offset, uint64_t len);
void __wrap_vring_copy_from(void *to, const struct vring_segment *segment,
			    uint64_t offset, uint64_t len);

/* What was fetched is another thing at once: who looks twice would see that. */
/* Checks: device-request-fetch-once */
void __wrap_vring_copy_from(void *to, const struct vring_segment *segment,
			    uint64_t offset, uint64_t len)
{
	uint8_t other[4096];

	__real_vring_copy_from(to, segment, offset, len);
	memset(other, 0xff, sizeof(other));
	assert_in_range(len, 1, sizeof(other));
	vring_copy_to(segment, offset, other, len);
}

/* Nothing is pinned but what a test pins. */
static struct blockmap pinned = { .block_bytes = 4096 };

static struct virtio_cswap_request *header_of(struct test_ring *t)
{
	return (struct virtio_cswap_request *)(t->guest + HEADER_AT);
}

static void put_header(struct test_ring *t, uint16_t op, uint16_t count,
		       uint64_t slot)
{
	*header_of(t) = (struct virtio_cswap_request) {
		.op = htole16(op),
		.count = htole16(count),
		.cookie = htole64(0x1122334455667788),
		.slot = htole64(slot),
	};
	memset(t->guest + HEADER_AT + 32, 't', 16 * 16);
}

/* Header and tags in one descriptor, the pages in another. */
static void put_store(struct test_ring *t, uint16_t count, uint64_t slot)
{
	put_header(t, VIRTIO_CSWAP_OP_STORE, count, slot);
	put_desc(t, 0, HEADER_AT, 32 + 16 * count, NEXT, 1);
	put_desc(t, 1, PAGES_AT, 4096 * count, 0, 0);
}

static const char *parse(struct test_ring *t, struct device_request *request)
{
	post(t, 0);
	assert_int_equal(pop(t), VRING_OK);
	vring_push(&t->vring, 0, 0);
	return device_parse_request(&limits, &t->chain, request);
}

static void expect_status(struct test_ring *t, uint32_t status)
{
	struct device_request request;

	assert_null(parse(t, &request));
	assert_int_equal(request.status, status);
	assert_int_equal(request.cookie, 0x1122334455667788);
}

/* Checks: device-config-range */
static void config_is_what_was_promised(void **state)
{
	struct virtio_cswap_config config;

	(void)state;
	device_fill_config(&limits, &config);
	assert_int_equal(le64toh(config.capacity), CAPACITY);
	assert_int_equal(le32toh(config.slot_size), 4096);
	assert_int_equal(le16toh(config.num_queue_pairs), 2);
	assert_int_equal(le16toh(config.max_request_pages), 16);
	assert_int_equal(config.medium, VIRTIO_CSWAP_MEDIUM_FLASH);
	assert_int_equal(config.release_method, VIRTIO_CSWAP_RELEASE_DISCARD);
	assert_int_equal(le32toh(config.block_size), BLOCK);
	assert_int_equal(le32toh(config.report_period_ms), 250);
}

/* Checks: device-config-reserved */
static void config_without_a_balloon(void **state)
{
	struct device_limits without = limits;
	struct virtio_cswap_config config;
	unsigned int i;

	(void)state;
	memset(&config, 0xff, sizeof(config));
	without.release_method = VIRTIO_CSWAP_RELEASE_NONE;
	without.report_period_ms = 0;
	device_fill_config(&without, &config);
	assert_int_equal(config.release_method, 0);
	assert_int_equal(config.block_size, 0);
	assert_int_equal(config.report_period_ms, 0);
	assert_int_equal(config.reserved0, 0);
	for (i = 0; i < sizeof(config.reserved1) / sizeof(config.reserved1[0]); i++)
		assert_int_equal(config.reserved1[i], 0);
}

static void store_is_parsed(void **state)
{
	struct test_ring *t = *state;
	struct device_request request;
	unsigned int i;

	put_store(t, 16, CAPACITY - 16);
	assert_null(parse(t, &request));
	assert_int_equal(request.status, VIRTIO_CSWAP_S_OK);
	assert_false(request.load);
	assert_int_equal(request.count, 16);
	assert_int_equal(request.slot, CAPACITY - 16);
	for (i = 0; i < 16; i++) {
		assert_ptr_equal(request.page[i],
				 t->guest + PAGES_AT + 4096 * i);
		assert_int_equal(request.tag[i].b[15], 't');
	}
}

/* Header and tags may come in any pieces; pages each in one. */
static void store_is_gathered(void **state)
{
	struct test_ring *t = *state;
	struct device_request request;

	put_header(t, VIRTIO_CSWAP_OP_STORE, 2, 5);
	t->guest[HEADER_AT + 32 + 31] = 'z';
	put_desc(t, 0, HEADER_AT, 7, NEXT, 1);
	put_desc(t, 1, HEADER_AT + 7, 30, NEXT, 2);
	put_desc(t, 2, HEADER_AT + 37, 27, NEXT, 3);
	put_desc(t, 3, PAGES_AT + 8192, 4096, NEXT, 4);
	put_desc(t, 4, PAGES_AT, 4096, 0, 0);
	assert_null(parse(t, &request));
	assert_int_equal(request.status, VIRTIO_CSWAP_S_OK);
	assert_int_equal(request.slot, 5);
	assert_int_equal(request.tag[1].b[15], 'z');
	assert_ptr_equal(request.page[0], t->guest + PAGES_AT + 8192);
	assert_ptr_equal(request.page[1], t->guest + PAGES_AT);
}

static void load_is_parsed(void **state)
{
	struct test_ring *t = *state;
	struct device_request request;

	put_header(t, VIRTIO_CSWAP_OP_LOAD, 1, CAPACITY - 1);
	put_desc(t, 0, HEADER_AT, 32, 0, 0);
	assert_null(parse(t, &request));
	assert_true(request.load);
	assert_int_equal(request.status, VIRTIO_CSWAP_S_OK);
	assert_int_equal(request.slot, CAPACITY - 1);
}

static void chains_that_cannot_be_answered(void **state)
{
	struct test_ring *t = *state;
	struct device_request request;

	put_store(t, 1, 0);
	t->desc[1].flags = WRITE;
	assert_string_equal(parse(t, &request),
			    "writable buffer on a request queue");
	put_desc(t, 0, HEADER_AT, 31, 0, 0);
	assert_string_equal(parse(t, &request),
			    "request is shorter than its header");
}

static void unknown_op_is_unsupported(void **state)
{
	struct test_ring *t = *state;

	put_store(t, 1, 0);
	header_of(t)->op = htole16(0x7777);
	expect_status(t, VIRTIO_CSWAP_S_UNSUPP);
	put_store(t, 1, 0);
	header_of(t)->op = htole16(VIRTIO_CSWAP_CTRL_DISCARD);
	expect_status(t, VIRTIO_CSWAP_S_UNSUPP);
}

static void reserved_bits_are_invalid(void **state)
{
	struct test_ring *t = *state;

	put_store(t, 1, 0);
	header_of(t)->reserved0 = htole32(1);
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
	put_store(t, 1, 0);
	header_of(t)->reserved1 = htole64(1ULL << 63);
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
}

static void counts_out_of_range_are_invalid(void **state)
{
	struct test_ring *t = *state;

	put_store(t, 0, 0);
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
	put_store(t, 17, 0);
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
	put_store(t, 1, 0);
	header_of(t)->count = 0xffff;
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
}

static void slots_out_of_range_are_invalid(void **state)
{
	struct test_ring *t = *state;

	put_store(t, 1, CAPACITY);
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
	put_store(t, 2, CAPACITY - 1);
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
	put_store(t, 2, UINT64_MAX);
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
	put_header(t, VIRTIO_CSWAP_OP_LOAD, 1, CAPACITY);
	put_desc(t, 0, HEADER_AT, 32, 0, 0);
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
}

static void lengths_that_do_not_fit_are_invalid(void **state)
{
	struct test_ring *t = *state;

	put_store(t, 1, 0);
	t->desc[1].len = 4095;
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
	put_store(t, 1, 0);
	t->desc[1].len = 8192;
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
	put_store(t, 1, 0);
	t->desc[0].len = 32;
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
	put_store(t, 1, 0);
	t->desc[0].flags = 0;
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
	put_header(t, VIRTIO_CSWAP_OP_LOAD, 1, 0);
	put_desc(t, 0, HEADER_AT, 33, 0, 0);
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
}

static void pages_in_pieces_are_invalid(void **state)
{
	struct test_ring *t = *state;

	/* Misaligned. */
	put_store(t, 1, 0);
	put_desc(t, 1, PAGES_AT + 512, 4096, 0, 0);
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
	/* In two descriptors. */
	put_store(t, 1, 0);
	put_desc(t, 1, PAGES_AT, 2048, NEXT, 2);
	put_desc(t, 2, PAGES_AT + 2048, 2048, 0, 0);
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
	/* Begins in the descriptor of the tags. */
	put_header(t, VIRTIO_CSWAP_OP_STORE, 1, 0);
	put_desc(t, 0, HEADER_AT, 48 + 2048, NEXT, 1);
	put_desc(t, 1, PAGES_AT, 2048, 0, 0);
	expect_status(t, VIRTIO_CSWAP_S_INVALID);
}

/* --- control --- */

static void put_discard(struct test_ring *t, uint16_t count)
{
	struct virtio_cswap_ctrl *ctrl = (void *)(t->guest + HEADER_AT);
	struct virtio_cswap_range *range = (void *)(ctrl + 1);
	unsigned int i;

	*ctrl = (struct virtio_cswap_ctrl) {
		.op = htole16(VIRTIO_CSWAP_CTRL_DISCARD),
		.count = htole16(count),
	};
	for (i = 0; i < count && i < 100; i++) {
		range[i].start = htole64(i);
		range[i].count = htole64(2);
	}
	put_desc(t, 0, HEADER_AT, (uint32_t)(16 + 16 * count), NEXT, 1);
	put_desc(t, 1, PAGES_AT, 8, WRITE, 0);
}

static const char *parse_control(struct test_ring *t,
				 const struct device_limits *with,
				 struct device_control *control)
{
	post(t, 0);
	assert_int_equal(pop(t), VRING_OK);
	vring_push(&t->vring, 0, 0);
	return device_parse_control(with, &t->memory, &pinned, &t->chain,
				    control);
}

static void expect_control(struct test_ring *t, uint32_t status)
{
	struct device_control control;

	assert_null(parse_control(t, &limits, &control));
	assert_int_equal(control.status, status);
}

static void discard_is_parsed(void **state)
{
	struct test_ring *t = *state;
	struct device_control control;

	put_discard(t, 64);
	assert_null(parse_control(t, &limits, &control));
	assert_int_equal(control.status, VIRTIO_CSWAP_S_OK);
	/* Neighbours are one range. */
	assert_int_equal(control.count, 1);
	assert_int_equal(control.range[0].start, 0);
	assert_int_equal(control.range[0].count, 65);
	assert_int_equal(device_put_control(&t->chain, &control, VIRTIO_CSWAP_S_NOSPC),
			 8);
	assert_int_equal(t->guest[PAGES_AT], VIRTIO_CSWAP_S_NOSPC);
}

static void control_without_room_for_the_answer(void **state)
{
	struct test_ring *t = *state;
	struct device_control control;

	put_discard(t, 1);
	t->desc[1].len = 7;
	assert_non_null(parse_control(t, &limits, &control));
	put_discard(t, 1);
	t->desc[0].flags = 0;
	assert_non_null(parse_control(t, &limits, &control));
}

/* Checks: device-discard-range */
static void bad_control_requests(void **state)
{
	struct test_ring *t = *state;
	struct virtio_cswap_ctrl *ctrl = (void *)(t->guest + HEADER_AT);
	struct virtio_cswap_range *range = (void *)(ctrl + 1);

	put_discard(t, 0);
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_discard(t, 65);
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_discard(t, 2);
	t->desc[0].len -= 1;
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_discard(t, 2);
	t->desc[0].len += 16;
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_discard(t, 1);
	t->desc[0].len = 15;
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_discard(t, 1);
	ctrl->reserved0 = 1;
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_discard(t, 1);
	ctrl->reserved1 = 1;
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_discard(t, 2);
	range[1].count = 0;
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_discard(t, 2);
	range[1].start = htole64(CAPACITY);
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_discard(t, 2);
	range[1].count = htole64(UINT64_MAX);
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_discard(t, 1);
	ctrl->op = htole16(VIRTIO_CSWAP_CTRL_REPORT + 1);
	expect_control(t, VIRTIO_CSWAP_S_UNSUPP);
}

static void discard_must_be_negotiated(void **state)
{
	struct test_ring *t = *state;
	struct device_limits without = limits;
	struct device_control control;

	without.discard = false;
	put_discard(t, 1);
	assert_null(parse_control(t, &without, &control));
	assert_int_equal(control.status, VIRTIO_CSWAP_S_UNSUPP);
}

/* --- the balloon --- */

/* A RELEASE or RECLAIM of ranges, given as blocks of guest memory. */
static void put_memory(struct test_ring *t, uint16_t op, uint16_t count,
		       const unsigned int (*blocks)[2])
{
	struct virtio_cswap_ctrl *ctrl = (void *)(t->guest + HEADER_AT);
	struct virtio_cswap_mem_range *range = (void *)(ctrl + 1);
	unsigned int i;

	put_discard(t, count);
	ctrl->op = htole16(op);
	for (i = 0; i < count; i++) {
		range[i].addr = htole64(GUEST_GPA + BLOCK * (uint64_t)blocks[i][0]);
		range[i].len = htole64(BLOCK * (uint64_t)blocks[i][1]);
	}
}

static void ranges_are_merged(void **state)
{
	static const unsigned int blocks[][2] = {
		{ 20, 2 }, { 4, 1 }, { 5, 3 }, { 21, 4 }, { 10, 1 }, { 20, 1 }, { 3, 1 },
		{ 5, 1 },
	};
	static const unsigned int merged[][2] = { { 3, 5 }, { 10, 1 }, { 20, 5 } };
	struct test_ring *t = *state;
	struct device_control control;
	unsigned int i;

	put_memory(t, VIRTIO_CSWAP_CTRL_RELEASE, 8, blocks);
	assert_null(parse_control(t, &limits, &control));
	assert_int_equal(control.status, VIRTIO_CSWAP_S_OK);
	assert_int_equal(control.op, DEVICE_RELEASE);
	assert_int_equal(control.count, 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(control.range[i].start,
				 GUEST_GPA + BLOCK * merged[i][0]);
		assert_int_equal(control.range[i].count, BLOCK * merged[i][1]);
	}
}

static void bad_memory_ranges(void **state)
{
	static const struct {
		uint64_t addr, len;
	} bad[] = {
		{ GUEST_GPA, 0 },
		{ GUEST_GPA + 4096, BLOCK },
		{ GUEST_GPA + 1, BLOCK },
		{ GUEST_GPA, BLOCK + 4096 },
		{ GUEST_GPA - BLOCK, BLOCK },
		{ GUEST_GPA - BLOCK, 2 * BLOCK },
		{ GUEST_GPA + GUEST_BYTES, BLOCK },
		{ GUEST_GPA + GUEST_BYTES - BLOCK, 2 * BLOCK },
		{ GUEST_GPA, GUEST_BYTES + BLOCK },
		{ GUEST_GPA, -(uint64_t)BLOCK },
		{ -(uint64_t)BLOCK, BLOCK },
		{ -(uint64_t)BLOCK, 2 * BLOCK },
		{ GUEST_GPA, -(uint64_t)GUEST_GPA },
		{ 0, 1ULL << 63 },
	};
	static const unsigned int good[][2] = { { 2, 1 }, { 4, 1 } };
	struct test_ring *t = *state;
	struct virtio_cswap_mem_range *range =
		(void *)(t->guest + HEADER_AT + sizeof(struct virtio_cswap_ctrl));
	unsigned int i, op;

	for (op = VIRTIO_CSWAP_CTRL_RELEASE; op <= VIRTIO_CSWAP_CTRL_RECLAIM; op++) {
		for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			put_memory(t, (uint16_t)op, 2, good);
			range[1].addr = htole64(bad[i].addr);
			range[1].len = htole64(bad[i].len);
			expect_control(t, VIRTIO_CSWAP_S_INVALID);
		}
		put_memory(t, (uint16_t)op, 2, good);
		expect_control(t, VIRTIO_CSWAP_S_OK);
	}
}

/* Memory that was removed may come again, and is the guest's: it can be taken back meanwhile, and not released. */
static void removed_memory_is_taken_back(void **state)
{
	const uint64_t half = GUEST_BYTES / 2;
	const unsigned int blocks[][2] = {
		{ 2, 1 }, { (unsigned int)(half / BLOCK) - 1, 2 }, { (unsigned int)(half / BLOCK) + 4, 1 },
	};
	struct test_ring *t = *state;
	struct virtio_cswap_mem_range *range =
		(void *)(t->guest + HEADER_AT + sizeof(struct virtio_cswap_ctrl));

	memory_clear(&t->memory);
	assert_null(memory_add_mapped(&t->memory, GUEST_GPA, GUEST_UVA, half, t->guest));
	assert_null(memory_add_mapped(&t->memory, GUEST_GPA + half, GUEST_UVA + half, half, t->guest + half));
	assert_null(memory_remove(&t->memory, GUEST_GPA + half, GUEST_UVA + half, half));
	put_memory(t, VIRTIO_CSWAP_CTRL_RECLAIM, 3, blocks);
	expect_control(t, VIRTIO_CSWAP_S_OK);
	put_memory(t, VIRTIO_CSWAP_CTRL_RELEASE, 3, blocks);
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	/* What was never there is nobody's. */
	put_memory(t, VIRTIO_CSWAP_CTRL_RECLAIM, 3, blocks);
	range[2].addr = htole64(GUEST_GPA + GUEST_BYTES - BLOCK);
	range[2].len = htole64(2 * BLOCK);
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_memory(t, VIRTIO_CSWAP_CTRL_RECLAIM, 3, blocks);
	range[2].addr = htole64(GUEST_GPA + half);
	range[2].len = htole64(-(uint64_t)BLOCK);
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
}

/* What the device uses can't be released; to take it back does no harm. */
static void pinned_memory_stays(void **state)
{
	static const unsigned int blocks[][2] = { { 2, 1 }, { 8, 4 } };
	struct test_ring *t = *state;

	blockmap_init(&pinned, 4096);
	assert_true(blockmap_follow(&pinned, &t->memory));
	blockmap_mark(&pinned, GUEST_GPA + BLOCK * 12 - 1, 1);
	put_memory(t, VIRTIO_CSWAP_CTRL_RELEASE, 2, blocks);
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_memory(t, VIRTIO_CSWAP_CTRL_RECLAIM, 2, blocks);
	expect_control(t, VIRTIO_CSWAP_S_OK);
	put_memory(t, VIRTIO_CSWAP_CTRL_RELEASE, 1, blocks);
	expect_control(t, VIRTIO_CSWAP_S_OK);
	blockmap_free(&pinned);
}

static void put_event(struct test_ring *t)
{
	struct virtio_cswap_ctrl *ctrl = (void *)(t->guest + HEADER_AT);

	put_discard(t, 0);
	ctrl->op = htole16(VIRTIO_CSWAP_CTRL_EVENT);
	t->desc[1].len = sizeof(struct virtio_cswap_event);
}

/* Checks: device-event-room, device-event-failed */
static void events(void **state)
{
	struct test_ring *t = *state;
	struct virtio_cswap_ctrl *ctrl = (void *)(t->guest + HEADER_AT);
	const struct virtio_cswap_event event = device_make_event(VIRTIO_CSWAP_S_OK, 0x123456789);
	struct device_control control;

	put_event(t);
	assert_null(parse_control(t, &limits, &control));
	assert_int_equal(control.status, VIRTIO_CSWAP_S_OK);
	assert_int_equal(control.op, DEVICE_EVENT);
	memset(t->guest + PAGES_AT, 0xff, 64);
	assert_int_equal(device_put_event(&t->chain, &event), 32);
	assert_memory_equal(t->guest + PAGES_AT, "\0\0\0\0\0\0\0\0"
			    "\x89\x67\x45\x23\x01\0\0\0"
			    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff", 33);
	/* A failed one has no target. */
	assert_int_equal(device_put_control(&t->chain, &control,
					    VIRTIO_CSWAP_S_INVALID), 32);
	assert_memory_equal(t->guest + PAGES_AT, "\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	put_event(t);
	t->desc[1].len = 31;
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_event(t);
	t->desc[0].len = 32;
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_event(t);
	ctrl->count = htole16(1);
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_event(t);
	ctrl->reserved0 = 1;
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
}

static struct virtio_cswap_report *put_report(struct test_ring *t)
{
	struct virtio_cswap_ctrl *ctrl = (void *)(t->guest + HEADER_AT);
	struct virtio_cswap_report *report = (void *)(ctrl + 1);
	uint64_t *field = (uint64_t *)report;
	unsigned int i;

	put_discard(t, 0);
	ctrl->op = htole16(VIRTIO_CSWAP_CTRL_REPORT);
	t->desc[0].len = sizeof(*ctrl) + sizeof(*report);
	memset(report, 0, sizeof(*report));
	for (i = 0; i < 14; i++)
		field[i] = htole64(0x100000000 + i);
	report->stopped = htole32(99);
	report->epoch = htole32(7);
	return report;
}

static void reports(void **state)
{
	struct test_ring *t = *state;
	struct virtio_cswap_ctrl *ctrl = (void *)(t->guest + HEADER_AT);
	struct device_control control;
	unsigned int i;

	put_report(t);
	assert_null(parse_control(t, &limits, &control));
	assert_int_equal(control.status, VIRTIO_CSWAP_S_OK);
	for (i = 0; i < 14; i++)
		assert_int_equal(((uint64_t *)&control.report)[i], 0x100000000 + i);
	/* No figure is refused: it's a claim. */
	assert_int_equal(control.report.stopped, 99);
	assert_int_equal(control.report.epoch, 7);
	/* Statistics of a newer driver change nothing of those that are known. */
	memset(put_report(t)->reserved, 0xff, 17 * 8);
	memset(&control.report, 0, sizeof(control.report));
	assert_null(parse_control(t, &limits, &control));
	assert_int_equal(control.status, VIRTIO_CSWAP_S_OK);
	for (i = 0; i < 14; i++)
		assert_int_equal(((uint64_t *)&control.report)[i], 0x100000000 + i);
	put_report(t);
	t->desc[0].len--;
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_report(t);
	t->desc[0].len += 8;
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
	put_report(t);
	ctrl->count = htole16(1);
	expect_control(t, VIRTIO_CSWAP_S_INVALID);
}

static void the_balloon_must_be_negotiated(void **state)
{
	static const unsigned int blocks[][2] = { { 2, 1 } };
	struct test_ring *t = *state;
	struct device_limits without = limits;
	struct device_control control;

	without.balloon = false;
	without.report = false;
	put_memory(t, VIRTIO_CSWAP_CTRL_RELEASE, 1, blocks);
	assert_null(parse_control(t, &without, &control));
	assert_int_equal(control.status, VIRTIO_CSWAP_S_UNSUPP);
	put_memory(t, VIRTIO_CSWAP_CTRL_RECLAIM, 1, blocks);
	assert_null(parse_control(t, &without, &control));
	assert_int_equal(control.status, VIRTIO_CSWAP_S_UNSUPP);
	put_event(t);
	assert_null(parse_control(t, &without, &control));
	assert_int_equal(control.status, VIRTIO_CSWAP_S_UNSUPP);
	put_report(t);
	assert_null(parse_control(t, &without, &control));
	assert_int_equal(control.status, VIRTIO_CSWAP_S_UNSUPP);
}

/* --- responses --- */

static void pop_response(struct test_ring *t)
{
	post(t, 0);
	assert_int_equal(pop(t), VRING_OK);
	vring_push(&t->vring, 0, 0);
}

/* Checks: device-response-kinds */
/* Checks: device-response-useless */
static void response_buffers_are_sorted(void **state)
{
	static const struct {
		uint32_t bytes;
		enum device_buffer sort;
		unsigned int acks;
	} cases[] = {
		{ 15, DEVICE_BUFFER_USELESS, 0 },
		{ 31, DEVICE_BUFFER_USELESS, 0 },
		{ 32, DEVICE_BUFFER_ACKS, 1 },
		{ 256, DEVICE_BUFFER_ACKS, 15 },
		{ 48 + 4095, DEVICE_BUFFER_ACKS, DEVICE_MAX_ACKS },
		{ 48 + 4096, DEVICE_BUFFER_DATA, DEVICE_MAX_ACKS },
	};
	struct test_ring *t = *state;
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_desc(t, 0, DATA_OFFSET, cases[i].bytes, WRITE, 0);
		pop_response(t);
		assert_int_equal(device_sort_response(&t->chain),
				 cases[i].sort);
		assert_int_equal(device_ack_room(&t->chain), cases[i].acks);
	}
	put_desc(t, 0, DATA_OFFSET, 256, 0, 0);
	pop_response(t);
	assert_int_equal(device_sort_response(&t->chain),
			 DEVICE_BUFFER_USELESS);
	/* A response queue has nothing to read, not even in front. */
	put_desc(t, 0, DATA_OFFSET, 8, NEXT, 1);
	put_desc(t, 1, PAGES_AT, 256, WRITE, 0);
	pop_response(t);
	assert_int_equal(device_sort_response(&t->chain),
			 DEVICE_BUFFER_USELESS);
}

/* One that would have the device write a million tags for a page. */
/* Checks: driver-response-data-size */
static void data_buffers_have_an_end(void **state)
{
	const uint64_t most = VIRTIO_CSWAP_DATA_BUFFER_SIZE(DEVICE_MAX_PAGES);
	struct test_ring *t = *state;
	struct vring_chain *chain = &t->chain;

	/* Its bytes are what it's judged by; there needn't be any. */
	memset(chain, 0, sizeof(*chain));
	chain->writable = 1;
	chain->writable_bytes = most;
	assert_int_equal(device_sort_response(chain), DEVICE_BUFFER_DATA);
	chain->writable_bytes = most + 4096 + 15;
	assert_int_equal(device_sort_response(chain), DEVICE_BUFFER_DATA);
	chain->writable_bytes = most + 4096 + 16;
	assert_int_equal(device_sort_response(chain), DEVICE_BUFFER_USELESS);
	chain->writable_bytes = UINT64_MAX;
	assert_int_equal(device_sort_response(chain), DEVICE_BUFFER_USELESS);
}

static struct virtio_cswap_ack make_ack(uint64_t cookie, uint32_t status)
{
	const struct device_request request = { .cookie = cookie, .status = status };

	return device_make_ack(&request);
}

static void acks_are_written(void **state)
{
	struct test_ring *t = *state;
	const struct virtio_cswap_ack acks[2] = {
		make_ack(7, VIRTIO_CSWAP_S_OK),
		make_ack(8, VIRTIO_CSWAP_S_IOERR),
	};
	const struct virtio_cswap_response *response =
		(void *)(t->guest + HEADER_AT);

	put_desc(t, 0, HEADER_AT, 20, WRITE | NEXT, 1);
	put_desc(t, 1, HEADER_AT + 20, 236, WRITE, 0);
	pop_response(t);
	assert_int_equal(device_put_acks(&t->chain, acks, 2), 16 + 2 * 16);
	assert_int_equal(le16toh(response->type), VIRTIO_CSWAP_RESP_ACKS);
	assert_int_equal(le16toh(response->count), 2);
	assert_memory_equal(response + 1, acks, sizeof(acks));
}

/* Room for two pages: the second tag's place is kept even for one page. */
/* Checks: device-response-unused-tags */
static void data_is_placed_by_the_room(void **state)
{
	struct test_ring *t = *state;
	const struct virtio_cswap_ack ack = make_ack(9, VIRTIO_CSWAP_S_OK);
	const struct virtio_cswap_tag tag = { "tagtagtagtagtag" };
	uint8_t *at = t->guest + HEADER_AT;
	uint8_t *page[2];

	memset(at, 'x', 64);
	put_desc(t, 0, HEADER_AT, 64, WRITE | NEXT, 1);
	put_desc(t, 1, PAGES_AT, 8192, WRITE, 0);
	pop_response(t);
	assert_true(device_place_pages(&t->chain, 2, page));
	assert_ptr_equal(page[0], t->guest + PAGES_AT);
	assert_ptr_equal(page[1], t->guest + PAGES_AT + 4096);
	assert_false(device_place_pages(&t->chain, 3, page));
	assert_int_equal(device_put_data(&t->chain, &ack, &tag, 1), 64 + 4096);
	assert_memory_equal(at + 32, &tag, 16);
	assert_int_equal(at[48], 0);
	assert_int_equal(at[63], 0);
	assert_int_equal(device_put_data(&t->chain, &ack, &tag, 0), 32);
	assert_int_equal(le16toh(*(uint16_t *)(at + 2)), 0);
}

static void misaligned_data_buffers_have_no_place(void **state)
{
	struct test_ring *t = *state;
	uint8_t *page[1];

	put_desc(t, 0, PAGES_AT, 48 + 4096, WRITE, 0);
	pop_response(t);
	assert_int_equal(device_sort_response(&t->chain), DEVICE_BUFFER_DATA);
	assert_false(device_place_pages(&t->chain, 1, page));
}

#define CASE(function) \
	cmocka_unit_test_setup_teardown(function, test_ring_setup, \
					test_ring_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_is_what_was_promised),
		cmocka_unit_test(config_without_a_balloon),
		cmocka_unit_test(config_without_a_balloon),
		CASE(store_is_parsed),
		CASE(store_is_gathered),
		CASE(load_is_parsed),
		CASE(chains_that_cannot_be_answered),
		CASE(unknown_op_is_unsupported),
		CASE(reserved_bits_are_invalid),
		CASE(counts_out_of_range_are_invalid),
		CASE(slots_out_of_range_are_invalid),
		CASE(lengths_that_do_not_fit_are_invalid),
		CASE(pages_in_pieces_are_invalid),
		CASE(discard_is_parsed),
		CASE(control_without_room_for_the_answer),
		CASE(bad_control_requests),
		CASE(discard_must_be_negotiated),
		CASE(ranges_are_merged),
		CASE(bad_memory_ranges),
		CASE(removed_memory_is_taken_back),
		CASE(pinned_memory_stays),
		CASE(events),
		CASE(reports),
		CASE(the_balloon_must_be_negotiated),
		CASE(response_buffers_are_sorted),
		CASE(data_buffers_have_an_end),
		CASE(acks_are_written),
		CASE(data_is_placed_by_the_room),
		CASE(misaligned_data_buffers_have_no_place),
	};

	return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
