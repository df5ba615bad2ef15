#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The device never answers the LOADs of a few slots, until it's reset. It doesn't ask for that.
# Proves: the guest resets it by itself before it gives a page up, once for each at most, and all pages
# are read; likewise when stores can't go on because a DISCARD is never answered.
# Checks: driver-security-reset
#
# beds: uml
# slow: uml-debug vm-newest vm-6.12 vm-6.1
# timeout: 240
# beside: yes
# guest-programs: blkdiscard
# run: --env MIB=8 --queues 1
# run uml: --mem 256M
# run vm: --mem 384M
# variant ahead: --faulty-cswapd "--store mem --size 40M --fault-report @RUN@/report --fault stall:every=301:slots=300-700:times=1" --module-args "load_timeout_s=12" --env LOST=loads
# variant discard: --faulty-cswapd "--store mem --size 40M --fault-report @RUN@/report --balloon-fault discard-never" --module-args "load_timeout_s=12 stall_ms=500" --env LOST=discard

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

is_reset() {
	[ "$(counter resets)" -ge 1 ]
}

lose_loads() {
	swap_on
	stress_begin --mib "$MIB" --rounds 1 --rewrite 0 --pageout
	host arm
	stress_end
	expect "resets" "$(counter resets)" -ge 1
	host disarm
	expect "nothing was held back" "$(fault 0 ops)" -gt 0
	expect "resets, more than LOADs held back" "$(counter resets)" -le "$(fault 0 ops)"
	swap_off
	done="$(figure checked) pages checked, 0 wrong"
}

lose_discard() {
	dd if=/dev/urandom of="$tmp/page" bs=64k count=64 2>/dev/null
	dd if="$tmp/page" of="$disk" bs=64k oflag=direct 2>/dev/null || fail "storing"
	wait_until 20 is_discarded $((40 * 256 - 1024)) || fail "only $(counter discards) slots were discarded"
	host arm
	blkdiscard -f -l 4M "$disk" || fail "blkdiscard"
	wait_until 20 fault_struck || fail "no DISCARD was forgotten"
	host disarm
	dd if="$tmp/page" of="$disk" bs=4k oflag=direct 2>/dev/null && fail "all slots could be stored"
	wait_until 60 is_reset || fail "it was not reset"
	dd if="$tmp/page" of="$disk" bs=64k oflag=direct 2>/dev/null || fail "storing after the reset"
	dd if="$disk" bs=64k count=64 iflag=direct 2>/dev/null | cmp - "$tmp/page" || fail "what was stored is not what is read"
	done="stores went on"
}

"lose_$LOST"
in_log 1 'requests that pages wait for: it is reset'
for name in tampered protocol_errors load_errors load_timeouts; do
	expect "$name moved" "$(counter $name)" = 0
done
finish "$(counter resets) resets; $done"
