#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Many stores wait for room in the pool, and a slow host makes it little by little.
# Proves: whatever makes room wakes one of them, and none is forgotten.
#
# beds: uml uml-smp
# slow: uml-smp
# timeout: 120
# beside: yes
# run: --mem 128M --env TASKS=64 --env PAGES=16 --module-args "stall_ms=15000"
# run: --faulty-cswapd "--store mem --size 48M --fault-armed --fault-report @RUN@/report --fault delay-store:ms=200"
# run uml-smp: --mem 256M

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

dd if=/dev/urandom of="$tmp/data" bs=4k count="$PAGES" 2>/dev/null
writers=()
for ((i = 0; i < TASKS; i++)); do
	dd if="$tmp/data" of="$disk" bs=4k seek=$((i * PAGES)) oflag=direct conv=notrunc 2>/dev/null &
	writers+=($!)
done
for writer in "${writers[@]}"; do
	wait "$writer" || fail "a writer ended with $?"
done
expect "pages stored" "$(counter stores)" = $((TASKS * PAGES))
expect "too few to fill the pool" "$(counter stores)" -gt $((2 * $(counter copies)))
expect "stores refused" "$(counter store_refusals)" = 0
for ((i = 0; i < TASKS; i++)); do
	cat "$tmp/data"
done >"$tmp/all"
dd if="$disk" bs=64k count=$((TASKS * PAGES / 16)) iflag=direct 2>/dev/null | cmp -s - "$tmp/all" ||
	fail "what was written isn't what is read"
finish "$TASKS writers, $(counter copies) copies, $(counter stores) stores, none refused"
