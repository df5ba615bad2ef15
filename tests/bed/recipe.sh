# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# recipe.sh - what the provisioned root is made of. Its hash is the root's key: change a word here
# and the next run builds a new root.

root_suite=trixie

# From trixie itself: compilers, libraries of the userspace, what kernel modules and UML need to
# build, and what the tests and their guests run.
root_packages=(
	gcc make pkgconf libc6-dev libasan8 libubsan1 binutils
	liburing-dev libsodium-dev libcmocka-dev libsystemd-dev libseccomp-dev libjson-c-dev libblkid-dev
	flex bison bc kmod cpio xz-utils zstd libelf-dev dwarves
	busybox-static util-linux procps udev strace e2fsprogs dmsetup inotify-tools socat
	redis-server redis-tools sqlite3 fio stress-ng makedumpfile
	# Servers that stand behind cswapd's store, and their tools; firmware of confidential guests.
	nbdkit libnbd-bin ovmf
	# What the QEMU of tests/cvm-emu is built with.
	ninja-build meson patch bzip2 libglib2.0-dev libpixman-1-dev zlib1g-dev
	python3 python3-venv python3-pip python3-setuptools python3-pycotap
)

# Source packages, from trixie itself, that are kept in /usr/src: what tests/cvm-emu patches.
source_packages=(qemu)

# From backports: QEMU 11 (qemu-storage-daemon comes with it) and the source for User-Mode Linux.
backports_packages=(
	qemu-system-x86 qemu-utils
	linux-source
)

# Kernels by the name the tests know them by, and the suite each comes from. All are the cloud
# flavour: small, and what confidential guests boot.
declare -A kernel_suites=(
	[newest]=$root_suite-backports
	[6.12]=$root_suite
	[6.1]=bookworm
)
