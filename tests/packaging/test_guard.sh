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
	install -D -m 0755 -t /usr/lib/cswap-test "$here/guard-report" "$here/tap.sh"
	cat >/etc/systemd/system/cswap-report.service <<-EOT
	[Unit]
	Description=What became of the host's swap
	After=multi-user.target
	[Service]
	Type=oneshot
	ExecStart=/bin/sh -c 'exec /usr/lib/cswap-test/guard-report >/dev/ttyS1 2>&1'
	ExecStopPost=/bin/systemctl --no-block poweroff
	[Install]
	WantedBy=graphical.target
	EOT
	systemctl enable cswap-report.service
	systemctl set-default graphical.target
	# nothing that the guest needs, and time that its boot would take
	systemctl mask systemd-logind serial-getty@ttyS0 getty@tty1 e2scrub_reap systemd-firstboot \
		systemd-hwdb-update systemd-journal-flush systemd-pcrphase systemd-pcrlock-make-policy
	mkdir -p /etc/systemd/system/systemd-{journald,udevd}.service.d
	printf '[Service]\nWatchdogSec=0\nTimeoutStartSec=infinity\n' |
		tee /etc/systemd/system/systemd-{journald,udevd}.service.d/patience.conf
	: >/etc/fstab
	echo guest >/etc/hostname
	systemd-machine-id-setup
	dd if=/dev/urandom of=/swapfile bs=1M count=8
	chmod 0600 /swapfile
	mkswap /swapfile
}

# The types are systemd's: the root of this architecture, swap, and anything.
make_disk() { # FILE
	local release
	release=$(cat /etc/cswap-bed/kernel-newest)
	find /usr/lib/modules -mindepth 1 -maxdepth 1 ! -name "$release" -exec rm -rf {} +
	rm -rf /usr/src /usr/include /usr/lib/gcc* /usr/libexec/gcc* /usr/share/{qemu,perl,python3,locale,doc} \
		/usr/lib/python3* /usr/bin/qemu-* /usr/lib/llvm* /usr/lib/x86_64-linux-gnu/qemu
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
	[[ -e /etc/cswap-bed/key && $(stat -f -c %T /) == overlayfs ]] || die "deletes most of /: only for a root that is thrown away"
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

# boots NAME COMMAND-LINE: an emulated guest on a busy machine takes minutes for what systemd gives 90 seconds.
boots() {
	local status=0
	"$repo/tests/vm/run" --kernel newest --cpus 2 --mem 512M --timeout 1500 --no-driver --disk "$work/disk" \
		--cswapd "--store @RUN@/store --size 256M" --append "rdinit=$here/boot-init systemd.show_status=0 \
		systemd.default_timeout_start_sec=1200 systemd.default_device_timeout_sec=1200 $2" \
		"$here/guard-report" || status=$?
	((status == 0)) || failures=$((failures + 1))
	if ((status == 0)); then echo "ok - $1"; else echo "not ok - $1: exit $status"; fi
}
boots "the guest with its guard" ""
boots "the same with the guard off" "cswap.guard=off"
((failures == 0))
