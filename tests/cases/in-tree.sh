#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A kernel that has the driver in its own tree, built in (=y) or as a module (=m).
# Proves: it links, probes by itself at boot, before there is a user space, finds cipher and
# randomness that early; takes its parameters from the command line; swaps under pressure and every
# page is right.
#
# beds:
# slow: uml-builtin uml-module
# timeout: 240
# run: --cswapd "--store @RUN@/store --size 160M" --mem 256M --env MIB=14 --env LIMIT=6
# run: --module-args "stall_ms=1500"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

if [ "$CSWAP_KERNEL" = uml-builtin ]; then
	grep -q virtio_cswap /proc/modules && fail "it is a module"
	zcat /proc/config.gz | grep -qx CONFIG_VIRTIO_CSWAP=y || fail "not built in"
	# The kernel had it before it had a root.
	ready=$(dmesg | sed -n 's/^\[ *\([0-9.]*\)\] .*cswap0: [0-9]* MiB.*/\1/p')
	root=$(dmesg | sed -n 's/^\[ *\([0-9.]*\)\] VFS: Mounted root.*/\1/p')
	expect "the disk was there at ${ready:-no time}, the root at ${root:-no time}" \
		"$(printf '%s\n' "$ready" "$root" | sort -n | head -n 1)" = "${ready:-none}"
else
	grep -q virtio_cswap /proc/modules || fail "it isn't a module"
	zcat /proc/config.gz | grep -qx CONFIG_VIRTIO_CSWAP=m || fail "not configured as a module"
	dmesg | grep -q 'out-of-tree module' && fail "it was built out of the tree"
fi
expect "a parameter" "$(cat /sys/module/virtio_cswap/parameters/stall_ms)" = 1500
swap_on
stress --mib "$MIB" --limit "$LIMIT" --procs 2 --threads 2 --rewrite 50
expect_clean
swap_off
finish "$(uname -r): $(figure checked) pages checked, 0 wrong, $(counter stores) stores, $(counter loads) loads"
