#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_deb.sh - the Debian packages: built, looked at by lintian, installed, used, upgraded, removed. TAP.
#
# Theory of operation: cswapd's package is tried in a clean Debian that has systemd as its first process:
# an overlay over tests/packaging/clean-root, in namespaces of its own, with a cgroup of its own. There
# a simulated guest swaps to the daemon while the package is upgraded. The guest's package is
# tried in the provisioned root with DKMS and three kernels. (That a guest boots with those files and
# swaps is test_installed.sh's.) When this process ends so does all of it.
# shellcheck disable=SC2016	# quoted scripts are for a shell inside
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../bed/lib.sh
. "$(dirname "$0")/../bed/lib.sh"
# shellcheck source-path=SCRIPTDIR source=tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source-path=SCRIPTDIR source=debian.sh
. "$(dirname "$0")/debian.sh"
here=$repo/tests/packaging
tools="build-essential debhelper dh-dkms lintian"
libvirt="libvirt-clients libvirt-daemon-driver-qemu libxml2-utils"
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' "$repo/debian/changelog")
newer=$version+test
units=(cswap-balancer.service cswap-metrics.timer)

number=0
files_of() { # PACKAGE
	dpkg-deb --fsys-tarfile "$work/deb/$1_$version"_*.deb | tar -t | sed -n '/[^/]$/s/^\.//p'
}
# The same, called newer, with a daemon that knows it: to build all of it again would take minutes and
# tell no more.
make_newer() {
	local file daemon=$work/build/cswapd
	"$bed/enter" make -s -C "$repo" "O=$work/build" CPPFLAGS="-DCSWAP_VERSION='\"$newer\"'" "$daemon" || return
	for file in "$work"/deb/cswapd_"$version"_*.deb "$work"/deb/virtio-cswap-dkms_"$version"_*.deb; do
		rm -rf "$work/newer"
		dpkg-deb -R "$file" "$work/newer" || return
		sed -i "s/^Version: .*/Version: $newer/" "$work/newer/DEBIAN/control"
		[[ ! -e $work/newer/usr/sbin/cswapd ]] || cp "$daemon" "$work/newer/usr/sbin/cswapd" || return
		dpkg-deb -b "$work/newer" "${file/_${version}_/_${newer}_}" || return
	done
}
has_files() { # PACKAGE FILE...
	local package=$1 file
	files_of "$package" >"$work/files"
	shift
	for file; do
		grep -qx "$file" "$work/files" || { echo "no $file"; return 1; }
	done
}
# Its scripts enable and purge them: debhelper looked where they are.
knows_units() { # PACKAGE-FILE UNIT...
	local unit
	rm -rf "$work/scripts"
	dpkg-deb -e "$1" "$work/scripts" || return
	shift
	for unit; do
		grep -q "deb-systemd-helper.*'$unit'" "$work/scripts/postinst" || { echo "nothing of $unit"; return 1; }
	done
}
# What `make install-guest` installs, the package has, with the same content.
same_as_install_guest() {
	local file
	MAKEFLAGS='' make -s -C "$repo" install-guest DESTDIR="$work/guest"
	mkdir "$work/package"
	dpkg-deb -x "$work/deb/virtio-cswap-dkms_${version}_all.deb" "$work/package"
	# debhelper compresses manuals.
	find "$work/package/usr/share/man" -name '*.gz' -exec gunzip {} +
	while IFS= read -r file; do
		cmp "$work/guest/$file" "$work/package/$file" || return
	done < <(cd "$work/guest" && find . -type f)
}
lints() {
	"$bed/enter" --with "$tools" lintian --allow-root -E -I --pedantic "$work/deb/virtio-cswap_${version}_amd64.changes" |
		tee "$work/lintian"
	[[ ! -s $work/lintian ]]
}

valid_domain() {
	"$bed/enter" --with "$libvirt" virt-xml-validate "$here/domain.xml" domain
}
# libvirt's own QEMU driver makes a command line of it; without KVM, which need not be here.
starts_as_told() {
	mkdir -p "$work/libvirt"
	sed "s/type='kvm'/type='qemu'/" "$here/domain.xml" >"$work/domain.xml"
	"$bed/enter" --contain --with "$libvirt" virsh -c "qemu:///embed?root=$work/libvirt" \
		domxml-to-native qemu-argv "$work/domain.xml" | tee "$work/argv"
	grep -q '"memory-backend-memfd".*"share":true' "$work/argv" &&
		grep -qF -e '-chardev socket,id=cswap,path=/run/cswapd/web1/socket -device vhost-user-test-device-pci,' "$work/argv"
}
# The domain is what the guide says.
domain_as_told() {
	local line
	while read -r line; do
		grep -qF "$line" "$here/domain.xml" || { echo "not there: $line"; return 1; }
	done < <(sed -n '/<memoryBacking>/,/<\/qemu:commandline>/s/^    *//p' "$repo/docs/attach.md" | grep -vx '\.\.\.')
}

# --- the guest's package, inside the root with DKMS

dkms_has() { # COUNT
	dkms status virtio-cswap | tee /dev/stderr | grep -c installed | grep -qx "$1"
}
# Without triggers: the initramfs of each kernel, which the guard has made anew, would take minutes here.
apt_dkms() { # ARGUMENT...
	apt-get -qy --no-install-recommends -o DPkg::Options::=--no-triggers "$@"
}
install_dkms() {
	local release
	export DEBIAN_FRONTEND=noninteractive
	check "virtio-cswap-dkms: apt installs it" apt_dkms install \
		 "$work/deb/virtio-cswap-dkms_${version}_all.deb"
	release=$(cat /etc/cswap-bed/kernel-newest)
	dkms_has 3 >/dev/null 2>&1 ||
		check "virtio-cswap-dkms: autoinstall" dkms autoinstall -k "$release"
	check "virtio-cswap-dkms: the module is the kernel's" sh -c "modinfo -k $release -F filename virtio-cswap | grep updates/dkms"
	check "virtio-cswap-dkms: upgrade" apt_dkms install "$work/deb/virtio-cswap-dkms_${newer}_all.deb"
	check "virtio-cswap-dkms: the module is there still" sh -c "modinfo -k $release -F filename virtio-cswap | grep updates/dkms"
	check "virtio-cswap-dkms: remove" apt_dkms remove virtio-cswap-dkms
	check "virtio-cswap-dkms: no module is left" sh -c "! modinfo -k $release virtio-cswap"
	check "virtio-cswap-dkms: purge" apt_dkms purge virtio-cswap-dkms
	check "virtio-cswap-dkms: nothing is left" sh -c '! ls -d /usr/src/virtio-cswap* /etc/default/cswap /usr/lib/cswap \
		/etc/initramfs-tools/conf.d/zz-cswap-guard /usr/lib/systemd/system/swap.d/50-cswap-guard.conf'
}

# --- the host's package, in a Debian with systemd

property() { # NAME
	guest_run systemctl show -p "$1" --value cswapd@web1
}
# A guest that stores and loads, and compares every page, until it's told to end.
begin_load() {
	guest_run /opt/cswap-sim --socket /run/cswapd/web1/socket --pages 4096 --seconds 3600 --verify load \
		>"$work/load" 2>&1 &
	load=$!
	# The first phase is over when its report is there: the guest is attached, and has pages out.
	local tries
	for ((tries = 0; tries < 600; tries++)); do
		[[ -s $work/load ]] && return
		sleep 0.1
	done
	return 1
}
load_ended_well() {
	local pid=$load child
	# It's the last of those that lead into that Debian.
	while child=$(cat "/proc/$pid/task/$pid/children") && [[ -n $child ]]; do
		pid=${child%% *}
	done
	kill -USR1 "$pid"
	wait "$load" || { cat "$work/load"; return 1; }
	cat "$work/load"
}
upgrade_under_load() {
	local before after
	before=$(property MainPID)
	apt_in install "/opt/cswapd_${newer}_amd64.deb" || return
	kill -0 "$load" || { echo "the load ended before the upgrade did"; return 1; }
	after=$(property MainPID)
	if [[ $(property FileDescriptorStoreMax) -gt 0 ]]; then
		[[ $before != "$after" ]] || { echo "the daemon wasn't replaced"; return 1; }
		guest_run "/proc/$after/exe" --version | grep -F "$newer" || { echo "by no newer one"; return 1; }
	else
		[[ $before == "$after" ]] || { echo "the daemon was replaced, and can't survive that"; return 1; }
	fi
}
# A new version that couldn't go on from what the daemon has kept doesn't take its place.
left_alone() {
	local before
	before=$(property MainPID)
	guest_run sh -c 'printf "#!/bin/sh\necho another\n" >/usr/local/bin/cswapd &&
		chmod +x /usr/local/bin/cswapd && dpkg-reconfigure cswapd >/tmp/said 2>&1
		rm /usr/local/bin/cswapd && cat /tmp/said && grep "cswapd@web1.*goes on as it was" /tmp/said' || return
	[[ $(property MainPID) == "$before" ]]
}

# A daemon from before an upgrade runs a file that is there no more.
runs_installed() {
	local exe
	exe=$(guest_run readlink "/proc/$(property MainPID)/exe")
	[[ $exe == */usr/sbin/cswapd ]] || { echo "$exe"; return 1; }
}
promtool_agrees() {
	"$bed/enter" --with prometheus sh -c 'grep -v ^active "$1" | promtool check metrics' sh "$work/metrics"
}
gone() { # PATH...
	local path
	for path; do
		guest_run sh -c 'test ! -e "$1" -a ! -L "$1"' sh "$path" || { echo "$path is there"; return 1; }
	done
}
refused() {
	! apt_in remove cswapd && guest_run systemctl is-active cswapd@web1
}

try_host() {
	guest_run mkdir -p /opt
	cp "$work/deb"/cswapd_*.deb "$repo/build/bed/cswap-sim" "/proc/$(cat "$work/pid")/root/opt/"
	check "cswapd: apt update" apt_in update
	check "cswapd: apt installs it, with what it needs" apt_in install "/opt/cswapd_${version}_amd64.deb"
	check "cswapd: its group is there" guest_run getent group cswap
	check "cswapd: systemd understands the units" guest_run sh -c \
		"! systemd-analyze verify --man=no cswapd@web1.service 2>&1 | tee /dev/stderr | grep cswap"
	check "cswapd: a guest is configured and its daemon started" guest_run sh -c \
		'echo "ARGS=--store store --size 64M" >/etc/cswapd/web1.conf && systemctl enable --now cswapd@web1'
	check "cswapd: it runs with what was installed" runs_installed
	check "cswapd: the VMM's socket is its group's" guest_run sh -c \
		'test "$(stat -c %G:%a /run/cswapd/web1/socket)" = cswap:770'
	check "cswapd: cswapctl finds it" guest_run sh -c 'cswapctl status | grep -q "balloon *absent"'
	check "cswapd: the balancer finds it" guest_run sh -c 'systemctl start cswap-balancer && balanced() {
		cswapctl explain web1; }; for try in $(seq 60); do balanced && exit; sleep 1; done; exit 1'
	check "cswapd: a guest attaches and swaps" begin_load
	check "cswapd: it isn't removed from under its guest" refused
	check "cswapd: and loses nothing" load_ended_well
	check "cswapd: it attaches again" begin_load
	check "cswapd: one that couldn't go on is left alone" left_alone
	check "cswapd: upgrade under load" upgrade_under_load
	check "cswapd: no page was lost" load_ended_well
	check "cswapd: an idle daemon is new after an upgrade" guest_run sh -c \
		'systemctl restart cswapd@web1 && dpkg-reconfigure cswapd; systemctl is-active cswapd@web1'
	check "cswapd: it runs with what was installed" runs_installed
	check "cswapd: figures for node_exporter" guest_run sh -c \
		'mkdir -p /var/lib/prometheus/node-exporter && systemctl start cswap-metrics.timer cswap-metrics.service &&
			cat /var/lib/prometheus/node-exporter/cswap.prom && systemctl is-active cswap-metrics.timer'
	cp "$work/out" "$work/metrics"
	check "cswapd: with the guest in them" grep -qx 'cswap_up{guest="web1"} 1' "$work/metrics"
	check "cswapd: promtool has nothing to say" promtool_agrees
	check "cswapd: no unit failed" guest_run sh -c '! systemctl --failed --no-legend --plain | grep .'
	check "cswapd: remove" apt_in remove cswapd
	check "cswapd: its daemons are stopped" guest_run sh -c '! systemctl is-active cswapd@web1 cswap-balancer cswap-metrics.timer'
	check "cswapd: what the operator wrote is left" guest_run cat /etc/cswapd/web1.conf
	check "cswapd: the store is left" guest_run ls /var/lib/cswapd/web1/store
	check "cswapd: purge" apt_in purge cswapd
	check "cswapd: nothing is left" gone /etc/cswapd /etc/cswap-balancer.conf /var/lib/cswapd /var/lib/private/cswapd /usr/sbin/cswapd \
		/var/lib/prometheus/node-exporter/cswap.prom /etc/systemd/system/multi-user.target.wants/cswapd@web1.service
}

if [[ ${1-} == inside ]]; then
	[[ $(stat -f -c %T /) == overlayfs ]] || die "installs packages: only for a root that is thrown away"
	work=$2 number=$3
	install_dkms
	echo "$number" >"$work/count"
	exit "$failures"
fi

# --- outside

((EUID == 0)) || { echo "1..0 # SKIP needs root"; exit 4; }
# shellcheck disable=SC2086	# words
if ! "$bed/layer" $tools >/dev/null || ! "$bed/layer" dkms systemd-sysv >/dev/null || ! "$here/clean-root" >/dev/null; then
	echo "1..0 # SKIP packages can't be installed here"
	exit 4
fi
work=$(mktemp -d /tmp/cswap-deb.XXXXXX)
trap shut_down EXIT
mkdir -p "$repo/build/bed"
check "the packages are built" "$bed/enter" --with "$tools" "$here/build-deb" "$work/deb"
[[ -e $work/deb/cswapd_${version}_amd64.deb ]] || { echo "1..$number"; exit 1; }
check "and as a newer version" make_newer
check "lintian" lints
check "cswapd: what it has" has_files cswapd /usr/sbin/cswapd /usr/bin/cswapctl /usr/bin/cswap-seal \
	/usr/lib/systemd/system/cswapd@.service /usr/share/man/man8/cswapd.8.gz /usr/share/man/man1/cswapctl.1.gz \
	/usr/share/bash-completion/completions/cswapctl /usr/lib/sysusers.d/cswapd.conf \
	/usr/lib/systemd/system/cswap-metrics.timer /usr/share/virtio-cswap/grafana.json \
	/usr/sbin/cswap-balancer /usr/lib/systemd/system/cswap-balancer.service /etc/cswap-balancer.conf \
	/usr/lib/systemd/system/cswapd-nbd@.service /usr/libexec/virtio-cswap/rbd-unlock /usr/share/virtio-cswap/stores/rbd.conf \
	/usr/share/virtio-cswap/contrib/apparmor/usr.sbin.cswapd
check "virtio-cswap-dkms: what install-guest has" same_as_install_guest
check "cswapd: its scripts know its units" knows_units "$work/deb/cswapd_${version}_amd64.deb" "${units[@]}"
# Which may be another Debian.
check "this machine builds them as well" "$here/build-deb" "$work/own"
check "cswapd: its scripts know its units there" knows_units "$work/own/cswapd_${version}_amd64.deb" "${units[@]}"

check "libvirt: the domain is valid" valid_domain
check "libvirt: it is what the guide tells" domain_as_told
check "libvirt: it makes a QEMU command line of it" starts_as_told
"$bed/enter" make -s -C "$repo" O=build/bed sim >&2
boot
check "a clean Debian boots" booted
try_host

inside=0
"$bed/enter" --with "dkms systemd-sysv" "$here/test_deb.sh" inside "$work" "$number" || inside=$?
failures=$((failures + inside))
echo "1..$(cat "$work/count")"
((failures == 0))
