/*
 * vhost-user-cswap-pci.c - vhost-user-cswap on PCI, with MSI-X.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/core/qdev-properties.h"
#include "hw/virtio/vhost-user-cswap.h"
#include "hw/virtio/virtio-pci.h"

struct VHostUserCswapPCI {
    VirtIOPCIProxy parent_obj;
    VHostUserCswap vdev;
};

typedef struct VHostUserCswapPCI VHostUserCswapPCI;

#define TYPE_VHOST_USER_CSWAP_PCI "vhost-user-cswap-pci-base"

DECLARE_INSTANCE_CHECKER(VHostUserCswapPCI, VHOST_USER_CSWAP_PCI,
                         TYPE_VHOST_USER_CSWAP_PCI)

static const Property vhost_user_cswap_pci_properties[] = {
    DEFINE_PROP_UINT32("vectors", VirtIOPCIProxy, nvectors,
                       DEV_NVECTORS_UNSPECIFIED),
};

static void vhost_user_cswap_pci_realize(VirtIOPCIProxy *vpci_dev, Error **errp)
{
    VHostUserCswapPCI *dev = VHOST_USER_CSWAP_PCI(vpci_dev);
    DeviceState *vdev = DEVICE(&dev->vdev);

    if (vpci_dev->nvectors == DEV_NVECTORS_UNSPECIFIED) {
        /* one for each queue, and one for configuration changes */
        vpci_dev->nvectors = dev->vdev.num_queues + 1;
    }
    qdev_realize(vdev, BUS(&vpci_dev->bus), errp);
}

static void vhost_user_cswap_pci_class_init(ObjectClass *klass,
                                            const void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    VirtioPCIClass *k = VIRTIO_PCI_CLASS(klass);
    PCIDeviceClass *pcidev_k = PCI_DEVICE_CLASS(klass);

    k->realize = vhost_user_cswap_pci_realize;
    device_class_set_props(dc, vhost_user_cswap_pci_properties);
    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);
    pcidev_k->vendor_id = PCI_VENDOR_ID_REDHAT_QUMRANET;
    pcidev_k->device_id = 0; /* Set by virtio-pci based on virtio id */
    pcidev_k->revision = 0x00;
    pcidev_k->class_id = PCI_CLASS_STORAGE_OTHER;
}

static void vhost_user_cswap_pci_instance_init(Object *obj)
{
    VHostUserCswapPCI *dev = VHOST_USER_CSWAP_PCI(obj);

    virtio_instance_init_common(obj, &dev->vdev, sizeof(dev->vdev),
                                TYPE_VHOST_USER_CSWAP);
}

static const VirtioPCIDeviceTypeInfo vhost_user_cswap_pci_info = {
    .base_name = TYPE_VHOST_USER_CSWAP_PCI,
    .non_transitional_name = "vhost-user-cswap-pci",
    .instance_size = sizeof(VHostUserCswapPCI),
    .instance_init = vhost_user_cswap_pci_instance_init,
    .class_init = vhost_user_cswap_pci_class_init,
};

static void vhost_user_cswap_pci_register(void)
{
    virtio_pci_types_register(&vhost_user_cswap_pci_info);
}

type_init(vhost_user_cswap_pci_register);
