# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
# lib-balloon.sh - what the balloon's cases share: targets, sizes, what the host measures.
#
# A case sources this behind lib.sh. Sizes are in MiB unless a name says otherwise. What has been
# freed is never the guest's word here: it's the blocks of the file that is the guest's memory,
# on the host's side, or an emulated confidential guest's private memory.

mib=1048576

# balloon NAME: one of the driver's counters of the balloon; bytes come as MiB.
balloon() {
	case $1 in
	target | released | releasing | floor | lost | taken | returned | rescued) echo $(($(counter "balloon_$1") / mib)) ;;
	*) counter "balloon_$1" ;;
	esac
}
memory_kib() {
	local name kib
	while read -r name kib _; do
		[ "$name" != "$1:" ] || echo "$kib"
	done </proc/meminfo
}
memory() {
	echo $(($(memory_kib "$1") / 1024))
}

# within SECONDS COMMAND...: wait_until, by the clock: where memory is scarce each try takes its time.
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		moment 0.1
	done
}

# ask MIB: the host's target. The guest hears of it in its own time.
ask() {
	asked=$1
	host target "$1M"
}
# heard and done: at the target, or it says why it isn't.
is_settled() {
	[ "$(balloon target)" = "$asked" ] && [ "$(balloon stopped)" != working ]
}
is_reached() {
	[ "$(balloon released)" = "$asked" ] && [ "$(balloon stopped)" = none ]
}
released_at_least() {
	[ "$(balloon released)" -ge "$1" ]
}
released_at_most() {
	[ "$(balloon released)" -le "$1" ]
}
# ask_for MIB SECONDS: what came of it is what the host said. The host's side waits, and not this script,
# whose programs are in the way where memory is scarce. What the guest can't make free for now it may a little
# later, when its programs have touched other pages.
ask_for() {
	local end=$((SECONDS + $2))
	asked=$1
	host_patience=$((2 * $2))
	until host reach "$1M" "$2"; [ "$(host_value exit)" = 0 ]; do
		[ "$(host_value stopped)" = memory ] || break
		[ $SECONDS -lt $end ] || break
		sleep 1
	done
	host_patience=60
}
# reach MIB [SECONDS]: ask, and get it; how long that took is in $took, in seconds.
reach() {
	local start
	start=$(now)
	ask_for "$1" "${2:-60}"
	[ "$(host_value exit)" = 0 ] || fail "asked for $1 MiB: cswapctl ended with $(host_value exit);" \
		"$(host_value stopped), $(($(host_value claimed) / mib)) MiB, and now $(balloon stopped), $(balloon released) MiB"
	took=$(awk -v a="$start" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }')
}
now() {
	local seconds
	read -r seconds _ </proc/uptime
	echo "$seconds"
}

# ---- what it comes to

# Memory that the host has to provide, as it measures it: sets host_kib, and host_absent_kib, what the
# guest has never touched. Of a confidential guest that's its private memory, all of which is there; the file is what it
# shares.
host_measure() {
	host_absent_kib=0 host_kib=0
	! is_cvm || counted || return 0
	if is_cvm; then
		host cvm private-resident-bytes
		host_kib=$(($(host_value private-resident-bytes) / 1024))
		return
	fi
	host freed
	host_absent_kib=$host_said
	host balloon
	host_kib=$(($(host_value files) / 1024))
}
# Until the daemon has answered every RELEASE.
host_has_all() {
	host balloon
	[ "$(host_value claimed)" = "$(counter balloon_released)" ]
}
# expect_freed KIB-BEFORE ABSENT-BEFORE MIB: so much less than before, within 2 %, but for what the guest
# had not touched before, and may have since.
expect_freed() {
	within 30 host_has_all || fail "the daemon knows of $(host_value claimed) bytes"
	! is_cvm || counted || return 0
	host_measure
	freed_kib=$(($1 - host_kib))
	expect "KiB that the guest had not touched" "$2" -lt $((32 * 1024))
	expect "KiB freed on the host for $3 MiB" $(((freed_kib + $2) * 100)) -ge $(($3 * 1024 * 98))
	expect "KiB freed on the host for $3 MiB" $((freed_kib * 100)) -le $(($3 * 1024 * 102))
}
# Every page of the guest is in the host's memory, so that what is freed shows as such: a little
# more than what is free is written, and removed. Needs swap for that little.
touch_all() {
	mkdir -p "$tmp/touch"
	mount -t tmpfs -o size=100% none "$tmp/touch"
	dd if=/dev/zero of="$tmp/touch/file" bs=1M count=$(($(memory MemFree) + 8)) 2>/dev/null ||
		fail "touching the guest's memory"
	umount "$tmp/touch"
}

# What the balloon has let go of is the kernel's a moment later, when it has been converted.
total_is_back() {
	[ "$(memory_kib MemTotal)" = "$total_kib" ] && [ "$(balloon taken)" = "$(balloon returned)" ]
}
# expect_total WHEN: all of the guest's memory is its own again, to the page.
expect_total() {
	within 60 total_is_back || fail "$(memory_kib MemTotal) KiB in MemTotal $1, not $total_kib;" \
		"$(balloon taken) MiB taken, $(balloon returned) returned"
}

# begin_balloon: remembers how much memory there is; end_balloon expects it to be there again.
begin_balloon() {
	total_kib=$(memory_kib MemTotal)
	total=$((total_kib / 1024))
	expect "released at the beginning" "$(balloon released)" = 0
}
end_balloon() {
	reach 0 "${1:-60}"
	expect_total afterwards
	for name in lost event_errors; do
		expect "balloon_$name moved" "$(balloon $name)" = 0
	done
}

# even MIB: made a whole number of blocks.
even() {
	echo $(($1 / 2 * 2))
}

# Free memory that the kernel can use for whatever it likes, in MiB.
unbound_free() {
	awk '/^Node/ { movable = $4 == "Movable" } /pages free/ && !movable { sum += $3 } END { print int(sum / 256) }' /proc/zoneinfo
}

# Memory that can't be swapped: ballast MIB, and it goes again.
ballast() {
	mkdir -p "$tmp/ballast"
	mount -t ramfs none "$tmp/ballast"
	dd if=/dev/zero of="$tmp/ballast/file" bs=1M count="$1" 2>/dev/null || fail "no room for ballast"
}
ballast_gone() {
	umount "$tmp/ballast"
}
