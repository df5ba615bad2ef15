#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host's answers make no sense: acks twice, or for requests that don't exist, wild lengths,
# unknown statuses, reserved bits.
# Proves: such an answer is ignored and counted, whatever it was about; a page whose answer was lost
# so is given up at the time-out and no sooner; nothing else suffers.
# Checks: driver-response-cookie, driver-response-check
#
# beds: uml uml-debug
# fast uml-debug: bad-cookie
# slow: vm-newest tdx-newest snp-newest
# timeout: 300
# beside: yes
# run: --env MIB=12 --allow "swapstress.[0-9]+.: segfault at"
# run uml: --mem 256M
# variant double-ack: --faulty-cswapd "--store mem --size 40M --fault-report @RUN@/report --fault double-ack:every=2" --env LOST=none
# variant bad-cookie: --faulty-cswapd "--store mem --size 40M --fault-report @RUN@/report --fault bad-cookie:every=2" --env LOST=none
# variant bad-status: --faulty-cswapd "--store mem --size 40M --fault-report @RUN@/report --fault bad-status:slots=401-2500:every=401:times=1" --module-args "load_timeout_s=1" --env LOST=loads
# variant bad-length: --faulty-cswapd "--store mem --size 40M --fault-report @RUN@/report --fault bad-length:slots=401-2500:every=401:times=1" --module-args "load_timeout_s=1" --env LOST=all
# variant reserved-bits-ahead: --faulty-cswapd "--store mem --size 40M --fault-report @RUN@/report --fault reserved-bits:slots=401-2500:every=401:times=1" --module-args "load_timeout_s=1" --env LOST=all

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

swap_on
stress_begin --mib "$MIB" --rounds 1 --rewrite 50 --pageout --tolerate-sigbus
host arm
stress_end
host disarm
hits=$(fault 0 ops) sigbus=$(figure sigbus) timeouts=$(counter load_timeouts)
errors=$(counter protocol_errors)
expect "the fault hit nothing" "$hits" -gt 1
if [ "$LOST" = none ]; then
	expect "answers ignored" "$errors" = "$hits"
	expect "SIGBUS" "$sigbus" = 0
	expect "time-outs" "$timeouts" = 0
else
	expect "answers ignored" "$errors" -gt 0
	expect "more answers ignored than there were lies" "$errors" -le "$hits"
	expect "time-outs" "$timeouts" -gt 0
	in_log 1 'slot [0-9]+: no answer from the device; the page is given up'
fi
in_log 1 'ignored .* from the device'
for name in tampered retries; do
	expect "$name moved" "$(counter $name)" = 0
done
# What was not lied about works, and goes on doing so.
before=$(counter stores)
stress --mib "$MIB" --seed 7 --pageout
expect "nothing was stored afterwards" $(($(counter stores) - before)) -gt 1000
swap_off
finish "$hits lies, $errors ignored answers, $timeouts time-outs, $sigbus SIGBUS, $(figure wrong) wrong pages"
