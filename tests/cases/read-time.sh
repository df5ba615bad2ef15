#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The device answers each LOAD of a slot, after a while, and always with a page that doesn't open.
# Proves: a read has its time once, not once for each time that the driver asks: the page is given up
# when load_timeout_s is over, though the device has answered all the time.
# Checks: driver-security-stall
#
# beds: uml
# slow: uml-debug
# timeout: 200
# beside: yes
# run: --mem 128M --module-args "load_timeout_s=9"
# run: --faulty-cswapd "--store mem --size 16M --fault-report @RUN@/report --fault delay-load:slots=64-64:ms=2500 --fault flip:slots=64-64"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# Four tries are ten seconds, and after a third of the limit the driver begins one of them anew.
dd if=/dev/urandom of="$disk" bs=64k count=16 oflag=direct 2>/dev/null || fail "storing"
wait_until 20 counter_is copies_used 0 || fail "stores are in flight"
host arm
dd if="$disk" of=/dev/null bs=4k skip=64 count=1 iflag=direct 2>/dev/null && fail "a page that doesn't open was read"
expect "pages given up for the time" "$(counter load_timeouts)" = 1
expect "pages given up for what came" "$(counter tampered)" = 0
expect "answers that didn't open" "$(counter retries)" -ge 2
finish "given up after $(counter retries) answers that didn't open"
