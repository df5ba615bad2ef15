#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_swapon.sh - cswap-swapon formats a disk when it may, and never when it mustn't. With mkswap,
# swapon and swapoff replaced by scripts that write down what they were told. TAP.
set -euo pipefail

swapon=$(realpath "$(dirname "$0")/../../guest/cswap-swapon")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export CSWAP_PROC_SWAPS=$dir/swaps CSWAP_LOCK=$dir/lock PATH=$dir/bin:$PATH

tests=0 failures=0
report() { # STATUS NAME
	tests=$((tests + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tests - $2"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $2"
		sed 's/^/# /' record out err
	fi
}
# expect STATUS DONE NAME ARGUMENT...: the exit status, and what was done to disks (lines joined by ";").
expect() {
	local want=$1 want_done=$2 name=$3 got=0
	shift 3
	: >record
	"$swapon" "$@" >out 2>err || got=$?
	if [ "$got" = "$want" ] && [ "$(paste -sd ';' record)" = "$want_done" ]; then
		report 0 "$name"
	else
		report 1 "$name: exit $got, did '$(paste -sd ';' record)'"
	fi
}

mkdir bin dev
touch dev/cswap0 dev/cswap1 dev/sda dev/cswap0p1
ln -s cswap0 dev/link
ln -s sda dev/cswap9
for program in mkswap swapon swapoff; do
	cat >bin/$program <<-EOT
	#!/bin/sh
	echo "$program \$*" >>"$dir/record"
	if [ $program = swapon ]; then
		shift 2
		echo "\$1 partition 1 0 100" >>"$dir/swaps"
	fi
	[ ! -e "$dir/fail-$program" ]
	EOT
	chmod +x bin/$program
done
head_line="Filename Type Size Used Priority"
disk=$dir/dev/cswap0

echo "$head_line" >swaps
expect 0 "mkswap $disk;swapon -p 100 $disk" "a new disk" dev/cswap0
expect 0 "" "again: nothing to do" dev/cswap0
expect 0 "" "nor by another name" dev/link
expect 0 "mkswap ${disk%0}1;swapon -p 7 ${disk%0}1" "another disk, another priority" -p 7 dev/cswap1
printf '%s\n%s\n' "$head_line" "$dir/dev/link partition 1 0 5" >swaps
expect 0 "" "in use by another name" dev/cswap0
expect 0 "swapoff $disk" "off" --off dev/cswap0
echo "$head_line" >swaps
expect 0 "" "off when it isn't on" --off dev/cswap0
printf '%s\n%s\n' "$head_line" "$dir/dev/cswap10 partition 1 0 5" >swaps
expect 0 "mkswap $disk;swapon -p -1 $disk" "one with a longer name is not it" --priority -1 dev/cswap0

echo "$head_line" >swaps
touch fail-mkswap
expect 1 "mkswap $disk" "mkswap fails: not swapped on" dev/cswap0
rm fail-mkswap
expect 1 "" "a disk that isn't ours" dev/sda
expect 1 "" "nor by a name that looks like ours" dev/cswap9
expect 1 "" "a partition" dev/cswap0p1
expect 1 "" "no such disk" dev/cswap5
expect 1 "" "no disk"
expect 1 "" "two disks" dev/cswap0 dev/cswap1
for priority in "" x 1x 1-1 --; do
	expect 1 "" "priority '$priority'" -p "$priority" dev/cswap0
done
expect 1 "" "an unknown option" --force dev/cswap0
expect 0 "" "help" --help

# Many at once: one of them does it.
: >record
for _ in 1 2 3 4 5 6 7 8; do "$swapon" dev/cswap0 >/dev/null 2>&1 & done
wait
if [ "$(grep -c mkswap record)" = 1 ]; then report 0 "eight at once"; else report 1 "eight at once"; fi

echo "1..$tests"
[ "$failures" = 0 ] || { echo "# $failures of $tests failed"; exit 1; }
