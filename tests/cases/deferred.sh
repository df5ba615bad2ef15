#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A DISCARD is never answered, and its slots are stored again: their copies wait in the pool until it's full.
# Proves: whoever stores then waits for the stall clock once, and further stores fail at once; the DISCARD
# is the only thing that hasn't been answered, and nothing of the pair is in flight. (Invariant I3.)
#
# beds: uml
# slow: uml-debug vm-newest
# timeout: 240
# beside: yes
# guest-programs: blkdiscard
# run: --faulty-cswapd "--store mem --size 64M --fault-report @RUN@/report --balloon-fault discard-never" --module-args "stall_ms=4000"
# run: --mem 256M --queues 1

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

# store FIRST COUNT: how many of these slots can be stored is then in $stored.
store() {
	local slot="$1"
	stored=0
	while [ "$slot" -lt $(($1 + $2)) ]; do
		dd if="$tmp/page" of="$disk" bs=4k count=1 seek="$slot" oflag=direct 2>/dev/null &&
			stored=$((stored + 1))
		slot=$((slot + 1))
	done
}

dd if=/dev/urandom of="$tmp/page" bs=64k count=64 2>/dev/null
dd if="$tmp/page" of="$disk" bs=64k oflag=direct 2>/dev/null || fail "storing"
# All of the disk but what is stored, and what was left of it at the start.
wait_until 20 is_discarded $((64 * 256 - 1024)) || fail "only $(counter discards) slots were discarded"
host arm
blkdiscard -f -l 4M "$disk" || fail "blkdiscard"
wait_until 20 fault_struck || fail "no DISCARD was forgotten"
host disarm
dd if="$tmp/page" of="$disk" bs=4k oflag=direct 2>/dev/null && fail "all slots could be stored"
before=$(counter store_refusals)
expect "stores that found no room" "$before" -gt 0
began=$SECONDS
store 8192 20
took=$((SECONDS - began))
expect "slots stored" $stored = 0
expect "stores refused" $(($(counter store_refusals) - before)) = 20
expect "seconds that it took to refuse 20" $took -le 40
dd if="$disk" bs=64k count=1 iflag=direct 2>/dev/null | cmp - <(dd if="$tmp/page" bs=64k count=1 2>/dev/null) ||
	fail "what waits in the pool is not what is read"
finish "$before stores found no room, 20 more were refused in $took s"
