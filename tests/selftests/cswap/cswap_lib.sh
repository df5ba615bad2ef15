#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# cswap_lib.sh - what the cswap selftests share: TAP, the disk, its counters.
#
# A test is a script that sources this, calls ktap_begin, then pass, fail, skip or check for each
# thing it tried, and ktap_end. The disk is $CSWAP_DISK, /dev/cswap0 by default; without it
# everything is skipped. What a test changes it changes back when it exits.

disk=${CSWAP_DISK:-/dev/cswap0}
here=$(dirname "$0")
PATH=$here:$PATH
counters=/sys/block/${disk##*/}/cswap

cases=0 failures=0
cleanups=

at_exit() {
	cleanups="$1
$cleanups"
}
run_cleanups() {
	eval "$cleanups"
}
trap run_cleanups EXIT
trap 'exit 1' INT TERM

# skip_all REASON: nothing of this test can run here.
skip_all() {
	echo "1..0 # SKIP $*"
	exit 4
}

ktap_begin() {
	echo "TAP version 13"
	[ -b "$disk" ] || skip_all "there is no $disk"
	[ "$(id -u)" = 0 ] || skip_all "must be root"
	[ -d "$counters" ] || skip_all "$disk has no counters: not a cswap disk"
	# zswap would keep pages from the disk.
	if [ "$(cat /sys/module/zswap/parameters/enabled 2>/dev/null)" = Y ]; then
		at_exit 'echo Y >/sys/module/zswap/parameters/enabled'
		echo N >/sys/module/zswap/parameters/enabled
	fi
}
pass() {
	cases=$((cases + 1))
	echo "ok $cases $*"
}
fail() {
	cases=$((cases + 1))
	failures=$((failures + 1))
	echo "not ok $cases $*"
}
skip() { # NAME REASON
	cases=$((cases + 1))
	echo "ok $cases $1 # SKIP $2"
}
# check NAME COMMAND...: the command succeeds.
check() {
	check_name=$1
	shift
	if "$@"; then pass "$check_name"; else fail "$check_name"; fi
}
ktap_end() {
	echo "1..$cases"
	[ "$failures" = 0 ] || exit 1
	exit 0
}

counter() {
	cat "$counters/$1"
}
# since NAME BEFORE: how much a counter has grown.
since() {
	echo $(($(counter "$1") - $2))
}

in_use() {
	grep -q "^$disk " /proc/swaps
}
# Some of busybox's swapons know no priorities.
swap_on() {
	swapon -p 32767 "$disk" 2>/dev/null || swapon "$disk"
}
# The disk is swap, before all other, until the test ends; as it is, if it was already.
swap_begin() {
	in_use && return 0
	mkswap "$disk" >/dev/null && swap_on
	# A disk that is there and can't be used is no reason to skip.
	if ! in_use; then
		fail "can't use $disk as swap"
		ktap_end
	fi
	at_exit "swapoff '$disk'"
}

# Nothing that came back may have been wrong: the counters that must not move.
bad_counters="tampered retries protocol_errors load_errors load_timeouts store_errors"
bad_begin() {
	bad_before=$(for bad in $bad_counters; do counter "$bad"; done)
}
# Names what has moved.
bad_end() {
	[ "$bad_before" = "$(for bad in $bad_counters; do counter "$bad"; done)" ] && return 0
	for bad in $bad_counters; do echo "# $bad is now $(counter "$bad")"; done
	return 1
}

# How much to swap, in MiB: $CSWAP_MIB, or a tenth of free memory, 4..8. More takes long in
# emulators.
some_mib() {
	mib=${CSWAP_MIB:-$(awk '/^MemAvailable:/ { print int($2 / 10240) }' /proc/meminfo)}
	[ "$mib" -ge 4 ] || mib=4
	[ -n "$CSWAP_MIB" ] || [ "$mib" -le 8 ] || mib=8
	# The disk has to take it four times.
	room=$(($(cat "/sys/block/${disk##*/}/size") / 2048 / 4))
	[ "$mib" -le "$room" ] || mib=$room
	[ "$mib" -ge 1 ] || mib=1
	echo "$mib"
}

# wait_until SECONDS COMMAND...: for what the kernel does in its own time, and has no event for.
wait_until() {
	tries=$(($1 * 10))
	shift
	while ! "$@"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.1
	done
}
