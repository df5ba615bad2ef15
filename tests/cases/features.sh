#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A device that offers what the driver has no use for, and one that offers nothing but the store.
# Proves: the driver accepts neither indirect descriptors nor in-order use, which it couldn't keep; what
# wasn't agreed on it doesn't send: no DISCARD, RELEASE, RECLAIM, EVENT or REPORT.
# Checks: driver-feature-in-order, driver-feature-indirect, driver-ctrl-negotiated
#
# beds: uml
# slow: uml-debug
# timeout: 240
# beside: yes
# run: --module-args "brake_percent=0" --mem 256M
# variant more: --faulty-cswapd "--store mem --size 48M --release punch --bad-config offer=28 --bad-config offer=35" --env WANTED=1110
# variant less: --faulty-cswapd "--store mem --size 48M --release punch --bad-config withhold=0 --bad-config withhold=1 --bad-config withhold=2" --env WANTED=0000

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

features=$(cat "/sys/block/${disk##*/}/device/features")
expect "DISCARD, BALLOON, REPORT accepted" "${features:0:3}" = "${WANTED:0:3}"
expect "VERSION_1 accepted" "${features:32:1}" = 1
expect "INDIRECT_DESC accepted" "${features:28:1}" = 0
expect "IN_ORDER accepted" "${features:35:1}" = 0

swap_on
# Slots that are freed, a target, and time for a report.
ask 16
stress --mib 16 --limit 6 --procs 2 --rounds 2 --rewrite 50
expect_clean
swap_off
host status
told=$host_said
# host_number NAME: of what the daemon says about itself.
host_number() {
	sed -n "s/.*\"$1\":\([0-9]*\)[,}].*/\1/p" <<<"$told" | grep . || fail "the daemon doesn't tell its $1"
}
expect "requests that the device refused" "$(host_number errors_invalid)" = 0
if [ "$WANTED" = 0000 ]; then
	expect "slots discarded" "$(host_number discarded_pages)" = 0
	expect "bytes released" "$(host_number released_bytes)" = 0
	expect "slots that the driver discarded" "$(counter discards)" = 0
	for name in released requests events; do
		expect "balloon_$name" "$(balloon $name)" = 0
	done
	expect "reports" "$(counter reports)" = 0
else
	expect "slots discarded" "$(host_number discarded_pages)" -gt 0
	within 30 released_at_least 16 || fail "$(balloon released) MiB released: $(balloon stopped)"
	reach 0
fi
finish "features ${features:0:40}, $(figure checked) pages checked, 0 wrong"
