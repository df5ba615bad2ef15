/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * guest.h - a guest that swaps: virtio-cswap queue pairs over the vhost-user
 * front end, with really sealed pages.
 */
#ifndef SIM_GUEST_H
#define SIM_GUEST_H

#include "cswap_wire.h"
#include "frontend.h"
#include "io.h"

#define GUEST_RING_SIZE		256
#define GUEST_MAX_REQUESTS	640	/* of a pair */
#define GUEST_SHARD_SLOTS	512	/* runs of slots that share a pair */

/* How headers and pages are put into descriptors. */
enum guest_framing {
	GUEST_DRIVER,	/* as the driver does: a header, then all pages */
	GUEST_JOINED,	/* one descriptor: the header ends where the pages begin */
	GUEST_SHREDDED,	/* headers in pieces of 16 bytes, then each page alone */
};

struct guest_options {
	struct fe_options frontend;	/* memory_bytes is computed */
	unsigned int pairs;		/* 0 = as many as the device has */
	unsigned int ring_size;		/* 0 = GUEST_RING_SIZE */
	unsigned int request_pages;	/* at most, 0 = 1 */
	u64 slots;			/* with a record, 0 = up to 1 Mi */
	bool moves;			/* between daemons: one that hangs up isn't missed */
	bool no_seal;			/* pages travel as they are */
	enum guest_framing framing;
	u16 base;			/* the index at which the rings begin */
	size_t extra_bytes;		/* of memory, for fe_alloc() */
	unsigned int spin_ns;		/* before it sleeps */
	int patience_ms;		/* with an answer of a pair, 0 = FE_PATIENCE_MS */
};

struct guest_request {
	struct io_op *op;
	u64 cookie;
	bool chain_back;
	u8 *header;			/* shared */
	u8 *pages;			/* shared, STORE only */
};

struct guest_buffer {
	bool data;
	unsigned int room;		/* pages to post it for, data only */
	unsigned int posted;		/* ... that it was */
	u8 *header;			/* shared */
	u8 *pages;			/* shared, data only */
};

struct guest;

struct guest_pair {
	struct io_queue io;
	struct guest *guest;
	unsigned int index;
	bool started;
	struct virtqueue request, response;
	u16 request_base, response_base;	/* while it is stopped */
	unsigned int nr_data, nr_acks;	/* buffers */
	struct guest_request requests[GUEST_MAX_REQUESTS];	/* stores, then loads */
	unsigned int free_store[GUEST_MAX_REQUESTS], free_stores;
	unsigned int free_load[GUEST_MAX_REQUESTS], free_loads;
	struct guest_buffer buffers[GUEST_MAX_REQUESTS];
	u8 *scratch;			/* private, @request_pages of them */
	u32 sequence;
	u64 answers;			/* response buffers that came */
	u64 acks;			/* outcomes in ack buffers */
	u64 ignored;			/* answers that name nothing outstanding */
	u64 malformed;			/* answers that break the format */
	u64 early;			/* answers to a request that has not come back */

	/* Requests built by hand, by guest_probe(). */
	u64 probe_cookie;
	unsigned int probe_chains;	/* sent, not yet back */
	unsigned int probe_answers;
	u32 probe_status;		/* of the last answer */
	bool probe_data;		/* it came in a data buffer, with these: */
	u8 probe_tag[VIRTIO_CSWAP_TAG_SIZE];
	u8 probe_page[IO_PAGE_BYTES];
};

struct guest {
	struct frontend fe;
	struct guest_options options;
	const char *path;
	struct cswap_geometry geometry;
	struct io_records records;
	u64 device;			/* the driver's number for it, in the seal */
	u8 key[VIRTIO_CSWAP_KEY_SIZE];
	unsigned int pairs;
	struct guest_pair *pair;	/* @pairs of them */
	struct virtqueue control;
	u16 control_base;		/* while it is stopped */
	struct virtio_cswap_ctrl *ctrl;	/* shared; the ranges follow */
	struct virtio_cswap_ctrl_response *ctrl_response;	/* shared */
	void *state;			/* the daemon's, for the next one: guest_come_back() */
	size_t state_bytes;
	char error[512];
};

/*
 * Connect, read the configuration, start all pairs, post the buffers. All that
 * return int: 0, or -1 with the reason in guest->error.
 */
int guest_connect(struct guest *g, const char *path,
		  const struct guest_options *options);
/* Connect only: the pairs are started one by one by guest_start_pair(). */
int guest_attach(struct guest *g, const char *path,
		 const struct guest_options *options);
int guest_start_control(struct guest *g);
int guest_start_pair(struct guest *g, unsigned int pair);
void guest_disconnect(struct guest *g);
/* Hang up and connect again; records, key and outstanding nothing. */
int guest_reconnect(struct guest *g);
/*
 * The daemon is gone, or the connection to it: go on with the next one, as soon as
 * there is one. What is outstanding is with the front end (options.inflight). Not
 * from the thread that waits for answers. @stopped: by guest_stop() before.
 */
int guest_come_back(struct guest *g, bool stopped);
int guest_stop(struct guest *g);
/* After guest_stop(), with the same daemon. */
int guest_resume(struct guest *g);
/* All rings of a guest that runs are logged from now on, if fe.logs_rings. */
int guest_log_rings(struct guest *g);
/* What to poll to learn that the daemon has hung up; -1 if nobody minds. */
int guest_hang_up_fd(const struct guest *g);

/* Stop a pair (or all) where it is, and let it go on. */
int guest_stop_pair(struct guest_pair *pair);
int guest_resume_pair(struct guest_pair *pair);

/* The pair that serves a slot. */
struct guest_pair *guest_pair_of(struct guest *g, u64 slot);

/* One at a time: submit, wait, result in *result. */
int guest_store(struct guest *g, u64 slot, enum io_result *result);
int guest_load(struct guest *g, u64 slot, enum io_result *result);
/* The same for @count pages from @slot, of a guest with request_pages. */
int guest_store_many(struct guest *g, u64 slot, unsigned int count,
		     enum io_result *result);
int guest_load_many(struct guest *g, u64 slot, unsigned int count,
		    enum io_result *result);
struct guest_range {
	u64 start, count;
};
/* DISCARD; the status of the device in *status, the records forgotten. */
int guest_discard(struct guest *g, const struct guest_range *ranges,
		  unsigned int count, u32 *status);

/* Send a chain on the control queue and wait until it is back. */
int guest_control(struct guest *g, const struct vq_segment *segments,
		  unsigned int count, u32 *used);
/* Wait until any chain is back. */
int guest_await_control(struct guest *g, void **token, u32 *used);

/* Store a page in @slot and load it again, by pair @pair: the device is well. */
int guest_check_pair(struct guest *g, unsigned int pair, u64 slot);

/* --- guest_pair.c: the data path of a pair --- */

size_t guest_pair_bytes(const struct guest_options *options);
/* Make the rings and buffers, in memory that the backend may not know yet. */
int guest_pair_init(struct guest *g, unsigned int pair);
void guest_pair_free(struct guest_pair *pair);
/* Rings as new, all buffers posted, nothing outstanding. */
void guest_pair_reset(struct guest_pair *pair);

/* Put a buffer on the response ring; vq_publish() shows it to the device. */
void guest_post_buffer(struct guest_pair *pair, struct guest_buffer *buffer);

/* Send a chain of the caller's making whose answer has probe_cookie. */
int guest_probe(struct guest_pair *pair, const struct vq_segment *segments,
		unsigned int count);
/* Wait until so many answers to probes have come. */
int guest_probe_finish(struct guest_pair *pair, unsigned int answers);

int guest_fail(struct guest *g, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* SIM_GUEST_H */
