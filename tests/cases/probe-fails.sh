#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The driver finds no memory for one part after another when a device appears.
# Proves: each failure ends the probe, with nothing left behind and nothing used that wasn't made; the device
# works afterwards.
#
# beds: uml-debug
# timeout: 240
# run: --cswapd "--store mem --size 16M --release punch" --mem 256M --kmemleak --allow FAULT_INJECTION

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

driver=/sys/bus/virtio/drivers/virtio_cswap
device=$(basename "$(readlink -f "/sys/block/${disk##*/}/device")")
at=/sys/kernel/debug/failslab

# fails FUNCTION [COUNT]: the first COUNT (1) allocations in it, or in what it calls, fail. kvcalloc() takes 2:
# the slab's, and the one of vmalloc() that follows.
fails() {
	local range
	range=$(grep -F '[virtio_cswap]' /proc/kallsyms | sort |
		awk -v name="$1" 'from { print "0x" from, "0x" $1; exit } $3 == name { from = $1 }')
	[ -n "$range" ] || die "the driver has no $1"
	echo "${range% *}" >$at/require-start
	echo "${range#* }" >$at/require-end
	echo "${2:-1}" >$at/times
	echo 100 >$at/probability
	echo "$device" >$driver/bind 2>/dev/null
	echo 0 >$at/probability
	expect "failures that $1 is still to have" "$(cat $at/times)" = 0
	[ ! -e "$driver/$device" ] || die "the driver does without what $1 lacks"
}

[ -e "$driver/$device" ] || die "$driver has no $device"
echo N >$at/ignore-gfp-wait || die "no $at"
echo 0 >$at/verbose
echo "$device" >$driver/unbind || die "unbind"
functions="cswap_control_init cswap_discard_init cswap_balloon_init cswap_life_find_rings cswap_disk_add"
for function in $functions; do
	fails "$function"
done
functions="$functions cswap_queue_init"
fails cswap_queue_init 2
echo "$device" >$driver/bind || fail "the device doesn't work any more"
swap_on
stress --mib 4 --pageout
swap_off
finish "$(echo "$functions" | wc -w) parts failed; then $(figure checked) pages checked, 0 wrong"
