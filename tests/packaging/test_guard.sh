#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_guard.sh - a host offers a confidential guest plain swap: with cswap-guard the guest doesn't use it,
# without it does. TAP.
#
# Theory of operation: a guest with systemd, udev and the guest's package has its root on a disk with a
# partition table. The host, which owns the disk, has added a partition of the type that systemd activates
# as swap. The guest boots twice with the same disk: as installed, and with the guard's one line off. What
# is checked in it is guard-report's.
# shellcheck disable=SC2016	# quoted scripts are for a shell inside
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../bed/lib.sh
. "$(dirname "$0")/../bed/lib.sh"
# shellcheck source-path=SCRIPTDIR source=tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source-path=SCRIPTDIR source=booted.sh
. "$(dirname "$0")/booted.sh"
here=$repo/tests/packaging
packages="systemd-sysv udev fdisk kmod"
root_mib=2048 swap_mib=32

# --- inside the root that is thrown away

install_all() { # MODULE
	local release
	release=$(cat /etc/cswap-bed/kernel-newest)
	env MAKEFLAGS='' make -s -C "$repo" install-guest
	install -D -m 0644 "$repo/debian/cswap.default" /etc/default/cswap
	install -D -m 0644 "$1" "/usr/lib/modules/$release/updates/virtio-cswap.ko"
	depmod "$release"
	add_report guard-report "What became of the host's swap"
	dd if=/dev/urandom of=/swapfile bs=1M count=8
	chmod 0600 /swapfile
	mkswap /swapfile
}

# The types are systemd's: the root of this architecture, swap, and anything.
make_disk() { # FILE
	remove_unneeded
	mount --bind / /mnt
	truncate -s "$((root_mib + 2 * swap_mib + 2))M" "$1"
	sfdisk -q "$1" <<-EOT
	label: gpt
	start=1MiB, size=${root_mib}MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709
	size=${swap_mib}MiB, type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F
	size=${swap_mib}MiB, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
	EOT
	mke2fs -q -t ext4 -E offset=1048576,lazy_itable_init=1 -d /mnt "$1" "${root_mib}M"
	umount /mnt
	add_swap "$1" 0
	add_swap "$1" 1 -L hostswap
}
add_swap() { # FILE NUMBER MKSWAP-OPTION...
	local file=$1 at=$((1 + root_mib + $2 * swap_mib))
	shift 2
	rm -f "$work/swap"
	truncate -s "${swap_mib}M" "$work/swap"
	mkswap -q "$@" "$work/swap"
	dd if="$work/swap" of="$file" bs=1M seek="$at" conv=notrunc,sparse status=none
}

if [[ ${1-} == inside ]]; then
	only_inside
	work=$2
	install_all "$3" && make_disk "$work/disk"
	exit
fi

# --- outside

((EUID == 0)) || { echo "1..0 # SKIP needs root"; exit 4; }
# shellcheck disable=SC2086	# words
if ! "$bed/layer" $packages >/dev/null; then
	echo "1..0 # SKIP $packages can't be installed here"
	exit 4
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
module=$("$bed/build-module" newest)
check "a guest's disk, to which the host has added swap" \
	"$bed/enter" --with "$packages" "$here/test_guard.sh" inside "$work" "$module"
((failures == 0)) || exit 1

boots "the guest with its guard" "$work/disk" guard-report
boots "the same with the guard off" "$work/disk" guard-report cswap.guard=off
((failures == 0))
