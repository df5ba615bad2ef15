/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio_cswap.h - the wire format of the virtio cooperative swap device.
 *
 * A confidential guest can't be swapped by its host, so it swaps itself: the
 * driver seals cold pages (AEAD, a key that never leaves private memory) and
 * hands the sealed pages through shared memory to the device, which keeps them
 * in numbered slots. The device sees ciphertext, tags and slot numbers only.
 * The memory that becomes free in this way the guest can give back: it RELEASEs
 * it up to a target that the host sets, and RECLAIMs it when that falls.
 *
 * Virtqueues
 *	0		control: DISCARD, RELEASE, RECLAIM, EVENT, REPORT;
 *			ordinary request + response chains
 *	1 + 2 * i	request queue of pair i: device-readable buffers only
 *	2 + 2 * i	response queue of pair i: device-writable buffers only
 *
 * Request and response are rings of their own because a driver whose memory is
 * encrypted wants to map its buffers once, in one direction, for life.
 *
 * A request is used when the device no longer reads it; what became of it is
 * said by a response, which names the request by its cookie. The driver posts
 * response buffers of two sizes beforehand: ack buffers take the outcome of
 * many STOREs each, data buffers take the outcome of one LOAD each.
 *
 * Rules that hold everywhere: little-endian; every structure is of fixed size
 * and naturally aligned; reserved fields are written as zero and refused
 * otherwise, by both sides, but for a report's; neither side trusts a field
 * before it has copied and checked it.
 *
 * This file is the only definition of the format; spec/ describes it and a
 * test keeps the two alike.
 */
#ifndef _UAPI_LINUX_VIRTIO_CSWAP_H
#define _UAPI_LINUX_VIRTIO_CSWAP_H

#include <linux/types.h>

/*
 * Provisional: 13 is reserved in the virtio specification for a new memory
 * balloon interface, and no driver claims it. To be replaced on assignment.
 */
#define VIRTIO_ID_CSWAP			13

/* --- feature bits --- */

/* DISCARD is served on the control queue. */
#define VIRTIO_CSWAP_F_DISCARD		0
/* RELEASE, RECLAIM and EVENT are served on the control queue. */
#define VIRTIO_CSWAP_F_BALLOON		1
/* REPORT is served on the control queue. */
#define VIRTIO_CSWAP_F_REPORT		2
/* An EVENT may ask for what is released to be RELEASEd again. */
#define VIRTIO_CSWAP_F_AGAIN		3

/* --- virtqueues --- */

#define VIRTIO_CSWAP_VQ_CONTROL		0
#define VIRTIO_CSWAP_VQ_REQUEST(pair)	(1 + 2 * (pair))
#define VIRTIO_CSWAP_VQ_RESPONSE(pair)	(2 + 2 * (pair))
#define VIRTIO_CSWAP_NUM_VQS(pairs)	(1 + 2 * (pairs))

/* --- limits --- */

#define VIRTIO_CSWAP_SLOT_SIZE		4096	/* bytes of data in a slot */
#define VIRTIO_CSWAP_TAG_SIZE		16	/* bytes of tag in a slot */
#define VIRTIO_CSWAP_MAX_QUEUE_PAIRS	64
#define VIRTIO_CSWAP_MAX_REQUEST_PAGES	16
#define VIRTIO_CSWAP_MAX_RANGES		64	/* in one control request */
/* 2^36 slots are 256 TiB; it keeps slot arithmetic far from any overflow. */
#define VIRTIO_CSWAP_MAX_CAPACITY	0x1000000000
/* Bounds of block_size, bytes; it is a power of two between them. */
#define VIRTIO_CSWAP_MIN_BLOCK_SIZE	4096
#define VIRTIO_CSWAP_MAX_BLOCK_SIZE	0x40000000

/* --- configuration --- */

/* What kind of medium answers a LOAD: a hint for read-ahead and polling. */
#define VIRTIO_CSWAP_MEDIUM_UNKNOWN	0
#define VIRTIO_CSWAP_MEDIUM_MEMORY	1	/* about as fast as a copy */
#define VIRTIO_CSWAP_MEDIUM_FLASH	2	/* tens to hundreds of microseconds */
#define VIRTIO_CSWAP_MEDIUM_DISK	3	/* seeks, or crosses a network */

/* How released memory becomes the host's. */
#define VIRTIO_CSWAP_RELEASE_NONE	0	/* F_BALLOON is not offered */
/* By the guest's own conversion of it to shared; RELEASE is for the record. */
#define VIRTIO_CSWAP_RELEASE_CONVERT	1
/* The device discards what it shares with the guest there. */
#define VIRTIO_CSWAP_RELEASE_DISCARD	2

/*
 * Nothing here ever changes while the device is in use; reading it may be slow
 * (the device may live in another process). What changes travels in EVENT. A
 * field of a feature is 0 unless that is offered, and only drivers that know the
 * feature look at it.
 */
struct virtio_cswap_config {
	__le64 capacity;		/* slots, 1..MAX_CAPACITY */
	__le32 slot_size;		/* bytes, SLOT_SIZE */
	__le16 num_queue_pairs;		/* 1..MAX_QUEUE_PAIRS */
	__le16 max_request_pages;	/* 1..MAX_REQUEST_PAGES */
	__u8 medium;			/* VIRTIO_CSWAP_MEDIUM_*; others are UNKNOWN */
	__u8 release_method;		/* F_BALLOON: VIRTIO_CSWAP_RELEASE_*, else 0 */
	__le16 reserved0;
	__le32 block_size;		/* F_BALLOON: unit of RELEASE, bytes, else 0 */
	__le32 report_period_ms;	/* F_REPORT: 1 or more, else 0 */
	__le32 reserved1[9];
};

/* --- driver -> device, request queues --- */

#define VIRTIO_CSWAP_OP_STORE		0x0001
#define VIRTIO_CSWAP_OP_LOAD		0x0002

/*
 * The readable bytes of a request:
 *	STORE	header, @count tags, @count pages
 *	LOAD	header
 * Page k belongs to slot @slot + k. Each page lies in one descriptor, aligned
 * to SLOT_SIZE in the address space of the device, so that it can be written
 * to a disk as it lies there.
 *
 * While a STORE or DISCARD of a slot is outstanding the driver sends nothing
 * else for that slot; the device may run requests in any order.
 */
struct virtio_cswap_request {
	__le16 op;			/* VIRTIO_CSWAP_OP_STORE or _LOAD */
	__le16 count;			/* pages, 1..max_request_pages */
	__le32 reserved0;
	__le64 cookie;			/* returned in the response */
	__le64 slot;			/* the first slot */
	__le64 reserved1;
};

struct virtio_cswap_tag {
	__u8 b[VIRTIO_CSWAP_TAG_SIZE];
};

/* --- device -> driver, response queues --- */

#define VIRTIO_CSWAP_RESP_ACKS		0x0001
#define VIRTIO_CSWAP_RESP_DATA		0x0002

#define VIRTIO_CSWAP_S_OK		0
#define VIRTIO_CSWAP_S_IOERR		1	/* the medium failed; try again */
#define VIRTIO_CSWAP_S_NOSPC		2	/* STORE, RECLAIM: there's no room; try later */
#define VIRTIO_CSWAP_S_INVALID		3	/* malformed, or out of range */
#define VIRTIO_CSWAP_S_UNSUPP		4	/* unknown op, or not negotiated */

/*
 * The written bytes of a response:
 *	ACKS	header, @count acks, each the outcome of one STORE
 *	DATA	header, one ack, the outcome of one LOAD;
 *		if its status is OK also @count tags and @count pages
 * A data buffer has room for D pages, up to max_request_pages, and is of
 * DATA_BUFFER_SIZE(D) bytes; its pages begin at DATA_OFFSET(D) whatever @count
 * is, so that they can be aligned. An ack buffer is smaller than
 * DATA_BUFFER_SIZE(1).
 */
struct virtio_cswap_response {
	__le16 type;			/* VIRTIO_CSWAP_RESP_* */
	__le16 count;			/* ACKS: acks, 1 or more; DATA: pages, 0 on error */
	__le32 reserved0;
	__le64 reserved1;
};

struct virtio_cswap_ack {
	__le64 cookie;			/* of the request */
	__le32 status;			/* VIRTIO_CSWAP_S_* */
	__le32 reserved0;
};

#define VIRTIO_CSWAP_TAGS_OFFSET \
	(sizeof(struct virtio_cswap_response) + sizeof(struct virtio_cswap_ack))
#define VIRTIO_CSWAP_DATA_OFFSET(pages) \
	(VIRTIO_CSWAP_TAGS_OFFSET + (pages) * VIRTIO_CSWAP_TAG_SIZE)
#define VIRTIO_CSWAP_DATA_BUFFER_SIZE(pages) \
	(VIRTIO_CSWAP_DATA_OFFSET(pages) + (pages) * VIRTIO_CSWAP_SLOT_SIZE)

/* --- control queue: one readable part, then one writable part --- */

#define VIRTIO_CSWAP_CTRL_DISCARD	0x0101
/* With F_BALLOON: */
#define VIRTIO_CSWAP_CTRL_RELEASE	0x0102
#define VIRTIO_CSWAP_CTRL_RECLAIM	0x0103
#define VIRTIO_CSWAP_CTRL_EVENT		0x0104
/* With F_REPORT: */
#define VIRTIO_CSWAP_CTRL_REPORT	0x0105

/*
 * The readable bytes of a request begin with this header:
 *	DISCARD			header, @count ranges of slots
 *	RELEASE, RECLAIM	header, @count ranges of memory
 *	EVENT			header, @count is 0
 *	REPORT			header, @count is 0, one report
 * The writable bytes are struct virtio_cswap_event for EVENT, else struct
 * virtio_cswap_ctrl_response.
 */
struct virtio_cswap_ctrl {
	__le16 op;			/* VIRTIO_CSWAP_CTRL_* */
	__le16 count;			/* ranges, 1..MAX_RANGES; 0 where there are none */
	__le32 reserved0;
	__le64 reserved1;
};

/* DISCARD: slots whose contents the driver will never read again. */
struct virtio_cswap_range {
	__le64 start;			/* the first slot */
	__le64 count;			/* slots, 1 or more */
};

/*
 * RELEASE: memory that the driver doesn't use any more. The device may discard it
 * until it answers, and never after that: so the driver leaves the memory alone
 * until then, and may use it again whenever it likes from then on. What it finds
 * there is unspecified, but nobody else's.
 * RECLAIM: memory that was released and that the driver uses again, or is about to.
 * A device that has no memory for it answers NOSPC; the driver decides what that
 * means to it.
 * Both are repeated without harm. Addresses are those of the guest's physical
 * memory, without any bit that tells private from shared.
 */
struct virtio_cswap_mem_range {
	__le64 addr;			/* a multiple of block_size */
	__le64 len;			/* bytes; a multiple of block_size, 1 block or more */
};

/*
 * EVENT: the device holds the buffer until there is something to tell: until the
 * target is another than it was in the last EVENT that it used, or 0 if there
 * was none since the reset; or until there is a flag to tell. A driver that would
 * be told less often makes it available less often.
 *
 * AGAIN (with F_AGAIN): the host may have memory again behind what was released,
 * as when a VMM has read all memory to migrate the guest. So the driver RELEASEs
 * again what it still does without. What is released counts meanwhile.
 */
#define VIRTIO_CSWAP_EVENT_AGAIN	1

struct virtio_cswap_event {
	__le32 status;			/* VIRTIO_CSWAP_S_* */
	__le32 flags;			/* VIRTIO_CSWAP_EVENT_*; 0 if @status isn't OK */
	__le64 target;			/* bytes that the device wants released in all */
	__le64 reserved1[2];
};

/* Why there isn't more released than there is. */
#define VIRTIO_CSWAP_STOP_NONE		0	/* the target is reached */
#define VIRTIO_CSWAP_STOP_WORKING	1	/* it is being worked at */
#define VIRTIO_CSWAP_STOP_FLOOR		2	/* the guest wouldn't be smaller */
#define VIRTIO_CSWAP_STOP_MEMORY	3	/* no more could be made free, for now */
#define VIRTIO_CSWAP_STOP_PRESSURE	4	/* the guest needs what it has */
#define VIRTIO_CSWAP_STOP_OOM		5	/* it was out of memory, and took some back */
#define VIRTIO_CSWAP_STOP_DEVICE	6	/* the device failed, or doesn't answer */
#define VIRTIO_CSWAP_STOP_OWNER		7	/* its owner has switched the balloon off */

/*
 * REPORT: what the guest says of itself; a claim, nothing more. Sizes are in
 * bytes, pages are of 4096 bytes, and counts begin with the guest. A statistic
 * that the driver doesn't have is 0. A new one takes the place of a reserved
 * word: a device ignores those, so that it works with newer drivers.
 */
struct virtio_cswap_report {
	__le64 size;			/* memory, released or not */
	__le64 released;		/* not in use: RELEASEd, or about to be */
	__le64 target;			/* the last that was heard */
	__le64 floor;			/* size - released wouldn't be less */
	__le64 lost;			/* neither released nor usable: failed conversions */
	__le64 free;
	__le64 available;		/* without swapping, as the guest estimates it */
	__le64 file;			/* page cache */
	__le64 swap_in;			/* pages */
	__le64 swap_out;		/* pages */
	__le64 refaults;		/* pages that were reclaimed too early */
	__le64 alloc_stalls;		/* allocations that had to reclaim */
	__le64 swap_in_ns;		/* time for which tasks waited for LOADs */
	__le64 tampered;		/* pages that didn't open */
	__le32 stopped;			/* VIRTIO_CSWAP_STOP_* */
	__le32 epoch;			/* keys made since the device was found */
	__le64 reserved[17];
};

/* Writable, but for EVENT. */
struct virtio_cswap_ctrl_response {
	__le32 status;			/* VIRTIO_CSWAP_S_* */
	__le32 reserved0;
};

/* --- sealed page: between the driver and itself, opaque to the device --- */

/*
 * AES-256-GCM over the page, tag of TAG_SIZE bytes kept apart.
 *	nonce	4 zero bytes, then the driver's 64-bit store counter (le64),
 *		which is never used twice, across keys as well
 *	aad	struct virtio_cswap_aad
 */
#define VIRTIO_CSWAP_KEY_SIZE		32
#define VIRTIO_CSWAP_NONCE_SIZE		12

struct virtio_cswap_aad {
	__le64 device;			/* the driver's number for the device */
	__le64 slot;
};

#endif /* _UAPI_LINUX_VIRTIO_CSWAP_H */
