// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_requests.c - requests in chains of any shape, to the parser alone.
 *
 * Each segment is an allocation of its own, of just its size: a byte beyond it is found by
 * AddressSanitizer, where in the guest's memory it would be just another byte. What the parser
 * lets pass is held to what device.h promises of it.
 */
#include "serve/device.h"
#include "fuzz.h"

#define MAX_SEGMENTS 24
#define MAX_SEGMENT_BYTES 70000
#define BLOCK_BYTES 4096

static struct vring_chain chain;

static const struct device_limits limits = {
	.capacity = 1000, .queue_pairs = 1, .discard = true, .balloon = true, .report = true,
	.release_method = VIRTIO_CSWAP_RELEASE_DISCARD, .block_bytes = BLOCK_BYTES,
	.report_period_ms = 1,
};

/* The lengths that matter are around these. */
static uint32_t take_length(struct fuzz_input *in)
{
	static const uint32_t usual[] = {
		0, 8, 16, 32, 48, 256, 272, 4096, 48 + 4096, 2 * 4096, 16 * 4096, 65536,
	};
	uint8_t kind = fuzz_u8(in);

	if (kind < sizeof(usual) / sizeof(usual[0]))
		return usual[kind];
	return kind & 1 ? fuzz_u8(in) : fuzz_u16(in) % MAX_SEGMENT_BYTES;
}

/* At a page's begin, or with its end there, or anywhere. */
static uint8_t *allocate(struct fuzz_input *in, uint32_t len)
{
	void *host = NULL;
	uint8_t fill;

	if (len >= 4096 && fuzz_u8(in) & 1)
		FUZZ_CHECK(!posix_memalign(&host, 4096, len));
	else
		host = malloc(len);
	FUZZ_CHECK(host);
	fill = fuzz_u8(in);
	memset(host, 0, len);
	fuzz_take(in, host, fill < len ? fill : len);
	return host;
}

static void make_chain(struct fuzz_input *in)
{
	unsigned int i;

	chain.head = 0;
	chain.readable = fuzz_u8(in) % (MAX_SEGMENTS / 2);
	chain.writable = fuzz_u8(in) % (MAX_SEGMENTS / 2);
	chain.readable_bytes = 0;
	chain.writable_bytes = 0;
	for (i = 0; i < chain.readable + chain.writable; i++) {
		uint32_t len = take_length(in);

		/* A chain has no empty segments. */
		len += !len;
		chain.segment[i].host = allocate(in, len);
		chain.segment[i].len = len;
		if (i < chain.readable)
			chain.readable_bytes += len;
		else
			chain.writable_bytes += len;
	}
}

static void free_chain(void)
{
	unsigned int i;

	for (i = 0; i < chain.readable + chain.writable; i++)
		free(chain.segment[i].host);
}

/* Does all of the page lie in one segment? */
static bool in_chain(const uint8_t *page)
{
	unsigned int i;

	for (i = 0; i < chain.readable + chain.writable; i++) {
		const struct vring_segment *segment = &chain.segment[i];

		if (page >= segment->host && segment->len >= DEVICE_PAGE_SIZE &&
		    page - segment->host <= (ptrdiff_t)(segment->len - DEVICE_PAGE_SIZE))
			return true;
	}
	return false;
}

static void check_pages(uint8_t *const *page, unsigned int count)
{
	unsigned int i;

	FUZZ_CHECK(count >= 1 && count <= DEVICE_MAX_PAGES);
	for (i = 0; i < count; i++)
		FUZZ_CHECK(!((uintptr_t)page[i] % DEVICE_PAGE_SIZE) && in_chain(page[i]));
}

static void try_request(void)
{
	struct device_request request;

	if (device_parse_request(&limits, &chain, &request) ||
	    request.status != VIRTIO_CSWAP_S_OK)
		return;
	FUZZ_CHECK(request.slot < limits.capacity);
	FUZZ_CHECK(request.count <= limits.capacity - request.slot);
	if (!request.load)
		check_pages(request.page, request.count);
}

static void try_response(unsigned int count)
{
	struct virtio_cswap_tag tag[DEVICE_MAX_PAGES] = { 0 };
	struct virtio_cswap_ack acks[DEVICE_MAX_ACKS] = { 0 };
	uint8_t *page[DEVICE_MAX_PAGES];
	unsigned int room;

	switch (device_sort_response(&chain)) {
	case DEVICE_BUFFER_ACKS:
		room = device_ack_room(&chain);
		FUZZ_CHECK(room >= 1 && room <= DEVICE_MAX_ACKS);
		FUZZ_CHECK(device_put_acks(&chain, acks, room) <= chain.writable_bytes);
		break;
	case DEVICE_BUFFER_DATA:
		if (device_place_pages(&chain, count, page)) {
			check_pages(page, count);
			FUZZ_CHECK(device_put_data(&chain, acks, tag, count) <=
				   chain.writable_bytes);
		} else {
			device_put_data(&chain, acks, tag, 0);
		}
		break;
	case DEVICE_BUFFER_USELESS:
		break;
	}
}

static void check_ranges(const struct memory *memory, const struct device_control *control)
{
	unsigned int i;

	for (i = 0; i < control->count; i++) {
		const struct device_range *range = &control->range[i];

		FUZZ_CHECK(range->count);
		if (control->op == DEVICE_DISCARD)
			FUZZ_CHECK(range->start < limits.capacity &&
				   range->count <= limits.capacity - range->start);
		else
			FUZZ_CHECK(!(range->start % BLOCK_BYTES) &&
				   memory_covers(memory, range->start, range->count));
	}
}

static void try_control(const struct memory *memory, const struct blockmap *pinned)
{
	struct device_control control;
	struct virtio_cswap_event event = device_make_event(VIRTIO_CSWAP_S_OK, 1);

	if (device_parse_control(&limits, memory, pinned, &chain, &control))
		return;
	if (control.status == VIRTIO_CSWAP_S_OK) {
		check_ranges(memory, &control);
		if (control.op == DEVICE_EVENT) {
			device_put_event(&chain, &event);
			return;
		}
	}
	device_put_control(&chain, &control, control.status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t host[FUZZ_BYTES] __attribute__((aligned(4096)));
	struct fuzz_input in = { data, size };
	struct memory memory = { 0 };
	struct blockmap pinned;
	unsigned int count = 1 + fuzz_u8(&in) % DEVICE_MAX_PAGES;

	FUZZ_CHECK(!memory_add_mapped(&memory, FUZZ_GPA, FUZZ_UVA, FUZZ_BYTES, host));
	blockmap_init(&pinned, BALLOON_PIN_BYTES);
	FUZZ_CHECK(blockmap_follow(&pinned, &memory));
	blockmap_mark(&pinned, FUZZ_GPA + 8 * 4096, 4096);
	make_chain(&in);
	try_request();
	try_control(&memory, &pinned);
	try_response(count);
	free_chain();
	blockmap_free(&pinned);
	return 0;
}
