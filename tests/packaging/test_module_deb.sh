#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_module_deb.sh - tools/module-deb's package for Debian's stable kernel: built, signed, installed where
# there is no compiler's work left to do, found by the kernel's tools, removed. TAP.
# shellcheck disable=SC2016	# quoted scripts are for a shell inside
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../bed/lib.sh
. "$(dirname "$0")/../bed/lib.sh"
# shellcheck source-path=SCRIPTDIR source=tap.sh
. "$(dirname "$0")/tap.sh"

module_is_there() {
	modinfo -k "$release" -F filename virtio-cswap | tee /dev/stderr | grep -qx "/lib/modules/$release/updates/virtio-cswap.ko" &&
		modprobe -S "$release" --resolve-alias virtio:d0000000Dv00001AF4 | tee /dev/stderr | grep -qx virtio_cswap
}
module_says() { # FIELD VALUE
	modinfo -k "$release" -F "$1" virtio-cswap | tee /dev/stderr | grep -qx -- "$2"
}

if [[ ${1-} == inside ]]; then
	[[ -e /etc/cswap-bed/key && $(stat -f -c %T /) == overlayfs ]] || die "installs packages: only for a root that is thrown away"
	work=$2 number=0
	release=$(cat /etc/cswap-bed/kernel-6.12)
	check "a key" openssl req -new -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=image/ -keyout "$work/key.pem" -out "$work/certificate.pem"
	check "it is built" "$repo/tools/module-deb" --sign "$work/key.pem" "$work/certificate.pem" "$release" "$work"
	check "a kernel without headers is refused" sh -c '! "$1" 1.2.3 "$2"' sh "$repo/tools/module-deb" "$work"
	deb=$(echo "$work"/*.deb)
	check "it needs its kernel" sh -c 'dpkg-deb -f "$1" Depends | grep -F "linux-image-$2,"' sh "$deb" "$release"
	check "it has no source" sh -c '! dpkg-deb -c "$1" | grep usr/src' sh "$deb"
	# An initramfs is made anew by who is told of it (the trigger); it would take minutes here.
	check "it tells the initramfs" sh -c 'dpkg-deb --ctrl-tarfile "$1" | tar -xO ./triggers | grep "update-initramfs$"' sh "$deb"
	check "it is installed" dpkg --no-triggers --force-depends -i "$deb"
	check "the module is found" module_is_there
	check "it is for this kernel" sh -c 'modinfo -k "$1" -F vermagic virtio-cswap | grep "^$1 "' sh "$release"
	check "it has the version" module_says version "$(cat "$repo/VERSION")"
	check "it is signed" module_says signer image
	check "the guard is there" cswap-guard --help
	check "it is removed" dpkg --no-triggers -P "$(dpkg-deb -f "$deb" Package)"
	check "nothing is left" sh -c '! modinfo -k "$1" virtio-cswap && ! ls /etc/default/cswap /usr/sbin/cswap-guard' sh "$release"
	echo "1..$number"
	exit "$failures"
fi

((EUID == 0)) || { echo "1..0 # SKIP needs root"; exit 4; }
packages="dkms systemd-sysv openssl"
# shellcheck disable=SC2086	# words
"$bed/layer" $packages >/dev/null || { echo "1..0 # SKIP $packages can't be installed here"; exit 4; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$bed/enter" --with "$packages" "$repo/tests/packaging/test_module_deb.sh" inside "$work"
