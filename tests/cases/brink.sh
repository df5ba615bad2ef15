#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# No free page: more data than the whole guest has memory for, without a memory cgroup, so that
# kswapd and everybody's direct reclaim swap; and the kernel's allocations fail at random on
# the way, in the tasks that swap out and in.
# Proves: neither path allocates, or waits for who allocates (I3, trap A3): nothing hangs, no page is
# lost, no request fails.
# Checks: driver-security-progress
#
# beds: uml
# slow: vm-newest uml-debug uml-smp vm-6.12 vm-6.1 tdx-newest snp-newest tdx-6.12 snp-6.12
# timeout: 360
# run: --cswapd "--store mem --size 96M"
# run uml: --mem 256M --env LEAVE=40 --env MIB=44
# run uml-smp: --cpus 2 --queues 2
# run vm: --mem 256M --cpus 2 --queues 2 --env LEAVE=40 --env MIB=56
# variant global:
# variant faults uml-debug: --env INJECT=1 --allow FAULT_INJECTION

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

available() {
	awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo
}
vmstat() {
	awk -v name="$1" '$1 ~ name { sum += $2 } END { print sum + 0 }' /proc/vmstat
}

# inject NAME ORDER...: allocations of who is marked fail, so many in a hundred.
inject() {
	at=/sys/kernel/debug/$1
	[ -d "$at" ] || die "no $at"
	echo Y >"$at/task-filter"
	echo N >"$at/ignore-gfp-wait"
	echo 0 >"$at/verbose"
	echo 1 >"$at/interval"
	echo 1000000 >"$at/times"
	[ ! -e "$at/min-order" ] || echo 0 >"$at/min-order"
	echo "$2" >"$at/probability"
}
injected() {
	echo $((1000000 - $(cat "/sys/kernel/debug/$1/times")))
}

# Memory that can't be swapped takes all but so much.
mkdir "$tmp/ballast"
mount -t ramfs none "$tmp/ballast"
have=$(available)
[ "$have" -gt "$LEAVE" ] || die "only $have MiB to begin with"
dd if=/dev/zero of="$tmp/ballast/file" bs=1M count=$((have - LEAVE)) 2>/dev/null
say "$have MiB available, now $(available)"

swap_on
empty_quarantine
if [ -n "${INJECT-}" ]; then
	stress_begin --mib "$MIB" --procs 2 --rewrite 50
	# Who swaps out and in: kswapd, the workers, the program's threads.
	for task in /proc/[0-9]*/task/*; do
		case $(cat "$task/comm" 2>/dev/null) in
		kswapd* | kworker/* | swapstress) echo 1 >"$task/make-it-fail" ;;
		esac
	done
	inject failslab 10
	inject fail_page_alloc 10
	stress_end
	slab=$(injected failslab) pages=$(injected fail_page_alloc)
	expect "failed allocations" $((slab + pages)) -gt 500
	what=", $slab slab and $pages page allocations failed"
else
	stress --mib "$MIB" --procs 2 --rewrite 50
	what=
fi
kill $emptier
expect_clean
expect "pages reclaimed by tasks themselves and kswapd" "$(vmstat '^pgsteal_(kswapd|direct)$')" -gt 1000
by_tasks=$(vmstat '^pgsteal_direct$') by_kswapd=$(vmstat '^pgsteal_kswapd$')
rm "$tmp/ballast/file"
swap_off
finish "$(figure checked) pages checked, 0 wrong, $(counter stores) stores; kswapd reclaimed $by_kswapd, tasks $by_tasks$what"
