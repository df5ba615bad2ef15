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
/* What precedes the pages in a STORE; a LOAD is the same without tags and pages. */
#define CSWAP_STORE_HEADER_BYTES(pages) \
	(sizeof(struct virtio_cswap_request) + (pages) * VIRTIO_CSWAP_TAG_SIZE)
#define CSWAP_LOAD_HEADER_BYTES	sizeof(struct virtio_cswap_request)
#define CSWAP_CTRL_BYTES(ranges) \
	(sizeof(struct virtio_cswap_ctrl) + \
	 (ranges) * sizeof(struct virtio_cswap_range))

#define CSWAP_REPORT_BYTES \
	(sizeof(struct virtio_cswap_ctrl) + sizeof(struct virtio_cswap_report))
/* A feature as it stands among all: CSWAP_FEATURE(BALLOON). */
#define CSWAP_FEATURE(name)	(1ULL << VIRTIO_CSWAP_F_##name)

/* The device's configuration, checked, in the CPU's byte order. */
struct cswap_geometry {
	u64 capacity;			/* slots */
	unsigned int queue_pairs;
	unsigned int max_request_pages;
	u8 medium;			/* VIRTIO_CSWAP_MEDIUM_* */
	u8 release_method;		/* VIRTIO_CSWAP_RELEASE_*; NONE without F_BALLOON */
	u32 block_size;			/* bytes; 0 without F_BALLOON */
	u32 report_period_ms;		/* 0 without F_REPORT */
};

/* One request's outcome, checked. */
struct cswap_outcome {
	u64 cookie;
	u32 status;			/* VIRTIO_CSWAP_S_*, or IOERR for unknown ones */
};

/* A response buffer's contents, checked, in private memory. */
struct cswap_answer {
	unsigned int outcomes;		/* entries in @outcome */
	unsigned int pages;		/* DATA with status OK: 1 or more, else 0 */
	u8 tag[VIRTIO_CSWAP_MAX_REQUEST_PAGES][VIRTIO_CSWAP_TAG_SIZE]; /* [pages] */
	struct cswap_outcome outcome[CSWAP_ACKS_PER_BUFFER];
};

/*
 * Check a configuration that was read from the device. @features are those that
 * were negotiated. Returns NULL and fills @geometry, or says in a few words what
 * is wrong.
 */
const char *cswap_wire_check_config(const struct virtio_cswap_config *config,
				    u64 features, struct cswap_geometry *geometry);

/*
 * Write the header of a request for @count slots from @slot on at @to (shared memory; it is
 * only written). A STORE's tags follow, each put there by itself.
 */
void cswap_wire_put_store(void *to, u64 cookie, u64 slot, unsigned int count);
void cswap_wire_put_tag(void *to, unsigned int index, const u8 *tag);
void cswap_wire_put_load(void *to, u64 cookie, u64 slot, unsigned int count);

/* Write the header of a DISCARD of @count ranges, which follow it. */
void cswap_wire_put_discard(struct virtio_cswap_ctrl *to, unsigned int count);
void cswap_wire_put_range(struct virtio_cswap_range *to, u64 start, u64 count);
/* The same of a RELEASE or RECLAIM, whose ranges are of memory, in bytes. */
void cswap_wire_put_release(struct virtio_cswap_ctrl *to, unsigned int count);
void cswap_wire_put_reclaim(struct virtio_cswap_ctrl *to, unsigned int count);
void cswap_wire_put_mem_range(struct virtio_cswap_mem_range *to, u64 addr, u64 len);
void cswap_wire_put_event(struct virtio_cswap_ctrl *to);
/* CSWAP_REPORT_BYTES in all. */
void cswap_wire_put_report(struct virtio_cswap_ctrl *to, const struct virtio_cswap_report *report);

/*
 * Fetch and check what the device wrote into a response buffer.
 * @from:	the buffer in shared memory; read once, it may change meanwhile
 * @used:	bytes written, as the device claims
 * @room:	0: an ack buffer; else a data buffer with room for so many pages; @from is its
 *		first VIRTIO_CSWAP_DATA_OFFSET(@room) bytes, the pages are elsewhere and not read
 * Returns 0, or -EPROTO when the device broke the protocol.
 */
int cswap_wire_get_answer(struct cswap_answer *to, const void *from, u32 used,
			  unsigned int room);

/* The status of a control response: VIRTIO_CSWAP_S_*, IOERR if malformed. */
u32 cswap_wire_get_ctrl_status(const struct virtio_cswap_ctrl_response *from,
			       u32 used);
/* What an EVENT says. */
struct cswap_news {
	u64 target;			/* bytes; any value */
	bool again;			/* the device has forgotten what was released */
};

/*
 * The status of an answered EVENT, the same way; *@news is set if it's OK. @features were
 * negotiated.
 */
u32 cswap_wire_get_event(const struct virtio_cswap_event *from, u32 used, u64 features,
			 struct cswap_news *news);

#endif /* CSWAP_WIRE_H */
