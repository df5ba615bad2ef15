/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vhost_user.h - the protocol with the front end (the VMM).
 */
#ifndef CSWAPD_VHOST_USER_H
#define CSWAPD_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "device.h"
#include "memory.h"
#include "worker.h"

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
	const struct vhost_user_lies *lies;	/* NULL in cswapd */
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

/* Receive and handle one message. False when the connection is over. */
bool vhost_user_receive(struct vhost_user *vu);

/* Stop all rings and forget the front end and its memory. */
void vhost_user_disconnect(struct vhost_user *vu);

#endif
