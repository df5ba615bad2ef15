#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest stands still for longer than a store may wait, while its pool is full; and, in the second variant,
# for longer than a full pool waits for the answer to a DISCARD.
# Proves: time in which the guest didn't run doesn't count: no store fails, and the driver doesn't reset the
# device, though the host goes on a second after the guest.
# Checks: driver-security-stall
#
# beds: uml
# slow: uml-debug vm-newest
# timeout: 240
# beside: yes
# guest-programs: blkdiscard
# run: --module-args "stall_ms=15000 load_timeout_s=45"
# run: --allow "blocked for more" --allow "rcu.*(stall|detected)" --allow "clocksource|lockup"
# run uml: --mem 256M --queues 1
# run vm: --mem 384M --queues 1
# variant alone: --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault stall"
# variant discard: --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --balloon-fault discard-never --fault stall" --env DISCARD=1

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

# The slot that is freed, beyond those that fill the pool.
freed=12000
# The second fault of the report.
is_forgotten() {
	host arm
	[ "$(fault 1 ops)" -gt 0 ]
}
is_full() {
	[ $(($(counter stores) - stored)) -ge "$(counter copies)" ]
}

if [ "${DISCARD-}" ]; then
	dd if=/dev/urandom of="$disk" bs=4k seek=$freed count=1 oflag=direct conv=notrunc 2>/dev/null ||
		fail "storing"
	wait_until 14 counter_is copies_used 0
fi
host arm
if [ "${DISCARD-}" ]; then
	blkdiscard -o $((freed * 4096)) -l 4096 "$disk" || fail "blkdiscard"
	wait_until 14 is_forgotten || fail "no DISCARD was forgotten"
fi
stored=$(counter stores)
pages=$(($(counter copies) + 100))
dd if=/dev/urandom of="$tmp/data" bs=4k count=$pages 2>/dev/null
dd if="$tmp/data" of="$disk" bs=4k oflag=direct 2>/dev/null &
writer=$!
wait_until 14 is_full || fail "the pool isn't full"
host pause 17 guest
host disarm
wait $writer || fail "a store failed"
expect "stores refused" "$(counter store_refusals)" = 0
expect "resets" "$(counter resets)" = 0
dd if="$disk" bs=4k count=$pages iflag=direct 2>/dev/null | cmp -s - "$tmp/data" ||
	fail "what was written isn't what is read"
expect_clean
finish "a pause of 17 s: none of $pages stores failed"
