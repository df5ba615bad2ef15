#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_guard_rules.sh - what cswap-guard allows as swap, and what it refuses, over folders that look like
# /dev and /sys. That systemd asks it is test_guard.sh's. TAP.
set -euo pipefail

guard=$(realpath "$(dirname "$0")/../../guest/cswap-guard")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export CSWAP_SYSFS=$dir/sys CSWAP_DEV=$dir/dev CSWAP_PROC_SWAPS=$dir/swaps
unset CSWAP_GUARD CSWAP_GUARD_ALLOW

tests=0 failures=0
# expect STATUS WORDS NAME ARGUMENT...: the exit status, and that WORDS are said.
expect() {
	local want=$1 words=$2 name=$3 got=0
	shift 3
	tests=$((tests + 1))
	"$guard" "$@" >out 2>&1 || got=$?
	if [ "$got" = "$want" ] && if [ -n "$words" ]; then grep -qF -- "$words" out; else [ ! -s out ]; fi; then
		echo "ok $tests - $name"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $name: exit $got"
		sed 's/^/# /' out
	fi
}
allowed() { # NAME PATH
	expect 0 '' "$1" "$2"
}
refused() { # NAME PATH
	expect 1 "$2 is not used as swap: " "$1" "$2"
}
# disk NAME [DEV]: a file that isn't a device has the numbers 0:0.
disk() {
	mkdir -p "sys/block/$1" dev
	touch "dev/$1"
	echo "${2:-0:0}" >"sys/block/$1/dev"
}

: >swaps
disk cswap0
mkdir sys/block/cswap0/cswap
disk cswap12
mkdir sys/block/cswap12/cswap
disk vda2
disk zram0
echo 1 >sys/block/zram0/initstate
echo none >sys/block/zram0/backing_dev
disk zram1
echo 1 >sys/block/zram1/initstate
disk zram2
echo 1 >sys/block/zram2/initstate
echo /dev/vda3 >sys/block/zram2/backing_dev
disk zram3
echo 0 >sys/block/zram3/initstate

allowed "a sealed disk" "$dir/dev/cswap0"
allowed "another" "$dir/dev/cswap12"
allowed "compressed memory" "$dir/dev/zram0"
allowed "of a kernel without backing devices" "$dir/dev/zram1"
refused "a plain disk" "$dir/dev/vda2"
refused "zram that writes to a disk" "$dir/dev/zram2"
refused "zram that may yet get one" "$dir/dev/zram3"
refused "a file" "$dir/swapfile"
refused "what isn't there" "$dir/dev/cswap7"

# Names of the host's choice.
mkdir -p dev/disk/by-label mnt dev/mapper
ln -s ../../cswap0 dev/disk/by-label/cswap0
refused "a sealed disk by a label" "$dir/dev/disk/by-label/cswap0"
touch mnt/cswap0
refused "a file that is called like one" "$dir/mnt/cswap0"
touch dev/mapper/cswap0
refused "a mapped disk that is called like one" "$dir/dev/mapper/cswap0"
ln -s vda2 dev/cswap1
mkdir -p sys/block/cswap1/cswap
echo 0:0 >sys/block/cswap1/dev
refused "a link that is called like one" "$dir/dev/cswap1"
disk cswap2 253:2
mkdir sys/block/cswap2/cswap
refused "a node of another device" "$dir/dev/cswap2"
disk cswap3
refused "a disk that is called so and isn't ours" "$dir/dev/cswap3"
disk cswap0p1
mkdir sys/block/cswap0p1/cswap
refused "a partition" "$dir/dev/cswap0p1"
refused "a way around" "$dir/dev/../dev/cswap0"
refused "a way back" "$dir/dev/cswap0/../vda2"
refused "no path" "cswap0"

# What the owner says.
export CSWAP_GUARD_ALLOW="/elsewhere $dir/dev/vda2"
allowed "what the owner allows" "$dir/dev/vda2"
refused "and nothing else" "$dir/dev/vda"
unset CSWAP_GUARD_ALLOW
expect 1 'CSWAP_GUARD_ALLOW="'"$dir/dev/vda2"'"' "it says what would allow it" "$dir/dev/vda2"
export CSWAP_GUARD=off
allowed "off" "$dir/dev/vda2"
export CSWAP_GUARD=of
expect 1 "CSWAP_GUARD=of is neither on nor off" "a typo isn't off" "$dir/dev/vda2"
unset CSWAP_GUARD

# What is in use already.
head_line="Filename Type Size Used Priority"
echo "$head_line" >swaps
expect 0 '' "nothing is in use" --list
printf '%s\n%s partition 1 0 100\n' "$head_line" "$dir/dev/cswap0" >swaps
expect 0 "$dir/dev/cswap0: allowed" "what is in use is allowed" --list
printf '%s partition 1 0 -2\n%s/my\\040swap file 1 0 -3\n' "$dir/dev/vda2" "$dir" >>swaps
expect 1 "$dir/dev/vda2: it isn't sealed" "what isn't allowed is named" --list
expect 1 "$dir/my swap: it isn't sealed" "with a space in it" --list
expect 0 "Usage" "help" --help
expect 2 "Usage" "no path at all"
expect 2 "unknown option" "an unknown option" --force

echo "1..$tests"
[ "$failures" = 0 ] || { echo "# $failures of $tests failed"; exit 1; }
