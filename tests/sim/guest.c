// SPDX-License-Identifier: GPL-2.0-only
/*
 * guest.c - a guest that swaps: from connection to working queue pairs, and
 * operations one at a time. The data path is in guest_pair.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sodium.h>
#include <asm/byteorder.h>

#include "cswap-seal/sealed_page.h"
#include "guest.h"

#define CONTROL_RING_SIZE	64
#define DEFAULT_RECORDS		(1u << 20)

int guest_fail(struct guest *g, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(g->error, sizeof(g->error), format, args);
	va_end(args);
	return -1;
}

static int frontend_failed(struct guest *g)
{
	return guest_fail(g, "%s", g->fe.error);
}

/* --- connection --- */

static size_t control_bytes(void)
{
	return VQ_DESC_BYTES(CONTROL_RING_SIZE) + VQ_AVAIL_BYTES(CONTROL_RING_SIZE) +
		VQ_USED_BYTES(CONTROL_RING_SIZE) +
		CSWAP_CTRL_BYTES(VIRTIO_CSWAP_MAX_RANGES) + 2 * IO_PAGE_BYTES;
}

static int make_records(struct guest *g)
{
	u64 slots = g->options.slots;

	if (!slots)
		slots = DEFAULT_RECORDS;
	if (slots > g->geometry.capacity)
		slots = g->geometry.capacity;
	g->records.slots = slots;
	g->records.next = 1;
	g->records.counter = calloc(slots, sizeof(u64));
	return g->records.counter ? 0 : guest_fail(g, "no memory for records");
}

static int read_geometry(struct guest *g)
{
	struct virtio_cswap_config config;
	const char *wrong;

	if (fe_read_config(&g->fe, 0, &config, sizeof(config)))
		return frontend_failed(g);
	wrong = cswap_wire_check_config(&config, g->fe.features, &g->geometry);
	if (wrong)
		return guest_fail(g, "the device's configuration: %s", wrong);
	if (!g->options.pairs)
		g->options.pairs = g->geometry.queue_pairs;
	if (g->options.pairs > g->geometry.queue_pairs)
		return guest_fail(g, "the device has %u queue pairs, not %u",
				  g->geometry.queue_pairs, g->options.pairs);
	if (g->options.request_pages > g->geometry.max_request_pages)
		return guest_fail(g, "the device takes %u pages a request, not %u",
				  g->geometry.max_request_pages,
				  g->options.request_pages);
	return 0;
}

static int make_queues(struct guest *g)
{
	unsigned int i;

	g->pairs = g->options.pairs;
	g->pair = calloc(g->pairs, sizeof(*g->pair));
	if (!g->pair)
		return guest_fail(g, "no memory");
	g->ctrl = fe_alloc(&g->fe, CSWAP_CTRL_BYTES(VIRTIO_CSWAP_MAX_RANGES), 64);
	g->ctrl_response = fe_alloc(&g->fe, sizeof(*g->ctrl_response), 64);
	if (!g->ctrl || !g->ctrl_response ||
	    fe_init_vq(&g->fe, &g->control, VIRTIO_CSWAP_VQ_CONTROL, CONTROL_RING_SIZE))
		return frontend_failed(g);
	for (i = 0; i < g->pairs; i++)
		if (guest_pair_init(g, i))
			return -1;
	return 0;
}

int guest_attach(struct guest *g, const char *path,
		 const struct guest_options *options)
{
	const char *wrong = sealed_page_init();
	struct fe_options *fo;

	memset(g, 0, sizeof(*g));
	g->fe.socket = g->fe.memory_fd = g->fe.backend_request_fd = -1;
	g->fe.inflight_fd = -1;
	g->path = path;
	g->options = *options;
	if (!g->options.ring_size)
		g->options.ring_size = GUEST_RING_SIZE;
	if (!g->options.request_pages)
		g->options.request_pages = 1;
	if (wrong && !g->options.no_seal)
		return guest_fail(g, "%s", wrong);
	randombytes_buf(g->key, sizeof(g->key));
	g->device = 1;

	/* Memory precedes the configuration, so it is for all pairs there may be. */
	fo = &g->options.frontend;
	if (!fo->regions)
		fo->regions = 1;
	fo->memory_bytes = control_bytes() + guest_pair_bytes(&g->options) *
		(g->options.pairs ? g->options.pairs : VIRTIO_CSWAP_MAX_QUEUE_PAIRS);
	/* What doesn't fit at the end of a region is lost. */
	fo->memory_bytes += fo->regions * guest_pair_bytes(&g->options);
	fo->memory_bytes += g->options.extra_bytes;
	if (fe_connect(&g->fe, path, fo))
		return frontend_failed(g);
	if (read_geometry(g) || make_records(g) || make_queues(g))
		return -1;
	return fe_start(&g->fe) ? frontend_failed(g) : 0;
}

int guest_start_control(struct guest *g)
{
	vq_reset(&g->control, g->options.base);
	return fe_start_vq(&g->fe, &g->control, g->options.base) ? frontend_failed(g) : 0;
}

int guest_start_pair(struct guest *g, unsigned int index)
{
	struct guest_pair *p = &g->pair[index];
	u16 base = g->options.base;

	guest_pair_reset(p);
	if (fe_start_vq(&g->fe, &p->request, base) ||
	    fe_start_vq(&g->fe, &p->response, base))
		return frontend_failed(g);
	p->started = true;
	vq_publish(&p->response);
	return 0;
}

static int start_all(struct guest *g)
{
	unsigned int i;

	if (guest_start_control(g))
		return -1;
	for (i = 0; i < g->pairs; i++)
		if (guest_start_pair(g, i))
			return -1;
	return 0;
}

int guest_connect(struct guest *g, const char *path,
		  const struct guest_options *options)
{
	return guest_attach(g, path, options) ? -1 : start_all(g);
}

int guest_reconnect(struct guest *g)
{
	fe_forget_inflight(&g->fe);
	if (fe_reconnect(&g->fe, g->path, &g->options.frontend) || fe_start(&g->fe))
		return frontend_failed(g);
	return start_all(g);
}

int guest_hang_up_fd(const struct guest *g)
{
	return g->options.frontend.inflight || g->options.moves ? -1 : g->fe.socket;
}

int guest_stop(struct guest *g)
{
	unsigned int i;

	for (i = 0; i < g->pairs; i++)
		if (guest_stop_pair(&g->pair[i]))
			return -1;
	return fe_stop_vq(&g->fe, &g->control, &g->control_base) ? frontend_failed(g) : 0;
}

/* What QEMU takes for the base of a ring whose backend can't be asked any more. */
static u16 used_index(const struct virtqueue *vq)
{
	return __atomic_load_n(&vq->used->idx, __ATOMIC_ACQUIRE);
}

static void take_bases(struct guest *g)
{
	unsigned int i;

	g->control_base = used_index(&g->control);
	for (i = 0; i < g->pairs; i++) {
		g->pair[i].request_base = used_index(&g->pair[i].request);
		g->pair[i].response_base = used_index(&g->pair[i].response);
	}
}

/* There's no event for a socket that listens again. */
static int connect_again(struct guest *g)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	unsigned int tries;

	for (tries = 0; tries < FE_PATIENCE_MS / 2; tries++) {
		if (!fe_reconnect(&g->fe, g->path, &g->options.frontend))
			return 0;
		nanosleep(&pause, NULL);
	}
	return frontend_failed(g);
}

int guest_log_rings(struct guest *g)
{
	unsigned int i;

	if (fe_tell_address(&g->fe, &g->control))
		return frontend_failed(g);
	for (i = 0; i < g->pairs; i++)
		if (fe_tell_address(&g->fe, &g->pair[i].request) ||
		    fe_tell_address(&g->fe, &g->pair[i].response))
			return frontend_failed(g);
	return 0;
}

int guest_come_back(struct guest *g, bool stopped)
{
	if (connect_again(g))
		return -1;
	if (!stopped)
		take_bases(g);
	if (g->state_bytes && fe_load_state(&g->fe, g->state, g->state_bytes))
		return frontend_failed(g);
	g->state_bytes = 0;
	return fe_start(&g->fe) ? frontend_failed(g) : guest_resume(g);
}

int guest_resume(struct guest *g)
{
	unsigned int i;

	if (fe_start_vq(&g->fe, &g->control, g->control_base))
		return frontend_failed(g);
	for (i = 0; i < g->pairs; i++)
		if (fe_start_vq(&g->fe, &g->pair[i].request, g->pair[i].request_base) ||
		    fe_start_vq(&g->fe, &g->pair[i].response, g->pair[i].response_base))
			return frontend_failed(g);
	return 0;
}

void guest_disconnect(struct guest *g)
{
	unsigned int i;

	for (i = 0; i < g->pairs && g->pair; i++)
		guest_pair_free(&g->pair[i]);
	vq_close(&g->control);
	fe_disconnect(&g->fe);
	free(g->pair);
	free(g->records.counter);
	g->pair = NULL;
	g->pairs = 0;
	g->records.counter = NULL;
}

int guest_stop_pair(struct guest_pair *p)
{
	struct frontend *fe = &p->guest->fe;

	if (fe_stop_vq(fe, &p->request, &p->request_base) ||
	    fe_stop_vq(fe, &p->response, &p->response_base))
		return frontend_failed(p->guest);
	p->started = false;
	return 0;
}

int guest_resume_pair(struct guest_pair *p)
{
	struct frontend *fe = &p->guest->fe;

	if (fe_start_vq(fe, &p->request, p->request_base) ||
	    fe_start_vq(fe, &p->response, p->response_base))
		return frontend_failed(p->guest);
	p->started = true;
	/* A ring starts with a kick. */
	vq_kick(&p->response);
	vq_kick(&p->request);
	return 0;
}

/* --- one operation at a time --- */

struct guest_pair *guest_pair_of(struct guest *g, u64 slot)
{
	return &g->pair[slot / GUEST_SHARD_SLOTS % g->pairs];
}

static void note_done(struct io_op *op, void *arg)
{
	(void)op;
	*(bool *)arg = true;
}

static int run_one(struct guest_pair *p, struct io_op *op)
{
	bool done = false;

	op->done = note_done;
	op->arg = &done;
	if (p->io.ops->submit(&p->io, op))
		return guest_fail(p->guest, "no room for an operation");
	p->io.ops->flush(&p->io);
	while (!done)
		if (p->io.ops->poll(&p->io) < 0 || (!done && p->io.ops->wait(&p->io)))
			return guest_fail(p->guest, "slot %llu: %s", op->slot,
					  p->io.error);
	return 0;
}

static int store_by(struct guest_pair *p, u64 slot, unsigned int count,
		    enum io_result *result)
{
	struct io_op op = { .kind = IO_STORE, .slot = slot, .count = count };
	unsigned int k;
	int rc;

	op.page = aligned_alloc(IO_PAGE_BYTES, count * IO_PAGE_BYTES);
	op.counter = io_next_counter(&p->guest->records, count);
	for (k = 0; k < count; k++)
		io_make_page(op.page + k * IO_PAGE_BYTES, slot + k, op.counter + k);
	rc = run_one(p, &op);
	free(op.page);
	*result = op.result;
	return rc;
}

/* A page that opens must be the right one, or the seal is worth nothing. */
static int check_pages(struct guest *g, const struct io_op *op)
{
	unsigned int k;

	for (k = 0; k < op->count; k++) {
		u64 slot = op->slot + k;

		if (!io_is_page(op->page + k * IO_PAGE_BYTES, slot,
				slot < g->records.slots ? g->records.counter[slot] : 0))
			return guest_fail(g, "slot %llu: wrong data", slot);
	}
	return 0;
}

static int load_by(struct guest_pair *p, u64 slot, unsigned int count,
		   enum io_result *result)
{
	struct io_op op = { .kind = IO_LOAD, .slot = slot, .count = count };
	int rc;

	op.page = aligned_alloc(IO_PAGE_BYTES, count * IO_PAGE_BYTES);
	rc = run_one(p, &op);
	if (!rc && op.result == IO_OK)
		rc = check_pages(p->guest, &op);
	free(op.page);
	*result = op.result;
	return rc;
}

int guest_store(struct guest *g, u64 slot, enum io_result *result)
{
	return store_by(guest_pair_of(g, slot), slot, 1, result);
}

int guest_load(struct guest *g, u64 slot, enum io_result *result)
{
	return load_by(guest_pair_of(g, slot), slot, 1, result);
}

int guest_store_many(struct guest *g, u64 slot, unsigned int count,
		     enum io_result *result)
{
	return store_by(guest_pair_of(g, slot), slot, count, result);
}

int guest_load_many(struct guest *g, u64 slot, unsigned int count,
		    enum io_result *result)
{
	return load_by(guest_pair_of(g, slot), slot, count, result);
}

int guest_check_pair(struct guest *g, unsigned int pair, u64 slot)
{
	enum io_result result;

	if (store_by(&g->pair[pair], slot, 1, &result))
		return -1;
	if (result != IO_OK)
		return guest_fail(g, "pair %u: store failed (%d)", pair, result);
	if (load_by(&g->pair[pair], slot, 1, &result))
		return -1;
	if (result != IO_OK)
		return guest_fail(g, "pair %u: load failed (%d)", pair, result);
	return 0;
}

/* --- control --- */

int guest_await_control(struct guest *g, void **token, u32 *used)
{
	struct pollfd fds[] = {
		{ .fd = g->control.call_fd, .events = POLLIN },
		{ .fd = guest_hang_up_fd(g), .events = POLLIN },
	};
	int rc;

	while (!(rc = vq_take(&g->control, token, used))) {
		if (!vq_arm(&g->control))
			continue;
		rc = poll(fds, 2, FE_PATIENCE_MS);
		vq_drain_call(&g->control);
		if (!rc)
			return guest_fail(g, "no answer on the control queue");
		if (!fds[0].revents && fds[1].revents && fe_is_closed(&g->fe))
			return guest_fail(g, "the daemon has hung up");
	}
	return rc < 0 ? guest_fail(g, "the control queue is corrupt") : 0;
}

int guest_control(struct guest *g, const struct vq_segment *segments,
		  unsigned int count, u32 *used)
{
	void *token;

	if (vq_add(&g->control, segments, count, NULL))
		return guest_fail(g, "no room in the control queue");
	vq_publish(&g->control);
	return guest_await_control(g, &token, used);
}

static void forget(struct guest *g, u64 start, u64 count)
{
	u64 slot;

	for (slot = start; slot < g->records.slots && slot - start < count; slot++)
		g->records.counter[slot] = 0;
}

int guest_discard(struct guest *g, const struct guest_range *ranges,
		  unsigned int count, u32 *status)
{
	struct virtio_cswap_range *to = (struct virtio_cswap_range *)(g->ctrl + 1);
	const struct vq_segment segments[] = {
		{ fe_guest_address(&g->fe, g->ctrl), CSWAP_CTRL_BYTES(count), false },
		{ fe_guest_address(&g->fe, g->ctrl_response),
		  sizeof(*g->ctrl_response), true },
	};
	unsigned int i;
	u32 used;

	cswap_wire_put_discard(g->ctrl, count);
	for (i = 0; i < count && i < VIRTIO_CSWAP_MAX_RANGES; i++) {
		cswap_wire_put_range(&to[i], ranges[i].start, ranges[i].count);
		forget(g, ranges[i].start, ranges[i].count);
	}
	if (guest_control(g, segments, 2, &used))
		return -1;
	*status = cswap_wire_get_ctrl_status(g->ctrl_response, used);
	return 0;
}
