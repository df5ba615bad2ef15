#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The device goes while its disk is swap, and another one comes. In User-Mode Linux the daemon is
# killed; in QEMU the guest itself takes the device off its bus.
# Proves: whoever needs a page that is out gets SIGBUS, nobody hangs, nothing of ours breaks, and the
# new device works.
#
# beds: uml-debug
# slow: vm-newest uml-smp vm-6.12 vm-6.1 tdx-newest snp-newest tdx-6.12 snp-6.12
# timeout: 240
# beside: yes
# run: --env MIB=12 --cswapd "--store mem --size 48M" --daemon-may-die
# run: --allow "swapstress.[0-9]+.: segfault at"
# run uml: --allow "WARNING: .*virtio_uml" --allow "WARNING: .*vu_del_vqs"
# run uml: --mem 256M
# run uml-smp: --cpus 2 --queues 2
# run vm: --mem 256M --cpus 2 --queues 2

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

gone() {
	[ ! -e "$disk" ]
}
comes_back() {
	for disk in /dev/cswap*; do
		[ -b "$disk" ] && return 0
	done
	return 1
}

swap_on
# Without a limit, or the program's own pages would be out as well, and it could not go on.
stress_begin --mib "$MIB" --rounds 2 --pageout --tolerate-sigbus
stress_to_gate
expect_clean
if [ "$CSWAP_BED" = uml ]; then
	host kill
else
	device=$(readlink -f /sys/block/cswap0/device/..)
	echo 1 >"$device/remove"
fi
wait_until 20 gone || fail "the disk is still there"
stress_end
sigbus=$(figure sigbus)
expect "SIGBUS" "$sigbus" -gt 100

# Others may come, and are as good as the first was.
if [ "$CSWAP_BED" = uml ]; then
	host attach --store mem --size 48M
else
	echo 1 >/sys/bus/pci/rescan
fi
wait_until 20 comes_back || die "no disk after the device came back"
stats=/sys/block/${disk##*/}/cswap
wait_until 10 test -r "$stats/stores" || die "no counters of $disk"
# The kernel keeps the dead one in its list, so the new one must come before it.
swap_priority=20
swap_on
stress --mib "$MIB" --limit 6
expect_clean
swap_off
finish "$sigbus SIGBUS after the device was gone, ${disk##*/} came: $(figure checked) pages checked, 0 wrong"
