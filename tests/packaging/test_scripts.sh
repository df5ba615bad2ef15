#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_scripts.sh - the host package's scripts, run in a mount namespace in which the folders that they touch
# are others. TAP.
# shellcheck disable=SC2016	# quoted scripts are for a shell inside
set -euo pipefail

root=$(realpath "$(dirname "$0")/../..")
# shellcheck source-path=SCRIPTDIR source=tap.sh
. "$root/tests/packaging/tap.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0

# --- purge

# purge SETUP CHECK: with /var/lib and /etc empty, SETUP is run, then the script, then CHECK, with the script's
# words in $words. $away is another file system.
purge() {
	local user=()
	((EUID == 0)) || user=(--user --map-root-user)
	unshare --mount "${user[@]}" sh -euc '
		mount -t tmpfs none /mnt
		mkdir /mnt/etc /mnt/lib /mnt/away
		mount -t tmpfs none /mnt/away
		mount --bind /mnt/etc /etc
		mount --bind /mnt/lib /var/lib
		away=/mnt/away state=/var/lib/private/cswapd
		mkdir -p $state /etc/cswapd
		ln -s private/cswapd /var/lib/cswapd
		eval "$1"
		words=$(sh "$3" purge 2>&1) || { echo "it failed: $words"; exit 1; }
		printf "%s\n" "$words"
		eval "$2"' sh "$1" "$2" "$root/debian/cswapd.postrm"
}

check "purge: stores go" purge 'mkdir $state/web1; echo page >$state/web1/store; mkdir -p /var/lib/private/cswapd-nbd/web1' \
	'[ ! -e $state ]; [ ! -L /var/lib/cswapd ]; [ ! -e /var/lib/private/cswapd-nbd ]; [ -z "$words" ]'
check "purge: where there is nothing" purge 'rm -r /var/lib/* /etc/cswapd' '[ -z "$words" ]'
check "purge: what a file system has that is mounted there stays" \
	purge 'mkdir $away/db2; echo page >$away/db2/store; mount --bind $away $state' \
	'[ "$(cat $away/db2/store)" = page ]; echo "$words" | grep -F "$state"'
check "purge: and what a folder has that is bound there, of the same file system" \
	purge 'mkdir -p /var/lib/srv/db2; echo page >/var/lib/srv/db2/store; mount --bind /var/lib/srv $state' \
	'[ "$(cat /var/lib/srv/db2/store)" = page ]; echo "$words" | grep -F "$state"'
check "purge: one guest's folder is mounted: the others' go" \
	purge 'mkdir $state/web1 "$state/a guest" $state/web2; echo page >$state/web1/store; echo page >$away/store
		mount --bind $away "$state/a guest"' \
	'[ "$(cat $away/store)" = page ]; [ ! -e $state/web1 ]; [ ! -e $state/web2 ]; echo "$words" | grep -F "$state/a guest"'
check "purge: a name has what mountinfo escapes" \
	purge 'name=$(printf "a\\\\b\\tc\\nd e"); mkdir "$state/$name" $state/a; echo page >$away/store; mount --bind $away "$state/$name"' \
	'[ "$(cat $away/store)" = page ]; [ ! -e $state/a ]; [ "$words" ]'
check "purge: a file is mounted" \
	purge 'mkdir $state/web1; touch $state/web1/store $state/web1/tags; echo page >$away/store
		mount --bind $away/store $state/web1/store' \
	'[ "$(cat $away/store)" = page ]; [ ! -e $state/web1/tags ]; echo "$words" | grep -F "$state/web1/store"'
check "purge: the folder is a link to one that is mounted" \
	purge 'rmdir $state; mkdir /var/lib/else; mount --bind $away /var/lib/else; echo page >$away/store; ln -s /var/lib/else $state' \
	'[ "$(cat $away/store)" = page ]; [ ! -L $state ]'
check "purge: its parent is a link" \
	purge 'mkdir /var/lib/else; mv $state /var/lib/else/; rmdir /var/lib/private; ln -s else /var/lib/private
		mount --bind $away $state; echo page >$away/store' \
	'[ "$(cat $away/store)" = page ]; echo "$words" | grep -F /var/lib/else/cswapd'
check "purge: folders of systems older than DynamicUser=, mounted" \
	purge 'rm /var/lib/cswapd; mkdir /var/lib/cswapd; mount --bind $away /var/lib/cswapd; echo page >$away/store' \
	'[ "$(cat $away/store)" = page ]; [ ! -e $state ]; echo "$words" | grep -F /var/lib/cswapd'
check "purge: nobody says what is mounted" purge 'mkdir $state/web1; mount -t tmpfs none /proc' \
	'[ -e $state/web1 ]; echo "$words" | grep -F "$state"'

# --- removal

# with_daemon CODE OPTION...: with a daemon of web1's, and /run another one. attach connects a front end, which
# stays; status and removed run what they say.
with_daemon() {
	local user=() code=$1
	shift
	((EUID == 0)) || user=(--user --map-root-user)
	PATH=$root/build:$PATH unshare --mount --pid --fork --kill-child --mount-proc "${user[@]}" sh -euc '
		root=$1 code=$2
		shift 2
		mount -t tmpfs none /run
		mkdir -p /run/cswapd/web1
		cd /run/cswapd/web1
		cswapd --socket socket --control control --store mem --size 16M "$@" >log 2>&1 &
		# Its answer is waited for, and then that of the one to whom the front end is known.
		until cswapctl --guest web1 --json status >/dev/null 2>&1; do kill -0 $!; sleep 0.1; done
		attach() {
			python3 -c "import socket, time
s = socket.socket(socket.AF_UNIX); s.connect(\"socket\"); time.sleep(1e6)" &
			until grep -q "front end connected" log; do kill -0 $!; sleep 0.1; done
		}
		removed() { sh "$root/debian/cswapd.prerm" remove; }
		idle() {
			sed -n "/^is_idle()/,/^}/p" "$root/debian/cswapd.postinst" >is_idle
			. ./is_idle
			is_idle web1
		}
		eval "$code"' sh "$root" "$code" "$@"
}

if [[ -x $root/build/cswapd && -x $root/build/cswapctl ]]; then
	for release in convert off; do
		check "removal, --release $release: no guest is there" with_daemon 'removed; idle' --release $release
		check "removal, --release $release: one is" \
			with_daemon 'attach; ! removed; ! idle' --release $release
	done
fi

echo "1..$number"
((failures == 0))
