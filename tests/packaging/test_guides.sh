#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_guides.sh [SUITE]... - in a clean Debian (trixie and bookworm) somebody types what the documents say, to the
# letter: README.md, docs/operating.md, docs/guest.md, host/cswapd/cswapd.8. TAP.
#
# Theory of operation: tests/docs/commands takes the commands out of the documents, so nothing here says them
# again; tests/docs/check-commands sees to it that all of a document's commands are tried somewhere. What the
# machine brings and the documents don't tell is the repository's files, apt's lists, its answer "yes", and
# the name of a kernel of this Debian, since the kernel that runs here is the machine's. The guest that is
# to be started is a simulated one; that a guest with the package boots and swaps is test_installed.sh's.
# shellcheck disable=SC2016	# quoted scripts are for a shell inside
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../bed/lib.sh
. "$(dirname "$0")/../bed/lib.sh"
# shellcheck source-path=SCRIPTDIR source=tap.sh
. "$(dirname "$0")/tap.sh"
# shellcheck source-path=SCRIPTDIR source=debian.sh
. "$(dirname "$0")/debian.sh"
here=$repo/tests/packaging
tree=/root/virtio-cswap
number=0

# Working copies of what git knows of, with what isn't committed yet.
bring_tree() {
	guest_run mkdir "$tree" &&
		(cd "$repo" && git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
			[[ ! -e $file ]] || printf '%s\0' "$file"
		done | tar --null -cf - -T -) | guest_run tar -xf - -C "$tree"
}
# What a machine has that isn't new, and what a person says.
prepare() {
	local release
	guest_run sh -c 'mkdir -p /etc/apt/apt.conf.d && echo "APT::Get::Assume-Yes \"true\";" >/etc/apt/apt.conf.d/yes' &&
		apt_in update && bring_tree || return
	release=$(guest_run apt-cache depends linux-headers-cloud-amd64 | sed -n 's/.*Depends: linux-headers-//p' | head -n 1)
	[[ -n $release ]] && echo "# the guest's kernel is $release" &&
		guest_run sh -c 'printf "#!/bin/sh\n[ \"\$*\" = -r ] && exec echo %s\nexec /usr/bin/uname \"\$@\"\n" "$1" \
			>/usr/local/bin/uname && chmod +x /usr/local/bin/uname' sh "$release"
}

# "Then start the guest with a device at ..."
start_guest() {
	[[ -z ${guest-} ]] && guest_run test -S /run/cswapd/web1/socket || return 0
	guest_run /opt/build/cswap-sim --socket /run/cswapd/web1/socket obey >"$work/guest.log" 2>&1 </dev/null &
	guest=$!
}
typed_one() { # FOLDER COMMAND
	# What is for a terminal gets one, and is told to end.
	if [[ $2 == "cswapctl top" ]]; then
		guest_run sh -c 'TERM=xterm script -qec "stty cols 80 rows 12; cswapctl top" /dev/null' <<<q | grep web1
	else
		guest_run sh -c 'cd "$1" && eval "$2"' sh "$1" "$2"
	fi
}
# typed FOLDER DOCUMENT HEADING [REMARK]
typed() {
	local folder=$1 command commands
	shift
	mapfile -t commands < <("$repo/tests/docs/commands" "$@")
	check "$suite, $1: there are commands under $2" test "${#commands[@]}" -gt 0
	for command in "${commands[@]}"; do
		check "$suite, $1: $command" typed_one "$folder" "$command"
		start_guest
	done
}

store_is_there() {
	guest_run ls -l /srv/cswapd/web1/store
}
guest_is_seen() {
	guest_run cswapctl list | tee /dev/stderr | grep -q '^web1 .* at target$'
}
metrics_are_there() {
	guest_run systemctl start cswap-metrics.service &&
		guest_run grep -x 'cswap_up{guest="web1"} 1' /var/lib/prometheus/node-exporter/cswap.prom
}
module_is_built() {
	guest_run sh -c 'dkms status virtio-cswap && ls /lib/modules/$(uname -r)/updates/dkms/virtio-cswap.ko*'
}
ready_guest() {
	guest_run sh -c 'until cswapctl --guest web1 status | grep "^balloon *ready"; do sleep 0.1; done'
}

follow() {
	check "$suite: a clean Debian boots" booted || return
	check "$suite: it has the repository" prepare
	typed "$tree" README.md "Use it" ""
	check "$suite: the simulated guest is built" guest_run make -s -C "$tree" O=/opt/build sim
	typed "$tree" docs/operating.md "Where a store lies"
	typed "$tree" README.md "Use it" "on the host"
	check "$suite: the store is where the guide has put it" store_is_there
	check "$suite: the guest is there" ready_guest
	check "$suite: cswapctl lists it" guest_is_seen
	check "$suite: the balancer runs" guest_run systemctl is-active cswap-balancer
	check "$suite: it is stopped" guest_run systemctl disable --now cswap-balancer
	typed "$tree/build/deb" docs/operating.md "A guest's daemon"
	typed "$tree" docs/operating.md "Many guests"
	typed "$tree" docs/operating.md "Watching it"
	check "$suite: Prometheus' figures have the guest" metrics_are_there
	typed "$tree" host/cswapd/cswapd.8 "WITH SYSTEMD"
	# Others' are none of ours: what node_exporter recommends looks for disks that aren't here.
	check "$suite: none of our units failed" guest_run sh -c '! systemctl --failed --no-legend --plain | grep cswap'
	typed "$tree/build/deb" README.md "Use it" "in the guest"
	check "$suite: DKMS has built the module" module_is_built
	typed "$tree/build/deb" docs/guest.md "Installing"
}

((EUID == 0)) || { echo "1..0 # SKIP needs root"; exit 4; }
(($#)) || set -- trixie bookworm
for suite; do
	"$here/clean-root" "$suite" >/dev/null || { echo "1..0 # SKIP $suite can't be installed here"; exit 4; }
	work=$(mktemp -d /tmp/cswap-guides.XXXXXX)
	trap shut_down EXIT
	guest=
	boot "$suite"
	follow
	shut_down
done
echo "1..$number"
((failures == 0))
