#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# An SNP guest that was left memory which it hasn't accepted yet, as a cloud's firmware leaves most of
# it. Its host asks for more than what is accepted and free.
# Proves: the balloon gives what is, and accepts nothing to give it away, whatever small programs run then, on any
# CPU; the swap beside it works; a program that needs the rest gets it, zeroed; then that can be released as well.
# Variant zones: another zone has plenty of accepted memory, which the balloon gets, and has none accepted in its place.
# Variant scattered: what is accepted and free lies in pieces, so blocks are got by moving what lies there.
# Checks: driver-release-untouched
#
# beds:
# slow: snp-newest snp-6.12
# timeout: 900
# beside: yes
# run: --mem 1280M --cpus 2 --cswapd "--store mem --size 128M" --cvm-args unaccepted=1024
# run: --module-args "floor=48 brake_percent=0 stall_ms=60000" --append efi=noruntime
# variant plain:
# variant zones: --qemu "-M max-ram-below-4g=768M" --append movablecore=384M --env LEAST=320
# variant scattered: --env SCATTER=96

# shellcheck source-path=SCRIPTDIR source=lib-cvm.sh
# shellcheck disable=SC2317	# functions are called by within
. "$(dirname "$0")/lib-cvm.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

unaccepted() {
	memory_kib Unaccepted
}
# The kernel counts blocks of 4 MiB, and accepts 2 MiB behind what it uses as well.
expect_pending() {
	pending=$(($(cvm_value pages-pending) * 4))
	expect "KiB that the emulation says are pending" "$pending" -le "$left"
	expect "KiB that the emulation says are pending" "$pending" -ge $((left - 16 * 1024))
}

in_log 1 'efi: EFI v'
begin_balloon
swap_on

# Two programs' pages take turns in memory, and one of the two programs ends: there are free pages everywhere.
if [ -n "${SCATTER-}" ]; then
	echo never >/sys/kernel/mm/transparent_hugepage/enabled
	mkfifo "$tmp/interleaved"
	swapstress --mib "$SCATTER" --gate "$tmp/interleaved" >"$tmp/interleaved.out" 2>&1 &
	other=$!
	stress_begin --mib "$SCATTER"
	wait_until 60 grep -qs gate "$tmp/interleaved.out" || die "the other program doesn't start"
	kill $other
	wait $other 2>/dev/null
	say "$(tr '\n' ' ' </proc/buddyinfo)"
fi
left=$(unaccepted)
expect "KiB that the kernel hasn't accepted" "$left" -ge $((64 * 1024))
expect_pending

# ---- more than is accepted

cvm_note accepts-4k accepts-2m
ask $((total - 64))
within 200 is_settled || fail "the balloon works on: $(balloon stopped)"
given=$(balloon released)
expect "MiB released" "$given" -gt "${LEAST:-0}"
expect "why no more is" "$(balloon stopped)" = memory
expect "KiB that the kernel hasn't accepted" "$(unaccepted)" = "$left"
expect_moved "acceptances of 2 MiB" accepts-2m = 0
expect_pending

# ---- programs come and go: what they free lies on lists of their CPU, which don't count as free

# (Where blocks come one by one the balloon leaves less than such a program needs, which has some accepted for itself.)
if [ -z "${SCATTER-}" ]; then
	for number in $(seq 20); do
		taskset -c $((number % 2)) dd if=/dev/zero of=/dev/null bs=8M count=1 2>/dev/null || fail "dd"
	done
	within 60 is_settled || fail "the balloon works on: $(balloon stopped)"
	expect "KiB that the kernel hasn't accepted, after 20 programs" "$(unaccepted)" = "$left"
	expect_moved "acceptances of 2 MiB, after 20 programs" accepts-2m = 0
fi

# ---- the rest is for who needs it

if [ -n "${SCATTER-}" ]; then
	expect "blocks got by moving what lay there" "$(balloon moved_blocks)" -gt 0
	stress_end
fi
ask 0
within 100 is_settled || fail "the balloon keeps $(balloon released) MiB"
stress --mib 24 --limit 12 --procs 2 --random 500
expect_clean
ballast $(($(unbound_free) - left / 1024 / 2))
cmp -n "$(stat -c %s "$tmp/ballast/file")" "$tmp/ballast/file" /dev/zero || fail "a program's new memory isn't zeros"
expect "KiB that the kernel hasn't accepted, when a program needed them" "$(unaccepted)" -le $((left * 3 / 4))
ballast_gone
reach "$(even $((given + left / 1024 / 8)))" 200
end_balloon 100
swap_off
host cvm violations pages-implicit pages-stray
expect "violations" "$(host_value violations)" = 0
expect "implicit conversions" "$(host_value pages-implicit)" = 0
expect "private pages that a device touched" "$(host_value pages-stray)" = 0
finish "$((left / 1024)) of $total MiB unaccepted; $given MiB released without them; \
$(figure checked) pages checked, 0 wrong"
