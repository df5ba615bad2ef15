#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# test_stores.sh DIR - what `cswapctl stores` says of a store, from its making to its end (TAP).
#
# DIR is where cswapd and cswapctl were built.
set -euo pipefail

bin=$(cd "$1" && pwd)
# shellcheck source-path=SCRIPTDIR source=../packaging/tap.sh
. "$(dirname "$0")/../packaging/tap.sh"
work=$(mktemp -d "${TMPDIR:-/var/tmp}/cswap-stores.XXXXXX")
number=0 keeper=''
cleanup() {
	[[ -z $keeper ]] || kill -KILL "$keeper" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

explain() {
	cat "$work/said"
}
lair=$work/lair
mkdir -p "$lair/web1" "$lair/conf" "$work/run/web3"
stores() { # STATUS ARGS...
	local status=$1 got=0
	shift
	"$bin/cswapctl" --configuration "$lair/conf" stores "$@" >"$work/said" 2>&1 || got=$?
	[[ $got == "$status" ]] || { echo "exit status $got"; return 1; }
}
# is_listed GUEST STATE FILE [SIZE]
is_listed() {
	grep -qE "^$1 +${4:-.*} .*  $2 +$3\$" "$work/said"
}
# Until it's ready, when it has the store.
start_store() { # SOCKET STORE
	local line
	mkfifo "$work/fifo"
	"$bin/cswapd" --socket "$1" --store "$2" --size 16M >"$work/fifo" 2>&1 &
	keeper=$!
	exec 9<"$work/fifo"
	rm "$work/fifo"
	while read -r -t 60 line <&9 && [[ $line != *ready:* ]]; do :; done
	cat <&9 >/dev/null &
	exec 9<&-
}
stop_store() {
	kill "$keeper"
	wait "$keeper" || true
	keeper=''
}
# As if a host had gone down with it.
sign() { # FILE OFFSET TEXT
	printf '%s' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
printf 'no store, and longer than a signature is: %0300d\n' 0 >"$lair/web1/other"
mkfifo "$lair/web1/pipe"
ln -s . "$lair/web1/itself"
check "stores: there are none" stores 0 "$lair"
check "it says so" grep -q 'there are no stores' "$work/said"
check "stores: no such folder" stores 1 "$lair/nowhere"
start_store "$work/run/web3/socket" "$lair/web1/store"
check "stores: while it's served" stores 0 "$lair"
check "it's in use" is_listed web3 "in use" "$lair/web1/store" 16M
check "and is one" test "$(grep -c "$lair" "$work/said")" = 1
stop_store
check "stores: when its daemon has ended" stores 0 "$lair"
check "it's idle" is_listed web3 idle "$lair/web1/store"
exec 6<"$lair/web1/store"
check "stores: while something holds it, as systemd does" stores 0 "$lair"
check "it's in use" is_listed web3 "in use" "$lair/web1/store"
exec 6<&-
dd if=/dev/urandom of="$lair/web1/store" bs=1M seek=1 count=4 conv=notrunc status=none
for file in "$lair"/web1/store*; do
	sign "$file" 72 01234567-89ab-4def-8123-456789abcdef
done
touch -d '2001-02-03 04:05' "$lair"/web1/store*
check "stores: after the host was started again" stores 0 "$lair"
if [[ -s /etc/machine-id ]]; then
	check "it can go" is_listed web3 "can go" "$lair/web1/store"
	check "and all that it occupies" grep -qE '1 stores occupy 4.*; 1 of them can go: 4.*M$' "$work/said"
	check "stores, as JSON" stores 0 --json "$lair/web1"
	check "with the reason" grep -qE '^\{"stores":\[\{"store":"[^"]*/store","tags":null,"guest":"web3","block_device":false,"size_bytes":16777216,"occupied_bytes":4[0-9]*,"last_use_s":[0-9]*,"state":"can go","can_go":true,"reason":"last used' \
		"$work/said"
fi
sign "$lair/web1/store" 240 0123456789abcdef
check "stores: of another host" stores 0 "$lair"
check "it's that host's" is_listed web3 "other host" "$lair/web1/store"
# What a daemon's user writes doesn't steer the operator's terminal.
printf '/\033[31m/socket\0' | dd of="$lair/web1/store" bs=1 seek=112 conv=notrunc status=none
mv "$lair/web1/store" "$lair/web1/$(printf 'a\nb')"
check "stores: with odd names" stores 0 "$lair"
check "in a line, without control characters" grep -qE '^\?\[31m .*/a\?b$' "$work/said"
start_store "$work/run/web3/socket" "$lair/elsewhere"
stop_store
printf '# ARGS=--store /nowhere\nARGS=--size 16M --store %s --queues 1\n' "$lair/elsewhere" >"$lair/conf/web3.conf"
check "stores: what configurations name" stores 0
check "it's there" is_listed web3 idle "$lair/elsewhere"
echo "1..$number"
exit "$((failures > 0))"
