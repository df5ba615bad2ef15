#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Space that the guest doesn't need goes back to the host: when a process ends, at swapoff, by
# blkdiscard; and what an earlier guest has left, when the next one starts. Stores that come right after a
# free, or while the driver starts, are not hit by the DISCARD; nor if the swap core discards what it frees as
# well (swapon -d). (Traps A1, A2.)
# Checks: driver-discard-forget, driver-ctrl-count, device-discard-free, driver-init-discard
#
# beds: uml vm-newest
# fast uml: swapon
# slow: uml-debug vm-6.12 vm-6.1 tdx-newest snp-newest tdx-6.12 snp-6.12
# timeout: 300
# beside: yes
# run: --cswapd "--store @RUN@/store --size 64M" --env MIB=12
# run uml: --mem 256M
# guest-programs: blkdiscard
# variant freed:
# variant swapon uml: --env SWAPON=--discard

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

occupies() { # at most so much
	host blocks
	[ "$host_said" -le "$1" ]
}
occupies_more() {
	host blocks
	[ "$host_said" -ge "$1" ]
}

swap_options=${SWAPON-}
swap_on
stress_begin --mib "$MIB" --pageout
wait_until 20 occupies_more $((MIB * 1000)) || fail "only $host_said KiB in the store for $MIB MiB swapped"
full=$host_said
stress_end
wait_until 20 occupies 1024 || fail "after the process ended the store still occupies $host_said KiB"
after_exit=$host_said

# Frees and stores of the same slots, as fast as they go.
stress --mib 8 --limit 3 --procs 2 --rounds 3 --rewrite 100
expect_clean

# swapoff brings pages back that live on.
stress_begin --mib "$MIB" --pageout
wait_until 20 occupies_more $((MIB * 1000)) || fail "only $host_said KiB in the store for $MIB MiB swapped"
swap_off
wait_until 20 occupies 1024 || fail "after swapoff the store still occupies $host_said KiB"
stress_end

# As a plain disk.
dd if=/dev/urandom of="$tmp/data" bs=64k count=64 2>/dev/null
dd if="$tmp/data" of="$disk" bs=64k oflag=direct 2>/dev/null || fail "writing to the disk"
dd if="$disk" bs=64k count=64 iflag=direct 2>/dev/null | cmp -s - "$tmp/data" || fail "what was written to the disk is not what is read"
wait_until 20 occupies_more 4000 || fail "only $host_said KiB in the store for 4 MiB written"
blkdiscard "$disk" || fail "blkdiscard"
wait_until 20 occupies 256 || fail "after blkdiscard the store still occupies $host_said KiB"
dd if="$disk" bs=64k count=64 2>/dev/null | tr -d '\0' | grep -q . && fail "discarded blocks read as something"
discards=$(counter discards)
expect "slots discarded" "$discards" -gt 6000
expect_clean

# A guest that ends without a word leaves its pages behind. The next one discards them when it starts,
# but not what it stores meanwhile.
file=
for file in $CSWAP_INSMOD; do :; done # the driver comes last
dd if=/dev/urandom of="$disk" bs=64k count=256 oflag=direct 2>/dev/null || fail "filling the disk"
wait_until 20 occupies_more 16000 || fail "only $host_said KiB in the store for 16 MiB written"
rmmod virtio_cswap || die "rmmod"
host blocks
expect "KiB left behind" "$host_said" -gt 16000
# shellcheck disable=SC2086	# words
insmod "$file" $CSWAP_MODULE_ARGS || die "insmod"
wait_until 10 test -b "$disk" || die "no disk after insmod"
dd if="$tmp/data" of="$disk" bs=64k count=64 oflag=direct 2>/dev/null || fail "writing to the disk"
wait_until 20 occupies 4352 || fail "what was left behind occupies $host_said KiB"
dd if="$disk" bs=64k count=64 iflag=direct 2>/dev/null | cmp -s - "$tmp/data" || fail "what was written meanwhile is not what is read"
dd if="$disk" bs=64k skip=64 count=192 2>/dev/null | tr -d '\0' | grep -q . && fail "what was left behind reads as something"
host blocks
expect "KiB of what was written" "$host_said" -ge 4096
finish "$full KiB with $MIB MiB out, $after_exit KiB after exit, $host_said KiB at the end, $discards slots discarded"
