/*
 * vhost-user-cswap-migration.c - what moves of a sealed swap device.
 *
 * Guest pages that are swapped out stay where they are, in a store that the
 * backends of both sides can use.  What the backend has to know goes along in a
 * subsection (VHOST_USER_PROTOCOL_F_DEVICE_STATE).  The destination's backend
 * takes the store when it has loaded that, and fails the migration if it can't;
 * the source's takes it back if its queues are started again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/virtio/vhost-user-cswap.h"
#include "migration/blocker.h"
#include "migration/vmstate.h"

static int vu_cswap_save_backend(QEMUFile *f, void *opaque, size_t size,
                                 const VMStateField *field, JSONWriter *vmdesc)
{
    VHostUserCswap *s = opaque;
    Error *err = NULL;
    int ret;

    if (!s->connected) {
        error_report("vhost-user-cswap: no backend: the guest can't move");
        return -ENOTCONN;
    }
    ret = vhost_save_backend_state(&s->vhost_dev, f, &err);
    if (ret < 0) {
        error_reportf_err(err, "vhost-user-cswap: ");
    }
    return ret;
}

static int vu_cswap_load_backend(QEMUFile *f, void *opaque, size_t size,
                                 const VMStateField *field)
{
    VHostUserCswap *s = opaque;
    Error *err = NULL;
    int ret;

    if (!s->connected || !vhost_supports_device_state(&s->vhost_dev)) {
        error_report("vhost-user-cswap: no backend that a guest can come to");
        return -ENOTSUP;
    }
    ret = vhost_load_backend_state(&s->vhost_dev, f, &err);
    if (ret < 0) {
        error_reportf_err(err, "vhost-user-cswap: ");
    }
    return ret;
}

static const VMStateInfo vu_cswap_backend_info = {
    .name = "backend state",
    .get = vu_cswap_load_backend,
    .put = vu_cswap_save_backend,
};

static bool vu_cswap_backend_needed(void *opaque)
{
    return true;
}

static const VMStateDescription vu_cswap_backend_vmstate = {
    .name = "vhost-user-cswap/backend",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = vu_cswap_backend_needed,
    .fields = (const VMStateField[]) {
        {
            .name = "backend",
            .info = &vu_cswap_backend_info,
        },
        VMSTATE_END_OF_LIST()
    },
};

const VMStateDescription vmstate_vhost_user_cswap = {
    .name = "vhost-user-cswap",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_VIRTIO_DEVICE,
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription * const []) {
        &vu_cswap_backend_vmstate,
        NULL
    },
};

/* Known before a migration has copied anything. */
int vhost_user_cswap_block_migration(VHostUserCswap *s, Error **errp)
{
    if (vhost_supports_device_state(&s->vhost_dev)) {
        return 0;
    }
    error_setg(&s->migration_blocker, "vhost-user-cswap: the backend's store "
               "can't go along with the guest");
    return migrate_add_blocker(&s->migration_blocker, errp);
}

void vhost_user_cswap_unblock_migration(VHostUserCswap *s)
{
    migrate_del_blocker(&s->migration_blocker);
}
