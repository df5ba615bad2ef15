#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest sleeps and wakes with memory in the balloon: the device is reset, and forgets.
# Proves: what is in the balloon stays there, the device is told of it anew, and it all comes back.
#
# beds: vm-newest
# slow: vm-6.12 vm-6.1
# timeout: 900
# beside: yes
# After this sleep QEMU's ACPI can't power off any more.
# run: --env CSWAP_END=reboot
# run: --cswapd "--store mem --size 128M --release punch" --mem 384M --cpus 2 --queues 2
# run: --module-args "floor=48 brake_percent=0"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

[ -w /sys/power/state ] || skip "this kernel doesn't sleep"
[ -w /sys/class/rtc/rtc0/wakealarm ] || skip "no clock to wake it"
swap_on
begin_balloon
size=$(even $((total / 3)))
stress_begin --mib 24 --limit 12 --rounds 3
reach "$size"
times=0
while [ $times -lt 2 ]; do
	echo 0 >/sys/class/rtc/rtc0/wakealarm
	echo +2 >/sys/class/rtc/rtc0/wakealarm
	echo mem >/sys/power/state || fail "it did not sleep"
	times=$((times + 1))
	within 30 host_has_all || fail "the daemon was told of $(host_value claimed) bytes, not $(counter balloon_released)"
	expect "MiB released after sleep $times" "$(balloon released)" = "$size"
	stress_to_gate
done
stress_end
end_balloon
swap_off
finish "slept $times times with $size MiB released, told the device anew, MemTotal as it was; $(figure checked) pages checked, 0 wrong"
