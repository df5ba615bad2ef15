#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Others look at the disk while it swaps, as udev and blkid do; and it is a disk when it doesn't swap.
# Proves: slots that hold nothing read as zeros through the page cache and never as a swapped page; no reader
# disturbs a page; mkswap, swapon and swapoff again and again. (Trap C17.)
# Checks: driver-seal-discarded
#
# beds: uml-debug
# slow: uml vm-newest vm-6.12 vm-6.1 tdx-newest snp-newest tdx-6.12 snp-6.12
# timeout: 360
# run: --cswapd "--store mem --size 48M" --env MIB=16 --env LIMIT=7 --env CYCLES=20
# run uml: --mem 256M
# run uml-debug: --env CYCLES=6
# run vm: --cpus 2 --queues 2 --env CYCLES=8

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# 1. A disk: written, read back, by the page cache and past it.
dd if=/dev/urandom of="$tmp/data" bs=64k count=32 2>/dev/null
dd if="$tmp/data" of="$disk" bs=4k seek=100 conv=fsync 2>/dev/null || fail "writing"
echo 3 >/proc/sys/vm/drop_caches
dd if="$disk" bs=4k skip=100 count=512 2>/dev/null | cmp -s - "$tmp/data" || fail "reading back"
dd if="$disk" of="$tmp/never" bs=64k skip=0 count=1 2>/dev/null || fail "an error when the page cache read what was never written"
cmp -s -n 65536 "$tmp/never" /dev/zero || fail "what was never written reads as something"

# 2. Looked at while it swaps.
swap_on
swapstress --mib "$MIB" --limit "$LIMIT" --rounds 2 --rewrite 50 >"$tmp/stress.out" 2>"$tmp/stress.err" &
pid=$!
looks=0
while kill -0 $pid 2>/dev/null; do
	# The cache must not answer for the device.
	blockdev --flushbufs "$disk" 2>/dev/null
	blkid -p "$disk" >/dev/null 2>&1
	dd if="$disk" of=/dev/null bs=64k count=256 2>/dev/null || fail "an error when the live disk was read"
	dd if="$disk" of=/dev/null bs=4k skip=$((looks * 37 % 4096)) count=16 2>/dev/null || fail "an error when the live disk was read"
	echo change >/sys/block/"${disk##*/}"/uevent
	looks=$((looks + 1))
done
stress_wait $pid
checked=$(figure checked)
expect "looks" "$looks" -gt 2
for name in tampered protocol_errors load_errors load_timeouts store_errors kept; do
	expect "$name moved" "$(counter $name)" = 0
done
[ "$(dmesg | grep -c 'was read, but nothing is stored there')" = 0 ] || fail "a swap-in read a slot that holds nothing"
swap_off

# 3. On and off.
i=0
while [ $i -lt "$CYCLES" ]; do
	swap_on
	stress_begin --mib 2 --seed $i --pageout
	swap_off
	stress_end
	checked=$((checked + $(figure checked)))
	i=$((i + 1))
done
expect "SIGBUS" "$(figure sigbus)" = 0

# 4. Past the page cache, which the driver can't tell from a swap-in: zeros would be nobody's page.
last=$(($(blockdev --getsz "$disk") / 8 - 1))
dd if="$disk" of=/dev/null bs=4k count=1 skip=$last 2>/dev/null || fail "an error when the page cache read what was never stored"
dd if="$disk" of=/dev/null bs=4k count=1 skip=$last iflag=direct 2>/dev/null && fail "what was never stored was read past the page cache"
in_log 1 "slot $last was read, but nothing is stored there"
finish "$looks looks at the live disk, $CYCLES times on and off, $checked pages checked, 0 wrong"
