#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Hundreds of readers wait for pages that the host keeps back, more than may be asked for at once, and
# others are short of memory and swap to the same device; then the device is reset, and the rings stay
# deleted for as long as they like (tests/kmod/reset).
# Proves: reads take nothing that a write needs, and a write waits for no read: stores go on, and the
# OOM killer isn't held up; nor is it while there are no rings. When the host answers, every read ends,
# and every page is right. (Invariant I3.)
# Checks: driver-security-stall
#
# beds: uml uml-debug
# slow: uml-debug uml-smp
# timeout: 300
# beside: yes
# module: tests/kmod/reset
# run: --env MIB=6 --env READERS=200 --env READERS_AT=16384 --mem 256M --module-args "stall_ms=500 load_timeout_s=0"
# run uml-smp: --cpus 2
# run: --allow "blocked for more"
# run: --faulty-cswapd "--store mem --size 96M --fault-report @RUN@/report --fault stall:slots=16384-24575"

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-late.sh
. "$(dirname "$0")/lib-late.sh"

cgroup=/sys/fs/cgroup
parameters=/sys/module/cswap_reset/parameters

group() {
	mkdir "$cgroup/$1"
	echo $(($2 * 1024 * 1024)) >"$cgroup/$1/memory.max"
}
# in_group NAME ARG...: swapstress, in that group.
in_group() {
	echo 0 >"$cgroup/$1/cgroup.procs"
	exec swapstress "${@:2}" >"$tmp/$1.out" 2>&1
}
# Two thousand of the writer's pages are out: many times what the pool holds.
goes_out() {
	echo 128K >"$cgroup/writer/memory.reclaim"
	out=$(($(counter stores) - before))
	[ "$out" -gt 2000 ]
} 2>/dev/null
has_ended() {
	[ ! -d "/proc/$hog" ]
}
# hog NAME: who has more than the group may have is killed, not hung.
hog() {
	in_group "$1" --mib 24 &
	hog=$!
	wait_until 60 has_ended || {
		echo 0 >$parameters/hold
		host disarm
		die "the hog $1 hangs"
	}
	wait $hog && fail "the hog $1 was not killed"
	expect "killed in the group $1" "$(sed -n 's/^oom_kill //p' "$cgroup/$1/memory.events")" -gt 0
}
rings_are_gone() {
	[ "$(cat "$parameters/gone")" -gt 0 ]
}
is_reset() {
	[ "$(counter resets)" = 1 ]
}

insmod "$MODULE" || die "insmod $MODULE"
late_fill
# The readers' pages lie behind it.
mkswap "$disk" $((READERS_AT * 4)) >/dev/null || die "mkswap"
swapon -p 10 "$disk" || die "swapon"
echo +memory >$cgroup/cgroup.subtree_control
group writer 64
mkfifo "$tmp/hold"
in_group writer --mib 16 --gate "$tmp/hold" &
writer=$!
wait_until 60 grep -qs gate "$tmp/writer.out" || die "the writer hangs"

# 1. Stores go on, and who may not have more swap is killed.
host arm
late_start 1
wait_until 60 late_waits || fail "not all readers wait for the host"
before=$(counter stores)
wait_until 60 goes_out || fail "only $(cat "$cgroup/writer/memory.swap.current") bytes go out beside the readers"
out=$(($(counter stores) - before))
expect "pages stored beside the readers" $out -gt 2000
group swaps 6
echo $((8 << 20)) >$cgroup/swaps/memory.swap.max
hog swaps
late_waits || fail "the readers don't wait any more"
expect "pages read meanwhile" "$(counter load_timeouts)" = 0

# 2. There are no rings.
echo 1 >$parameters/hold
echo 1 >$parameters/ask
wait_until 20 rings_are_gone || fail "the rings are still there"
echo 50 >/sys/module/virtio_cswap/parameters/stall_ms
group ringless 6
hog ringless
late_waits || fail "the readers don't wait any more"
expect "stores refused" "$(counter store_refusals)" -gt 0
echo 0 >$parameters/hold
wait_until 60 is_reset || fail "it was not reset"

# 3. All is answered.
echo 2000 >/sys/module/virtio_cswap/parameters/stall_ms
host disarm
expect "requests held back" "$(fault 0 ops)" -gt 0
late_end 60 || die "a read doesn't end"
expect "reads that failed" "$failed" = 0
: >"$tmp/hold"
wait $writer
expect "the writer's status" $? = 0
grep -q ' wrong=0 ' "$tmp/writer.out" || fail "the writer: $(cat "$tmp/writer.out")"
for name in tampered retries protocol_errors load_errors load_timeouts store_errors; do
	expect "$name moved" "$(counter $name)" = 0
done
swap_off
rmmod virtio_cswap || die "rmmod"
rmmod cswap_reset || die "rmmod cswap_reset"
finish "$READERS readers were kept waiting: $out pages stored beside them, two hogs killed, 0 wrong pages"
