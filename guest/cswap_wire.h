/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cswap_wire.h - building requests, and the one place where the device's bytes
 * are fetched and checked.
 *
 * Pure: no I/O, no allocation, no locks, callable in any context; the tests and
 * the guest simulator compile the same source in userspace.
 */
#ifndef CSWAP_WIRE_H
#define CSWAP_WIRE_H

#include <linux/types.h>
#include <linux/virtio_cswap.h>

/* Fifteen acks and their header: 256 bytes. */
#define CSWAP_ACKS_PER_BUFFER	15
#define CSWAP_ACK_BUFFER_BYTES \
	(sizeof(struct virtio_cswap_response) + \
	 CSWAP_ACKS_PER_BUFFER * sizeof(struct virtio_cswap_ack))
/* What precedes the page in a STORE, and in the answer to a LOAD. */
#define CSWAP_STORE_HEADER_BYTES \
	(sizeof(struct virtio_cswap_request) + VIRTIO_CSWAP_TAG_SIZE)
#define CSWAP_LOAD_HEADER_BYTES	sizeof(struct virtio_cswap_request)
#define CSWAP_DATA_HEADER_BYTES	VIRTIO_CSWAP_DATA_OFFSET(1)
#define CSWAP_CTRL_BYTES(ranges) \
	(sizeof(struct virtio_cswap_ctrl) + \
	 (ranges) * sizeof(struct virtio_cswap_range))

/* The device's configuration, checked, in the CPU's byte order. */
struct cswap_geometry {
	u64 capacity;			/* slots */
	unsigned int queue_pairs;
	unsigned int max_request_pages;
	u8 medium;			/* VIRTIO_CSWAP_MEDIUM_* */
};

/* One request's outcome, checked. */
struct cswap_outcome {
	u64 cookie;
	u32 status;			/* VIRTIO_CSWAP_S_*, or IOERR for unknown ones */
};

/* A response buffer's contents, checked, in private memory. */
struct cswap_answer {
	unsigned int outcomes;		/* entries in @outcome */
	bool has_page;			/* DATA with status OK */
	u8 tag[VIRTIO_CSWAP_TAG_SIZE];	/* if has_page */
	struct cswap_outcome outcome[CSWAP_ACKS_PER_BUFFER];
};

/*
 * Check a configuration that was read from the device. Returns NULL and fills
 * @geometry, or says in a few words what is wrong.
 */
const char *cswap_wire_check_config(const struct virtio_cswap_config *config,
				    struct cswap_geometry *geometry);

/* Write a request for one page at @to (shared memory; it is only written). */
void cswap_wire_put_store(void *to, u64 cookie, u64 slot, const u8 *tag);
void cswap_wire_put_load(void *to, u64 cookie, u64 slot);

/* Write the header of a DISCARD of @count ranges, which follow it. */
void cswap_wire_put_discard(struct virtio_cswap_ctrl *to, unsigned int count);
void cswap_wire_put_range(struct virtio_cswap_range *to, u64 start, u64 count);

/*
 * Fetch and check what the device wrote into a response buffer.
 * @from:	the buffer in shared memory; read once, it may change meanwhile
 * @used:	bytes written, as the device claims
 * @data:	this is a data buffer for one page; @from is its first
 *		CSWAP_DATA_HEADER_BYTES, the page is elsewhere and not read
 * Returns 0, or -EPROTO when the device broke the protocol.
 */
int cswap_wire_get_answer(struct cswap_answer *to, const void *from, u32 used,
			  bool data);

/* The status of a control response: VIRTIO_CSWAP_S_*, IOERR if malformed. */
u32 cswap_wire_get_ctrl_status(const struct virtio_cswap_ctrl_response *from,
			       u32 used);

#endif /* CSWAP_WIRE_H */
