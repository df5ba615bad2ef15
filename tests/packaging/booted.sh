# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
# booted.sh - what the tests share that boot a whole guest with systemd from a disk: in the root that is thrown
# away the report's unit and the image's contents, outside the run of the guest.

# What deletes most of / is only for a root that is thrown away.
only_inside() {
	[[ -e /etc/cswap-bed/key && $(stat -f -c %T /) == overlayfs ]] ||
		die "deletes most of /: only for a root that is thrown away"
}

# add_report PROGRAM DESCRIPTION: what the guest checks and how it says so, as a unit of the image.
add_report() {
	install -D -m 0755 -t /usr/lib/cswap-test "$here/$1" "$here/tap.sh"
	cat >/etc/systemd/system/cswap-report.service <<-EOT
	[Unit]
	Description=$2
	After=multi-user.target
	[Service]
	Type=oneshot
	ExecStart=/bin/sh -c 'exec /usr/lib/cswap-test/$1 >/dev/ttyS1 2>&1'
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
}

# The image needs no compiler, QEMU or other kernels; the root is thrown away, so they are.
remove_unneeded() {
	local release
	release=$(cat /etc/cswap-bed/kernel-newest)
	find /usr/lib/modules -mindepth 1 -maxdepth 1 ! -name "$release" -exec rm -rf {} +
	rm -rf /usr/src /usr/include /usr/lib/gcc* /usr/libexec/gcc* /usr/share/{qemu,perl,python3,locale,doc} \
		/usr/lib/python3* /usr/bin/qemu-* /usr/lib/llvm* /var/lib/dkms /usr/lib/x86_64-linux-gnu/qemu
}

# boots NAME DISK REPORT [COMMAND-LINE]: an emulated guest on a busy machine takes minutes for what systemd
# gives 90 seconds.
boots() {
	local status=0
	"$repo/tests/vm/run" --kernel newest --cpus 2 --mem 512M --timeout 1500 --no-driver --disk "$2" \
		--cswapd "--store @RUN@/store --size 256M" --append "rdinit=$here/boot-init systemd.show_status=0 \
		systemd.default_timeout_start_sec=1200 systemd.default_device_timeout_sec=1200 ${4-}" \
		"$here/$3" || status=$?
	if ((status == 0)); then
		echo "ok - $1"
		return
	fi
	failures=$((failures + 1))
	echo "not ok - $1: exit $status"
}
