#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest is rebooted while pages are out and a program swaps; the virtual machine, its device and the
# daemon stay.
# Proves: the reboot doesn't wait for the device, nor for programs; to the next boot, which has another
# key, the disk is empty, whatever the device still holds; pages are stored and loaded as ever.
# Checks: driver-seal-discarded
#
# beds: vm-newest
# slow: vm-6.12 vm-6.1
# timeout: 600
# run: --mem 384M --cpus 2 --queues 2 --qemu "-action reboot=reset"
# run: --cswapd "--store mem --size 64M"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# What outlives a boot: the end of the disk that results go to.
note=/dev/bed/results
sectors=$(blockdev --getsz $note)
noted() {
	dd if=$note bs=512 skip=$((sectors - 1)) count=1 2>/dev/null | tr -d '\0 \n'
}
take_note() {
	printf '%-511s\n' "$1" | dd of=$note bs=512 seek=$((sectors - 1)) count=1 conv=notrunc,fsync 2>/dev/null ||
		die "taking a note"
}

before=$(noted)
if [ -z "$before" ]; then
	swap_on
	stress_begin --mib 6 --limit 3 --procs 2 --rounds 1000 --pageout
	stress_to_gate
	expect "pages stored" "$(counter stores)" -gt 500
	[ $failures = 0 ] || exit 1
	: >"$tmp/gate" # it goes on
	take_note "$(counter stores)"
	/bin/busybox reboot -f
	die "reboot"
fi
expect "pages stored by the next boot, before anything was" "$(counter stores)" = 0
dd if="$disk" bs=1M iflag=direct 2>/dev/null | tr -d '\0' | grep -q . && fail "the disk isn't empty"
swap_on
stress --mib 6 --limit 3 --procs 2 --seed 2 --rounds 2 --rewrite 50
expect_clean
swap_off
finish "$before stores before the reboot, $(counter stores) after it; $(figure checked) pages checked, 0 wrong"
