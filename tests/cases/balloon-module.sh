#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module goes, the device goes, both with memory in the balloon.
# Proves: all of it is given back to the guest, to the page, and can be used; the next one begins at
# nothing, hears the target, and works.
#
# beds: uml-debug
# slow: vm-newest uml-smp vm-6.12 vm-6.1 tdx-newest snp-newest
# timeout: 900
# beside: yes
# run: --cswapd "--store mem --size 64M --release punch" --daemon-may-die
# run: --module-args "floor=48 brake_percent=0"
# run uml: --allow "WARNING: .*virtio_uml" --allow "WARNING: .*vu_del_vqs"
# run uml-debug: --kmemleak
# run uml-smp: --cpus 2 --queues 2
# run vm: --mem 512M --cpus 2 --queues 2

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

file=
for file in $CSWAP_INSMOD; do :; done # the driver comes last

gone() {
	[ ! -e "$disk" ]
}
here() {
	for disk in /dev/cswap*; do
		stats=/sys/block/${disk##*/}/cswap
		[ -b "$disk" ] && [ -r "$stats/reports" ] && return 0
	done
	return 1
}
memory_is_back() {
	[ "$(memory_kib MemTotal)" -ge "$total_kib" ]
}
# The guest has its memory, all of it, and it is good for something.
expect_memory() {
	wait_until 10 memory_is_back ||
		fail "KiB in MemTotal after $1: $(memory_kib MemTotal) of $total_kib"
	stress --mib "$half" --once
}

begin_balloon
half=$(even $((total / 3)))
# What the device had, its pool and rings, is the guest's when it is gone.
times=0
while [ $times -lt 3 ]; do
	reach "$half"
	[ $times != 1 ] || ask 0
	rmmod virtio_cswap || die "rmmod"
	wait_until 10 gone || fail "the disk is still there"
	expect_memory rmmod
	# shellcheck disable=SC2086	# words
	insmod "$file" $CSWAP_MODULE_ARGS || die "insmod"
	wait_until 20 here || die "no disk after insmod"
	times=$((times + 1))
done

# The host didn't change its mind: the new driver hears of the target and follows.
wait_until 30 released_at_least "$half" || fail "after insmod $(balloon released) MiB released: $(balloon stopped)"
if [ "$CSWAP_BED" = uml ]; then
	host kill
else
	device=$(readlink -f "/sys/block/${disk##*/}/device/..")
	echo 1 >"$device/remove"
fi
wait_until 20 gone || fail "the disk is still there"
expect_memory "the device's removal"
if [ "$CSWAP_BED" = uml ]; then
	host attach --store mem --size 64M --release punch --control "$CSWAP_RUN/cswapd.ctl"
else
	echo 1 >/sys/bus/pci/rescan
fi
wait_until 20 here || die "no disk after the device came back"
reach "$half"
end_balloon
finish "$half of $total MiB inflated, $times times without the module and once without the device, MemTotal as it was"
