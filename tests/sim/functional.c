// SPDX-License-Identifier: GPL-2.0-only
/*
 * functional.c - what a guest and its VMM may expect of the daemon.
 *
 * Each case has a connection of its own. What a case stores it loads again and
 * compares, by way of guest_load(), which fails on data that opens but is wrong.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <asm/byteorder.h>
#include <linux/virtio_config.h>

#include "load.h"
#include "suite.h"
#include "suites.h"

#define OPTIONS(...) (&(struct guest_options){ \
	.frontend = { .style = FE_STYLE_QEMU, .regions = 1 }, __VA_ARGS__ })

/* --- steps that cases share --- */

static void note_done(struct io_op *op, void *arg)
{
	(void)op;
	*(bool *)arg = true;
}

static int expect_store(struct guest *g, u64 slot, enum io_result expected)
{
	enum io_result result;

	TRY(guest_store(g, slot, &result));
	EXPECT(g, result == expected, "store of slot %llu: result %d, not %d", slot,
	       result, expected);
	return 0;
}

static int expect_load(struct guest *g, u64 slot, enum io_result expected)
{
	enum io_result result;

	TRY(guest_load(g, slot, &result));
	EXPECT(g, result == expected, "load of slot %llu: result %d, not %d", slot,
	       result, expected);
	return 0;
}

static int store_and_load(struct guest *g, u64 slot)
{
	TRY(expect_store(g, slot, IO_OK));
	return expect_load(g, slot, IO_OK);
}

/* Fill, mix and verify, on all pairs; every page is compared. */
static int run_load_phases(struct guest *g, u64 pages, unsigned int depth, u64 ops)
{
	const struct load_options options = {
		.pages = pages, .depth = depth, .read_percent = 50, .ops = ops,
	};
	static struct load_report r;
	enum load_phase phase;
	unsigned int i;
	struct load l;
	int rc = 0;

	if (load_init(&l, &options, &g->records))
		return guest_fail(g, "%s", l.error);
	l.queues = g->pairs;
	for (i = 0; i < g->pairs; i++)
		l.queue[i] = &g->pair[i].io;
	for (phase = LOAD_FILL; phase <= LOAD_VERIFY && !rc; phase++) {
		rc = load_run(&l, phase, &r);
		if (rc)
			guest_fail(g, "%s", l.error);
		else if (r.wrong || r.forged || r.store.failed || r.load.failed)
			rc = guest_fail(g, "phase %d: %llu wrong, %llu forged, %llu stores and %llu loads failed",
					phase, r.wrong, r.forged, r.store.failed,
					r.load.failed);
	}
	load_free(&l);
	return rc ? rc : suite_check_answers(g);
}

/* --- negotiation and configuration --- */

/* Checks: device-feature-version-1, device-feature-access-platform */
static int case_features(struct guest *g, const char *socket)
{
	struct virtio_cswap_config config;
	char byte;

	TRY(guest_connect(g, socket, OPTIONS()));
	EXPECT(g, g->fe.offered & FE_BIT(VIRTIO_F_VERSION_1), "VERSION_1 isn't offered");
	EXPECT(g, g->fe.offered & FE_BIT(VIRTIO_F_ACCESS_PLATFORM),
	       "ACCESS_PLATFORM isn't offered");
	EXPECT(g, g->fe.offered & FE_BIT(VIRTIO_CSWAP_F_DISCARD), "DISCARD isn't offered");
	EXPECT(g, g->fe.offered & FE_BIT(VIRTIO_CSWAP_F_BALLOON) &&
	       g->fe.offered & FE_BIT(VIRTIO_CSWAP_F_REPORT),
	       "BALLOON and REPORT aren't offered");
	EXPECT(g, !(g->fe.offered & FE_BIT(VIRTIO_F_RING_PACKED)),
	       "packed rings are offered");
	EXPECT(g, g->fe.protocol & FE_BIT(FE_PROTOCOL_MQ) &&
	       g->fe.protocol & FE_BIT(FE_PROTOCOL_CONFIG) &&
	       g->fe.protocol & FE_BIT(FE_PROTOCOL_REPLY_ACK),
	       "protocol features 0x%llx", (u64)g->fe.protocol_offered);
	EXPECT(g, g->fe.queues_offered ==
	       VIRTIO_CSWAP_NUM_VQS(g->geometry.queue_pairs),
	       "%u virtqueues for %u pairs", g->fe.queues_offered,
	       g->geometry.queue_pairs);
	TRY_FE(g, fe_read_config(&g->fe, 0, &config, sizeof(config)));
	/* An early message would kill QEMU. */
	EXPECT(g, g->fe.backend_request_fd < 0 ||
	       recv(g->fe.backend_request_fd, &byte, 1, MSG_DONTWAIT) < 0,
	       "an unasked message from the backend");
	return 0;
}

static int case_config_parts(struct guest *g, const char *socket)
{
	u8 whole[sizeof(struct virtio_cswap_config)], part[sizeof(whole)];
	unsigned int offset;

	TRY(guest_attach(g, socket, OPTIONS()));
	TRY_FE(g, fe_read_config(&g->fe, 0, whole, sizeof(whole)));
	for (offset = 0; offset < sizeof(whole); offset++) {
		unsigned int bytes = sizeof(whole) - offset;

		TRY_FE(g, fe_read_config(&g->fe, offset, part, bytes));
		EXPECT(g, !memcmp(part, whole + offset, bytes),
		       "the configuration differs from byte %u on", offset);
		TRY_FE(g, fe_read_config(&g->fe, offset, part, 1));
		EXPECT(g, part[0] == whole[offset], "byte %u differs", offset);
	}
	return 0;
}

/* Checks: device-config-write */
static int case_config_readonly(struct guest *g, const char *socket)
{
	u8 before[sizeof(struct virtio_cswap_config)], after[sizeof(before)];
	u8 ones[sizeof(before)];

	TRY(guest_connect(g, socket, OPTIONS()));
	TRY_FE(g, fe_read_config(&g->fe, 0, before, sizeof(before)));
	memset(ones, 0xff, sizeof(ones));
	/* May be refused or ignored; QEMU writes back all of it for one field. */
	(void)fe_write_config(&g->fe, 0, ones, sizeof(ones));
	(void)fe_write_config(&g->fe, 8, ones, 4);
	TRY_FE(g, fe_read_config(&g->fe, 0, after, sizeof(after)));
	EXPECT(g, !memcmp(before, after, sizeof(before)), "a guest wrote the configuration");
	return store_and_load(g, 0);
}

/* --- the store --- */

static int case_each_pair(struct guest *g, const char *socket)
{
	unsigned int i;

	TRY(guest_connect(g, socket, OPTIONS()));
	for (i = 0; i < g->pairs; i++)
		TRY(guest_check_pair(g, i, i * GUEST_SHARD_SLOTS));
	return suite_check_answers(g);
}

/* Checks: device-vq-any-pair */
static int case_any_pair_any_slot(struct guest *g, const char *socket)
{
	unsigned int i;

	TRY(guest_connect(g, socket, OPTIONS()));
	/* A slot that one pair stored is there for the others. */
	for (i = 0; i < g->pairs; i++)
		TRY(guest_check_pair(g, i, 7));
	return expect_load(g, 7, IO_OK);
}

/* Checks: device-store-unit */
static int case_overwrite(struct guest *g, const char *socket)
{
	unsigned int i;

	TRY(guest_connect(g, socket, OPTIONS()));
	for (i = 0; i < 20; i++)
		TRY(expect_store(g, 3, IO_OK));
	TRY(expect_load(g, 3, IO_OK));
	for (i = 0; i < 20; i++)
		TRY(store_and_load(g, 3));
	return suite_check_answers(g);
}

static int case_borders(struct guest *g, const char *socket)
{
	u64 capacity;

	TRY(guest_connect(g, socket, OPTIONS()));
	capacity = g->geometry.capacity;
	TRY(store_and_load(g, 0));
	if (capacity <= g->records.slots)
		TRY(store_and_load(g, capacity - 1));
	TRY(expect_store(g, capacity, IO_INVALID));
	TRY(expect_load(g, capacity, IO_INVALID));
	TRY(expect_store(g, UINT64_MAX, IO_INVALID));
	TRY(expect_load(g, UINT64_MAX, IO_INVALID));
	TRY(expect_load(g, 0, IO_OK));
	return suite_check_answers(g);
}

static int case_never_stored(struct guest *g, const char *socket)
{
	enum io_result result;
	u64 slot;

	TRY(guest_connect(g, socket, OPTIONS()));
	slot = g->records.slots / 2;
	TRY(guest_load(g, slot, &result));
	EXPECT(g, result != IO_OK, "a slot that was never stored opens");
	TRY(store_and_load(g, slot));
	return suite_check_answers(g);
}

static int case_many_pages(struct guest *g, const char *socket)
{
	enum io_result result;
	unsigned int count, max;

	TRY(guest_connect(g, socket, OPTIONS(.request_pages = 0)));
	max = g->geometry.max_request_pages;
	guest_disconnect(g);
	TRY(guest_connect(g, socket, OPTIONS(.request_pages = max)));
	for (count = 1; count <= max; count++) {
		TRY(guest_store_many(g, 1000 + count, count, &result));
		EXPECT(g, result == IO_OK, "store of %u pages: result %d", count, result);
		TRY(guest_load_many(g, 1000 + count, count, &result));
		EXPECT(g, result == IO_OK, "load of %u pages: result %d", count, result);
		TRY(guest_load_many(g, 1000 + count, 1, &result));
		EXPECT(g, result == IO_OK, "load of 1 of %u pages: result %d", count,
		       result);
	}
	TRY(guest_store_many(g, g->geometry.capacity - 1, 2, &result));
	EXPECT(g, max < 2 || result == IO_INVALID, "a store beyond the end: result %d",
	       result);
	TRY(guest_load_many(g, g->geometry.capacity - 1, 2, &result));
	EXPECT(g, max < 2 || result == IO_INVALID, "a load beyond the end: result %d",
	       result);
	return suite_check_answers(g);
}

/* Every second data buffer takes one page only, the one posted last among them. */
/* Checks: device-load-data-buffer */
static int case_mixed_buffers(struct guest *g, const char *socket)
{
	enum io_result result;
	struct guest_pair *p;
	unsigned int i, count;

	TRY(guest_attach(g, socket, OPTIONS(.pairs = 1, .request_pages = 4)));
	p = &g->pair[0];
	for (i = p->nr_acks + 1; i < p->nr_acks + p->nr_data; i += 2)
		p->buffers[i].room = 1;
	TRY(guest_start_pair(g, 0));
	TRY(guest_store_many(g, 8, 4, &result));
	EXPECT(g, result == IO_OK, "store: result %d", result);
	for (i = 0; i < 4 * p->nr_data; i++) {
		count = i % 3 ? 4 : 1;
		TRY(guest_load_many(g, 8, count, &result));
		EXPECT(g, result == IO_OK, "load %u, of %u pages: result %d", i, count,
		       result);
	}
	return suite_check_answers(g);
}

/* A LOAD that no posted buffer has room for waits for one, and nothing else does. */
/* Checks: device-load-wait */
static int case_wait_for_room(struct guest *g, const char *socket)
{
	u8 page[4 * IO_PAGE_BYTES] __attribute__((aligned(4096)));
	bool done = false;
	struct io_op op = {
		.kind = IO_LOAD, .slot = 8, .count = 4, .page = page,
		.done = note_done, .arg = &done,
	};
	enum io_result result;
	struct guest_pair *p;
	unsigned int i;

	TRY(guest_attach(g, socket, OPTIONS(.pairs = 1, .request_pages = 4)));
	p = &g->pair[0];
	for (i = p->nr_acks; i < p->nr_acks + p->nr_data; i++)
		p->buffers[i].room = 1;
	TRY(guest_start_pair(g, 0));
	TRY(guest_store_many(g, 8, 4, &result));
	EXPECT(g, result == IO_OK, "store: result %d", result);
	EXPECT(g, !p->io.ops->submit(&p->io, &op), "no room for an operation");
	p->io.ops->flush(&p->io);
	for (i = 0; i < 2 * p->nr_data; i++) {
		TRY(guest_load_many(g, 8 + i % 4, 1, &result));
		EXPECT(g, result == IO_OK, "load of one page: result %d", result);
		EXPECT(g, !done, "the load of 4 pages: result %d", op.result);
	}
	/* Posted again with room for 4, as soon as it's used. */
	for (i = p->nr_acks; i < p->nr_acks + p->nr_data; i++)
		p->buffers[i].room = 4;
	TRY(guest_load_many(g, 8, 1, &result));
	while (!done)
		if (p->io.ops->poll(&p->io) < 0 || (!done && p->io.ops->wait(&p->io)))
			return guest_fail(g, "the load of 4 pages: %s", p->io.error);
	EXPECT(g, op.result == IO_OK, "the load of 4 pages: result %d", op.result);
	return suite_check_answers(g);
}

static int case_full_depth(struct guest *g, const char *socket)
{
	TRY(guest_connect(g, socket, OPTIONS(.pairs = 1)));
	return run_load_phases(g, 512, 112, 2000);
}

static int case_all_pairs(struct guest *g, const char *socket)
{
	TRY(guest_connect(g, socket, OPTIONS()));
	return run_load_phases(g, 2048, 32, 1000);
}

/* --- framing --- */

static int framing(struct guest *g, const char *socket, enum guest_framing how,
		   unsigned int pages)
{
	enum io_result result;

	TRY(guest_connect(g, socket, OPTIONS(.framing = how, .request_pages = pages)));
	TRY(guest_store_many(g, 100, pages, &result));
	EXPECT(g, result == IO_OK, "store: result %d", result);
	TRY(guest_load_many(g, 100, pages, &result));
	EXPECT(g, result == IO_OK, "load: result %d", result);
	return run_load_phases(g, 300, 32, 300);
}

/* Checks: device-request-framing */
static int case_joined(struct guest *g, const char *socket)
{
	return framing(g, socket, GUEST_JOINED, 1);
}

static int case_joined_many(struct guest *g, const char *socket)
{
	return framing(g, socket, GUEST_JOINED, 4);
}

static int case_shredded(struct guest *g, const char *socket)
{
	return framing(g, socket, GUEST_SHREDDED, 1);
}

static int case_shredded_many(struct guest *g, const char *socket)
{
	return framing(g, socket, GUEST_SHREDDED, 4);
}

/* Header and tag byte by byte, in 48 descriptors, and then the page. */
/* Checks: device-request-framing */
static int case_byte_by_byte(struct guest *g, const char *socket)
{
	struct vq_segment s[CSWAP_STORE_HEADER_BYTES(1) + 1];
	const u8 tag[VIRTIO_CSWAP_TAG_SIZE] = "sixteen bytes...";
	struct guest_pair *p;
	unsigned int i;
	u8 *header, *page;

	TRY(guest_connect(g, socket, OPTIONS(.pairs = 1)));
	p = &g->pair[0];
	header = p->requests[0].header;
	page = p->requests[0].pages;
	cswap_wire_put_store(header, p->probe_cookie, 77, 1);
	cswap_wire_put_tag(header, 0, tag);
	memset(page, 0x77, IO_PAGE_BYTES);
	for (i = 0; i < CSWAP_STORE_HEADER_BYTES(1); i++)
		s[i] = (struct vq_segment){ fe_guest_address(&g->fe, header + i), 1, false };
	s[i] = (struct vq_segment){ fe_guest_address(&g->fe, page), IO_PAGE_BYTES, false };
	TRY(guest_probe(p, s, i + 1));
	TRY(guest_probe_finish(p, 1));
	EXPECT(g, !p->probe_status && !p->probe_data, "store: status %u", p->probe_status);

	cswap_wire_put_load(header, p->probe_cookie, 77, 1);
	TRY(guest_probe(p, s, CSWAP_LOAD_HEADER_BYTES));
	TRY(guest_probe_finish(p, 2));
	EXPECT(g, !p->probe_status && p->probe_data, "load: status %u", p->probe_status);
	EXPECT(g, !memcmp(p->probe_page, page, IO_PAGE_BYTES) &&
	       !memcmp(p->probe_tag, tag, sizeof(tag)), "page or tag came back changed");
	return suite_check_answers(g);
}

/* Checks: device-request-unknown */
static int case_unknown_op(struct guest *g, const char *socket)
{
	struct virtio_cswap_request request = {
		.op = cpu_to_le16(0x7777), .count = cpu_to_le16(1),
	};
	struct guest_pair *p;
	struct vq_segment s;

	TRY(guest_connect(g, socket, OPTIONS(.pairs = 1)));
	p = &g->pair[0];
	request.cookie = cpu_to_le64(p->probe_cookie);
	memcpy(p->requests[0].header, &request, sizeof(request));
	s = (struct vq_segment){ fe_guest_address(&g->fe, p->requests[0].header),
				 sizeof(request), false };
	TRY(guest_probe(p, &s, 1));
	TRY(guest_probe_finish(p, 1));
	EXPECT(g, p->probe_status == VIRTIO_CSWAP_S_UNSUPP, "status %u", p->probe_status);
	return guest_check_pair(g, 0, 1);
}

/* --- discard --- */

static int expect_discard(struct guest *g, const struct guest_range *ranges,
			  unsigned int count, u32 expected)
{
	u32 status;

	TRY(guest_discard(g, ranges, count, &status));
	EXPECT(g, status == expected, "discard of %u ranges from %llu: status %u, not %u",
	       count, ranges[0].start, status, expected);
	return 0;
}

/*
 * The tags of 256 slots share a block; ranges that begin and end in the middle
 * of one, with a whole one between, must leave the rest of it alone.
 */
static int case_discard(struct guest *g, const char *socket)
{
	const struct guest_range ranges[] = { { 100, 50 }, { 200, 1 }, { 300, 500 } };
	enum io_result result;
	u64 slot;

	TRY(guest_connect(g, socket, OPTIONS()));
	for (slot = 90; slot < 820; slot++)
		TRY(expect_store(g, slot, IO_OK));
	TRY(expect_discard(g, ranges, 3, VIRTIO_CSWAP_S_OK));
	for (slot = 90; slot < 820; slot++) {
		bool gone = (slot >= 100 && slot < 150) || slot == 200 ||
			(slot >= 300 && slot < 800);

		TRY(guest_load(g, slot, &result));
		EXPECT(g, (result == IO_OK) == !gone, "slot %llu: result %d", slot, result);
	}
	for (slot = 90; slot < 820; slot++)
		TRY(store_and_load(g, slot));
	return suite_check_answers(g);
}

static int case_discard_many(struct guest *g, const char *socket)
{
	struct guest_range ranges[VIRTIO_CSWAP_MAX_RANGES];
	unsigned int i;

	TRY(guest_connect(g, socket, OPTIONS()));
	for (i = 0; i < VIRTIO_CSWAP_MAX_RANGES; i++)
		ranges[i] = (struct guest_range){ 4 * i, 2 };
	for (i = 0; i < 4 * VIRTIO_CSWAP_MAX_RANGES; i++)
		TRY(expect_store(g, i, IO_OK));
	TRY(expect_discard(g, ranges, VIRTIO_CSWAP_MAX_RANGES, VIRTIO_CSWAP_S_OK));
	for (i = 0; i < 4 * VIRTIO_CSWAP_MAX_RANGES; i++)
		if (i % 4 >= 2)
			TRY(expect_load(g, i, IO_OK));
	return 0;
}

static int case_discard_all(struct guest *g, const char *socket)
{
	struct guest_range all = { 0, 0 };

	TRY(guest_connect(g, socket, OPTIONS()));
	TRY(store_and_load(g, 5));
	all.count = g->geometry.capacity;
	TRY(expect_discard(g, &all, 1, VIRTIO_CSWAP_S_OK));
	TRY(store_and_load(g, 5));
	all.count++;
	TRY(expect_discard(g, &all, 1, VIRTIO_CSWAP_S_INVALID));
	return guest_check_pair(g, 0, 5);
}

/* A short discard isn't behind a long one that came before it. */
/* Checks: device-ctrl-data-path */
static int case_discard_short(struct guest *g, const char *socket)
{
	struct virtio_cswap_ctrl *header[2];
	struct vq_segment s[2];
	unsigned int i;
	void *token;
	u32 used;

	TRY(guest_connect(g, socket, OPTIONS(.pairs = 1, .extra_bytes = 3 * IO_PAGE_BYTES)));
	for (i = 0; i < 2; i++) {
		header[i] = fe_alloc(&g->fe, IO_PAGE_BYTES, 64);
		EXPECT(g, header[i], "%s", g->fe.error);
		cswap_wire_put_discard(header[i], 1);
		cswap_wire_put_range((struct virtio_cswap_range *)(header[i] + 1), 0,
				     i ? 1 : g->geometry.capacity);
		s[0] = (struct vq_segment){ fe_guest_address(&g->fe, header[i]),
					    CSWAP_CTRL_BYTES(1), false };
		s[1] = (struct vq_segment){ fe_guest_address(&g->fe, (u8 *)header[i] + 512),
					    sizeof(struct virtio_cswap_ctrl_response), true };
		EXPECT(g, !vq_add(&g->control, s, 2, header[i]), "no room");
	}
	vq_publish(&g->control);
	for (i = 2; i--;) {
		TRY(guest_await_control(g, &token, &used));
		EXPECT(g, token == header[i], "the long one is answered first");
	}
	return guest_check_pair(g, 0, 5);
}

/* Checks: device-ctrl-unsupp */
static int case_discard_not_negotiated(struct guest *g, const char *socket)
{
	struct guest_options o = *OPTIONS();
	const struct guest_range range = { 0, 1 };

	o.frontend.refuse_features = FE_BIT(VIRTIO_CSWAP_F_DISCARD);
	TRY(guest_connect(g, socket, &o));
	TRY(expect_store(g, 0, IO_OK));
	/* Refused, and so nothing of it is done. */
	TRY(expect_discard(g, &range, 1, VIRTIO_CSWAP_S_UNSUPP));
	return guest_check_pair(g, 0, 0);
}

/* Checks: device-ctrl-unsupp */
static int case_control_unknown(struct guest *g, const char *socket)
{
	static const u16 ops[] = {
		VIRTIO_CSWAP_CTRL_RELEASE, VIRTIO_CSWAP_CTRL_RECLAIM,
		VIRTIO_CSWAP_CTRL_EVENT, VIRTIO_CSWAP_CTRL_REPORT, 0, 0xffff,
	};
	struct guest_options o = *OPTIONS();
	unsigned int i;
	u32 used;

	o.frontend.refuse_features = FE_BIT(VIRTIO_CSWAP_F_BALLOON) |
				     FE_BIT(VIRTIO_CSWAP_F_REPORT);
	TRY(guest_connect(g, socket, &o));
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		const struct vq_segment s[] = {
			{ fe_guest_address(&g->fe, g->ctrl), CSWAP_CTRL_BYTES(1), false },
			{ fe_guest_address(&g->fe, g->ctrl_response),
			  sizeof(*g->ctrl_response), true },
		};

		cswap_wire_put_discard(g->ctrl, 1);
		g->ctrl->op = cpu_to_le16(ops[i]);
		TRY(guest_control(g, s, 2, &used));
		EXPECT(g, cswap_wire_get_ctrl_status(g->ctrl_response, used) ==
		       VIRTIO_CSWAP_S_UNSUPP, "control op 0x%x: not UNSUPP", ops[i]);
	}
	return guest_check_pair(g, 0, 0);
}

/* --- rings --- */

static int case_ring_sizes(struct guest *g, const char *socket)
{
	static const unsigned int sizes[] = { 8, 16, 64, 1024 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		guest_disconnect(g);
		TRY(guest_connect(g, socket, OPTIONS(.pairs = 1, .ring_size = sizes[i])));
		TRY(run_load_phases(g, 256, sizes[i] / 8, 200));
		TRY(run_load_phases(g, 512, 128, 500));
	}
	return 0;
}

static int case_indices_wrap(struct guest *g, const char *socket)
{
	const struct guest_range range = { 0, 1 };
	unsigned int i;

	TRY(guest_connect(g, socket, OPTIONS(.pairs = 1, .base = 0xfff0)));
	for (i = 0; i < 40; i++) {
		TRY(store_and_load(g, 0));
		TRY(expect_discard(g, &range, 1, VIRTIO_CSWAP_S_OK));
	}
	return run_load_phases(g, 256, 64, 1000);
}

static int case_event_idx_off(struct guest *g, const char *socket)
{
	struct guest_options o = *OPTIONS();
	unsigned int i;

	o.frontend.refuse_features = FE_BIT(VIRTIO_RING_F_EVENT_IDX);
	TRY(guest_connect(g, socket, &o));
	for (i = 0; i < 100; i++)
		TRY(store_and_load(g, i));
	return run_load_phases(g, 1024, 32, 500);
}

/* Each operation sleeps on both sides: a lost wake-up would hang here. */
static int case_ping_pong(struct guest *g, const char *socket)
{
	u64 kicks, interrupts;
	struct guest_pair *p;
	unsigned int i;

	TRY(guest_connect(g, socket, OPTIONS(.pairs = 1)));
	p = &g->pair[0];
	for (i = 0; i < 1500; i++)
		TRY(store_and_load(g, i % 64));
	p->io.ops->count_signals(&p->io, &kicks, &interrupts);
	EXPECT(g, interrupts <= p->answers + 2, "%llu interrupts for %llu answers",
	       interrupts, p->answers);
	return suite_check_answers(g);
}

struct burst {
	struct io_op op[64];
	u8 page[64][IO_PAGE_BYTES] __attribute__((aligned(4096)));
	unsigned int pending;
	unsigned int failed;
};

static void burst_done(struct io_op *op, void *arg)
{
	struct burst *b = arg;

	b->pending--;
	b->failed += op->result != IO_OK;
	if (op->kind == IO_LOAD && op->result == IO_OK)
		b->failed += !io_is_page(op->page, op->slot, op->counter);
}

/* Submit @count operations of pair 0, without looking for their ends. */
static int burst_start(struct guest *g, struct burst *b, enum io_kind kind,
		       unsigned int count)
{
	struct guest_pair *p = &g->pair[0];
	unsigned int i;

	b->pending = count;
	b->failed = 0;
	for (i = 0; i < count; i++) {
		struct io_op *op = &b->op[i];

		*op = (struct io_op){
			.kind = kind, .slot = i, .count = 1, .page = b->page[i],
			.done = burst_done, .arg = b,
		};
		if (kind == IO_STORE) {
			op->counter = io_next_counter(&g->records, 1);
			io_make_page(op->page, op->slot, op->counter);
		}
		if (p->io.ops->submit(&p->io, op))
			return guest_fail(g, "no room for operation %u", i);
	}
	p->io.ops->flush(&p->io);
	return 0;
}

static int burst_finish(struct guest *g, struct burst *b, bool sleep)
{
	struct guest_pair *p = &g->pair[0];

	while (b->pending)
		if (p->io.ops->poll(&p->io) < 0 ||
		    (sleep && b->pending && p->io.ops->wait(&p->io)))
			return guest_fail(g, "%u operations left: %s", b->pending,
					  p->io.error);
	EXPECT(g, !b->failed, "%u operations failed", b->failed);
	return 0;
}

static struct burst burst;

/* A guest that polls gets no interrupts, however much is answered. */
static int polled(struct guest *g, const char *socket, u64 refuse)
{
	struct guest_options o = *OPTIONS(.pairs = 1);
	u64 kicks, interrupts;
	unsigned int i;

	o.frontend.refuse_features = refuse;
	TRY(guest_connect(g, socket, &o));
	for (i = 0; i < 20; i++) {
		TRY(burst_start(g, &burst, IO_STORE, 64));
		TRY(burst_finish(g, &burst, false));
		TRY(burst_start(g, &burst, IO_LOAD, 32));
		TRY(burst_finish(g, &burst, false));
	}
	g->pair[0].io.ops->count_signals(&g->pair[0].io, &kicks, &interrupts);
	/* One for each ring: the first answer, whose event index is its start. */
	EXPECT(g, interrupts <= 2, "%llu interrupts that nobody asked for", interrupts);
	return suite_check_answers(g);
}

static int case_polled(struct guest *g, const char *socket)
{
	return polled(g, socket, 0);
}

static int case_polled_flag(struct guest *g, const char *socket)
{
	return polled(g, socket, FE_BIT(VIRTIO_RING_F_EVENT_IDX));
}

/* Acks never wait for company: a single STORE is answered on an idle pair. */
/* Checks: device-response-withhold */
static int case_lone_acks(struct guest *g, const char *socket)
{
	unsigned int i;

	TRY(guest_connect(g, socket, OPTIONS(.pairs = 1)));
	for (i = 1; i <= 33; i++) {
		TRY(burst_start(g, &burst, IO_STORE, i));
		TRY(burst_finish(g, &burst, true));
	}
	return suite_check_answers(g);
}

/* --- stop and start --- */

static int case_stop_start(struct guest *g, const char *socket)
{
	struct guest_pair *p;
	unsigned int i;

	TRY(guest_connect(g, socket, OPTIONS(.pairs = 1)));
	p = &g->pair[0];
	for (i = 0; i < 100; i++) {
		TRY(burst_start(g, &burst, i % 2 ? IO_LOAD : IO_STORE, i % 2 ? 32 : 64));
		TRY(guest_stop_pair(p));
		EXPECT(g, p->request_base == p->request.used->idx,
		       "requests stopped at %u, but %u came back", p->request_base,
		       p->request.used->idx);
		TRY(guest_resume_pair(p));
		TRY(burst_finish(g, &burst, true));
	}
	/* No buffer was lost on the way. */
	return run_load_phases(g, 512, 112, 1000);
}

/* What came while a pair was stopped is served when it goes on. */
static int case_requests_while_stopped(struct guest *g, const char *socket)
{
	struct guest_pair *p;

	TRY(guest_connect(g, socket, OPTIONS(.pairs = 1)));
	p = &g->pair[0];
	TRY(guest_stop_pair(p));
	TRY(burst_start(g, &burst, IO_STORE, 64));
	EXPECT(g, p->request.used->idx == p->request_base, "a stopped pair serves");
	TRY(guest_resume_pair(p));
	TRY(burst_finish(g, &burst, true));
	TRY(burst_start(g, &burst, IO_LOAD, 32));
	return burst_finish(g, &burst, true);
}

/* Requests of pair 0 wait while its ring @vq is disabled; pair 1 goes on. */
static int burst_over_disabled(struct guest *g, struct virtqueue *vq, enum io_kind kind)
{
	u16 used;

	TRY_FE(g, fe_enable_vq(&g->fe, vq->index, false));
	used = vq->used->idx;
	TRY(burst_start(g, &burst, kind, 16));
	/* Where one thread serves both, it has seen the kick when this is over. */
	TRY(guest_check_pair(g, 1, GUEST_SHARD_SLOTS));
	EXPECT(g, vq->used->idx == used, "virtqueue %u is served though disabled",
	       vq->index);
	TRY_FE(g, fe_enable_vq(&g->fe, vq->index, true));
	return burst_finish(g, &burst, true);
}

static int case_disabled_ring(struct guest *g, const char *socket)
{
	struct guest_pair *p;

	TRY(guest_connect(g, socket, OPTIONS(.pairs = 2)));
	p = &g->pair[0];
	TRY(burst_over_disabled(g, &p->request, IO_STORE));
	TRY(burst_over_disabled(g, &p->response, IO_LOAD));
	TRY(burst_over_disabled(g, &p->request, IO_LOAD));
	TRY(burst_over_disabled(g, &p->response, IO_STORE));
	return suite_check_answers(g);
}

/* A VMM gives another call eventfd whenever the guest masks its interrupt. */
static int case_new_call_fd(struct guest *g, const char *socket)
{
	struct guest_pair *p;
	unsigned int i;

	TRY(guest_connect(g, socket, OPTIONS(.pairs = 1)));
	p = &g->pair[0];
	for (i = 0; i < 50; i++) {
		struct virtqueue *vq = &p->response;
		int old = vq->call_fd;

		TRY(burst_start(g, &burst, IO_STORE, 16));
		vq->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		TRY_FE(g, fe_tell_call(&g->fe, vq));
		/* What was signalled before the change counts for the guest as well. */
		TRY(burst_finish(g, &burst, false));
		close(old);
		TRY(burst_start(g, &burst, IO_LOAD, 16));
		TRY(burst_finish(g, &burst, true));
	}
	return suite_check_answers(g);
}

/* Checks: device-init-keep, device-config-shrink */
static int case_reset_device(struct guest *g, const char *socket)
{
	struct virtio_cswap_config before, after;
	unsigned int i;

	TRY(guest_connect(g, socket, OPTIONS(.pairs = 1)));
	TRY_FE(g, fe_read_config(&g->fe, 0, &before, sizeof(before)));
	TRY(store_and_load(g, 9));
	for (i = 0; i < 3; i++) {
		struct fe_message m = { .header = { FE_RESET_DEVICE, 0, 0 } };

		if (g->fe.protocol & FE_BIT(FE_PROTOCOL_RESET))
			TRY_FE(g, fe_tell(&g->fe, &m, NULL, 0));
		TRY_FE(g, fe_set_status(&g->fe, 0));
		TRY_FE(g, fe_start_features(&g->fe));
		TRY_FE(g, fe_read_config(&g->fe, 0, &after, sizeof(after)));
		EXPECT(g, after.capacity == before.capacity &&
		       after.slot_size == before.slot_size, "slots changed by a reset");
		TRY(guest_start_control(g));
		TRY(guest_start_pair(g, 0));
		TRY(expect_load(g, 9, IO_OK));
	}
	return run_load_phases(g, 256, 32, 200);
}

/* --- front ends --- */

static int case_uml(struct guest *g, const char *socket)
{
	struct guest_options o = *OPTIONS();
	unsigned int i;

	o.frontend.style = FE_STYLE_UML;
	TRY(guest_connect(g, socket, &o));
	/* It would accept the feature, and fail for want of a DMA API. */
	EXPECT(g, !(g->fe.offered & FE_BIT(VIRTIO_F_ACCESS_PLATFORM)),
	       "ACCESS_PLATFORM is offered");
	TRY(run_load_phases(g, 1024, 32, 500));
	/* Removal: the rings are disabled, nothing is asked of their state. */
	for (i = 0; i < 3; i++) {
		TRY(guest_reconnect(g));
		TRY(expect_load(g, 1, IO_OK));
		TRY(guest_stop_pair(&g->pair[0]));
	}
	return 0;
}

static int case_regions(struct guest *g, const char *socket)
{
	struct guest_options o = *OPTIONS();

	o.frontend.regions = FE_MAX_REGIONS;
	TRY(guest_connect(g, socket, &o));
	return run_load_phases(g, 1024, 32, 500);
}

static int case_mem_table(struct guest *g, const char *socket)
{
	struct guest_options o = *OPTIONS();

	o.frontend.regions = 3;
	o.frontend.refuse_protocol = FE_BIT(FE_PROTOCOL_MEM_SLOTS) |
		FE_BIT(FE_PROTOCOL_STATUS) | FE_BIT(FE_PROTOCOL_RESET);
	TRY(guest_connect(g, socket, &o));
	return run_load_phases(g, 1024, 32, 500);
}

static int case_no_reply_ack(struct guest *g, const char *socket)
{
	struct guest_options o = *OPTIONS();

	o.frontend.refuse_protocol = FE_BIT(FE_PROTOCOL_REPLY_ACK) |
		FE_BIT(FE_PROTOCOL_BACKEND_REQ);
	TRY(guest_connect(g, socket, &o));
	return run_load_phases(g, 512, 32, 200);
}

/* Checks: device-vq-fewer-pairs */
static int case_one_of_many_pairs(struct guest *g, const char *socket)
{
	TRY(guest_attach(g, socket, OPTIONS()));
	TRY(guest_start_pair(g, g->pairs - 1));
	/* The control queue is optional to a guest that never discards. */
	return guest_check_pair(g, g->pairs - 1, 11);
}

/* A new table of the same memory arrives while requests are under way. */
static int case_table_again(struct guest *g, const char *socket)
{
	struct guest_options o = *OPTIONS(.pairs = 1);
	unsigned int i;

	o.frontend.regions = 2;
	o.frontend.refuse_protocol = FE_BIT(FE_PROTOCOL_MEM_SLOTS);
	TRY(guest_connect(g, socket, &o));
	for (i = 0; i < 100; i++) {
		TRY(burst_start(g, &burst, i % 2 ? IO_LOAD : IO_STORE, i % 2 ? 32 : 64));
		TRY_FE(g, fe_share_table(&g->fe, false));
		TRY(burst_finish(g, &burst, true));
	}
	return suite_check_answers(g);
}

static int case_reconnect(struct guest *g, const char *socket)
{
	unsigned int i;

	TRY(guest_connect(g, socket, OPTIONS()));
	for (i = 0; i < 64; i++)
		TRY(expect_store(g, i, IO_OK));
	for (i = 0; i < 10; i++) {
		TRY(guest_reconnect(g));
		TRY(expect_load(g, i, IO_OK));
	}
	for (i = 0; i < 64; i++)
		TRY(expect_load(g, i, IO_OK));
	return 0;
}

/* A VMM that dies leaves requests behind; the next one is served all the same. */
static int case_hang_up_under_load(struct guest *g, const char *socket)
{
	unsigned int i;

	TRY(guest_connect(g, socket, OPTIONS(.pairs = 1)));
	for (i = 0; i < 20; i++) {
		TRY(burst_start(g, &burst, IO_STORE, 64));
		TRY(guest_reconnect(g));
		TRY(store_and_load(g, 100 + i));
	}
	return 0;
}

/* One guest at a time: a second connection doesn't disturb the first. */
static int case_second_connection(struct guest *g, const char *socket)
{
	struct frontend second = { .memory_fd = -1 };
	struct fe_message m = { .header = { FE_GET_FEATURES, FE_VERSION, 0 } };
	int rc;

	TRY(guest_connect(g, socket, OPTIONS(.pairs = 1)));
	TRY(store_and_load(g, 1));
	rc = fe_connect_raw(&second, socket);
	if (!rc) {
		(void)fe_send(&second, &m, NULL, 0);
		rc = store_and_load(g, 2);
		fe_disconnect(&second);
		TRY(rc);
	}
	TRY(store_and_load(g, 3));
	TRY(guest_reconnect(g));
	return expect_load(g, 1, IO_OK);
}

static const struct suite_case cases[] = {
	{ "features and queues that the driver needs", case_features },
	{ "configuration reads the same in parts", case_config_parts },
	{ "configuration can't be written", case_config_readonly },
	{ "each pair stores and loads", case_each_pair },
	{ "any pair serves any slot", case_any_pair_any_slot },
	{ "the newest store is what loads", case_overwrite },
	{ "first and last slot, none beyond", case_borders },
	{ "a slot never stored is answered and doesn't open", case_never_stored },
	{ "requests of 1 to the most pages", case_many_pages },
	{ "data buffers of several sizes", case_mixed_buffers },
	{ "a load waits for a buffer with room, alone", case_wait_for_room },
	{ "as much outstanding as the ring takes", case_full_depth },
	{ "all pairs at once", case_all_pairs },
	{ "header and page in one descriptor", case_joined },
	{ "header and 4 pages in one descriptor", case_joined_many },
	{ "headers in pieces", case_shredded },
	{ "headers in pieces, 4 pages apart", case_shredded_many },
	{ "a header byte by byte", case_byte_by_byte },
	{ "an unknown request is UNSUPP", case_unknown_op },
	{ "discard forgets its slots and no others", case_discard },
	{ "discard of 64 ranges", case_discard_many },
	{ "discard of everything, and no more", case_discard_all },
	{ "a short discard overtakes a long one", case_discard_short },
	{ "discard is UNSUPP unless negotiated", case_discard_not_negotiated },
	{ "unknown and not negotiated control requests are UNSUPP", case_control_unknown },
	{ "rings of 8 to 1024 entries", case_ring_sizes },
	{ "ring indices wrap", case_indices_wrap },
	{ "without event indices", case_event_idx_off },
	{ "one at a time, asleep between", case_ping_pong },
	{ "no interrupts for a guest that polls", case_polled },
	{ "no interrupts for a guest that polls, by flag", case_polled_flag },
	{ "acks don't wait for company", case_lone_acks },
	{ "stop and start under load", case_stop_start },
	{ "requests while stopped are served later", case_requests_while_stopped },
	{ "disable and enable a ring", case_disabled_ring },
	{ "a new call descriptor under load", case_new_call_fd },
	{ "reset, and start again", case_reset_device },
	{ "as user-mode Linux does it", case_uml },
	{ "memory in 8 regions", case_regions },
	{ "memory by table, no status", case_mem_table },
	{ "without replies", case_no_reply_ack },
	{ "one of many pairs, no control queue", case_one_of_many_pairs },
	{ "the memory table again under load", case_table_again },
	{ "reconnect finds what was stored", case_reconnect },
	{ "hang up under load", case_hang_up_under_load },
	{ "a second connection doesn't disturb", case_second_connection },
};

int run_functional(const char *socket, const char *filter)
{
	return suite_run(socket, filter, cases, ARRAY_SIZE(cases));
}
