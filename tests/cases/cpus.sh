#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A CPU goes off and comes back, again and again, and the wall clock jumps by days, while everything swaps.
# Proves: ciphers for each CPU, interrupts, works and waits for reads don't mind: every page is right, nothing
# is refused, given up or asked for twice, and no clock of the driver's has gone by the wall's. The disk
# has no I/O scheduler that one could choose, and no nr_requests.
#
# slow: vm-newest vm-6.12 vm-6.1
# timeout: 900
# run: --cswapd "--store mem --size 160M" --mem 384M --cpus 2 --queues 2 --env MIB=40 --env LIMIT=20 --env ROUNDS=12

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

cpu=/sys/devices/system/cpu/cpu1/online
queue=/sys/block/${disk##*/}/queue

# clock_set DAYS: forward, or back.
clock_set() {
	date -s "@$(($(date +%s) + $1 * 86400))" >/dev/null || die "date"
}
load() {
	while [ ! -e "$tmp/enough" ]; do
		swapstress --mib "$MIB" --limit "$LIMIT" --procs 2 --threads 2 --rewrite 50 \
			>"$tmp/stress.out" 2>"$tmp/stress.err" || return
	done
}
# Pages have gone out and come in since the last time.
moved() {
	[ "$(counter stores)" -gt $((stores + 300)) ] && [ "$(counter loads)" -gt $((loads + 300)) ]
}
goes_on() {
	stores=$(counter stores) loads=$(counter loads)
	wait_until 120 moved || fail "nothing moves after $*"
}

# older kernels have these files for any disk, newer ones where there's something to choose
[ ! -e "$queue/scheduler" ] || expect "schedulers to choose" "$(cat "$queue/scheduler")" = none
# a bio disk has no writeback throttling: it can't be read, or is 0
expect "writeback throttling" "$(cat "$queue/wbt_lat_usec" 2>/dev/null || echo 0)" = 0
! { echo 64 >"$queue/nr_requests"; } 2>/dev/null || fail "nr_requests can be set"
swap_on
load &
loader=$!
goes_on "the start"
for ((i = 0; i < ROUNDS; i++)); do
	echo 0 >$cpu || die "the CPU doesn't go off"
	goes_on "CPU 1 went off"
	clock_set $((1 + i))
	goes_on "the clock was set forward"
	echo 1 >$cpu || die "the CPU doesn't come back"
	goes_on "CPU 1 came back"
	clock_set $((-2 - i))
done
: >"$tmp/enough"
stress_wait $loader
expect_clean
expect "resets" "$(counter resets)" = 0
swap_off
finish "a CPU off and on $ROUNDS times, the clock set $((2 * ROUNDS)) times: $(counter stores) pages stored, $(counter loads) loaded, none wrong"
