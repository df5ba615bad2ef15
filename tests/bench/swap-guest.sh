#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# swap-guest.sh - the guest's half of guest-bench: one kind of swap, one load.
#
# Usage: swap-guest.sh KIND MIB LIMIT, KIND being
#	cswap		/dev/cswap0
#	plain		/dev/vda as it is
#	crypt		dm-crypt, aes-xts, with the queues that suit swap
#	aead		dm-crypt with AES-GCM on dm-integrity without a journal
# A working set of MIB in a memory cgroup of LIMIT MiB. Before pages are read all of them are swapped out, so that
# a disk that has written more than was needed while memory was filled (reclaim goes on while writes are under
# way) doesn't read the faster for it. Prints what swapstress measured; or, where
# LIMIT is "disk", what diskload measured of MIB of the disk, without a swap core in front; or, where it's
# "hard:LIMIT", how many of TRIES working sets in a cgroup that can't grow the OOM killer has ended.
set -eu
kind=$1 mib=$2 limit=$3 tries=${4-0}

hex() {
	od -An -tx1 -N "$1" /dev/urandom | tr -d ' \n'
}

# What the integrity superblock says it has room for, in sectors.
provided_sectors() {
	od -An -td8 -j 16 -N 8 "$1" | tr -d ' '
}

integrity() {
	map integrity "0 $1 integrity /dev/vda 0 28 D 1 block_size:4096"
}

# There's no udev in the guest to make the nodes.
map() {
	DM_DISABLE_UDEV=1 dmsetup create "$1" --table "$2" 2>/dev/null
	DM_DISABLE_UDEV=1 dmsetup mknodes 2>/dev/null
}

count_kills() {
	killed=0
	for try in $(seq "$tries"); do
		code=0
		swapstress --mib "$mib" --limit "${limit#hard:}" --hard --procs 4 --seed "$try" || code=$?
		case $code in
		0) ;;
		4 | 137) killed=$((killed + 1)) ;;
		*) exit "$code" ;;
		esac
	done
	[ "$killed" = "$(sed -n 's/^oom_kill //p' /proc/vmstat)" ]
	echo "killed=$killed"
}

case $kind in
cswap)
	disk=/dev/cswap0 ;;
plain)
	disk=/dev/vda ;;
crypt)
	sectors=$(blockdev --getsz /dev/vda)
	map crypt "0 $sectors crypt aes-xts-plain64 $(hex 64) 0 /dev/vda 0 \
3 sector_size:4096 no_read_workqueue no_write_workqueue"
	disk=/dev/mapper/crypt ;;
aead)
	dd if=/dev/zero of=/dev/vda bs=1M count=1 2>/dev/null
	integrity 8
	DM_DISABLE_UDEV=1 dmsetup remove integrity 2>/dev/null
	sectors=$(provided_sectors /dev/vda)
	sectors=$((sectors - sectors % 8))
	integrity "$sectors"
	map crypt "0 $sectors crypt capi:gcm(aes)-random $(hex 32) 0 \
/dev/mapper/integrity 0 2 integrity:28:aead sector_size:4096"
	disk=/dev/mapper/crypt
	# what was never written has no tag: mkswap reads before it writes
	dd if=/dev/zero of=$disk bs=1M count=1 2>/dev/null ;;
*)
	echo "swap-guest.sh: unknown kind $kind" >&2
	exit 2 ;;
esac

echo "cipher=$(awk '/^driver/ && /uml_aesni|aesni/ { print $3 }' /proc/crypto | paste -sd,)"
if [ "$limit" = disk ]; then
	exec diskload "$disk" "$mib" 3
fi
mkswap "$disk" >/dev/null
swapon "$disk"
case $limit in
hard:*) count_kills ;;
*) swapstress --mib "$mib" --limit "$limit" --pageout --random $((mib * 64)) ;;
esac
swapoff "$disk"
