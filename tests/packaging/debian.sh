# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154,SC2016
# debian.sh - a clean Debian with systemd as its first process, for tests that are scripts. $work is the test's
# folder, $here this one.
#
# Theory of operation: boot lays an overlay over tests/packaging/clean-root, in namespaces of its own and with a
# cgroup of its own, and starts init there; guest_run runs a command in it. When the test's process ends so does
# all of it, and what was changed is gone: shut_down, at EXIT, takes its cgroup away as well.

# boot [SUITE]: the first process is in $work/pid.
boot() {
	local clean
	clean=$("$here/clean-root" "$@")
	mkdir "$work/boot"
	unshare --mount --uts --ipc --pid --fork --kill-child=KILL --propagation slave bash -euc '
		work=$1 clean=$2 root=$1/boot/root cgroups=$1/boot/cgroups
		mount -t tmpfs boot "$work/boot"
		mkdir "$work"/boot/{upper,work,root,cgroups}
		mount -t overlay overlay -o "lowerdir=$clean,upperdir=$work/boot/upper,workdir=$work/boot/work" "$root"
		mount -t cgroup2 cgroup2 "$cgroups"
		mkdir "$cgroups/${work##*/}"
		read -r pid _ </proc/self/stat
		echo 0 >"$cgroups/${work##*/}/cgroup.procs"
		mount -t proc proc "$root/proc"
		# Settings of the kernel are the machine'\''s own.
		mount --bind "$root/proc/sys" "$root/proc/sys"
		mount -o remount,bind,ro "$root/proc/sys"
		mount -t sysfs -o ro sysfs "$root/sys"
		mount -t tmpfs run "$root/run"
		mount -t tmpfs dev "$root/dev"
		for node in null zero full random urandom tty; do
			touch "$root/dev/$node"
			mount --bind "/dev/$node" "$root/dev/$node"
		done
		mkdir "$root"/dev/{pts,shm}
		mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
		mount -t tmpfs shm "$root/dev/shm"
		ln -s pts/ptmx "$root/dev/ptmx"
		ln -s /proc/self/fd "$root/dev/fd"
		for unit in tmp.mount console-getty.service getty.target systemd-modules-load.service \
			systemd-logind.service; do
			ln -sf /dev/null "$root/etc/systemd/system/$unit"
		done
		cp /etc/resolv.conf "$root/etc/"
		echo "$pid" >"$work/pid.new"
		mv "$work/pid.new" "$work/pid"
		exec unshare --cgroup bash -euc "mount -t cgroup2 cgroup2 \"\$1/sys/fs/cgroup\"
			exec env -i container=cswap-test PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot \"\$1\" /sbin/init" bash "$root"
	' bash "$work" "$clean" >"$work/boot.log" 2>&1 </dev/null &
	boot_job=$!
	disown
}
guest_run() { # COMMAND...: in that Debian
	nsenter -t "$(cat "$work/pid")" -m -u -i -p -C -r -w env -i LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
		PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}
booted() {
	local tries
	for ((tries = 0; tries < 600; tries++)); do
		[[ -e $work/pid ]] && guest_run test -S /run/systemd/private && break
		kill -0 "$boot_job" || { cat "$work/boot.log"; return 1; }
		sleep 0.1
	done
	guest_run systemctl is-system-running --wait || { guest_run systemctl --failed --no-legend --plain; return 1; }
}
# All of it dies with its first process, in its own time; then its cgroup can go.
shut_down() {
	local mount tries
	mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[[ -z ${boot_job-} ]] || kill -KILL "$boot_job" 2>/dev/null || true
	for ((tries = 0; tries < 100; tries++)); do
		[[ -n $mount && -d $mount/${work##*/} ]] || break
		find "$mount/${work##*/}" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
	done
	rm -rf "$work"
}

apt_in() { # ARGUMENT...
	guest_run apt-get -qy --no-install-recommends "$@"
}
