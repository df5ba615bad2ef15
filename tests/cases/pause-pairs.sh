#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest stands still for longer than a store may wait, while the pool of one queue pair is full. When
# it goes on, the tick has to do with the other pairs first, which takes a while: tests/kmod/reset makes
# notifications slow. The tasks that wait look at their clock meanwhile.
# Proves: time in which the guest didn't run doesn't count, also while the tick corrects the clocks of
# one pair after the other: no store fails.
# Checks: driver-security-stall
#
# beds: uml-smp
# timeout: 240
# beside: yes
# module: tests/kmod/reset
# run: --faulty-cswapd "--store mem --size 48M --queues 4 --fault-report @RUN@/report --fault stall:slots=1536-2047 --fault eio-store:slots=0-1535"
# run: --module-args "stall_ms=30000 queues=4" --mem 256M --cpus 2 --queues 4
# run: --allow "blocked for more" --allow "rcu.*(stall|detected)" --allow "clocksource|lockup"

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

# Pages of the pair whose requests aren't answered: they have a cluster of slots.
first=1536 slots=512
# Tasks that wait when its pool is full, a page each.
writers=12

have_failed() {
	[ "$(counter store_errors)" -ge 3 ]
}
# All copies of its share of the pool, and those of the other pairs' stores.
is_full() {
	[ "$(counter copies_used)" -ge $(($(counter copies) / 4 + 3)) ]
}
they_wait() {
	local pid stat
	for pid in "${pids[@]}"; do
		read -r stat <"/proc/$pid/stat" && [[ $stat == *") D "* ]] || return
	done
}
# write SLOT COUNT
write() {
	exec dd if="$tmp/data" of="$disk" bs=4k skip=$(($1 - first)) seek="$1" count="$2" oflag=direct conv=notrunc 2>/dev/null
}

insmod "$MODULE" || die "insmod $MODULE"
dd if=/dev/urandom of="$tmp/data" bs=4k count=$slots 2>/dev/null
host arm
# A store of each other pair fails again at each tick, which sends it again.
for slot in 0 512 1024; do
	dd if="$tmp/data" of="$disk" bs=4k seek=$slot count=1 oflag=direct conv=notrunc 2>/dev/null ||
		die "the first stores"
done
wait_until 14 have_failed || die "not all have failed"
write $first $((slots - writers)) &
pids=($!)
wait_until 25 is_full || die "the pool isn't full"
for ((i = 1; i <= writers; i++)); do
	write $((first + slots - i)) 1 &
	pids+=($!)
done
wait_until 25 they_wait || die "they don't wait"
echo 20000 >/sys/module/cswap_reset/parameters/slow_us
host pause 32 guest
echo 0 >/sys/module/cswap_reset/parameters/slow_us
host disarm
for pid in "${pids[@]}"; do
	wait "$pid" || fail "a store failed"
done
expect "stores refused" "$(counter store_refusals)" = 0
dd if="$disk" bs=4k skip=$first count=$slots iflag=direct 2>/dev/null | cmp -s - "$tmp/data" ||
	fail "what was written isn't what is read"
for name in tampered retries protocol_errors load_errors load_timeouts; do
	expect "$name" "$(counter $name)" = 0
done
rmmod virtio_cswap || die "rmmod"
rmmod cswap_reset || die "rmmod cswap_reset"
finish "a pause of 32 s: none of $slots stores failed"
