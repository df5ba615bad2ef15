#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest goes on with another kernel (kexec) while pages are out, programs swap, and a good part of its
# memory is the host's.
# Proves: nobody hangs on the way; the next kernel has all memory there is, and a TD's in the state that it
# takes for granted; the device is the next kernel's from the beginning: the host counts nothing as
# released, pages are stored and loaded, and the balloon works.
#
# beds: vm-newest
# slow: vm-6.12 vm-6.1 tdx-newest tdx-6.12
# timeout: 600
# beside: yes
# guest-programs: cpio vmlinuz
# run: --mem 512M --module-args "floor=96 brake_percent=0"
# run: --cswapd "--store mem --size 64M --release punch --report-period 200"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

# One word of the command line says that this is the next kernel, and what the last had.
before=$(sed -n 's/.* CSWAP_KEXEC=\([0-9]*\).*/\1/p' /proc/cmdline)

# All that this guest consists of is in its initramfs, so that is what the next begins with.
go_on() {
	find / -xdev -print0 | cpio --null --quiet -o -H newc >/run/initramfs ||
		die "packing the guest"
	kexec_now /boot/vmlinuz /run/initramfs "$(cat /proc/cmdline) CSWAP_KEXEC=$total_kib"
	die "kexec"
}

swap_on
# The host wants from the next kernel what it wanted from the last.
[ -z "$before" ] || reach 0
begin_balloon
stress --mib 16 --limit 8
if [ -z "$before" ]; then
	reach "$(even $((total / 2)))"
	stress_begin --mib 16 --limit 8 --rounds 1000
	say "$total MiB, $(balloon released) of them released, $(counter stores) pages stored: on to the next kernel"
	go_on
fi
expect "KiB in MemTotal, which were $before" "$total_kib" -ge $((before - 4096))
host balloon
expect "bytes that the host takes for released" "$(host_value claimed)" = 0
touch_all
reach "$(even $((total / 2)))"
stress --mib 16 --limit 8 --seed 2
end_balloon 60
expect_clean
swap_off
finish "$before KiB before, $total_kib KiB after; $(figure checked) pages checked, 0 wrong"
