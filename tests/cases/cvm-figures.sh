#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What things cost in a confidential guest, for the report of tests/hardware: lines "figure: NAME=VALUE".
# In an emulated guest they say nothing of hardware, and prove that each can be had.
# Proves: each figure is there and isn't nothing; what is swapped meanwhile comes back right. With exits:
# the guest's own handlers of #VE and #VC do its CPUID, MSRs, port I/O and MMIO; a kick leaves the guest.
#
# slow: tdx-newest snp-newest tdx-6.12 snp-6.12
# timeout: 900
# beside: yes
# module: tests/cvm-emu/kmod tests/kmod
# run: --mem 512M --cpus 2 --queues 2 --modprobe aesni_intel
# run: --cswapd "--store mem --size 128M" --module-args "stall_ms=60000"
# variant plain:
# variant exits: --cvm-args exits=on --env EXITS=1

# shellcheck source-path=SCRIPTDIR source=lib-cvm.sh
. "$(dirname "$0")/lib-cvm.sh"

# tell NAME VALUE: a figure, which must be more than nothing.
tell() {
	echo "figure: $1=$2"
	expect "$1" "${2:-0}" -gt 0
}
# seal_value NAME
seal_value() {
	tr ' ' '\n' </sys/kernel/debug/cswap_seal_test/speed | sed -n "s/^$1=//p"
}
exits() {
	host exits
	host_value exits
}

# shellcheck disable=SC2086	# words
set -- $MODULE
insmod "$1" || die "insmod: is this a confidential guest?"
insmod "$2" || die "insmod"
echo "figure: kernel=$(uname -r)"
echo "figure: kind=$(dmesg | sed -n 's/.*Memory Encryption Features active: //p' | tr ' ' _)"
echo "figure: firmware=$([ -d /sys/firmware/efi ] && echo EFI || echo none)"
echo "figure: unaccepted_kib=$(awk '/^Unaccepted:/ { print $2 }' /proc/meminfo)"

deed time 16
tell convert_2m_to_shared_ns "$(deed_value to_shared_ns)"
tell convert_2m_to_private_and_accept_ns "$(deed_value to_private_ns)"
echo "figure: cipher=$(seal_value cipher)"
tell seal_page_ns "$(seal_value seal_ns)"
tell open_page_ns "$(seal_value open_ns)"

swap_on
! counted || cvm_note exits-cpuid exits-msr exits-io exits-mmio
before=$(exits)
stress --mib 32 --limit 12 --procs 2 --random 1000
after=$(exits)
pages=$(($(counter stores) + $(counter loads)))
tell pages_moved "$pages"
echo "figure: exits=$((after - before))"
echo "figure: exits_a_page=$(awk "BEGIN { printf \"%.2f\", ($after - $before) / $pages }")"
if counted && [ "${EXITS-}" ]; then
	kicks=$(cvm_moved exits-mmio)
	tell exits_by_mmio "$kicks"
	echo "figure: exits_by_mmio_a_page=$(awk "BEGIN { printf \"%.2f\", $kicks / $pages }")"
	echo "figure: exits_by_msr=$(cvm_moved exits-msr)"
	echo "figure: exits_by_port_io=$(cvm_moved exits-io)"
	expect "CPUIDs that left" "$(cvm_value exits-cpuid)" -gt 0
	expect "MSRs that left" "$(cvm_value exits-msr)" -gt 0
	expect "port I/O that left" "$(cvm_value exits-io)" -gt 0
elif counted; then
	for name in exits-cpuid exits-msr exits-io exits-mmio; do
		expect "$name, which don't leave" "$(cvm_value $name)" = 0
	done
fi
load_ns=$(counter load_ns)
tell load_ns "$((load_ns / $(counter loads)))"
expect_clean
swap_off
cvm_quiet
finish "$pages pages moved, 0 wrong; a page sealed in $(($(seal_value seal_ns) / 1000)) us"
