#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A host that wants a report each millisecond, and then answers neither REPORT nor EVENT.
# Proves: the guest reports at a pace of its own, and no more than one REPORT and one EVENT are ever
# under way: a host that holds them back gathers none. When the REPORT is answered there is another.
# Checks: driver-report-one, driver-report-period, driver-event-one
#
# beds: uml
# slow: uml-debug vm-newest
# timeout: 240
# beside: yes
# run: --faulty-cswapd "--store mem --size 48M --release punch --fault-report @RUN@/report --bad-config report_period_ms=1 --balloon-fault report-stall --balloon-fault event-never"
# run: --module-args "brake_percent=0"
# run uml: --mem 256M

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by within
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

# What the driver allows itself: a report each 100 ms.
least_ms=100
reports_at_least() {
	[ "$(counter reports)" -ge "$1" ]
}
uptime_ms() {
	awk '{ print int($1 * 1000) }' /proc/uptime
}
# Until so many periods have passed.
periods_pass() {
	local until_ms=$(($(uptime_ms) + $1 * least_ms))
	while [ "$(uptime_ms)" -lt "$until_ms" ]; do
		stress --mib 2 --pageout
	done
}

swap_on
ask 8
within 60 is_reached || fail "asked for 8 MiB: $(balloon released), $(balloon stopped)"
# However often it's wanted. The first of them may have been sent just before the clock was read.
first=$(counter reports)
began=$(uptime_ms)
within 60 reports_at_least $((first + 20)) || fail "only $(counter reports) reports"
sent=$(($(counter reports) - first))
took=$(($(uptime_ms) - began))
expect "ms for $sent reports" $took -ge $(((sent - 1) * least_ms))

host arm
before=$(counter reports)
# The one EVENT that waits is taken, and nothing said; none is left for the others.
for size in 10 12 14 16; do
	ask $size
	periods_pass 5
done
expect "reports sent while one was held back" "$(counter reports)" -le $((before + 2))
held=$(counter reports)
expect "the target of before, in MiB" "$(balloon target)" = 8
host disarm
expect "REPORTs under way at once" "$(fault 0 ops)" = 1
expect "EVENTs under way at once" "$(fault 1 ops)" = 1
within 60 reports_at_least $((held + 2)) || fail "no report after the one held back"
expect_clean
swap_off
finish "$sent reports in $took ms, though wanted each ms; one REPORT and one EVENT held back, no other came"
