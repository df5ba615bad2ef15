// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_wire.c - building requests, and the one place where the device's bytes
 * are fetched and checked.
 *
 * Theory of operation: the host may change shared memory at any time. The driver builds requests
 * there, from private values, and never reads them back. It copies an answer to private memory
 * first and makes every check on the copy; the values that this file returns are in the CPU's byte
 * order and in range.
 */
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include <asm/byteorder.h>

#include "cswap_wire.h"

static_assert(sizeof(struct virtio_cswap_config) == 64);
static_assert(sizeof(struct virtio_cswap_request) == 32);
static_assert(sizeof(struct virtio_cswap_tag) == 16);
static_assert(sizeof(struct virtio_cswap_response) == 16);
static_assert(sizeof(struct virtio_cswap_ack) == 16);
static_assert(sizeof(struct virtio_cswap_ctrl) == 16);
static_assert(sizeof(struct virtio_cswap_range) == 16);
static_assert(sizeof(struct virtio_cswap_mem_range) == 16);
static_assert(sizeof(struct virtio_cswap_event) == 32);
static_assert(sizeof(struct virtio_cswap_report) == 256);
static_assert(sizeof(struct virtio_cswap_ctrl_response) == 8);
static_assert(sizeof(struct virtio_cswap_aad) == 16);
static_assert(CSWAP_ACK_BUFFER_BYTES == 256);
static_assert(VIRTIO_CSWAP_DATA_BUFFER_SIZE(1) == 48 + 4096);
static_assert(VIRTIO_CSWAP_DATA_BUFFER_SIZE(16) == 288 + 16 * 4096);

/* Check the fields of F_BALLOON and F_REPORT, of each if @features has it. */
static const char *check_features(const struct virtio_cswap_config *config, u64 features)
{
	u32 block_size = le32_to_cpu(config->block_size);

	if (features & CSWAP_FEATURE(BALLOON)) {
		if (config->release_method != VIRTIO_CSWAP_RELEASE_CONVERT &&
		    config->release_method != VIRTIO_CSWAP_RELEASE_DISCARD)
			return "unknown release method";
		if (block_size < VIRTIO_CSWAP_MIN_BLOCK_SIZE ||
		    block_size > VIRTIO_CSWAP_MAX_BLOCK_SIZE)
			return "block size out of range";
		if (block_size & (block_size - 1))
			return "block size is not a power of two";
	}
	if (features & CSWAP_FEATURE(REPORT) && !config->report_period_ms)
		return "report period is zero";
	return NULL;
}

const char *cswap_wire_check_config(const struct virtio_cswap_config *config,
				    u64 features, struct cswap_geometry *geometry)
{
	const char *wrong;
	u64 capacity = le64_to_cpu(config->capacity);
	u16 pairs = le16_to_cpu(config->num_queue_pairs);
	u16 pages = le16_to_cpu(config->max_request_pages);
	unsigned int i;

	if (le32_to_cpu(config->slot_size) != VIRTIO_CSWAP_SLOT_SIZE)
		return "slot size is not 4096";
	if (!capacity)
		return "capacity is zero";
	if (capacity > VIRTIO_CSWAP_MAX_CAPACITY)
		return "capacity is absurd";
	if (!pairs)
		return "no queue pair";
	if (pairs > VIRTIO_CSWAP_MAX_QUEUE_PAIRS)
		return "too many queue pairs";
	if (!pages || pages > VIRTIO_CSWAP_MAX_REQUEST_PAGES)
		return "pages a request out of range";
	/* the driver doesn't judge fields of features that weren't negotiated */
	wrong = check_features(config, features);
	if (wrong)
		return wrong;
	if (config->reserved0)
		return "a reserved field is not zero";
	for (i = 0; i < ARRAY_SIZE(config->reserved1); i++)
		if (config->reserved1[i])
			return "a reserved field is not zero";

	geometry->capacity = capacity;
	geometry->queue_pairs = pairs;
	geometry->max_request_pages = pages;
	geometry->medium = config->medium <= VIRTIO_CSWAP_MEDIUM_DISK ?
		config->medium : VIRTIO_CSWAP_MEDIUM_UNKNOWN;
	geometry->release_method = VIRTIO_CSWAP_RELEASE_NONE;
	geometry->block_size = 0;
	if (features & CSWAP_FEATURE(BALLOON)) {
		geometry->release_method = config->release_method;
		geometry->block_size = le32_to_cpu(config->block_size);
	}
	geometry->report_period_ms = features & CSWAP_FEATURE(REPORT) ?
		le32_to_cpu(config->report_period_ms) : 0;
	return NULL;
}

static void put_request(void *to, u16 op, u64 cookie, u64 slot, unsigned int count)
{
	const struct virtio_cswap_request request = {
		.op = cpu_to_le16(op),
		.count = cpu_to_le16(count),
		.cookie = cpu_to_le64(cookie),
		.slot = cpu_to_le64(slot),
	};

	memcpy(to, &request, sizeof(request));
}

void cswap_wire_put_store(void *to, u64 cookie, u64 slot, unsigned int count)
{
	put_request(to, VIRTIO_CSWAP_OP_STORE, cookie, slot, count);
}

void cswap_wire_put_tag(void *to, unsigned int index, const u8 *tag)
{
	memcpy((u8 *)to + CSWAP_STORE_HEADER_BYTES(index), tag, VIRTIO_CSWAP_TAG_SIZE);
}

void cswap_wire_put_load(void *to, u64 cookie, u64 slot, unsigned int count)
{
	put_request(to, VIRTIO_CSWAP_OP_LOAD, cookie, slot, count);
}

static void put_ctrl(struct virtio_cswap_ctrl *to, u16 op, unsigned int count)
{
	const struct virtio_cswap_ctrl ctrl = {
		.op = cpu_to_le16(op),
		.count = cpu_to_le16(count),
	};

	memcpy(to, &ctrl, sizeof(ctrl));
}

void cswap_wire_put_discard(struct virtio_cswap_ctrl *to, unsigned int count)
{
	put_ctrl(to, VIRTIO_CSWAP_CTRL_DISCARD, count);
}

void cswap_wire_put_release(struct virtio_cswap_ctrl *to, unsigned int count)
{
	put_ctrl(to, VIRTIO_CSWAP_CTRL_RELEASE, count);
}

void cswap_wire_put_reclaim(struct virtio_cswap_ctrl *to, unsigned int count)
{
	put_ctrl(to, VIRTIO_CSWAP_CTRL_RECLAIM, count);
}

void cswap_wire_put_event(struct virtio_cswap_ctrl *to)
{
	put_ctrl(to, VIRTIO_CSWAP_CTRL_EVENT, 0);
}

void cswap_wire_put_range(struct virtio_cswap_range *to, u64 start, u64 count)
{
	const struct virtio_cswap_range range = {
		.start = cpu_to_le64(start),
		.count = cpu_to_le64(count),
	};

	memcpy(to, &range, sizeof(range));
}

void cswap_wire_put_mem_range(struct virtio_cswap_mem_range *to, u64 addr, u64 len)
{
	const struct virtio_cswap_mem_range range = {
		.addr = cpu_to_le64(addr),
		.len = cpu_to_le64(len),
	};

	memcpy(to, &range, sizeof(range));
}

void cswap_wire_put_report(struct virtio_cswap_ctrl *to, const struct virtio_cswap_report *report)
{
	put_ctrl(to, VIRTIO_CSWAP_CTRL_REPORT, 0);
	memcpy((u8 *)to + sizeof(*to), report, sizeof(*report));
}

static u32 known_status(__le32 raw)
{
	u32 status = le32_to_cpu(raw);

	return status <= VIRTIO_CSWAP_S_UNSUPP ? status : VIRTIO_CSWAP_S_IOERR;
}

/* @acks is in private memory. */
static int check_acks(struct cswap_answer *to,
		      const struct virtio_cswap_ack *acks, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (acks[i].reserved0)
			return -EPROTO;
		to->outcome[i].cookie = le64_to_cpu(acks[i].cookie);
		to->outcome[i].status = known_status(acks[i].status);
	}
	to->outcomes = count;
	return 0;
}

/* What a DATA response holds before its tags. */
struct data_header {
	struct virtio_cswap_response response;
	struct virtio_cswap_ack ack;
};

/* Copy the tags, and not one more; the buffer has room for @room pages. */
static void get_tags(struct cswap_answer *to, const void *from, unsigned int room)
{
	/* a CPU that speculates past the check mustn't copy more either */
	unsigned int pages = array_index_nospec(to->pages, room + 1);

	memcpy(to->tag, (const u8 *)from + VIRTIO_CSWAP_TAGS_OFFSET,
	       pages * VIRTIO_CSWAP_TAG_SIZE);
}

static int get_data(struct cswap_answer *to, const void *from, u32 used, unsigned int room)
{
	struct data_header header;
	bool ok;

	static_assert(sizeof(header) == VIRTIO_CSWAP_TAGS_OFFSET);
	if (used < VIRTIO_CSWAP_TAGS_OFFSET || used > VIRTIO_CSWAP_DATA_BUFFER_SIZE(room))
		return -EPROTO;
	memcpy(&header, from, sizeof(header));

	to->pages = le16_to_cpu(header.response.count);
	if (le16_to_cpu(header.response.type) != VIRTIO_CSWAP_RESP_DATA ||
	    header.response.reserved0 || header.response.reserved1)
		return -EPROTO;
	if (check_acks(to, &header.ack, 1))
		return -EPROTO;
	ok = to->outcome[0].status == VIRTIO_CSWAP_S_OK;
	if (to->pages > room || ok != !!to->pages)
		return -EPROTO;
	/* the pages begin behind the room for all tags, however many pages there are */
	if (ok && used != VIRTIO_CSWAP_DATA_OFFSET(room) + to->pages * VIRTIO_CSWAP_SLOT_SIZE)
		return -EPROTO;
	get_tags(to, from, room);
	return 0;
}

static int get_acks(struct cswap_answer *to, const void *from, u32 used)
{
	struct {
		struct virtio_cswap_response response;
		struct virtio_cswap_ack ack[CSWAP_ACKS_PER_BUFFER];
	} copy;
	unsigned int count;

	static_assert(sizeof(copy) == CSWAP_ACK_BUFFER_BYTES);
	if (used < sizeof(copy.response) || used > sizeof(copy))
		return -EPROTO;
	/* a CPU that speculates past the check mustn't copy more either */
	used = array_index_nospec(used, sizeof(copy) + 1);
	memcpy(&copy, from, used);

	count = le16_to_cpu(copy.response.count);
	if (le16_to_cpu(copy.response.type) != VIRTIO_CSWAP_RESP_ACKS ||
	    copy.response.reserved0 || copy.response.reserved1)
		return -EPROTO;
	if (!count || count > CSWAP_ACKS_PER_BUFFER ||
	    used != sizeof(copy.response) + count * sizeof(copy.ack[0]))
		return -EPROTO;
	to->pages = 0;
	return check_acks(to, copy.ack, count);
}

int cswap_wire_get_answer(struct cswap_answer *to, const void *from, u32 used,
			  unsigned int room)
{
	return room ? get_data(to, from, used, room) : get_acks(to, from, used);
}

u32 cswap_wire_get_ctrl_status(const struct virtio_cswap_ctrl_response *from,
			       u32 used)
{
	struct virtio_cswap_ctrl_response copy;

	if (used != sizeof(copy))
		return VIRTIO_CSWAP_S_IOERR;
	memcpy(&copy, from, sizeof(copy));
	return copy.reserved0 ? VIRTIO_CSWAP_S_IOERR : known_status(copy.status);
}

u32 cswap_wire_get_event(const struct virtio_cswap_event *from, u32 used, u64 features,
			 struct cswap_news *news)
{
	u32 status, known = features & CSWAP_FEATURE(AGAIN) ? VIRTIO_CSWAP_EVENT_AGAIN : 0;
	struct virtio_cswap_event copy;

	if (used != sizeof(copy))
		return VIRTIO_CSWAP_S_IOERR;
	memcpy(&copy, from, sizeof(copy));
	if (le32_to_cpu(copy.flags) & ~known || copy.reserved1[0] || copy.reserved1[1])
		return VIRTIO_CSWAP_S_IOERR;
	status = known_status(copy.status);
	if (status == VIRTIO_CSWAP_S_OK) {
		news->target = le64_to_cpu(copy.target);
		news->again = copy.flags;
	}
	return status;
}
