# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# qemu.sh - how Debian's source package of QEMU is built, for whoever changes it: what is shared. Inside the root.

# The smallest that boots a kernel on q35 with virtio devices.
qemu_options=(--target-list=x86_64-softmmu --without-default-devices
	--without-default-features --enable-tcg --enable-system --enable-vhost-user --enable-vhost-kernel
	--disable-kvm --disable-user --disable-tools --disable-docs --disable-fdt --disable-download
	--disable-install-blobs --disable-werror --extra-cflags=-g0 --python=/usr/bin/python3)

# unpack_qemu TAR SOURCE: into a new folder. Firmware comes from Debian's packages, so its sources aren't needed.
unpack_qemu() {
	rm -rf "$2"
	mkdir "$2"
	tar -xJf "$1" -C "$2" --strip-components=1 --exclude='qemu-*/roms/*/*'
}

# configure_qemu SOURCE DEVICES: DEVICES is a file of configs/devices/x86_64-softmmu, without .mak.
configure_qemu() {
	local source=$1 devices=$2 blob

	# Debian's package is without firmware and device trees, which meson wants to see all the same.
	sed -n "s/^ *'\(edk2-.*\.fd\)',$/\1/p" "$source/pc-bios/meson.build" | while read -r blob; do
		[[ -e $source/pc-bios/$blob.bz2 ]] || printf '' | bzip2 -c >"$source/pc-bios/$blob.bz2"
	done
	if [[ -e $source/pc-bios/dtb/meson.build ]]; then
		sed -n "s/^ *'\(.*\.dtb\)',$/\1/p" "$source/pc-bios/dtb/meson.build" | while read -r blob; do
			[[ -e $source/pc-bios/dtb/$blob ]] || : >"$source/pc-bios/dtb/$blob"
		done
	fi
	mkdir -p "$source/build"
	(cd "$source/build" && ../configure "--with-devices-x86_64=$devices" "${qemu_options[@]}")
}
