#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The device gives each answer twice (tests/evil), thousands of times: the second one makes no sense.
# Proves: each is counted, and the guest's log gets ten lines of it in five seconds, with how many were
# left out: a device can't fill it, nor drive other lines out of it.
# Checks: driver-security-log
#
# beds: uml
# slow: uml-debug
# timeout: 300
# beside: yes
# run: --evil-cswapd "--store mem --size 32M --rate 1 --only twice --report @RUN@/report --log @RUN@/lies"
# run uml: --mem 256M

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-evil.sh
. "$(dirname "$0")/lib-evil.sh"

swap_on
before=$(log_records) since=$SECONDS
host arm
stress --mib 8 --rounds 2 --rewrite 60 --pageout
host disarm
lines=$(($(log_records) - before))
errors=$(counter protocol_errors)
expect "answers that made no sense" "$errors" -gt 1000
expect "lines that say so" "$lines" -ge 10
# Ten and their sum, of the intervals that may have begun.
expect "lines that say so" "$lines" -le $((11 * (2 + (SECONDS - since) / 5)))
lies_told
swap_off
finish "$errors answers ignored, $lines lines in the log, 0 wrong pages"
