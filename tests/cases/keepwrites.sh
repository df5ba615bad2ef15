#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A process writes to its memory, itself and through the kernel, while another process has that memory swapped out.
# Proves: no write is lost, whenever the page goes. With a plain disk, that no fault of the guest's kernel is
# taken for the driver's: User-Mode Linux loses such writes without the bed's patches (docs/upstream/um-lost-writes.md).
#
# beds: uml-debug uml-smp
# fast uml-debug: plain
# slow: vm-newest uml vm-6.12 vm-6.1 tdx-newest snp-newest
# timeout: 300
# run uml: --env OUT=10000
# run uml-smp: --env OUT=3000
# run vm: --env OUT=1000
# run vm uml-smp: --cpus 2 --queues 2
# variant sealed: --cswapd "--store mem --size 64M"
# variant plain uml uml-debug uml-smp: --no-driver --daemon 2 "truncate -s 64M @RUN@/d; exec qemu-storage-daemon --blockdev driver=file,node-name=f,filename=@RUN@/d --export type=vhost-user-blk,id=e,addr.type=unix,addr.path=@SOCK@,node-name=f,writable=on"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

[ -e "$disk" ] || disk=/dev/vda
swap_on
keepwrites "$OUT" >"$tmp/stress.all" 2>&1
status=$?
[ $status = 0 ] || {
	fail "keepwrites ended with $status"
	sed 's/^/# stress: /' "$tmp/stress.all"
}
expect "pages checked" "$(figure checked)" -gt 0
swap_off
finish "$(figure checked) pages checked, $(figure wrong) wrong, $OUT or more swapped out meanwhile"
