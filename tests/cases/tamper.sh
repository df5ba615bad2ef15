#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host returns other pages than were stored: changed, old, another slot's, half ones; or none.
# Always, or so often that the driver's four tries see only that, or less often.
# Proves: never wrong content; SIGBUS where, and only where, four tries have failed; less is healed
# by trying again; each failure is counted, and the kernel names slot and cause. (I4, trap A4.)
# Checks: driver-seal-open, driver-seal-retry, driver-seal-fail
#
# beds: uml uml-debug vm-newest vm-6.1 snp-newest
# fast uml: flip-tag stale stale-data swap-slot zero short eio-load stale-ahead swap-slot-ahead
# fast uml-debug: flip
# fast vm-newest: stale-ahead
# fast vm-6.1: swap-slot
# fast snp-newest: flip
# slow: vm-6.12 tdx-newest tdx-6.12 snp-6.12
# timeout: 900
# beside: yes
# run: --env MIB=8 --env LIMIT=5 --allow "swapstress.[0-9]+.: segfault at"
# run uml: --mem 192M
# run vm: --mem 256M
# variant flip: --faulty-cswapd "--store mem --size 14M --fault-report @RUN@/report --fault flip:every=15 --fault flip:every=5:times=4 --fault flip:every=3:times=3" --env ONCE=--once
# variant flip-tag: --faulty-cswapd "--store mem --size 14M --fault-report @RUN@/report --fault flip-tag:every=15 --fault flip-tag:every=5:times=4 --fault flip-tag:every=3:times=2" --env ONCE=--once
# variant stale: --faulty-cswapd "--store mem --size 14M --fault-report @RUN@/report --fault stale:every=15 --fault stale:every=5:times=4 --fault stale:every=3:times=1" --env ONCE=--once
# variant stale-data: --faulty-cswapd "--store mem --size 14M --fault-report @RUN@/report --fault stale-data:every=15 --fault stale-data:every=5:times=4 --fault stale-data:every=3:times=3" --env ONCE=--once
# variant swap-slot: --faulty-cswapd "--store mem --size 14M --fault-report @RUN@/report --fault swap-slot:every=15 --fault swap-slot:every=5:times=4 --fault swap-slot:every=3:times=2" --env ONCE=--once
# variant zero: --faulty-cswapd "--store mem --size 14M --fault-report @RUN@/report --fault zero:every=15 --fault zero:every=5:times=4 --fault zero:every=3:times=1" --env ONCE=--once
# variant short: --faulty-cswapd "--store mem --size 14M --fault-report @RUN@/report --fault short:every=15 --fault short:every=5:times=4 --fault short:every=3:times=3" --env ONCE=--once
# variant eio-load: --faulty-cswapd "--store mem --size 14M --fault-report @RUN@/report --fault eio-load:every=15 --fault eio-load:every=5:times=4 --fault eio-load:every=3:times=2" --env ONCE=--once
# variant flip-often: --faulty-cswapd "--store mem --size 14M --fault-report @RUN@/report --fault flip:every=30 --fault flip:every=10:times=4 --fault flip:every=3:times=2"
# variant stale-often: --faulty-cswapd "--store mem --size 14M --fault-report @RUN@/report --fault stale:every=15 --fault stale:every=5:times=4 --fault stale:every=3:times=3"
# variant flip-ahead: --faulty-cswapd "--store mem --size 14M --fault-report @RUN@/report --fault flip:every=15 --fault flip:every=5:times=4 --fault flip:every=3:times=3"
# variant stale-ahead: --faulty-cswapd "--store mem --size 14M --fault-report @RUN@/report --fault stale:every=15 --fault stale:every=5:times=4 --fault stale:every=3:times=2"
# variant swap-slot-ahead: --faulty-cswapd "--store mem --size 14M --fault-report @RUN@/report --fault swap-slot:every=15 --fault swap-slot:every=5:times=4 --fault swap-slot:every=3:times=1"
# variant eio-load-ahead: --faulty-cswapd "--store mem --size 14M --fault-report @RUN@/report --fault eio-load:every=15 --fault eio-load:every=5:times=4 --fault eio-load:every=3:times=3"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

swap_on
# A page a read, so that each that fails is somebody's.
[ -z "${ONCE-}" ] || echo 0 >/proc/sys/vm/page-cluster
# Two rounds, so that most slots have an older version to replay.
# shellcheck disable=SC2086	# an option or nothing
stress_begin --mib "$MIB" --limit "$LIMIT" --rounds 2 --rewrite 60 --pageout --tolerate-sigbus ${ONCE-}
stress_to_gate
expect_clean
host arm
stress_end
host disarm

always=$(fault 0 ops) four=$(fault 1 ops) less=$(fault 2 ops)
given_up=$((always / 4 + $(fault 1 slots))) sigbus=$(figure sigbus)
expect "the first fault hit nothing" "$always" -gt 100
expect "the second fault hit nothing" "$four" -gt 100
expect "the third fault hit nothing" "$less" -gt 100
if [ "$(fault 0 kind)" = eio-load ] && [ -z "${ONCE-}" ]; then
	# The device fails a LOAD as a whole, and so the neighbours that were read with the page, too:
	# each is asked for alone then, and that is what is counted, four tries each.
	errors=$(counter load_errors) retries=$(counter retries)
	expect "errors counted" "$errors" -gt 100
	expect "errors counted" "$errors" -le $((always + four + less))
	expect "tries of each page" $((3 * errors)) -le $((4 * retries))
	expect "pages given up" $((errors - retries)) -le "$given_up"
	expect "reads that didn't open" "$(counter tampered)" = 0
	in_log 1 'slot [0-9]+: the device could not read the page'
elif [ "$(fault 0 kind)" = eio-load ]; then
	expect "tries of pages that always fail" $((always % 4)) = 0
	expect "tries of pages that fail four times" "$four" = $((4 * $(fault 1 slots)))
	expect "tries" "$(counter retries)" = $((3 * given_up + less))
	expect "errors counted" "$(counter load_errors)" = $((always + four + less))
	expect "reads that didn't open" "$(counter tampered)" = 0
	in_log 1 'slot [0-9]+: the device could not read the page'
else
	# Each read that failed was tried four times, no less and no more.
	expect "tries of pages that always fail" $((always % 4)) = 0
	expect "tries of pages that fail four times" "$four" = $((4 * $(fault 1 slots)))
	expect "tries" "$(counter retries)" = $((3 * given_up + less))
	expect "errors counted" "$(counter load_errors)" = 0
	expect "reads given up" "$(counter tampered)" = "$given_up"
	in_log 1 'slot [0-9]+: the page that came back is not the last one stored'
fi
if [ -n "${ONCE-}" ]; then
	expect "SIGBUS" "$sigbus" = "$given_up"
else
	# What failed may stay in the swap cache and fail the next touch too, and what was read
	# ahead need not be touched at all.
	expect "SIGBUS" "$sigbus" -gt 0
fi
for name in protocol_errors load_timeouts store_errors store_refusals kept; do
	expect "$name moved" "$(counter $name)" = 0
done
swap_off
finish "$((always + four + less)) tampered reads, $(figure wrong) wrong pages, $given_up given up, $sigbus SIGBUS, $less healed tries"
