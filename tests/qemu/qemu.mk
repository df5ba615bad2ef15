# SPDX-License-Identifier: GPL-2.0-only
# The device as patches for QEMU.
## qemu-series: the device for QEMU as a series of patches for its source tree (QTREE=DIR), in build/qemu-series
## check-qemu-series: the series on the bed's QEMU, or QTREE: checkpatch, each patch builds, qtest, assigned devices (root; slow)

.PHONY: qemu-series check-qemu-series check-slow
qemu-series:
	$(Q)tools/qemu-series "$(or $(QTREE),$(error Name the QEMU source tree: make qemu-series QTREE=DIR))" $(O)/qemu-series

check-qemu-series:
	$(Q)tests/qemu/run $(QTREE) || [ $$? = 4 ]

check-slow: check-qemu-series
