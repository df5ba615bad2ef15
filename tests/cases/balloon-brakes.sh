#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest with two NUMA nodes and its brakes on has given up half of its memory, when a program that a cpuset keeps to
# one node works on more than that node has left.
# Proves: the guest takes memory back by itself, without an OOM and without the host's leave, and the node that
# lacks it gets some; the program's pages are right. The figures are how often the brakes tripped, and what came back to which node.
#
# beds: vm-newest
# slow: vm-6.12 vm-6.1
# timeout: 900
# beside: yes
# run: --mem 1G --nodes 2 --cpus 2 --queues 2 --cswapd "--store mem --size 512M --release punch"
# run: --module-args "floor=128"

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by within
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

# node NODE NAME: in MiB.
node() {
	echo $(($(sed -n "s/^Node $1 $2: *\([0-9]*\) kB/\1/p" "/sys/devices/system/node/node$1/meminfo") / 1024))
}
has_braked() {
	[ "$(balloon brakes)" -gt 0 ]
}
gains() {
	[ "$(node 0 MemTotal)" -gt "$left0" ]
}

echo "+cpuset" >/sys/fs/cgroup/cgroup.subtree_control || die "no cpuset"
mkdir /sys/fs/cgroup/near
echo 0 >/sys/fs/cgroup/near/cpuset.mems
swap_on
begin_balloon
target=$(even $((total / 2)))
reach "$target"
left0=$(node 0 MemTotal) left1=$(node 1 MemTotal)
# It works on half as much again as its node has left.
need=$(($(node 0 MemFree) * 3 / 2))
(echo "$BASHPID" >/sys/fs/cgroup/near/cgroup.procs &&
	exec swapstress --mib "$need" --rounds 1000 --rewrite 20) >"$tmp/near.out" 2>&1 &
near=$!
within 300 has_braked || fail "no brake has tripped: $(balloon stopped), $(balloon released) MiB"
within 300 gains || fail "node 0 has $left0 MiB as before; $(balloon released) MiB are still released"
back0=$(($(node 0 MemTotal) - left0)) back1=$(($(node 1 MemTotal) - left1))
trips=$(balloon brakes)
kill -0 $near || fail "the program ended: $(tail -n 1 "$tmp/near.out")"
kill $near
wait $near 2>/dev/null
expect "programs killed for lack of memory" "$(awk '$1 == "oom_kill" { print $2 }' /proc/vmstat)" = 0
expect "why there isn't more: $(balloon stopped)" "$(balloon stopped)" = pressure
end_balloon 120
expect_clean
swap_off
finish "$target MiB of $total released; a program of $need MiB on node 0, which had $left0: $trips trips of the brakes, $(balloon ooms) OOMs, $back0 MiB back to node 0, $back1 to node 1"
