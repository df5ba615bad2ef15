#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# balloon-guest.sh - the guest's half of balloon-bench: makes the guest's memory as it shall be,
# and has its host measure (balloon-host).
#
# Usage: balloon-guest.sh ROUNDS FREE FRAGMENTED, the last two in MiB
#   free        nearly all memory is free and was touched once: whole blocks, tier 1
#   fragmented  memory is full of small files and every second one was removed: what is free
#               is single pages, between pages that can be moved or swapped: tier 2
# guest-programs: split head find

# shellcheck source-path=SCRIPTDIR/../cases source=lib.sh
. "${0%/bench/*}/cases/lib.sh"
# shellcheck source-path=SCRIPTDIR/../cases source=lib-balloon.sh
. "${0%/bench/*}/cases/lib-balloon.sh"
rounds=$1 free=$2 fragmented=$3
host_patience=600

# measure STATE MIB: each balloon once a round, in turns the first. What the host gave up and the
# guest hasn't touched since costs nothing to give up again: so all of it is touched.
measure() {
	local round balloon before
	for ((round = 0; round < rounds; round++)); do
		for balloon in $((round % 2)) $(((round + 1) % 2)); do
			touch_all
			before=$(counter balloon_conversions)
			host measure "$1" "$balloon" "$2"
			host converted "$1" "$balloon" "$2" $(($(counter balloon_conversions) - before))
		done
	done
}

modprobe virtio_balloon || die "no virtio_balloon"
swap_on
measure free "$free"

mkdir "$tmp/files"
mount -t tmpfs -o size=100%,nr_inodes=0 none "$tmp/files"
cd "$tmp/files" || die "no files"
# A file's inode takes a quarter of a page as well.
head -c "$((($(memory MemFree) - 32) * 4 / 5))M" /dev/zero | split -b 4096 -a 5 - f
find . -name '*[acegikmoqsuwy]' -delete
cd / || die "no /"
measure fragmented "$fragmented"
umount "$tmp/files"
expect "lost" "$(balloon lost)" = 0
finish "$(balloon moved_blocks) blocks were gathered"
