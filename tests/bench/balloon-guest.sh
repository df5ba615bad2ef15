#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# balloon-guest.sh - the guest's half of balloon-bench: makes the guest's memory as it shall be,
# and has its host measure (balloon-host).
#
# Usage: balloon-guest.sh ROUNDS FREE FRAGMENTED BALLOON..., where FREE and FRAGMENTED are MiB; 0 leaves one out
#   free        nearly all memory is free and was touched once: whole blocks, tier 1
#   fragmented  most of memory is full of small files and every second one was removed: what is free
#               is single pages, between pages that can be moved or swapped: tier 2
# guest-programs: split head find

# shellcheck source-path=SCRIPTDIR/../cases source=lib.sh
. "${0%/bench/*}/cases/lib.sh"
# shellcheck source-path=SCRIPTDIR/../cases source=lib-balloon.sh
. "${0%/bench/*}/cases/lib-balloon.sh"
rounds=$1 free=$2 fragmented=$3
shift 3
balloons=("$@")
host_patience=600

# tell_returned BYTES: the host, when the driver has given back so much, which is all. Starts no program:
# that would take longer than a look every 5 ms. The count of what is back is long to read: it's looked at
# when nothing is out any more, and the last of it is converted and freed.
tell_returned() {
	local out name value returned=0 said=returned
	exec 9<> <(:)
	until read -r out <"$stats/balloon_released" && [ "$out" = 0 ]; do
		read -r -t 0.005 -u 9
	done
	while [ "$returned" -lt "$1" ] && [ $said = returned ]; do
		said=nothing
		while read -r name value; do
			[ "$name" != balloon_returned ] || returned=$value said=returned
		done <"/sys/kernel/debug/${disk##*/}/counters"
	done
	echo $said >/dev/ttyS2
}
# measure STATE MIB: each balloon once a round, in turns the first. What the host gave up and the
# guest hasn't touched since costs nothing to give up again: so all of it is touched. Of a confidential
# guest's memory all that is accepted is there.
measure() {
	local round i balloon before returned
	for ((round = 0; round < rounds; round++)); do
		for i in "${!balloons[@]}"; do
			balloon=${balloons[(round + i) % ${#balloons[@]}]}
			is_cvm || touch_all
			before=$(counter balloon_conversions)
			returned=$(($(counter balloon_returned) + $2 * mib))
			host out "$1" "$balloon" "$2"
			[ "$balloon" != cswap ] || tell_returned "$returned" &
			host back
			wait
			host converted $(($(counter balloon_conversions) - before))
		done
	done
}
# shellcheck disable=SC2317	# called by within
is_plugged() {
	[ "$(memory MemTotal)" -gt "$1" ]
}

# The other balloons, of which a confidential guest has none.
peers_begin() {
	local unplugged
	unplugged=$(memory MemTotal)
	echo online_movable >/sys/devices/system/memory/auto_online_blocks
	modprobe virtio_mem || die "no virtio_mem"
	within 120 is_plugged "$unplugged" || die "virtio-mem plugs nothing"
	modprobe virtio_balloon || die "no virtio_balloon"
}

is_cvm || peers_begin
swap_on
[ "$free" = 0 ] || measure free "$free"

if [ "$fragmented" != 0 ]; then
	# Some less memory is enough. The ballast can't be in virtio-mem's, which is movable, nor can the files' inodes.
	room=$(unbound_free) || die "how much memory is free isn't known"
	ballast $((room / 2))
	mkdir "$tmp/files"
	mount -t tmpfs -o size=100%,nr_inodes=0 none "$tmp/files"
	cd "$tmp/files" || die "no files"
	# A file's inode takes a quarter of a page as well.
	head -c "$((($(memory MemFree) - 32) * 4 / 5))M" /dev/zero | split -b 4096 -a 5 - f
	find . -name '*[acegikmoqsuwy]' -delete
	cd / || die "no /"
	measure fragmented "$fragmented"
	umount "$tmp/files"
fi
expect "lost" "$(balloon lost)" = 0
finish "$(balloon moved_blocks) blocks were gathered"
