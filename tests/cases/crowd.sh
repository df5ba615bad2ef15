#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Many tasks wait for the same: stores for room in the pool, which a slow host makes little by little, or
# all at once in few answers; readers for one of the requests for pages; two readers for the turn of their
# slot. The tick, which would wake all of them once a second, doesn't run (tests/kmod/tick), and no wait is
# too long.
# Proves: whatever makes room wakes one of them, whatever is over wakes who waits for it, and none is forgotten:
# who was, would wait for ever. A slot has one LOAD in flight, however many want its page.
#
# beds: uml uml-smp
# fast uml: writers readers
# slow: uml-smp uml-debug
# timeout: 300
# beside: yes
# module: tests/kmod/tick
# run uml-smp: --mem 256M
# run uml-debug: --mem 256M
# run: --module-args "stall_ms=600000"
# variant writers: --env CROWD=writers --mem 128M --env TASKS=64 --env PAGES=16 --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault delay-store:ms=200"
# variant burst: --env CROWD=burst --mem 128M --env TASKS=64 --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault stall"
# variant readers: --env CROWD=readers --mem 128M --env READERS=200 --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault stall"
# variant slot: --env CROWD=slot --mem 128M --env READERS=1 --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault stall:slots=5-5"

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317,SC2153	# functions are called by wait_until; TASKS comes with the run
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-late.sh
. "$(dirname "$0")/lib-late.sh"

stopped=/sys/module/cswap_tick/parameters/stopped

tick_stop() {
	echo 1 >"$stopped" || die "the tick doesn't stop"
}
tick_go_on() {
	echo 0 >"$stopped" || die "the tick doesn't go on"
}
# tasks_wait COUNT
tasks_wait() {
	[ "$(cat /proc/[0-9]*/stat 2>/dev/null | grep -c '^[0-9]* (dd) D ')" = "$1" ]
}
have_ended() {
	local pid
	for pid in "${tasks[@]}"; do
		[ ! -d "/proc/$pid" ] || return
	done
}
# tasks_end SECONDS: all of $tasks end, and end well.
tasks_end() {
	local pid left=0
	if ! wait_until "$1" have_ended; then
		for pid in "${tasks[@]}"; do
			[ ! -d "/proc/$pid" ] || left=$((left + 1))
		done
		fail "$left of ${#tasks[@]} still wait: forgotten"
		# or the guest couldn't end
		tick_go_on
	fi
	for pid in "${tasks[@]}"; do
		wait "$pid" || fail "one ended with $?"
	done
}

crowd_writers() {
	local i
	dd if=/dev/urandom of="$tmp/page" bs=4k count="$PAGES" 2>/dev/null
	host arm
	tick_stop
	for ((i = 0; i < TASKS; i++)); do
		dd if="$tmp/page" of="$disk" bs=4k seek=$((i * PAGES)) oflag=direct conv=notrunc 2>/dev/null &
		tasks+=($!)
	done
	tasks_end 90
	expect "pages stored" "$(counter stores)" = $((TASKS * PAGES))
	expect "too few to fill the pool" "$(counter stores)" -gt $((2 * $(counter copies)))
	expect "stores refused" "$(counter store_refusals)" = 0
	tick_go_on
	host disarm
	for ((i = 0; i < TASKS; i++)); do
		cat "$tmp/page"
	done >"$tmp/all"
	dd if="$disk" bs=64k count=$((TASKS * PAGES / 16)) iflag=direct 2>/dev/null | cmp -s - "$tmp/all" ||
		fail "what was written isn't what is read"
	summary="$TASKS writers, $(counter copies) copies, $(counter stores) stores, none refused"
}

# The pool is full of groups of 16; each answer makes room for as many stores of a page, and wakes one of them.
crowd_burst() {
	local i copies
	copies=$(counter copies)
	dd if=/dev/urandom of="$tmp/fill" bs=64k count=$((copies / 16 + 1)) 2>/dev/null
	host arm
	tick_stop
	dd if="$tmp/fill" of="$disk" bs=64k oflag=direct conv=notrunc 2>/dev/null &
	tasks+=($!)
	wait_until 60 counter_is copies_used "$copies" || fail "the pool isn't full"
	for ((i = 0; i < TASKS; i++)); do
		dd if="$tmp/fill" of="$disk" bs=4k count=1 skip="$i" seek=$((4096 + 2 * i)) oflag=direct conv=notrunc 2>/dev/null &
		tasks+=($!)
	done
	wait_until 60 tasks_wait $((TASKS + 1)) || fail "not all writers wait for room"
	host disarm
	tasks_end 30
	expect "stores refused" "$(counter store_refusals)" = 0
	tick_go_on
	for ((i = 0; i < TASKS; i++)); do
		dd if="$disk" bs=4k count=1 skip=$((4096 + 2 * i)) iflag=direct 2>/dev/null |
			cmp -s - <(dd if="$tmp/fill" bs=4k count=1 skip="$i" 2>/dev/null) || fail "what was written isn't what is read"
	done
	summary="$TASKS writers, room for $copies made at once"
}

# More of them than there are pages that may be asked for at once.
crowd_readers() {
	late_fill
	host arm
	tick_stop
	late_start 1
	wait_until 60 late_waits || fail "not all readers wait for the host"
	host disarm
	if ! late_end 30; then
		fail "readers still wait: forgotten"
		tick_go_on
		late_end 30
	fi
	expect "pages that were read" "$came" = "$READERS"
	expect "LOADs that were held back, of 8 pages at most, not one for each reader" $((8 * $(fault 0 ops))) -lt "$READERS"
	tick_go_on
	summary="$READERS readers, $(fault 0 ops) LOADs at once"
}

read_slot() {
	exec dd if="$disk" of="$tmp/read.$1" bs=4k count=1 skip=5 iflag=direct 2>/dev/null
}
crowd_slot() {
	local sent i
	dd if=/dev/urandom of="$tmp/page" bs=4k count=1 2>/dev/null
	dd if="$tmp/page" of="$disk" bs=4k seek=5 oflag=direct conv=notrunc 2>/dev/null || die "storing"
	wait_until 30 counter_is copies_used 0 || die "the page stays in the pool"
	sent=$(counter load_requests)
	host arm
	tick_stop
	for i in 1 2; do
		read_slot "$i" &
		tasks+=($!)
	done
	wait_until 60 tasks_wait 2 || fail "not both wait for the slot"
	expect "LOADs of a slot that two want" $(($(counter load_requests) - sent)) = 1
	host disarm
	expect "LOADs that were held back" "$(fault 0 ops)" = 1
	tasks_end 30
	for i in 1 2; do
		cmp -s "$tmp/page" "$tmp/read.$i" || fail "what reader $i has isn't what was written"
	done
	expect "LOADs of a slot that two have read" $(($(counter load_requests) - sent)) = 2
	tick_go_on
	summary="two readers of a slot, one after the other"
}

insmod "$MODULE" || die "insmod $MODULE"
tasks=()
crowd_"$CROWD"
for name in tampered retries protocol_errors load_errors load_timeouts store_errors resets; do
	expect "$name" "$(counter $name)" = 0
done
rmmod cswap_tick || die "rmmod"
finish "$summary; none was forgotten"
