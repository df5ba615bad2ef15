# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# lib-read.sh - many readers of the disk itself, each of one page, past the page cache.
#
# $READERS says how many there are: more than there are requests for pages.

# What they read; the swap core would choose slots of its own.
readers_fill() {
	dd if=/dev/urandom of="$tmp/data" bs=32k count=$((READERS + 1)) 2>/dev/null
	dd if="$tmp/data" of="$disk" bs=32k oflag=direct 2>/dev/null || die "filling the disk"
	wait_until 60 readers_need_the_device || fail "the pages stay in the pool"
}
# All of that is there, and right.
readers_check() {
	dd if="$disk" bs=32k count=$((READERS + 1)) iflag=direct 2>/dev/null | cmp -s - "$tmp/data" ||
		fail "what was written isn't what is read"
}

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
	[ $failed = 0 ] && [ "$(counter pool_loads)" = "$before" ]
}
