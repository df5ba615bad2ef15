#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module goes and comes.
# Proves: it can't go while its disk is swap, nothing is left behind when it goes, it works again
# when it comes, and doesn't come with a parameter that makes no sense.
#
# beds: uml-debug vm-newest
# slow: uml-smp vm-6.12 vm-6.1 tdx-newest snp-newest tdx-6.12 snp-6.12
# timeout: 240
# run: --cswapd "--store mem --size 48M" --env TIMES=5
# run uml-debug: --mem 256M --kmemleak
# run uml-smp: --mem 256M --cpus 2 --queues 2
# run vm: --mem 256M --cpus 2 --queues 2

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

file=
for file in $CSWAP_INSMOD; do :; done # the driver comes last

gone() {
	[ ! -e "$disk" ]
}
here() {
	[ -b "$disk" ] && [ -r "$stats/stores" ]
}

i=0 checked=0
while [ $i -lt "$TIMES" ]; do
	swap_on
	stress_begin --mib 3 --seed $i --pageout
	rmmod virtio_cswap 2>/dev/null && fail "the module went while its disk was swap"
	stress_end
	checked=$((checked + $(figure checked)))
	expect_clean
	swap_off
	# Going with pages stored, pages in flight, and the disk's cache warm.
	dd if=/dev/zero of="$disk" bs=64k count=16 2>/dev/null
	rmmod virtio_cswap || die "rmmod"
	wait_until 10 gone || fail "the disk is still there"
	for wrong in rekey_pages=0 stall_ms=0 load_timeout_s=86401 brake_percent=101 floor=8; do
		insmod "$file" $wrong 2>/dev/null && die "the module came with $wrong"
		in_log $((i + 1)) "$wrong is refused: it must be "
	done
	# shellcheck disable=SC2086	# words
	insmod "$file" $CSWAP_MODULE_ARGS || die "insmod"
	wait_until 10 here || die "no disk after insmod"
	i=$((i + 1))
done
finish "$TIMES times gone and back, $checked pages checked, 0 wrong"
