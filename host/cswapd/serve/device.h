/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * device.h - the wire format, seen from the device: the trust boundary.
 *
 * Pure. A chain of guest memory goes in, a checked request in the CPU's byte
 * order comes out; outcomes go in, response buffers come out.
 */
#ifndef CSWAPD_DEVICE_H
#define CSWAPD_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/virtio_cswap.h>

#include "balloon/blockmap.h"
#include "frontend/memory.h"
#include "rings/vring.h"

#define DEVICE_PAGE_SIZE VIRTIO_CSWAP_SLOT_SIZE
#define DEVICE_MAX_PAGES VIRTIO_CSWAP_MAX_REQUEST_PAGES
/* The most acks we put into one buffer, however large it is. */
#define DEVICE_MAX_ACKS 64

/* What the device promised, and what was agreed on. */
struct device_limits {
	uint64_t capacity;		/* slots */
	unsigned int queue_pairs;
	uint8_t medium;			/* VIRTIO_CSWAP_MEDIUM_* */
	uint8_t release_method;		/* VIRTIO_CSWAP_RELEASE_*; NONE: no balloon */
	uint32_t block_bytes;		/* unit of RELEASE */
	uint32_t report_period_ms;	/* 0: no reports */
	bool discard;			/* F_DISCARD negotiated */
	bool balloon;			/* F_BALLOON negotiated */
	bool report;			/* F_REPORT negotiated */
	bool again;			/* F_AGAIN negotiated */
};

/* A request, checked. */
struct device_request {
	bool load;			/* answered in a data buffer */
	uint32_t status;		/* VIRTIO_CSWAP_S_*; if not OK, the rest is void */
	unsigned int count;		/* pages */
	uint64_t cookie;		/* always valid */
	uint64_t slot;
	uint8_t *page[DEVICE_MAX_PAGES]; /* STORE: aligned guest memory */
	struct virtio_cswap_tag tag[DEVICE_MAX_PAGES];
};

struct device_range {
	uint64_t start;			/* slot, or guest address */
	uint64_t count;			/* slots, or bytes */
};

enum device_control_op {
	DEVICE_DISCARD,
	DEVICE_RELEASE,
	DEVICE_RECLAIM,
	DEVICE_EVENT,
	DEVICE_REPORT,
};

/*
 * The statistics of struct virtio_cswap_report that are words of 64 bits, and what they are called in the
 * status (docs/control.md). A new one is added here, and nowhere else in the daemon.
 */
#define DEVICE_REPORT_WORDS(X) \
	X(size, "size_bytes") \
	X(released, "released_bytes") \
	X(target, "target_bytes") \
	X(floor, "floor_bytes") \
	X(lost, "lost_bytes") \
	X(free, "free_bytes") \
	X(available, "available_bytes") \
	X(file, "file_bytes") \
	X(swap_in, "swap_in_pages") \
	X(swap_out, "swap_out_pages") \
	X(refaults, "refault_pages") \
	X(alloc_stalls, "alloc_stalls") \
	X(swap_in_ns, "swap_in_ns") \
	X(tampered, "tampered_pages")

/* What the guest says of itself, by its own word. */
struct device_report {
#define MEMBER(field, json_name)	uint64_t field;
	DEVICE_REPORT_WORDS(MEMBER)
#undef MEMBER
	uint32_t stopped;		/* any number at all */
	uint32_t epoch;
};

/* A control request, checked. */
struct device_control {
	enum device_control_op op;	/* void if it's unknown: @status is UNSUPP */
	uint32_t status;		/* if not OK, answer with it at once */
	unsigned int count;
	/* Ascending, with gaps between them; RELEASE: of shared memory; RECLAIM: or of memory that was. */
	struct device_range range[VIRTIO_CSWAP_MAX_RANGES];
	struct device_report report;	/* REPORT */
};

/* The outcome of one request. */
struct device_outcome {
	uint64_t cookie;
	uint32_t status;
};

enum device_buffer {
	DEVICE_BUFFER_USELESS,		/* can't even take one ack */
	DEVICE_BUFFER_ACKS,
	DEVICE_BUFFER_DATA,
};

void device_fill_config(const struct device_limits *limits,
			struct virtio_cswap_config *config);

/*
 * Parse a chain of a request queue. Returns NULL, also for a bad request
 * (request->status says so), or why it can't even be answered.
 */
const char *device_parse_request(const struct device_limits *limits,
				 const struct vring_chain *chain,
				 struct device_request *request);

/*
 * The same for the control queue; the answer goes to the same chain. Of @memory
 * what is @pinned can't be released.
 */
const char *device_parse_control(const struct device_limits *limits,
				 const struct memory *memory,
				 const struct blockmap *pinned,
				 const struct vring_chain *chain,
				 struct device_control *control);

/* What a chain of a response queue is good for. */
enum device_buffer device_sort_response(const struct vring_chain *chain);

/* The pages that a data buffer has room for: 1 to DEVICE_MAX_PAGES. */
unsigned int device_data_room(const struct vring_chain *chain);

/*
 * Where the @count pages of a LOAD go in a data buffer. False if they don't
 * fit, or not aligned and whole.
 */
bool device_place_pages(const struct vring_chain *chain, unsigned int count,
			uint8_t **page);

/* How many acks a buffer takes. */
unsigned int device_ack_room(const struct vring_chain *chain);

/* Write responses; the number of bytes written is returned. */
uint32_t device_put_acks(const struct vring_chain *chain,
			 const struct virtio_cswap_ack *ack,
			 unsigned int count);
uint32_t device_put_data(const struct vring_chain *chain,
			 const struct virtio_cswap_ack *ack,
			 const struct virtio_cswap_tag *tag,
			 unsigned int count);
uint32_t device_put_control(const struct vring_chain *chain,
			    const struct device_control *control,
			    uint32_t status);

/* An EVENT, for which there is room: device_parse_control() saw to that. */
struct virtio_cswap_event device_make_event(uint32_t status,
					    uint64_t target_bytes);
uint32_t device_put_event(const struct vring_chain *chain,
			  const struct virtio_cswap_event *event);

/* What the guest is told of a request whose status is known. */
struct virtio_cswap_ack device_make_ack(const struct device_request *request);

#endif
