# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# lib.sh - what the cases share: the disk, its counters, the stress program, the host's side.
#
# A case sources this, does what it does, and ends with `finish SUMMARY`. Whatever doesn't hold is
# said by `expect` or `fail`, and the case goes on as far as it can: one run shall say all that is
# wrong. What can't be gone on from is said by `die`.

disk=${CSWAP_DISK:-/dev/cswap0}
stats=/sys/block/${disk##*/}/cswap
tmp=${TMPDIR:-/tmp}
failures=0
[ -p "$tmp/moment" ] || mkfifo "$tmp/moment"

# moment SECONDS: sleep without a process, whose birth may take longer than the sleep. Nobody writes to the
# pipe.
moment() {
	read -rt "$1" <>"$tmp/moment" || :
}

say() {
	echo "# $*"
}
fail() {
	failures=$((failures + 1))
	echo "wrong: $*"
}
die() {
	fail "$*"
	sed 's/^/# stress: /' "$tmp/stress.all" 2>/dev/null
	exit 1
}
# expect WHAT TEST...: `test` with these arguments must hold.
expect() {
	local what=$1
	shift
	test "$@" || fail "$what (not: $*)"
}
# What must always hold is checked here once more, whatever the case did.
finish() {
	[ $failures = 0 ] || say "counters: $(counters)"
	echo "summary: $*"
	[ $failures = 0 ] || exit 1
	exit 0
}
skip() {
	echo "summary: $*"
	exit 4
}

# wait_until SECONDS COMMAND...: for what the kernel does in its own time and has no event for; on a slow
# machine up to three times as long.
wait_until() {
	local tries=$(($1 * 60))
	shift
	while ! "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		moment 0.05
	done
}

# ---- the driver's counters

# One of the owner's, or of those for engineers.
counter() {
	local name value
	if [ -e "$stats/$1" ]; then
		read -r value <"$stats/$1"
		echo "$value"
		return
	fi
	while read -r name value; do
		[ "$name" != "$1" ] || echo "$value"
	done <"/sys/kernel/debug/${disk##*/}/counters"
}
counter_is() {
	[ "$(counter "$1")" = "$2" ]
}
counters() {
	local file
	for file in "$stats"/*; do
		printf '%s=%s ' "${file##*/}" "$(cat "$file")"
	done
	tr ' \n' '= ' <"/sys/kernel/debug/${disk##*/}/counters"
}
# Nothing that came back, and nothing that was sent, may have been other than good.
expect_clean() {
	local name
	for name in tampered retries protocol_errors load_errors load_timeouts store_errors store_refusals kept; do
		expect "$name moved" "$(counter $name)" = 0
	done
	expect "nothing was stored" "$(counter stores)" -gt 0
	expect "nothing was loaded from the device" "$(counter loads)" -gt 0
}
# in_log COUNT-OR-MORE REGEX: the kernel said so.
in_log() {
	[ "$(dmesg | grep -cE "$2")" -ge "$1" ] || fail "the kernel's log doesn't have $1 of: $2"
}

# is_cvm: is this a confidential guest?
is_cvm() {
	[ "$CSWAP_BED" = tdx ] || [ "$CSWAP_BED" = snp ]
}

# counted: does anybody count what it converts? Real hardware doesn't (tests/hardware).
counted() {
	[ "${CSWAP_CVM_BY-}" = emulation ]
}

# ---- swap

# The disk is swap, of $swap_priority if that is set, and with $swap_options, a word or none.
swap_on() {
	mkswap "$disk" >/dev/null || die "mkswap"
	swapon ${swap_options:+"$swap_options"} -p "${swap_priority:-10}" "$disk" || die "swapon"
}
swap_off() {
	swapoff "$disk" || fail "swapoff"
}

# KASAN keeps freed objects in quarantine, and empties it only when somebody allocates who may
# sleep. The swap core takes an object for each page, and often nobody else allocates: without this
# the quarantine, not the data, fills the memory. Ends with `kill $emptier`.
empty_quarantine() {
	while :; do
		read -r _ </proc/version
		moment 0.1
	done &
	# shellcheck disable=SC2034	# for the case
	emptier=$!
}

# ---- the stress program: content that proves itself

# stress ARG...: run it; its figures are then had by `figure`.
stress() {
	swapstress "$@" >"$tmp/stress.out" 2>"$tmp/stress.err"
	stress_status=$?
	cat "$tmp/stress.out" "$tmp/stress.err" >"$tmp/stress.all"
	stress_judge
}
# stress_wait PID: the same for one that was started in the background, into $tmp/stress.out and .err.
stress_wait() {
	wait "$1"
	stress_status=$?
	cat "$tmp/stress.out" "$tmp/stress.err" >"$tmp/stress.all"
	stress_judge
}
stress_judge() {
	[ "$stress_status" = 0 ] || {
		fail "swapstress ended with $stress_status"
		sed 's/^/# stress: /' "$tmp/stress.all"
	}
	[ "$(figure wrong)" = 0 ] || fail "pages with wrong content: $(figure wrong)"
	[ "$(figure checked)" -gt 0 ] || fail "no page was checked"
}
figure() {
	tr ' ' '\n' <"$tmp/stress.all" | sed -n "s/^$1=//p" | tail -n 1 | grep . || echo 0
}

# stress_begin ARG...: run it in the background up to its first gate. stress_to_gate opens a gate
# and waits for the next, stress_end opens the last one and waits for the end.
stress_begin() {
	rm -f "$tmp/gate" "$tmp/said"
	mkfifo "$tmp/gate" "$tmp/said"
	: >"$tmp/stress.all"
	swapstress --gate "$tmp/gate" "$@" >"$tmp/said" 2>"$tmp/stress.err" &
	stress_pid=$!
	exec 7<"$tmp/said"
	stress_await
}
stress_await() {
	while read -r said <&7; do
		[ "$said" = gate ] && return
		echo "$said" >>"$tmp/stress.all"
	done
	cat "$tmp/stress.err" >>"$tmp/stress.all"
	die "swapstress ended before its gate"
}
stress_to_gate() {
	: >"$tmp/gate"
	stress_await
	# A swapped page of its own, that the host damages, would end the check and not the page.
	expect "swapstress's own memory is swapped" "$(awk '/^VmSwap/ { print $2 }' "/proc/$stress_pid/status")" = 0
}
stress_end() {
	stress_collect
	stress_judge
}
# stress_end_lost: the same when the device is no more. It may find no page at all, and then says that
# it failed; what it finds must be right.
stress_end_lost() {
	stress_collect
	expect "pages with wrong content" "$(figure wrong)" = 0
	expect "pages found or given up" $(($(figure checked) + $(figure sigbus))) -gt 0
}
stress_collect() {
	: >"$tmp/gate"
	cat <&7 >>"$tmp/stress.all"
	exec 7<&-
	wait "$stress_pid"
	stress_status=$?
	cat "$tmp/stress.err" >>"$tmp/stress.all"
}

# ---- the host's side: tests/cases/host answers

# host WORD...: have it done; what it says is in $host_said. See tests/cases/host for the words.
# Whoever asks for something that takes its time sets host_patience, in seconds.
host_number=0
host_patience=60
host() {
	host_number=$((host_number + 1))
	if [ "$CSWAP_BED" = uml ]; then
		echo "$*" >"$CSWAP_RUN/ask.new"
		mv "$CSWAP_RUN/ask.new" "$CSWAP_RUN/ask"
		wait_until "$host_patience" test -e "$CSWAP_RUN/answer" || die "the host's side doesn't answer"
		read -r host_said <"$CSWAP_RUN/answer"
		rm "$CSWAP_RUN/answer"
	else
		[ -e "$tmp/tty" ] || {
			stty -F /dev/ttyS2 raw -echo
			: >"$tmp/tty"
		}
		exec 8<>/dev/ttyS2
		echo "$*" >&8
		read -r host_said <&8 || die "the host's side doesn't answer"
		exec 8>&-
	fi
	case $host_said in
	ok) ;;
	"ok "*) host_said=${host_said#ok } ;;
	*) die "the host's side failed to do $*: $host_said" ;;
	esac
}
# host_value NAME: of a NAME=VALUE in what the host said last.
host_value() {
	local word
	for word in $host_said; do
		case $word in
		"$1="*) echo "${word#*=}" && return ;;
		esac
	done
}

# fault INDEX NAME: of the Nth fault in the report that `host arm` or `disarm` brought, ops or slots.
fault() {
	local word left=$1
	for word in $host_said; do
		case $word in
		"$2="*) [ $((left--)) != 0 ] || { echo "${word#*=}" && return; } ;;
		esac
	done
	echo 0
}
# fault_struck [MORE]: the first fault has, more often than MORE times (0). It stays armed.
fault_struck() {
	host arm
	[ "$(fault 0 ops)" -gt "${1:-0}" ]
}
# is_discarded SLOTS: the device has forgotten so many, or more, since it appeared.
is_discarded() {
	[ "$(counter discards)" -ge "$1" ]
}
