// SPDX-License-Identifier: GPL-2.0-only
/*
 * guest_pair.c - the data path of a queue pair, as the driver has it.
 *
 * Theory of operation: every STORE and LOAD that can be outstanding has its
 * place in shared memory from the start, and so have the response buffers: as
 * many data buffers as LOADs, and so many ack buffers that each STORE could be
 * acked alone. A page is sealed from private into private memory and copied
 * out, since GCM reads what it wrote; it is copied in before it is opened.
 *
 * Unlike the driver, which only has to be safe, the simulator counts what a
 * correct device doesn't do: answers that name nothing outstanding (ignored),
 * that break the format (malformed), or that come before their request has come
 * back (early).
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <asm/byteorder.h>

#include "cswap-seal/sealed_page.h"
#include "guest.h"

/* A cookie: sequence, pair, and the request's index. */
#define COOKIE_INDEX_BITS	16
#define COOKIE_PAIR_BITS	8
#define COOKIE_SEQUENCE_SHIFT	(COOKIE_INDEX_BITS + COOKIE_PAIR_BITS)

static struct guest_pair *pair_of_io(struct io_queue *q)
{
	return (struct guest_pair *)((char *)q - offsetof(struct guest_pair, io));
}

static unsigned int store_header_bytes(unsigned int pages)
{
	return sizeof(struct virtio_cswap_request) + pages * VIRTIO_CSWAP_TAG_SIZE;
}

static unsigned int align64(unsigned int bytes)
{
	return (bytes + 63) & ~63u;
}

/* --- submission --- */

static void seal_out(struct guest_pair *p, struct guest_request *r, u8 *tags)
{
	struct guest *g = p->guest;
	struct io_op *op = r->op;
	unsigned int k;

	for (k = 0; k < op->count; k++) {
		const struct sealed_id id = { g->device, op->slot + k, op->counter + k };
		const u8 *page = op->page + k * IO_PAGE_BYTES;
		u8 *tag = tags + k * VIRTIO_CSWAP_TAG_SIZE;

		if (g->options.no_seal) {
			/* A tag is neither all zeros nor all ones: its first byte is even, the others odd. */
			memset(tag, (int)((op->slot + k) | 1), VIRTIO_CSWAP_TAG_SIZE);
			tag[0] = 0x5a;
		} else {
			sealed_page_seal(p->scratch, tag, page, &id, g->key);
			page = p->scratch;
		}
		memcpy(r->pages + k * IO_PAGE_BYTES, page, IO_PAGE_BYTES);
	}
}

/* At most: each page alone, and the largest header in pieces. */
#define MAX_SEGMENTS	(VIRTIO_CSWAP_MAX_REQUEST_PAGES + 32)
#define SHRED_BYTES	16u

/* Put @header_bytes and then @page_bytes into descriptors; how many. */
static unsigned int frame(const struct guest_pair *p, struct vq_segment *to,
			  const u8 *header, unsigned int header_bytes,
			  const u8 *pages, unsigned int page_bytes, bool writable)
{
	enum guest_framing framing = p->guest->options.framing;
	u64 at = fe_guest_address(&p->guest->fe, header), n = 0;
	unsigned int left, piece;

	if (framing == GUEST_JOINED && page_bytes) {
		to[0] = (struct vq_segment){ at, header_bytes + page_bytes, writable };
		return 1;
	}
	for (left = header_bytes; left; left -= piece, at += piece) {
		piece = framing == GUEST_SHREDDED && left > SHRED_BYTES ?
			SHRED_BYTES : left;
		to[n++] = (struct vq_segment){ at, piece, writable };
	}
	at = page_bytes ? fe_guest_address(&p->guest->fe, pages) : 0;
	for (left = page_bytes; left; left -= piece, at += piece) {
		piece = framing == GUEST_SHREDDED ? IO_PAGE_BYTES : left;
		to[n++] = (struct vq_segment){ at, piece, writable };
	}
	return n;
}

static int send_store(struct guest_pair *p, struct guest_request *r)
{
	u8 tags[VIRTIO_CSWAP_MAX_REQUEST_PAGES * VIRTIO_CSWAP_TAG_SIZE];
	struct io_op *op = r->op;
	unsigned int k, bytes = CSWAP_STORE_HEADER_BYTES(op->count);
	struct vq_segment segments[MAX_SEGMENTS];
	/* The header ends where the pages begin, or it lies at its own place. */
	u8 *header = p->guest->options.framing == GUEST_JOINED ?
		r->pages - bytes : r->header;

	seal_out(p, r, tags);
	cswap_wire_put_store(header, r->cookie, op->slot, op->count);
	for (k = 0; k < op->count; k++)
		cswap_wire_put_tag(header, k, tags + k * VIRTIO_CSWAP_TAG_SIZE);
	return vq_add(&p->request, segments,
		      frame(p, segments, header, bytes, r->pages,
			    op->count * IO_PAGE_BYTES, false), r);
}

static int send_load(struct guest_pair *p, struct guest_request *r)
{
	struct vq_segment segments[MAX_SEGMENTS];

	cswap_wire_put_load(r->header, r->cookie, r->op->slot, r->op->count);
	return vq_add(&p->request, segments,
		      frame(p, segments, r->header, CSWAP_LOAD_HEADER_BYTES, NULL, 0,
			    false), r);
}

static int pair_submit(struct io_queue *q, struct io_op *op)
{
	struct guest_pair *p = pair_of_io(q);
	bool store = op->kind == IO_STORE;
	unsigned int *free_list = store ? p->free_store : p->free_load;
	unsigned int *count = store ? &p->free_stores : &p->free_loads;
	struct guest_request *r;

	if (!*count)
		return -EBUSY;
	r = &p->requests[free_list[--*count]];
	r->op = op;
	r->chain_back = false;
	r->cookie = (u64)++p->sequence << COOKIE_SEQUENCE_SHIFT |
		(u64)p->index << COOKIE_INDEX_BITS | (r - p->requests);
	if (!(store ? send_store(p, r) : send_load(p, r)))
		return 0;
	/* Answered requests whose chains lie in the used ring still hold descriptors. */
	r->op = NULL;
	free_list[(*count)++] = r - p->requests;
	return -EBUSY;
}

static void pair_flush(struct io_queue *q)
{
	vq_publish(&pair_of_io(q)->request);
}

/* --- completion --- */

static int take_chains(struct guest_pair *p)
{
	struct guest_request *r;
	void *token;
	u32 used;
	int rc;

	while ((rc = vq_take(&p->request, &token, &used)) > 0) {
		if (used)
			p->malformed++;
		r = token;
		if (r)
			r->chain_back = true;
		else
			p->probe_chains--;
	}
	return rc ? io_fail(&p->io, "a request came back that was not out") : 0;
}

static void complete(struct guest_pair *p, struct guest_request *r,
		     enum io_result result)
{
	struct io_records *records = &p->guest->records;
	struct io_op *op = r->op;
	unsigned int index = r - p->requests, k;

	r->op = NULL;
	if (op->kind == IO_STORE) {
		p->free_store[p->free_stores++] = index;
		for (k = 0; k < op->count; k++)
			if (op->slot + k < records->slots)
				records->counter[op->slot + k] =
					result == IO_OK ? op->counter + k : 0;
	} else {
		p->free_load[p->free_loads++] = index;
	}
	op->result = result;
	op->done(op, op->arg);
}

static enum io_result result_of(u32 status)
{
	switch (status) {
	case VIRTIO_CSWAP_S_OK:
		return IO_OK;
	case VIRTIO_CSWAP_S_NOSPC:
		return IO_NOSPC;
	case VIRTIO_CSWAP_S_INVALID:
		return IO_INVALID;
	case VIRTIO_CSWAP_S_UNSUPP:
		return IO_UNSUPP;
	}
	return IO_IOERR;
}

/* What a cookie names, if it is outstanding and may be answered this way. */
static struct guest_request *find_request(struct guest_pair *p, u64 cookie, bool data)
{
	unsigned int index = cookie & ((1u << COOKIE_INDEX_BITS) - 1);
	struct guest_request *r;

	if (index >= p->io.max_stores + p->io.max_loads)
		return NULL;
	r = &p->requests[index];
	if (!r->op || r->cookie != cookie || (r->op->kind == IO_LOAD) != data)
		return NULL;
	return r;
}

/* @pages and @tags are the device's; copied before they are looked at. */
static enum io_result open_in(struct guest_pair *p, struct io_op *op,
			      const u8 *tags, const u8 *pages)
{
	struct io_records *records = &p->guest->records;
	enum io_result result = IO_OK;
	unsigned int k;

	op->counter = op->slot < records->slots ? records->counter[op->slot] : 0;
	memcpy(p->scratch, pages, op->count * IO_PAGE_BYTES);
	for (k = 0; k < op->count; k++) {
		u64 slot = op->slot + k;
		const struct sealed_id id = {
			p->guest->device, slot,
			slot < records->slots ? records->counter[slot] : 0,
		};
		const u8 *from = p->scratch + k * IO_PAGE_BYTES;
		u8 *to = op->page + k * IO_PAGE_BYTES;

		if (p->guest->options.no_seal)
			memcpy(to, from, IO_PAGE_BYTES);
		else if (!sealed_page_open(to, from, tags + k * VIRTIO_CSWAP_TAG_SIZE,
					   &id, p->guest->key))
			result = IO_FORGED;
	}
	return result;
}

static void outcome(struct guest_pair *p, u64 cookie, u32 status,
		    const struct guest_buffer *b, const u8 *tags)
{
	struct guest_request *r;
	enum io_result result = result_of(status);

	if (cookie == p->probe_cookie) {
		p->probe_answers++;
		p->probe_status = status;
		p->probe_data = b->data;
		if (b->data && result == IO_OK) {
			memcpy(p->probe_tag, tags, VIRTIO_CSWAP_TAG_SIZE);
			memcpy(p->probe_page, b->pages, IO_PAGE_BYTES);
		}
		return;
	}
	r = find_request(p, cookie, b->data);
	if (!r) {
		p->ignored++;
		return;
	}
	if (!r->chain_back)
		p->early++;
	if (b->data && result == IO_OK)
		result = open_in(p, r->op, tags, b->pages);
	complete(p, r, result);
}

static void answer(struct guest_pair *p, const struct guest_buffer *b, u32 used)
{
	struct cswap_answer a;
	unsigned int i;

	p->answers++;
	if (cswap_wire_get_answer(&a, b->header, used, b->posted)) {
		p->malformed++;
		return;
	}
	if (!b->data)
		p->acks += a.outcomes;
	for (i = 0; i < a.outcomes; i++)
		outcome(p, a.outcome[i].cookie, a.outcome[i].status, b, a.tag[0]);
}

void guest_post_buffer(struct guest_pair *p, struct guest_buffer *b)
{
	unsigned int pages = b->data ? b->room : 0;
	unsigned int bytes = b->data ? VIRTIO_CSWAP_DATA_OFFSET(pages) :
		CSWAP_ACK_BUFFER_BYTES;
	struct vq_segment segments[MAX_SEGMENTS];

	b->posted = pages;
	/* Can't fail: the ring has room for all buffers. */
	vq_add(&p->response, segments,
	       frame(p, segments, b->header, bytes, b->pages, pages * IO_PAGE_BYTES,
		     true), b);
}

static int pair_poll(struct io_queue *q)
{
	struct guest_pair *p = pair_of_io(q);
	unsigned int before = p->free_stores + p->free_loads;
	void *token;
	u32 used;
	int rc;

	while ((rc = vq_take(&p->response, &token, &used)) > 0) {
		/* A request comes back before its answer: look in that order. */
		if (take_chains(p))
			return -1;
		answer(p, token, used);
		guest_post_buffer(p, token);
	}
	if (rc < 0)
		return io_fail(q, "a buffer came back that was not out");
	if (p->malformed)
		return io_fail(q, "the device broke the wire format");
	vq_publish(&p->response);
	return p->free_stores + p->free_loads > before;
}

static int pair_wait(struct io_queue *q)
{
	struct guest_pair *p = pair_of_io(q);
	struct pollfd fds[] = {
		{ .fd = p->response.call_fd, .events = POLLIN },
		{ .fd = guest_hang_up_fd(p->guest), .events = POLLIN },
	};
	int patience_ms = p->guest->options.patience_ms, rc;

	if (vq_spin(&p->response, p->guest->options.spin_ns) || !vq_arm(&p->response))
		return 0;
	rc = poll(fds, 2, patience_ms ? patience_ms : FE_PATIENCE_MS);
	vq_drain_call(&p->response);
	if (!rc)
		return io_fail(q, "no answer from the device");
	if (rc > 0 && !fds[0].revents && fds[1].revents && fe_is_closed(&p->guest->fe))
		return io_fail(q, "the daemon has hung up");
	return 0;
}

static void pair_count_signals(struct io_queue *q, u64 *kicks, u64 *interrupts)
{
	struct guest_pair *p = pair_of_io(q);

	vq_drain_call(&p->request);
	vq_drain_call(&p->response);
	*kicks = p->request.kicks + p->response.kicks;
	*interrupts = p->request.interrupts + p->response.interrupts;
}

static const struct io_queue_ops pair_ops = {
	.submit = pair_submit,
	.flush = pair_flush,
	.poll = pair_poll,
	.wait = pair_wait,
	.count_signals = pair_count_signals,
};

/* --- probes --- */

int guest_probe(struct guest_pair *p, const struct vq_segment *segments,
		unsigned int count)
{
	if (vq_add(&p->request, segments, count, NULL))
		return guest_fail(p->guest, "no room for a chain of %u", count);
	p->probe_chains++;
	vq_publish(&p->request);
	return 0;
}

int guest_probe_finish(struct guest_pair *p, unsigned int answers)
{
	while (p->probe_answers < answers)
		if (pair_poll(&p->io) < 0 ||
		    (p->probe_answers < answers && pair_wait(&p->io)))
			return guest_fail(p->guest, "%s", p->io.error);
	if (take_chains(p))
		return guest_fail(p->guest, "%s", p->io.error);
	return 0;
}

/* --- making a pair --- */

/*
 * As many as the ring takes of the pieces that frame() makes: one LOAD in eight
 * descriptors and the rest for acks, as the driver does; fewer of smaller pieces.
 */
static void count_buffers(const struct guest_options *o, unsigned int *data,
			  unsigned int *acks)
{
	unsigned int header, pages = o->request_pages;

	*data = o->ring_size / 8;
	*acks = (o->ring_size - *data) / 2;
	if (o->framing != GUEST_SHREDDED)
		return;
	header = (VIRTIO_CSWAP_DATA_OFFSET(pages) + SHRED_BYTES - 1) / SHRED_BYTES;
	*data = o->ring_size / 2 / (header + pages);
	*acks = o->ring_size / 2 / (CSWAP_ACK_BUFFER_BYTES / SHRED_BYTES);
}

/* A page and what may lie before it: header and tags. */
static size_t store_bytes(const struct guest_options *o)
{
	return (o->framing == GUEST_JOINED) * IO_PAGE_BYTES +
		(size_t)o->request_pages * IO_PAGE_BYTES;
}

size_t guest_pair_bytes(const struct guest_options *o)
{
	unsigned int data, acks, pages = o->request_pages;
	size_t rings = VQ_DESC_BYTES(o->ring_size) + VQ_AVAIL_BYTES(o->ring_size) +
		VQ_USED_BYTES(o->ring_size) + 64;

	count_buffers(o, &data, &acks);
	return 2 * rings +
		acks * (align64(store_header_bytes(pages)) + CSWAP_ACK_BUFFER_BYTES) +
		data * (64 + align64(VIRTIO_CSWAP_DATA_OFFSET(pages))) +
		(acks + data) * store_bytes(o) + 8 * IO_PAGE_BYTES;
}

/* @count pieces of @bytes each: their first, or NULL. */
static u8 *alloc_array(struct guest *g, unsigned int count, size_t bytes, size_t align)
{
	return fe_alloc(&g->fe, count * bytes, align);
}

static int alloc_requests(struct guest *g, struct guest_pair *p)
{
	unsigned int header = align64(store_header_bytes(g->options.request_pages)), i;
	size_t bytes = store_bytes(&g->options);
	size_t lead = bytes - (size_t)g->options.request_pages * IO_PAGE_BYTES;
	u8 *stores = alloc_array(g, p->nr_acks, header, 64);
	u8 *loads = alloc_array(g, p->nr_data, 64, 64);
	u8 *pages = alloc_array(g, p->nr_acks, bytes, IO_PAGE_BYTES);

	if (!stores || !loads || !pages)
		return guest_fail(g, "%s", g->fe.error);
	for (i = 0; i < p->nr_acks; i++) {
		p->requests[i].header = stores + i * header;
		p->requests[i].pages = pages + i * bytes + lead;
	}
	for (i = 0; i < p->nr_data; i++)
		p->requests[p->nr_acks + i].header = loads + i * 64;
	return 0;
}

static int alloc_buffers(struct guest *g, struct guest_pair *p)
{
	unsigned int header = VIRTIO_CSWAP_DATA_OFFSET(g->options.request_pages), i;
	size_t bytes = store_bytes(&g->options);
	size_t lead = bytes - (size_t)g->options.request_pages * IO_PAGE_BYTES;
	u8 *acks = alloc_array(g, p->nr_acks, CSWAP_ACK_BUFFER_BYTES, 64);
	u8 *headers = alloc_array(g, p->nr_data, align64(header), 64);
	u8 *pages = alloc_array(g, p->nr_data, bytes, IO_PAGE_BYTES);

	if (!acks || !headers || !pages)
		return guest_fail(g, "%s", g->fe.error);
	for (i = 0; i < p->nr_acks; i++)
		p->buffers[i].header = acks + i * CSWAP_ACK_BUFFER_BYTES;
	for (i = 0; i < p->nr_data; i++) {
		struct guest_buffer *b = &p->buffers[p->nr_acks + i];

		b->data = true;
		b->room = g->options.request_pages;
		b->pages = pages + i * bytes + lead;
		b->header = lead ? b->pages - header : headers + i * align64(header);
	}
	return 0;
}

int guest_pair_init(struct guest *g, unsigned int index)
{
	struct guest_pair *p = &g->pair[index];
	unsigned int size = g->options.ring_size;

	p->guest = g;
	p->index = index;
	p->probe_cookie = (u64)0xfeedface << 32 | index;
	count_buffers(&g->options, &p->nr_data, &p->nr_acks);
	p->io.ops = &pair_ops;
	p->io.max_stores = p->nr_acks;
	p->io.max_loads = p->nr_data;
	p->scratch = aligned_alloc(IO_PAGE_BYTES,
				   g->options.request_pages * IO_PAGE_BYTES);
	if (!p->scratch)
		return guest_fail(g, "no memory");
	if (fe_init_vq(&g->fe, &p->request, VIRTIO_CSWAP_VQ_REQUEST(index), size) ||
	    fe_init_vq(&g->fe, &p->response, VIRTIO_CSWAP_VQ_RESPONSE(index), size))
		return guest_fail(g, "%s", g->fe.error);
	if (alloc_requests(g, p))
		return -1;
	return alloc_buffers(g, p);
}

void guest_pair_free(struct guest_pair *p)
{
	vq_close(&p->request);
	vq_close(&p->response);
	free(p->scratch);
	p->scratch = NULL;
}

void guest_pair_reset(struct guest_pair *p)
{
	unsigned int i;

	vq_reset(&p->request, p->guest->options.base);
	vq_reset(&p->response, p->guest->options.base);
	p->free_stores = p->free_loads = 0;
	p->probe_chains = p->probe_answers = 0;
	for (i = 0; i < p->nr_acks + p->nr_data; i++) {
		p->requests[i].op = NULL;
		if (i < p->nr_acks)
			p->free_store[p->free_stores++] = i;
		else
			p->free_load[p->free_loads++] = i;
		guest_post_buffer(p, &p->buffers[i]);
	}
}
