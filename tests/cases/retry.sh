#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Pages that don't open are fetched again, when all requests for pages are in use and more readers
# wait; and when the second answer for one of them doesn't come.
# Proves: a retry needs nothing that another reader could have taken, and no other read waits for it.
#
# beds: uml uml-smp
# slow: uml-smp vm-newest
# timeout: 420
# beside: yes
# run: --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault flip:slots=5-5:times=1 --fault stall:slots=5-5:after=1 --fault flip:slots=6-3000:times=1"
# run uml: --mem 256M --env READERS=48
# run vm: --mem 384M --cpus 2 --env READERS=160
# run: --module-args "load_timeout_s=30"

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-read.sh
. "$(dirname "$0")/lib-read.sh"

first_failed() {
	[ "$(counter retries)" -gt 0 ]
}

readers_fill
expect_clean

# One page is fetched again, and the host keeps that answer.
host arm
read_page 5 &
slow=$!
wait_until 20 first_failed || fail "the page wasn't fetched again"

# Others' pages don't open either, all of them once.
readers_start
readers_end
expect "reads failed behind one that waits" $failed = 0
expect "time-outs" "$(counter load_timeouts)" = 0
[ -d /proc/$slow ] || fail "the slow one was over before the others"
expect "pages fetched again" "$(counter retries)" = "$READERS"

host disarm
wait $slow
expect "the status of the slow one" $? = 0
readers_check
for name in tampered protocol_errors load_timeouts load_errors store_errors; do
	expect "$name moved" "$(counter $name)" = 0
done
finish "$(counter retries) pages fetched again, none lost, none kept up by one whose answer was held"
