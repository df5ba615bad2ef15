/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * frontend.h - a vhost-user front end: what QEMU and user-mode Linux do for a
 * guest, without the guest.
 *
 * Every function that can fail returns 0, or -1 with the reason in fe->error:
 * a test wants to report and go on, not exit.
 */
#ifndef SIM_FRONTEND_H
#define SIM_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "virtqueue.h"

/* vhost-user, from its specification; the daemon has its own list. */
enum fe_request {
	FE_GET_FEATURES = 1,
	FE_SET_FEATURES = 2,
	FE_SET_OWNER = 3,
	FE_RESET_OWNER = 4,
	FE_SET_MEM_TABLE = 5,
	FE_SET_LOG_BASE = 6,
	FE_SET_LOG_FD = 7,
	FE_SET_VRING_NUM = 8,
	FE_SET_VRING_ADDR = 9,
	FE_SET_VRING_BASE = 10,
	FE_GET_VRING_BASE = 11,
	FE_SET_VRING_KICK = 12,
	FE_SET_VRING_CALL = 13,
	FE_SET_VRING_ERR = 14,
	FE_GET_PROTOCOL_FEATURES = 15,
	FE_SET_PROTOCOL_FEATURES = 16,
	FE_GET_QUEUE_NUM = 17,
	FE_SET_VRING_ENABLE = 18,
	FE_SET_BACKEND_REQ_FD = 21,
	FE_GET_CONFIG = 24,
	FE_SET_CONFIG = 25,
	FE_GET_INFLIGHT_FD = 31,
	FE_SET_INFLIGHT_FD = 32,
	FE_RESET_DEVICE = 34,
	FE_VRING_KICK = 35,
	FE_GET_MAX_MEM_SLOTS = 36,
	FE_ADD_MEM_REG = 37,
	FE_REM_MEM_REG = 38,
	FE_SET_STATUS = 39,
	FE_GET_STATUS = 40,
	FE_SET_DEVICE_STATE_FD = 42,
	FE_CHECK_DEVICE_STATE = 43,
};

#define FE_VERSION		0x1u
#define FE_FLAG_REPLY		0x4u
#define FE_FLAG_NEED_REPLY	0x8u
#define FE_VRING_NOFD		0x100u

#define FE_PROTOCOL_MQ		0
#define FE_PROTOCOL_LOG_SHMFD	1
#define FE_PROTOCOL_REPLY_ACK	3
#define FE_PROTOCOL_BACKEND_REQ	5
#define FE_PROTOCOL_CONFIG	9
#define FE_PROTOCOL_INFLIGHT	12
#define FE_PROTOCOL_RESET	13
#define FE_PROTOCOL_MEM_SLOTS	15
#define FE_PROTOCOL_STATUS	16
#define FE_PROTOCOL_STATE	19

#define FE_VRING_ADDR_F_LOG	0x1u

#define FE_F_LOG_ALL		26	/* VHOST_F_LOG_ALL: never the guest's */
#define FE_F_PROTOCOL_FEATURES	30	/* VHOST_USER_F_PROTOCOL_FEATURES */

#define FE_MAX_REGIONS		8
#define FE_MAX_QUEUES		129
#define FE_MAX_FDS		16
#define FE_PAYLOAD_BYTES	2048

/* Whose habits the front end has. */
enum fe_style {
	/* ADD_MEM_REG where offered, SET_STATUS, GET_VRING_BASE on stop. */
	FE_STYLE_QEMU,
	/*
	 * SET_MEM_TABLE, NEED_REPLY on everything, neither status nor
	 * GET_VRING_BASE: a stop is VRING_ENABLE 0, then GET_FEATURES.
	 */
	FE_STYLE_UML,
};

struct fe_options {
	enum fe_style style;
	size_t memory_bytes;		/* rounded up to whole regions */
	unsigned int regions;		/* 1..FE_MAX_REGIONS */
	bool spread;			/* memory is taken from one region after the other */
	uint64_t refuse_features;	/* not to be negotiated though offered */
	uint64_t refuse_protocol;
	bool inflight;			/* keep what the backend has in hand, and connect again */
};

/* On the wire; both parts are naturally aligned, but not one after the other. */
struct fe_wire_region {
	uint64_t guest_address;
	uint64_t bytes;
	uint64_t user_address;
	uint64_t mmap_offset;
};

struct fe_message {
	struct {
		uint32_t request;
		uint32_t flags;
		uint32_t bytes;
	} header;
	union {
		uint64_t value;
		struct {
			uint32_t index;
			uint32_t value;
		} state;
		struct {
			uint32_t index;
			uint32_t flags;
			uint64_t desc, used, avail, log;
		} address;
		struct {
			uint32_t regions;
			uint32_t padding;
			struct fe_wire_region region[FE_MAX_REGIONS];
		} table;
		struct {
			uint64_t padding;
			struct fe_wire_region region;
		} one;
		struct {
			uint32_t offset;
			uint32_t bytes;
			uint32_t flags;
			uint8_t data[256];
		} config;
		struct {
			uint64_t bytes, offset;
			uint16_t queues, queue_size;
		} inflight;
		struct {
			uint64_t bytes, offset;
		} log;
		uint8_t raw[FE_PAYLOAD_BYTES];
	} payload;
};

/* A piece of the guest's memory. The three addresses differ on purpose. */
struct fe_region {
	uint8_t *base;			/* where this process maps it */
	uint64_t guest_address;
	uint64_t user_address;		/* as told to the backend; never used */
	size_t bytes;
	off_t offset;			/* in the memfd */
	size_t taken;			/* by fe_alloc() */
};

struct frontend {
	int socket;
	int memory_fd;
	int backend_request_fd;		/* our end, -1 if not negotiated */
	int inflight_fd;		/* what the backend has in hand; -1: not kept */
	uint64_t inflight_bytes;
	enum fe_style style;
	uint64_t offered;		/* device features */
	uint64_t features;		/* negotiated */
	uint64_t protocol_offered;
	uint64_t protocol;		/* negotiated */
	unsigned int queues_offered;
	unsigned int regions;
	struct fe_region region[FE_MAX_REGIONS];
	bool logs_rings;		/* has the used rings logged, too: dirty.c */
	bool spread;			/* of the allocator: */
	unsigned int next_region;
	char error[256];
};

/* The offered and wanted protocol features, bits of FE_PROTOCOL_*. */
#define FE_BIT(n) (UINT64_C(1) << (n))

int fe_fail(struct frontend *fe, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Connect, and negotiate up to where a VMM would read the configuration. The
 * memory exists afterwards, but the backend has not been told of it.
 */
int fe_connect(struct frontend *fe, const char *path,
	       const struct fe_options *options);
/* Connect and nothing else: for tests that send what they like. */
int fe_connect_raw(struct frontend *fe, const char *path);
void fe_disconnect(struct frontend *fe);
/* Close the connection only. */
void fe_hang_up(struct frontend *fe);
/* Give the backend up but keep the memory, and connect again. */
int fe_reconnect(struct frontend *fe, const char *path,
		 const struct fe_options *options);

/*
 * What the backend says is its state, in memory to be freed; and have it take one over. No ring runs. Of a
 * state that is refused: -1, and the connection is as good as before.
 */
int fe_save_state(struct frontend *fe, void **state, size_t *bytes);
int fe_load_state(struct frontend *fe, const void *state, size_t bytes);
/* The steps of these: which direction, with a descriptor for it; and whether it has gone well. */
int fe_begin_state(struct frontend *fe, bool load, int fd);
int fe_check_state(struct frontend *fe);

/* Settle the features, tell the memory: the device may be started now. */
int fe_start(struct frontend *fe);
/* The same after a reset, which leaves the memory as it is. */
int fe_start_features(struct frontend *fe);
/* Get the file for what the backend has in hand, and hand it back. */
int fe_get_inflight(struct frontend *fe);
int fe_set_inflight(struct frontend *fe);
/* The rings begin anew: the next start gets another file. */
void fe_forget_inflight(struct frontend *fe);
int fe_set_status(struct frontend *fe, uint8_t status);
int fe_share_memory(struct frontend *fe);
/* As SET_MEM_TABLE; @move gives the regions other user addresses. */
int fe_share_table(struct frontend *fe, bool move);

int fe_read_config(struct frontend *fe, uint32_t offset, void *to, uint32_t bytes);
int fe_write_config(struct frontend *fe, uint32_t offset, const void *from,
		    uint32_t bytes);

/* Memory of the guest, zeroed; NULL (and fe->error) if there is no more. */
void *fe_alloc(struct frontend *fe, size_t bytes, size_t align);
uint64_t fe_guest_address(const struct frontend *fe, const void *pointer);
uint64_t fe_user_address(const struct frontend *fe, const void *pointer);

/* Make a ring of @size entries and hand it to the backend, at index @base. */
int fe_init_vq(struct frontend *fe, struct virtqueue *vq, unsigned int index,
		  unsigned int size);
int fe_start_vq(struct frontend *fe, struct virtqueue *vq, uint16_t base);
/* Start one whose addresses the backend has been told already. */
int fe_start_known_vq(struct frontend *fe, struct virtqueue *vq);
/* Stop it; *base is where the backend would go on (its own count in UML). */
int fe_stop_vq(struct frontend *fe, struct virtqueue *vq, uint16_t *base);
/* Where it lies, once more, while it runs: with fe->logs_rings its used ring is logged from then on. */
int fe_tell_address(struct frontend *fe, const struct virtqueue *vq);
/* The guest wants to be called by another vq->call_fd. */
int fe_tell_call(struct frontend *fe, const struct virtqueue *vq);
int fe_enable_vq(struct frontend *fe, unsigned int index, bool enable);

/* Messages. @fds are sent along and remain the caller's. */
int fe_send(struct frontend *fe, struct fe_message *m, const int *fds,
	    unsigned int nfds);
int fe_receive(struct frontend *fe, struct fe_message *m);
/* Send; with REPLY_ACK wait until it is done, and fail if it is refused. */
int fe_tell(struct frontend *fe, struct fe_message *m, const int *fds,
	    unsigned int nfds);
/* Send and get the answer to a request that always has one. */
int fe_ask(struct frontend *fe, struct fe_message *m);

/* The backend has hung up (or died). Doesn't wait. */
bool fe_is_closed(struct frontend *fe);
/* Wait until it does; false if it doesn't within the patience of a test. */
bool fe_wait_closed(struct frontend *fe);

/* How long a backend that owes something is waited for. */
#ifndef FE_PATIENCE_MS
#define FE_PATIENCE_MS	20000
#endif

#endif /* SIM_FRONTEND_H */
