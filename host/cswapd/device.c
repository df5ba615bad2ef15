// SPDX-License-Identifier: GPL-2.0-only
/*
 * device.c - the wire format, seen from the device: the trust boundary.
 *
 * Theory of operation: headers, tags and ranges are copied from guest memory
 * once, checked here and nowhere else, and leave as host-endian structures
 * that the rest of the daemon relies on: slots in range, pages aligned, counts
 * within bounds. Pages aren't looked at: they go between guest memory and the
 * store as they are.
 *
 * Three kinds of wrong: a chain that can't be answered (no room, no cookie)
 * breaks its queue; a malformed request gets S_INVALID; an unknown one
 * S_UNSUPP.
 */
#include <endian.h>
#include <string.h>

#include "device.h"

_Static_assert(sizeof(struct virtio_cswap_config) == 64, "wire");
_Static_assert(sizeof(struct virtio_cswap_request) == 32, "wire");
_Static_assert(sizeof(struct virtio_cswap_tag) == 16, "wire");
_Static_assert(sizeof(struct virtio_cswap_response) == 16, "wire");
_Static_assert(sizeof(struct virtio_cswap_ack) == 16, "wire");
_Static_assert(sizeof(struct virtio_cswap_ctrl) == 16, "wire");
_Static_assert(sizeof(struct virtio_cswap_range) == 16, "wire");
_Static_assert(sizeof(struct virtio_cswap_ctrl_response) == 8, "wire");

void device_fill_config(const struct device_limits *limits,
			struct virtio_cswap_config *config)
{
	memset(config, 0, sizeof(*config));
	config->capacity = htole64(limits->capacity);
	config->slot_size = htole32(VIRTIO_CSWAP_SLOT_SIZE);
	config->num_queue_pairs = htole16((uint16_t)limits->queue_pairs);
	config->max_request_pages = htole16(DEVICE_MAX_PAGES);
	config->medium = limits->medium;
}

static bool range_valid(const struct device_limits *limits, uint64_t start,
			uint64_t count)
{
	return count && start < limits->capacity &&
	       count <= limits->capacity - start;
}

/*
 * Find @count pages in the segments, @offset bytes behind their begin. Each
 * must be aligned and lie in one segment.
 */
static bool find_pages(const struct vring_segment *segment, uint64_t offset,
		       unsigned int count, uint8_t **page)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		while (offset >= segment->len) {
			offset -= segment->len;
			segment++;
		}
		if (segment->len - offset < DEVICE_PAGE_SIZE)
			return false;
		page[i] = segment->host + offset;
		if ((uintptr_t)page[i] & (DEVICE_PAGE_SIZE - 1))
			return false;
		offset += DEVICE_PAGE_SIZE;
	}
	return true;
}

static uint32_t parse_store(const struct vring_chain *chain,
			    struct device_request *request)
{
	uint64_t tags = sizeof(struct virtio_cswap_tag) * request->count;
	uint64_t pages = (uint64_t)DEVICE_PAGE_SIZE * request->count;
	uint64_t at = sizeof(struct virtio_cswap_request);

	if (chain->readable_bytes != at + tags + pages)
		return VIRTIO_CSWAP_S_INVALID;
	vring_copy_from(request->tag, chain->segment, at, tags);
	if (!find_pages(chain->segment, at + tags, request->count,
			request->page))
		return VIRTIO_CSWAP_S_INVALID;
	return VIRTIO_CSWAP_S_OK;
}

const char *device_parse_request(const struct device_limits *limits,
				 const struct vring_chain *chain,
				 struct device_request *request)
{
	struct virtio_cswap_request header;
	uint16_t op;

	if (chain->writable)
		return "writable buffer on a request queue";
	if (chain->readable_bytes < sizeof(header))
		return "request is shorter than its header";
	vring_copy_from(&header, chain->segment, 0, sizeof(header));

	op = le16toh(header.op);
	request->load = op == VIRTIO_CSWAP_OP_LOAD;
	request->count = le16toh(header.count);
	request->cookie = le64toh(header.cookie);
	request->slot = le64toh(header.slot);
	if (op != VIRTIO_CSWAP_OP_STORE && op != VIRTIO_CSWAP_OP_LOAD)
		request->status = VIRTIO_CSWAP_S_UNSUPP;
	else if (header.reserved0 || header.reserved1 ||
		 request->count > DEVICE_MAX_PAGES ||
		 !range_valid(limits, request->slot, request->count))
		request->status = VIRTIO_CSWAP_S_INVALID;
	else if (!request->load)
		request->status = parse_store(chain, request);
	else if (chain->readable_bytes != sizeof(header))
		request->status = VIRTIO_CSWAP_S_INVALID;
	else
		request->status = VIRTIO_CSWAP_S_OK;
	return NULL;
}

static uint32_t parse_ranges(const struct device_limits *limits,
			     const struct vring_chain *chain,
			     struct device_control *control)
{
	struct virtio_cswap_range range[VIRTIO_CSWAP_MAX_RANGES];
	uint64_t at = sizeof(struct virtio_cswap_ctrl);
	unsigned int i;

	if (!control->count || control->count > VIRTIO_CSWAP_MAX_RANGES ||
	    chain->readable_bytes != at + control->count * sizeof(range[0]))
		return VIRTIO_CSWAP_S_INVALID;
	vring_copy_from(range, chain->segment, at,
			control->count * sizeof(range[0]));
	for (i = 0; i < control->count; i++) {
		control->range[i].start = le64toh(range[i].start);
		control->range[i].count = le64toh(range[i].count);
		if (!range_valid(limits, control->range[i].start,
				 control->range[i].count))
			return VIRTIO_CSWAP_S_INVALID;
	}
	return VIRTIO_CSWAP_S_OK;
}

const char *device_parse_control(const struct device_limits *limits,
				 const struct vring_chain *chain,
				 struct device_control *control)
{
	struct virtio_cswap_ctrl header;

	if (chain->writable_bytes < sizeof(struct virtio_cswap_ctrl_response))
		return "no room for the answer on the control queue";
	control->count = 0;
	control->status = VIRTIO_CSWAP_S_INVALID;
	if (chain->readable_bytes < sizeof(header))
		return NULL;
	vring_copy_from(&header, chain->segment, 0, sizeof(header));
	control->count = le16toh(header.count);
	if (le16toh(header.op) != VIRTIO_CSWAP_CTRL_DISCARD || !limits->discard)
		control->status = VIRTIO_CSWAP_S_UNSUPP;
	else if (!header.reserved0 && !header.reserved1)
		control->status = parse_ranges(limits, chain, control);
	return NULL;
}

/* The pages that a data buffer has room for. */
static uint64_t data_room(const struct vring_chain *chain)
{
	uint64_t page = VIRTIO_CSWAP_TAG_SIZE + DEVICE_PAGE_SIZE;

	if (chain->writable_bytes < VIRTIO_CSWAP_TAGS_OFFSET)
		return 0;
	return (chain->writable_bytes - VIRTIO_CSWAP_TAGS_OFFSET) / page;
}

enum device_buffer device_sort_response(const struct vring_chain *chain)
{
	if (chain->readable)
		return DEVICE_BUFFER_USELESS;
	if (data_room(chain))
		return DEVICE_BUFFER_DATA;
	return device_ack_room(chain) ? DEVICE_BUFFER_ACKS :
					DEVICE_BUFFER_USELESS;
}

bool device_place_pages(const struct vring_chain *chain, unsigned int count,
			uint8_t **page)
{
	uint64_t room = data_room(chain);

	return count <= room &&
	       find_pages(chain->segment + chain->readable,
			  VIRTIO_CSWAP_DATA_OFFSET(room), count, page);
}

unsigned int device_ack_room(const struct vring_chain *chain)
{
	uint64_t room;

	if (chain->writable_bytes < sizeof(struct virtio_cswap_response))
		return 0;
	room = (chain->writable_bytes - sizeof(struct virtio_cswap_response)) /
	       sizeof(struct virtio_cswap_ack);
	return room < DEVICE_MAX_ACKS ? (unsigned int)room : DEVICE_MAX_ACKS;
}

uint32_t device_put_acks(const struct vring_chain *chain,
			 const struct virtio_cswap_ack *ack,
			 unsigned int count)
{
	const struct virtio_cswap_response header = {
		.type = htole16(VIRTIO_CSWAP_RESP_ACKS),
		.count = htole16((uint16_t)count),
	};
	const struct vring_segment *to = chain->segment + chain->readable;

	vring_copy_to(to, 0, &header, sizeof(header));
	vring_copy_to(to, sizeof(header), ack, count * sizeof(*ack));
	return (uint32_t)(sizeof(header) + count * sizeof(*ack));
}

uint32_t device_put_data(const struct vring_chain *chain,
			 const struct virtio_cswap_ack *ack,
			 const struct virtio_cswap_tag *tag,
			 unsigned int count)
{
	static const struct virtio_cswap_tag none;
	const struct virtio_cswap_response header = {
		.type = htole16(VIRTIO_CSWAP_RESP_DATA),
		.count = htole16((uint16_t)count),
	};
	const struct vring_segment *to = chain->segment + chain->readable;
	uint64_t room = data_room(chain);
	uint64_t at = VIRTIO_CSWAP_TAGS_OFFSET;
	uint64_t i;

	vring_copy_to(to, 0, &header, sizeof(header));
	vring_copy_to(to, sizeof(header), ack, sizeof(*ack));
	if (!count)
		return (uint32_t)at;
	/* All that we claim to have written is written, unused tags as well. */
	for (i = 0; i < room; i++, at += sizeof(none))
		vring_copy_to(to, at, i < count ? &tag[i] : &none, sizeof(none));
	return (uint32_t)(at + (uint64_t)count * DEVICE_PAGE_SIZE);
}

uint32_t device_put_control(const struct vring_chain *chain, uint32_t status)
{
	const struct virtio_cswap_ctrl_response response = {
		.status = htole32(status),
	};

	vring_copy_to(chain->segment + chain->readable, 0, &response,
		      sizeof(response));
	return sizeof(response);
}

struct virtio_cswap_ack device_make_ack(uint64_t cookie, uint32_t status)
{
	return (struct virtio_cswap_ack) {
		.cookie = htole64(cookie),
		.status = htole32(status),
	};
}
