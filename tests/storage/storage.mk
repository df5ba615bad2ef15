# SPDX-License-Identifier: GPL-2.0-only
## check-storage: a store on NFS and on an iSCSI LUN, in a guest with Debian's kernel: deaths, cut networks (root; slow)
.PHONY: check-storage check-slow
check-storage:
	$(Q)tests/storage/run || [ $$? = 4 ]

check-slow: check-storage
