#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two devices in one guest, of different media: a small one in memory with a high priority, a larger
# one on a disk with a low one.
# Proves: the first is filled before the second gets a page; each page comes back from where it is;
# neither has the other's key, setting or counts of pages; when the first goes, its pages move to
# the second; when it stops answering, the second takes what it refuses.
#
# beds: uml
# slow: vm-newest uml-debug vm-6.12 vm-6.1
# timeout: 300
# beside: yes
# run: --faulty-cswapd "--store @RUN@/first --size 8M --medium memory --fault-report @RUN@/report --fault stall" --mem 256M
# run: --daemon 13 "build/bed/cswapd --socket @SOCK@ --store @RUN@/second --size 48M --medium disk"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# of DISK COUNTER
of() {
	cat "/sys/block/$1/cswap/$2"
}
# used DISK: KiB of it that are in use.
used() {
	awk -v disk="/dev/$1" '$1 == disk { print $4 }' /proc/swaps
}

fast='' slow=''
for disk in /sys/block/cswap*; do
	name=$(basename "$disk")
	case $(of "$name" medium) in
	memory) fast=$name ;;
	disk) slow=$name ;;
	esac
done
[ -n "$fast" ] || die "there is no disk in memory"
[ -n "$slow" ] || die "there is no disk on a disk"

# The first pages of each: the same content, slots and counters, and by its key another ciphertext.
is_stored() {
	[ "$(of "$1" copies_used)" = 0 ]
}
dd if=/dev/urandom of="$tmp/pages" bs=64k count=1 2>/dev/null
for name in $fast $slow; do
	dd if="$tmp/pages" of="/dev/$name" bs=64k oflag=direct 2>/dev/null || die "storing to $name"
	wait_until 20 is_stored "$name" || die "the pages of $name aren't stored"
done
# The slots begin behind a store's first MiB.
host alike first second 256 16
expect "pages that both stores have" "$(host_value found)" = 0
expect "pages of the stores that were compared" "$(host_value compared)" = 16

# A store that the fast one stalls is refused soon; the slow one has the time that the module gives it.
echo 200 >"/sys/block/$fast/cswap/stall_ms"
other=$(of "$slow" stall_ms)
for name in $fast $slow; do
	mkswap "/dev/$name" >/dev/null || die "mkswap"
done
swapon -p 100 "/dev/$fast" || die "swapon"
swapon -p 5 "/dev/$slow" || die "swapon"

# 1. Less than the first has room for.
loads=$(of "$slow" loads)
stress_begin --mib 4 --pageout
expect "KiB in the second while the first has room" "$(used "$slow")" = 0
expect "KiB in the first" "$(used "$fast")" -gt 3000
stress_end
expect "pages read from the second" "$(of "$slow" loads)" = "$loads"

# 2. More than that; and then the first goes.
stress_begin --mib 24 --pageout
expect "KiB in the first" "$(used "$fast")" -gt 7000
expect "KiB in the second" "$(used "$slow")" -gt 14000
swapoff "/dev/$fast" || fail "swapoff"
expect "pages read from the first" "$(of "$fast" loads)" -gt 1000
stress_end
expect "pages read from the second" "$(of "$slow" loads)" -gt 3000
for name in $fast $slow; do
	expect "pages of $name that didn't open" "$(of "$name" tampered)" = 0
	expect "keys of $name" "$(of "$name" keys)" = 1
done

# 3. The first doesn't answer: what it can't take goes to the second, or stays.
swapon -p 100 "/dev/$fast" || die "swapon"
host arm
stores=$(of "$slow" stores)
stress_begin --mib 16 --pageout
host disarm
stress_end
expect "stores that the first refused" "$(of "$fast" store_refusals)" -gt 0
expect "pages that went to the second meanwhile" $(($(of "$slow" stores) - stores)) -gt 0
expect "the first one's setting" "$(of "$fast" stall_ms)" = 200
expect "the second one's setting" "$(of "$slow" stall_ms)" = "$other"
swapoff "/dev/$fast" || fail "swapoff"
swapoff "/dev/$slow" || fail "swapoff"
finish "$(figure checked) pages checked, 0 wrong; $(of "$fast" stores) stored in memory, $(of "$slow" stores) on a disk"
