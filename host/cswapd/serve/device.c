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
_Static_assert(sizeof(struct virtio_cswap_mem_range) == 16, "wire");
_Static_assert(sizeof(struct virtio_cswap_event) == 32, "wire");
_Static_assert(sizeof(struct virtio_cswap_report) == 256, "wire");

void device_fill_config(const struct device_limits *limits,
			struct virtio_cswap_config *config)
{
	memset(config, 0, sizeof(*config));
	config->capacity = htole64(limits->capacity);
	config->slot_size = htole32(VIRTIO_CSWAP_SLOT_SIZE);
	config->num_queue_pairs = htole16((uint16_t)limits->queue_pairs);
	config->max_request_pages = htole16(DEVICE_MAX_PAGES);
	config->medium = limits->medium;
	config->report_period_ms = htole32(limits->report_period_ms);
	config->release_method = limits->release_method;
	if (limits->release_method != VIRTIO_CSWAP_RELEASE_NONE)
		config->block_size = htole32(limits->block_bytes);
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

/* Fetch the ranges, whatever they are of. */
static bool get_ranges(const struct vring_chain *chain,
		       struct device_control *control)
{
	__le64 range[VIRTIO_CSWAP_MAX_RANGES][2];
	uint64_t at = sizeof(struct virtio_cswap_ctrl);
	unsigned int i;

	if (!control->count || control->count > VIRTIO_CSWAP_MAX_RANGES ||
	    chain->readable_bytes != at + control->count * sizeof(range[0]))
		return false;
	vring_copy_from(range, chain->segment, at,
			control->count * sizeof(range[0]));
	for (i = 0; i < control->count; i++) {
		control->range[i].start = le64toh(range[i][0]);
		control->range[i].count = le64toh(range[i][1]);
	}
	return true;
}

/* In ascending order, neighbours and overlapping ones as one. */
static void merge_ranges(struct device_control *control)
{
	struct device_range *range = control->range;
	unsigned int i, j, merged = 0;

	for (i = 1; i < control->count; i++) {
		const struct device_range one = range[i];

		for (j = i; j && range[j - 1].start > one.start; j--)
			range[j] = range[j - 1];
		range[j] = one;
	}
	for (i = 1; i < control->count; i++) {
		struct device_range *last = &range[merged];
		uint64_t gap = range[i].start - last->start;

		if (gap > last->count)
			range[++merged] = range[i];
		else if (range[i].count > last->count - gap)
			last->count = gap + range[i].count;
	}
	control->count = merged + 1;
}

static uint32_t parse_discard(const struct device_limits *limits,
			      const struct vring_chain *chain,
			      struct device_control *control)
{
	unsigned int i;

	if (!get_ranges(chain, control))
		return VIRTIO_CSWAP_S_INVALID;
	for (i = 0; i < control->count; i++)
		if (!range_valid(limits, control->range[i].start,
				 control->range[i].count))
			return VIRTIO_CSWAP_S_INVALID;
	merge_ranges(control);
	return VIRTIO_CSWAP_S_OK;
}

/*
 * What the guest takes back it uses, whatever the answer. Memory that was removed is still the guest's, who doesn't
 * know of it.
 */
static bool is_guests(const struct memory *memory, const struct device_control *control,
		      const struct device_range *range)
{
	return control->op == DEVICE_RECLAIM ? memory_knows(memory, range->start, range->count) :
					       memory_covers(memory, range->start, range->count);
}

static uint32_t parse_memory(const struct device_limits *limits,
			     const struct memory *memory,
			     const struct blockmap *pinned,
			     const struct vring_chain *chain,
			     struct device_control *control)
{
	unsigned int i;

	if (!get_ranges(chain, control))
		return VIRTIO_CSWAP_S_INVALID;
	for (i = 0; i < control->count; i++) {
		uint64_t addr = control->range[i].start;
		uint64_t len = control->range[i].count;

		if (!len || addr % limits->block_bytes ||
		    len % limits->block_bytes ||
		    !is_guests(memory, control, &control->range[i]))
			return VIRTIO_CSWAP_S_INVALID;
		if (control->op == DEVICE_RELEASE &&
		    blockmap_any(pinned, addr, len))
			return VIRTIO_CSWAP_S_INVALID;
	}
	merge_ranges(control);
	return VIRTIO_CSWAP_S_OK;
}

static uint32_t parse_event(const struct vring_chain *chain,
			    const struct device_control *control)
{
	return control->count ||
	       chain->readable_bytes != sizeof(struct virtio_cswap_ctrl) ||
	       chain->writable_bytes < sizeof(struct virtio_cswap_event) ?
		       VIRTIO_CSWAP_S_INVALID : VIRTIO_CSWAP_S_OK;
}

static struct device_report report_to_host(const struct virtio_cswap_report *wire)
{
	struct device_report report = {
		.stopped = le32toh(wire->stopped),
		.epoch = le32toh(wire->epoch),
	};

#define TO_HOST(field, json_name)	report.field = le64toh(wire->field);
	DEVICE_REPORT_WORDS(TO_HOST)
#undef TO_HOST
	return report;
}

/*
 * A report's figures aren't checked: they are a claim. What is reserved there is for statistics of
 * newer drivers.
 */
static uint32_t parse_report(const struct vring_chain *chain,
			     struct device_control *control)
{
	const uint64_t at = sizeof(struct virtio_cswap_ctrl);
	struct virtio_cswap_report report;

	if (control->count ||
	    chain->readable_bytes != at + sizeof(report))
		return VIRTIO_CSWAP_S_INVALID;
	vring_copy_from(&report, chain->segment, at, sizeof(report));
	control->report = report_to_host(&report);
	return VIRTIO_CSWAP_S_OK;
}

/* What the opcode means, if it's one that was negotiated. */
static bool sort_control(const struct device_limits *limits, uint16_t op,
			 enum device_control_op *to)
{
	switch (op) {
	case VIRTIO_CSWAP_CTRL_DISCARD:
		*to = DEVICE_DISCARD;
		return limits->discard;
	case VIRTIO_CSWAP_CTRL_RELEASE:
		*to = DEVICE_RELEASE;
		return limits->balloon;
	case VIRTIO_CSWAP_CTRL_RECLAIM:
		*to = DEVICE_RECLAIM;
		return limits->balloon;
	case VIRTIO_CSWAP_CTRL_EVENT:
		*to = DEVICE_EVENT;
		return limits->balloon;
	case VIRTIO_CSWAP_CTRL_REPORT:
		*to = DEVICE_REPORT;
		return limits->report;
	default:
		return false;
	}
}

const char *device_parse_control(const struct device_limits *limits,
				 const struct memory *memory,
				 const struct blockmap *pinned,
				 const struct vring_chain *chain,
				 struct device_control *control)
{
	struct virtio_cswap_ctrl header;

	if (chain->writable_bytes < sizeof(struct virtio_cswap_ctrl_response))
		return "no room for the answer on the control queue";
	control->count = 0;
	control->op = DEVICE_DISCARD;
	control->status = VIRTIO_CSWAP_S_INVALID;
	if (chain->readable_bytes < sizeof(header))
		return NULL;
	vring_copy_from(&header, chain->segment, 0, sizeof(header));
	control->count = le16toh(header.count);
	if (!sort_control(limits, le16toh(header.op), &control->op)) {
		control->status = VIRTIO_CSWAP_S_UNSUPP;
		return NULL;
	}
	if (header.reserved0 || header.reserved1)
		return NULL;
	switch (control->op) {
	case DEVICE_DISCARD:
		control->status = parse_discard(limits, chain, control);
		break;
	case DEVICE_RELEASE:
	case DEVICE_RECLAIM:
		control->status = parse_memory(limits, memory, pinned, chain,
					       control);
		break;
	case DEVICE_EVENT:
		control->status = parse_event(chain, control);
		break;
	case DEVICE_REPORT:
		control->status = parse_report(chain, control);
		break;
	}
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
	uint64_t room = data_room(chain);

	/* Of one with room for a million pages as many tags would have to be written. */
	if (chain->readable || room > DEVICE_MAX_PAGES)
		return DEVICE_BUFFER_USELESS;
	if (room)
		return DEVICE_BUFFER_DATA;
	return device_ack_room(chain) ? DEVICE_BUFFER_ACKS :
					DEVICE_BUFFER_USELESS;
}

unsigned int device_data_room(const struct vring_chain *chain)
{
	return (unsigned int)data_room(chain);
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

uint32_t device_put_event(const struct vring_chain *chain,
			  const struct virtio_cswap_event *event)
{
	vring_copy_to(chain->segment + chain->readable, 0, event,
		      sizeof(*event));
	return sizeof(*event);
}

/* An EVENT that fails is answered by an event, if there is room for one. */
uint32_t device_put_control(const struct vring_chain *chain,
			    const struct device_control *control,
			    uint32_t status)
{
	const struct virtio_cswap_event event = { .status = htole32(status) };
	const struct virtio_cswap_ctrl_response response = {
		.status = htole32(status),
	};

	if (control->op == DEVICE_EVENT &&
	    chain->writable_bytes >= sizeof(event))
		return device_put_event(chain, &event);
	vring_copy_to(chain->segment + chain->readable, 0, &response,
		      sizeof(response));
	return sizeof(response);
}

/* One that failed has no target. */
struct virtio_cswap_event device_make_event(uint32_t status,
					    uint64_t target_bytes)
{
	return (struct virtio_cswap_event) {
		.status = htole32(status),
		.target = htole64(status ? 0 : target_bytes),
	};
}

struct virtio_cswap_ack device_make_ack(const struct device_request *request)
{
	return (struct virtio_cswap_ack) {
		.cookie = htole64(request->cookie),
		.status = htole32(request->status),
	};
}
