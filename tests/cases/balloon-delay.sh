#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host holds a RELEASE back, and discards the memory only when the guest has been out of memory
# meanwhile.
# Proves: a block whose RELEASE is on its way isn't used again, not even to save a program's life
# (I5, trap A1): the late discard destroys nothing. What hasn't been sent is used, at once.
# Checks: driver-release-hands-off, driver-security-take-back
#
# beds: uml
# slow: uml uml-debug uml-smp vm-newest tdx-newest snp-newest
# timeout: 900
# beside: yes
# run: --faulty-cswapd "--store mem --size 64M --release punch --fault-report @RUN@/report --balloon-fault release-stall"
# run: --module-args "floor=32 brake_percent=0" --allow "(swapstress|balloon-delay.sh) invoked oom-killer"
# run uml: --mem 256M
# run uml-smp: --cpus 2 --queues 2
# run vm: --mem 512M --cpus 2

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

# hog_begin MIB: a program of that size, which is the one to die where one has to. hog_end lets it look
# at its memory, and sets hog_status.
hog_begin() {
	rm -f "$tmp/hog" "$tmp/hog.out"
	mkfifo "$tmp/hog"
	(
		echo 1000 >/proc/self/oom_score_adj
		exec swapstress --mib "$1" --gate "$tmp/hog" >"$tmp/hog.out" 2>&1
	) &
	hog=$!
	within 90 hog_is_settled || fail "the hog neither runs nor dies"
}
hog_is_settled() {
	grep -qs gate "$tmp/hog.out" || ! kill -0 "$hog" 2>/dev/null
}
hog_end() {
	! kill -0 "$hog" 2>/dev/null || : >"$tmp/hog"
	wait $hog
	hog_status=$?
	! grep -q 'wrong=[1-9]' "$tmp/hog.out" || fail "the hog's memory: $(cat "$tmp/hog.out")"
}

# hold MIB: ask for it, and have it on its way or about to be, with no answer.
hold() {
	host arm
	ask "$1"
	within 30 released_at_least "$1" || fail "$(balloon released) MiB taken: $(balloon stopped)"
	host balloon
	expect "bytes that the host has answered for" "$(host_value claimed)" = 0
}
# What was held back is done now, whatever the guest did meanwhile.
let_go() {
	host disarm
	delayed=$((delayed + $(fault 0 ops)))
	within 30 host_has_all || fail "the daemon knows of $(host_value claimed) bytes"
}

is_sent() {
	[ "$(balloon releasing)" != 0 ]
}
# hold_all MIB: all of it on its way. What the guest gathers in more than one go is sent in parts, of
# which only the first is on its way then: it's asked for once more.
hold_all() {
	local tries
	for ((tries = 0; tries < 10; tries++)); do
		hold "$1"
		within 30 is_sent || fail "nothing is sent of $(balloon released) MiB"
		[ "$(balloon releasing)" != "$1" ] || return 0
		let_go
		reach 0
	done
	fail "$1 MiB were never sent in one go"
}

begin_balloon
echo 1 >/proc/sys/vm/overcommit_memory
stress_begin --mib 24 --rounds 2
delayed=0

# Half of it is sent, the other half waits for that: the program lives on what waits.
hold 96
hog_begin $(($(memory MemAvailable) + 16))
rescued=$(balloon rescued)
expect "MiB taken back" "$rescued" -ge 8
let_go
hog_end
expect "the status of a program that wanted what wasn't sent" $hog_status = 0
stress_to_gate
reach 0

# All of it is sent: there's nothing to be had, and the program isn't worth it.
hold_all 60
before=$(balloon rescued)
ooms=$(balloon ooms)
hog_begin $(($(memory MemAvailable) + 36))
expect "times out of memory" "$(balloon ooms)" -gt "$ooms"
expect "MiB taken back of what was sent" $(($(balloon rescued) - before)) = 0
let_go
hog_end
expect "the status of a program that wanted what was sent" $hog_status != 0
stress_end
end_balloon
finish "$delayed RELEASEs held back: of what wasn't sent $rescued MiB were taken back, of what was none; $(figure checked) pages checked, 0 wrong"
