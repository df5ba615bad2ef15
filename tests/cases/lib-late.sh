# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# lib-late.sh - $READERS readers of the disk itself in one process, each of a page at a time, past the page cache.
#
# They read $PAGES pages from slot $READERS_AT (0) on, neighbours of each other, and what they read to is
# checked (tests/guest/lateread.c).
READERS_AT=${READERS_AT:-0} READERS=${READERS:-1}
PAGES=${PAGES:-$READERS}

late_fill() {
	lateread --fill "$disk" "$READERS_AT" "$PAGES" || die "filling the disk"
	# what isn't in the pool any more needs the device
	wait_until 30 counter_is copies_used 0 || die "the pages stay in the pool"
}
# late_start ROUNDS: begin to read, so many pages each.
late_start() {
	lateread "$disk" "$READERS_AT" "$PAGES" "$READERS" "$1" >"$tmp/late" 2>&1 &
	late_pid=$!
}
# All of them wait for the host.
late_waits() {
	[ "$(cat "/proc/$late_pid"/task/[0-9]*/stat 2>/dev/null | grep -c '^[0-9]* (lateread) D ')" = "$READERS" ]
}
late_is_over() {
	[ ! -d "/proc/$late_pid" ]
}
# late_end SECONDS: all of them end; how many reads brought a page and how many failed is in $came and $failed.
late_end() {
	local read='' wrong='' changed=''
	came=0 failed=0
	wait_until "$1" late_is_over || return
	wait "$late_pid" || fail "lateread: $(cat "$tmp/late")"
	eval "$(grep '^read=' "$tmp/late")"
	came=${read:-0}
	expect "pages with wrong content" "${wrong:-?}" = 0
	expect "pages that changed when they had been given up" "${changed:-?}" = 0
}
