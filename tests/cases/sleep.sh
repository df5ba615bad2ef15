#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest sleeps and wakes while pages are out: the device is reset, its rings are made anew.
# Proves: what was stored stays readable, what was in flight is sent again; hibernation, which would
# write the key to a disk, is refused.
#
# beds: vm-newest
# fast vm-newest: sync
# slow: vm-6.12 vm-6.1
# timeout: 240
# After this sleep QEMU's ACPI can't power off any more.
# run: --env CSWAP_END=reboot
# run: --env MIB=12 --cswapd "--store mem --size 48M" --mem 256M --cpus 2 --queues 2
# variant sync: --module-args sync=1
# variant ahead: --module-args sync=0

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

[ -w /sys/power/state ] || skip "this kernel doesn't sleep"
[ -w /sys/class/rtc/rtc0/wakealarm ] || skip "no clock to wake it"
swap_on
stress_begin --mib "$MIB" --limit 6 --rounds 3 --rewrite 50
times=0
while [ $times -lt 2 ]; do
	echo 0 >/sys/class/rtc/rtc0/wakealarm
	echo +2 >/sys/class/rtc/rtc0/wakealarm
	echo mem >/sys/power/state || fail "it did not sleep"
	times=$((times + 1))
	stress_to_gate
done
stress_end
expect_clean
expect "sleeps" "$(cat /sys/power/suspend_stats/success 2>/dev/null || echo $times)" = $times
if grep -q disk /sys/power/state; then
	echo disk >/sys/power/state 2>/dev/null && fail "it hibernated"
	in_log 1 'hibernation is refused'
fi
swap_off
finish "slept $times times, $(figure checked) pages checked, 0 wrong"
