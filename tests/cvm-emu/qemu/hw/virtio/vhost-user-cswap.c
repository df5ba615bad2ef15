/*
 * vhost-user-cswap.c - a sealed swap device whose backend is another process.
 *
 * A thin wrapper of vhost-user-base: ID, queues and limits are here, all the
 * rest is the backend's (cswapd).  The ID, 13, is provisional: the virtio
 * specification reserves it ("memory balloon"), and no driver claims it.
 *
 * num-queues counts virtqueues: one for control, and two for each pair.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qapi/error.h"
#include "hw/qdev-properties.h"
#include "hw/virtio/virtio-bus.h"
#include "hw/virtio/vhost-user-cswap.h"
#include "standard-headers/linux/virtio_ids.h"

/* The vhost-user protocol's limit, private to vhost-user.c */
#define MAX_CONFIG_SIZE 256

static const VMStateDescription vu_cswap_vmstate = {
    .name = "vhost-user-cswap",
    .unmigratable = 1,
};

static const Property vu_cswap_properties[] = {
    DEFINE_PROP_CHR("chardev", VHostUserBase, chardev),
    DEFINE_PROP_UINT32("num-queues", VHostUserBase, num_vqs, 1),
    DEFINE_PROP_UINT32("queue-size", VHostUserBase, vq_size, 256),
    DEFINE_PROP_UINT32("config-size", VHostUserBase, config_size, 64),
};

static void vu_cswap_realize(DeviceState *dev, Error **errp)
{
    VHostUserBase *vub = VHOST_USER_BASE(dev);
    VHostUserBaseClass *vubs = VHOST_USER_BASE_GET_CLASS(dev);
    ERRP_GUARD();

    if (!vub->num_vqs || vub->num_vqs > VIRTIO_QUEUE_MAX) {
        error_setg(errp, "num-queues must be 1 to %d", VIRTIO_QUEUE_MAX);
        return;
    }
    if (vub->vq_size < 2 || vub->vq_size > VIRTQUEUE_MAX_SIZE ||
        !is_power_of_2(vub->vq_size)) {
        error_setg(errp, "queue-size must be a power of 2, 2 to %d",
                   VIRTQUEUE_MAX_SIZE);
        return;
    }
    if (vub->config_size > MAX_CONFIG_SIZE) {
        error_setg(errp, "config-size must not exceed %d",
                   MAX_CONFIG_SIZE);
        return;
    }
    vub->virtio_id = VIRTIO_ID_MEMORY_BALLOON;
    /* a backend that has fewer is refused */
    vub->vhost_dev.num_queues = vub->num_vqs;
    vubs->parent_realize(dev, errp);
    if (*errp) {
        return;
    }
    for (int i = 0; i < vub->num_vqs; i++) {
        virtio_queue_lower_max_num(VIRTIO_DEVICE(dev), i, vub->vq_size);
    }
}

static void vu_cswap_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    VHostUserBaseClass *vubc = VHOST_USER_BASE_CLASS(klass);

    dc->vmsd = &vu_cswap_vmstate;
    device_class_set_props(dc, vu_cswap_properties);
    device_class_set_parent_realize(dc, vu_cswap_realize,
                                    &vubc->parent_realize);
    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);
}

static const TypeInfo vu_cswap_info = {
    .name = TYPE_VHOST_USER_CSWAP,
    .parent = TYPE_VHOST_USER_BASE,
    .instance_size = sizeof(VHostUserCswap),
    .class_init = vu_cswap_class_init,
};

static void vu_cswap_register_types(void)
{
    type_register_static(&vu_cswap_info);
}

type_init(vu_cswap_register_types)
