#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the guest says of itself, and what it doesn't.
# Proves: no report leaves a guest whose owner has switched them off, and then one does when they are
# on; a target that isn't reached is said to be so, with the reason: the floor, the owner.
#
# beds: uml-debug
# slow: uml uml-smp vm-newest vm-6.1 tdx-newest snp-newest
# timeout: 900
# beside: yes
# run: --cswapd "--store mem --size 64M --release punch --report-period 100"
# run: --module-args "floor=50% reports=0"
# run uml: --mem 256M
# run uml-smp: --cpus 2 --queues 2
#
# Checks: driver-report-owner, driver-security-balloon-owner, device-report-optional

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by within
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

parameters=/sys/module/virtio_cswap/parameters

has_report() {
	host balloon
	[ "$(host_value reports)" != unknown ]
}
# The host has all that were sent.
none_under_way() {
	host balloon
	[ "$(host_value reports)" = "$(counter reports)" ]
}
# Another report than the last that was looked at.
reports_more() {
	host balloon
	[ "$(host_value reports)" != "$reports" ]
}
says() {
	host balloon
	[ "$(host_value stopped)" = "$1" ]
}

begin_balloon
quarter=$(even $((total / 4)))
# The balloon works without a word, and the host knows what was RELEASEd.
ask "$quarter"
within 30 released_at_least "$quarter" || fail "$(balloon released) MiB released: $(balloon stopped)"
within 30 host_has_all || fail "the daemon knows of $(host_value claimed) bytes"
# Some periods long.
sleep 1
! has_report || fail "$(host_value reports) reports came though the owner had switched them off"
expect "reports sent" "$(counter reports)" = 0

echo 1 >$parameters/reports
within 30 says none || fail "the host hears: $(host_value stopped)"
reports=$(host_value reports)
within 10 reports_more || fail "only one report came"
echo 0 >$parameters/reports
# One may have been on its way.
within 30 none_under_way || fail "$(counter reports) reports sent, $(host_value reports) came"
reports=$(host_value reports)
sleep 1
! reports_more || fail "reports go on though the owner has switched them off"
echo 1 >$parameters/reports

# All that there is: the floor.
host reach "${total}M" 60
expect "cswapctl's status at the floor" "$(host_value exit)" = 3
expect "why it stopped: $(host_value stopped)" "$(host_value stopped)" = floor
most=$(balloon released)
expect "MiB released at the floor" "$most" -ge $((total / 2 - 4))
expect "MiB left at the floor" $((total - most)) -ge "$(balloon floor)"

# The owner wants it all back, whatever the host wants.
echo 0 >$parameters/balloon
within 30 released_at_most 0 || fail "$(balloon released) MiB released though it's off"
within 10 says owner || fail "the host hears: $(host_value stopped)"
expect_total "when it's off"
echo 1 >$parameters/balloon
within 30 released_at_least "$most" || fail "on again: $(balloon released) MiB: $(balloon stopped)"
end_balloon
finish "no report while off; the floor at $most of $total MiB is told, the owner's switch is told"
