#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The process that serves the guest is killed twenty times under a storm of swapping.
# Proves: no page is lost, none is wrong, nobody hangs; the guest, a confidential one too, sees nothing of it but a pause, and
# another process serves it within a second. (Trap A4, I6.)
#
# beds: uml
# slow: mem vm-newest uml-debug vm-6.1 tdx-newest snp-newest
# timeout: 600
# beside: yes
# run: --env KILLS=20
# run uml: --mem 256M --env MIB=14 --env LIMIT=6
# run uml-debug: --env KILLS=20
# run vm: --mem 384M --cpus 2 --queues 2 --env MIB=40 --env LIMIT=20
# variant file: --cswapd "--store @RUN@/store --size 160M"
# variant mem uml: --cswapd "--store mem --size 160M"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

swap_on
kills=0 longest=0
# shellcheck disable=SC2153	# of the environment
while [ $kills -lt "$KILLS" ]; do
	swapstress --mib "$MIB" --limit "$LIMIT" --procs 2 --threads 2 --rewrite 50 >"$tmp/stress.out" 2>"$tmp/stress.err" &
	pid=$!
	while [ $kills -lt "$KILLS" ] && kill -0 $pid 2>/dev/null; do
		# Not before the last one was of use.
		loads=$(counter loads)
		while [ "$(counter loads)" = "$loads" ] && kill -0 $pid 2>/dev/null; do
			moment 0.01
		done
		host crash
		[ "$(host_value ms)" -le "$longest" ] || longest=$(host_value ms)
		kills=$((kills + 1))
	done
	stress_wait $pid
done
for name in tampered protocol_errors load_errors load_timeouts store_errors; do
	expect "$name moved" "$(counter $name)" = 0
done
expect "ms until another process serves" "$longest" -lt "${LONGEST_MS:-1000}"
host log 'worker was killed'
expect "deaths in the daemon's log" "$host_said" = "$kills"
swap_off
finish "$kills kills, another served after $longest ms at most; $(figure checked) pages checked, 0 wrong, $(counter stores) stores, $(counter loads) loads"
