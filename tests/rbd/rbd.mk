# SPDX-License-Identifier: GPL-2.0-only
## check-rbd: a store on Ceph RBD: a cluster in a folder, qemu-storage-daemon, deaths on every side (root; slow)
## check-rbd-short: the same in a minute, one case of each (root)
.PHONY: check-rbd check-rbd-short check-slow
check-rbd:
	$(Q)tests/rbd/run || [ $$? = 4 ]

check-rbd-short:
	$(Q)tests/rbd/run short || [ $$? = 4 ]

check-slow: check-rbd
