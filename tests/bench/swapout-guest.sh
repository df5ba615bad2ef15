#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# swapout-guest.sh - the guest's half of swapout-bench.
#
# Usage: swapout-guest.sh MIB LIMIT
# A program fills MIB in a memory cgroup of LIMIT MiB and touches nothing twice, with each LRU that the
# kernel has. Prints for each what reclaim had done when it was full: pages that had to go, pages
# written, reclaimed, scanned; the CPU's time in us, all tasks' and the kernel's; STOREs sent.
set -eu
mib=$1 limit=$2
lru_gen=/sys/kernel/mm/lru_gen/enabled
group=/sys/fs/cgroup/filler
disk=/sys/block/${CSWAP_DISK##*/}/cswap
tmp=$(mktemp -d)

# event NAME: of the group's.
event() {
	sed -n "s/^$1 //p" $group/memory.stat
}

# count NAME: of the driver's, which an older one has elsewhere; 0 if it has none.
count() {
	cat "$disk/$1" 2>/dev/null ||
		sed -n "s/^$1 //p" "/sys/kernel/debug/${CSWAP_DISK##*/}/counters" 2>/dev/null | grep . || echo 0
}

cpu() {
	sed -n 's/^usage_usec //p' /sys/fs/cgroup/cpu.stat
}

measure() {
	mkdir $group
	echo $((limit << 20)) >$group/memory.high
	mkfifo "$tmp/gate" "$tmp/said"
	out=$(sed -n 's/^pswpout //p' /proc/vmstat)
	sent=$(count store_requests)
	cpu=$(cpu)
	(
		echo 0 >$group/cgroup.procs
		exec swapstress --mib "$mib" --once --gate "$tmp/gate" >"$tmp/said"
	) &
	filler=$!
	exec 7<"$tmp/said"
	while read -r said <&7 && [ "$said" != gate ]; do
		:
	done
	cpu=$(($(cpu) - cpu))
	echo "lru=$1 needed=$(((mib - limit) * 256)) cpu=$cpu sent=$(($(count store_requests) - sent))" \
		"out=$(($(sed -n 's/^pswpout //p' /proc/vmstat) - out))" \
		"steal=$(event pgsteal) scan=$(event pgscan)"
	: >"$tmp/gate"
	cat <&7 >/dev/null
	exec 7<&-
	wait $filler
	rmdir $group
	rm "$tmp/gate" "$tmp/said"
}

# what a disk on blk-mq has against who writes faster than its medium: these writes end at a copy
{ echo "${WBT_US-0}" >"/sys/block/${CSWAP_DISK##*/}/queue/wbt_lat_usec"; } 2>/dev/null || true
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkswap "$CSWAP_DISK" >/dev/null
swapon "$CSWAP_DISK"
[ ! -e "$lru_gen" ] || echo n >"$lru_gen"
measure classic
if [ -e "$lru_gen" ]; then
	echo y >"$lru_gen"
	measure mglru
fi
swapoff "$CSWAP_DISK"
