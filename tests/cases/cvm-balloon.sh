#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The balloon in the emulated confidential guest, where a release is a conversion and a return an acceptance.
# Proves: the host's memory falls by what was released, in conversions of several blocks; all of it is accepted
# when it comes back, in blocks of 2 MiB, or page by page where the host has no more; what it holds then
# (zeros in a TD, garbage in an SNP guest) nobody sees; while a program swaps, nothing is converted.
# Checks: driver-release-convert, driver-release-untouched
#
# beds: snp-newest
# slow: tdx-newest tdx-6.12 snp-6.12 4k
# timeout: 900
# beside: yes
# run: --mem 512M --cpus 2 --queues 2 --cswapd "--store mem --size 256M" --module-args "floor=48 brake_percent=0 stall_ms=60000"
# variant 2m: --env LEVEL=2m
# variant 4k: --cvm-args accept-4k=on --env LEVEL=4k

# shellcheck source-path=SCRIPTDIR source=lib-cvm.sh
. "$(dirname "$0")/lib-cvm.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

target=128
bytes=$((target * mib))

begin_balloon
swap_on
# asked WAY: how often the host was asked to convert since cvm_note. A TD asks with each range, an SNP guest
# with a batch of blocks.
asked() {
	if [ "$CSWAP_BED" = snp ]; then
		cvm_moved hypercalls
	else
		echo $(($(cvm_moved "maps-$1-2m") + $(cvm_moved "maps-$1-4k") + $(cvm_moved "maps-$1-other")))
	fi
}
cvm_note hypercalls private-resident-bytes shared-resident-bytes pages-to-shared maps-shared-2m maps-shared-4k maps-shared-other
reach $target 120
# What was released was resident: all accepted memory is.
if counted; then
	freed=$((-$(cvm_moved private-resident-bytes)))
	expect "bytes that the host got back" $((freed * 100)) -ge $((bytes * 99))
	expect "bytes that the host got back" $((freed * 100)) -le $((bytes * 101))
	out=$(asked shared)
	expect "conversions" "$out" -le $((target / 8))
	freed_words=", $((freed / 1024)) KiB freed on the host in $out conversions"
fi
expect_moved "shared bytes taken instead" shared-resident-bytes -lt $((bytes / 100))
expect_moved "conversions of 4 KiB" maps-shared-4k = 0
expect_moved "pages converted" pages-to-shared = $((target * 256))

cvm_note pages-to-shared pages-to-private
stress --mib 24 --limit 12 --procs 2 --random 500
expect_moved "pages shared while it swapped" pages-to-shared = 0
expect_moved "pages made private while it swapped" pages-to-private = 0

cvm_note hypercalls private-resident-bytes pages-to-private accepts-2m accepts-4k maps-private-2m maps-private-4k \
	maps-private-other
end_balloon 120
expect_moved "pages that came back" pages-to-private = $((target * 256))
if counted; then
	back=$(asked private)
	expect "conversions" "$back" -le $((target / 8))
	freed_words+=", back in $back"
fi
expect_moved "conversions of 4 KiB" maps-private-4k = 0
if [ "$LEVEL" = 2m ]; then
	expect_moved "acceptances of 2 MiB" accepts-2m = $((target / 2))
	expect_moved "acceptances of 4 KiB" accepts-4k = 0
else
	expect_moved "acceptances of 4 KiB" accepts-4k = $((target * 256))
fi
expect_moved "bytes that the host gave again" private-resident-bytes = "${freed-}"
# A program gets it zeroed, whatever acceptance has left there.
zeros=$(($(memory MemFree) / 2))
fallocate -l "${zeros}M" /dev/shm/zeros || fail "no memory"
cmp -n $((zeros * mib)) /dev/shm/zeros /dev/zero || fail "a program's new memory isn't zeros"
rm /dev/shm/zeros
stress --mib 24 --limit 12 --procs 2 --random 500
expect_clean
swap_off
cvm_quiet
finish "$LEVEL: $target MiB released${freed_words-}, accepted again in ${LEVEL} blocks; \
$(figure checked) pages checked, 0 wrong"
