#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The device was reset, and going on with it doesn't succeed: for want of memory, when it asked for it or
# when the transport resets it (as PCI does, and as sleep does); or the driver isn't even asked to.
# Proves: it's tried again, with key, slots and pool kept, and no page is lost. What can't succeed ends:
# readers get an error, nobody hangs. Time in which the guest didn't run doesn't count. Where readers wait
# for ever, it's tried for ever.
#
# beds: uml
# fast uml: asked transport alone
# slow: uml-debug vm-newest
# timeout: 180
# beside: yes
# module: tests/kmod/reset
# run: --mem 256M --env MIB=6 --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report" --allow "swapstress.[0-9]+.: segfault at"
# variant asked: --env ASK=1 --env FAILURE=12 --env OFTEN=3
# variant transport: --env ASK=3 --env FAILURE=12 --env OFTEN=3
# variant alone: --env ASK=4 --env FAILURE=0 --env OFTEN=0
# variant paused: --env ASK=3 --env FAILURE=12 --env OFTEN=1000000 --env PAUSE=40 --module-args load_timeout_s=30 --allow "blocked for more" --allow "rcu.*(stall|detected)" --allow "clocksource|lockup"
# variant ever: --env ASK=3 --env FAILURE=12 --env OFTEN=1000000 --env TRIES=16 --module-args load_timeout_s=0
# variant vain: --env ASK=3 --env FAILURE=22 --env OFTEN=1000000

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

parameters=/sys/module/cswap_reset/parameters
goes_on() {
	[ "$(counter resets)" -ge 1 ]
}
is_tried_again() {
	[ "$(cat "$parameters/failures")" -lt "$1" ]
}
collect() {
	cat <&7 >>"$tmp/stress.all"
	exec 7<&-
	wait "$stress_pid"
	stress_status=$?
	cat "$tmp/stress.err" >>"$tmp/stress.all"
}
said_given_up() {
	dmesg | grep -c "can't be used any more"
}
is_given_up() {
	[ "$(said_given_up)" -gt 0 ]
}

insmod "$MODULE" || die "insmod $MODULE"
swap_on
stress_begin --mib "$MIB" --rounds 1 --pageout --tolerate-sigbus
echo "$FAILURE" >"$parameters/failure"
echo "$OFTEN" >"$parameters/failures"
echo "$ASK" >"$parameters/ask"
[ "$ASK" = 1 ] || expect "what the transport's reset ended with" "$(cat "$parameters/result")" != 0
# The pages are read while there are no rings.
: >"$tmp/gate"
if [ -n "${PAUSE-}" ]; then
	host pause "$PAUSE" both
	left=$(cat "$parameters/failures")
	wait_until 20 is_tried_again "$left" || fail "it isn't tried again"
	echo 0 >"$parameters/failures"
fi
# More tries than fit into LEAST_RESTART_S, the shortest time for which it's tried.
if [ -n "${TRIES-}" ]; then
	wait_until 90 is_tried_again $((OFTEN - TRIES)) ||
		die "it isn't tried for ever; times that it was given up: $(said_given_up)"
	echo 0 >"$parameters/failures"
fi
if [ "$FAILURE" = 22 ]; then
	wait_until 30 is_given_up || fail "it isn't said that it was given up"
	collect
	expect "pages with wrong content" "$(figure wrong)" = 0
	expect "SIGBUS" "$(figure sigbus)" -gt 100
else
	wait_until 40 goes_on || fail "nobody went on with it"
	collect
	stress_judge
	expect "SIGBUS" "$(figure sigbus)" = 0
	expect_clean
fi
swap_off
rmmod virtio_cswap || die "rmmod"
rmmod cswap_reset || die "rmmod cswap_reset"
finish "$(figure checked) pages checked, 0 wrong, $(figure sigbus) SIGBUS"
