#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host stops answering, for everything, while the guest is short of memory.
# Proves: new stores fail within the stall clock and don't hold up the rest of reclaim: clean page
# cache is still reclaimed and the OOM killer still kills; when the host goes on, so does the guest,
# and every page is right. (Trap A7, invariant I3.)
# Checks: driver-security-stall
#
# beds: uml
# slow: uml-debug uml-smp vm-newest tdx-newest snp-newest
# timeout: 300
# beside: yes
# run: --env MIB=12 --module-args "stall_ms=500"
# run uml: --mem 256M --env BIG=/usr/bin/qemu-system-x86_64
# run vm: --mem 384M --env BIG=/dev/bed/results
# run: --faulty-cswapd "--store mem --size 96M --fault-report @RUN@/report --fault stall"

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

cgroup=/sys/fs/cgroup

swap_on
echo +memory >$cgroup/cgroup.subtree_control
# Pages that are out, before anything is wrong.
stress_begin --mib "$MIB" --pageout
host arm

# 1. Stores fail by the clock, the pages stay where they are.
mkdir $cgroup/mixed
echo $((16 * 1024 * 1024)) >$cgroup/mixed/memory.max
mkfifo "$tmp/hold"
(
	echo 0 >$cgroup/mixed/cgroup.procs
	exec swapstress --mib 8 --gate "$tmp/hold" >"$tmp/writer.out" 2>&1
) &
writer=$!
wait_until 60 grep -qs gate "$tmp/writer.out" || die "the writer hangs"
# Some of it goes out, fewer pages than there are copies in the pool: it's the clock that ends it. The
# kernel may take clean pages of files first.
before=$(counter stores)
goes_out() {
	echo 64K >"$cgroup/mixed/memory.reclaim"
	[ "$(counter stores)" -gt "$before" ]
}
wait_until 60 goes_out || die "nothing of the writer's is swapped out"
# The clock counts time in which the guest ran: it has run out when the next page is refused.
is_refused() {
	moment 0.2
	echo 4K >"$cgroup/mixed/memory.reclaim"
	[ "$(counter store_refusals)" -gt 0 ]
}
wait_until 60 is_refused || fail "no store is refused"
before=$(counter stores)
stress --mib 2 --pageout
# (A write of many pages fails with the first of them.)
expect "stores refused while the host stalled" "$(counter store_refusals)" -gt 50

# 2. In the same group, whose other pages can't be swapped, much more is read than it may have.
(
	echo 0 >$cgroup/mixed/cgroup.procs
	exec dd if="$BIG" of=/dev/null bs=64k count=$((24 * 16)) 2>"$tmp/reader.out"
)
expect "the reader's status" $? = 0
expect "killed in the group" "$(sed -n 's/^oom_kill //p' $cgroup/mixed/memory.events)" = 0
reclaimed=$(awk '/^pgsteal / { print $2 }' $cgroup/mixed/memory.stat)
expect "clean pages reclaimed" "$reclaimed" -gt 3000

# 3. Who has more than the group may have and can't swap is killed, not hung. What the driver sends now
# and then, to see, must be no progress to whoever reclaims.
echo 50 >/sys/module/virtio_cswap/parameters/stall_ms
mkdir $cgroup/hog
echo $((6 * 1024 * 1024)) >$cgroup/hog/memory.max
(
	echo 0 >$cgroup/hog/cgroup.procs
	exec swapstress --mib 24 >"$tmp/hog.out" 2>&1
)
expect "the hog's status" $? != 0
killed=$(sed -n 's/^oom_kill //p' $cgroup/hog/memory.events)
expect "the hog was not killed" "$killed" -gt 0
expect "stores while the host stalled" "$(counter stores)" = "$before"

host disarm
expect "nothing was held back" "$(fault 0 ops)" -gt 0
: >"$tmp/hold"
wait $writer
expect "the writer's status" $? = 0
grep -q ' wrong=0 ' "$tmp/writer.out" || fail "the writer: $(cat "$tmp/writer.out")"
stress_end
for name in tampered protocol_errors load_errors load_timeouts; do
	expect "$name moved" "$(counter $name)" = 0
done
before=$(counter stores)
stress --mib "$MIB" --pageout
expect "nothing was stored afterwards" $(($(counter stores) - before)) -gt 1000
swap_off
finish "$(fault 0 ops) requests held, $(counter store_refusals) stores refused, $reclaimed clean pages reclaimed, $killed killed, 0 wrong pages"
