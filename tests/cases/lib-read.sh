# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# lib-read.sh - many readers of the disk itself, each of one page, past the page cache.
#
# The pages are those of somebody's who has been swapped out; what is read isn't looked at, the
# driver has opened it or failed. $READERS says how many there are, more than requests for pages.

readers_start() {
	local i
	readers=()
	for ((i = 0; i < READERS; i++)); do
		read_page $((1 + i * 8)) &
		readers+=($!)
	done
}
read_page() {
	exec dd if="$disk" of=/dev/null bs=4k count=1 skip="$1" iflag=direct 2>/dev/null
}
# All of them wait for the host.
readers_wait() {
	[ "$(cat /proc/[0-9]*/stat 2>/dev/null | grep -c '^[0-9]* (dd) D ')" = "$READERS" ]
}
# How many have failed is in $failed.
readers_end() {
	local pid
	failed=0
	for pid in "${readers[@]}"; do
		wait "$pid" || failed=$((failed + 1))
	done
}
# What they read isn't in the pool any more.
readers_need_the_device() {
	local before
	before=$(counter pool_loads)
	readers_start
	readers_end
	[ "$(counter pool_loads)" = "$before" ]
}
