#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# harness.sh - a daemon and the guest simulator, for scripts that test them: to be sourced, with the
# script's own arguments.
#
# Arguments: DIR [--part=1/2 | --part=2/2] [TEXT]
#   DIR     where cswapd, cswapd-faulty and cswap-sim were built
#   --part  one half of the tests: the halves may run side by side
#   TEXT    only the tests (or suites) whose names contain it

bin=$(cd "$1" && pwd)
halves=12
if [[ ${2:-} == --part=[12]/2 ]]; then
	halves=${2:7:1}
	set -- "$1" "${@:3}"
fi
filter=${2:-}
# ext4 or xfs, so that O_DIRECT and holes are real; /tmp is often a tmpfs.
work=$(mktemp -d "${TMPDIR:-/var/tmp}/cswap-sim.XXXXXX")
socket=$work/socket
number=0 failures=0 skipped=0
daemon='' log_reader='' mounted='' other='' group='' disk=''
sim_options=()
pages=4096	# of the guest
runner=()	# of the daemon
other_runner=()	# of the other daemon
# shellcheck disable=SC2034	# the scripts'
tags_file=(--tags "$work/store.tags")
beside=(:)	# what else a suite needs, when its daemon is there

# The daemon may be slow under sanitizers, but never this slow.
patience_s=${PATIENCE:-60}
# A suite is many tests, each of which has its own patience; its deaths come on top.
suite_s=$((10 * patience_s + 3 * ${KILLS:-0}))

# --- the daemon ---

# start_daemon PROGRAM STORE [OPTION...]: until it says that it's ready
start_daemon() {
	local program=$1 store=$2 line
	shift 2
	rm -f "$socket" "$work/log.fifo"
	mkfifo "$work/log.fifo"
	"${runner[@]}" "$bin/$program" --socket "$socket" --control "$socket.ctl" --store "$store" --queues 4 "$@" \
		2>"$work/log.fifo" >&2 &
	daemon=$!
	exec 9<"$work/log.fifo"
	: >"$work/log"
	while IFS= read -r -t "$patience_s" line <&9; do
		printf '%s\n' "$line" >>"$work/log"
		if [[ $line == *ready:* ]]; then
			cat <&9 >>"$work/log" &
			log_reader=$!
			exec 9<&-
			return 0
		fi
	done
	exec 9<&-
	wait "$daemon" || true
	daemon=''
	echo "# the daemon doesn't start: $(tail -n 1 "$work/log")"
	return 1
}

# stop_daemon [SIGNAL]: its exit code in $stopped
stop_daemon() {
	stopped=0
	[[ -n $daemon ]] || return 0
	kill "-${1:-TERM}" "$daemon" 2>/dev/null || true
	wait "$daemon" 2>/dev/null || stopped=$?
	wait "$log_reader" 2>/dev/null || true
	daemon=''
}

# Sanitizers write where the daemon logs; anything of theirs is a failure.
daemon_is_clean() {
	! grep -E -A 20 'AddressSanitizer|LeakSanitizer|runtime error' "$work/log"
}

# stop_cleanly: SIGTERM must end it with 0, and nothing to complain about
stop_cleanly() {
	stop_daemon TERM
	if [[ $stopped != 0 ]]; then
		echo "# the daemon's exit code is $stopped: $(tail -n 1 "$work/log")"
		return 1
	fi
	daemon_is_clean
}

# How often the log says so.
said() {
	grep -c -- "$1" "$work/log" || true
}

says() { # COUNT TEXT
	(($(said "$2") >= $1))
}

status() {
	"$bin/cswapctl" --socket "$socket.ctl" --json status | json "$1"
}

# What the operator sees.
is_listed() { # TROUBLE
	mkdir -p "$work/run/web1"
	ln -sf "$socket.ctl" "$work/run/web1/control"
	"$bin/cswapctl" --directory "$work/run" list | grep -q ", $1\$"
}

sim() {
	timeout "$patience_s" "$bin/cswap-sim" --socket "$socket" "$@"
}

# with_huge_pages COMMAND...: while there are some, if this machine lets us have them; one at a time, since
# the number is the machine's
with_huge_pages() {
	local knob=/proc/sys/vm/nr_hugepages had
	[[ ! -e $knob ]] || { exec 6<"$knob" && flock 6; }
	had=$(cat "$knob" 2>/dev/null || echo 0)
	((had >= 4)) || echo 4 2>/dev/null >"$knob" || true
	"$@"
	((had >= 4)) || echo "$had" 2>/dev/null >"$knob" || true
	exec 6<&-
}

cleanup() {
	stop_daemon KILL
	[[ -z $group ]] || rmdir "$group" 2>/dev/null || true
	[[ -z $other ]] || kill -KILL "$other" 2>/dev/null || true
	[[ -z $disk ]] || losetup -d "$disk" 2>/dev/null || true
	[[ -z $mounted ]] || umount "$mounted" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

# --- TAP ---

# check NAME FUNCTION [ARG...]: 0 = ok, 77 = skipped ($reason)
check() {
	local name=$1 code=0
	shift
	[[ $name == *"$filter"* ]] || return 0
	number=$((number + 1))
	reason=''
	"$@" || code=$?
	if [[ -n $daemon ]]; then
		stop_daemon KILL
	fi
	case $code in
	0) echo "ok $number - $name" ;;
	77)
		echo "ok $number - $name # SKIP $reason"
		skipped=$((skipped + 1))
		;;
	*)
		echo "not ok $number - $name"
		failures=$((failures + 1))
		;;
	esac
	rm -f "$work"/store* "$work"/state "$work"/report "$work"/out
}

skip() {
	reason=$1
	return 77
}

moment() {
	read -r -t 0.02 <&8 || true
}

# await COMMAND...: until it succeeds; not for ever
await() {
	local end=$((SECONDS + patience_s))
	until "$@" 2>/dev/null; do
		((SECONDS < end)) || complain "never: $*" || return 1
		moment
	done
}

# Numbers of a JSON line: json FIELD, the first; json_after NAME FIELD, in NAME.
json() {
	sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" | head -n 1
}

json_in() {
	sed -n "s/.*\"$1\":{[^}]*\"$2\":\([0-9.]*\).*/\1/p" | head -n 1
}

# The script's two lists of tests, or one of them.
run_halves() {
	[[ $halves != *1* ]] || first_half
	[[ $halves != *2* ]] || second_half
}

# --- suites of the simulator ---

# suite NAME TITLE PROGRAM STORE [OPTION...]: its cases are tests of ours; $sim_options
# are the simulator's
suite() {
	local name=$1 title=$2 line code=0
	shift 2
	[[ "$name: $title" == *"$filter"* ]] || return 0
	start_daemon "$@" || code=1
	((code)) || "${beside[@]}" || code=1
	((code)) || patience_s=$suite_s sim "${sim_options[@]}" "$name" >"$work/out" 2>&1 || code=$?
	while IFS= read -r line; do
		case $line in
		"ok "* | "not ok "*)
			number=$((number + 1))
			[[ $line == ok* ]] || failures=$((failures + 1))
			[[ $line != *"# SKIP"* ]] || skipped=$((skipped + 1))
			echo "${line%%ok *}ok $number - $name: $title: ${line#*- }"
			;;
		"#"*) echo "$line" ;;
		esac
	done <"$work/out"
	check "$name: $title: all cases ran, and the daemon ends" suite_ended
}

# suite_of_two NAME TITLE STORE [OPTION...]: of two daemons, the other one waits for a guest to come
suite_of_two() {
	local name=$1 title=$2 store=$3
	shift 2
	[[ "$name: $title" == *"$filter"* ]] || return 0
	beside=(start_other "$store" "$socket.other" "${@:2}" --incoming)
	suite "$name" "$title" cswapd "$@"
	beside=(:)
	check "$name: $title: the other daemon ends" other_ended
}

# start_other STORE SOCKET [OPTION...]: until it says that it's ready
start_other() {
	local store=$1 at=$2 line
	shift 2
	rm -f "$work/other.fifo"
	mkfifo "$work/other.fifo"
	"${other_runner[@]}" "$bin/cswapd" --socket "$at" --control "$at.ctl" --store "$store" --queues 4 "$@" \
		2>"$work/other.fifo" &
	other=$!
	exec 9<"$work/other.fifo"
	: >"$work/other.log"
	while IFS= read -r -t "$patience_s" line <&9; do
		printf '%s\n' "$line" >>"$work/other.log"
		[[ $line != *ready:* ]] || break
	done
	cat <&9 >>"$work/other.log" &
	exec 9<&-
}

other_ended() {
	local code=0
	kill -TERM "$other" || complain "the other daemon is gone: $(tail -n 1 "$work/other.log")" || return 1
	wait "$other" || code=$?
	other=''
	((code == 0)) || complain "it ends with $code" || return 1
	! grep -E -A 20 'AddressSanitizer|LeakSanitizer|runtime error' "$work/other.log"
}

suite_ended() {
	grep -q '^1\.\.[1-9]' "$work/out" || complain "the simulator was cut short" || return 1
	stop_cleanly
}

# --- a guest's pages ---

# fill and verify: the same guest, by $work/state
fill() {
	sim --pages "$pages" --state "$work/state" --json "$@" fill >"$work/out" 2>&1
}

# shellcheck disable=SC2120	# the scripts pass some
verify() {
	sim --pages "$pages" --state "$work/state" --json "$@" verify >"$work/out" 2>&1
}

# begin_load [OPTION...]: in the background, when the fill is over; its pid in $load
begin_load() {
	coproc LOAD { exec "$bin/cswap-sim" --socket "$socket" --pages "$pages" --state "$work/state" --json "$@" \
		load 2>"$work/load.err"; }
	load=$LOAD_PID
	exec 7<&"${LOAD[0]}"
	local line=''
	IFS= read -r -t "$patience_s" line <&7 || true
	[[ $line == *'"fill"'* ]] || complain "no load: $(cat "$work/load.err")"
}

# end_load: it has ended by itself, and nothing has failed
end_load() {
	local code=0
	cat <&7 >"$work/out"
	exec 7<&-
	wait "$load" || code=$?
	[[ $code == 0 ]] || complain "the load: $code, $(cat "$work/load.err")" || return 1
	! grep -q '"failed":[1-9]' "$work/out" || complain "operations failed"
}

# --- a full file system ---

# What the operator sees of a full disk.
is_listed_full() {
	is_listed "disk full" &&
		"$bin/cswapctl" --socket "$socket.ctl" status | grep -q 'left: FULL'
}
# When the space is given back, which takes its time.
# As soon as the file system has answered.
until_full() {
	local tries
	for ((tries = 0; tries < 1000; tries++)); do
		is_listed_full && return 0
	done
	return 1
}
until_not_full() {
	local tries
	for ((tries = 0; tries < 1000; tries++)); do
		is_listed_full || return 0
		moment
	done
	return 1
}

# In $work/mnt, where less than 32 MiB are left.
full_mounted() {
	local pages=8192 stored lost
	start_daemon cswapd "$work/mnt/store" --size 32M || return 1
	fill --tolerate || complain "fill" || return 1
	lost=$(grep -c '^slot .* nospc$' "$work/out" || true)
	stored=$(json_in out ops <"$work/out")
	((lost > 0 && stored > 1000 && lost + stored == pages)) ||
		complain "$stored stored, $lost without space" || return 1
	verify || complain "verify" || return 1
	[[ $(json_in in ops <"$work/out") == "$stored" ]] || complain "not all acked pages" || return 1
	until_full || complain "the operator isn't told" || return 1
	sim --pages "$pages" --state "$work/state" --start 0 --count "$pages" discard || return 1
	until_not_full || complain "the operator is told that it's full still" || return 1
	rm "$work/state"
	pages=2048
	fill && verify || complain "the store after a discard" || return 1
	stop_cleanly
}

complain() {
	echo "# $1"
	tail -n 3 "$work/out" 2>/dev/null | sed 's/^/# /'
	return 1
}

exec 8<> <(:)	# never readable: for read -t

# The plan, and the end.
finish() {
	echo "1..$number"
	echo "# $number tests, $failures failed, $skipped skipped, ${SECONDS} s"
	[[ $failures == 0 && $number -gt 0 ]]
}
