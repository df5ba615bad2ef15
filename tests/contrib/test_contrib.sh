#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_contrib.sh - what contrib/ has for other programs, read by these: AppArmor's parser, SELinux's compiler,
# libvirt's hook run as libvirt does, cloud-init's schema, Ansible, rpmbuild. TAP. A program that isn't installed
# skips its test; as root they are installed first.
# shellcheck disable=SC2016	# quoted scripts are for a shell inside
set -euo pipefail

root=$(realpath "$(dirname "$0")/../..")
# shellcheck source-path=SCRIPTDIR source=../packaging/tap.sh
. "$root/tests/packaging/tap.sh"
contrib=$root/contrib
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0

# PROGRAM=PACKAGE
programs=(apparmor_parser=apparmor checkmodule=checkpolicy cloud-init=cloud-init ansible-playbook=ansible-core
	rpmbuild=rpm)
install_programs() {
	local program missing=()
	for program in "${programs[@]}"; do
		command -v "${program%=*}" >/dev/null || missing+=("${program#*=}")
	done
	((${#missing[@]} && EUID == 0)) || return 0
	{ apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install "${missing[@]}"; } \
		>"$work/log" 2>&1 || echo "# could not install ${missing[*]}"
}

# Parsed and compiled; this machine's kernel need not have AppArmor.
compiled() { # FILE
	apparmor_parser --skip-kernel-load --skip-cache --stdout "$1" >"$work/policy" && [[ -s $work/policy ]]
}
is_no_profile() {
	sed 's/rwk,$/rwk/' "$contrib/apparmor/usr.sbin.cswapd" >"$work/broken"
	! compiled "$work/broken"
}
abstraction_compiled() {
	{
		echo 'include <tunables/global>'
		echo 'profile qemu /usr/bin/qemu {'
		cat "$contrib/apparmor/libvirt-qemu.local"
		echo '}'
	} >"$work/profile"
	compiled "$work/profile"
}
policy_compiled() {
	checkmodule -M -m -o "$work/cswap_svirt.mod" "$contrib/selinux/cswap_svirt.te" && [[ -s $work/cswap_svirt.mod ]]
}

# hook DOMAIN OPERATION SUB-OPERATION: what it has systemctl do. /etc is another one meanwhile.
hook() {
	local user=()
	((EUID == 0)) || user=(--user --map-root-user)
	mkdir -p "$work/etc/cswapd" "$work/bin"
	echo ARGS= >"$work/etc/cswapd/web1.conf"
	printf '#!/bin/sh\necho "$@"\n' >"$work/bin/systemctl"
	chmod +x "$work/bin/systemctl"
	PATH=$work/bin:$PATH unshare --mount "${user[@]}" sh -euc 'mount --bind "$1/etc" /etc; shift; exec "$@"' sh "$work" \
		"$contrib/libvirt/qemu" "$@" - </dev/null
}
hook_says() { # WANTED DOMAIN OPERATION SUB-OPERATION
	local said
	said=$(hook "${@:2}") || return
	[[ $said == "$1" ]] || { echo "said: $said"; return 1; }
}
hook_as_told() {
	local line
	while IFS= read -r line; do
		grep -qxF -- "$line" <(sed 's/^    //' "$root/docs/attach.md") || { echo "not in docs/attach.md: $line"; return 1; }
	done < <(grep -v '^# ' "$contrib/libvirt/qemu")
}

schema_is_met() {
	cloud-init schema --config-file "$contrib/cloud-init/guest.yaml"
}
schema_is_asked() {
	sed 's/^runcmd:/runcmd: 7 #/' "$contrib/cloud-init/guest.yaml" >"$work/bad.yaml"
	! cloud-init schema --config-file "$work/bad.yaml"
}
played() { # PLAYBOOK
	ANSIBLE_LOCAL_TEMP=$work/ansible ANSIBLE_INVENTORY_UNPARSED_WARNING=no ansible-playbook --syntax-check \
		-i "localhost," "$contrib/ansible/$1"
}
# To be built from what is committed and what isn't yet.
rpms_are_built() {
	local version name
	version=$(sed -n 's/^Version: *//p' "$contrib/rpm/virtio-cswap.spec")
	[[ $version == "$(cat "$root/VERSION")" ]] || { echo "the spec has version $version"; return 1; }
	mkdir -p "$work/rpm/SOURCES"
	(cd "$root" && git ls-files -z | while IFS= read -r -d '' name; do
		[[ ! -e $name ]] || printf '%s\0' "$name"
	done | tar --null -czf "$work/rpm/SOURCES/virtio-cswap-$version.tar.gz" --transform "s,^,virtio-cswap-$version/,S" -T -) &&
		env -u MAKEFLAGS -u MAKELEVEL rpmbuild --nodeps --define "_topdir $work/rpm" --define "_smp_mflags -j2" \
			-bb "$contrib/rpm/virtio-cswap.spec" || return
	rpm -qpl --nosignature "$work"/rpm/RPMS/*/*.rpm >"$work/files" &&
		grep -x /usr/sbin/cswapd "$work/files" && grep -x "/usr/src/virtio-cswap-$version/dkms.conf" "$work/files"
}

install_programs
check_with apparmor_parser "AppArmor: cswapd's profile" compiled "$contrib/apparmor/usr.sbin.cswapd"
check_with apparmor_parser "AppArmor: a mistake is found" is_no_profile
check_with apparmor_parser "AppArmor: what QEMU's profile needs" abstraction_compiled
check_with checkmodule "SELinux: the module" policy_compiled
check "libvirt's hook: the daemon starts before its domain" hook_says "start cswapd@web1" web1 prepare begin
check "libvirt's hook: and is stopped after it" hook_says "stop cswapd@web1" web1 release end
check "libvirt's hook: not in between" hook_says "" web1 started begin
check "libvirt's hook: nor with a domain that has no daemon" hook_says "" other prepare begin
check "libvirt's hook: is what the guide shows" hook_as_told
check_with cloud-init "cloud-init: the user data" schema_is_met
check_with cloud-init "cloud-init: a mistake is found" schema_is_asked
for playbook in host guest; do
	check_with ansible-playbook "Ansible: $playbook.yml" played "$playbook.yml"
done
check_with rpmbuild "RPMs are built" rpms_are_built
echo "1..$number"
((failures == 0))
