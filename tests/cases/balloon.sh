#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The balloon, up and down: the host asks a guest whose memory is full of cold pages for half of it,
# gets it, and gives it back.
# Proves: the cold pages go to the store and come back right, the host measures what the guest says,
# and in the end the guest has its memory back to the page.
# Variant zones: no zone has as much as the host asks for, so more than one gives.
# Checks: driver-ctrl-count, driver-release-range, driver-reclaim-range, driver-release-untouched
# Checks: driver-target-reach
#
# beds: vm-newest vm-6.1
# fast vm-newest: zones
# slow: uml-debug uml uml-smp vm-6.12
# timeout: 600
# beside: yes
# run: --cswapd "--store mem --size 512M --release punch --report-period 200"
# run: --module-args "floor=32 brake_percent=0"
# run uml: --aes --mem 256M --env MIB=120
# run uml-debug: --kmemleak
# run vm: --mem 512M --env MIB=240
# variant plain:
# variant zones vm-newest: --qemu "-M max-ram-below-4g=384M" --append swiotlb=noforce --env MIB=160

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

released_is() {
	counter_is balloon_released "$1"
}
told_is() {
	host balloon
	[ "$(host_value reports)" -gt "$reports" ]
}
# The host has had a report since.
await_report() {
	host balloon
	reports=$(($(host_value reports) + 1))
	wait_until 60 told_is || fail "no report reached the host"
}
# Memory that was never touched isn't the host's to get back.
touch_all() {
	local half
	half=$(($(awk '/^MemFree:/ { print $2 }' /proc/meminfo) / 1024 / 2 - 6))
	dd if=/dev/zero of="$tmp/all" bs=1M count=$half 2>/dev/null
	dd if=/dev/zero of=/dev/shm/all bs=1M count=$half 2>/dev/null
	rm "$tmp/all" /dev/shm/all
}
mem_total() {
	awk '/^MemTotal:/ { print $2 }' /proc/meminfo
}

swap_on
empty_quarantine
total=$(mem_total)
target=$((total / 4096 << 1))
touch_all
stress_begin --mib "$MIB" --random 2000
host freed
before=$host_said

host target "${target}M"
wait_until 300 released_is $((target << 20)) ||
	fail "$(counter balloon_released) bytes released, not $target MiB: $(counter balloon_stopped)"
expect "why it stopped" "$(counter balloon_stopped)" = none
expect "memory that the guest still counts, KiB" "$(mem_total)" = $((total - target * 1024))
out=$(counter stores)
expect "pages stored" "$out" -gt 100
await_report
expect "the target" "$(host_value target)" = $((target << 20))
expect "the guest's claim" "$(host_value claimed)" = $((target << 20))
expect "why it stopped, as reported" "$(host_value stopped)" = none
host freed
after=$host_said
# Little was untouched before, and that may have been touched since.
expect "KiB that the host had not given before" "$before" -lt $((32 * 1024))
expect "KiB that the host has not given" "$after" -ge $((target * 1024 * 98 / 100))
expect "KiB that the host has not given" "$after" -le $((target * 1024 * 102 / 100 + before))

# Everything is right, in half of the memory.
stress_end
checked=$(figure checked)

host target 0
wait_until 120 released_is 0 || fail "$(counter balloon_released) bytes are still released"
# The last block is the kernel's a moment later.
is_back() {
	[ "$(mem_total)" = "$total" ] && [ "$(counter balloon_taken)" = "$(counter balloon_returned)" ]
}
wait_until 30 is_back || fail "$(mem_total) KiB of memory, not $total; $(counter balloon_returned) bytes returned"
expect "lost" "$(counter balloon_lost)" = 0
expect "event errors" "$(counter balloon_event_errors)" = 0
expect "refusals" "$(counter balloon_refusals)" = 0
expect_clean
stress --mib $((MIB / 4)) --limit $((MIB / 8)) --random 200
kill "$emptier"
swap_off
finish "$target of $((total / 1024)) MiB released, host: $((before / 1024)) MiB not given before, $((after / 1024)) after, $out pages stored, $(counter balloon_moved_blocks) blocks moved; $checked and $(figure checked) pages checked, 0 wrong"
