// SPDX-License-Identifier: GPL-2.0-only
/*
 * lies.c - what a malicious device says: answers changed, replayed and made up.
 *
 * Theory of operation: of the requests that pass, the cookies and the stored pages
 * are remembered for a while. An answer is fetched from its buffer, changed, and put
 * back, or made from what is remembered. All of it under the lock of liar.c.
 */
#include <endian.h>
#include <string.h>

#include "rings.h"
#include "serve/device.h"

#define MAX_REQUESTS 1024
#define MAX_PAGES 256

/* What was asked, newest over oldest. */
static struct { uint64_t cookie, slot; } requests[MAX_REQUESTS];
static unsigned int num_requests;
/* What was stored. */
static struct old_page {
	uint64_t slot;
	struct virtio_cswap_tag tag;
	uint8_t data[VIRTIO_CSWAP_SLOT_SIZE];
} pages[MAX_PAGES];
static unsigned int num_pages;

/* An answer in private memory. */
union answer {
	uint8_t byte[ANSWER_BYTES];
	struct {
		struct virtio_cswap_response response;
		struct virtio_cswap_ack ack[];
	};
};

static unsigned int kept(unsigned int count, unsigned int most)
{
	return count < most ? count : most;
}

/* --- what is remembered --- */

void lies_note_request(const struct vring_chain *chain)
{
	const size_t page_bytes = VIRTIO_CSWAP_TAG_SIZE + VIRTIO_CSWAP_SLOT_SIZE;
	struct virtio_cswap_request request;
	struct old_page *page;
	uint64_t i, count;

	if (chain->readable_bytes < sizeof(request))
		return;
	vring_copy_from(&request, chain->segment, 0, sizeof(request));
	requests[num_requests % MAX_REQUESTS].cookie = request.cookie;
	requests[num_requests++ % MAX_REQUESTS].slot = request.slot;
	/* A STORE's tags, and then its pages. */
	count = (chain->readable_bytes - sizeof(request)) / page_bytes;
	for (i = 0; i < count && i < VIRTIO_CSWAP_MAX_REQUEST_PAGES; i++) {
		page = &pages[num_pages++ % MAX_PAGES];
		page->slot = htole64(le64toh(request.slot) + i);
		vring_copy_from(&page->tag, chain->segment,
				sizeof(request) + i * VIRTIO_CSWAP_TAG_SIZE, sizeof(page->tag));
		vring_copy_from(page->data, chain->segment,
				sizeof(request) + count * VIRTIO_CSWAP_TAG_SIZE + i * sizeof(page->data),
				sizeof(page->data));
	}
}

static uint64_t some_cookie(void)
{
	if (!num_requests)
		return liar_random();
	return requests[liar_below(kept(num_requests, MAX_REQUESTS))].cookie;
}

/* Whose slot the cookie speaks of, or a slot that doesn't exist. */
static uint64_t slot_of_cookie(uint64_t cookie)
{
	unsigned int i, count = kept(num_requests, MAX_REQUESTS);

	for (i = 1; i <= count; i++)
		if (requests[(num_requests - i) % MAX_REQUESTS].cookie == cookie)
			return requests[(num_requests - i) % MAX_REQUESTS].slot;
	return UINT64_MAX;
}

/* A page that was in @slot once, the older the better; or any other. */
static const struct old_page *older_page(uint64_t slot)
{
	unsigned int i, count = kept(num_pages, MAX_PAGES);

	for (i = count; liar_below(2) && i; i--)
		if (pages[(num_pages - i) % MAX_PAGES].slot == slot)
			return &pages[(num_pages - i) % MAX_PAGES];
	return count ? &pages[liar_below(count)] : NULL;
}

/* --- changing --- */

uint32_t lies_wild_length(uint32_t length)
{
	const uint32_t wild[] = {
		0, 1, 8, 16, length - 1, length + 1, length / 2, 0x7ffffff0, UINT32_MAX,
		(uint32_t)liar_random(),
	};

	return wild[liar_below(sizeof(wild) / sizeof(wild[0]))];
}

static uint64_t wild_cookie(uint64_t cookie)
{
	switch (liar_below(5)) {
	case 0:
		return liar_random();
	case 1:
		return cookie ^ htole64(1ULL << liar_below(64));
	case 2:
		return htole64(le64toh(cookie) + 1);
	case 3:
		return ~cookie;
	default:
		return some_cookie();
	}
}

static uint32_t wild_status(void)
{
	const uint32_t wild[] = { 0, 1, 2, 3, 4, 5, 77, 0x80000000, UINT32_MAX };

	return htole32(wild[liar_below(sizeof(wild) / sizeof(wild[0]))]);
}

static void change_header(struct virtio_cswap_response *response)
{
	if (liar_below(2))
		response->type = htole16((uint16_t)liar_below(liar_below(2) ? 4 : 65536));
	else
		response->count = htole16((uint16_t)liar_below(liar_below(2) ? 20 : 65536));
}

static void change_reserved(union answer *answer, struct virtio_cswap_ack *ack)
{
	switch (liar_below(3)) {
	case 0:
		answer->response.reserved0 ^= htole32(1U << liar_below(32));
		break;
	case 1:
		answer->response.reserved1 ^= htole64(1ULL << liar_below(64));
		break;
	default:
		ack->reserved0 ^= htole32(1U << liar_below(32));
	}
}

/* Where a data buffer's first page is. */
static uint64_t data_at(const struct use *use)
{
	return VIRTIO_CSWAP_DATA_OFFSET(device_data_room(use->chain));
}

/* Bytes of the answer's tags or pages, chosen as one of so many. */
static void flip(const struct use *use, union answer *answer, uint64_t len)
{
	const bool data = chain_is_data(use->chain);
	uint64_t count = le16toh(answer->response.count);
	uint64_t at = data ? VIRTIO_CSWAP_TAGS_OFFSET : 0, bytes = len - at;

	if (data && count && data_at(use) + count * VIRTIO_CSWAP_SLOT_SIZE <= len) {
		at = liar_below(8) ? data_at(use) : VIRTIO_CSWAP_TAGS_OFFSET;
		bytes = count * (at == VIRTIO_CSWAP_TAGS_OFFSET ? VIRTIO_CSWAP_TAG_SIZE :
								  VIRTIO_CSWAP_SLOT_SIZE);
	}
	answer->byte[at + liar_below(bytes)] ^= (uint8_t)(1 << liar_below(8));
}

/* The first page of the answer is one that was there before. */
static bool replay(const struct use *use, union answer *answer)
{
	const struct old_page *page = older_page(slot_of_cookie(answer->ack[0].cookie));

	if (!page)
		return false;
	memcpy(answer->byte + VIRTIO_CSWAP_TAGS_OFFSET, &page->tag, sizeof(page->tag));
	/* Sometimes only one of them. */
	if (liar_below(4))
		memcpy(answer->byte + data_at(use), page->data, sizeof(page->data));
	return true;
}

bool lies_change_answer(struct use *use, enum lie lie)
{
	const bool data = chain_is_data(use->chain);
	const struct vring_segment *to = use->chain->segment + use->chain->readable;
	uint64_t len = use->chain->writable_bytes;
	struct virtio_cswap_ack *ack;
	union answer answer;
	unsigned int acks;

	if (len < sizeof(answer.response) + sizeof(*ack))
		return false;
	if (len > sizeof(answer))
		len = sizeof(answer);
	vring_copy_from(&answer, to, 0, len);
	acks = data ? 1 : le16toh(answer.response.count);
	if (!acks || sizeof(answer.response) + acks * sizeof(*ack) > len)
		return false;
	ack = &answer.ack[liar_below(acks)];
	switch (lie) {
	case LIE_STATUS:
		ack->status = wild_status();
		/* an error brings no page, or it would be another kind of lie */
		if (data && ack->status)
			answer.response.count = 0;
		break;
	case LIE_COOKIE:
		ack->cookie = wild_cookie(ack->cookie);
		break;
	case LIE_RESERVED:
		change_reserved(&answer, ack);
		break;
	case LIE_HEADER:
		change_header(&answer.response);
		break;
	case LIE_FLIP:
		flip(use, &answer, len);
		break;
	case LIE_OLDER:
		if (!data || use->written < data_at(use) + VIRTIO_CSWAP_SLOT_SIZE ||
		    use->written > sizeof(answer) || !replay(use, &answer))
			return false;
		break;
	default:
		return false;
	}
	vring_copy_to(to, 0, &answer, len);
	return true;
}

/* --- making up --- */

static void put_answer(struct use *use, uint64_t cookie)
{
	const bool data = chain_is_data(use->chain);
	const struct old_page *page = data ? older_page(slot_of_cookie(cookie)) : NULL;
	union answer answer = { 0 };
	uint64_t len = sizeof(answer.response) + sizeof(answer.ack[0]);

	answer.response.type = htole16(data ? VIRTIO_CSWAP_RESP_DATA : VIRTIO_CSWAP_RESP_ACKS);
	answer.response.count = htole16(1);
	answer.ack[0].cookie = cookie;
	if (data) {
		len = data_at(use) + VIRTIO_CSWAP_SLOT_SIZE;
		if (page) {
			memcpy(answer.byte + VIRTIO_CSWAP_TAGS_OFFSET, &page->tag,
			       sizeof(page->tag));
			memcpy(answer.byte + data_at(use), page->data, sizeof(page->data));
		}
	}
	vring_copy_to(use->chain->segment + use->chain->readable, 0, &answer, len);
	use->written = (uint32_t)len;
}

static void put_garbage(struct use *use)
{
	union answer answer;
	uint64_t len = use->chain->writable_bytes;
	size_t i;

	for (i = 0; i < sizeof(answer); i++)
		answer.byte[i] = (uint8_t)liar_random();
	if (len > sizeof(answer))
		len = sizeof(answer);
	vring_copy_to(use->chain->segment + use->chain->readable, 0, &answer, len);
	use->written = liar_below(2) ? (uint32_t)len : lies_wild_length((uint32_t)len);
}

bool lies_forge(struct use *use, enum lie lie)
{
	if (use->chain->writable_bytes < sizeof(struct virtio_cswap_response) +
					 sizeof(struct virtio_cswap_ack))
		return false;
	if (lie == LIE_GARBAGE)
		put_garbage(use);
	else
		put_answer(use, wild_cookie(some_cookie()));
	return true;
}

void lies_forge_early(struct use *use, const struct vring_chain *request)
{
	struct virtio_cswap_request header;

	vring_copy_from(&header, request->segment, 0, sizeof(header));
	put_answer(use, header.cookie);
}

void lies_change_control(struct use *use)
{
	const struct vring_segment *to = use->chain->segment + use->chain->readable;
	uint64_t len = use->chain->writable_bytes, at;
	uint8_t byte;

	if (!len)
		return;
	at = liar_below(len);
	byte = (uint8_t)liar_random();
	vring_copy_to(to, at, &byte, 1);
}
