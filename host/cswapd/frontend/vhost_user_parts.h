/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vhost_user_parts.h - what the files of the front end's protocol share, and no other file needs.
 *
 *	vhost_user.c		the table of messages, features, configuration, memory; connections
 *	vhost_user_ring.c	rings, and the log of what is in hand
 *	vhost_user_move.c	a guest that moves: the dirty log, the state, what is to be released again
 */
#ifndef CSWAPD_VHOST_USER_PARTS_H
#define CSWAPD_VHOST_USER_PARTS_H

#include <string.h>
#include <unistd.h>

#include "vhost_user.h"

#define VU_CONFIG_BYTES		256
#define VU_MAX_RINGS VHOST_USER_MAX_RINGS

#define BIT64(n) (1ULL << (n))
#define VU_F_LOG_ALL		26
#define VU_F_PROTOCOL_FEATURES	30

enum vu_protocol_feature {
	VU_PROTOCOL_F_MQ = 0,
	VU_PROTOCOL_F_LOG_SHMFD = 1,
	VU_PROTOCOL_F_REPLY_ACK = 3,
	VU_PROTOCOL_F_BACKEND_REQ = 5,
	VU_PROTOCOL_F_CONFIG = 9,
	VU_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VU_PROTOCOL_F_RESET_DEVICE = 13,
	VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VU_PROTOCOL_F_STATUS = 16,
	VU_PROTOCOL_F_DEVICE_STATE = 19,
};

#define VU_PROTOCOL_FEATURES \
	(BIT64(VU_PROTOCOL_F_MQ) | BIT64(VU_PROTOCOL_F_LOG_SHMFD) | \
	 BIT64(VU_PROTOCOL_F_REPLY_ACK) | \
	 BIT64(VU_PROTOCOL_F_BACKEND_REQ) | BIT64(VU_PROTOCOL_F_CONFIG) | \
	 BIT64(VU_PROTOCOL_F_RESET_DEVICE) | \
	 BIT64(VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | \
	 BIT64(VU_PROTOCOL_F_STATUS))

enum vu_request {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_LOG_BASE = 6,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_SET_BACKEND_REQ_FD = 21,
	VU_GET_CONFIG = 24,
	VU_SET_CONFIG = 25,
	VU_GET_INFLIGHT_FD = 31,
	VU_SET_INFLIGHT_FD = 32,
	VU_RESET_DEVICE = 34,
	VU_GET_MAX_MEM_SLOTS = 36,
	VU_ADD_MEM_REG = 37,
	VU_REM_MEM_REG = 38,
	VU_SET_STATUS = 39,
	VU_GET_STATUS = 40,
	VU_SET_DEVICE_STATE_FD = 42,
	VU_CHECK_DEVICE_STATE = 43,
	VU_NUM_REQUESTS
};

/* Payloads, in the host's byte order. */
struct vu_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vu_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

struct vu_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t uva;
	uint64_t offset;
};

struct vu_mem_table {
	uint32_t count;
	uint32_t padding;
	struct vu_region region[VU_MAX_FDS];
};

struct vu_mem_reg {
	uint64_t padding;
	struct vu_region region;
};

struct vu_state_fd {
	uint32_t direction;		/* 0: save, 1: load */
	uint32_t phase;			/* 0: the rings have stopped */
};

struct vu_log {
	uint64_t mmap_size;
	uint64_t mmap_offset;
};

struct vu_inflight {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t num_queues;
	uint16_t queue_size;
};

/* Some send what the compiler makes of it, with padding at the end. */
#define VU_INFLIGHT_BYTES 20

struct vu_config_header {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
};

#define VU_VRING_INDEX_MASK	0xff
#define VU_VRING_NOFD		0x100
#define VU_VRING_ADDR_F_LOG	0x1

struct vu_ring {
	struct worker_ring worker;	/* owns its descriptors */
	bool has_addr;
	bool enabled;
	bool attached;
};

struct vhost_user {
	struct vhost_user_config config;
	int fd;				/* -1: no front end */
	int backend_fd;			/* for messages to the front end; -1 */
	int inflight_fd;		/* the file that the front end keeps, or was given last; -1 */
	struct inflight *inflight;	/* ... if it has handed it back; then there is no other */
	struct handover handover;
	uint32_t own_holder;		/* if we weren't given one */
	uint64_t again_at_ms;		/* the guest isn't asked to release anew before, by a log */
	struct vhost_user_agreed agreed;
	struct log_rate wrong_rate;	/* lines about its messages, */
	struct log_rate pages_rate;	/* and about its memory */
	unsigned int num_rings;
	struct vu_ring ring[VU_MAX_RINGS];
};

typedef const char *vu_handler(struct vhost_user *vu, struct vu_message *msg);

/* --- payloads and descriptors --- */

static inline uint64_t get_u64(const struct vu_message *msg)
{
	uint64_t value;

	memcpy(&value, msg->payload, sizeof(value));
	return value;
}

static inline void set_reply(struct vu_message *msg, const void *payload, size_t size)
{
	memcpy(msg->payload, payload, size);
	msg->header.size = (uint32_t)size;
}

static inline void reply_u64(struct vu_message *msg, uint64_t value)
{
	set_reply(msg, &value, sizeof(value));
}

/* Take a message's first descriptor out of it, or get -1. */
static inline int take_fd(struct vu_message *msg)
{
	int fd;

	if (!msg->num_fds || msg->fd[0] < 0)
		return -1;
	fd = msg->fd[0];
	msg->fd[0] = -1;
	return fd;
}

static inline void replace_fd(int *old, int new)
{
	if (*old >= 0)
		close(*old);
	*old = new;
}

static inline struct vu_ring *find_ring(struct vhost_user *vu, uint64_t index)
{
	return index < vu->num_rings ? &vu->ring[index] : NULL;
}

static inline unsigned int ring_index(const struct vhost_user *vu,
			       const struct vu_ring *ring)
{
	return (unsigned int)(ring - vu->ring);
}

static inline bool accepted(const struct vhost_user *vu, unsigned int feature)
{
	return vu->agreed.features & BIT64(feature);
}

/* --- the parts --- */

const char *vu_start_ring(struct vhost_user *vu, struct vu_ring *ring);
void vu_stop_ring(struct vhost_user *vu, struct vu_ring *ring);
void vu_reset_device(struct vhost_user *vu);
bool vu_any_ring_runs(const struct vhost_user *vu);
void vu_drop_inflight(struct vhost_user *vu);
const char *vu_use_inflight(struct vhost_user *vu, int fd);
const char *vu_use_dirty_log(struct vhost_user *vu, int fd, uint64_t bytes, uint64_t offset);

/* Each is the table's: NULL, or in words what is wrong. */
vu_handler vu_handle_set_vring_num, vu_handle_set_vring_addr, vu_handle_set_vring_base,
	vu_handle_get_vring_base, vu_handle_set_vring_kick, vu_handle_set_vring_call,
	vu_handle_set_vring_err, vu_handle_set_vring_enable, vu_handle_get_inflight_fd,
	vu_handle_set_inflight_fd, vu_handle_set_log_base, vu_handle_set_device_state_fd,
	vu_handle_check_device_state;

#endif
