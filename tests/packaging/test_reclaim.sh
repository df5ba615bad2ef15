#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_reclaim.sh - cswap-reclaim reclaims what the balloon misses, a step at a time, and nothing
# else. With a /sys and a /proc/meminfo of our own. TAP.
set -euo pipefail

reclaim=$(realpath "$(dirname "$0")/../../guest/cswap-reclaim")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export CSWAP_SYS=$dir/sys CSWAP_MEMINFO=$dir/meminfo
asked=sys/fs/cgroup/memory.reclaim

tests=0 failures=0
# expect STATUS ASKED NAME ARGUMENT...: the exit status, and what was asked of the kernel.
expect() {
	local want=$1 want_asked=$2 name=$3 got=0
	shift 3
	: 2>/dev/null >"$asked" || true
	"$reclaim" "$@" >out 2>err || got=$?
	tests=$((tests + 1))
	if [ "$got" = "$want" ] && [ "$(cat "$asked" 2>/dev/null)" = "$want_asked" ]; then
		echo "ok $tests - $name"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $name: exit $got, asked '$(cat "$asked" 2>/dev/null)'"
		sed 's/^/# /' out err
	fi
}
# balloon DISK TARGET RELEASED STOPPED, in MiB but for numbers that are in bytes already.
balloon() {
	mkdir -p "sys/block/$1/cswap"
	echo "$2" >"sys/block/$1/cswap/balloon_target"
	echo "$(($3 << 20))" >"sys/block/$1/cswap/balloon_released"
	echo "$4" >"sys/block/$1/cswap/balloon_stopped"
}
mib() {
	echo $(($1 << 20))
}
free() {
	# of 1 GiB the driver leaves 16 MiB free, and needs 2 more
	printf 'MemTotal: 1048576 kB\nMemFree: %d kB\n' $((($1 + 18) * 1024)) >meminfo
}

mkdir -p sys/fs/cgroup sys/block
free 10
expect 0 "" "no disk" --once
balloon cswap0 "$(mib 100)" 60 working
expect 0 16M "a step" --once
expect 0 7M "another step" --once --step 7
balloon cswap0 "$(mib 100)" 85 memory
expect 0 5M "what is free already isn't reclaimed" --once
balloon cswap0 "$(mib 100)" 91 working
expect 0 "" "nor anything if that is enough" --once
balloon cswap0 "$(mib 100)" 120 working
expect 0 "" "nor while memory is taken back" --once
for why in none floor pressure oom device owner nonsense; do
	balloon cswap0 "$(mib 100)" 10 $why
	expect 0 "" "stopped: $why" --once
done
balloon cswap0 18446744073709551615 10 working
expect 0 16M "an absurd target" --once
balloon cswap0 "$(mib 100)" 94 working
balloon cswap1 "$(mib 100)" 93 working
expect 0 3M "two disks" --once
balloon cswap0 "$(mib 200)" 200 none
balloon cswap1 "$(mib 200)" 199 floor
free 0
expect 0 "" "little is free, and nobody waits" --once
free 10
rm sys/block/cswap1/cswap/balloon_target
balloon cswap0 "$(mib 100)" 87 working
expect 0 3M "one that is just going" --once
expect 0 "" "help" --help
expect 1 "" "an unknown option" --force
for number in "" x 1x -1 . 1..2; do
	expect 1 "" "pause '$number'" --once --pause "$number"
done
expect 1 "" "a step that isn't whole" --once --step 1.5
rm "$asked"
rmdir sys/fs/cgroup
expect 1 "" "a kernel that can't" --once

echo "1..$tests"
[ "$failures" = 0 ] || { echo "# $failures of $tests failed"; exit 1; }
