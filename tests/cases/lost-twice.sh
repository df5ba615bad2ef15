#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host loses LOADs twice, before and after the reset that the driver makes for them; from then on the device
# is well. Proves: the pages are given up in the time that a reader may wait, once for a bio however long the bio
# is; whoever reads then waits behind a LOAD that its reader has given up, so the driver resets the device again,
# and the page comes.
# Checks: driver-security-stall
#
# beds: uml uml-debug
# fast uml: slot
# fast uml-debug: all
# slow: vm-newest
# timeout: 240
# beside: yes
# run: --queues 1 --module-args load_timeout_s=9
# run uml: --mem 256M
# variant slot: --faulty-cswapd "--store mem --size 16M --fault-report @RUN@/report --fault stall:slots=301-301:times=2" --env FIRST=301 --env PAGES=1 --env NEXT=301
# variant all: --faulty-cswapd "--store mem --size 16M --fault-report @RUN@/report --fault stall:slots=256-511:times=2" --env FIRST=256 --env PAGES=256 --env NEXT=10

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# read_pages SLOT PAGES: into $tmp/got.
read_pages() {
	dd if="$disk" of="$tmp/got" bs=$((4096 * $2)) iflag=direct,skip_bytes skip=$((4096 * $1)) count=1 2>/dev/null
}

dd if=/dev/urandom of="$tmp/page" bs=64k count=64 2>/dev/null
dd if="$tmp/page" of="$disk" bs=64k oflag=direct 2>/dev/null || die "the pages can't be stored"
wait_until 20 counter_is copies_used 0
host arm
begun=$(cut -d. -f1 /proc/uptime)
read_pages "$FIRST" "$PAGES" && fail "pages came that the host had lost"
waited=$(($(cut -d. -f1 /proc/uptime) - begun))
expect "resets while the first readers waited" "$(counter resets)" = 1
expect "reads timed out" "$(counter load_timeouts)" -gt 0
# the limit, a tick, and as much again for a busy machine; a limit for each page were 256 limits
expect "seconds that a bio waited" "$waited" -ge 9
expect "seconds that a bio waited" "$waited" -lt 27
timeouts=$(counter load_timeouts)
read_pages "$NEXT" 1 || fail "the page doesn't come, though the device is well"
cmp -s <(dd if="$tmp/page" bs=4096 skip="$NEXT" count=1 2>/dev/null) "$tmp/got" || fail "another page came"
expect "resets after the second reader" "$(counter resets)" = 2
expect "reads that timed out after the reset" "$(counter load_timeouts)" = "$timeouts"
# some of them were asked for once, or never
host disarm
read_pages "$FIRST" "$PAGES" || fail "the first pages don't come, though the device is well"
cmp -s <(dd if="$tmp/page" bs=4096 skip="$FIRST" count="$PAGES" 2>/dev/null) "$tmp/got" || fail "other pages came"
finish "$timeouts reads given up after $waited s, 2 resets, then all came"
