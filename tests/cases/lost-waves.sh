#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# More tasks read than LOADs may be with the device at a time, so some LOADs are sent after the reset that the others
# needed; and the host loses each LOAD once. Proves: LOADs that are sent and lost after a reset have a reset of their
# own, and all pages come in the time that a reader may wait.
# Checks: driver-security-stall
#
# beds: uml
# slow: uml-debug vm-newest
# timeout: 240
# beside: yes
# run: --queues 1 --module-args load_timeout_s=15
# run: --faulty-cswapd "--store mem --size 16M --fault-report @RUN@/report --fault stall:slots=256-511:times=1"
# run uml: --mem 256M

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

READERS=24

dd if=/dev/urandom of="$tmp/page" bs=1M count=1 2>/dev/null
dd if="$tmp/page" of="$disk" bs=1M seek=1 oflag=direct 2>/dev/null || die "the pages can't be stored"
wait_until 20 counter_is copies_used 0
host arm
# Every other page: no two are in one LOAD.
readers=()
for ((i = 0; i < READERS; i++)); do
	dd if="$disk" of="$tmp/got.$i" bs=4k skip=$((256 + 2 * i)) count=1 iflag=direct 2>/dev/null &
	readers+=($!)
done
for i in "${!readers[@]}"; do
	wait "${readers[i]}" || fail "page $i doesn't come, though its LOAD was lost only once"
	cmp -s <(dd if="$tmp/page" bs=4k skip=$((2 * i)) count=1 2>/dev/null) "$tmp/got.$i" || fail "page $i is another one"
done
expect "reads timed out" "$(counter load_timeouts)" = 0
expect "resets" "$(counter resets)" = 2
host disarm
expect "LOADs lost" "$(fault 0 ops)" = $READERS
finish "$READERS readers, each LOAD lost once: 2 resets, and all pages came"
