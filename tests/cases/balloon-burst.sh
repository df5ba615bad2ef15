#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The balloon is inflated in a guest that is full of cold pages while something allocates in bursts, in
# interrupts, as a network card's driver does.
# Proves: no such allocation fails for the balloon's sake, from the first block to the last; room is made by
# kswapd, and nobody, the balloon included, has to reclaim memory itself.
#
# beds: uml
# slow: vm-newest uml-debug uml-smp vm-6.12 vm-6.1
# timeout: 600
# beside: yes
# module: tests/kmod/burst
# run: --cswapd "--store mem --size 512M --release punch"
# run: --module-args "floor=32 brake_percent=0"
# run uml-debug uml-smp: --mem 256M
# run uml: --mem 160M --aes
# run uml-smp: --cpus 2 --queues 2
# run vm: --mem 512M --cpus 2

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

bursts() {
	cat "/sys/module/cswap_burst/parameters/$1"
}

vmstat() {
	awk -v name="$1" '$1 == name { print $2 }' /proc/vmstat
}
# Times that an allocation had to reclaim memory by itself.
stalls() {
	awk '/^allocstall_/ { sum += $2 } END { print sum }' /proc/vmstat
}

# The kernel's reserve: 8 MiB is the min watermark, of which an allocation in an interrupt may take five
# eighths; low and high are a fiftieth of memory above that, each. A burst fits behind low, and not behind min.
echo 8192 >/proc/sys/vm/min_free_kbytes
echo 200 >/proc/sys/vm/watermark_scale_factor
burst=$(((8192 * 5 / 8 + 600) / 4))

swap_on
begin_balloon
hold=$(($(memory MemFree) * 80 / 100))
stress_begin --mib $hold
# Half of it without bursts, which would make others short of memory by themselves.
stalled=$(stalls) swapped=$(vmstat pswpout)
reach "$(even $((total / 4)))" 120
stalled=$(($(stalls) - stalled)) swapped=$(($(vmstat pswpout) - swapped))
expect "pages swapped out for the balloon" "$swapped" -gt 1000
expect "times that somebody had to reclaim" "$stalled" -le 5
insmod "$MODULE" burst="$burst" || die "insmod"
half=$(even $((total / 2)))
ask_for "$half" 120
nearly=$(($(host_value claimed) / mib))
# Where the host is busy the bursts may keep kswapd from making room for the last of it.
[ "$(host_value exit)" = 0 ] || { [ "$(host_value stopped)" = memory ] && [ $((nearly * 8)) -ge $((half * 7)) ]; } ||
	fail "asked for $half MiB: cswapctl ended with $(host_value exit); $(host_value stopped), $nearly MiB"
wanted=$(bursts wanted) failed=$(bursts failed) least=$(bursts least)
rmmod cswap_burst || fail "rmmod"
reach "$half"
expect "pages wanted" "$wanted" -gt $((10 * burst))
expect "pages that a burst couldn't have" "$failed" = 0
stress_end
end_balloon 60
expect_clean
swap_off
finish "$half of $total MiB, $nearly of them beside bursts; bursts of $burst pages, $wanted in all, $failed not had, $((least * 4)) KiB free at least; $swapped pages out, $stalled times not by kswapd; $(figure checked) pages checked, 0 wrong"
