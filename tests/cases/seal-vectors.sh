#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The driver's seal, on the kernel's AEAD, and cswap-seal's, on libsodium, know the same table of
# test vectors and nothing of each other.
# Proves: they agree byte for byte (tests/vectors/seal.txt is cswap-seal's text); what was sealed
# opens; with one bit of page, tag, slot, counter or device changed it doesn't, and the page holds
# zeros then. (I4.) And no implementation is used whose name isn't known to be one of the CPU's.
#
# beds: uml-debug uml vm-6.1
# slow: vm-newest vm-6.12
# timeout: 240
# module: tests/kmod
# run: --env VECTORS=$repo/tests/vectors/seal.txt --file $repo/tests/vectors/seal.txt
# run uml: --mem 192M
# run vm: --mem 256M --modprobe gcm
# variant library uml:
# variant assembly vm: --modprobe aesni_intel
# variant aes uml: --aes

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

results=/sys/kernel/debug/cswap_seal_test
insmod "$MODULE" || die "insmod"
cmp "$results/vectors" "$VECTORS" || {
	fail "the text of the kernel's vectors is not cswap-seal's"
	diff "$results/vectors" "$VECTORS" | head -n 6
}
read -r opened <"$results/opened"
say "$opened"
lines=$(($(wc -l <"$VECTORS") - 1))
value() {
	echo "$opened" | tr ' ' '\n' | sed -n "s/^$1=//p"
}
expect "vectors opened" "$(value opened)" = "$lines"
expect "vectors refused after a change" "$(value refused)" = $((lines * 11))
expect "wrong" "$(value wrong)" = 0
opened=$(cat "$results/speed")
say "$opened"
expect "ns to seal a page" "$(value seal_ns)" -gt 0
expect "ns to open a page" "$(value open_ns)" -gt 0
rmmod cswap_seal_test || fail "rmmod"
finish "$lines vectors the same, $(value refused) changed ones refused, by $(value cipher)"
