#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the daemon measures of a VMM whose memory an assigned device holds: a guest plays the host, and a program
# the VMM and the device, which has pages of a file pinned that are then discarded.
# Proves: the file's blocks say that they're free, and the measure of what is kept says that they aren't, to
# a MiB; before the discard, and when the device lets go, it says nothing.
#
# beds: uml
# slow: vm-newest vm-6.12 vm-6.1
# timeout: 300
# run: --no-driver
# run uml: --mem 256M

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

mib=96
group=/sys/fs/cgroup/vmm
# measured NAME: of what the daemon's measure says now.
measured() {
	measure_kept /vmm | tr ' ' '\n' | sed -n "s/^$1=//p"
}
await() {
	local word
	read -r word <&7
	[ "$word" = "$1" ] || die "the program doesn't say $1: $word"
}

echo +memory >/sys/fs/cgroup/cgroup.subtree_control || skip "no memory cgroups"
mkdir $group
mkfifo "$tmp/go" "$tmp/said"
(echo "$BASHPID" >$group/cgroup.procs && exec pin_pages $mib <"$tmp/go" >"$tmp/said") &
exec 8>"$tmp/go" 7<"$tmp/said"
await held
expect "KiB used" "$(measured used)" -ge $((mib * 1024))
expect "KiB kept while all is in the file" "$(measured kept)" -lt 1024
echo >&8
await discarded
kept=$(measured kept)
expect "KiB of files in the cgroup" "$(sed -n 's/^file //p' $group/memory.stat)" -lt 1048576
expect "KiB kept" "$kept" -ge $((mib * 1024 - 1024))
expect "KiB kept" "$kept" -le $((mib * 1024 + 1024))
echo >&8
wait
expect "KiB kept when the device has let go" "$(measured kept)" -lt 1024
finish "$mib MiB discarded and held: the cgroup shows $kept KiB kept"
