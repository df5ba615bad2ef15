# SPDX-License-Identifier: GPL-2.0-only
## check-rbd: a store on Ceph RBD: a cluster in a folder, qemu-storage-daemon, deaths on every side (root; slow)
.PHONY: check-rbd check-slow
check-rbd:
	$(Q)tests/rbd/run || [ $$? = 4 ]

check-slow: check-rbd
