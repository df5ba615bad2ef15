#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The device asks to be reset while a CPU is about to notify it: each notification takes two milliseconds
# before it does anything. Or while a DISCARD is in flight, and a slot is freed when there are no rings. Or when
# the control ring has no room for a DISCARD.
# Proves: nobody uses a ring that was deleted, no page is lost or wrong for it, and no slot stays undiscarded.
#
# beds: uml-debug
# slow: vm-newest uml-smp vm-6.12
# timeout: 300
# beside: yes
# guest-programs: blkdiscard
# module: tests/kmod/reset
# run: --env MIB=6 --env TIMES=3
# run uml: --mem 256M
# run uml-smp: --cpus 2 --queues 2
# run vm: --mem 384M --cpus 2 --queues 2
# variant storm: --cswapd "--store mem --size 48M" --env RACE=storm
# variant discard: --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --balloon-fault discard-never" --env RACE=discard
# variant full uml-debug: --cswapd "--store mem --size 48M" --env RACE=full

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317,SC2153	# functions are called by wait_until; TIMES comes with the run
. "$(dirname "$0")/lib.sh"

parameters=/sys/module/cswap_reset/parameters
parameter() {
	cat "$parameters/$1"
}
is_reset() {
	[ "$(parameter resets)" -gt "$before" ] && [ "$(counter resets)" -ge "$1" ]
}

# Pages go in and out, and whoever stores or loads one notifies the device.
race_storm() {
	swap_on
	stress_begin --mib "$MIB" --procs 2 --seed 5 --rounds "$TIMES" --rewrite 60 --pageout
	echo 2000 >"$parameters/slow_us"
	while [ "$times" -lt "$TIMES" ]; do
		# The storm goes on: the gate opens before the device asks.
		: >"$tmp/gate"
		ask_and_wait
		[ "$times" = "$TIMES" ] || stress_await
	done
	cat <&7 >>"$tmp/stress.all"
	exec 7<&-
	wait "$stress_pid"
	stress_status=$?
	stress_judge
	echo 0 >"$parameters/slow_us"
	expect "notifications that took long" "$(parameter slowed)" -gt 20
	swap_off
}

# A DISCARD isn't answered, and a slot is freed while there are no rings.
race_discard() {
	dd if=/dev/urandom of="$tmp/page" bs=4k count=1024 2>/dev/null
	dd if="$tmp/page" of="$disk" bs=4k oflag=direct 2>/dev/null || fail "storing"
	host arm
	wait_until 20 is_forgotten || fail "no DISCARD was forgotten"
	echo 1 >"$parameters/hold"
	before=$(parameter resets)
	echo 1 >"$parameters/ask"
	wait_until 20 rings_are_gone || fail "the rings are still there"
	# nothing may be read now, which without -f it does
	blkdiscard -f -l 4096 "$disk" || fail "blkdiscard"
	sleep 1	# frees are gathered for a tenth of it, then looked at
	echo 0 >"$parameters/hold"
	wait_until 30 is_reset 1 || fail "it was not reset"
	times=1
	dd if="$disk" bs=4k skip=100 count=800 iflag=direct 2>/dev/null |
		cmp - <(dd if="$tmp/page" bs=4k skip=100 count=800 2>/dev/null) || fail "what was stored is not what is read"
	wait_until 20 is_discarded || fail "only $(counter discards) slots were discarded"
}

# A DISCARD can't be sent, and the rings that are made anew have room for it.
race_full() {
	dd if=/dev/urandom of="$disk" bs=64k count=64 oflag=direct 2>/dev/null || fail "storing"
	wait_until 20 counter_is copies_used 0 || fail "stores are in flight"
	wait_until 20 is_taken_over || fail "the disk wasn't taken over"
	echo 0 >"$parameters/fill" || die "the ring isn't filled"
	blkdiscard -f -l $((1024 * 4096)) "$disk" || fail "blkdiscard"
	sleep 1	# frees are gathered for a tenth of it, then looked at
	discarded=$(counter discards)
	ask_and_wait
	wait_until 20 is_discarded_too || fail "only $(($(counter discards) - discarded)) slots were discarded"
}
is_taken_over() {
	[ "$(counter discards)" -ge $((48 * 256 - 1024)) ]
}
is_discarded_too() {
	[ "$(counter discards)" -ge $((discarded + 1024)) ]
}
rings_are_gone() {
	[ "$(parameter gone)" -gt 0 ]
}
# All of the disk at the start, and what was freed since.
is_discarded() {
	[ "$(counter discards)" -ge $((48 * 256 - 1024 + freed + 1)) ]
}
# Each try frees a slot more: the first may have been freed before the fault was armed.
is_forgotten() {
	freed=$((freed + 1))
	blkdiscard -o $(((1024 - freed) * 4096)) -l 4096 "$disk" || fail "blkdiscard"
	fault_struck "$forgotten" || return
	forgotten=$(fault 0 ops)
	host disarm
}
ask_and_wait() {
	before=$(parameter resets)
	echo 1 >"$parameters/ask"
	times=$((times + 1))
	wait_until 30 is_reset "$times" || fail "it was not reset"
}

insmod "$MODULE" || die "insmod $MODULE"
times=0 freed=0 forgotten=0
"race_$RACE"
slowed=$(parameter slowed)
expect "notifications by a ring that was deleted" "$(parameter late)" = 0
for name in tampered protocol_errors load_errors load_timeouts store_errors; do
	expect "$name moved" "$(counter $name)" = 0
done
rmmod virtio_cswap || die "rmmod"
rmmod cswap_reset || die "rmmod cswap_reset"
finish "reset $times times, $slowed notifications that took long, $(figure checked) pages checked, 0 wrong"
