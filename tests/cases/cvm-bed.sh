#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The emulated confidential guest itself: is memory private and shared as it says?
# Proves: the kernel runs as a TD, or as an SNP guest; what it writes to private memory isn't in the
# memory that its host sees, what it writes to shared memory is; a conversion frees memory of the host
# and its content is gone; acceptance has the architecture's answers; two CPUs convert at once; a disk
# works through bounce buffers.
#
# beds: tdx-newest snp-newest
# slow: tdx-6.12 snp-6.12 4k
# timeout: 600
# beside: yes
# module: tests/cvm-emu/kmod
# run: --mem 512M --cpus 2 --no-driver
# variant 2m: --env LEVEL=2m
# variant 4k: --cvm-args accept-4k=on --env LEVEL=4k

# shellcheck source-path=SCRIPTDIR source=lib-cvm.sh
. "$(dirname "$0")/lib-cvm.sh"

if [ "$CSWAP_BED" = tdx ]; then
	in_log 1 'tdx: Guest detected'
	in_log 1 'Memory Encryption Features active: Intel TDX'
else
	in_log 1 'Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP'
fi
cvm_cpus_alike
expect "CPUs" "$(nproc)" = 2
insmod "$MODULE" || die "insmod"
marker=private-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')

# ---- what is where

deed fill "$marker"
found_in shared 0
cvm_note private-resident-bytes pages-to-shared maps-shared-2m rescinds-2m rescinds-4k
deed shared 0 512
expect "rc" "$(deed_value rc)" = 0
expect "pages that became shared" "$(cvm_moved pages-to-shared)" = 512
expect "conversions of 2 MiB" "$(cvm_moved maps-shared-2m)" = 1
expect "private bytes freed" "$(cvm_moved private-resident-bytes)" = -2097152
# An SNP guest takes its validation back first.
rescinds_2m=0 rescinds_4k=0
case $CSWAP_BED-$LEVEL in
snp-2m) rescinds_2m=1 ;;
snp-4k) rescinds_4k=512 ;;
esac
expect "validations rescinded, of 2 MiB" "$(cvm_moved rescinds-2m)" = $rescinds_2m
expect "validations rescinded, of 4 KiB" "$(cvm_moved rescinds-4k)" = $rescinds_4k
deed zeroed 0 512
expect "pages without their old content" "$(deed_value zeroed)" = 512
deed fill "$marker"
found_in shared 512

cvm_note shared-resident-bytes private-resident-bytes pages-to-private accepts-2m accepts-4k accepts-refused
deed private 0 512
expect "rc" "$(deed_value rc)" = 0
expect "pages that became private" "$(cvm_moved pages-to-private)" = 512
expect "private bytes taken" "$(cvm_moved private-resident-bytes)" = 2097152
expect "shared bytes freed" "$(cvm_moved shared-resident-bytes)" = -2097152
if [ "$LEVEL" = 2m ]; then
	expect "acceptances of 2 MiB" "$(cvm_moved accepts-2m)" = 1
else
	expect "acceptances of 4 KiB" "$(cvm_moved accepts-4k)" = 512
	expect "acceptances refused" "$(cvm_moved accepts-refused)" -gt 0
fi
found_in shared 0
deed fresh 0 512
expect "pages that hold what acceptance leaves" "$(deed_value fresh)" = 512

# ---- acceptance, without the kernel's own care

accept_as_td() {
	deed accept 0 0
	expect "accepted already" "$(deed_value status)" = 0xb0a00000001
	deed shared 1 1
	deed assign 1
	expect "MapGPA" "$(deed_value status)" = 0x0
	deed accept 0 1
	expect "a 2 MiB block that is pending in part" "$(deed_value status)" = 0xc0000b0b00000001
	deed accept 1 3
	expect "no such size" "$(deed_value status)" = 0xc000010000000001
	deed accept 1 1
	expect "not aligned" "$(deed_value status)" = 0xc000010000000001
	deed accept 1 0
	expect "a pending page" "$(deed_value status)" = 0x0
	# The kernel still believes that it is shared: make that true, then put it right.
	deed shared 1 1
	deed accept 1 0
	expect "a shared page" "$(deed_value status)" = 0xc000010000000001
	deed private 1 1
	expect "rc" "$(deed_value rc)" = 0
}

accept_as_snp() {
	deed accept 0 0
	expect "validated already" "$(deed_value status)" = 0xff
	deed accept 1 1
	expect "2 MiB, not aligned" "$(deed_value status)" = 0x1
	deed rescind 1 0
	expect "rescinded" "$(deed_value status)" = 0x0
	deed rescind 1 0
	expect "rescinded twice" "$(deed_value status)" = 0xff
	deed accept 0 1
	expect "a 2 MiB block that is validated in part" "$(deed_value status)" = 0x6
	deed unassign 1
	expect "page state change to shared" "$(deed_value status)" = 0x0
	deed assign 1
	expect "page state change to private" "$(deed_value status)" = 0x0
	deed accept 1 0
	expect "an assigned page" "$(deed_value status)" = 0x0
	deed fresh 1 1
	expect "a page that holds what acceptance leaves" "$(deed_value fresh)" = 1
}

if [ "$CSWAP_BED" = tdx ]; then
	accept_as_td
else
	accept_as_snp
fi

# ---- two CPUs at once

cvm_note pages-to-shared pages-to-private
for cpu in 0 1; do
	taskset -c $cpu sh -c "echo pairs $((10 + cpu)) 60 >$deeds" &
	eval "pid$cpu=\$!"
done
# shellcheck disable=SC2154	# set by eval
wait "$pid0" || fail "CPU 0 converted wrongly"
# shellcheck disable=SC2154
wait "$pid1" || fail "CPU 1 converted wrongly"
expect "pages that became shared" "$(cvm_moved pages-to-shared)" = 120
expect "pages that became private" "$(cvm_moved pages-to-private)" = 120

# ---- a disk

disk=$(readlink -f /dev/bed/results)
features=$(cat "/sys/block/${disk##*/}/device/features")
expect "the disk's ACCESS_PLATFORM" "${features:33:1}" = 1
dd if=/dev/urandom of="$tmp/there" bs=1M count=8 2>/dev/null
dd if="$tmp/there" of="$disk" bs=1M seek=64 oflag=direct 2>/dev/null || fail "write"
dd if="$disk" of="$tmp/back" bs=1M skip=64 count=8 iflag=direct 2>/dev/null || fail "read"
cmp "$tmp/there" "$tmp/back" || fail "the disk returns something else"

cvm_quiet
finish "$LEVEL: $(cvm_value pages-to-shared) pages shared, $(cvm_value pages-to-private) private, \
at most $(cvm_value pages-shared-max) at once"
