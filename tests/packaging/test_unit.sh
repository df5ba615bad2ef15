#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_unit.sh - cswapd inside all that its unit takes away, started by systemd. TAP.
#
# Theory of operation: in a root that is thrown away, in namespaces of their own, `make install`
# puts the programs where an administrator would, and systemd becomes the first process. It starts
# a unit that starts cswapd@guest and, as a VMM and an operator, uses it. Controllers of
# cgroups aren't there; all else of the unit is in force.
# shellcheck disable=SC2016	# quoted scripts are for a shell inside
set -uo pipefail

# shellcheck source-path=SCRIPTDIR source=../bed/lib.sh
. "$(dirname "$0")/../bed/lib.sh"
# shellcheck source-path=SCRIPTDIR source=tap.sh
. "$(dirname "$0")/tap.sh"
bin=$repo/build/bed

# --- as the unit that systemd starts ---

number=0
guest=guest	# whose daemon is meant
explain() {
	journalctl -u "cswapd@$guest" -u "cswapd-nbd@$guest" --no-pager -n 20 -o cat
}

# The monitor and the process that serves, both.
process_says() { # PATTERN
	local pid
	pid=$(systemctl show -P MainPID "cswapd@$guest")
	for pid in "$pid" $(cat "/proc/$pid/task/$pid/children"); do
		grep -E "$1" "/proc/$pid/status" || return
	done
}

sim() {
	"$bin/cswap-sim" --socket "/run/cswapd/$guest"/socket "$@"
}

is_in_namespace() { # KIND
	local pid
	pid=$(systemctl show -P MainPID "cswapd@$guest")
	[[ $(readlink "/proc/$pid/ns/$1") != "$(readlink "/proc/self/ns/$1")" ]]
}

status_of_unit() { # STATE
	[[ $(systemctl show -P ActiveState "cswapd@$guest") == "$1" ]]
}

# A guest that stores and loads without a pause, until load_ends; every page is compared. Its memory is one file that
# shows in three places, as QEMU's does.
load_begins() {
	local line
	coproc LOAD { exec "$bin/cswap-sim" --socket "/run/cswapd/$guest"/socket --regions 3 --pages 4096 --seconds 3600 \
		--verify load 2>&1; }
	load=$LOAD_PID
	# A copy: bash closes its own when the simulator ends.
	exec 7<&"${LOAD[0]}"
	until [[ ${line-} == "# fill"* ]]; do
		IFS= read -r line <&7 || return
		echo "$line"
	done
}

# 0 if it was all right from its beginning to its end.
load_ends() {
	kill -USR1 "$load" && cat <&7 && wait "$load"
}

# What was stored ever since the daemon began for the first time; nothing if nobody is there to ask.
stored_pages() {
	cswapctl --socket "/run/cswapd/$guest"/control --json status |
		sed -n 's/.*"stored_pages": *\([0-9]*\).*/\1/p'
}

# The process that is there now stores for the guest that runs.
until_serving() {
	local before='' now=''
	until [[ -n $before && -n $now ]] && ((now > before)); do
		kill -0 "$load" || return
		sleep 0.02
		before=${before:-$now}
		now=$(stored_pages)
	done
}

# So often; every other time at once, when what came before may not have been served yet.
again_and_again() { # TIMES COMMAND...
	local times=$1 round
	shift
	for ((round = 1; round <= times; round++)); do
		"$@" || return
		((round % 2)) || until_serving || return
	done
}

# What a guest at work must not notice.
under_load() { # TIMES COMMAND...
	load_begins && again_and_again "$@" && load_ends && return
	kill -KILL "$load"
	cat <&7
	return 1
}

# Where this machine's limit is none. The guest's memory is never locked: none is there yet.
memory_is_locked() {
	journalctl -u cswapd@guest -o cat | grep "isn't locked" || process_says '^VmLck:[[:space:]]+[1-9]'
}
# Where this machine gives CAP_SYS_RESOURCE: PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE in the flags of both processes.
is_io_flusher() {
	local pid flags
	journalctl -t cswapd-guest -o cat | grep "io-flusher: Operation not permitted" && return
	pid=$(main_pid)
	for pid in "$pid" $(cat "/proc/$pid/task/$pid/children"); do
		flags=$(sed 's/.*) //' "/proc/$pid/stat" | cut -d ' ' -f 7)
		(((flags & 0x180000) == 0x180000)) || { echo "flags of $pid: $flags"; return 1; }
	done
}

# systemd hears of it in its time.
says_status() {
	until [[ $(systemctl show -P StatusText cswapd@guest) == "$1" ]]; do
		sleep 0.02
	done
}

main_pid() {
	systemctl show -P MainPID "cswapd@$guest"
}

kill_all() {
	local pid
	pid=$(main_pid)
	kill -KILL "$pid"
	# Until another one is ready.
	until [[ $(main_pid) != "$pid" ]] && status_of_unit active; do
		sleep 0.02
	done
}

# What was counted goes on.
keeps_counting() {
	local before
	before=$(stored_pages)
	[[ $before -gt 0 ]] && systemctl restart "cswapd@$guest" && (($(stored_pages) >= before))
}

# As a package does: another file takes the place of the one that runs.
upgrade() {
	cp /usr/sbin/cswapd /usr/sbin/cswapd.new && mv /usr/sbin/cswapd.new /usr/sbin/cswapd || return
	! runs_what_is_installed && systemctl restart "cswapd@$guest" && runs_what_is_installed
}

runs_what_is_installed() {
	[[ /proc/$(main_pid)/exe -ef /usr/sbin/cswapd ]]
}

# But for what is of no guest: the state, and the store's two files. systemd is told, and does it in its time.
keeps_nothing() {
	until (($(systemctl show -P NFileDescriptorStore cswapd@guest) <= 3)); do
		sleep 0.02
	done
}

# A store made anew, as the configuration has it from now on.
starts_with() { # ARGS
	systemctl stop cswapd@guest
	echo "ARGS=$1" >/etc/cswapd/guest.conf
	systemctl start cswapd@guest
}

# A start that fails, and isn't tried again.
fails_once() { # UNIT STATUS-OF-ITS-PROCESS
	! systemctl start "$1" || return
	until [[ $(systemctl show -P ActiveState "$1") != *activating ]]; do
		sleep 0.02
	done
	systemctl show -p ActiveState,Result,AssertResult,ExecMainStatus,NRestarts "$1"
	[[ $(systemctl show -P ActiveState "$1") != active && $(systemctl show -P NRestarts "$1") == 0 &&
		$(systemctl show -P ExecMainStatus "$1") == "$2" ]]
}
without_configuration() {
	fails_once cswapd@nobody 0 && [[ $(systemctl show -P AssertResult cswapd@nobody) == no ]]
}
with_a_typo() {
	echo "ARGS=--store store --size 64M --quues 2" >/etc/cswapd/typo.conf
	fails_once cswapd@typo 2
}

# The operator mistypes, restarts, sees it fail, and mends it, while a guest is at work.
mistype() { # ARGS
	cp /etc/cswapd/guest.conf /run/guest.conf
	echo "ARGS=$1" >/etc/cswapd/guest.conf
	systemctl restart cswapd@guest && return 1
	cp /run/guest.conf /etc/cswapd/guest.conf
	until status_of_unit active; do
		sleep 0.02
	done
}

# What libvirt-guests does at the end: it shuts guests down, and here only when the daemon's end, too, has
# been asked for.
shut_guests_down() {
	until systemctl list-jobs --no-legend | grep -q cswapd@guest || ! status_of_unit active; do
		sleep 0.02
	done
	systemctl show -P ActiveState cswapd@guest >/run/when-guests-end
}

# libvirt's units, with Debian's dependencies; they write down whether the daemon is there.
install_libvirt() {
	printf '[Unit]\nDescription=Libvirt guests shutdown\n' >/etc/systemd/system/virt-guest-shutdown.target
	cat >/etc/systemd/system/libvirtd.service <<-EOT
	[Service]
	Type=oneshot
	RemainAfterExit=yes
	ExecStart=/bin/sh -c 'systemctl is-active cswapd@guest >/run/when-guests-start || true'
	EOT
	cat >/etc/systemd/system/libvirt-guests.service <<-EOT
	[Unit]
	Requires=virt-guest-shutdown.target
	After=libvirtd.service virt-guest-shutdown.target
	[Service]
	Type=oneshot
	RemainAfterExit=yes
	Environment=HOME=/root
	ExecStart=/bin/true
	ExecStop=$repo/tests/packaging/test_unit.sh shut-guests-down
	EOT
	cat >/etc/systemd/system/all.target <<-EOT
	[Unit]
	Wants=libvirtd.service libvirt-guests.service cswapd@guest.service
	EOT
	systemctl daemon-reload
}
beside_libvirt() {
	install_libvirt || return
	systemctl stop cswapd@guest && systemctl start all.target || return
	until status_of_unit active && systemctl is-active libvirt-guests; do
		sleep 0.02
	done
	systemctl stop libvirt-guests libvirtd cswapd@guest
	tail /run/when-guests-*
	grep -qx active /run/when-guests-start && grep -qx active /run/when-guests-end
}

# --- after the host was started again

# The signature has the boot's id, at 72, although the unit hides where the kernel tells it.
signed_by_this_boot() {
	dd if=/var/lib/cswapd/guest/store bs=1 skip=72 count=36 status=none | cmp - <(tr -d '\n' </proc/sys/kernel/random/boot_id)
}
# As a host leaves it that went down with its guests: 8 MiB that nobody can open any more.
empties_what_an_earlier_boot_left() {
	local file
	systemctl stop cswapd@guest || return
	head -c 8M /dev/urandom | dd of=/var/lib/cswapd/guest/store bs=1M seek=1 conv=notrunc,fdatasync status=none || return
	for file in /var/lib/cswapd/guest/store*; do
		printf 01234567-89ab-4def-8123-456789abcdef | dd of="$file" bs=1 seek=72 conv=notrunc status=none || return
	done
	(($(du -k /var/lib/cswapd/guest/store | cut -f 1) >= 8192)) || return
	systemctl start cswapd@guest || return
	du -k /var/lib/cswapd/guest/store
	(($(du -k /var/lib/cswapd/guest/store | cut -f 1) <= 1024)) && signed_by_this_boot
}

# --- the balancer

vmm_cgroup=/sys/fs/cgroup/system.slice/vmm.service
frozen_is() { # 0 or 1
	grep -qx "frozen $1" "$vmm_cgroup/cgroup.events"
}
until_frozen_is() {
	until frozen_is "$1"; do
		sleep 0.02
	done
}

# Guest "frozen" gives nothing, the host is short of what is configured, however little it uses, and the
# cgroup of its VMM is real.
balancer_freezes() {
	printf '[Service]\nExecStart=/bin/sleep infinity\n' >/etc/systemd/system/vmm.service
	systemctl daemon-reload && systemctl start vmm || return
	echo "ARGS=--store mem --size 64M --release punch --report-period 100" >/etc/cswapd/frozen.conf
	cat >/etc/cswap-balancer.conf <<-EOT
	interval = 100ms
	patience = 1s
	reserve = 99.9%
	band = 4M
	floor = 1M
	answers = freeze
	[guest frozen]
	cgroup = $vmm_cgroup
	EOT
	systemctl start cswapd@frozen || return
	"$bin/cswap-sim" --socket /run/cswapd/frozen/socket obey >/run/sim &
	vmm=$!
	until cswapctl --guest frozen status | grep '^balloon *ready'; do
		kill -0 "$vmm" || return
		sleep 0.02
	done
	kill -STOP "$vmm"
	systemctl start cswap-balancer && until_frozen_is 1
}
# Whoever takes its place would freeze it again, so nobody does.
balancer_dies() {
	mkdir -p /run/systemd/system/cswap-balancer.service.d
	printf '[Service]\nRestart=no\n' >/run/systemd/system/cswap-balancer.service.d/once.conf
	systemctl daemon-reload
	kill -KILL "$(systemctl show -P MainPID cswap-balancer)"
	until [[ $(systemctl show -P ActiveState cswap-balancer) == failed ]]; do
		sleep 0.02
	done
	frozen_is 0 && ls -A /run/cswap-balancer/answers && [[ -z $(ls -A /run/cswap-balancer/answers) ]]
}
balancer_is_stopped() {
	systemctl reset-failed cswap-balancer
	systemctl start cswap-balancer && until_frozen_is 1 && systemctl stop cswap-balancer && frozen_is 0
}
balancer_has_a_typo() {
	rm -r /run/systemd/system/cswap-balancer.service.d
	systemctl daemon-reload
	echo "reserv = 10%" >/etc/cswap-balancer.conf
	fails_once cswap-balancer 2
}
use_balancer() {
	check "the balancer freezes a guest" balancer_freezes
	check "one that is killed leaves nobody frozen" balancer_dies
	check "nor does one that is stopped" balancer_is_stopped
	check "with a typo it isn't started again and again" balancer_has_a_typo
	kill -KILL "$vmm"
	systemctl stop cswapd@frozen vmm
}

# --- a server beside the daemon

# The example as it is, but for where the other end of TLS is.
serve_by() { # EXAMPLE
	mkdir -p /etc/systemd/system/cswapd-nbd@.service.d
	rm -f /etc/systemd/system/cswapd-nbd@.service.d/*
	cp "/usr/share/virtio-cswap/stores/$1.conf" /etc/systemd/system/cswapd-nbd@.service.d/ && systemctl daemon-reload
}
server_pid() {
	systemctl show -P MainPID cswapd-nbd@remote
}
server_is() { # STATE
	[[ $(systemctl show -P ActiveState cswapd-nbd@remote) == "$1" ]]
}
# As the packages do.
starts_with_its_server() {
	systemd-sysusers "$repo/debian/cswapd.sysusers" || return
	mkdir -p /etc/systemd/system/cswapd@remote.service.d
	cp "$repo/debian/cswapd.group.conf" /etc/systemd/system/cswapd@remote.service.d/
	echo "ARGS=--store nbd:/run/cswapd-nbd/remote/socket:store --size 64M" >/etc/cswapd/remote.conf
	serve_by nbdkit && systemctl enable cswapd-nbd@remote && systemctl start cswapd@remote && server_is active
}
server_is_nobody() {
	grep -E '^Uid:[[:space:]]+6[1-5][0-9]{3}' "/proc/$(server_pid)/status" &&
		[[ $(stat -c %G:%a /run/cswapd-nbd/remote) == cswap-store:750 ]]
}
kill_server() {
	local pid
	pid=$(server_pid)
	kill -KILL "$pid"
	# In this order: "active" may be from before systemd heard of the death, and then there's no process.
	until [[ $(server_pid) != "$pid" ]] && server_is active; do
		sleep 0.02
	done
}
# The daemon is another process, the server isn't.
restart_alone() {
	local pid
	pid=$(server_pid)
	systemctl restart cswapd@remote && [[ $(server_pid) == "$pid" ]]
}
ends_with_its_daemon() {
	systemctl stop cswapd@remote || return
	until server_is inactive; do
		sleep 0.02
	done
}
# What the example has as the other side, on this machine.
by_tls() {
	local tls=/etc/cswapd/tls
	mkdir -p "$tls" /srv/cswap && truncate -s 65M /srv/cswap/remote || return
	printf 'host1:%s\n' "$(od -An -N 32 -tx1 /dev/urandom | tr -d ' \n')" >"$tls/keys.psk"
	grep -q storage.example /etc/hosts || echo "127.0.0.1 storage.example" >>/etc/hosts
	serve_by tls && systemctl start cswapd@remote || return
	# The other side comes later: the server is tried again and again.
	until (($(systemctl show -P NRestarts cswapd-nbd@remote) >= 2)); do
		sleep 0.02
	done
	status_of_unit active && cswapctl list | tee /dev/stderr | grep -q '^remote .*server gone' || return
	nbdkit -i 127.0.0.1 --tls=require --tls-psk="$tls/keys.psk" --filter=limit file dir=/srv/cswap limit=1 || return
	sim --pages 4096 --ops 4000 --verify load
}

use_server() {
	guest=remote
	check "a daemon starts with its server" starts_with_its_server
	check "the server is nobody else's user, and its socket the daemons'" server_is_nobody
	check "a guest stores and loads through it" sim --pages 4096 --ops 4000 --verify load
	check "a guest at work doesn't notice that the server is killed" under_load 4 kill_server
	check "nor that the daemon is" under_load 4 kill_all
	check "nor that it is restarted, without its server" under_load 4 restart_alone
	check "the server ends with its daemon" ends_with_its_daemon
	check "one that speaks TLS to another one, which comes later, serves as well" by_tls
	check "and ends" ends_with_its_daemon
	guest=guest
}

use_it() {
	check "without a configuration it isn't started again and again" without_configuration
	check "nor with a typo" with_a_typo
	check "it starts" systemctl start cswapd@guest
	check "systemctl status says whether a VMM is there" says_status "No VMM is connected"
	check "the log names the guest" sh -c "journalctl -t cswapd-guest -o cat | grep ready"
	check "it is nobody else's user" process_says '^Uid:[[:space:]]+6[1-5][0-9]{3}'
	check "it has no capability" process_says '^CapEff:[[:space:]]+0+$'
	check "its memory is locked, or it says why not" memory_is_locked
	check "its I/O waits for no other I/O, or it says why not" is_io_flusher
	check "it can gain none" process_says '^NoNewPrivs:[[:space:]]+1$'
	check "it has a filter of system calls" process_says '^Seccomp:[[:space:]]+2$'
	check "it has no network" is_in_namespace net
	check "its mounts are its own" is_in_namespace mnt
	check "a guest stores and loads" sim --pages 4096 --ops 4000 --verify load
	check "a guest does all that a guest may" sim functional
	check "a malicious guest is withstood" sim hostile
	check "a malicious VMM is withstood" sim hostile-vmm "cut short"
	check "the operator is answered" /usr/bin/cswapctl --socket /run/cswapd/guest/control status
	check "the sandbox was sealed" sh -c "journalctl -u cswapd@guest -o cat | grep 'sandbox: sealed'"
	check "and nothing left out but what the unit has done itself" \
		sh -c "! journalctl -u cswapd@guest -o cat | grep 'does without' | grep -v namespaces"
	check "pages are stored" sim --pages 1000 --state /run/state fill
	check "it restarts" systemctl restart cswapd@guest
	check "what was stored is there" sim --pages 1000 --state /run/state verify
	check "and what was counted goes on" keeps_counting
	check "restarts aren't noticed by a guest at work" under_load 6 systemctl restart cswapd@guest
	check "because systemd kept what it has of it" \
		sh -c "journalctl -u cswapd@guest -o cat | grep 'going on where another daemon ended'"
	check "nor are new versions" under_load 4 upgrade
	check "nor is the death of all of it" under_load 3 kill_all
	check "nor is a typo that is mended" under_load 2 mistype "--store store --size 64M --quues 2"
	check "nor another store, which is refused until that is mended" under_load 2 mistype "--store other --size 64M"
	check "and isn't made" test ! -e /var/lib/cswapd/guest/other
	check "no front end was dropped" \
		sh -c "! journalctl -u cswapd@guest -o cat | grep 'its front end is dropped'"
	check "nothing is kept when the guest has gone" keeps_nothing
	check "a guest's store is never larger than it was made" \
		sh -c 'test $(du -kc --apparent-size /var/lib/cswapd/guest/store* | tail -n 1 | cut -f 1) -le $((65536 + 256 + 1024 + 4))'
	check "with tags in a file it starts" starts_with "--store store --tags store.tags --size 64M"
	check "restarts aren't noticed then either" under_load 3 systemctl restart cswapd@guest
	check "nor is the death of all of it" under_load 3 kill_all
	check "nor tags elsewhere, which are refused until that is mended" under_load 1 mistype "--store store --size 64M"
	check "it starts with tags in memory" starts_with "--store store --size 64M"
	check "libvirt's guests have it from their start to their end" beside_libvirt
	check "it starts again" systemctl start cswapd@guest
	check "its store says in which boot it is used" signed_by_this_boot
	check "what an earlier boot left there is emptied" empties_what_an_earlier_boot_left
	use_balancer
	use_server
	check "it stops" systemctl stop cswapd@guest
	check "and has not failed" status_of_unit inactive
	check "it leaves no socket" test ! -e /run/cswapd/guest/socket
	echo "1..$number"
	return "$((failures > 0))"
}

# --- inside the root, before systemd ---

install_all() {
	env MAKEFLAGS='' make -s -C "$repo" O=build/bed PREFIX=/usr install
	mkdir -p /etc/cswapd /var/log/journal
	echo "ARGS=--store store --size 64M" >/etc/cswapd/guest.conf
	cat >/etc/systemd/system/cswap-test.service <<-EOT
	[Unit]
	Description=Use of the installed cswapd
	DefaultDependencies=no
	Requires=systemd-journald.service
	After=systemd-journald.service
	[Service]
	Type=oneshot
	TimeoutStartSec=infinity
	Environment=HOME=/root
	StandardOutput=file:$work/tap
	StandardError=file:$work/errors
	ExecStart=$repo/tests/packaging/test_unit.sh use $work
	ExecStopPost=/usr/bin/systemctl --no-block --force exit
	EOT
}

boot() {
	mount -t tmpfs -o mode=755 run /run
	umount -l /sys/fs/cgroup
	mount -t cgroup2 cgroup /sys/fs/cgroup
	# As it would itself if this weren't called a container: units' credentials are mounted elsewhere first.
	mount --make-rshared /
	exec env container=cswap-test /usr/lib/systemd/systemd --unit=cswap-test.service --log-target=null \
		--show-status=0
}

case ${1-} in
shut-guests-down)
	shut_guests_down
	exit
	;;
use)
	work=$2
	use_it
	exit
	;;
inside)
	[[ -e /etc/cswap-bed/key && $(stat -f -c %T /) == overlayfs ]] || die "becomes the first process: only in a root that is thrown away"
	work=$2
	install_all && boot
	exit 1
	;;
esac

# --- outside ---

((EUID == 0)) || { echo "1..0 # SKIP needs root"; exit 4; }
if ! "$bed/layer" dkms systemd-sysv >/dev/null; then
	echo "1..0 # SKIP systemd-sysv can't be installed here"
	exit 4
fi
work=$(mktemp -d)
# A cgroup of its own: in another's, of another such test, each systemd would wait for the other's processes.
cgroup=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/cswap-unit-${work##*.}
mkdir "$cgroup"
shut_down() {
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		[[ -d $cgroup ]] || break
		find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
	done
	rm -rf "$work"
}
trap shut_down EXIT
"$bed/enter" make -s -C "$repo" O=build/bed host sim >"$work/build" 2>&1 ||
	{ cat "$work/build"; echo "not ok - the programs are built"; exit 1; }
timeout 600 bash -c 'echo 0 >"$1/cgroup.procs" && shift && exec unshare --cgroup "$@"' bash "$cgroup" \
	"$bed/enter" --contain --with "dkms systemd-sysv" "$repo/tests/packaging/test_unit.sh" inside "$work" >"$work/log" 2>&1 </dev/null
if ! cat "$work/tap" 2>/dev/null || ! grep -q '^1\.\.' "$work/tap"; then
	cat "$work/errors" "$work/log" 2>/dev/null | tail -n 30 | sed 's/^/# /'
	echo "not ok - the unit's test came to its end"
	exit 1
fi
! grep -q '^not ok' "$work/tap"
