#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest's kernel crashes while a good part of its memory is the host's, and a crash kernel writes a dump.
# Proves: nothing of what was released is read, neither by makedumpfile (which doesn't know the marks: its count is told)
# nor by a plain copy: the host provides no memory for the dump. The control reads without the driver, and the host does.
# A TD's kernel has made all memory private before it jumps: there a dump is written as well, and the
# emulation sees nobody touch memory in another way than it is. (An SNP guest without EFI has no next kernel:
# tests/cvm-emu/README.md.)
#
# beds:
# slow: vm-newest vm-6.12 vm-6.1 tdx-newest
# timeout: 900
# beside: yes
# guest-programs: cpio vmlinuz makedumpfile
# run: --mem 1G --append crashkernel=320M --allow "sysrq triggered crash|Kernel panic - not syncing: sysrq"
# The devices of the kernel that crashed go on for a moment, on the shared side of what is private by then.
# run: --allow "cvm-emu: pages-stray=[0-9]$"
# run: --module-args "floor=96 brake_percent=0" --cswapd "--store mem --size 64M --release punch"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

# One word of the command line says what was released.
released=$(sed -n 's/.* CSWAP_RELEASED=\([0-9]*\).*/\1/p' /proc/cmdline)

# In the crash kernel the driver serves no device.
crash() {
	sed -i -e "s/^export CSWAP_MODULE_ARGS=.*/export CSWAP_MODULE_ARGS=crash_map=$(counter balloon_crash_map)/" \
		-e 's/^export CSWAP_WAIT_DISKS=.*/export CSWAP_WAIT_DISKS=/' "$CSWAP_RUN/env"
	find / -xdev -print0 | cpio --null --quiet -o -H newc >/run/initramfs || die "packing the guest"
	kexec_now --crash /boot/vmlinuz /run/initramfs \
		"$(sed 's/crashkernel=[^ ]*//' /proc/cmdline) nr_cpus=1 CSWAP_RELEASED=$1" || die "no crash kernel"
	rm /run/initramfs
	echo c >/proc/sysrq-trigger
	die "the kernel doesn't crash"
}

if [ ! -e /proc/vmcore ]; then
	swap_on
	stress --mib 16 --limit 8
	touch_all
	reach "$(even $(($(memory MemTotal) / 2)))"
	crash "$(balloon released)"
fi
[ -n "$released" ] || die "no word of the last kernel"
if is_cvm; then
	expect "devices that the driver serves" ! -e "$disk"
	! counted || { host cvm private-resident-bytes && had=$(($(host_value private-resident-bytes) / mib)); }
	set -o pipefail
	dumped=$(makedumpfile -F -d 31 /proc/vmcore 2>/run/makedumpfile.out | wc -c) ||
		die "makedumpfile: $(tail -n 3 /run/makedumpfile.out)"
	# shellcheck disable=SC2002	# a wc that asks for the size doesn't read
	copied=$(cat /proc/vmcore | wc -c) || fail "the copy"
	expect "bytes of the dump" "$dumped" -gt $mib
	expect "MiB of the copy" $((copied / mib)) -gt $((released + 256))
	! counted || { host cvm private-resident-bytes && more=$(($(host_value private-resident-bytes) / mib - had)); }
	finish "$released MiB were released; ${had:-unknown} MiB were private and there when the crash kernel began, ${more:-unknown} more after it; a dump of $((dumped / mib)) MiB, a copy of $((copied / mib))"
fi
host freed
before=$host_said
expect "KiB that the host hasn't given" "$before" -ge $((released * 1024 * 9 / 10))
# It goes where a dump over the network does.
makedumpfile -F -d 31 --message-level 31 /proc/vmcore 2>/run/makedumpfile.out >/dev/null ||
	die "makedumpfile: $(tail -n 3 /run/makedumpfile.out)"
offline=$(sed -n 's/.*Offline pages *: *//p' /run/makedumpfile.out | tail -n 1)
host freed
after=$host_said
expect "KiB that the host gave for makedumpfile" $((before - after)) -lt $((64 * 1024))
cat /proc/vmcore >/dev/null
host freed
copied=$host_said
expect "KiB that the host gave for a copy" $((after - copied)) -lt $((64 * 1024))
expect "devices that the driver serves" ! -e "$disk"
# Without its word all is read, and the host gives memory that holds nothing.
rmmod virtio_cswap || fail "rmmod"
cat /proc/vmcore >/dev/null
host freed
expect "KiB that the host gave for reading all" $((copied - host_said)) -gt $((released * 1024 / 2))
finish "$released MiB were released: $((offline / 256)) known to makedumpfile; the host gave $(((before - after) / 1024)) MiB for it, $(((after - copied) / 1024)) for a copy, $(((copied - host_said) / 1024)) for one without the driver"
