#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Memory is plugged into a running guest (as movable memory, which the kernel keeps its own objects out of),
# the balloon takes of it, and then blocks of it go offline again.
# Proves: plugged memory counts for the balloon; a block of memory in which the balloon has some goes
# offline (the balloon gives that back to the guest first), stays so, and comes online again with what is
# in it; afterwards every block that was the balloon's goes offline.
#
# beds: vm-newest
# slow: vm-6.12 vm-6.1
# timeout: 600
# beside: yes
# run: --mem 512M --qemu "-m slots=8,maxmem=4G" --cswapd "--store mem --size 256M --release punch"
# run: --module-args "floor=128 brake_percent=0"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

dimms=6
memory_blocks() {
	set -- /sys/devices/system/memory/memory[0-9]*
	echo $#
}
are_plugged() {
	[ "$(memory_blocks)" -ge "$((before + dimms))" ]
}
plugged() {
	for state in /sys/devices/system/memory/memory[0-9]*/state; do
		echo "$state"
	done | sort -V | tail -n $dimms
}
are_online() {
	for state in $(plugged); do
		! grep -q offline "$state" || return 1
	done
}
# offline STATE-FILE: false with the reason in $why when it doesn't go within a minute.
offline() {
	why=$(timeout 60 sh -c "echo offline >$1" 2>&1) && return
	case $? in
	124) why="not within a minute" ;;
	esac
	say "$(dmesg | tail -n 12)"
	return 1
}

swap_on
echo online_movable >/sys/devices/system/memory/auto_online_blocks
before=$(memory_blocks) had=$(memory MemTotal)
host dimms $dimms
wait_until 120 are_plugged || die "$(memory_blocks) blocks of memory, $before before"
wait_until 60 are_online || fail "plugged memory doesn't come online"
expect "MiB with the DIMMs" "$(memory MemTotal)" -gt $((had + dimms * 120))
begin_balloon
stress_begin --mib 48 --limit 24 --rounds 3
reach $((dimms * 128 + 64))
held=$(balloon released)
for state in $(plugged | tail -n 2); do
	offline "$state" || fail "$state with the balloon in it: $why"
done
expect "MiB that the balloon had to give back" $((held - $(balloon released))) -gt 0
stress_to_gate
for state in $(plugged | tail -n 2); do
	echo online_movable >"$state" || fail "$state doesn't come online again"
done
reach $((dimms * 128 + 64))
reach 0
stress_to_gate
for state in $(plugged); do
	offline "$state" || fail "$state without a balloon: $why"
done
expect "MiB without the DIMMs" "$(memory MemTotal)" -le "$had"
stress_end
expect "lost" "$(balloon lost)" = 0
expect_clean
swap_off
finish "$had MiB and $((dimms * 128)) plugged, $held of them released: $dimms blocks offline; $(figure checked) pages checked, 0 wrong"
