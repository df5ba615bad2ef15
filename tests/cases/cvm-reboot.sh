#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The emulated confidential guest swaps, has memory released, and reboots; the next one is launched anew.
# Proves: it is confidential again, has all its memory, and the device is its own from the beginning: the
# host counts nothing as released, pages are stored and loaded, and the balloon works.
#
# beds:
# slow: tdx-newest tdx-6.12 snp-newest snp-6.12
# timeout: 600
# beside: yes
# run: --mem 512M --cpus 2 --cswapd "--store mem --size 64M" --module-args "floor=96 brake_percent=0"
# run: --qemu "-action reboot=reset"

# shellcheck source-path=SCRIPTDIR source=lib-cvm.sh
. "$(dirname "$0")/lib-cvm.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

# What the first boot says to the second, on a disk: how much memory it had.
note=/dev/bed/results
note_at=200
before=$(dd if=$note bs=1M skip=$note_at count=1 iflag=direct 2>/dev/null | tr -d '\0' | head -c 20)

case $CSWAP_BED in
tdx) in_log 1 'Memory Encryption Features active: Intel TDX' ;;
snp) in_log 1 'Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP' ;;
esac
expect "CPUs" "$(nproc)" = 2
swap_on
# The host wants from the second boot what it wanted from the first.
[ -z "$before" ] || reach 0
begin_balloon
stress --mib 24 --limit 12
reach 64
if [ -z "$before" ]; then
	echo "$total_kib" >"$tmp/note"
	truncate -s 1M "$tmp/note"
	dd if="$tmp/note" of=$note bs=1M seek=$note_at oflag=direct 2>/dev/null || die "the note"
	[ $failures = 0 ] || die "before the reboot"
	say "$(counter stores) pages stored, $(balloon released) MiB released: on to the second boot"
	echo b >/proc/sysrq-trigger
	wait_until 60 false || die "no reboot"
fi
# Where the kernel is put differs from boot to boot, and with this some pages that it keeps for itself.
difference=$((total_kib - before))
expect "KiB by which MemTotal differs" "${difference#-}" -lt 64
end_balloon 60
expect_clean
swap_off
cvm_quiet
finish "$before KiB before, $total_kib KiB after; $(figure checked) pages checked, 0 wrong"
