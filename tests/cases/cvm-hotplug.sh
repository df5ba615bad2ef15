#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A CPU of the emulated confidential guest goes offline and comes back, and memory is converted on it.
# Proves: the CPU runs again, conversions on it are done, and its memory is what they say. In an SNP guest
# once only: the second time the next conversion on it ends in a panic of Linux's own, whatever our
# driver does (docs/upstream/sev-ghcb-hotplug.md; tests/cvm-emu/canary-check has it as a bug). Variant
# cured: as often as one likes, if the GHCBs are marked as free as the patch there does it.
#
# beds:
# slow: tdx-newest tdx-6.12 snp-newest snp-6.12
# timeout: 300
# beside: yes
# module: tests/cvm-emu/kmod
# run: --mem 384M --cpus 2 --no-driver
# variant plain:
# variant cured vm-newest: --env CURED=1

# shellcheck source-path=SCRIPTDIR source=lib-cvm.sh
. "$(dirname "$0")/lib-cvm.sh"

cpu=/sys/devices/system/cpu/cpu1/online
cycles=5
[ "$CSWAP_BED" = tdx ] || [ "${CURED-}" ] || cycles=1
insmod "$MODULE" || die "insmod"
cvm_note pages-to-shared pages-to-private
for number in $(seq $cycles); do
	echo 0 >$cpu || die "offline, $number"
	expect "CPUs without it" "$(nproc)" = 1
	if [ "$CSWAP_BED" = snp ] && [ "${CURED-}" ]; then
		deed free-ghcb 1
		expect "GHCBs that the CPU took with it" "$(deed_value used)" = 1
	fi
	echo 1 >$cpu || die "online, $number"
	expect "CPUs with it" "$(nproc)" = 2
	taskset -c 1 sh -c "echo pairs 7 20 >$deeds" || fail "it converted wrongly"
done
expect "pages that became shared" "$(cvm_moved pages-to-shared)" = $((cycles * 20))
expect "pages that became private" "$(cvm_moved pages-to-private)" = $((cycles * 20))
cvm_quiet
finish "$cycles times off and on, $((cycles * 20)) pages converted there and back"
