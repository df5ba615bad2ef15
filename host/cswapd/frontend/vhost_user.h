/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vhost_user.h - the protocol with the front end (the VMM).
 */
#ifndef CSWAPD_VHOST_USER_H
#define CSWAPD_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "handover.h"
#include "serve/device.h"
#include "memory.h"
#include "vu_message.h"
#include "serve/worker.h"

#define VHOST_USER_MAX_RINGS VIRTIO_CSWAP_NUM_VQS(VIRTIO_CSWAP_MAX_QUEUE_PAIRS)
/* That have to be kept besides the connection's. */
enum {
	VHOST_USER_BACKEND_FD, VHOST_USER_INFLIGHT_FD, VHOST_USER_LOG_FD, VHOST_USER_PIPE_FD,
	VHOST_USER_STATE_FD, VHOST_USER_FIXED_FDS
};

#define VHOST_USER_MAX_FDS \
	(VHOST_USER_FIXED_FDS + MEMORY_MAX_REGIONS + 3 * VHOST_USER_MAX_RINGS)

/* Offer ACCESS_PLATFORM? AUTO: unless the front end is user-mode Linux. */
enum vhost_user_access { ACCESS_AUTO, ACCESS_ON, ACCESS_OFF };

/* For tests: what the guest is told instead of the truth. */
struct vhost_user_lies {
	void (*config)(struct virtio_cswap_config *config);
	uint64_t (*features)(uint64_t features);
};

struct vhost_user_config {
	enum vhost_user_access access;
	struct device_limits limits;
	struct memory *memory;		/* the workers look at it, too */
	struct worker_set *workers;
	struct balloon *balloon;	/* the workers', too */
	bool inflight;			/* offer that the front end keeps what is in hand */
	struct store_identity store;	/* ... whose slots are there */
	struct store *movable;		/* that, if it could go along with the guest; or NULL */
	uint32_t *holder;		/* enum handover_holder, where it's kept, if there is such a store */
	const struct vhost_user_lies *lies;	/* NULL in cswapd */
};

/* What messages have set, beside memory and rings. */
struct vhost_user_agreed {
	bool owned;
	bool asked_features;
	bool owned_before_features;
	uint8_t status;
	uint64_t features;		/* accepted */
	uint64_t protocol_features;	/* accepted */
	bool log_lost;			/* writes to memory should be logged and aren't */
};

/* All that was agreed on with a front end, but for the descriptors. */
struct vhost_user_saved_ring {
	struct vring_setup setup;
	bool has_addr;
	bool enabled;
	bool attached;
};

struct vhost_user_saved {
	bool connected;			/* if not, the rest is void */
	bool inflight;			/* the front end keeps what is in hand */
	struct vhost_user_agreed agreed;
	uint64_t log_bytes;		/* of the dirty log; 0: there is none */
	uint64_t log_offset;
	uint64_t state_serial;		/* of a state that comes */
	unsigned int num_regions;
	struct {
		uint64_t gpa;
		uint64_t uva;
		uint64_t size;
		uint64_t offset;
	} region[MEMORY_MAX_REGIONS];
	struct vhost_user_saved_ring ring[VHOST_USER_MAX_RINGS];
	unsigned int num_gone;		/* regions that were removed, and may come again */
	struct memory_gone gone[MEMORY_MAX_REGIONS];
};

/* A descriptor that goes with it, always at the same index; another @serial: another. */
struct vhost_user_fd {
	int fd;				/* -1: none */
	uint64_t serial;
};

struct vhost_user;

/* NULL if there is no memory for it. */
struct vhost_user *vhost_user_new(const struct vhost_user_config *config);
void vhost_user_free(struct vhost_user *vu);

/* Begin with a front end on @fd, which is ours from now on. */
void vhost_user_connect(struct vhost_user *vu, int fd);

/* What to poll for messages. */
int vhost_user_fd(const struct vhost_user *vu);

/* Was the feature negotiated with the guest? */
bool vhost_user_has(const struct vhost_user *vu, unsigned int feature);

/*
 * What has to stand still for a message, so that handling it doesn't wait for the
 * medium; and for the front end to be lost.
 */
struct worker_need vhost_user_needs(const struct vhost_user *vu,
				    const struct vu_message *msg);
#define VHOST_USER_LOSS_NEEDS ((struct worker_need){ .still = WORKER_ALL })

/*
 * Is the store needed for it, and can't be had yet? That may take a moment: the caller asks again, for so many ms in
 * all. Takes the store if it can be had; 0.
 */
unsigned int vhost_user_waits(struct vhost_user *vu, const struct vu_message *msg);

/* vhost_user_waits() isn't asked again for this message; its handler tries once more. */
void vhost_user_give_up(struct vhost_user *vu);

/*
 * Handle a message. With *@reply it has become one, to be sent. False when the
 * connection is over. The descriptors that are left in it are the caller's.
 */
bool vhost_user_handle(struct vhost_user *vu, struct vu_message *msg,
		       bool *reply);

/* What is to be polled for the guest's state and store while those move; what to do then. */
struct pollfd vhost_user_state_poll(const struct vhost_user *vu);
void vhost_user_move_state(struct vhost_user *vu);

/* The store is being given back (handover_leaves()): no message is handled until that's over. */
bool vhost_user_leaves(const struct vhost_user *vu);

/* When the guest is to be asked to release anew (balloon_want_again()): ms from now, -1 for never; and ask. */
int vhost_user_again_ms(const struct vhost_user *vu);
void vhost_user_ask_again(struct vhost_user *vu);

/* Receive, handle and answer one message, waiting for it. False when the connection is over. */
bool vhost_user_receive(struct vhost_user *vu);

/* What another process needs to go on; @fd are VHOST_USER_MAX_FDS, and stay ours. */
void vhost_user_save(const struct vhost_user *vu, struct vhost_user_saved *to,
		     struct vhost_user_fd *fd);

/*
 * Go on as another process, which is dead. The descriptors are ours from now on. If memory of the guest's can't be
 * had, no ring runs, and the connection ends.
 */
void vhost_user_restore(struct vhost_user *vu,
			const struct vhost_user_saved *from, int front_end,
			const int *fd);

/* Stop all rings and forget the front end and its memory. */
void vhost_user_disconnect(struct vhost_user *vu);

#endif
