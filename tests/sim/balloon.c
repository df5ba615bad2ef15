// SPDX-License-Identifier: GPL-2.0-only
/*
 * balloon.c - RELEASE, RECLAIM, EVENT and REPORT, as a good and as a malicious
 * guest sends them.
 *
 * The daemon runs with --release punch and --control. What it frees is seen in
 * the blocks of the memory's file, what it has noted in its status.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <asm/byteorder.h>

#include "hostile.h"
#include "operator.h"
#include "suites.h"

#define MIB		(1024 * 1024ull)
#define PAGE		4096ull
#define CLAIMED		"\"claimed\":{\"released_bytes\""
#define MEASURED	"\"memory_file_bytes\""
#define PUNCHES		"\"punches\""

/* A piece of the guest's memory, for a case to do with as it likes. */
struct area {
	u8 *base;
	u64 address;			/* of the guest */
	size_t bytes;
};

static int connect_with(struct guest *g, const char *socket, struct area *area,
			size_t bytes)
{
	const struct guest_options o = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 1 },
		.pairs = 2, .extra_bytes = bytes + MIB,
	};

	TRY(guest_connect(g, socket, &o));
	area->base = fe_alloc(&g->fe, bytes, PAGE);
	EXPECT(g, area->base, "%s", g->fe.error);
	area->address = fe_guest_address(&g->fe, area->base);
	area->bytes = bytes;
	memset(area->base, 0x5a, bytes);
	return 0;
}

static u64 blocks(struct guest *g)
{
	struct stat st;

	return fstat(g->fe.memory_fd, &st) ? 0 : st.st_blocks;
}

/* Is all of it this byte? */
static bool is_all(const u8 *from, size_t bytes, u8 byte)
{
	return *from == byte && !memcmp(from, from + 1, bytes - 1);
}

/* --- requests --- */

static void put_ranges(struct guest *g, u16 op, const struct guest_range *ranges,
		       unsigned int count, struct vq_segment s[2])
{
	struct virtio_cswap_mem_range *to = (void *)(g->ctrl + 1);
	unsigned int i;

	*g->ctrl = (struct virtio_cswap_ctrl) {
		.op = cpu_to_le16(op), .count = cpu_to_le16(count),
	};
	for (i = 0; i < count; i++)
		to[i] = (struct virtio_cswap_mem_range) {
			.addr = cpu_to_le64(ranges[i].start),
			.len = cpu_to_le64(ranges[i].count),
		};
	s[0] = (struct vq_segment) { fe_guest_address(&g->fe, g->ctrl),
				     CSWAP_CTRL_BYTES(count), false };
	s[1] = (struct vq_segment) { fe_guest_address(&g->fe, g->ctrl_response),
				     sizeof(*g->ctrl_response), true };
}

static int expect_answer(struct guest *g, const struct vq_segment s[2], u32 status)
{
	u32 used, got;

	memset(g->ctrl_response, 0xff, sizeof(*g->ctrl_response));
	TRY(guest_control(g, s, 2, &used));
	got = cswap_wire_get_ctrl_status(g->ctrl_response, used);
	EXPECT(g, got == status, "status %u, not %u", got, status);
	return 0;
}

static int expect_ranges(struct guest *g, u16 op, const struct guest_range *ranges,
			 unsigned int count, u32 status)
{
	struct vq_segment s[2];

	put_ranges(g, op, ranges, count, s);
	return expect_answer(g, s, status);
}

static int expect_release(struct guest *g, u64 address, u64 bytes, u32 status)
{
	const struct guest_range range = { address, bytes };

	return expect_ranges(g, VIRTIO_CSWAP_CTRL_RELEASE, &range, 1, status);
}

static int expect_reclaim(struct guest *g, u64 address, u64 bytes, u32 status)
{
	const struct guest_range range = { address, bytes };

	return expect_ranges(g, VIRTIO_CSWAP_CTRL_RECLAIM, &range, 1, status);
}

static int expect_noted(struct guest *g, const char *socket, const char *key, u64 bytes)
{
	u64 value;

	TRY(operator_status(g, socket, key, &value));
	EXPECT(g, value == bytes, "%s is %llu, not %llu", key, value, bytes);
	return 0;
}

/* --- RELEASE and RECLAIM --- */

/* Checks: device-config-balloon, device-config-report, device-config-static */
static int case_config(struct guest *g, const char *socket)
{
	struct virtio_cswap_config config, after;
	struct area area;

	TRY(connect_with(g, socket, &area, MIB));
	TRY_FE(g, fe_read_config(&g->fe, 0, &config, sizeof(config)));
	EXPECT(g, config.release_method == VIRTIO_CSWAP_RELEASE_DISCARD,
	       "release method %u", config.release_method);
	EXPECT(g, le32_to_cpu(config.block_size) == PAGE, "block size %u",
	       le32_to_cpu(config.block_size));
	EXPECT(g, le32_to_cpu(config.report_period_ms) == 1000, "report period %u",
	       le32_to_cpu(config.report_period_ms));
	/* It's the same whatever is wanted, released and stored. */
	TRY(operator_target(g, socket, 3 * MIB));
	TRY(expect_release(g, area.address, area.bytes, VIRTIO_CSWAP_S_OK));
	TRY(guest_check_pair(g, 0, 0));
	TRY_FE(g, fe_read_config(&g->fe, 0, &after, sizeof(after)));
	EXPECT(g, !memcmp(&config, &after, sizeof(after)), "the configuration changed");
	return operator_target(g, socket, 0);
}

/*
 * What is released is the host's, to the block, and nothing beside it is.
 * Checks: device-release-ok, device-release-foreign, device-reclaim-access
 */
static int case_frees(struct guest *g, const char *socket)
{
	struct guest_range ranges[2];
	struct area area;
	u64 before;

	TRY(connect_with(g, socket, &area, 32 * MIB));
	before = blocks(g);
	ranges[0] = (struct guest_range) { area.address + PAGE, 8 * MIB };
	ranges[1] = (struct guest_range) { area.address + 20 * MIB, 3 * PAGE };
	TRY(expect_ranges(g, VIRTIO_CSWAP_CTRL_RELEASE, ranges, 2, VIRTIO_CSWAP_S_OK));
	EXPECT(g, before - blocks(g) == (8 * MIB + 3 * PAGE) / 512,
	       "%llu blocks freed", before - blocks(g));
	TRY(expect_noted(g, socket, CLAIMED, 8 * MIB + 3 * PAGE));
	TRY(expect_noted(g, socket, MEASURED, blocks(g) * 512));
	EXPECT(g, is_all(area.base, PAGE, 0x5a) &&
	       is_all(area.base + PAGE + 8 * MIB, 12 * MIB - PAGE, 0x5a) &&
	       is_all(area.base + 20 * MIB + 3 * PAGE, 12 * MIB - 3 * PAGE, 0x5a),
	       "neighbours were discarded, too");
	EXPECT(g, is_all(area.base + PAGE, 8 * MIB, 0) &&
	       is_all(area.base + 20 * MIB, 3 * PAGE, 0), "it doesn't read as zeros");
	/* Nobody need be asked to use it again. */
	memset(area.base + PAGE, 0x77, 8 * MIB);
	TRY(guest_check_pair(g, 0, 0));
	EXPECT(g, is_all(area.base + PAGE, 8 * MIB, 0x77), "what was written is gone");
	return 0;
}

/* Checks: device-release-repeat, device-reclaim-at-once */
static int case_claims(struct guest *g, const char *socket)
{
	struct area area;
	u64 at;

	TRY(connect_with(g, socket, &area, 16 * MIB));
	at = area.address;
	TRY(expect_noted(g, socket, CLAIMED, 0));
	TRY(expect_reclaim(g, at, 16 * MIB, VIRTIO_CSWAP_S_OK));
	TRY(expect_noted(g, socket, CLAIMED, 0));
	TRY(expect_release(g, at, 4 * MIB, VIRTIO_CSWAP_S_OK));
	TRY(expect_release(g, at, 4 * MIB, VIRTIO_CSWAP_S_OK));
	TRY(expect_noted(g, socket, CLAIMED, 4 * MIB));
	TRY(expect_release(g, at + 2 * MIB, 4 * MIB, VIRTIO_CSWAP_S_OK));
	TRY(expect_noted(g, socket, CLAIMED, 6 * MIB));
	TRY(expect_reclaim(g, at + PAGE, PAGE, VIRTIO_CSWAP_S_OK));
	TRY(expect_noted(g, socket, CLAIMED, 6 * MIB - PAGE));
	TRY(expect_reclaim(g, at, 16 * MIB, VIRTIO_CSWAP_S_OK));
	TRY(expect_noted(g, socket, CLAIMED, 0));
	/* Taken back it's the guest's as before. */
	memset(area.base, 0x77, area.bytes);
	TRY(expect_noted(g, socket, CLAIMED, 0));
	EXPECT(g, is_all(area.base, area.bytes, 0x77), "reclaimed memory changed");
	return 0;
}

/*
 * However long a range is, and however many make one: one operation.
 * Checks: device-release-whole
 */
static int case_one_operation(struct guest *g, const char *socket)
{
	struct guest_range ranges[VIRTIO_CSWAP_MAX_RANGES];
	unsigned int i, n = VIRTIO_CSWAP_MAX_RANGES;
	u64 before, after;
	struct area area;

	TRY(connect_with(g, socket, &area, 64 * MIB));
	area.base = fe_alloc(&g->fe, 1024 * MIB, PAGE);
	EXPECT(g, !area.base, "the guest has more memory than it should");
	guest_disconnect(g);
	TRY(guest_connect(g, socket, &(struct guest_options) {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 1 },
		.pairs = 1, .extra_bytes = 1026 * MIB }));
	area.base = fe_alloc(&g->fe, 1024 * MIB, PAGE);
	EXPECT(g, area.base, "%s", g->fe.error);
	area.address = fe_guest_address(&g->fe, area.base);
	TRY(operator_status(g, socket, PUNCHES, &before));
	TRY(expect_release(g, area.address, 1024 * MIB, VIRTIO_CSWAP_S_OK));
	/* From the last to the first. */
	for (i = 0; i < n; i++)
		ranges[i] = (struct guest_range) {
			area.address + (n - 1 - i) * 2 * MIB, 2 * MIB };
	TRY(expect_ranges(g, VIRTIO_CSWAP_CTRL_RELEASE, ranges, n, VIRTIO_CSWAP_S_OK));
	TRY(operator_status(g, socket, PUNCHES, &after));
	EXPECT(g, after - before == 2, "%llu operations", after - before);
	return expect_noted(g, socket, CLAIMED, 1024 * MIB);
}

static int add_memory(struct guest *g, int fd, u64 offset, u64 bytes, u64 address)
{
	struct fe_message m = { .header = { FE_ADD_MEM_REG, 0, 40 } };

	m.payload.one.region = (struct fe_wire_region) {
		.guest_address = address, .user_address = address, .bytes = bytes,
		.mmap_offset = offset,
	};
	TRY_FE(g, fe_tell(&g->fe, &m, &fd, 1));
	return 0;
}

/* Share a part of the area once more, at another address of the guest's. */
static int add_alias(struct guest *g, const struct area *area, u64 from, u64 bytes,
		     u64 address)
{
	const struct fe_region *r = &g->fe.region[0];

	return add_memory(g, g->fe.memory_fd, r->offset + (area->base + from - r->base),
			  bytes, address);
}

/*
 * A range over two regions, whose files' parts lie the other way round.
 * Checks: device-release-whole
 */
static int case_two_regions(struct guest *g, const char *socket)
{
	const u64 at = 1ull << 40;
	struct area area;
	u64 before;

	TRY(connect_with(g, socket, &area, 8 * MIB));
	TRY(add_alias(g, &area, 4 * MIB, 4 * MIB, at));
	TRY(add_alias(g, &area, 0, 4 * MIB, at + 4 * MIB));
	before = blocks(g);
	TRY(expect_release(g, at + 3 * MIB, 3 * MIB, VIRTIO_CSWAP_S_OK));
	EXPECT(g, before - blocks(g) == 3 * MIB / 512, "%llu blocks freed",
	       before - blocks(g));
	EXPECT(g, is_all(area.base, 2 * MIB, 0) &&
	       is_all(area.base + 2 * MIB, 5 * MIB, 0x5a) &&
	       is_all(area.base + 7 * MIB, MIB, 0), "it's another part that was freed");
	TRY(expect_noted(g, socket, CLAIMED, 3 * MIB));
	TRY(expect_release(g, at + 7 * MIB, 2 * MIB, VIRTIO_CSWAP_S_INVALID));
	return expect_noted(g, socket, CLAIMED, 3 * MIB);
}

/* Huge pages are freed whole; a part of one is discarded, but takes its memory. */
static int huge_pages(struct guest *g, const char *socket, int fd, u8 *base)
{
	const u64 at = 1ull << 40;
	struct stat before, after;
	struct area area;

	memset(base, 0x5a, 8 * MIB);
	TRY(connect_with(g, socket, &area, MIB));
	TRY(add_memory(g, fd, 0, 8 * MIB, at));
	fstat(fd, &before);
	TRY(expect_release(g, at + 2 * MIB, 2 * MIB, VIRTIO_CSWAP_S_OK));
	fstat(fd, &after);
	EXPECT(g, before.st_blocks - after.st_blocks == 2 * MIB / 512,
	       "%lld blocks freed", (long long)(before.st_blocks - after.st_blocks));
	TRY(expect_release(g, at + 6 * MIB + PAGE, PAGE, VIRTIO_CSWAP_S_OK));
	fstat(fd, &before);
	EXPECT(g, before.st_blocks == after.st_blocks, "a part of a page was freed");
	EXPECT(g, is_all(base, 2 * MIB, 0x5a) && is_all(base + 4 * MIB, 2 * MIB + PAGE, 0x5a) &&
	       is_all(base + 6 * MIB + PAGE, PAGE, 0) &&
	       is_all(base + 6 * MIB + 2 * PAGE, 2 * MIB - 2 * PAGE, 0x5a),
	       "it's not what was named that was discarded");
	return expect_noted(g, socket, CLAIMED, 2 * MIB + PAGE);
}

static int case_huge_pages(struct guest *g, const char *socket)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	int rc = SUITE_SKIP;
	u8 *base;

	snprintf(g->error, sizeof(g->error), "no huge pages of 2 MiB to be had");
	if (fd < 0)
		return rc;
	if (!fallocate(fd, 0, 0, 8 * MIB)) {
		base = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (base != MAP_FAILED) {
			rc = huge_pages(g, socket, fd, base);
			munmap(base, 8 * MIB);
		}
	}
	close(fd);
	return rc;
}

/* --- what is refused --- */

/* Checks: device-release-range, device-release-invalid */
static int case_bad_ranges(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct guest_range ranges[2];
	const struct fe_region *r;
	unsigned int i;
	u64 begin, end, at;
	u8 *base;

	TRY(hostile_begin(g, socket, &before));
	r = &g->fe.region[0];
	begin = r->guest_address;
	end = begin + r->bytes;
	base = fe_alloc(&g->fe, 4 * PAGE, PAGE);
	EXPECT(g, base, "%s", g->fe.error);
	memset(base, 0x5a, 4 * PAGE);
	at = fe_guest_address(&g->fe, base);
	const struct guest_range bad[] = {
		{ at, 0 }, { at + 1, PAGE }, { at, PAGE + 1 }, { at + 2048, PAGE },
		{ begin - PAGE, PAGE }, { begin - PAGE, 2 * PAGE }, { 0, PAGE },
		{ end, PAGE }, { end - PAGE, 2 * PAGE },
		{ at, -PAGE }, { at, -at }, { -PAGE, PAGE }, { -PAGE, 2 * PAGE },
		{ at, 1ull << 63 }, { 1ull << 63, 1ull << 63 }, { 0, -PAGE },
	};

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ranges[0] = (struct guest_range) { at, 2 * PAGE };
		ranges[1] = bad[i];
		TRY(expect_ranges(g, VIRTIO_CSWAP_CTRL_RELEASE, ranges, 2,
				  VIRTIO_CSWAP_S_INVALID));
		TRY(expect_ranges(g, VIRTIO_CSWAP_CTRL_RECLAIM, ranges, 2,
				  VIRTIO_CSWAP_S_INVALID));
		EXPECT(g, is_all(base, 4 * PAGE, 0x5a),
		       "part of a refused request was done");
	}
	return hostile_aftermath(g, &before, true);
}

static int expect_pinned(struct guest *g, const void *pointer)
{
	u64 address = fe_guest_address(&g->fe, pointer);

	return expect_release(g, address - address % PAGE, PAGE,
			      VIRTIO_CSWAP_S_INVALID);
}

static int rings_and_pool_are_pinned(struct guest *g)
{
	struct guest_pair *p = &g->pair[0];
	unsigned int i;

	TRY(expect_pinned(g, g->control.desc));
	TRY(expect_pinned(g, g->control.used));
	TRY(expect_pinned(g, p->request.desc));
	TRY(expect_pinned(g, p->request.avail));
	TRY(expect_pinned(g, p->response.used));
	for (i = 0; i < p->nr_acks + p->nr_data; i++)
		TRY(expect_pinned(g, p->buffers[i].header));
	for (i = p->nr_acks; i < p->nr_acks + p->nr_data; i++)
		TRY(expect_pinned(g, p->buffers[i].pages));
	return 0;
}

/*
 * Also when all of it was stopped for a while, and goes on.
 * Checks: device-release-in-use
 */
static int case_pinned(struct guest *g, const char *socket)
{
	struct hostile_census before;
	unsigned int i;
	u16 base;

	TRY(hostile_begin(g, socket, &before));
	TRY(guest_check_pair(g, 0, 0));
	TRY(rings_and_pool_are_pinned(g));
	for (i = 0; i < 2; i++)
		TRY(guest_stop_pair(&g->pair[i]));
	TRY_FE(g, fe_stop_vq(&g->fe, &g->control, &base));
	TRY_FE(g, fe_start_vq(&g->fe, &g->control, base));
	for (i = 0; i < 2; i++)
		TRY(guest_resume_pair(&g->pair[i]));
	TRY(guest_check_pair(g, 0, 0));
	TRY(rings_and_pool_are_pinned(g));
	return hostile_aftermath(g, &before, true);
}

/* After a reset what was the pool is memory like any other. */
static int case_unpinned(struct guest *g, const char *socket)
{
	struct guest_pair *p;
	struct area area;
	u64 address;

	TRY(connect_with(g, socket, &area, MIB));
	TRY(guest_check_pair(g, 0, 0));
	TRY(rings_and_pool_are_pinned(g));
	TRY_FE(g, fe_set_status(&g->fe, 0));
	TRY_FE(g, fe_start_features(&g->fe));
	TRY(guest_start_control(g));
	p = &g->pair[0];
	address = fe_guest_address(&g->fe, p->buffers[p->nr_acks].pages);
	TRY(expect_release(g, address, PAGE, VIRTIO_CSWAP_S_OK));
	address = fe_guest_address(&g->fe, g->pair[1].request.desc);
	TRY(expect_release(g, address - address % PAGE, PAGE, VIRTIO_CSWAP_S_OK));
	return expect_pinned(g, g->control.desc);
}

static int case_headers(struct guest *g, const char *socket)
{
	static const u16 ops[] = {
		VIRTIO_CSWAP_CTRL_RELEASE, VIRTIO_CSWAP_CTRL_RECLAIM,
	};
	static const u16 counts[] = { 0, 2, 64, 65, 0xffff };
	struct hostile_census before;
	struct guest_range range;
	struct vq_segment s[2];
	unsigned int i, j;

	TRY(hostile_begin(g, socket, &before));
	range = (struct guest_range) { g->fe.region[1].guest_address, PAGE };
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		for (j = 0; j < ARRAY_SIZE(counts); j++) {
			put_ranges(g, ops[i], &range, 1, s);
			g->ctrl->count = cpu_to_le16(counts[j]);
			TRY(expect_answer(g, s, VIRTIO_CSWAP_S_INVALID));
		}
		for (j = 0; j < 96; j++) {
			put_ranges(g, ops[i], &range, 1, s);
			if (j < 32)
				g->ctrl->reserved0 = cpu_to_le32(1u << j);
			else
				g->ctrl->reserved1 = cpu_to_le64(1ull << (j - 32));
			TRY(expect_answer(g, s, VIRTIO_CSWAP_S_INVALID));
		}
		put_ranges(g, ops[i], &range, 1, s);
		TRY(expect_answer(g, s, VIRTIO_CSWAP_S_OK));
	}
	return hostile_aftermath(g, &before, true);
}

/* --- reset, and changes of the memory, while it is at work --- */

/*
 * A RELEASE on its way, not waited for: in memory of its own, for it may be
 * fetched only when the next request is made.
 */
static int send_release(struct guest *g, u64 address, u64 bytes)
{
	const struct guest_range range = { address, bytes };
	struct vq_segment s[2];
	u8 *own;

	put_ranges(g, VIRTIO_CSWAP_CTRL_RELEASE, &range, 1, s);
	own = fe_alloc(&g->fe, s[0].bytes + s[1].bytes, 64);
	EXPECT(g, own, "%s", g->fe.error);
	memcpy(own, g->ctrl, s[0].bytes);
	s[0].address = fe_guest_address(&g->fe, own);
	s[1].address = s[0].address + s[0].bytes;
	EXPECT(g, !vq_add(&g->control, s, 2, NULL), "no room in the control queue");
	vq_publish(&g->control);
	vq_kick(&g->control);
	return 0;
}

static int restart(struct guest *g)
{
	unsigned int i;

	TRY_FE(g, fe_start_features(&g->fe));
	TRY(guest_start_control(g));
	for (i = 0; i < g->pairs; i++)
		TRY(guest_start_pair(g, i));
	return 0;
}

/*
 * After a reset memory is the guest's again, whatever was on its way.
 * Checks: device-init-release, device-init-forget
 */
static int case_reset(struct guest *g, const char *socket)
{
	struct area area;
	unsigned int i;

	TRY(connect_with(g, socket, &area, 32 * MIB));
	for (i = 0; i < 20; i++) {
		memset(area.base, 0x5a, area.bytes);
		TRY(send_release(g, area.address, area.bytes));
		TRY_FE(g, fe_set_status(&g->fe, 0));
		memset(area.base, 0x77, area.bytes);
		TRY(expect_noted(g, socket, CLAIMED, 0));
		TRY(restart(g));
		TRY(expect_release(g, area.address, PAGE, VIRTIO_CSWAP_S_OK));
		TRY(expect_noted(g, socket, CLAIMED, PAGE));
		EXPECT(g, is_all(area.base + PAGE, area.bytes - PAGE, 0x77),
		       "memory was discarded after a reset");
	}
	return guest_check_pair(g, 1, 0);
}

/*
 * The same when the front end hangs up.
 * Checks: device-release-outstanding
 */
static int case_hang_up(struct guest *g, const char *socket)
{
	struct area area;
	unsigned int i;

	TRY(connect_with(g, socket, &area, 32 * MIB));
	for (i = 0; i < 5; i++) {
		memset(area.base, 0x5a, area.bytes);
		TRY(send_release(g, area.address, area.bytes));
		TRY(guest_reconnect(g));
		/* It serves a new connection: it's done with the old one. */
		memset(area.base, 0x77, area.bytes);
		TRY(guest_check_pair(g, 0, 0));
		TRY(expect_noted(g, socket, CLAIMED, 0));
		EXPECT(g, is_all(area.base, area.bytes, 0x77),
		       "memory was discarded after the connection's end");
	}
	return 0;
}

static int case_table_again(struct guest *g, const char *socket)
{
	struct area area;
	unsigned int i;
	void *token;
	u32 used;

	TRY(connect_with(g, socket, &area, 32 * MIB));
	for (i = 0; i < 10; i++) {
		memset(area.base, 0x5a, area.bytes);
		TRY(send_release(g, area.address, area.bytes));
		TRY_FE(g, fe_share_table(&g->fe, false));
		TRY(guest_await_control(g, &token, &used));
		EXPECT(g, is_all(area.base, area.bytes, 0), "it wasn't discarded");
		/* What was released before still is. */
		TRY(expect_noted(g, socket, CLAIMED, area.bytes));
		TRY(guest_check_pair(g, 0, 0));
	}
	return 0;
}

/* Memory that goes takes the account of it along, and brings the account back when it comes again. */
static int case_region_removed(struct guest *g, const char *socket)
{
	struct fe_message m = { .header = { FE_REM_MEM_REG, 0, 40 } };
	const struct guest_options o = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 2 },
		.pairs = 2, .extra_bytes = 32 * MIB,
	};
	struct hostile_census before;
	const struct fe_region *r;

	/* Rings and buffers all lie at the begin of the first region. */
	TRY(hostile_begin_with(g, socket, &before, &o));
	r = &g->fe.region[1];
	TRY(expect_release(g, r->guest_address, 2 * MIB, VIRTIO_CSWAP_S_OK));
	TRY(expect_release(g, g->fe.region[0].guest_address + g->fe.region[0].bytes - MIB,
			   MIB, VIRTIO_CSWAP_S_OK));
	TRY(expect_noted(g, socket, CLAIMED, 3 * MIB));
	m.payload.one.region = (struct fe_wire_region) {
		r->guest_address, r->bytes, r->user_address, r->offset,
	};
	TRY_FE(g, fe_tell(&g->fe, &m, NULL, 0));
	TRY(expect_noted(g, socket, CLAIMED, MIB));
	TRY(expect_release(g, r->guest_address, PAGE, VIRTIO_CSWAP_S_INVALID));
	/* The guest was told nothing, and has nothing of it. */
	TRY(add_memory(g, g->fe.memory_fd, r->offset, r->bytes, r->guest_address));
	TRY(expect_noted(g, socket, CLAIMED, 3 * MIB));
	return hostile_aftermath(g, &before, true);
}

/* Many at a time, more than are served at a time. */
static int case_many(struct guest *g, const char *socket)
{
	struct area area;
	unsigned int i, n;
	void *token;
	u32 used;

	TRY(connect_with(g, socket, &area, 32 * MIB));
	for (n = 0; n < 40; n++) {
		const struct guest_range range = { area.address, area.bytes };
		struct vq_segment s[2];

		put_ranges(g, n % 2 ? VIRTIO_CSWAP_CTRL_RECLAIM :
				      VIRTIO_CSWAP_CTRL_RELEASE, &range, 1, s);
		if (vq_add(&g->control, s, 2, NULL))
			break;
		/* All have the same header: nothing else is of interest. */
	}
	vq_publish(&g->control);
	for (i = 0; i < n; i++)
		TRY(guest_await_control(g, &token, &used));
	EXPECT(g, n > 20, "only %u requests fit", n);
	return guest_check_pair(g, 0, 0);
}

/* --- EVENT --- */

struct event_buffer {
	struct virtio_cswap_ctrl *ctrl;
	struct virtio_cswap_event *event;
};

static int make_event(struct guest *g, struct event_buffer *e)
{
	e->ctrl = fe_alloc(&g->fe, sizeof(*e->ctrl), 64);
	e->event = fe_alloc(&g->fe, sizeof(*e->event), 64);
	EXPECT(g, e->ctrl && e->event, "%s", g->fe.error);
	e->ctrl->op = cpu_to_le16(VIRTIO_CSWAP_CTRL_EVENT);
	return 0;
}

static int post_event(struct guest *g, struct event_buffer *e)
{
	const struct vq_segment s[] = {
		{ fe_guest_address(&g->fe, e->ctrl), sizeof(*e->ctrl), false },
		{ fe_guest_address(&g->fe, e->event), sizeof(*e->event), true },
	};

	memset(e->event, 0xff, sizeof(*e->event));
	EXPECT(g, !vq_add(&g->control, s, 2, e), "no room in the control queue");
	vq_publish(&g->control);
	return 0;
}

static int expect_event(struct guest *g, struct event_buffer *e, u64 target)
{
	void *token;
	u32 used;

	TRY(guest_await_control(g, &token, &used));
	EXPECT(g, token == e, "another buffer was used");
	EXPECT(g, used == sizeof(*e->event), "%u bytes used", used);
	EXPECT(g, !e->event->status && !e->event->flags &&
	       !e->event->reserved1[0] && !e->event->reserved1[1],
	       "the event is malformed");
	EXPECT(g, le64_to_cpu(e->event->target) == target, "target %llu, not %llu",
	       le64_to_cpu(e->event->target), target);
	return 0;
}

/* Two requests in turn are answered, so any event due has come before them. */
static int expect_no_event(struct guest *g)
{
	const struct guest_range range = { g->fe.region[0].guest_address, PAGE };
	struct vq_segment s[2];
	unsigned int i;
	void *token;
	u32 used;

	for (i = 0; i < 2; i++) {
		put_ranges(g, VIRTIO_CSWAP_CTRL_RECLAIM, &range, 1, s);
		EXPECT(g, !vq_add(&g->control, s, 2, g), "no room");
		vq_publish(&g->control);
		TRY(guest_await_control(g, &token, &used));
		EXPECT(g, token == g, "an event that wasn't due");
	}
	return 0;
}

/* Checks: device-event-hold, device-event-tell, device-event-serve */
static int case_event(struct guest *g, const char *socket)
{
	struct event_buffer e[2];
	struct area area;
	unsigned int i;

	TRY(connect_with(g, socket, &area, 16 * MIB));
	TRY(operator_target(g, socket, 0));
	for (i = 0; i < 2; i++) {
		TRY(make_event(g, &e[i]));
		TRY(post_event(g, &e[i]));
	}
	TRY(expect_no_event(g));
	TRY(operator_target(g, socket, 3 * MIB));
	TRY(expect_event(g, &e[0], 3 * MIB));
	TRY(expect_no_event(g));
	TRY(expect_noted(g, socket, "\"told_bytes\"", 3 * MIB));
	TRY(operator_target(g, socket, 3 * MIB));
	TRY(expect_no_event(g));
	TRY(operator_target(g, socket, 4 * MIB));
	TRY(expect_event(g, &e[1], 4 * MIB));
	/* Without a buffer nothing is told; with the next one, what holds then. */
	TRY(operator_target(g, socket, 5 * MIB));
	TRY(operator_target(g, socket, 6 * MIB));
	TRY(expect_noted(g, socket, "\"told_bytes\"", 4 * MIB));
	TRY(post_event(g, &e[0]));
	TRY(expect_event(g, &e[0], 6 * MIB));
	/* There and back again is no change. */
	TRY(operator_target(g, socket, 7 * MIB));
	TRY(operator_target(g, socket, 6 * MIB));
	TRY(post_event(g, &e[0]));
	TRY(post_event(g, &e[1]));
	TRY(expect_no_event(g));
	return operator_target(g, socket, 0) || expect_event(g, &e[0], 0) ? -1 : 0;
}

/* Held EVENTs outlast a stop, and a reset forgets them and what was told. */
static int case_event_reset(struct guest *g, const char *socket)
{
	struct event_buffer e;
	struct area area;
	u16 base;

	TRY(connect_with(g, socket, &area, 16 * MIB));
	TRY(operator_target(g, socket, 0));
	TRY(make_event(g, &e));
	TRY(post_event(g, &e));
	TRY(expect_no_event(g));
	TRY_FE(g, fe_stop_vq(&g->fe, &g->control, &base));
	TRY(operator_target(g, socket, 2 * MIB));
	TRY_FE(g, fe_start_vq(&g->fe, &g->control, base));
	TRY(expect_event(g, &e, 2 * MIB));
	TRY(post_event(g, &e));
	TRY(expect_no_event(g));
	TRY_FE(g, fe_set_status(&g->fe, 0));
	TRY(restart(g));
	TRY(expect_noted(g, socket, "\"told_bytes\"", 0));
	TRY(post_event(g, &e));
	TRY(expect_event(g, &e, 2 * MIB));
	TRY(operator_target(g, socket, 0));
	return 0;
}

/*
 * A ring that begins in its middle was served by somebody who is gone, with all
 * that he knew: then the target is told at once, be it 0. Not so one that is new.
 * Checks: device-event-lost
 */
static int case_event_lost(struct guest *g, const char *socket)
{
	const struct guest_options o = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 1 },
		.pairs = 1, .extra_bytes = MIB, .base = 7,
	};
	struct event_buffer e;

	TRY(guest_connect(g, socket, &o));
	TRY(make_event(g, &e));
	TRY(post_event(g, &e));
	TRY(expect_event(g, &e, 0));
	TRY(post_event(g, &e));
	return expect_no_event(g);
}

/* --- REPORT --- */

static struct virtio_cswap_report *put_report(struct guest *g, struct vq_segment s[2])
{
	struct virtio_cswap_report *report = (void *)(g->ctrl + 1);

	*g->ctrl = (struct virtio_cswap_ctrl) {
		.op = cpu_to_le16(VIRTIO_CSWAP_CTRL_REPORT),
	};
	memset(report, 0, sizeof(*report));
	report->size = cpu_to_le64(64 * MIB);
	report->released = cpu_to_le64(9 * MIB);
	report->target = cpu_to_le64(10 * MIB);
	report->stopped = cpu_to_le32(VIRTIO_CSWAP_STOP_FLOOR);
	s[0] = (struct vq_segment) { fe_guest_address(&g->fe, g->ctrl),
				     sizeof(*g->ctrl) + sizeof(*report), false };
	s[1] = (struct vq_segment) { fe_guest_address(&g->fe, g->ctrl_response),
				     sizeof(*g->ctrl_response), true };
	return report;
}

static int expect_report_shown(struct guest *g, const char *socket)
{
	char reply[OPERATOR_REPLY_BYTES];

	TRY(operator_ask(g, socket, "{\"request\":\"status\"}", reply));
	EXPECT(g, operator_number(reply, "\"size_bytes\"") == 64 * MIB &&
	       strstr(reply, "\"released_bytes\":9437184,\"target_bytes\":10485760,") &&
	       strstr(reply, "\"stopped\":\"floor\""), "the report isn't shown: %s", reply);
	return 0;
}

/*
 * Checks: device-report-later, device-report-claim, device-report-stopped
 * Checks: device-report-optional
 */
static int case_report(struct guest *g, const char *socket)
{
	char reply[OPERATOR_REPLY_BYTES];
	struct vq_segment s[2];
	struct area area;
	unsigned int i;

	TRY(connect_with(g, socket, &area, MIB));
	TRY(operator_ask(g, socket, "{\"request\":\"status\"}", reply));
	EXPECT(g, strstr(reply, "\"report\":null"), "a report that nobody sent");
	put_report(g, s);
	s[0].bytes--;
	TRY(expect_answer(g, s, VIRTIO_CSWAP_S_INVALID));
	/* A driver that has no more statistics than we know, then some that know more. */
	put_report(g, s);
	TRY(expect_answer(g, s, VIRTIO_CSWAP_S_OK));
	TRY(expect_report_shown(g, socket));
	for (i = 0; i < 17 * 64; i += 37) {
		put_report(g, s)->reserved[i / 64] = cpu_to_le64(1ull << (i % 64));
		TRY(expect_answer(g, s, VIRTIO_CSWAP_S_OK));
	}
	memset(put_report(g, s)->reserved, 0xff, 17 * 8);
	TRY(expect_answer(g, s, VIRTIO_CSWAP_S_OK));
	TRY(expect_report_shown(g, socket));
	/* A claim: it isn't what was RELEASEd. */
	TRY(expect_noted(g, socket, CLAIMED, 0));
	put_report(g, s)->stopped = cpu_to_le32(12345);
	TRY(expect_answer(g, s, VIRTIO_CSWAP_S_OK));
	TRY(operator_ask(g, socket, "{\"request\":\"status\"}", reply));
	EXPECT(g, strstr(reply, "\"stopped\":\"unknown\""), "a reason unknown isn't called so");
	TRY_FE(g, fe_set_status(&g->fe, 0));
	TRY(operator_ask(g, socket, "{\"request\":\"status\"}", reply));
	EXPECT(g, strstr(reply, "\"report\":null"), "a report outlived a reset");
	return 0;
}

/* --- a lying device: cswapd-faulty, with the fault that a case is named by --- */

/*
 * The request is held; nothing of it is done, and others are served.
 * Checks: device-ctrl-data-path
 */
static int lie_held(struct guest *g, const char *socket)
{
	struct area area;
	void *token;
	u32 used;

	TRY(connect_with(g, socket, &area, 16 * MIB));
	TRY(send_release(g, area.address, area.bytes));
	TRY(expect_no_event(g));
	TRY(expect_no_event(g));
	EXPECT(g, is_all(area.base, area.bytes, 0x5a), "it was discarded");
	TRY(expect_noted(g, socket, CLAIMED, 0));
	EXPECT(g, !vq_take(&g->control, &token, &used), "it was answered");
	TRY(guest_check_pair(g, 0, 0));
	/* Whatever becomes of it, it's over with the reset. */
	TRY_FE(g, fe_set_status(&g->fe, 0));
	memset(area.base, 0x77, area.bytes);
	TRY(restart(g));
	TRY(expect_no_event(g));
	EXPECT(g, is_all(area.base, area.bytes, 0x77), "it was discarded after a reset");
	return 0;
}

static int lie_delayed(struct guest *g, const char *socket)
{
	struct area area;

	TRY(connect_with(g, socket, &area, 16 * MIB));
	TRY(expect_release(g, area.address, area.bytes, VIRTIO_CSWAP_S_OK));
	EXPECT(g, is_all(area.base, area.bytes, 0), "it wasn't discarded");
	return expect_noted(g, socket, CLAIMED, area.bytes);
}

/* What a driver must not be hurt by, but can't prevent: the answer first. */
static int lie_early(struct guest *g, const char *socket)
{
	struct area area;

	TRY(connect_with(g, socket, &area, 16 * MIB));
	TRY(expect_release(g, area.address, area.bytes, VIRTIO_CSWAP_S_OK));
	EXPECT(g, is_all(area.base, area.bytes, 0x5a), "it wasn't early");
	/* A change of the table waits for all that is under way. */
	TRY_FE(g, fe_share_table(&g->fe, false));
	EXPECT(g, is_all(area.base, area.bytes, 0), "it wasn't done later");
	return guest_check_pair(g, 0, 0);
}

static int lie_refused(struct guest *g, const char *socket, u32 status)
{
	struct area area;

	TRY(connect_with(g, socket, &area, 16 * MIB));
	TRY(expect_release(g, area.address, area.bytes, status));
	EXPECT(g, is_all(area.base, area.bytes, 0x5a), "it was discarded");
	return expect_noted(g, socket, CLAIMED, 0);
}

static int lie_nospc(struct guest *g, const char *socket)
{
	return lie_refused(g, socket, VIRTIO_CSWAP_S_NOSPC);
}

static int lie_ioerr(struct guest *g, const char *socket)
{
	return lie_refused(g, socket, VIRTIO_CSWAP_S_IOERR);
}

/* Checks: device-reclaim-nospc */
static int lie_reclaim_nospc(struct guest *g, const char *socket)
{
	struct area area;

	TRY(connect_with(g, socket, &area, 16 * MIB));
	TRY(expect_release(g, area.address, area.bytes, VIRTIO_CSWAP_S_OK));
	TRY(expect_reclaim(g, area.address, area.bytes, VIRTIO_CSWAP_S_NOSPC));
	return expect_noted(g, socket, CLAIMED, area.bytes);
}

/* An event that comes unasked, with what the case then looks at. */
static int get_event(struct guest *g, const char *socket, struct event_buffer *e, u32 *used)
{
	struct area area;
	void *token;

	TRY(connect_with(g, socket, &area, 16 * MIB));
	TRY(make_event(g, e));
	TRY(post_event(g, e));
	TRY(operator_target(g, socket, 5 * MIB));
	TRY(guest_await_control(g, &token, used));
	EXPECT(g, token == e, "another buffer");
	return 0;
}

static int lie_event_short(struct guest *g, const char *socket)
{
	struct event_buffer e;
	u32 used;

	TRY(get_event(g, socket, &e, &used));
	EXPECT(g, used == 4, "%u bytes", used);
	return 0;
}

static int lie_event_reserved(struct guest *g, const char *socket)
{
	struct event_buffer e;
	u32 used;

	TRY(get_event(g, socket, &e, &used));
	EXPECT(g, le64_to_cpu(e.event->reserved1[0]) == 1, "no bit is set");
	return 0;
}

static int lie_event_failed(struct guest *g, const char *socket)
{
	struct event_buffer e;
	u32 used;

	TRY(get_event(g, socket, &e, &used));
	EXPECT(g, le32_to_cpu(e.event->status) == VIRTIO_CSWAP_S_IOERR &&
	       !e.event->target, "status %u", le32_to_cpu(e.event->status));
	return 0;
}

static int lie_target_flap(struct guest *g, const char *socket)
{
	struct event_buffer e;
	unsigned int i;
	u32 used;

	TRY(get_event(g, socket, &e, &used));
	for (i = 0; i < 10; i++) {
		u64 told = e.event->target;

		TRY(post_event(g, &e));
		TRY(expect_event(g, &e, told ? 0 : 0x7ffffffffffff123));
	}
	return 0;
}

static int lie_target_repeat(struct guest *g, const char *socket)
{
	struct event_buffer e;
	unsigned int i;
	u32 used;

	TRY(get_event(g, socket, &e, &used));
	for (i = 0; i < 10; i++) {
		TRY(post_event(g, &e));
		TRY(expect_event(g, &e, 5 * MIB));
	}
	return 0;
}

/* Killed with a release under way: once it has hung up, nothing is discarded. */
static int kill_releasing(struct guest *g, const char *socket)
{
	struct hostile_census census;
	struct area area;

	TRY(connect_with(g, socket, &area, 96 * MIB));
	TRY(hostile_census(g, &census));
	TRY(send_release(g, area.address, area.bytes));
	/* It's at work: the first page is gone. */
	while (*(volatile u8 *)area.base)
		EXPECT(g, !fe_is_closed(&g->fe), "the daemon has hung up");
	EXPECT(g, !kill(census.pid, SIGKILL), "kill: %s", strerror(errno));
	EXPECT(g, fe_wait_closed(&g->fe), "the daemon lives");
	memset(area.base, 0x77, area.bytes);
	/* Until there is nothing left of it: its parent has collected it. */
	while (!kill(census.pid, 0))
		poll(NULL, 0, 1);
	EXPECT(g, is_all(area.base, area.bytes, 0x77),
	       "memory was discarded after the daemon's end");
	return 0;
}

/*
 * A device that only keeps account, as the guest's conversion frees the memory.
 * Checks: device-release-convert
 */
static int convert_keeps(struct guest *g, const char *socket)
{
	struct virtio_cswap_config config;
	struct area area;
	u64 before;

	TRY(connect_with(g, socket, &area, 8 * MIB));
	TRY_FE(g, fe_read_config(&g->fe, 0, &config, sizeof(config)));
	EXPECT(g, config.release_method == VIRTIO_CSWAP_RELEASE_CONVERT,
	       "release method %u", config.release_method);
	before = blocks(g);
	TRY(expect_release(g, area.address, area.bytes, VIRTIO_CSWAP_S_OK));
	TRY(expect_noted(g, socket, CLAIMED, area.bytes));
	EXPECT(g, blocks(g) == before && is_all(area.base, area.bytes, 0x5a),
	       "memory was discarded");
	TRY(expect_reclaim(g, area.address, area.bytes, VIRTIO_CSWAP_S_OK));
	return expect_noted(g, socket, CLAIMED, 0);
}

/*
 * None of the bits is offered, and then the fields are 0.
 *
 * Checks: device-feature-again
 */
static int off_is_off(struct guest *g, const char *socket)
{
	const struct guest_options o = { .frontend = { .regions = 1 }, .pairs = 1 };
	struct virtio_cswap_config config;

	TRY(guest_connect(g, socket, &o));
	EXPECT(g, !(g->fe.offered & (FE_BIT(VIRTIO_CSWAP_F_BALLOON) |
				     FE_BIT(VIRTIO_CSWAP_F_REPORT) |
				     FE_BIT(VIRTIO_CSWAP_F_AGAIN))),
	       "features 0x%llx", (u64)g->fe.offered);
	TRY_FE(g, fe_read_config(&g->fe, 0, &config, sizeof(config)));
	EXPECT(g, !config.release_method && !config.block_size && !config.report_period_ms,
	       "fields of what isn't offered are set");
	TRY(expect_release(g, g->fe.region[0].guest_address, PAGE, VIRTIO_CSWAP_S_UNSUPP));
	return guest_check_pair(g, 0, 0);
}

static const struct suite_case methods[] = {
	{ "convert", convert_keeps },
	{ "off", off_is_off },
};

int run_balloon_method(const char *socket, const char *filter)
{
	return suite_run(socket, filter, methods, ARRAY_SIZE(methods));
}

static const struct suite_case kills[] = {
	{ "a release under way", kill_releasing },
};

int run_balloon_kill(const char *socket, const char *filter)
{
	return suite_run(socket, filter, kills, ARRAY_SIZE(kills));
}

static const struct suite_case lies[] = {
	{ "release-stall", lie_held },
	{ "release-never", lie_held },
	{ "release-delay", lie_delayed },
	{ "release-early", lie_early },
	{ "release-nospc", lie_nospc },
	{ "release-ioerr", lie_ioerr },
	{ "reclaim-nospc", lie_reclaim_nospc },
	{ "event-short", lie_event_short },
	{ "event-reserved-bits", lie_event_reserved },
	{ "event-ioerr", lie_event_failed },
	{ "target-flap", lie_target_flap },
	{ "target-repeat", lie_target_repeat },
};

int run_balloon_lies(const char *socket, const char *filter)
{
	return suite_run(socket, filter, lies, ARRAY_SIZE(lies));
}

static const struct suite_case cases[] = {
	{ "configuration", case_config },
	{ "released memory is freed, and nothing else", case_frees },
	{ "what is released counts once", case_claims },
	{ "a gigabyte, or many neighbours, are one operation", case_one_operation },
	{ "a range over two regions", case_two_regions },
	{ "memory of huge pages", case_huge_pages },
	{ "ranges out of range, unaligned, wrapping", case_bad_ranges },
	{ "rings and posted buffers can't be released", case_pinned },
	{ "after a reset they can", case_unpinned },
	{ "headers malformed, every reserved bit", case_headers },
	{ "reset with a release under way", case_reset },
	{ "hang up with a release under way", case_hang_up },
	{ "the memory table again with a release under way", case_table_again },
	{ "memory that is removed", case_region_removed },
	{ "more requests than are served at a time", case_many },
	{ "a target is told once", case_event },
	{ "targets, stop and reset", case_event_reset },
	{ "a target whose last telling nobody knows", case_event_lost },
	{ "reports", case_report },
};

int run_balloon(const char *socket, const char *filter)
{
	return suite_run(socket, filter, cases, ARRAY_SIZE(cases));
}
