#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The device comes to a used guest: one page in 16 of what was free is pinned, so there's no block of
# 64 KiB or more.
# Proves: the pool is made of smaller blocks, as large in all as it would have been, and the log says so;
# pages are stored and come back as ever.
#
# beds: uml-debug
# slow: vm-newest uml vm-6.12 vm-6.1 tdx-newest snp-newest
# timeout: 240
# module: tests/kmod/fragment
# run: --cswapd "--store mem --size 48M"
# run uml: --mem 256M
# run vm: --mem 512M --cpus 2 --queues 2

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-evil.sh
. "$(dirname "$0")/lib-evil.sh"

before=$(counter copies)
rmmod virtio_cswap || die "rmmod"
wait_until 20 gone || die "the disk is still there"
sync
echo 3 >/proc/sys/vm/drop_caches
insmod "$MODULE" every=16 leave_mib=1 reserve=1 || die "insmod $MODULE"
echo 1 >/proc/sys/vm/compact_memory
say "pinned: $(cat /sys/module/cswap_fragment/parameters/pinned); $(tr '\n' ' ' </proc/buddyinfo)"
# shellcheck disable=SC2086	# words
insmod "$driver" $CSWAP_MODULE_ARGS || die "insmod"
wait_until 20 here || die "no disk in a fragmented guest"
in_log 1 "the pool that is shared with the device is in blocks of [0-9]+ KiB"
expect "copies in the pool, which were $before" "$(counter copies)" -ge "$before"
swap_on
stress --mib 8 --procs 2 --pageout
expect_clean
swap_off
finish "$(counter copies) copies, $before before; $(figure checked) pages checked, 0 wrong: $(dmesg | grep -o 'in blocks of.*' | tail -n 1)"
