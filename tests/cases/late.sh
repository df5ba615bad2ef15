#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host answers LOADs around the moment at which their readers give up, many at once and again and
# again, in one variant while the device is reset now and then (by tests/kmod/reset), in one while the
# driver resets it for want of an answer. A reader gives up at a tick, two to three seconds after it asked,
# and the driver resets the device a second before that. A page comes at once for the first time, and later after
# half a second to two and a half, and after the reset once more: before the tick, after it, and with it.
# Proves: each read ends, with the right page or with an error; memory whose read was given up is its
# owner's alone from then on; late answers are for nobody. (Trap of an answer that comes when its page
# is somebody else's.)
#
# beds: uml-debug
# fast uml-debug: reset
# slow: uml uml-smp long
# timeout: 1500
# beside: yes
# module: tests/kmod/reset
# run: --mem 256M --env READERS=100 --env PAGES=800 --env ROUNDS=12
# run uml-smp: --cpus 2 --queues 2
# variant 1: --module-args load_timeout_s=1 --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault delay-load:after=1:ms=500:jitter=2000"
# variant reset: --module-args load_timeout_s=1 --env RESETS=1 --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault delay-load:after=1:ms=500:jitter=2000"
# variant 2: --module-args load_timeout_s=2 --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault delay-load:after=1:ms=500:jitter=2000"
# variant long: --module-args load_timeout_s=1 --env RESETS=1 --env ROUNDS=120 --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault delay-load:after=1:ms=500:jitter=2000"

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-late.sh
. "$(dirname "$0")/lib-late.sh"

parameters=/sys/module/cswap_reset/parameters

reset_now_and_then() {
	while [ ! -e "$tmp/enough" ]; do
		sleep 4.7
		echo 1 >$parameters/ask
	done
}

insmod "$MODULE" || die "insmod $MODULE"
late_fill
host arm
if [ -n "${RESETS-}" ]; then
	reset_now_and_then &
	resetter=$!
fi
late_start "$ROUNDS"
# Each read may wait for three seconds, and then for a reset.
late_end $((60 + ROUNDS * 10)) || die "a read doesn't end"
if [ -n "${RESETS-}" ]; then
	: >"$tmp/enough"
	wait "$resetter"
fi
some=$came none=$failed
host disarm
expect "pages that came in time" "$some" -gt 0
expect "reads given up" "$none" -gt 0
expect "the same, counted" "$(counter load_timeouts)" = "$none"
[ -z "${RESETS-}" ] || expect "resets" "$(counter resets)" -gt 0

# The late answers are here or on their way, and every page comes.
echo 180 >/sys/module/virtio_cswap/parameters/load_timeout_s
late_start $((PAGES / READERS))
late_end 60 || die "a read doesn't end"
expect "reads that failed when the host answered" "$failed" = 0
expect "pages that came then" "$came" = "$PAGES"
for name in tampered retries protocol_errors load_errors store_errors; do
	expect "$name moved" "$(counter $name)" = 0
done
rmmod virtio_cswap || die "rmmod"
rmmod cswap_reset || die "rmmod cswap_reset"
finish "$some reads in time, $none given up, none wrong, none changed later"
