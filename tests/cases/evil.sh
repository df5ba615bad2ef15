#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The device lies whenever it can (tests/evil): answers forged, changed, replayed, used twice, early,
# late and never; memory that changes under the driver's eyes; rubbish in the rings; interrupts that
# don't come, or come for nothing. The guest swaps meanwhile, its module goes and comes.
# Proves: never a wrong page, whatever the lies were; nothing in the kernel breaks, leaks or hangs; the
# log stays readable, and the kernel's memory as it was; the module always goes; a device that stops
# lying is served again at once.
# Checks: driver-response-cookie, driver-response-check, driver-seal-open
#
# beds: uml-debug uml-smp
# fast uml-debug: ahead
# fast uml-smp: ahead
# slow: many uml
# timeout: 1800
# beside: yes
# run: --env LIES=1000 --allow "swapstress.[0-9]+.: segfault at"
# run uml: --mem 256M
# run uml-debug: --kmemleak
# run uml-smp: --cpus 2 --queues 2
# variant ahead: --evil-cswapd "--store mem --size 32M --rate 4 --report @RUN@/report --log @RUN@/lies" --module-args "load_timeout_s=1 stall_ms=200"
# variant many: --evil-cswapd "--store mem --size 32M --rate 3 --report @RUN@/report --log @RUN@/lies" --module-args "load_timeout_s=1 stall_ms=200" --env LIES=20000

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-evil.sh
. "$(dirname "$0")/lib-evil.sh"

# What it takes to be there at all.
swap_on
stress --mib 2 --procs 4 --pageout
kept_first=$(kept_kib)
swap_off

rounds=0 told=0 checked=0 sigbus=0 tampered=0 errors=0 kept_most=0
while [ "$told" -lt "$LIES" ]; do
	swap_on
	host arm
	stress --mib 2 --procs 4 --seed $((rounds + 1)) --rounds 1 --rewrite 60 --pageout --tolerate-sigbus
	host disarm
	told=$(fault 0 ops)
	checked=$((checked + $(figure checked))) sigbus=$((sigbus + $(figure sigbus)))
	tampered=$((tampered + $(counter tampered))) errors=$((errors + $(counter protocol_errors)))
	expect "lies told" "$told" -gt 0
	kept=$(kept_kib)
	[ $((kept - kept_first)) -le $kept_most ] || kept_most=$((kept - kept_first))
	swap_off
	reload_driver
	rounds=$((rounds + 1))
done
# What KASAN keeps of what was freed, and the detectors of what they have seen, comes to some MiB.
expect "KiB more than without lies" $kept_most -le 8192
expect "answers that made no sense" "$errors" -gt 0
records=$(log_records)
expect "lines in the kernel's log" "$records" -le $((500 + 40 * SECONDS))
lies_told
# A lie that makes the device end the queue itself leaves nothing to lie about: each page then takes the
# driver's whole patience.
host log 'not served until it is reset'
expect "queues that the device ended by its own lies" "$host_said" = 0
expect_honest
finish "$told lies in $rounds rounds: $errors answers ignored, $tampered pages and $sigbus touches given up, \
$checked pages checked, 0 wrong, $records lines in the log, at most $kept_most KiB more in the kernel's hands"
