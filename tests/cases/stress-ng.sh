#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# stress-ng's stressors of virtual memory, in a cgroup that has less than they use.
# Proves: programs that aren't ours and check their own memory (vm with all its patterns, madvise, mmap
# and its variants, pageswap) find it as they left it, when it has been to the device and back all the time.
#
# slow: uml uml-smp vm-newest vm-6.12 vm-6.1
# timeout: 900
# guest-programs: stress-ng
# run uml: --mem 384M
# run vm: --mem 512M --cpus 2 --queues 2
# run: --cswapd "--store mem --size 256M"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

group=/sys/fs/cgroup/stress-ng

# stressed NAME OPTION...: for some seconds, with 40 MiB where 100 are used.
stressed() {
	local name=$1
	shift
	(
		echo 0 >$group/cgroup.procs
		exec stress-ng --temp-path "$tmp" --oom-avoid --verify --timeout 15s "$@"
	) >"$tmp/$name" 2>&1 || {
		fail "stress-ng $name"
		tail -n 20 "$tmp/$name"
	}
}

swap_on
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir $group
echo $((40 << 20)) >$group/memory.high
stressed vm --vm 2 --vm-bytes 50M --vm-method all --vm-keep
out=$(counter stores)
expect "pages swapped by vm" "$out" -gt 5000
stressed madvise --madvise 2 --vm 1 --vm-bytes 64M
# Its stressor "swap" makes swap of files of its own, and would try those; this one is of the disk.
out=$(counter stores)
stressed pageswap --pageswap 2
expect "pages swapped by pageswap" $(($(counter stores) - out)) -gt 500
# Without --mmap-odirect: the files are in a tmpfs, which takes O_DIRECT since 6.6 only.
stressed mmap --mmap 2 --mmap-bytes 50M
for name in tampered protocol_errors load_errors store_errors load_timeouts; do
	expect "$name moved" "$(counter $name)" = 0
done
rmdir $group
swap_off
finish "$(counter stores) pages stored and $(counter loads) loaded under stress-ng, none of them wrong"
