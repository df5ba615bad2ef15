#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest is told that it was cloned, by the kernel's own notice, while it swaps.
# Proves: a notice alone makes no key, the next store does, and waits for it rather than fail; what was
# stored before stays readable; under a storm and hundreds of notices there is at most one new key a
# second and never more than 16, and nobody is killed for want of memory. (Invariant I4, trap C16.)
# Debian's 6.1 has no such notice: the function isn't among its symbols.
# Checks: driver-seal-clone
#
# beds: vm-newest
# slow: vm-6.12
# timeout: 900
# module: tests/vmfork
# run: --cswapd "--store mem --size 160M" --mem 384M --cpus 2 --queues 2 --module-args "stall_ms=20000"

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

notices=/sys/module/cswap_vmfork/parameters/notices

seconds() {
	cut -d. -f1 /proc/uptime
}
table_full() {
	dmesg | grep -q 'no new key yet (-28)'
}
stores_again() {
	swapstress --mib 1 --pageout >/dev/null 2>&1
	[ "$(counter stores)" -gt "$stores" ]
}

insmod "$MODULE" || die "the kernel has no notice that could be called"
swap_on
# A part that stays out all the time, sealed with the first key.
stress_begin --mib 5 --seed 9 --pageout
expect "keys before" "$(counter keys)" = 1
stores=$(counter stores)
expect "nothing was stored" "$stores" -gt 1000

# 1. One notice: no key before there's a store; then one, which the store waits for.
echo 1 >$notices
in_log 1 'crng reseeded due to virtual machine fork'
expect "keys after a notice, before a store" "$(counter keys)" = 1
swapstress --mib 2 --seed 10 --pageout >"$tmp/after.out" 2>&1 || fail "$(cat "$tmp/after.out")"
expect "keys after a notice and a store" "$(counter keys)" = 2
expect "stores after a notice" "$(counter stores)" -ge $((stores + 512))
expect "stores refused after a notice" "$(counter store_refusals)" = 0

# 2. Notices by the hundred, for ten seconds of a storm.
began=$(seconds)
swapstress --mib 16 --limit 8 --procs 2 --rewrite 50 >"$tmp/storm.out" 2>&1 &
storm=$!
sent=0 most=2 elapsed=0
while [ $elapsed -lt 10 ] && kill -0 $storm 2>/dev/null; do
	echo 20 >$notices
	sent=$((sent + 20))
	keys=$(counter keys)
	[ "$keys" -le "$most" ] || most=$keys
	elapsed=$(($(seconds) - began))
	# two were there, one may be due at once, one more begins with this second
	[ "$keys" -le $((elapsed + 4)) ] || fail "$keys keys after $elapsed s"
	moment 0.2
done
wait $storm
expect "the storm's status" $? = 0
expect "killed for want of memory" "$(dmesg | grep -c 'Killed process')" = 0
say "the storm took $(($(seconds) - began)) s"
grep -q ' wrong=0 ' "$tmp/storm.out" || fail "the storm: $(cat "$tmp/storm.out")"
expect "keys made in the storm" "$most" -gt 2
expect "notices" "$sent" -gt $((10 * most))

# 3. Each key keeps some slot alive: the sixteenth is the last, and then stores fail at once.
held=0
while [ "$(counter keys)" -lt 16 ] && [ $held -lt 20 ]; do
	held=$((held + 1))
	echo 1 >$notices
	mkfifo "$tmp/hold$held"
	swapstress --mib 1 --pageout --gate "$tmp/hold$held" >"$tmp/held$held" 2>&1 &
	wait_until 60 grep -qs gate "$tmp/held$held" || die "holder $held hangs"
done
expect "keys" "$(counter keys)" = 16
before=$(counter store_refusals) stores=$(counter stores)
echo 1 >$notices
swapstress --mib 1 --pageout >/dev/null 2>&1
wait_until 20 table_full || fail "a store found a seventeenth key"
expect "keys when there is no room" "$(counter keys)" = 16
swapstress --mib 1 --pageout >/dev/null 2>&1
expect "stores refused when there is no room" $(($(counter store_refusals) - before)) -gt 0
expect "stores when there is no room" "$(counter stores)" = "$stores"
for number in $(seq $held); do
	: >"$tmp/hold$number"
done
for number in $(seq $held); do
	wait_until 60 grep -qs '^result=' "$tmp/held$number" || fail "holder $number does not end"
	grep -qs ' wrong=0 ' "$tmp/held$number" || fail "holder $number: $(cat "$tmp/held$number")"
done
# Their slots are free, so keys are dropped and there is one again.
wait_until 20 stores_again || fail "no stores although keys could be dropped"

# 4. What the first key sealed.
stress_end
expect "SIGBUS" "$(figure sigbus)" = 0
for name in tampered retries protocol_errors load_errors load_timeouts store_errors kept; do
	expect "$name moved" "$(counter $name)" = 0
done
swap_off
finish "$sent notices, up to $most keys at once, $(counter stores) stores, $(counter store_refusals) refused, $(figure checked) old pages checked, 0 wrong"
