#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A secret text fills memory that is swapped out, in the emulated confidential guest, and all that its host can
# see is searched for it: the shared memory, with the pool and the rings in it, and the disk.
# Proves: it is nowhere there; no page is converted for I/O; the pool and the rings are the only memory
# that the driver ever shares, and they are given back whole. The control: swapped to a plain disk
# by virtio-blk, the same text is found in both.
# Checks: driver-seal-always
#
# beds: tdx-newest snp-newest
# slow: tdx-6.12 snp-6.12
# timeout: 900
# beside: yes
# run: --mem 512M --cpus 2 --queues 2 --cswapd "--store @RUN@/store --tags @RUN@/store.tags --size 128M" --env MIB=32
# run: --module-args "stall_ms=60000"

# shellcheck source-path=SCRIPTDIR source=lib-cvm.sh
. "$(dirname "$0")/lib-cvm.sh"

group=/sys/fs/cgroup/secret
file=/dev/shm/secret
bytes=$((MIB * 1048576))
marker=planted-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')

# plant: the text fills a file in memory, of which little is allowed to be there.
plant() {
	sh -c "echo 0 >$group/cgroup.procs; yes '$marker' | head -c $bytes >$file"
	expect "the secret's size" "$(stat -c %s "$file")" = "$bytes"
	expect "the secret as it was written" "$(sha256sum <"$file")" = "$planted"
}
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir "$group"
echo $((bytes / 4)) >"$group/memory.max" || die "no memory controller"
planted=$(yes "$marker" | head -c "$bytes" | sha256sum)

# ---- sealed

swap_on
cvm_note pages-to-shared pages-to-private accepts-4k accepts-2m
plant
expect "pages stored" "$(counter stores)" -ge $((MIB * 256 / 2))
expect "pages loaded" "$(counter loads)" -ge $((MIB * 256 / 4))
for name in pages-to-shared pages-to-private accepts-4k accepts-2m; do
	expect_moved "$name while it swapped" $name = 0
done
found_in shared 0
found_in store 0
expect "KiB searched in the store" "$(host_value kib)" -ge $((MIB * 1024 / 2))
found_in store.tags 0
rm "$file"
swap_off
expect_clean
stored=$(counter stores)

# ---- what the driver shares

cvm_note pages-shared pages-pending
rmmod virtio_cswap || fail "rmmod"
! counted || shared=$((-$(cvm_moved pages-shared)))
expect_moved "pages not accepted" pages-pending = 0
cvm_note pages-shared
for driver in $CSWAP_INSMOD; do :; done # it comes last
# shellcheck disable=SC2086	# words
insmod "$driver" $CSWAP_MODULE_ARGS || fail "insmod"
wait_until 20 test -b "$disk" || fail "no disk"
expect_moved "pages shared by another load" pages-shared = "$shared"
# 2 MiB and 512 KiB a pair, at most 1/256 of memory; and five rings of three pages at most.
! counted || expect "pages shared" "$shared" -le $((512 * 1024 / 256 / 4 + 5 * 3))

# ---- the control

disk=/dev/bed/results
swap_on
plant
host search "$marker" shared
control_shared=$(host_value found)
expect "the secret in shared memory, with a plain disk" "$control_shared" -gt 0
host search "$marker" results.img
control_disk=$(host_value found)
expect "the secret on the plain disk" "$control_disk" -gt 1000
rm "$file"
swap_off

cvm_quiet
finish "$stored pages stored, ${shared-unknown} pages shared, the secret found 0 times; \
with a plain disk $control_shared times in shared memory, $control_disk on the disk"
