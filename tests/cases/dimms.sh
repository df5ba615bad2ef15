#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Forty DIMMs are plugged into a running guest, each a region of memory more for the daemon.
# Proves: more regions than the 8 of a memory table and the 32 of old are served, the next process
# that serves has them all, and pages swap as before.
#
# slow: vm-newest
# timeout: 600
# beside: yes
# run: --mem 512M --qemu "-m slots=64,maxmem=16G" --cswapd "--store @RUN@/store --size 256M"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

dimms=40
blocks() {
	set -- /sys/devices/system/memory/memory[0-9]*
	echo $#
}
are_plugged() {
	[ "$(blocks)" -ge "$((before + dimms))" ]
}
total_mib() {
	awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo
}
swaps() {
	swapstress --mib 48 --pageout --rounds 1 >"$tmp/stress.out" 2>&1 || fail "swapping, $1: $(tail -n 1 "$tmp/stress.out")"
}

swap_on
before=$(blocks) had=$(total_mib)
host dimms $dimms
wait_until 120 are_plugged || fail "$(blocks) blocks of memory, $before before"
for state in /sys/devices/system/memory/memory*/state; do
	! grep -q offline "$state" || echo online >"$state"
done
expect "MiB after $dimms DIMMs of 128" "$(total_mib)" -gt $((had + dimms * 120))
swaps "with the DIMMs"
host crash
swaps "with another process that serves"
for name in tampered protocol_errors load_errors load_timeouts; do
	expect "$name moved" "$(counter $name)" = 0
done
swap_off
finish "$dimms DIMMs, $had MiB before, $(total_mib) with them"
