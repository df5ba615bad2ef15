#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A page may be waited for a second or two, and the host takes a tenth of a second for each: nearly always a LOAD
# is in flight when the tick comes.
# Proves: a LOAD that was sent just before the tick isn't overdue at once; a device that answers isn't reset.
#
# beds: uml-debug
# slow: uml
# timeout: 120
# beside: yes
# run: --mem 256M --env PAGES=40
# run: --faulty-cswapd "--store mem --size 16M --fault-report @RUN@/report --fault delay-load:ms=100"
# variant 1: --module-args load_timeout_s=1
# variant 2: --module-args load_timeout_s=2

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

bytes=$((PAGES * 4096))
head -c $bytes /dev/urandom >"$tmp/pages"
dd if="$tmp/pages" of="$disk" bs=64k oflag=direct 2>/dev/null || die "the pages can't be stored"
wait_until 20 counter_is copies_used 0 || die "the pages aren't stored"
host arm
# One at a time: from the first to the last there is no moment without a LOAD.
dd if="$disk" of="$tmp/got" bs=4096 count="$PAGES" iflag=direct 2>/dev/null || fail "a page didn't come"
host disarm
expect "LOADs that took their time" "$(fault 0 ops)" -ge "$PAGES"
cmp -s "$tmp/pages" "$tmp/got" || fail "other pages came"
expect "resets" "$(counter resets)" = 0
expect_clean
finish "$PAGES pages came one by one, a tenth of a second each, and the device was not reset"
