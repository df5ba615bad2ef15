#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A new key after every few hundred stores, under a storm.
# Proves: old slots stay readable, keys that no slot needs go, there are never more than 16; stores
# that wait for a key are refused, not lost. (Trap C16.)
#
# beds: uml uml-debug
# slow: uml-smp
# timeout: 300
# run uml-debug: --env MIB=8 --env LIMIT=4
# run: --env MIB=12 --env LIMIT=6
# run uml: --mem 256M
# run uml-smp: --cpus 2 --queues 2
# run: --cswapd "--store mem --size 64M" --module-args "rekey_pages=1000"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

swap_on
most=1
# A fixed part stays out all the time, sealed with the first key.
stress_begin --mib 4 --seed 9 --pageout
swapstress --mib "$MIB" --limit "$LIMIT" --rounds 2 --rewrite 60 >"$tmp/storm.out" 2>&1 &
storm=$!
while kill -0 $storm 2>/dev/null; do
	keys=$(counter keys)
	[ "$keys" -le "$most" ] || most=$keys
	moment 0.1
done
wait $storm
expect "the storm's status" $? = 0
expect "keys at once" "$most" -gt 1
expect "keys at once" "$most" -le 16
stress_end
expect "SIGBUS" "$(figure sigbus)" = 0
stores=$(counter stores)
expect "stores" "$stores" -gt 3000
for name in tampered retries protocol_errors load_errors load_timeouts store_errors kept; do
	expect "$name moved" "$(counter $name)" = 0
done
swap_off
finish "$stores stores, up to $most keys at once, $(counter store_refusals) stores refused, 0 wrong pages"
