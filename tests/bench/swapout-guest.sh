#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# swapout-guest.sh - the guest's half of swapout-bench.
#
# Usage: swapout-guest.sh MIB LIMIT
# A program fills MIB in a memory cgroup of LIMIT MiB and touches nothing twice, with each LRU that the
# kernel has. Prints for each what reclaim did: pages that had to go, pages written, reclaimed, scanned.
set -eu
mib=$1 limit=$2
lru_gen=/sys/kernel/mm/lru_gen/enabled

# The sum of the lines of /proc/vmstat that begin with $1 and aren't about one kind of page.
events() {
	awk -v name="$1" '$1 ~ "^" name "(_kswapd|_direct|_khugepaged|_proactive)?$" { sum += $2 }
		END { print sum + 0 }' /proc/vmstat
}

measure() {
	out=$(events pswpout) steal=$(events pgsteal) scan=$(events pgscan)
	start=$(cut -d ' ' -f 1 /proc/uptime)
	swapstress --mib "$mib" --limit "$limit" --once >/dev/null
	echo "lru=$1 needed=$(((mib - limit) * 256)) out=$(($(events pswpout) - out))" \
		"steal=$(($(events pgsteal) - steal)) scan=$(($(events pgscan) - scan))" \
		"seconds=$(awk -v a="$start" '{ print $1 - a }' /proc/uptime)"
}

mkswap "$CSWAP_DISK" >/dev/null
swapon "$CSWAP_DISK"
[ ! -e "$lru_gen" ] || echo n >"$lru_gen"
measure classic
if [ -e "$lru_gen" ]; then
	echo y >"$lru_gen"
	measure mglru
fi
swapoff "$CSWAP_DISK"
