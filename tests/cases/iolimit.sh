#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A cgroup may read and write little of the disk in a second (io.max), and swaps more.
# Proves: the kernel's limit is of the disk as of any other: the group's pages take the time that the limit says,
# nobody hangs, and every page is right. Others swap meanwhile.
#
# slow: vm-newest vm-6.12
# timeout: 400
# run: --cswapd "--store mem --size 96M" --mem 384M --cpus 2 --queues 2

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cgroup=/sys/fs/cgroup

swap_on
echo "+memory +io" >$cgroup/cgroup.subtree_control || skip "this kernel has no limits of I/O"
mkdir $cgroup/slow
[ -e $cgroup/slow/io.max ] || skip "this kernel has no limits of I/O"
number=$(cat "/sys/block/${disk##*/}/dev")
echo $((8 << 20)) >$cgroup/slow/memory.high
echo "$number rbps=2097152 wbps=2097152" >$cgroup/slow/io.max || die "no limit can be set"
began=$SECONDS
(
	echo 0 >$cgroup/slow/cgroup.procs
	exec swapstress --mib 16 >"$tmp/slow.out" 2>&1
) &
slow=$!
stress --mib 12 --pageout
wait $slow || fail "the slow one ended with $?"
grep -q ' wrong=0 ' "$tmp/slow.out" || fail "the slow one: $(cat "$tmp/slow.out")"
written=$(sed -n "s/^$number .*wbytes=\([0-9]*\).*/\1/p" $cgroup/slow/io.stat)
expect "bytes that the slow one wrote" "${written:-0}" -gt $((4 << 20))
# A second less than the limit says: the clock counts whole seconds, and the first tenth of one is free.
expect "seconds that it took" $((SECONDS - began)) -ge $((written / 2097152 - 1))
expect_clean
rmdir $cgroup/slow
swap_off
finish "$(counter stores) pages stored, $(counter loads) loaded, some of them slowly"
