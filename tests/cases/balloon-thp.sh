#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest with a program that uses its huge pages all the time, and one that hasn't touched its pages since
# it filled them.
# Proves: the balloon takes the cold program's pages, by way of the store, and the other's huge pages stay whole;
# what is left has free blocks, of which the next program's huge pages are made.
#
# beds: vm-newest
# slow: vm-newest vm-6.12 vm-6.1 tdx-newest snp-newest
# timeout: 900
# beside: yes
# run: --mem 512M --cpus 2 --queues 2 --cswapd "--store mem --size 512M --release punch"
# run: --module-args "floor=96 brake_percent=0"

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by within
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

# smaps PID NAME: of all of a program's processes, in MiB; the program's own is the parent.
smaps() {
	local pid sum=0
	for pid in $1 $(cat "/proc/$1/task/$1/children"); do
		sum=$((sum + $(awk -v name="$2:" '$1 == name { print $2 }' "/proc/$pid/smaps_rollup")))
	done
	echo $((sum / 1024))
}

echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
swap_on
begin_balloon
hot=$((total / 5))
free=$(memory MemFree)
swapstress --mib $hot --thp --rounds 100000 --rewrite 0 >"$tmp/hot.out" 2>&1 &
hot_pid=$!
all_huge() {
	[ "$(smaps "$hot_pid" AnonHugePages)" -ge $((hot * 9 / 10)) ]
}
within 60 all_huge || fail "$(smaps "$hot_pid" AnonHugePages) MiB of $hot are huge pages"
# The rest, but for what the scripts need, is cold.
cold=$(((free - hot) * 8 / 10))
stress_begin --mib $cold --rounds 1
cold_pid=$stress_pid
before=$(smaps "$hot_pid" AnonHugePages)

reach "$(even $((total / 2)))" 240
after=$(smaps "$hot_pid" AnonHugePages)
out=$(smaps "$cold_pid" Swap) hot_out=$(smaps "$hot_pid" Swap)
expect "MiB of huge pages in use, $before before" $((after * 100)) -ge $((before * 90))
expect "MiB of the cold program swapped out" "$out" -ge $((total / 8))
expect "MiB of the other program swapped out" "$hot_out" -le $((out / 8))

# What the next program gets.
swapstress --mib 8 --thp --rounds 100000 >"$tmp/next.out" 2>&1 &
next_pid=$!
next_has() {
	next=$(smaps "$next_pid" AnonHugePages)
	[ "$next" -ge 2 ]
}
within 60 next_has || fail "of the next program's 8 MiB $next are huge pages"
kill $next_pid $hot_pid
wait $next_pid $hot_pid 2>/dev/null
! grep -h wrong= "$tmp/hot.out" "$tmp/next.out" | grep -v 'wrong=0' || fail "wrong content"
stress_end
end_balloon 120
expect_clean
swap_off
finish "huge pages in use: $before MiB before, $after with $(even $((total / 2))) of $total MiB released; swapped out $out MiB of the cold program, $hot_out of the other; then $next of 8 MiB more; $(figure checked) pages checked, 0 wrong"
