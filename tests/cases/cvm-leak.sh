#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The hypervisor of the emulated confidential guest answers the balloon's conversions with RETRY. A TD's
# fails them, too, and the TDX module fails acceptances. (An SNP guest's kernel ends it when one fails,
# before the driver hears of it: tests/cvm-emu/canary-check.)
# Proves: RETRY loses nothing; a block whose conversion or acceptance fails is lost, counted, and never
# used again by anybody; the guest goes on, with the rest of its memory, to the page.
# Checks: driver-release-lost, driver-reclaim-accept
#
# beds: tdx-newest
# slow: tdx-6.12 snp-newest snp-6.12
# timeout: 900
# beside: yes
# run: --mem 512M --cpus 2 --queues 2 --cswapd "--store mem --size 128M"
# run: --module-args "floor=48 brake_percent=0 stall_ms=60000"
# The kernel warns once when a conversion fails, and rightly.
# run: --allow "WARNING: .*(__set_memory_enc_pgtable|set_memory.c)"

# shellcheck source-path=SCRIPTDIR source=lib-cvm.sh
# shellcheck disable=SC2317	# functions are called by within
. "$(dirname "$0")/lib-cvm.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

target=64
released_is() {
	[ "$(balloon released)" = "$1" ]
}
# settle MIB: the target, whatever is lost on the way there.
settle() {
	ask "$1"
	within 120 released_is "$1" || fail "$1 MiB wanted, $(balloon released) released: $(balloon stopped)"
}

begin_balloon
swap_on

cvm_note retries-injected
host cvm retry-shared=1 retry-private=1
settle $target
settle 0
host cvm retry-shared=0 retry-private=0
retries=$(cvm_moved retries-injected)
# Each conversion met one; other drivers may have converted something meanwhile.
expect "RETRYs" "$retries" -ge "$(balloon conversions)"
expect "MiB lost to RETRY" "$(balloon lost)" = 0
if [ "$CSWAP_BED" = snp ]; then
	expect "memory, KiB" "$(memory_kib MemTotal)" = "$total_kib"
	stress --mib 24 --limit 12 --procs 2 --random 500
	expect_clean
	swap_off
	cvm_quiet
	finish "$retries RETRYs, nothing lost; $(figure checked) pages checked, 0 wrong"
fi

# What fails first costs what was converted together; from then on each that fails is a block, 2 MiB.
cvm_note map-failures-injected
host cvm fail-shared=2
settle $target
host cvm fail-shared=0
outwards=$(cvm_moved map-failures-injected)
expect "failures on the way out" "$outwards" -gt 0
lost_out=$(balloon lost)
expect "MiB lost on the way out" "$lost_out" -ge $((outwards * 2))
expect "MiB lost on the way out" "$lost_out" -le $((outwards * 2 + 30))

cvm_note map-failures-injected
host cvm fail-private=4
settle 0
host cvm fail-private=0
inwards=$(cvm_moved map-failures-injected)
expect "failures on the way in" "$inwards" -gt 0
expect "MiB lost on the way in" $(($(balloon lost) - lost_out)) = $((inwards * 2))

# Every second acceptance: 2 MiB fails, the first page of it doesn't, the second does.
settle $target
cvm_note accept-failures-injected
before=$(balloon lost)
host cvm fail-accept=2
settle 0
host cvm fail-accept=0
refused=$(cvm_moved accept-failures-injected)
lost=$(balloon lost)
expect "failures of acceptance" "$refused" -gt 0
expect "MiB lost to acceptance" $((lost - before)) = "$refused"

expect "memory, KiB" "$(memory_kib MemTotal)" = $((total_kib - lost * 1024))
stress --mib 24 --limit 12 --procs 2 --random 500
expect_clean
swap_off
# The guest's other memory is in use; what is lost is in no state that anybody relies on.
ballast $(($(memory MemFree) * 3 / 4))
ballast_gone
host cvm violations pages-implicit pages-stray
expect "violations" "$(host_value violations)" = 0
expect "implicit conversions" "$(host_value pages-implicit)" = 0
expect "private pages that a device touched" "$(host_value pages-stray)" = 0
finish "$retries RETRYs; $outwards blocks lost on the way out, $inwards on the way in, \
$(((lost - before) / 2)) to acceptance; $(figure checked) pages checked, 0 wrong"
