# SPDX-License-Identifier: GPL-2.0-only
## check-rbd: a store on Ceph RBD: a cluster in a folder, qemu-storage-daemon, deaths on every side (root; slow)
## check-rbd-short: the same in a minute, one case of each (root)
## bench-rbd: cswapd beside vhost-user-blk, both on Ceph RBD (root; BENCH_ARGS as of host-bench)
.PHONY: check-rbd check-rbd-short check-slow bench-rbd
check-rbd:
	$(Q)tests/rbd/run || [ $$? = 4 ]

check-rbd-short:
	$(Q)tests/rbd/run short || [ $$? = 4 ]

bench-rbd:
	$(Q)tests/rbd/run bench $(BENCH_ARGS) || [ $$? = 4 ]

check-slow: check-rbd
