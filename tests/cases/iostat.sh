#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Pages go out and come back, and discards, while somebody looks at the disk's statistics.
# Proves: /proc/diskstats, and with it iostat, has what the disk does: each page once, what is in
# flight while it is, and nothing when all is over. Writeback throttling, which the kernel has, isn't done to it.
#
# beds: uml
# slow: vm-newest vm-6.1 uml-debug vm-6.12
# timeout: 200
# beside: yes
# run: --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault stall" --mem 256M

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# diskstat NUMBER: Documentation/admin-guide/iostats.rst
diskstat() {
	awk -v field="$1" -v disk="$(basename "$CSWAP_DISK")" '$3 == disk { print $(field + 3) }' \
		/proc/diskstats
}

expect "writeback throttling of the disk" "$(cat "/sys/block/${disk##*/}/queue/wbt_lat_usec" 2>/dev/null || echo 0)" = 0
swap_on
written=$(diskstat 7) read=$(diskstat 3) discarded=$(diskstat 14)
stores=$(counter stores) loads=$(($(counter loads) + $(counter pool_loads)))
stress --mib 8 --limit 4 --random 500
expect_clean
expect "sectors written" $(($(diskstat 7) - written)) = $((8 * ($(counter stores) - stores)))
expect "pages written" "$(counter stores)" -gt 1000
expect "sectors read" $(($(diskstat 3) - read)) = \
	$((8 * ($(counter loads) + $(counter pool_loads) - loads)))
expect "pages read" "$(counter loads)" -gt 1000
expect "in flight at the end" "$(diskstat 9)" = 0

# A reader whose answer is held is in flight, and the disk is busy for as long.
stress_begin --mib 4 --pageout
host arm
in_flight() {
	[ "$(diskstat 9)" -gt 0 ]
}
(
	wait_until 60 in_flight && : >"$tmp/seen"
	host disarm
) &
watcher=$!
stress_end
wait "$watcher"
expect "nobody was seen to wait for the disk" -e "$tmp/seen"
expect "in flight at the end" "$(diskstat 9)" = 0

swap_off
blkdiscard "$CSWAP_DISK"
expect "sectors discarded" $(($(diskstat 14) - discarded)) -ge $((48 * 2048))
finish "$(counter stores) pages written, $(counter loads) read and $((($(diskstat 14) - discarded) / 8)) discarded, as /proc/diskstats has it"
