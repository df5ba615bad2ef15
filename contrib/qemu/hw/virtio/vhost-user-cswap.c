/*
 * vhost-user-cswap.c - a sealed swap device whose backend is another process.
 *
 * The device is the backend's (cswapd): features, configuration and queues.
 * The ID, 13, is provisional: the virtio specification reserves it ("memory
 * balloon"), and no driver claims it.
 *
 * num-queues counts virtqueues: one for control, and two for each pair.
 *
 * Reconnect: if the backend goes away and the chardev connects again, the
 * queues go on.  What was in flight is in memory that the backend asked us to
 * keep (VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qapi/error.h"
#include "hw/core/qdev-properties.h"
#include "hw/core/qdev-properties-system.h"
#include "hw/virtio/virtio-bus.h"
#include "hw/virtio/vhost-user-cswap.h"
#include "standard-headers/linux/vhost_types.h"
#include "standard-headers/linux/virtio_cswap.h"
#include "standard-headers/linux/virtio_ids.h"

/* --- start and stop --- */

static int vu_cswap_use_inflight(VHostUserCswap *s, Error **errp)
{
    int ret = vhost_dev_prepare_inflight(&s->vhost_dev, VIRTIO_DEVICE(s));

    if (ret >= 0 && !s->inflight.addr) {
        ret = vhost_dev_get_inflight(&s->vhost_dev, s->queue_size,
                                     &s->inflight);
    }
    if (ret >= 0) {
        ret = vhost_dev_set_inflight(&s->vhost_dev, &s->inflight);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "the memory for requests in flight");
    }
    return ret;
}

static int vu_cswap_start(VHostUserCswap *s, Error **errp)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    BusState *bus = qdev_get_parent_bus(DEVICE(s));
    VirtioBusClass *k = VIRTIO_BUS_GET_CLASS(bus);
    int ret;

    if (!k->set_guest_notifiers) {
        error_setg(errp, "the bus has no guest notifiers");
        return -ENOSYS;
    }
    ret = vhost_dev_enable_notifiers(&s->vhost_dev, vdev);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "host notifiers");
        return ret;
    }
    ret = k->set_guest_notifiers(bus->parent, s->vhost_dev.nvqs, true);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "guest notifiers");
        goto no_guest_notifiers;
    }
    s->vhost_dev.acked_features = vdev->guest_features;
    ret = vu_cswap_use_inflight(s, errp);
    if (ret < 0) {
        goto not_started;
    }
    ret = vhost_dev_start(&s->vhost_dev, vdev, true);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "the backend");
        goto not_started;
    }
    for (int i = 0; i < s->vhost_dev.nvqs; i++) {
        vhost_virtqueue_mask(&s->vhost_dev, vdev, i, false);
    }
    s->running = true;
    return 0;

not_started:
    k->set_guest_notifiers(bus->parent, s->vhost_dev.nvqs, false);
no_guest_notifiers:
    vhost_dev_disable_notifiers(&s->vhost_dev, vdev);
    return ret;
}

static void vu_cswap_stop(VHostUserCswap *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    BusState *bus = qdev_get_parent_bus(DEVICE(s));
    VirtioBusClass *k = VIRTIO_BUS_GET_CLASS(bus);

    if (!s->running) {
        return;
    }
    s->running = false;
    vhost_dev_stop(&s->vhost_dev, vdev, true);
    if (k->set_guest_notifiers(bus->parent, s->vhost_dev.nvqs, false) < 0) {
        error_report("vhost-user-cswap: guest notifiers can't be removed");
    }
    vhost_dev_disable_notifiers(&s->vhost_dev, vdev);
}

static void vu_cswap_follow_status(VirtIODevice *vdev, uint8_t status)
{
    VHostUserCswap *s = VHOST_USER_CSWAP(vdev);
    bool should_run = virtio_device_should_start(vdev, status);
    Error *err = NULL;

    if (!s->connected || s->running == should_run) {
        return;
    }
    if (!should_run) {
        vu_cswap_stop(s);
    } else if (vu_cswap_start(s, &err) < 0) {
        error_reportf_err(err, "vhost-user-cswap: can't start: ");
        /* whoever connects next may be able to */
        qemu_chr_fe_disconnect(&s->chardev);
    }
}

static int vu_cswap_set_status(VirtIODevice *vdev, uint8_t status)
{
    vu_cswap_follow_status(vdev, status);
    return 0;
}

/* The queues begin anew, so nothing of them is in flight. */
static void vu_cswap_reset(VirtIODevice *vdev)
{
    vhost_dev_free_inflight(&VHOST_USER_CSWAP(vdev)->inflight);
}

static void vu_cswap_handle_output(VirtIODevice *vdev, VirtQueue *vq)
{
    /* the backend's; virtio's cleanup may call this all the same */
}

/* --- what the guest sees --- */

static uint64_t vu_cswap_get_features(VirtIODevice *vdev, uint64_t requested,
                                      Error **errp)
{
    VHostUserCswap *s = VHOST_USER_CSWAP(vdev);

    /* what is between QEMU and the backend is nobody else's */
    return s->vhost_dev.features &
           ~(BIT_ULL(VHOST_USER_F_PROTOCOL_FEATURES) |
             BIT_ULL(VHOST_F_LOG_ALL));
}

static void vu_cswap_get_config(VirtIODevice *vdev, uint8_t *config)
{
    VHostUserCswap *s = VHOST_USER_CSWAP(vdev);

    /* not asked for again: a backend that hangs must not hang the guest */
    memcpy(config, s->config, s->config_size);
}

static struct vhost_dev *vu_cswap_get_vhost(VirtIODevice *vdev)
{
    return &VHOST_USER_CSWAP(vdev)->vhost_dev;
}

/* --- the connection --- */

static int vu_cswap_read_config(VHostUserCswap *s, Error **errp)
{
    uint8_t config[VHOST_USER_CSWAP_MAX_CONFIG] = { 0 };
    int ret = vhost_dev_get_config(&s->vhost_dev, config, s->config_size, errp);

    if (ret < 0) {
        return ret;
    }
    if (s->config_known && memcmp(config, s->config, sizeof(config))) {
        error_setg(errp, "the backend is of another device than before");
        return -EINVAL;
    }
    memcpy(s->config, config, sizeof(config));
    s->config_known = true;
    return 0;
}

static int vu_cswap_connect(VHostUserCswap *s, Error **errp)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    int ret;

    if (s->connected) {
        return 0;
    }
    /* a backend with fewer is refused */
    s->vhost_dev.num_queues = s->num_queues;
    s->vhost_dev.nvqs = s->num_queues;
    s->vhost_dev.vqs = s->vhost_vqs;
    s->vhost_dev.vq_index = 0;
    s->vhost_user.supports_config = true;
    ret = vhost_dev_init(&s->vhost_dev, &s->vhost_user,
                         VHOST_BACKEND_TYPE_USER, 0, errp);
    if (ret < 0) {
        return ret;
    }
    ret = vu_cswap_read_config(s, errp);
    if (ret < 0) {
        vhost_dev_cleanup(&s->vhost_dev);
        return ret;
    }
    s->connected = true;
    if (virtio_device_started(vdev, vdev->status)) {
        return vu_cswap_start(s, errp);
    }
    return 0;
}

static void vu_cswap_event(void *opaque, QEMUChrEvent event);

static void vu_cswap_listen(VHostUserCswap *s)
{
    qemu_chr_fe_set_handlers(&s->chardev, NULL, NULL, vu_cswap_event, NULL,
                             DEVICE(s), NULL, true);
}

static void vu_cswap_disconnect(DeviceState *dev)
{
    VHostUserCswap *s = VHOST_USER_CSWAP(dev);

    if (s->connected) {
        s->connected = false;
        vu_cswap_stop(s);
        vhost_dev_cleanup(&s->vhost_dev);
    }
    vu_cswap_listen(s);
}

static void vu_cswap_event(void *opaque, QEMUChrEvent event)
{
    DeviceState *dev = opaque;
    VHostUserCswap *s = VHOST_USER_CSWAP(dev);
    Error *err = NULL;

    switch (event) {
    case CHR_EVENT_OPENED:
        if (vu_cswap_connect(s, &err) < 0) {
            error_reportf_err(err, "vhost-user-cswap: ");
            qemu_chr_fe_disconnect(&s->chardev);
        }
        break;
    case CHR_EVENT_CLOSED:
        /* later: who hears of it may be in the middle of something */
        vhost_user_async_close(dev, &s->chardev, &s->vhost_dev,
                               vu_cswap_disconnect);
        break;
    default:
        break;
    }
}

/* --- devices that keep guest memory --- */

/*
 * A backend that discards what the guest releases does so behind QEMU's back.
 * A device that has guest memory pinned (VFIO, vDPA) would go on using the old
 * pages; so there is either the one or the other.  Where the guest converts
 * memory it's QEMU itself that discards, and the listeners hear of it.
 */
static int vu_cswap_forbid_pinning(VHostUserCswap *s, Error **errp)
{
    struct virtio_cswap_config config;
    int ret;

    memcpy(&config, s->config, sizeof(config));
    if (!(s->vhost_dev.features & BIT_ULL(VIRTIO_CSWAP_F_BALLOON)) ||
        config.release_method != VIRTIO_CSWAP_RELEASE_DISCARD) {
        return 0;
    }
    ret = ram_block_discard_require(true);
    if (ret < 0) {
        error_setg(errp, "the backend discards memory that the guest releases, "
                   "and another device has guest memory pinned");
        error_append_hint(errp, "Have the backend release nothing (cswapd "
                          "--release off), or leave out the other device.\n");
        return ret;
    }
    s->discards = true;
    return 0;
}

static void vu_cswap_permit_pinning(VHostUserCswap *s)
{
    if (s->discards) {
        ram_block_discard_require(false);
        s->discards = false;
    }
}

/* --- realize --- */

static bool vu_cswap_check_properties(VHostUserCswap *s, Error **errp)
{
    if (!s->chardev.chr) {
        error_setg(errp, "chardev is missing");
    } else if (!s->num_queues || s->num_queues > VIRTIO_QUEUE_MAX) {
        error_setg(errp, "num-queues must be 1 to %d", VIRTIO_QUEUE_MAX);
    } else if (s->queue_size < 2 || s->queue_size > VIRTQUEUE_MAX_SIZE ||
               !is_power_of_2(s->queue_size)) {
        error_setg(errp, "queue-size must be a power of 2, 2 to %d",
                   VIRTQUEUE_MAX_SIZE);
    } else if (!s->config_size ||
               s->config_size > VHOST_USER_CSWAP_MAX_CONFIG) {
        error_setg(errp, "config-size must be 1 to %d",
                   VHOST_USER_CSWAP_MAX_CONFIG);
    } else {
        return true;
    }
    return false;
}

static void vu_cswap_free(VHostUserCswap *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);

    vu_cswap_permit_pinning(s);
    vhost_user_cswap_unblock_migration(s);
    vhost_dev_free_inflight(&s->inflight);
    g_free(s->vhost_vqs);
    s->vhost_vqs = NULL;
    for (int i = 0; i < s->num_queues; i++) {
        virtio_del_queue(vdev, i);
    }
    virtio_cleanup(vdev);
    vhost_user_cleanup(&s->vhost_user);
}

static void vu_cswap_realize(DeviceState *dev, Error **errp)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    VHostUserCswap *s = VHOST_USER_CSWAP(dev);

    if (!vu_cswap_check_properties(s, errp) ||
        !vhost_user_init(&s->vhost_user, &s->chardev, errp)) {
        return;
    }
    virtio_init(vdev, VIRTIO_ID_MEMORY_BALLOON, s->config_size);
    /* the backend signals the guest by itself */
    vdev->use_guest_notifier_mask = false;
    for (int i = 0; i < s->num_queues; i++) {
        virtio_add_queue(vdev, s->queue_size, vu_cswap_handle_output);
    }
    s->vhost_vqs = g_new0(struct vhost_virtqueue, s->num_queues);
    if (qemu_chr_fe_wait_connected(&s->chardev, errp) < 0 ||
        vu_cswap_connect(s, errp) < 0) {
        vu_cswap_free(s);
        return;
    }
    if (vu_cswap_forbid_pinning(s, errp) < 0 ||
        vhost_user_cswap_block_migration(s, errp) < 0) {
        vhost_dev_cleanup(&s->vhost_dev);
        vu_cswap_free(s);
        return;
    }
    vu_cswap_listen(s);
}

static void vu_cswap_unrealize(DeviceState *dev)
{
    VHostUserCswap *s = VHOST_USER_CSWAP(dev);

    vu_cswap_follow_status(VIRTIO_DEVICE(dev), 0);
    qemu_chr_fe_set_handlers(&s->chardev, NULL, NULL, NULL, NULL, NULL, NULL,
                             false);
    if (s->connected) {
        vhost_dev_cleanup(&s->vhost_dev);
    }
    vu_cswap_free(s);
}

static const Property vu_cswap_properties[] = {
    DEFINE_PROP_CHR("chardev", VHostUserCswap, chardev),
    DEFINE_PROP_UINT32("num-queues", VHostUserCswap, num_queues, 1),
    DEFINE_PROP_UINT32("queue-size", VHostUserCswap, queue_size, 256),
    DEFINE_PROP_UINT32("config-size", VHostUserCswap, config_size, 64),
};

static void vu_cswap_class_init(ObjectClass *klass, const void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    VirtioDeviceClass *vdc = VIRTIO_DEVICE_CLASS(klass);

    dc->vmsd = &vmstate_vhost_user_cswap;
    dc->desc = "sealed swap of a confidential guest";
    device_class_set_props(dc, vu_cswap_properties);
    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);
    vdc->realize = vu_cswap_realize;
    vdc->unrealize = vu_cswap_unrealize;
    vdc->get_features = vu_cswap_get_features;
    vdc->get_config = vu_cswap_get_config;
    vdc->set_status = vu_cswap_set_status;
    vdc->reset = vu_cswap_reset;
    vdc->get_vhost = vu_cswap_get_vhost;
}

static const TypeInfo vu_cswap_info = {
    .name = TYPE_VHOST_USER_CSWAP,
    .parent = TYPE_VIRTIO_DEVICE,
    .instance_size = sizeof(VHostUserCswap),
    .class_init = vu_cswap_class_init,
};

static void vu_cswap_register_types(void)
{
    type_register_static(&vu_cswap_info);
}

type_init(vu_cswap_register_types)
