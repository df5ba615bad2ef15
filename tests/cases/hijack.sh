#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A crypto engine is there before the driver: its gcm(aes) ranks above the CPU's, and the host may be who
# brought it. One has the flags of an engine, one looks like an implementation on the CPU
# (tests/kmod/engine).
# Proves: the driver takes an implementation that runs on the CPU, says which, and the engine is told no
# key, neither the first nor a later one; pages are stored and come back as ever.
#
# beds: vm-newest
# slow: uml-debug uml vm-6.12 vm-6.1
# fast vm-newest: flags
# timeout: 240
# module: tests/kmod/engine
# run: --cswapd "--store mem --size 48M" --module-args "rekey_pages=500"
# run uml: --mem 256M
# run vm: --mem 256M
# variant flags: --env ENGINE=async=1
# variant plain: --env ENGINE=async=0

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-evil.sh
. "$(dirname "$0")/lib-evil.sh"

keys() {
	cat /sys/module/cswap_engine/parameters/keys
}
rekeyed() {
	[ "$(counter epoch)" -gt 1 ]
}

before=$(counter cipher)
rmmod virtio_cswap || die "rmmod"
wait_until 20 gone || die "the disk is still there"
insmod "$MODULE" "$ENGINE" || die "insmod $MODULE"
grep -q '^driver *: gcm-aes-engine$' /proc/crypto || die "no engine"
tests=$(keys) # the kernel's own, if it makes any
# shellcheck disable=SC2086	# words
insmod "$driver" $CSWAP_MODULE_ARGS || die "insmod"
wait_until 20 here || die "no disk beside the engine"

swap_on
stress --mib 4 --pageout
wait_until 20 rekeyed || fail "keys: $(counter epoch)"
stress --mib 4 --seed 2 --pageout
expect_clean
expect "keys that the engine was told" "$(keys)" = "$tests"
expect "the cipher" "$(counter cipher)" != gcm-aes-engine
[ "$ENGINE" = async=0 ] || expect "the cipher beside the engine" "$(counter cipher)" = "$before"
[ "$ENGINE" = async=1 ] || in_log 1 "gcm-aes-engine, isn.t known to run on the CPU"
swap_off
finish "$(counter epoch) keys, none told to the engine; sealed by $(counter cipher), without it by $before; $(figure checked) pages checked, 0 wrong"
