/*
 * vhost-user-cswap.h - a sealed swap device whose backend is another process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_VHOST_USER_CSWAP_H
#define QEMU_VHOST_USER_CSWAP_H

#include "hw/virtio/virtio.h"
#include "hw/virtio/vhost.h"
#include "hw/virtio/vhost-user.h"
#include "hw/virtio/vhost-user-base.h"

#define TYPE_VHOST_USER_CSWAP "vhost-user-cswap"
OBJECT_DECLARE_SIMPLE_TYPE(VHostUserCswap, VHOST_USER_CSWAP)

struct VHostUserCswap {
    VHostUserBase parent_obj;
};

#endif
