// SPDX-License-Identifier: GPL-2.0-only
/*
 * hostile.c - what a malicious guest may try on its rings.
 *
 * Theory of operation: pair 0 is the weapon, pair 1 the bystander. Each case
 * ends in aftermath(): the bystander still works, a new connection serves both
 * pairs and finds what was stored before the attack, and the daemon holds as
 * many descriptors and mappings as before. Where the outcome of an attack is
 * defined it is demanded: a request that can be answered gets its status; a
 * ring that breaks the virtio rules ends its pair, which shows on the error
 * eventfd.
 *
 * What a malicious VMM may try on the socket is in hostile_vmm.c.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <asm/byteorder.h>

#include "hostile.h"
#include "suites.h"

#define PAGES_AT	64	/* slots that attacks use, of pair 0 */

/* --- before and after --- */

int hostile_begin(struct guest *g, const char *socket, struct hostile_census *before)
{
	const struct guest_options o = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 2 }, .pairs = 2,
	};

	return hostile_begin_with(g, socket, before, &o);
}

int hostile_begin_with(struct guest *g, const char *socket,
		       struct hostile_census *before, const struct guest_options *o)
{
	enum io_result result;

	TRY(guest_connect(g, socket, o));
	TRY(guest_store(g, HOSTILE_BYSTANDER, &result));
	EXPECT(g, result == IO_OK, "store before the attack: result %d", result);
	return hostile_census(g, before);
}

/* Checks: device-request-survives */
static int bystander_works(struct guest *g)
{
	enum io_result result;
	unsigned int i;

	for (i = 0; i < 4; i++)
		TRY(guest_check_pair(g, 1, HOSTILE_BYSTANDER + 1 + i));
	TRY(guest_load(g, HOSTILE_BYSTANDER, &result));
	EXPECT(g, result == IO_OK, "the bystander's page: result %d", result);
	return 0;
}

int hostile_aftermath(struct guest *g, const struct hostile_census *before,
		      bool bystander)
{
	const struct guest_range range = { PAGES_AT, 8 };
	struct hostile_census after;
	enum io_result result;
	u32 status;

	if (bystander)
		TRY(bystander_works(g));
	TRY(guest_reconnect(g));
	TRY(guest_check_pair(g, 0, PAGES_AT));
	TRY(guest_check_pair(g, 1, PAGES_AT + 1));
	TRY(guest_discard(g, &range, 1, &status));
	EXPECT(g, !status, "discard after reconnecting: status %u", status);
	TRY(guest_load(g, HOSTILE_BYSTANDER, &result));
	EXPECT(g, result == IO_OK, "what was stored before the attack: result %d",
	       result);
	TRY(hostile_census(g, &after));
	EXPECT(g, after.pid == before->pid, "another daemon answers");
	EXPECT(g, after.descriptors <= before->descriptors,
	       "the daemon had %u descriptors, now %u", before->descriptors,
	       after.descriptors);
	EXPECT(g, after.mappings <= before->mappings,
	       "the daemon had %u mappings of the guest, now %u", before->mappings,
	       after.mappings);
	return 0;
}

/* --- weapons --- */

/* The ring was declared broken. An event, so there is nothing to wait for long. */
static int expect_broken(struct guest *g, struct virtqueue *vq)
{
	struct pollfd p[] = {
		{ .fd = vq->error_fd, .events = POLLIN },
		{ .fd = g->fe.socket, .events = POLLIN },
	};

	poll(p, 2, FE_PATIENCE_MS);
	EXPECT(g, !p[1].revents, "the daemon has hung up");
	EXPECT(g, p[0].revents, "virtqueue %u is not reported broken", vq->index);
	return 0;
}

static int broken_at_the_end(struct guest *g, struct virtqueue *vq,
			     const struct hostile_census *before)
{
	TRY(expect_broken(g, vq));
	return hostile_aftermath(g, before, true);
}

static struct virtio_cswap_request *request_of(struct guest *g)
{
	return (struct virtio_cswap_request *)g->pair[0].requests[0].header;
}

/* A good STORE of a page, whose parts a case then spoils. */
static void make_store(struct guest *g, struct vq_segment s[2])
{
	static const u8 tag[VIRTIO_CSWAP_TAG_SIZE];
	struct guest_pair *p = &g->pair[0];

	cswap_wire_put_store(p->requests[0].header, p->probe_cookie, PAGES_AT, 1);
	cswap_wire_put_tag(p->requests[0].header, 0, tag);
	s[0] = (struct vq_segment){ fe_guest_address(&g->fe, p->requests[0].header),
				    CSWAP_STORE_HEADER_BYTES(1), false };
	s[1] = (struct vq_segment){ fe_guest_address(&g->fe, p->requests[0].pages),
				    IO_PAGE_BYTES, false };
}

static void make_load(struct guest *g, struct vq_segment s[1])
{
	struct guest_pair *p = &g->pair[0];

	cswap_wire_put_load(p->requests[0].header, p->probe_cookie, PAGES_AT, 1);
	s[0] = (struct vq_segment){ fe_guest_address(&g->fe, p->requests[0].header),
				    CSWAP_LOAD_HEADER_BYTES, false };
}

static int expect_status(struct guest *g, const struct vq_segment *s,
			 unsigned int count, u32 status)
{
	struct guest_pair *p = &g->pair[0];

	TRY(guest_probe(p, s, count));
	TRY(guest_probe_finish(p, p->probe_answers + 1));
	EXPECT(g, p->probe_status == status, "status %u, not %u", p->probe_status, status);
	EXPECT(g, !p->probe_chains, "the answer came before the request was back");
	return 0;
}

/* --- the request ring --- */

typedef void spoil_fn(struct guest *g, struct virtqueue *vq, u16 head);

/* Put a STORE on the request ring, let @spoil ruin it, and expose it. */
static int expose_spoiled(struct guest *g, spoil_fn *spoil)
{
	struct virtqueue *vq = &g->pair[0].request;
	struct vq_segment s[2];
	u16 head;

	make_store(g, s);
	head = vq->free_head;
	if (vq_add(vq, s, 2, NULL))
		return guest_fail(g, "no room");
	spoil(g, vq, head);
	vq_publish(vq);
	vq_kick(vq);
	return expect_broken(g, vq);
}

static int spoiled_ring(struct guest *g, const char *socket, spoil_fn *spoil)
{
	struct hostile_census before;

	TRY(hostile_begin(g, socket, &before));
	TRY(expose_spoiled(g, spoil));
	return hostile_aftermath(g, &before, true);
}

#define SPOILED(name, body) \
	static void spoil_##name(struct guest *g, struct virtqueue *vq, u16 head) \
	{ \
		(void)g; \
		(void)head; \
		(void)vq; \
		body; \
	} \
	static int case_##name(struct guest *g, const char *socket) \
	{ \
		return spoiled_ring(g, socket, spoil_##name); \
	}

SPOILED(head_out_of_range,
	vq->avail->ring[(u16)(vq->avail_index - 1) % vq->size] = vq->size)
SPOILED(head_wild,
	vq->avail->ring[(u16)(vq->avail_index - 1) % vq->size] = 0xffff)
SPOILED(next_out_of_range, vq->desc[head].next = vq->size)
SPOILED(next_wild, vq->desc[head].next = 0xffff)
SPOILED(self_loop, vq->desc[head].next = head)
SPOILED(long_loop,
	vq->desc[vq->desc[head].next].flags = VRING_DESC_F_NEXT;
	vq->desc[vq->desc[head].next].next = head)
/* Checks: device-security-memory */
SPOILED(no_memory, vq->desc[head].addr = 0xdead00000000)
SPOILED(null_address, vq->desc[head].addr = 0)
SPOILED(end_of_memory,
	vq->desc[head].addr = g->fe.region[1].guest_address + g->fe.region[1].bytes - 8)
SPOILED(between_regions,
	vq->desc[head].addr = g->fe.region[0].guest_address + g->fe.region[0].bytes)
SPOILED(address_wraps, vq->desc[head].addr = UINT64_MAX - 8)
SPOILED(length_huge, vq->desc[vq->desc[head].next].len = UINT32_MAX)
SPOILED(length_both,
	vq->desc[head].addr = UINT64_MAX; vq->desc[head].len = UINT32_MAX)
/* Checks: device-request-one-way */
SPOILED(writable, vq->desc[vq->desc[head].next].flags = VRING_DESC_F_WRITE)
SPOILED(readable_after_writable,
	vq->desc[head].flags = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE)
SPOILED(indirect,
	vq->desc[head].flags = VRING_DESC_F_INDIRECT; vq->desc[head].len = 32)
SPOILED(unknown_flags, vq->desc[head].flags |= 0x4000)
/* Checks: device-request-no-header */
SPOILED(too_short,
	vq->desc[head].flags = 0; vq->desc[head].len = CSWAP_LOAD_HEADER_BYTES - 1)
SPOILED(empty, vq->desc[head].flags = 0; vq->desc[head].len = 0)
SPOILED(avail_jumps, vq->avail_index += vq->size)
SPOILED(avail_backwards, vq->avail_index -= 2)
SPOILED(avail_wild, vq->avail_index += 0x8000)

/* As fast as the daemon can: its log must not grow by that (see run-tests). */
static int case_broken_often(struct guest *g, const char *socket)
{
	struct hostile_census before;
	unsigned int i;
	eventfd_t reports;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < 500; i++) {
		TRY(expose_spoiled(g, spoil_avail_jumps));
		if (eventfd_read(g->pair[0].request.error_fd, &reports))
			return guest_fail(g, "no report of a broken ring");
		TRY(guest_stop_pair(&g->pair[0]));
		TRY(guest_start_pair(g, 0));
	}
	return hostile_aftermath(g, &before, true);
}

/* Chains of nothing but empty descriptors, as many as the ring has. */
static void spoil_all_empty(struct guest *g, struct virtqueue *vq, u16 head)
{
	unsigned int i;

	(void)g;
	(void)head;
	for (i = 0; i < vq->size; i++)
		vq->desc[i] = (struct vring_desc){
			.addr = g->fe.region[0].guest_address,
			.flags = i + 1 < vq->size ? VRING_DESC_F_NEXT : 0,
			.next = i + 1,
		};
}

static int case_all_empty(struct guest *g, const char *socket)
{
	return spoiled_ring(g, socket, spoil_all_empty);
}

/* Every descriptor as large as memory: nobody must add that up or copy it. */
static int case_all_huge(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct vq_segment s[2];
	struct virtqueue *vq;
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	vq = &g->pair[0].request;
	make_store(g, s);
	if (vq_add(vq, s, 2, NULL))
		return guest_fail(g, "no room");
	for (i = 0; i < vq->size; i++)
		vq->desc[i] = (struct vring_desc){
			.addr = s[0].address & ~(u64)4095,
			.len = 65536,
			.flags = i + 1 < vq->size ? VRING_DESC_F_NEXT : 0,
			.next = i + 1,
		};
	vq_publish(vq);
	/* Answered or broken: nothing is demanded but that the rest goes on. */
	return hostile_aftermath(g, &before, true);
}

static int case_same_head_twice(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct vq_segment s[2];
	struct virtqueue *vq;
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	vq = &g->pair[0].request;
	make_store(g, s);
	if (vq_add(vq, s, 2, NULL))
		return guest_fail(g, "no room");
	for (i = 1; i < vq->size; i++, vq->avail_index++)
		vq->avail->ring[vq->avail_index % vq->size] =
			vq->avail->ring[(u16)(vq->avail_index - 1) % vq->size];
	vq_publish(vq);
	return hostile_aftermath(g, &before, true);
}

/* A ring whose contents change all the time while the daemon reads it. */
static int case_changing_ring(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct vq_segment s[2];
	struct virtqueue *vq;
	unsigned int i, k;

	TRY(hostile_begin(g, socket, &before));
	vq = &g->pair[0].request;
	for (i = 0; i < 2000 && vq->free >= 2; i++) {
		struct vring_desc *desc;
		u64 good;

		make_store(g, s);
		desc = &vq->desc[vq->free_head];
		if (vq_add(vq, s, 2, NULL))
			break;
		good = desc->addr;
		vq_publish(vq);
		for (k = 0; k < 50; k++) {
			__atomic_store_n(&desc->addr, good + (k & 1) * 0xdead0000,
					 __ATOMIC_RELAXED);
			__atomic_store_n(&request_of(g)->count, cpu_to_le16(k),
					 __ATOMIC_RELAXED);
		}
		__atomic_store_n(&desc->addr, good, __ATOMIC_RELAXED);
		(void)g->pair[0].io.ops->poll(&g->pair[0].io);
	}
	return hostile_aftermath(g, &before, true);
}

/* Kicks for nothing, of all of the weapon's rings, while the bystander works. */
static int case_notify_storm(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct guest_pair *p;
	unsigned int round, i;

	TRY(hostile_begin(g, socket, &before));
	p = &g->pair[0];
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 2000; i++) {
			vq_kick(&p->request);
			vq_kick(&p->response);
			vq_kick(&g->control);
		}
		TRY(bystander_works(g));
	}
	return hostile_aftermath(g, &before, true);
}

/* --- requests that can be answered --- */

static int case_zero_length_between(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct vq_segment s[2], all[5];

	TRY(hostile_begin(g, socket, &before));
	make_store(g, s);
	all[0] = all[2] = all[4] = (struct vq_segment){ s[0].address, 0, false };
	all[1] = s[0];
	all[3] = s[1];
	TRY(expect_status(g, all, 5, VIRTIO_CSWAP_S_OK));
	return hostile_aftermath(g, &before, true);
}

/* Checks: device-request-invalid, device-load-data-buffer */
static int case_bad_counts(struct guest *g, const char *socket)
{
	static const u16 counts[] = { 0, 2, 17, 0x100, 0x8000, 0xffff };
	struct hostile_census before;
	struct vq_segment s[2];
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		make_store(g, s);
		request_of(g)->count = cpu_to_le16(counts[i]);
		TRY(expect_status(g, s, 2, VIRTIO_CSWAP_S_INVALID));
		EXPECT(g, !g->pair[0].probe_data, "a STORE answered in a data buffer");
		/* A LOAD of two pages is in order. */
		if (counts[i] == 2)
			continue;
		make_load(g, s);
		request_of(g)->count = cpu_to_le16(counts[i]);
		TRY(expect_status(g, s, 1, VIRTIO_CSWAP_S_INVALID));
		EXPECT(g, g->pair[0].probe_data, "a LOAD answered in an ack buffer");
	}
	return hostile_aftermath(g, &before, true);
}

/* A page more than is allowed, and all of it is there. */
/* Checks: device-request-invalid */
static int case_page_too_many(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct vq_segment s[3];
	unsigned int pages;
	u8 *tags;

	TRY(hostile_begin(g, socket, &before));
	pages = g->geometry.max_request_pages + 1;
	make_store(g, s);
	request_of(g)->count = cpu_to_le16(pages);
	s[0].bytes = sizeof(struct virtio_cswap_request);
	s[2] = (struct vq_segment){ s[1].address, pages * IO_PAGE_BYTES, false };
	tags = fe_alloc(&g->fe, pages * VIRTIO_CSWAP_TAG_SIZE, 16);
	EXPECT(g, tags, "%s", g->fe.error);
	s[1] = (struct vq_segment){ fe_guest_address(&g->fe, tags),
				    pages * VIRTIO_CSWAP_TAG_SIZE, false };
	TRY(expect_status(g, s, 3, VIRTIO_CSWAP_S_INVALID));
	return hostile_aftermath(g, &before, true);
}

/* Checks: device-request-invalid, device-security-quota */
static int case_bad_slots(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct vq_segment s[2];
	unsigned int i;
	u64 slots[6];

	TRY(hostile_begin(g, socket, &before));
	slots[0] = g->geometry.capacity;
	slots[1] = VIRTIO_CSWAP_MAX_CAPACITY;
	slots[2] = UINT64_MAX;
	slots[3] = UINT64_MAX / IO_PAGE_BYTES + 1;	/* times 4096 it is 0 */
	slots[4] = UINT64_MAX / VIRTIO_CSWAP_TAG_SIZE + 1;
	slots[5] = (u64)1 << 63;
	for (i = 0; i < ARRAY_SIZE(slots); i++) {
		make_store(g, s);
		request_of(g)->slot = cpu_to_le64(slots[i]);
		TRY(expect_status(g, s, 2, VIRTIO_CSWAP_S_INVALID));
		make_load(g, s);
		request_of(g)->slot = cpu_to_le64(slots[i]);
		TRY(expect_status(g, s, 1, VIRTIO_CSWAP_S_INVALID));
	}
	return hostile_aftermath(g, &before, true);
}

/* Checks: device-request-invalid */
static int case_reserved_bits(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct vq_segment s[2];
	unsigned int bit;

	TRY(hostile_begin(g, socket, &before));
	for (bit = 0; bit < 96; bit++) {
		make_store(g, s);
		if (bit < 32)
			request_of(g)->reserved0 = cpu_to_le32(1u << bit);
		else
			request_of(g)->reserved1 = cpu_to_le64((u64)1 << (bit - 32));
		TRY(expect_status(g, s, 2, VIRTIO_CSWAP_S_INVALID));
	}
	make_load(g, s);
	request_of(g)->reserved1 = 1;
	TRY(expect_status(g, s, 1, VIRTIO_CSWAP_S_INVALID));
	return hostile_aftermath(g, &before, true);
}

/* Checks: device-request-invalid */
static int case_wrong_lengths(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct vq_segment s[3];

	TRY(hostile_begin(g, socket, &before));
	make_store(g, s);
	TRY(expect_status(g, s, 1, VIRTIO_CSWAP_S_INVALID));	/* no page */
	s[0].bytes--;
	TRY(expect_status(g, s, 2, VIRTIO_CSWAP_S_INVALID));	/* tag short */
	make_store(g, s);
	s[1].bytes--;
	TRY(expect_status(g, s, 2, VIRTIO_CSWAP_S_INVALID));	/* page short */
	make_store(g, s);
	s[2] = s[1];
	TRY(expect_status(g, s, 3, VIRTIO_CSWAP_S_INVALID));	/* a page too many */
	make_load(g, s);
	s[0].bytes++;
	TRY(expect_status(g, s, 1, VIRTIO_CSWAP_S_INVALID));	/* LOAD with more */
	make_store(g, s);
	request_of(g)->op = cpu_to_le16(VIRTIO_CSWAP_OP_LOAD);
	TRY(expect_status(g, s, 2, VIRTIO_CSWAP_S_INVALID));	/* LOAD with a page */
	return hostile_aftermath(g, &before, true);
}

/* What is refused leaves the slot that it names as it was. */
/* Checks: device-request-no-effect */
static int case_refused_without_effect(struct guest *g, const char *socket)
{
	struct hostile_census before;
	enum io_result result;
	struct vq_segment s[2];

	TRY(hostile_begin(g, socket, &before));
	TRY(guest_store(g, PAGES_AT, &result));
	EXPECT(g, result == IO_OK, "the slot's own store: result %d", result);
	make_store(g, s);
	request_of(g)->reserved0 = 1;
	TRY(expect_status(g, s, 2, VIRTIO_CSWAP_S_INVALID));
	make_store(g, s);
	request_of(g)->count = cpu_to_le16(0);
	TRY(expect_status(g, s, 2, VIRTIO_CSWAP_S_INVALID));
	make_store(g, s);
	s[1].address += 512;
	TRY(expect_status(g, s, 2, VIRTIO_CSWAP_S_INVALID));
	make_store(g, s);
	request_of(g)->op = cpu_to_le16(0x7fff);
	TRY(expect_status(g, s, 2, VIRTIO_CSWAP_S_UNSUPP));
	TRY(guest_load(g, PAGES_AT, &result));
	EXPECT(g, result == IO_OK, "the slot was changed: result %d", result);
	return hostile_aftermath(g, &before, true);
}

/* Checks: device-store-page */
static int case_misaligned_pages(struct guest *g, const char *socket)
{
	static const unsigned int offsets[] = { 1, 8, 512, 2048, 4095 };
	struct hostile_census before;
	struct vq_segment s[3];
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		make_store(g, s);
		s[1].address += offsets[i];
		TRY(expect_status(g, s, 2, VIRTIO_CSWAP_S_INVALID));
		/* In two descriptors, though it lies in one piece. */
		make_store(g, s);
		s[2] = s[1];
		s[1].bytes = offsets[i];
		s[2].address += offsets[i];
		s[2].bytes -= offsets[i];
		TRY(expect_status(g, s, 3, VIRTIO_CSWAP_S_INVALID));
	}
	return hostile_aftermath(g, &before, true);
}

/* --- the response ring --- */

/* Start pair 0 anew, without any buffer on its response ring. */
static int forget_posted(struct guest *g)
{
	struct guest_pair *p = &g->pair[0];

	TRY(guest_stop_pair(p));
	vq_reset(&p->request, 0);
	vq_reset(&p->response, 0);
	p->request_base = p->response_base = 0;
	return guest_resume_pair(p);
}

static int begin_unposted(struct guest *g, const char *socket,
			  struct hostile_census *before)
{
	TRY(hostile_begin(g, socket, before));
	return forget_posted(g);
}

/* Checks: device-response-never-lost, device-load-wait */
static int case_no_buffers(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct vq_segment s[2];
	struct guest_pair *p;
	unsigned int i, sent = 0;

	TRY(begin_unposted(g, socket, &before));
	p = &g->pair[0];
	for (i = 0; i < 80; i++, sent++) {
		if (i % 2)
			make_load(g, s);
		else
			make_store(g, s);
		/* Each with a header of its own: they stay until they are read. */
		memcpy(p->requests[i].header, p->requests[0].header,
		       CSWAP_STORE_HEADER_BYTES(1));
		s[0].address = fe_guest_address(&g->fe, p->requests[i].header);
		TRY(guest_probe(p, s, i % 2 ? 1 : 2));
	}
	TRY(bystander_works(g));
	EXPECT(g, !p->probe_answers, "answers without buffers");
	/* Then the buffers come, and so must all the answers. */
	for (i = 0; i < p->nr_acks + p->nr_data; i++)
		guest_post_buffer(p, &p->buffers[i]);
	vq_publish(&p->response);
	TRY(guest_probe_finish(p, sent));
	return hostile_aftermath(g, &before, true);
}

/* Post the buffers that are for LOADs, or those that are for STOREs. */
static void post_kind(struct guest_pair *p, bool data)
{
	unsigned int i;

	for (i = 0; i < p->nr_acks + p->nr_data; i++)
		if (p->buffers[i].data == data)
			guest_post_buffer(p, &p->buffers[i]);
	vq_publish(&p->response);
}

/* Send @count of a kind, of which each has a header like the others'. */
static int send_kind(struct guest *g, bool load, unsigned int count)
{
	struct guest_pair *p = &g->pair[0];
	u8 *header = p->requests[1 + load].header;	/* [0] is written anew */
	struct vq_segment s[2];

	if (load)
		make_load(g, s);
	else
		make_store(g, s);
	memcpy(header, p->requests[0].header, CSWAP_STORE_HEADER_BYTES(1));
	s[0].address = fe_guest_address(&g->fe, header);
	while (count--)
		TRY(guest_probe(p, s, load ? 1 : 2));
	return 0;
}

/* As many of one kind as the ring takes, without a buffer to answer them in. */
static int one_kind_waits(struct guest *g, const char *socket, bool load, bool dies)
{
	const struct guest_options o = {
		.frontend = { .style = FE_STYLE_QEMU, .regions = 2 },
		.pairs = 2, .ring_size = 1024,
	};
	const unsigned int few = 16, many = load ? 900 : 450;
	struct hostile_census before;
	struct guest_pair *p;

	TRY(hostile_begin_with(g, socket, &before, &o));
	p = &g->pair[0];
	TRY(forget_posted(g));
	TRY(send_kind(g, load, many));
	TRY(send_kind(g, !load, few));
	post_kind(p, !load);
	TRY(guest_probe_finish(p, few));
	EXPECT(g, p->probe_data == !load, "an answer in a buffer of the other kind");
	EXPECT(g, p->probe_answers == few, "%u answers, of which %u have a buffer",
	       p->probe_answers, few);
	TRY(guest_stop_pair(p));
	TRY(guest_resume_pair(p));
	if (dies)
		kill(census_worker(before.pid), SIGKILL);
	TRY(send_kind(g, !load, few));
	TRY(guest_probe_finish(p, 2 * few));
	post_kind(p, load);
	TRY(guest_probe_finish(p, 2 * few + many));
	EXPECT(g, !p->probe_chains, "%u requests aren't back", p->probe_chains);
	return dies ? 0 : hostile_aftermath(g, &before, true);
}

/* Checks: device-load-wait */
static int case_loads_wait(struct guest *g, const char *socket)
{
	return one_kind_waits(g, socket, true, false);
}

/* Checks: device-response-never-lost */
static int case_stores_wait(struct guest *g, const char *socket)
{
	return one_kind_waits(g, socket, false, false);
}

static int case_loads_wait_for_another(struct guest *g, const char *socket)
{
	return one_kind_waits(g, socket, true, true);
}

static int case_stores_wait_for_another(struct guest *g, const char *socket)
{
	return one_kind_waits(g, socket, false, true);
}

/* The smallest ack buffer there can be: header and one ack. */
static int case_tiny_ack_buffers(struct guest *g, const char *socket)
{
	const unsigned int bytes = sizeof(struct virtio_cswap_response) +
		sizeof(struct virtio_cswap_ack);
	struct hostile_census before;
	struct vq_segment s[2];
	struct guest_pair *p;
	unsigned int i;

	TRY(begin_unposted(g, socket, &before));
	p = &g->pair[0];
	for (i = 0; i < 40; i++) {
		s[0] = (struct vq_segment){
			fe_guest_address(&g->fe, p->buffers[i].header), bytes, true,
		};
		vq_add(&p->response, s, 1, &p->buffers[i]);
	}
	vq_publish(&p->response);
	for (i = 0; i < 40; i++) {
		make_store(g, s);
		TRY(guest_probe(p, s, 2));
	}
	TRY(guest_probe_finish(p, 40));
	EXPECT(g, !p->malformed, "an ack buffer was overrun");
	return hostile_aftermath(g, &before, true);
}

static int useless_buffer(struct guest *g, const char *socket, unsigned int bytes,
			  bool writable, u64 address)
{
	struct hostile_census before;
	struct vq_segment s;
	struct guest_pair *p;

	TRY(begin_unposted(g, socket, &before));
	p = &g->pair[0];
	s = (struct vq_segment){
		address ? address : fe_guest_address(&g->fe, p->buffers[0].header),
		bytes, writable,
	};
	vq_add(&p->response, &s, 1, &p->buffers[0]);
	vq_publish(&p->response);
	return broken_at_the_end(g, &p->response, &before);
}

static int case_ack_buffer_too_small(struct guest *g, const char *socket)
{
	return useless_buffer(g, socket, 31, true, 0);
}

static int case_empty_buffer(struct guest *g, const char *socket)
{
	return useless_buffer(g, socket, 0, true, 0);
}

static int case_readable_buffer(struct guest *g, const char *socket)
{
	return useless_buffer(g, socket, CSWAP_ACK_BUFFER_BYTES, false, 0);
}

static int case_buffer_nowhere(struct guest *g, const char *socket)
{
	return useless_buffer(g, socket, CSWAP_ACK_BUFFER_BYTES, true, 0xdead00000000);
}

/* Room for a page more than a request may have; it might be for a million. */
static int case_buffer_too_large(struct guest *g, const char *socket)
{
	return useless_buffer(g, socket,
			      VIRTIO_CSWAP_DATA_BUFFER_SIZE(VIRTIO_CSWAP_MAX_REQUEST_PAGES + 1),
			      true, 0);
}

/* A data buffer whose page isn't aligned: the LOAD is refused, in that buffer. */
static int case_misaligned_buffer(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct guest_buffer *b;
	struct vq_segment s[2];
	struct guest_pair *p;

	TRY(begin_unposted(g, socket, &before));
	p = &g->pair[0];
	b = &p->buffers[p->nr_acks];
	s[0] = (struct vq_segment){ fe_guest_address(&g->fe, b->header),
				    VIRTIO_CSWAP_DATA_OFFSET(1), true };
	s[1] = (struct vq_segment){ fe_guest_address(&g->fe, b->pages) + 512,
				    IO_PAGE_BYTES, true };
	vq_add(&p->response, s, 2, b);
	vq_publish(&p->response);
	make_load(g, s);
	TRY(expect_status(g, s, 1, VIRTIO_CSWAP_S_INVALID));
	return hostile_aftermath(g, &before, true);
}

/* More pages than any posted buffer takes: it waits, and is forgotten with its ring. */
/* Checks: device-load-wait */
static int case_load_without_room(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct vq_segment s[1];
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	make_load(g, s);
	request_of(g)->count = cpu_to_le16(g->geometry.max_request_pages);
	TRY(guest_probe(&g->pair[0], s, 1));
	for (i = 0; i < 4; i++)
		TRY(guest_check_pair(g, 0, PAGES_AT + 1));
	EXPECT(g, !g->pair[0].probe_answers, "status %u without a buffer that has room",
	       g->pair[0].probe_status);
	return hostile_aftermath(g, &before, true);
}

/* Posted buffers that are something else when the device comes to use them. */
static int changed_buffers(struct guest *g, const char *socket, bool load,
			   struct vring_desc to)
{
	struct hostile_census before;
	struct vq_segment s[2];
	struct guest_pair *p;
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	p = &g->pair[0];
	/* An answer proves that the buffers have been seen as they were. */
	make_load(g, s);
	TRY(guest_probe(p, s, 1));
	TRY(guest_probe_finish(p, 1));
	for (i = 0; i < p->response.size; i++)
		p->response.desc[i] = to;
	if (load)
		make_load(g, s);
	else
		make_store(g, s);
	TRY(guest_probe(p, s, load ? 1 : 2));
	return broken_at_the_end(g, &p->response, &before);
}

static int case_buffers_vanish(struct guest *g, const char *socket)
{
	return changed_buffers(g, socket, true, (struct vring_desc){
		.addr = 0xdead00000000, .len = 8192, .flags = VRING_DESC_F_WRITE });
}

static int case_buffers_shrink(struct guest *g, const char *socket)
{
	return changed_buffers(g, socket, false, (struct vring_desc){
		.addr = 0x100000, .len = 8, .flags = VRING_DESC_F_WRITE });
}

static int case_buffers_turn_readable(struct guest *g, const char *socket)
{
	return changed_buffers(g, socket, false, (struct vring_desc){
		.addr = 0x100000, .len = 256 });
}

static int case_buffers_loop(struct guest *g, const char *socket)
{
	return changed_buffers(g, socket, true, (struct vring_desc){
		.addr = 0x100000, .len = 16, .next = 0,
		.flags = VRING_DESC_F_WRITE | VRING_DESC_F_NEXT });
}

static int case_response_index_jumps(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct virtqueue *vq;

	TRY(hostile_begin(g, socket, &before));
	vq = &g->pair[0].response;
	vq->avail_index += vq->size + 1;
	vq_publish(vq);
	vq_kick(vq);
	return broken_at_the_end(g, vq, &before);
}

/* The same buffers over and over, more than the ring has. */
static int case_too_many_buffers(struct guest *g, const char *socket)
{
	struct hostile_census before;
	struct virtqueue *vq;
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	vq = &g->pair[0].response;
	for (i = 0; i < vq->size - 1; i++, vq->avail_index++)
		vq->avail->ring[vq->avail_index % vq->size] = 0;
	vq_publish(vq);
	vq_kick(vq);
	return broken_at_the_end(g, vq, &before);
}

/* --- the control queue --- */

/* Checks: device-ctrl-response-reserved */
static int expect_control(struct guest *g, const struct vq_segment *s,
			  unsigned int count, u32 status)
{
	u32 used, got;

	memset(g->ctrl_response, 0xff, sizeof(*g->ctrl_response));
	TRY(guest_control(g, s, count, &used));
	got = cswap_wire_get_ctrl_status(g->ctrl_response, used);
	EXPECT(g, got == status, "control status %u, not %u", got, status);
	return 0;
}

/* A good DISCARD of @count ranges, whose parts a case then spoils. */
static struct virtio_cswap_range *make_discard(struct guest *g, struct vq_segment s[2],
					       unsigned int count)
{
	struct virtio_cswap_range *range = (struct virtio_cswap_range *)(g->ctrl + 1);
	unsigned int i;

	cswap_wire_put_discard(g->ctrl, count);
	for (i = 0; i < count && i < VIRTIO_CSWAP_MAX_RANGES; i++)
		cswap_wire_put_range(&range[i], PAGES_AT + i, 1);
	s[0] = (struct vq_segment){ fe_guest_address(&g->fe, g->ctrl),
				    CSWAP_CTRL_BYTES(count), false };
	s[1] = (struct vq_segment){ fe_guest_address(&g->fe, g->ctrl_response),
				    sizeof(*g->ctrl_response), true };
	return range;
}

/* Checks: device-ctrl-invalid, device-discard-range, device-discard-invalid */
static int case_control_ranges(struct guest *g, const char *socket)
{
	struct virtio_cswap_range *range;
	struct hostile_census before;
	struct vq_segment s[2];
	unsigned int i;
	u64 capacity;

	TRY(hostile_begin(g, socket, &before));
	capacity = g->geometry.capacity;
	const struct guest_range bad[] = {
		{ 0, 0 }, { capacity, 1 }, { capacity - 1, 2 }, { 0, capacity + 1 },
		{ 1, UINT64_MAX }, { UINT64_MAX, 1 }, { UINT64_MAX, UINT64_MAX },
		{ UINT64_MAX / 4096 + 1, 1 }, { 0, UINT64_MAX / 4096 + 2 },
	};

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		range = make_discard(g, s, 1);
		cswap_wire_put_range(range, bad[i].start, bad[i].count);
		TRY(expect_control(g, s, 2, VIRTIO_CSWAP_S_INVALID));
		/* The last of some; the page next to them must survive. */
		range = make_discard(g, s, 3);
		cswap_wire_put_range(&range[2], bad[i].start, bad[i].count);
		TRY(expect_control(g, s, 2, VIRTIO_CSWAP_S_INVALID));
	}
	return hostile_aftermath(g, &before, true);
}

/* Checks: device-ctrl-invalid */
static int case_control_headers(struct guest *g, const char *socket)
{
	static const u16 counts[] = { 0, 1, 3, 64, 65, 0xffff };
	struct hostile_census before;
	struct vq_segment s[2];
	unsigned int i;

	TRY(hostile_begin(g, socket, &before));
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		make_discard(g, s, 2);
		g->ctrl->count = cpu_to_le16(counts[i]);
		TRY(expect_control(g, s, 2, VIRTIO_CSWAP_S_INVALID));
	}
	for (i = 0; i < 96; i++) {
		make_discard(g, s, 1);
		if (i < 32)
			g->ctrl->reserved0 = cpu_to_le32(1u << i);
		else
			g->ctrl->reserved1 = cpu_to_le64((u64)1 << (i - 32));
		TRY(expect_control(g, s, 2, VIRTIO_CSWAP_S_INVALID));
	}
	make_discard(g, s, 1);
	s[0].bytes = sizeof(*g->ctrl) - 1;
	TRY(expect_control(g, s, 2, VIRTIO_CSWAP_S_INVALID));
	s[0].bytes = 1;
	TRY(expect_control(g, s, 2, VIRTIO_CSWAP_S_INVALID));
	TRY(expect_control(g, s + 1, 1, VIRTIO_CSWAP_S_INVALID));
	return hostile_aftermath(g, &before, true);
}

/* A range more than is allowed, and all of it is there. */
/* Checks: device-ctrl-invalid */
static int case_range_too_many(struct guest *g, const char *socket)
{
	const unsigned int count = VIRTIO_CSWAP_MAX_RANGES + 1;
	struct virtio_cswap_range *range;
	struct hostile_census before;
	struct vq_segment s[2];
	unsigned int i;
	u8 *header;

	TRY(hostile_begin(g, socket, &before));
	make_discard(g, s, 1);
	header = fe_alloc(&g->fe, CSWAP_CTRL_BYTES(count), 16);
	EXPECT(g, header, "%s", g->fe.error);
	cswap_wire_put_discard((struct virtio_cswap_ctrl *)header, count);
	range = (struct virtio_cswap_range *)(header + sizeof(struct virtio_cswap_ctrl));
	for (i = 0; i < count; i++)
		cswap_wire_put_range(&range[i], PAGES_AT + i, 1);
	s[0] = (struct vq_segment){ fe_guest_address(&g->fe, header),
				    CSWAP_CTRL_BYTES(count), false };
	TRY(expect_control(g, s, 2, VIRTIO_CSWAP_S_INVALID));
	return hostile_aftermath(g, &before, true);
}

/* Everything in pieces of a byte, the answer too. */
static int case_control_pieces(struct guest *g, const char *socket)
{
	struct vq_segment s[2], pieces[64];
	struct hostile_census before;
	unsigned int i, n = 0;

	TRY(hostile_begin(g, socket, &before));
	make_discard(g, s, 1);
	for (i = 0; i < s[0].bytes; i++)
		pieces[n++] = (struct vq_segment){ s[0].address + i, 1, false };
	for (i = 0; i < s[1].bytes; i++)
		pieces[n++] = (struct vq_segment){ s[1].address + i, 1, true };
	TRY(expect_control(g, pieces, n, VIRTIO_CSWAP_S_OK));
	return hostile_aftermath(g, &before, true);
}

static int broken_control(struct guest *g, const char *socket, unsigned int first,
			  unsigned int count, unsigned int response_bytes, bool swapped)
{
	struct hostile_census before;
	struct vq_segment s[2], both[2];

	TRY(hostile_begin(g, socket, &before));
	make_discard(g, s, 1);
	s[1].bytes = response_bytes;
	both[0] = s[swapped];
	both[1] = s[!swapped];
	vq_add(&g->control, both + first, count, NULL);
	vq_publish(&g->control);
	return broken_at_the_end(g, &g->control, &before);
}

/* Checks: device-ctrl-no-room */
static int case_control_no_answer(struct guest *g, const char *socket)
{
	return broken_control(g, socket, 0, 1, 8, false);
}

static int case_control_short_answer(struct guest *g, const char *socket)
{
	return broken_control(g, socket, 0, 2, 7, false);
}

static int case_control_swapped(struct guest *g, const char *socket)
{
	return broken_control(g, socket, 0, 2, 8, true);
}

/* Discards of everything, again and again, and nobody else may starve. */
static int case_control_huge(struct guest *g, const char *socket)
{
	struct virtio_cswap_range *range;
	struct hostile_census before;
	struct vq_segment s[2];
	enum io_result result;
	unsigned int i;
	u64 half;

	TRY(hostile_begin(g, socket, &before));
	half = g->geometry.capacity / 2;
	range = make_discard(g, s, VIRTIO_CSWAP_MAX_RANGES);
	for (i = 0; i < VIRTIO_CSWAP_MAX_RANGES; i++)
		cswap_wire_put_range(&range[i], half, half);
	for (i = 0; i < 4; i++) {
		vq_add(&g->control, s, 2, NULL);
		vq_publish(&g->control);
		TRY(bystander_works(g));
	}
	TRY(guest_load(g, HOSTILE_BYSTANDER, &result));
	EXPECT(g, result == IO_OK, "a discard reached beyond its ranges");
	return hostile_aftermath(g, &before, true);
}

static const struct suite_case cases[] = {
	{ "head out of range", case_head_out_of_range },
	{ "head 65535", case_head_wild },
	{ "next out of range", case_next_out_of_range },
	{ "next 65535", case_next_wild },
	{ "descriptor points to itself", case_self_loop },
	{ "descriptors in a loop", case_long_loop },
	{ "address of no memory", case_no_memory },
	{ "address 0", case_null_address },
	{ "descriptor beyond the end of memory", case_end_of_memory },
	{ "descriptor between two regions", case_between_regions },
	{ "address wraps", case_address_wraps },
	{ "length 4 GiB", case_length_huge },
	{ "address and length at their most", case_length_both },
	{ "writable descriptor in a request", case_writable },
	{ "readable after writable", case_readable_after_writable },
	{ "indirect descriptor", case_indirect },
	{ "unknown descriptor flags", case_unknown_flags },
	{ "request shorter than its header", case_too_short },
	{ "empty request", case_empty },
	{ "a ring of empty descriptors", case_all_empty },
	{ "a ring of huge descriptors", case_all_huge },
	{ "available index jumps", case_avail_jumps },
	{ "available index goes back", case_avail_backwards },
	{ "available index wild", case_avail_wild },
	{ "broken and reset, 500 times", case_broken_often },
	{ "one head many times", case_same_head_twice },
	{ "ring changes while it is read", case_changing_ring },
	{ "kicks for nothing, 120,000", case_notify_storm },
	{ "empty descriptors between others", case_zero_length_between },
	{ "page counts out of range", case_bad_counts },
	{ "a page more than allowed", case_page_too_many },
	{ "slots out of range", case_bad_slots },
	{ "every reserved bit of a request", case_reserved_bits },
	{ "requests too long and too short", case_wrong_lengths },
	{ "what is refused changes nothing", case_refused_without_effect },
	{ "pages misaligned or in two descriptors", case_misaligned_pages },
	{ "requests without response buffers", case_no_buffers },
	{ "900 LOADs without data buffers, STOREs go on", case_loads_wait },
	{ "450 STOREs without ack buffers, LOADs go on", case_stores_wait },
	{ "900 LOADs without data buffers, and the worker dies", case_loads_wait_for_another },
	{ "450 STOREs without ack buffers, and the worker dies", case_stores_wait_for_another },
	{ "ack buffers for one ack", case_tiny_ack_buffers },
	{ "ack buffer too small for one ack", case_ack_buffer_too_small },
	{ "response buffer of no bytes", case_empty_buffer },
	{ "response buffer that is readable", case_readable_buffer },
	{ "response buffer in no memory", case_buffer_nowhere },
	{ "data buffer for more pages than a request has", case_buffer_too_large },
	{ "data buffer with a misaligned page", case_misaligned_buffer },
	{ "load of more pages than a buffer takes", case_load_without_room },
	{ "posted buffers vanish", case_buffers_vanish },
	{ "posted buffers shrink", case_buffers_shrink },
	{ "posted buffers turn readable", case_buffers_turn_readable },
	{ "posted buffers become a loop", case_buffers_loop },
	{ "response index jumps", case_response_index_jumps },
	{ "more response buffers than the ring has", case_too_many_buffers },
	{ "discard ranges out of range", case_control_ranges },
	{ "control headers malformed, every reserved bit", case_control_headers },
	{ "a discard range more than allowed", case_range_too_many },
	{ "control request in pieces of a byte", case_control_pieces },
	{ "control request without answer part", case_control_no_answer },
	{ "control answer part too small", case_control_short_answer },
	{ "control parts in the wrong order", case_control_swapped },
	{ "huge discards beside other requests", case_control_huge },
};

int run_hostile(const char *socket, const char *filter)
{
	return suite_run(socket, filter, cases, ARRAY_SIZE(cases));
}
