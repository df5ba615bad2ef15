#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# zswap stands before the disk: it keeps what compresses well, and writes the rest and its oldest out.
# Proves: a slot's page is right whoever has it, zswap or the store, and though it changes hands; with
# zswap switched off in the middle what it has still comes from there.
#
# beds: uml
# slow: uml-debug vm-newest
# timeout: 240
# run: --cswapd "--store mem --size 64M" --mem 256M
# run vm: --mem 384M --cpus 2 --queues 2

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-kinds.sh
. "$(dirname "$0")/lib-kinds.sh"

zswap=/sys/module/zswap/parameters
mib=24

# vmstat NAME: what the kernel has counted.
vmstat() {
	awk -v name="$1" '$1 == name { print $2 }' /proc/vmstat
}

written_back() {
	[ "$(vmstat zswpwb)" -gt 0 ]
}

[ -e $zswap/enabled ] || skip "the kernel has no zswap"
swap_on
# Too little for all that compresses.
echo 1 >$zswap/max_pool_percent
echo Y >$zswap/enabled || die "zswap can't be switched on"
kinds_begin -- mixed $mib
taken=$(vmstat zswpout)
expect "pages that zswap took" "$taken" -gt $((mib * 10))
expect "pages stored" "$(counter stores)" -gt $((mib * 100))
wait_until 20 written_back || fail "zswap wrote nothing to the store to make room"
# What zswap has is still there; what goes out next mustn't hide behind it.
echo N >$zswap/enabled
kinds_to_gate
expect "pages that zswap took while it was off" "$(vmstat zswpout)" = "$taken"
echo Y >$zswap/enabled
kinds_to_gate
kinds_end
expect "pages that zswap took in the end" "$(vmstat zswpout)" -gt "$taken"
expect "pages that zswap gave back" "$(vmstat zswpin)" -gt 0
expect_clean
swap_off
finish "zswap took $(vmstat zswpout) pages and wrote $(vmstat zswpwb) to the store, which got $(counter stores); $(figure checked) pages checked, 0 wrong"
