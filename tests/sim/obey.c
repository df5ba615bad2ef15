// SPDX-License-Identifier: GPL-2.0-only
/*
 * obey.c - a guest that releases what it is asked to, down to a floor of its own.
 *
 * For tests of what an operator sees. It knows EVENTs, answers them by RELEASE
 * and RECLAIM in blocks of 2 MiB, and reports after each and now and then. It ends
 * when the daemon hangs up.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <asm/byteorder.h>

#include "suite.h"
#include "suites.h"

#define BLOCK		(2 * 1024 * 1024ull)
/* So much it has, and so much it can do without. */
#define BLOCKS		32
#define FLOOR		(24 * BLOCK)
#define REPORT_MS	200

struct obedient {
	struct guest *g;
	u8 *base;
	u64 address;
	u64 released;			/* from @address on */
	u64 target;
	bool has_news;			/* @event was used */
	bool has_answer;		/* the other request was */
	u32 used;			/* of the last one */
	struct virtio_cswap_ctrl *event_ctrl;
	struct virtio_cswap_event *event;
};

/* Wait for a used buffer and note whose it is; 1: none came in time. */
static int await_used(struct obedient *o, int timeout_ms)
{
	struct guest *g = o->g;
	struct pollfd fds[] = {
		{ .fd = g->control.call_fd, .events = POLLIN },
		{ .fd = g->fe.socket, .events = POLLIN },
	};
	void *token;
	int rc;

	while (!(rc = vq_take(&g->control, &token, &o->used))) {
		if (!vq_arm(&g->control))
			continue;
		rc = poll(fds, 2, timeout_ms);
		vq_drain_call(&g->control);
		if (!rc)
			return 1;
		EXPECT(g, fds[0].revents || !fds[1].revents || !fe_is_closed(&g->fe),
		       "the daemon has hung up");
	}
	EXPECT(g, rc > 0, "the control queue is corrupt");
	if (token == o)
		o->has_news = true;
	else
		o->has_answer = true;
	return 0;
}

static int send_request(struct obedient *o, u16 op, const void *payload, size_t bytes,
			unsigned int count)
{
	struct guest *g = o->g;
	const struct vq_segment s[] = {
		{ fe_guest_address(&g->fe, g->ctrl), sizeof(*g->ctrl) + bytes, false },
		{ fe_guest_address(&g->fe, g->ctrl_response),
		  sizeof(*g->ctrl_response), true },
	};
	u32 status;

	*g->ctrl = (struct virtio_cswap_ctrl) {
		.op = cpu_to_le16(op), .count = cpu_to_le16(count),
	};
	memcpy(g->ctrl + 1, payload, bytes);
	EXPECT(g, !vq_add(&g->control, s, 2, g), "no room in the control queue");
	vq_publish(&g->control);
	for (o->has_answer = false; !o->has_answer;)
		EXPECT(g, !await_used(o, FE_PATIENCE_MS), "no answer");
	status = cswap_wire_get_ctrl_status(g->ctrl_response, sizeof(*g->ctrl_response));
	EXPECT(g, status == VIRTIO_CSWAP_S_OK, "request 0x%x: status %u", op, status);
	return 0;
}

static int send_range(struct obedient *o, u16 op, u64 from, u64 to)
{
	const struct virtio_cswap_mem_range range = {
		.addr = cpu_to_le64(o->address + from), .len = cpu_to_le64(to - from),
	};

	return send_request(o, op, &range, sizeof(range), 1);
}

static int send_report(struct obedient *o)
{
	const struct virtio_cswap_report report = {
		.size = cpu_to_le64(BLOCKS * BLOCK),
		.released = cpu_to_le64(o->released),
		.target = cpu_to_le64(o->target),
		.floor = cpu_to_le64(BLOCKS * BLOCK - FLOOR),
		.available = cpu_to_le64(BLOCKS * BLOCK - o->released),
		/* 100 us each, which nobody has waited. */
		.swap_in = cpu_to_le64(1000),
		.swap_in_ns = cpu_to_le64(100000000),
		.stopped = cpu_to_le32(o->target > FLOOR ? VIRTIO_CSWAP_STOP_FLOOR :
							   VIRTIO_CSWAP_STOP_NONE),
	};

	return send_request(o, VIRTIO_CSWAP_CTRL_REPORT, &report, sizeof(report), 0);
}

static int do_as_told(struct obedient *o)
{
	u64 want = (o->target < FLOOR ? o->target : FLOOR) / BLOCK * BLOCK;

	if (want > o->released)
		TRY(send_range(o, VIRTIO_CSWAP_CTRL_RELEASE, o->released, want));
	if (want < o->released) {
		TRY(send_range(o, VIRTIO_CSWAP_CTRL_RECLAIM, want, o->released));
		memset(o->base + want, 0x5a, o->released - want);
	}
	o->released = want;
	return send_report(o);
}

static int post_event(struct obedient *o)
{
	struct guest *g = o->g;
	const struct vq_segment s[] = {
		{ fe_guest_address(&g->fe, o->event_ctrl), sizeof(*o->event_ctrl), false },
		{ fe_guest_address(&g->fe, o->event), sizeof(*o->event), true },
	};

	o->event_ctrl->op = cpu_to_le16(VIRTIO_CSWAP_CTRL_EVENT);
	o->has_news = false;
	EXPECT(g, !vq_add(&g->control, s, 2, o), "no room in the control queue");
	vq_publish(&g->control);
	return 0;
}

static int await_target(struct obedient *o)
{
	int rc;

	TRY(post_event(o));
	while (!o->has_news) {
		rc = await_used(o, REPORT_MS);
		if (rc < 0 || (rc && send_report(o)))
			return -1;
	}
	EXPECT(o->g, !o->event->status, "an event that failed");
	o->target = le64_to_cpu(o->event->target);
	return 0;
}

static int obey(struct obedient *o, const char *socket)
{
	const struct guest_options options = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 1 },
		.pairs = 1, .extra_bytes = (BLOCKS + 1) * BLOCK,
	};
	struct guest *g = o->g;

	TRY(guest_connect(g, socket, &options));
	o->base = fe_alloc(&g->fe, BLOCKS * BLOCK, BLOCK);
	o->event_ctrl = fe_alloc(&g->fe, sizeof(*o->event_ctrl), 64);
	o->event = fe_alloc(&g->fe, sizeof(*o->event), 64);
	EXPECT(g, o->base && o->event_ctrl && o->event, "%s", g->fe.error);
	o->address = fe_guest_address(&g->fe, o->base);
	memset(o->base, 0x5a, BLOCKS * BLOCK);
	puts("ready");
	for (;;) {
		TRY(await_target(o));
		TRY(do_as_told(o));
	}
}

/* A driver that serves the store alone. */
static int decline(struct obedient *o, const char *socket)
{
	const struct guest_options options = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 1,
			      .refuse_features = FE_BIT(VIRTIO_CSWAP_F_BALLOON) },
		.pairs = 1, .extra_bytes = (BLOCKS + 1) * BLOCK,
	};

	TRY(guest_connect(o->g, socket, &options));
	puts("ready");
	for (;;)
		TRY(await_used(o, -1));
}

static int run_guest(const char *socket, int (*be)(struct obedient *o, const char *socket))
{
	static struct guest g;
	struct obedient o = { .g = &g };
	bool hung_up;

	g.fe.socket = g.fe.memory_fd = g.fe.backend_request_fd = -1;
	be(&o, socket);
	hung_up = g.fe.socket >= 0 && fe_is_closed(&g.fe);
	if (!hung_up)
		fprintf(stderr, "cswap-sim: %s\n", g.error);
	guest_disconnect(&g);
	return hung_up ? 0 : 1;
}

int run_obey(const char *socket, const char *unused)
{
	(void)unused;
	return run_guest(socket, obey);
}

int run_decline(const char *socket, const char *unused)
{
	(void)unused;
	return run_guest(socket, decline);
}
