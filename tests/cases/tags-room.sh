#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A daemon in a memory cgroup (as MemoryMax= of its unit makes one) that has no room for more tags.
# This kernel plays the host: the daemon, its guest (the simulator) and a server whose pages go nowhere run in it.
# Proves: STOREs fail with NOSPC, nobody is killed, the daemon serves the same guest on, and stores again when
# the limit is raised.
# Checks: device-store-nospc
#
# beds: uml
# timeout: 300
# run: --no-driver --mem 256M --env BIN=$repo/build/bed

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cgroup=/sys/fs/cgroup/tags
PAGES=131072	# 2 MiB of tags

sim() {
	"$BIN/cswap-sim" --socket "$tmp/socket" --pairs 1 --no-seal --tolerate "$@"
}
is_ready() {
	grep -q ready: "$tmp/log"
}
# The process that serves: it's the one that would be killed.
serving() {
	pgrep -x -n cswapd
}
count() { # OUTCOME
	grep -c " $1\$" "$tmp/fill"
}

nbdkit --unix "$tmp/nbd" --filter=limit null 513M limit=1
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir $cgroup
(
	echo 0 >$cgroup/cgroup.procs
	exec "$BIN/cswapd" --socket "$tmp/socket" --store "nbd:$tmp/nbd" --format --size 512M --queues 1 2>"$tmp/log"
) &
daemon=$!
wait_until 60 is_ready || die "no daemon: $(<"$tmp/log")"
sim --pages 256 fill >"$tmp/fill" || die "nothing can be stored: $(<"$tmp/fill")"
worker=$(serving)

# Room for some of the tags.
echo $(($(<$cgroup/memory.current) + (2 << 20))) >$cgroup/memory.max
sim --pages $PAGES fill >"$tmp/fill" || die "the guest lost its daemon: $(<"$tmp/log")"
refused=$(count nospc)
((refused > 0)) || die "there was room for all"
[[ $(count ioerr) == 0 ]] || die "stores failed otherwise"
((refused < PAGES)) || die "there was room for none"
echo "refused: $refused of $PAGES"
[[ $(serving) == "$worker" ]] || die "the process that serves is another one: $(<"$tmp/log")"
grep -qx 'oom_kill 0' $cgroup/memory.events || die "somebody was killed: $(<$cgroup/memory.events)"

# More room.
echo max >$cgroup/memory.max
sim --pages $PAGES fill >"$tmp/fill" || die "the guest lost its daemon: $(<"$tmp/log")"
[[ $(count nospc) == 0 ]] || die "$(count nospc) stores fail though there's room"
[[ $(serving) == "$worker" ]] || die "the process that serves is another one: $(<"$tmp/log")"
kill "$daemon"
wait "$daemon" || die "the daemon ends with $?"
