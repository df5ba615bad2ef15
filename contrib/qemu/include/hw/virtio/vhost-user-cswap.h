/*
 * vhost-user-cswap.h - a sealed swap device whose backend is another process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_VHOST_USER_CSWAP_H
#define QEMU_VHOST_USER_CSWAP_H

#include "chardev/char-fe.h"
#include "hw/virtio/virtio.h"
#include "hw/virtio/vhost.h"
#include "hw/virtio/vhost-user.h"

#define TYPE_VHOST_USER_CSWAP "vhost-user-cswap"
OBJECT_DECLARE_SIMPLE_TYPE(VHostUserCswap, VHOST_USER_CSWAP)

/* The vhost-user protocol's limit, private to vhost-user.c */
#define VHOST_USER_CSWAP_MAX_CONFIG 256

struct VHostUserCswap {
    VirtIODevice parent_obj;

    /* properties */
    CharFrontend chardev;
    uint32_t num_queues;
    uint32_t queue_size;
    uint32_t config_size;

    /* what the backend said first; it is static */
    uint8_t config[VHOST_USER_CSWAP_MAX_CONFIG];
    bool config_known;

    VhostUserState vhost_user;
    struct vhost_dev vhost_dev;
    struct vhost_virtqueue *vhost_vqs;
    struct vhost_inflight inflight;
    Error *migration_blocker;
    bool discards;              /* nobody may pin guest memory */
    bool connected;
    bool running;               /* the backend serves the queues */
};

extern const VMStateDescription vmstate_vhost_user_cswap;

/* Let no migration begin if the backend's store can't go along. */
int vhost_user_cswap_block_migration(VHostUserCswap *s, Error **errp);
void vhost_user_cswap_unblock_migration(VHostUserCswap *s);

#endif
