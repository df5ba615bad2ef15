#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_installed.sh - the driver as an administrator installs it: DKMS builds it for three kernels, and a
# guest with systemd and udev boots with it and swaps without anybody doing anything. TAP.
#
# Theory of operation: in a root that is thrown away, with dkms and an init from packages, `make
# install-guest` and dkms do their work. What they installed is then made a disk, from which QEMU
# boots one of the kernels. What is checked there is boot-report's.
# shellcheck disable=SC2016	# quoted scripts are for a shell inside
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../bed/lib.sh
. "$(dirname "$0")/../bed/lib.sh"
# shellcheck source-path=SCRIPTDIR source=tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source-path=SCRIPTDIR source=booted.sh
. "$(dirname "$0")/booted.sh"
here=$repo/tests/packaging
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$repo/guest/dkms.conf")

# --- inside the root that is thrown away

installed_is_ours() { # RELEASE
	local file=/usr/lib/modules/$1/updates/dkms/virtio-cswap.ko

	ls "$file"* && modinfo -k "$1" -F filename virtio-cswap | tee /dev/stderr | grep -q updates/dkms &&
		modinfo -k "$1" -F vermagic virtio-cswap | grep "^$1 "
}
# What udev would ask for, when it finds the device.
resolved_by_alias() { # RELEASE
	modprobe -S "$1" --resolve-alias virtio:d0000000Dv00001AF4 | tee /dev/stderr | grep -qx virtio_cswap
}

install_and_build() {
	local name release

	check "make install-guest" env MAKEFLAGS= make -C "$repo" install-guest
	check "systemd-analyze verify" \
		sh -c 'systemd-analyze verify --man=no cswap-swapon@cswap0.service 2>&1 | tee /dev/stderr | (! grep cswap)'
	check "udevadm verify" udevadm verify /usr/lib/udev/rules.d/59-cswap.rules
	check "dkms add" dkms add "virtio-cswap/$version"
	for name in newest 6.12 6.1; do
		release=$(cat "/etc/cswap-bed/kernel-$name")
		check "dkms build, $release" dkms build "virtio-cswap/$version" -k "$release"
		check "dkms install, $release" dkms install "virtio-cswap/$version" -k "$release"
		depmod "$release"
		check "the module is found, $release" installed_is_ours "$release"
		check "the device's alias finds it, $release" resolved_by_alias "$release"
	done
	check "dkms status" sh -c "test \"\$(dkms status virtio-cswap/$version | tee /dev/stderr | grep -c installed)\" = 3"
	release=$(cat /etc/cswap-bed/kernel-6.1)
	check "dkms remove, $release" dkms remove "virtio-cswap/$version" -k "$release"
	check "it is gone" sh -c "! modinfo -k $release virtio-cswap"
}

add_programs() {
	add_report boot-report "What became of the driver"
	install -m 0755 "$repo/build/bed/guest/swapstress" /usr/bin/
}

make_image() { # FILE
	remove_unneeded
	mount --bind / /mnt
	truncate -s 2G "$1"
	mke2fs -q -t ext4 -E lazy_itable_init=1 -d /mnt "$1"
	umount /mnt
}

if [[ ${1-} == inside ]]; then
	only_inside
	work=$2
	install_and_build
	check "an image with systemd" eval 'add_programs && make_image "$work/image"'
	exit "$failures"
fi

# --- outside

((EUID == 0)) || { echo "1..0 # SKIP needs root"; exit 4; }
if ! "$bed/layer" dkms systemd-sysv >/dev/null; then
	echo "1..0 # SKIP dkms and systemd-sysv can't be installed here"
	exit 4
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$repo/build/bed"
"$bed/enter" make -s -C "$repo" O=build/bed bed-programs >&2
inside=0
"$bed/enter" --with "dkms systemd-sysv" "$here/test_installed.sh" inside "$work" || inside=$?
failures=$((failures + inside))
[[ ! -e $work/image ]] || boots "it booted, swapped and powered off" "$work/image" boot-report
((failures == 0))
