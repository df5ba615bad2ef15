// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_wire.c - any bytes as what the device says to the driver: cswap_wire.c.
 *
 * Buffers are as long as the driver's own, to the byte, so that ASan sees a look
 * beyond. What comes out must be in the range that the rest of the driver relies on.
 */
#include "cswap_wire.h"
#include "input.h"

static void try_config(struct input *input)
{
	struct virtio_cswap_config config;
	struct cswap_geometry geometry;
	u64 features = input_u64(input);

	input_take(input, &config, sizeof(config));
	/* Or hardly any input would get past the first fields. */
	if (input_u8(input) & 1) {
		config.slot_size = VIRTIO_CSWAP_SLOT_SIZE;
		config.num_queue_pairs &= 0x3f;
		config.max_request_pages &= 0xf;
		config.reserved0 = 0;
		memset(config.reserved1, 0, sizeof(config.reserved1));
	}
	memset(&geometry, 0xff, sizeof(geometry));
	if (cswap_wire_check_config(&config, features, &geometry))
		return;
	MUST(geometry.capacity && geometry.capacity <= VIRTIO_CSWAP_MAX_CAPACITY);
	MUST(geometry.queue_pairs && geometry.queue_pairs <= VIRTIO_CSWAP_MAX_QUEUE_PAIRS);
	MUST(geometry.max_request_pages &&
	     geometry.max_request_pages <= VIRTIO_CSWAP_MAX_REQUEST_PAGES);
	MUST(geometry.medium <= VIRTIO_CSWAP_MEDIUM_DISK);
	MUST(geometry.release_method <= VIRTIO_CSWAP_RELEASE_DISCARD);
	MUST(!(geometry.block_size & (geometry.block_size - 1)));
	MUST(geometry.block_size <= VIRTIO_CSWAP_MAX_BLOCK_SIZE);
	MUST(!geometry.block_size == !(features & CSWAP_FEATURE(BALLOON)));
}

static void try_answer(struct input *input, unsigned int room)
{
	size_t bytes = room ? VIRTIO_CSWAP_DATA_OFFSET(room) : CSWAP_ACK_BUFFER_BYTES;
	uint8_t *buffer = malloc(bytes);
	uint32_t used = (uint32_t)input_u64(input);
	struct cswap_answer answer;
	unsigned int i;

	/* Lengths near the right ones are worth more than others. */
	if (used & 0x80000000)
		used = room ? (used & 1 ? VIRTIO_CSWAP_DATA_OFFSET(room) + 4096 * (used / 2 % 18) :
			       VIRTIO_CSWAP_TAGS_OFFSET) : 16 * (used % 18);
	input_take(input, buffer, bytes);
	if (!cswap_wire_get_answer(&answer, buffer, used, room)) {
		MUST(answer.outcomes && answer.outcomes <= CSWAP_ACKS_PER_BUFFER);
		MUST(!room || answer.outcomes == 1);
		MUST(answer.pages <= room);
		for (i = 0; i < answer.outcomes; i++)
			MUST(answer.outcome[i].status <= VIRTIO_CSWAP_S_UNSUPP);
		MUST(!answer.pages ||
		     (answer.outcome[0].status == VIRTIO_CSWAP_S_OK &&
		      used == VIRTIO_CSWAP_DATA_OFFSET(room) + answer.pages * VIRTIO_CSWAP_SLOT_SIZE));
	}
	free(buffer);
}

static void try_control(struct input *input)
{
	struct virtio_cswap_ctrl_response *response = malloc(sizeof(*response));
	uint32_t used = input_u8(input);

	input_take(input, response, sizeof(*response));
	MUST(cswap_wire_get_ctrl_status(response, used) <= VIRTIO_CSWAP_S_UNSUPP);
	free(response);
}

static void try_event(struct input *input)
{
	struct virtio_cswap_event *event = malloc(sizeof(*event));
	uint32_t used = input_u8(input);
	const u64 features = input_u8(input) & 1 ? CSWAP_FEATURE(AGAIN) : 0;
	struct cswap_news news = { .target = 12345 };

	input_take(input, event, sizeof(*event));
	if (cswap_wire_get_event(event, used, features, &news) == VIRTIO_CSWAP_S_OK)
		MUST(news.target == event->target && (features || !news.again));
	else
		MUST(news.target == 12345 && !news.again);
	free(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };

	switch (input_u8(&input) % 5) {
	case 0:
		try_config(&input);
		break;
	case 1:
	case 2:
		try_answer(&input, data[0] % 5 == 1 ? 1 + data[0] / 5 % 16 : 0);
		break;
	case 3:
		try_control(&input);
		break;
	default:
		try_event(&input);
	}
	return 0;
}
