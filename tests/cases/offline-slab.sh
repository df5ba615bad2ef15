#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A memory block with a kernel object in it, in a slab of one page, goes offline; without our driver.
# Proves: whose page it is that keeps Linux from 6.14 on busy for ever (docs/upstream/memory-offline-slab.md): its
# own. Until then it refuses at once. When this case fails in a new kernel the note is out of date.
#
# beds:
# slow: vm-newest vm-6.12
# timeout: 300
# beside: yes
# module: tests/kmod/slab
# run: --no-driver --mem 512M --qemu "-m slots=8,maxmem=4G"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

memory_blocks() {
	set -- /sys/devices/system/memory/memory[0-9]*
	echo $#
}
are_plugged() {
	[ "$(memory_blocks)" -ge "$((before + 3))" ]
}

echo offline >/sys/devices/system/memory/auto_online_blocks
before=$(memory_blocks)
insmod "$MODULE" || die "insmod"
host dimms 3
wait_until 60 are_plugged || die "$(memory_blocks) blocks of memory, $before before"
for folder in /sys/devices/system/memory/memory[0-9]*; do
	! grep -q offline "$folder/state" || { echo online >"$folder/state" && plugged+=("$folder"); }
done
# The last that came online is the last that the kernel puts anything into by itself.
last=$(printf '%s\n' "${plugged[@]}" | sort -V | tail -n 1)
number=${last##*memory}
echo "$number" >/sys/module/cswap_slab/parameters/block || die "no object in block $number"
timeout 20 sh -c "echo offline >$last/state" 2>/dev/null
got=$?
slabs=$(dd if=/proc/kpageflags bs=262144 skip="$number" count=1 2>/dev/null | od -An -v -tx8 -w8 | grep -c 0000000000000080)
expect "slabs of one page in the block" "$slabs" -gt 0
case $CSWAP_KERNEL in
6.12) expect "offlining is refused" "$got" = 1 ;;
*) expect "offlining goes on until a signal" "$got" = 124 ;;
esac
rmmod cswap_slab || fail "rmmod"
finish "block $number has $slabs slabs of one page: $([ "$got" = 124 ] && echo "offlining doesn't end" || echo "refused")"
