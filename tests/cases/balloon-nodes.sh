#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest with two NUMA nodes.
# Proves: both give alike; a program that a cpuset keeps to one node, and a program that a memory cgroup
# limits, get the balloon to give back nothing in vain, and the first gets what helps it: memory of its node.
#
# beds: vm-newest
# slow: vm-6.12 vm-6.1
# timeout: 900
# beside: yes
# run: --mem 1G --nodes 2 --cpus 2 --cswapd "--store mem --size 64M --release punch"
# run: --module-args "floor=128 brake_percent=0" --allow "invoked oom-killer"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

# node NODE NAME: in KiB.
node() {
	sed -n "s/^Node $1 $2: *\([0-9]*\) kB/\1/p" "/sys/devices/system/node/node$1/meminfo"
}
# In a cgroup of its own: in_group NAME COMMAND...
in_group() {
	local group=/sys/fs/cgroup/$1
	shift
	(echo "$BASHPID" >"$group/cgroup.procs" && exec "$@")
}
oom_kills() {
	awk '$1 == "oom_kill" { print $2 }' /proc/vmstat
}

expect "nodes" "$(cat /sys/devices/system/node/online)" = 0-1
echo 1 >/proc/sys/vm/overcommit_memory
echo "+cpuset +memory" >/sys/fs/cgroup/cgroup.subtree_control || die "no cpuset"
mkdir /sys/fs/cgroup/near /sys/fs/cgroup/small
echo 0 >/sys/fs/cgroup/near/cpuset.mems
echo $((32 * mib)) >/sys/fs/cgroup/small/memory.max
begin_balloon
before0=$(node 0 MemTotal) before1=$(node 1 MemTotal)
target=$(even $((total / 2)))
reach "$target"
given0=$(((before0 - $(node 0 MemTotal)) / 1024)) given1=$(((before1 - $(node 1 MemTotal)) / 1024))
expect "MiB that the nodes gave together" $((given0 + given1)) = "$target"
expect "of these node 0 gave $given0, node 1 $given1" $((given0 - given1)) -le 40
expect "of these node 1 gave $given1, node 0 $given0" $((given1 - given0)) -le 40

# What a memory cgroup lacks nobody else can give.
in_group small swapstress --mib 64 --once >"$tmp/small.out" 2>&1
expect "killed in the memory cgroup" "$(oom_kills)" = 1
expect "MiB given back for a memory cgroup's limit" "$(balloon rescued)" = 0

# Node 0 gives back what it has, and not node 1, which may give more instead.
had1=$(node 1 MemTotal)
wanted=$(($(node 0 MemFree) / 1024 + given0 / 2))
in_group near swapstress --mib "$wanted" --once >"$tmp/near.out" 2>&1 || fail "the program on node 0: $(tail -n 1 "$tmp/near.out")"
expect "killed beside the balloon" "$(oom_kills)" = 1
rescued=$(balloon rescued)
expect "MiB given back to node 0" "$rescued" -gt 0
expect "KiB of node 1" "$(node 1 MemTotal)" -le "$had1"
# More than the node has: the program is killed, and node 1 keeps what it gave.
in_group near swapstress --mib $((before0 / 1024 + 32)) --once >"$tmp/near.out" 2>&1
expect "killed on node 0" "$(oom_kills)" = 2
expect "KiB of node 1 afterwards" "$(node 1 MemTotal)" -le "$had1"
expect "why it stopped: $(balloon stopped)" "$(balloon stopped)" = oom
end_balloon 60
finish "$target MiB of $total: node 0 gave $given0, node 1 $given1; $rescued MiB went back to node 0 for $wanted there, none for a memory cgroup"
