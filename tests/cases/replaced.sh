#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The daemon is replaced eight times, without systemd, while the guest swaps and has given up a part of its memory:
# half of the daemons end by SIGTERM, as for an update, half are killed, with the process that serves. The next
# one has the same store, its tags in a file, and from QEMU what was in flight. Half end while the balloon moves.
# Proves: no page is lost, none is wrong, none is read twice; the guest sees a pause; what it released is the host's again
# as soon as the operator has said his target again, and comes back whole; nothing but shared memory is touched.
# Of two lines that name the daemon below, the first counts: a confidential guest's memory isn't punched.
#
# beds: vm-newest snp-newest
# slow: tdx-newest vm-6.1
# timeout: 900
# beside: yes
# run: --reconnect --mem 384M --cpus 2 --daemon-may-die --env MIB=20 --env LIMIT=10
# run: --module-args "floor=48 brake_percent=0"
# run tdx snp: --cswapd "--store @RUN@/store --tags @RUN@/tags --size 160M --log-level debug"
# run vm: --cswapd "--store @RUN@/store --tags @RUN@/tags --size 160M --log-level debug --release punch"

# shellcheck source-path=SCRIPTDIR source=lib-cvm.sh
. "$(dirname "$0")/lib-cvm.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

stress_start() {
	swapstress --mib "$MIB" --limit "$LIMIT" --procs 2 --threads 2 --rewrite 50 >"$tmp/stress.out" 2>"$tmp/stress.err" &
	pid=$!
}
# The one before is judged when another begins.
stress_again() {
	kill -0 $pid 2>/dev/null && return
	stress_over
	stress_start
}
stress_over() {
	stress_wait $pid
	checked=$((checked + $(figure checked)))
}
traffic() {
	echo $(($(counter loads) + $(counter stores)))
}
# Until the daemon that serves now was of use.
traffic_moves() {
	local before_it
	before_it=$(traffic)
	while [ "$(traffic)" = "$before_it" ]; do
		stress_again
		moment 0.01
	done
}
# longest_load: what no load took longer than, in ms.
longest_load() {
	awk '$2 > 0 { us = $1 } END { print int((us + 999) / 1000) }' "/sys/kernel/debug/${disk##*/}/load_us"
}
# The new daemon knows neither target nor account: how much is out the guest says, and the host measures.
settle() {
	ask "$1"
	within 200 is_reached || fail "asked for $1 MiB: $(balloon released) MiB, $(balloon stopped)"
	host_measure
	freed_kib=$((before - host_kib))
	! is_cvm || counted || return 0
	expect "KiB that the guest had not touched" "$absent" -lt $((32 * 1024))
	expect "KiB freed on the host for $1 MiB" $(((freed_kib + absent) * 100)) -ge $(($1 * 1024 * 98))
	# A plain guest's host provides again only what is touched.
	! is_cvm || expect "KiB freed on the host for $1 MiB" $((freed_kib * 100)) -le $(($1 * 1024 * 102))
}

checked=0 longest=0
swap_on
begin_balloon
touch_all
host_measure
before=$host_kib absent=$host_absent_kib
reach 64 120
stress_start
for turn in 1 2 3 4 5 6 7 8; do
	size=$((turn % 2 ? 96 : 64)) how=''
	# The second four turns have the other ends.
	[ $(((turn + turn / 5) % 2)) = 0 ] || how='kill'
	traffic_moves
	[ $((turn % 4)) -lt 2 ] || ask $size	# and it moves
	host replace "$how"
	ms=$(host_value ms)
	[ "$ms" -le "$longest" ] || longest=$ms
	traffic_moves
	say "turn $turn: ended${how:+ by $how} at $(now) s, $ms ms, $(balloon released) MiB out"
	settle $size
done
stress_over
# A request that is lost isn't noticed before the driver resets the device for it, or its copy stays.
for name in tampered retries protocol_errors load_errors load_timeouts store_errors resets; do
	expect "$name moved" "$(counter $name)" = 0
done
ask 0
within 200 is_reached || fail "$(balloon released) MiB didn't come back: $(balloon stopped)"
end_balloon
swap_off
wait_until 30 counter_is copies_used 0 || fail "copies that wait for their answers: $(counter copies_used)"
! is_cvm || cvm_quiet
finish "8 daemons ended, the next served after $longest ms at most; the guest waited $(longest_load) ms at most for a page; \
$checked pages checked, 0 wrong, $(counter stores) stores, $(counter loads) loads; $freed_kib KiB freed for 64 MiB"
