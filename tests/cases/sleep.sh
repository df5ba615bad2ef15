#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest sleeps and wakes while pages are out: the device is reset, its rings are made anew.
# Proves: what was stored stays readable, what was in flight is sent again; hibernation, which would
# write the key to a disk, is refused. Memory that was given up stays so, and the host is told again.
# Checks: driver-init-release
#
# beds: vm-newest
# fast vm-newest: balloon
# slow: vm-6.12 vm-6.1
# timeout: 240
# After this sleep QEMU's ACPI can't power off any more.
# run: --env CSWAP_END=reboot
# beside: yes
# run: --env MIB=12 --cswapd "--store mem --size 48M --release punch --report-period 200" --mem 256M --cpus 2 --queues 2
# variant ahead:
# variant balloon: --module-args "floor=48 brake_percent=0" --env BALLOON=64

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

released_is() {
	counter_is balloon_released "$1"
}
claimed_is() {
	host balloon
	[ "$(host_value claimed)" = "$1" ]
}

[ -w /sys/power/state ] || skip "this kernel doesn't sleep"
[ -w /sys/class/rtc/rtc0/wakealarm ] || skip "no clock to wake it"
swap_on
balloon=$((${BALLOON:-0} << 20))
host target "${BALLOON:-0}M"
wait_until 60 released_is $balloon || fail "$(counter balloon_released) bytes released"
taken=$(counter balloon_taken)
stress_begin --mib "$MIB" --limit 6 --rounds 3 --rewrite 50
times=0
while [ $times -lt 2 ]; do
	echo 0 >/sys/class/rtc/rtc0/wakealarm
	echo +2 >/sys/class/rtc/rtc0/wakealarm
	echo mem >/sys/power/state || fail "it did not sleep"
	times=$((times + 1))
	stress_to_gate
	wait_until 60 claimed_is $balloon || fail "the host doesn't know what is released"
	expect "released after it slept" "$(counter balloon_released)" = $balloon
done
stress_end
expect_clean
expect "taken anew" "$(counter balloon_taken)" = "$taken"
expect "lost" "$(counter balloon_lost)" = 0
host target 0
wait_until 60 released_is 0 || fail "$(counter balloon_released) bytes are still released"
expect "sleeps" "$(cat /sys/power/suspend_stats/success 2>/dev/null || echo $times)" = $times
if grep -q disk /sys/power/state; then
	echo disk >/sys/power/state 2>/dev/null && fail "it hibernated"
	in_log 1 'hibernation is refused'
fi
swap_off
finish "slept $times times with $((balloon >> 20)) MiB given up, $(figure checked) pages checked, 0 wrong"
