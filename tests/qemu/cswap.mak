# SPDX-License-Identifier: GPL-2.0-or-later
# cswap.mak - what boots a guest with the device, and assigned devices (with --without-default-devices)
CONFIG_I440FX=y
CONFIG_Q35=y
CONFIG_HPET=y
CONFIG_PCI_DEVICES=n
CONFIG_PCIE_PORT=y
CONFIG_VIRTIO=y
CONFIG_VIRTIO_PCI=y
CONFIG_VFIO=y
CONFIG_VFIO_PCI=y
CONFIG_CXL=y
CONFIG_PXB=y
CONFIG_CXL_MEM_DEVICE=y
