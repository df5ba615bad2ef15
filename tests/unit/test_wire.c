// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_wire.c - what the driver puts on the wire, and what it refuses from there.
 *
 * Every check of cswap_wire.c has a case that fails it and a neighbour that
 * passes. Buffers lie right before an inaccessible page, so that reading past
 * what the device wrote, or writing past a request, is a crash.
 * That shared memory is fetched once is test_wire_fetch.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <asm/byteorder.h>
#include <linux/errno.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "cswap_wire.h"

#define PAGE	4096u

static u8 *fence;	/* the inaccessible page; the bytes before it are usable */

#ifdef __KERNEL__
/* Behind what vmalloc() gives lies a page that isn't mapped. */
static int set_up(struct kunit_suite *suite)
{
	u8 *pages = vmalloc(2 * PAGE);

	if (!pages)
		return -ENOMEM;
	fence = pages + 2 * PAGE;
	return 0;
}

static void tear_down(struct kunit_suite *suite)
{
	vfree(fence - 2 * PAGE);
}
#else
static int set_up(void **state)
{
	u8 *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	if (pages == MAP_FAILED)
		return -1;
	fence = pages + 2 * PAGE;
	return mprotect(fence, PAGE, PROT_NONE);
}

#define tear_down	NULL
#endif

/* --- requests --- */

static void expect_bytes(const u8 *expected, u32 bytes)
{
	assert_memory_equal(fence - bytes, expected, bytes);
	assert_int_equal(fence[-(int)bytes - 1], 0xa5);
}

static u8 *blank(u32 bytes)
{
	memset(fence - PAGE, 0xa5, PAGE);
	return fence - bytes;
}

/* Checks: driver-request-reserved */
static void builds_store(void **state)
{
	static const u8 tag[] = {
		0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7,
		0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0x5a,
	};
	static const u8 expected[CSWAP_STORE_HEADER_BYTES(2)] = {
		0x01, 0x00, 0x02, 0x00, 0, 0, 0, 0,
		0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
		0, 0, 0, 0, 0, 0, 0, 0,
		0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7,
		0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
		0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
		0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0x5a,
	};
	u8 *to = blank(64);

	(void)state;
	cswap_wire_put_store(to, 0x0102030405060708ULL, 0x1112131415161718ULL, 2);
	cswap_wire_put_tag(to, 1, tag + 1);
	cswap_wire_put_tag(to, 0, tag);
	expect_bytes(expected, 64);
}

/* Checks: driver-request-reserved */
static void builds_load(void **state)
{
	static const u8 expected[CSWAP_LOAD_HEADER_BYTES] = {
		0x02, 0x00, 0x10, 0x00, 0, 0, 0, 0,
		0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x81,
		0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0,
	};

	(void)state;
	cswap_wire_put_load(blank(32), 0x8102030405060708ULL, 0xfffffffffULL, 16);
	expect_bytes(expected, 32);
}

/* Checks: driver-ctrl-reserved */
static void builds_discard(void **state)
{
	static const u8 header[] = {
		0x01, 0x01, 0x40, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	};
	static const u8 range[] = {
		0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
		0x00, 0x02, 0, 0, 0, 0, 0, 0x80,
	};

	(void)state;
	assert_int_equal(CSWAP_CTRL_BYTES(64), 16 + 64 * 16);
	cswap_wire_put_discard((void *)blank(16), 64);
	expect_bytes(header, 16);
	cswap_wire_put_range((void *)blank(16), 0x0102030405060708ULL, 0x8000000000000200ULL);
	expect_bytes(range, 16);
}

/* Checks: driver-ctrl-count, driver-ctrl-reserved */
static void builds_memory_requests(void **state)
{
	static const u8 release[] = {
		0x02, 0x01, 0x40, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	};
	static const u8 reclaim[] = {
		0x03, 0x01, 0x01, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	};
	static const u8 event[] = {
		0x04, 0x01, 0x00, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	};
	static const u8 range[] = {
		0x00, 0x00, 0x20, 0x05, 0x04, 0x03, 0x02, 0x01,
		0x00, 0x00, 0x00, 0x40, 0x01, 0, 0, 0x80,
	};

	(void)state;
	cswap_wire_put_release((void *)blank(16), 64);
	expect_bytes(release, 16);
	cswap_wire_put_reclaim((void *)blank(16), 1);
	expect_bytes(reclaim, 16);
	cswap_wire_put_event((void *)blank(16));
	expect_bytes(event, 16);
	cswap_wire_put_mem_range((void *)blank(16), 0x0102030405200000ULL, 0x8000000140000000ULL);
	expect_bytes(range, 16);
}

/* Each field has a value of its own, so that one in another's place would show. */
/* Checks: driver-ctrl-count, driver-report-reserved */
static void builds_report(void **state)
{
	const struct virtio_cswap_report report = {
		.size = cpu_to_le64(0x1101), .released = cpu_to_le64(0x1102),
		.target = cpu_to_le64(0x1103), .floor = cpu_to_le64(0x1104),
		.lost = cpu_to_le64(0x1105), .free = cpu_to_le64(0x1106),
		.available = cpu_to_le64(0x1107), .file = cpu_to_le64(0x1108),
		.swap_in = cpu_to_le64(0x1109), .swap_out = cpu_to_le64(0x110a),
		.refaults = cpu_to_le64(0x110b), .alloc_stalls = cpu_to_le64(0x110c),
		.swap_in_ns = cpu_to_le64(0x8877665544332211ULL),
		.tampered = cpu_to_le64(0x110e), .stopped = cpu_to_le32(0x04030201),
		.epoch = cpu_to_le32(0x08070605),
	};
	u8 expected[CSWAP_REPORT_BYTES] = { 0x05, 0x01 };
	u32 i;

	(void)state;
	assert_int_equal(CSWAP_REPORT_BYTES, 16 + 256);
	for (i = 0; i < 14; i++) {
		expected[16 + 8 * i] = i + 1;
		expected[17 + 8 * i] = 0x11;
	}
	for (i = 0; i < 8; i++) {
		expected[16 + 8 * 12 + i] = 0x11 * (i + 1);
		expected[16 + 8 * 14 + i] = i + 1;
	}
	cswap_wire_put_report((void *)blank(sizeof(expected)), &report);
	expect_bytes(expected, sizeof(expected));
}

/* --- the configuration --- */

static u64 features;	/* that were negotiated */

static struct virtio_cswap_config right_config(void)
{
	return (struct virtio_cswap_config) {
		.capacity = cpu_to_le64(0x123456789ULL),
		.slot_size = cpu_to_le32(4096),
		.num_queue_pairs = cpu_to_le16(3),
		.max_request_pages = cpu_to_le16(2),
		.medium = VIRTIO_CSWAP_MEDIUM_FLASH,
	};
}

static void accepts(const struct virtio_cswap_config *config)
{
	struct cswap_geometry geometry;
	const char *wrong = cswap_wire_check_config(config, features, &geometry);

	if (wrong)
		fail_msg("refused: %s", wrong);
	assert_int_equal(geometry.capacity, le64_to_cpu(config->capacity));
	assert_int_equal(geometry.queue_pairs, le16_to_cpu(config->num_queue_pairs));
	assert_int_equal(geometry.max_request_pages, le16_to_cpu(config->max_request_pages));
}

static void refuses(const struct virtio_cswap_config *config, const char *word)
{
	struct cswap_geometry geometry, before;
	const char *wrong;

	memset(&geometry, 0x5a, sizeof(geometry));
	before = geometry;
	wrong = cswap_wire_check_config(config, features, &geometry);
	assert_non_null(wrong);
	assert_non_null(strstr(wrong, word));
	assert_memory_equal(&geometry, &before, sizeof(geometry));
}

static void config_is_read_in_place(void **state)
{
	/* by offset, so that a field that moved would show */
	static const u8 bytes[64] = {
		0x89, 0x67, 0x45, 0x23, 0x01, 0, 0, 0, 0x00, 0x10, 0, 0, 3, 0, 2, 0, 2,
	};
	struct virtio_cswap_config config = right_config();

	(void)state;
	assert_memory_equal(&config, bytes, sizeof(bytes));
	accepts(&config);
}

/* Checks: driver-config-range */
static void config_slot_size(void **state)
{
	static const u32 wrong[] = { 0, 1, 512, 2048, 4095, 4097, 8192, 65536, 0x00100000, ~0u };
	struct virtio_cswap_config config = right_config();
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		config.slot_size = cpu_to_le32(wrong[i]);
		refuses(&config, "slot size");
	}
	for (i = 0; i < 32; i++) {
		config.slot_size = cpu_to_le32(4096 ^ 1u << i);
		refuses(&config, "slot size");
	}
}

/* Checks: driver-config-range */
static void config_capacity(void **state)
{
	static const u64 right[] = { 1, 2, 511, 1ULL << 32, (1ULL << 36) - 1, 1ULL << 36 };
	static const u64 wrong[] = { (1ULL << 36) + 1, 1ULL << 37, 1ULL << 63, ~0ULL };
	struct virtio_cswap_config config = right_config();
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(right); i++) {
		config.capacity = cpu_to_le64(right[i]);
		accepts(&config);
	}
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		config.capacity = cpu_to_le64(wrong[i]);
		refuses(&config, "capacity is absurd");
	}
	config.capacity = 0;
	refuses(&config, "capacity is zero");
}

/* Checks: driver-config-range */
static void config_counts(void **state)
{
	struct virtio_cswap_config config = right_config();
	u32 i;

	(void)state;
	for (i = 0; i <= 0xffff; i++) {
		config.num_queue_pairs = cpu_to_le16(i);
		if (i >= 1 && i <= 64)
			accepts(&config);
		else
			refuses(&config, "queue pair");
	}
	config = right_config();
	for (i = 0; i <= 0xffff; i++) {
		config.max_request_pages = cpu_to_le16(i);
		if (i >= 1 && i <= 16)
			accepts(&config);
		else
			refuses(&config, "pages");
	}
}

/* Checks: driver-config-medium */
static void config_medium(void **state)
{
	struct virtio_cswap_config config = right_config();
	struct cswap_geometry geometry;
	u32 i;

	(void)state;
	for (i = 0; i <= 0xff; i++) {
		config.medium = i;
		assert_null(cswap_wire_check_config(&config, features, &geometry));
		assert_int_equal(geometry.medium, i <= VIRTIO_CSWAP_MEDIUM_DISK ?
				 i : VIRTIO_CSWAP_MEDIUM_UNKNOWN);
	}
}

/* Checks: driver-config-balloon */
static void config_balloon(void **state)
{
	static const u32 right[] = { 4096, 8192, 2 << 20, 4 << 20, 1 << 30 };
	static const u32 wrong[] = { 0, 1, 2048, 1u << 31, ~0u };
	struct virtio_cswap_config config = right_config();
	struct cswap_geometry geometry;
	u32 i;

	(void)state;
	/* without the feature nobody looks */
	assert_null(cswap_wire_check_config(&config, features, &geometry));
	assert_int_equal(geometry.release_method, VIRTIO_CSWAP_RELEASE_NONE);
	assert_int_equal(geometry.block_size, 0);

	features = CSWAP_FEATURE(BALLOON);
	config.block_size = cpu_to_le32(4096);
	for (i = 0; i <= 0xff; i++) {
		config.release_method = i;
		if (i == VIRTIO_CSWAP_RELEASE_CONVERT || i == VIRTIO_CSWAP_RELEASE_DISCARD)
			accepts(&config);
		else
			refuses(&config, "release method");
	}
	config.release_method = VIRTIO_CSWAP_RELEASE_DISCARD;
	for (i = 0; i < ARRAY_SIZE(right); i++) {
		config.block_size = cpu_to_le32(right[i]);
		assert_null(cswap_wire_check_config(&config, features, &geometry));
		assert_int_equal(geometry.block_size, right[i]);
		assert_int_equal(geometry.release_method, VIRTIO_CSWAP_RELEASE_DISCARD);
		assert_int_equal(geometry.report_period_ms, 0);
		config.block_size = cpu_to_le32(right[i] + 4096);
		if (right[i] != 4096)
			refuses(&config, "block size");
	}
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		config.block_size = cpu_to_le32(wrong[i]);
		refuses(&config, "block size out of range");
	}
	config.block_size = cpu_to_le32(4096 + 2048);
	refuses(&config, "power of two");
	features = 0;
}

/* Checks: driver-config-report */
static void config_report(void **state)
{
	struct virtio_cswap_config config = right_config();
	struct cswap_geometry geometry;

	(void)state;
	config.report_period_ms = cpu_to_le32(0x01020304);
	assert_null(cswap_wire_check_config(&config, features, &geometry));
	assert_int_equal(geometry.report_period_ms, 0);
	features = CSWAP_FEATURE(REPORT);
	assert_null(cswap_wire_check_config(&config, features, &geometry));
	assert_int_equal(geometry.report_period_ms, 0x01020304);
	assert_int_equal(geometry.block_size, 0);
	config.report_period_ms = 0;
	refuses(&config, "report period");
	features = 0;
}

static bool in_field(u32 byte, size_t offset, size_t size)
{
	return byte >= offset && byte < offset + size;
}

/*
 * Behind the medium: reserved bits are refused, fields of features that were
 * not negotiated are none of the driver's business.
 */
/* Checks: driver-config-reserved */
static void config_reserved(void **state)
{
	u32 first = offsetof(struct virtio_cswap_config, release_method), bit;

	(void)state;
	for (bit = 8 * first; bit < 8 * sizeof(struct virtio_cswap_config); bit++) {
		struct virtio_cswap_config config = right_config();
		struct cswap_geometry geometry;

		((u8 *)&config)[bit / 8] ^= 1 << bit % 8;
		if (in_field(bit / 8, offsetof(struct virtio_cswap_config, reserved0),
			     sizeof(config.reserved0)) ||
		    in_field(bit / 8, offsetof(struct virtio_cswap_config, reserved1),
			     sizeof(config.reserved1)))
			refuses(&config, "reserved");
		else
			assert_null(cswap_wire_check_config(&config, features, &geometry));
	}
}

/* --- answers --- */

static void put16(u8 *at, u16 value)
{
	at[0] = value;
	at[1] = value >> 8;
}

/* Headers as a device writes them, at @at, in bytes. */
static void put_response(u8 *at, u16 type, u16 count)
{
	memset(at, 0, 16);
	put16(at, type);
	put16(at + 2, count);
}

static void put_ack(u8 *at, u64 cookie, u32 status)
{
	u32 i;

	memset(at, 0, 16);
	for (i = 0; i < 8; i++)
		at[i] = cookie >> 8 * i;
	for (i = 0; i < 4; i++)
		at[8 + i] = status >> 8 * i;
}

#define COOKIE(i)	(0x1122334455660000ULL + (i))

/* @count acks in the last @bytes before the fence; 15 at most are written out. */
static u8 *put_acks(u32 bytes, u16 count)
{
	u8 *at = fence - bytes;
	u8 buffer[CSWAP_ACK_BUFFER_BYTES];
	u32 i;

	put_response(buffer, VIRTIO_CSWAP_RESP_ACKS, count);
	for (i = 0; i < CSWAP_ACKS_PER_BUFFER; i++)
		put_ack(buffer + 16 + 16 * i, COOKIE(i), i % 5);
	memcpy(at, buffer, bytes < sizeof(buffer) ? bytes : sizeof(buffer));
	return at;
}

static void expect_acks(const struct cswap_answer *answer, u32 count)
{
	u32 i;

	assert_int_equal(answer->outcomes, count);
	assert_int_equal(answer->pages, 0);
	for (i = 0; i < count; i++) {
		assert_int_equal(answer->outcome[i].cookie, COOKIE(i));
		assert_int_equal(answer->outcome[i].status, i % 5);
	}
}

/* Only what was used may be read, and it must be exactly the acks counted. */
/* Checks: driver-response-check, driver-response-length */
static void acks_of_all_lengths(void **state)
{
	u32 used, count;

	(void)state;
	for (used = 0; used <= CSWAP_ACK_BUFFER_BYTES + 64; used++) {
		u32 there = used < CSWAP_ACK_BUFFER_BYTES ? used : CSWAP_ACK_BUFFER_BYTES;

		for (count = 0; count <= 32; count++) {
			struct cswap_answer answer;
			const u8 *from = put_acks(there, count);
			bool right = count >= 1 && count <= 15 && used == 16 + 16 * count;
			int error = cswap_wire_get_answer(&answer, from, used, 0);

			assert_int_equal(error, right ? 0 : -EPROTO);
			if (right)
				expect_acks(&answer, count);
		}
	}
}

/* Checks: driver-response-length */
static void acks_of_absurd_lengths(void **state)
{
	static const u32 used[] = { 4096, 4144, 65536, 0x7fffffff, 0x80000000, 0x80000020, ~0u };
	struct cswap_answer answer;
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(used); i++) {
		assert_int_equal(cswap_wire_get_answer(&answer, put_acks(256, 15), used[i], 0),
				 -EPROTO);
		assert_int_equal(cswap_wire_get_answer(&answer, put_acks(256, 15), used[i], 1),
				 -EPROTO);
	}
}

/* Checks: driver-response-check */
static void acks_of_all_counts(void **state)
{
	struct cswap_answer answer;
	u32 count;

	(void)state;
	for (count = 0; count <= 0xffff; count++)
		assert_int_equal(cswap_wire_get_answer(&answer, put_acks(256, count), 256, 0),
				 count == 15 ? 0 : -EPROTO);
}

/* Checks: driver-response-status */
static void statuses(void **state)
{
	struct cswap_answer answer;
	u32 i;

	(void)state;
	for (i = 0; i < 0x20000 + 32; i++) {
		u32 status = i < 0x20000 ? i : 1u << (i - 0x20000);
		u8 *from = put_acks(32, 1);

		put_ack(from + 16, COOKIE(0), status);
		assert_int_equal(cswap_wire_get_answer(&answer, from, 32, 0), 0);
		assert_int_equal(answer.outcome[0].status,
				 status <= 4 ? status : VIRTIO_CSWAP_S_IOERR);
	}
}

/* Every bit of type and reserved fields, of the header and of each ack. */
/* Checks: driver-response-check */
static void acks_reserved(void **state)
{
	struct cswap_answer answer;
	u32 bit;

	(void)state;
	for (bit = 0; bit < 8 * 256; bit++) {
		u8 *from = put_acks(256, 15);
		u32 byte = bit / 8;
		bool header = byte < 16, free = header ? false : byte % 16 < 12;

		from[byte] ^= 1 << bit % 8;
		assert_int_equal(cswap_wire_get_answer(&answer, from, 256, 0),
				 free ? 0 : -EPROTO);
	}
}

/* Checks: driver-response-check */
static void types(void **state)
{
	struct cswap_answer answer;
	u32 type;

	(void)state;
	for (type = 0; type <= 0xffff; type++) {
		u8 *from = put_acks(48, 1);

		put16(from, type);
		assert_int_equal(cswap_wire_get_answer(&answer, from, 32, 0),
				 type == VIRTIO_CSWAP_RESP_ACKS ? 0 : -EPROTO);
		assert_int_equal(cswap_wire_get_answer(&answer, from, 48 + 4096, 1),
				 type == VIRTIO_CSWAP_RESP_DATA ? 0 : -EPROTO);
	}
}

static u8 *put_data(u16 count, u32 status)
{
	u8 *at = fence - VIRTIO_CSWAP_DATA_OFFSET(1);

	put_response(at, VIRTIO_CSWAP_RESP_DATA, count);
	put_ack(at + 16, COOKIE(7), status);
	memset(at + 32, 0xc7, 16);
	return at;
}

/* OK means one whole page; anything else means none. */
/* Checks: driver-response-check, driver-response-length */
static void data_of_all_lengths(void **state)
{
	static const u16 counts[] = { 0, 1, 2, 3, 16, 255, 256, 257, 0x8001, 0xffff };
	u32 used, status, i;

	(void)state;
	for (used = 0; used <= 48 + 4096 + 64; used++) {
		for (status = 0; status <= 5; status++) {
			for (i = 0; i < ARRAY_SIZE(counts); i++) {
				struct cswap_answer answer;
				bool ok = status == VIRTIO_CSWAP_S_OK;
				bool right = ok ? used == 48 + 4096 && counts[i] == 1 :
					used >= 32 && used <= 48 + 4096 && !counts[i];
				const void *at = put_data(counts[i], status);
				int error = cswap_wire_get_answer(&answer, at,
								  used, 1);

				assert_int_equal(error, right ? 0 : -EPROTO);
				if (!right)
					continue;
				assert_int_equal(answer.outcomes, 1);
				assert_int_equal(answer.pages, ok);
				assert_int_equal(answer.outcome[0].cookie, COOKIE(7));
				assert_int_equal(answer.outcome[0].status, status < 5 ? status : 1);
			}
		}
	}
}

/* A buffer for many pages has its pages in one place, however many it got. */
/* Checks: driver-response-check, driver-response-length */
static void data_of_many_pages(void **state)
{
	u32 room, count, pages, k;

	(void)state;
	for (room = 1; room <= 16; room++) {
		u8 *at = fence - VIRTIO_CSWAP_DATA_OFFSET(room);

		for (count = 0; count <= 18; count++) {
			for (pages = 0; pages <= 17; pages++) {
				struct cswap_answer answer;
				bool right = count == pages && count >= 1 && count <= room;
				int error;

				put_response(at, VIRTIO_CSWAP_RESP_DATA, count);
				put_ack(at + 16, COOKIE(7), VIRTIO_CSWAP_S_OK);
				for (k = 0; k < room; k++)
					memset(at + 32 + 16 * k, 0xc0 + k, 16);
				error = cswap_wire_get_answer(&answer, at,
							      VIRTIO_CSWAP_DATA_OFFSET(room) +
							      pages * 4096, room);
				assert_int_equal(error, right ? 0 : -EPROTO);
				if (!right)
					continue;
				assert_int_equal(answer.pages, count);
				for (k = 0; k < count; k++)
					assert_memory_equal(answer.tag[k], at + 32 + 16 * k, 16);
			}
		}
	}
}

/* Checks: driver-response-check */
static void data_counts(void **state)
{
	struct cswap_answer answer;
	u32 count;

	(void)state;
	for (count = 0; count <= 0xffff; count++) {
		assert_int_equal(cswap_wire_get_answer(&answer, put_data(count, 0),
						       48 + 4096, 1),
				 count == 1 ? 0 : -EPROTO);
		assert_int_equal(cswap_wire_get_answer(&answer, put_data(count, 1), 32, 1),
				 count == 0 ? 0 : -EPROTO);
	}
}

/* Checks: driver-response-check */
static void data_reserved(void **state)
{
	struct cswap_answer answer;
	u32 bit;

	(void)state;
	for (bit = 0; bit < 8 * VIRTIO_CSWAP_DATA_OFFSET(1); bit++) {
		u32 byte = bit / 8;
		bool cookie = byte >= 16 && byte < 24, tag = byte >= 32;
		u8 *from = put_data(1, VIRTIO_CSWAP_S_OK);

		/* a status bit makes it an error, and then the count of 1 is wrong */
		from[byte] ^= 1 << bit % 8;
		assert_int_equal(cswap_wire_get_answer(&answer, from, 48 + 4096, 1),
				 cookie || tag ? 0 : -EPROTO);
		if (tag)
			assert_memory_equal(answer.tag[0], from + 32, 16);
	}
}

/* Checks: driver-ctrl-check, driver-ctrl-status */
static void control_status(void **state)
{
	u32 used, i;

	(void)state;
	for (used = 0; used <= 64; used++) {
		memset(fence - 8, 0, 8);
		assert_int_equal(cswap_wire_get_ctrl_status((void *)(fence - 8), used),
				 used == 8 ? VIRTIO_CSWAP_S_OK : VIRTIO_CSWAP_S_IOERR);
	}
	assert_int_equal(cswap_wire_get_ctrl_status((void *)(fence - 8), ~0u),
			 VIRTIO_CSWAP_S_IOERR);
	for (i = 0; i <= 0xffff; i++) {
		put_ack(fence - 16, 0, 0);
		put16(fence - 8, i);
		assert_int_equal(cswap_wire_get_ctrl_status((void *)(fence - 8), 8),
				 i <= 4 ? i : VIRTIO_CSWAP_S_IOERR);
	}
	for (i = 0; i < 64; i++) {
		memset(fence - 8, 0, 8);
		fence[-8 + (int)i / 8] ^= 1 << i % 8;
		assert_int_equal(cswap_wire_get_ctrl_status((void *)(fence - 8), 8),
				 i < 3 ? 1 << i : VIRTIO_CSWAP_S_IOERR);
	}
}

static void put_target(u32 status, u64 target)
{
	memset(fence - 32, 0, 32);
	put16(fence - 32, status);
	memcpy(fence - 24, &(__le64) { cpu_to_le64(target) }, 8);
}

static u32 get_event(u32 used, struct cswap_news *news)
{
	return cswap_wire_get_event((void *)(fence - 32), used, CSWAP_FEATURE(AGAIN), news);
}

/* Checks: driver-ctrl-check, driver-ctrl-status, driver-event-check */
static void events(void **state)
{
	struct cswap_news news = { .target = 7 };
	u32 used, i;

	(void)state;
	put_target(VIRTIO_CSWAP_S_OK, 0x8102030405060708ULL);
	for (used = 0; used <= 64; used++)
		if (used != 32)
			assert_int_equal(get_event(used, &news), VIRTIO_CSWAP_S_IOERR);
	assert_int_equal(get_event(~0u, &news), VIRTIO_CSWAP_S_IOERR);
	assert_int_equal(news.target, 7);
	assert_int_equal(get_event(32, &news), VIRTIO_CSWAP_S_OK);
	assert_true(news.target == 0x8102030405060708ULL);

	for (i = 1; i <= 0xffff; i++) {
		put_target(i, 9);
		assert_int_equal(get_event(32, &news), i <= 4 ? i : VIRTIO_CSWAP_S_IOERR);
	}
	assert_true(news.target == 0x8102030405060708ULL);
	/* bit 32 is AGAIN */
	for (i = 0; i < 8 * 32; i++) {
		if (i <= 32 || (i >= 64 && i < 128))
			continue;
		put_target(VIRTIO_CSWAP_S_OK, 9);
		fence[-32 + (int)i / 8] ^= 1 << i % 8;
		assert_int_equal(get_event(32, &news), VIRTIO_CSWAP_S_IOERR);
	}
	assert_true(news.target == 0x8102030405060708ULL && !news.again);
}

/* Checks: driver-event-again */
static void events_again(void **state)
{
	struct cswap_news news = { };

	(void)state;
	put_target(VIRTIO_CSWAP_S_OK, 9);
	put16(fence - 28, VIRTIO_CSWAP_EVENT_AGAIN);
	assert_int_equal(cswap_wire_get_event((void *)(fence - 32), 32, ~CSWAP_FEATURE(AGAIN), &news),
			 VIRTIO_CSWAP_S_IOERR);
	assert_false(news.again);
	assert_int_equal(get_event(32, &news), VIRTIO_CSWAP_S_OK);
	assert_true(news.again && news.target == 9);
	put_target(VIRTIO_CSWAP_S_OK, 10);
	assert_int_equal(get_event(32, &news), VIRTIO_CSWAP_S_OK);
	assert_true(!news.again && news.target == 10);
}

#ifndef __KERNEL__
/* --- a host that changes the buffer meanwhile --- */

static u8 views[2][CSWAP_ACK_BUFFER_BYTES];
static atomic_bool stop;

static void *scribble(void *arg)
{
	u32 turn = 0;

	while (!stop)
		memcpy(arg, views[turn++ % 2], CSWAP_ACK_BUFFER_BYTES);
	return NULL;
}

static void while_scribbled(u32 used, u32 room, u32 *accepted, u32 *refused)
{
	u8 *shared = fence - CSWAP_ACK_BUFFER_BYTES;
	pthread_t thread;
	u32 i, j;

	memcpy(shared, views[0], sizeof(views[0]));
	stop = false;
	assert_int_equal(pthread_create(&thread, NULL, scribble, shared), 0);
	/* for a while, and until both views were seen */
	for (i = 0; i < 200000 || ((!*accepted || !*refused) && i < 50000000); i++) {
		struct cswap_answer answer;

		if (cswap_wire_get_answer(&answer, shared, used, room)) {
			++*refused;
			continue;
		}
		++*accepted;
		assert_int_equal(answer.outcomes, room ? 1 : (used - 16) / 16);
		assert_int_equal(answer.pages, room && answer.outcome[0].status == 0);
		for (j = 0; j < answer.outcomes; j++)
			assert_in_range(answer.outcome[j].status, 0, 4);
	}
	stop = true;
	pthread_join(thread, NULL);
	assert_true(*accepted && *refused);
}

static void scribbled_acks(void **state)
{
	u32 accepted = 0, refused = 0;

	(void)state;
	put_acks(256, 15);
	memcpy(views[0], fence - 256, 256);
	memset(views[1], 0xff, 256);
	while_scribbled(256, 0, &accepted, &refused);
}

static void scribbled_data(void **state)
{
	u32 accepted = 0, refused = 0;

	(void)state;
	/* good with a page; and an error that claims one */
	memset(views, 0, sizeof(views));
	memcpy(views[0], put_data(1, VIRTIO_CSWAP_S_OK), 48);
	memcpy(views[1], put_data(1, VIRTIO_CSWAP_S_IOERR), 48);
	while_scribbled(48 + 4096, 1, &accepted, &refused);
}
#endif

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds_store),
		cmocka_unit_test(builds_load),
		cmocka_unit_test(builds_discard),
		cmocka_unit_test(builds_memory_requests),
		cmocka_unit_test(builds_report),
		cmocka_unit_test(config_is_read_in_place),
		cmocka_unit_test(config_slot_size),
		cmocka_unit_test(config_capacity),
		cmocka_unit_test(config_counts),
		cmocka_unit_test(config_medium),
		cmocka_unit_test(config_balloon),
		cmocka_unit_test(config_report),
		cmocka_unit_test(config_reserved),
		cmocka_unit_test(acks_of_all_lengths),
		cmocka_unit_test(acks_of_absurd_lengths),
		cmocka_unit_test(acks_of_all_counts),
		cmocka_unit_test(acks_reserved),
		cmocka_unit_test(statuses),
		cmocka_unit_test(types),
		cmocka_unit_test(data_of_all_lengths),
		cmocka_unit_test(data_of_many_pages),
		cmocka_unit_test(data_counts),
		cmocka_unit_test(data_reserved),
		cmocka_unit_test(control_status),
		cmocka_unit_test(events),
		cmocka_unit_test(events_again),
#ifndef __KERNEL__
		cmocka_unit_test(scribbled_acks),
		cmocka_unit_test(scribbled_data),
#endif
	};

	return cmocka_run_group_tests_name("wire", tests, set_up, tear_down);
}
