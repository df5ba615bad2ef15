#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest stands still for longer than a read may wait: its VM was stopped or frozen, or the host
# slept. There are more readers than requests for pages; in User-Mode Linux also more than pages that
# may be asked for.
# Proves: time in which the guest didn't run doesn't count: no read fails, whichever of guest and
# daemon goes on first. If the host is silent while the guest runs each read does fail, and all are
# counted and logged, those for which no request was free too.
# Checks: driver-security-stall
#
# beds: uml uml-debug vm-newest
# slow: uml-debug vm-newest
# timeout: 300
# beside: yes
# run: --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault stall"
# run: --allow "blocked for more" --allow "rcu.*(stall|detected)" --allow "clocksource|lockup"
# run uml: --mem 256M --env READERS=300 --env BEYOND=yes
# run vm: --mem 384M --env READERS=160

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-read.sh
. "$(dirname "$0")/lib-read.sh"

limit=/sys/module/virtio_cswap/parameters/load_timeout_s

# All of them read from a host that is silent.
readers_stop() {
	host arm
	readers_start
	wait_until 30 readers_wait || fail "not all readers wait for the host"
}

readers_fill

# Some wait while the others are started: how long that takes is the machine's affair.
began=$SECONDS
readers_start
readers_end
seconds=$((2 * (SECONDS - began) + 4))
echo $seconds >$limit
for first in daemon guest; do
	readers_stop
	host pause $((seconds + 2)) $first
	readers_end
	expect "reads failed by a pause, $first first" $failed = 0
done
expect "time-outs counted" "$(counter load_timeouts)" = 0

expect_clean

# All wait before any is given up: else those that come later may find that others have gone.
echo 180 >$limit
readers_stop
echo 1 >$limit
readers_end
expect "reads that got an answer from nobody" $failed = "$READERS"
expect "reads lost and counted" "$(counter load_timeouts)" = "$READERS"
in_log 1 'slot [0-9]+: no answer from the device; the page is given up'
# With more readers than pages that may be asked for, which takes hundreds.
[ -z "${BEYOND-}" ] ||
	in_log 1 'slot [0-9]+: all requests for pages wait for the device; the page is given up'
echo 180 >$limit
host disarm

# The late answers are for nobody, and nothing is wrong.
readers_check
finish "2 pauses, no read of $READERS lost; all of them lost to silence"
