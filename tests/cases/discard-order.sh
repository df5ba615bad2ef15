#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The third DISCARD of a driver that starts anew is never answered.
# Proves: what an earlier guest left is discarded from the end of the disk, where the swap core stores
# last, and little by little: by then the last three runs of slots are gone.
#
# beds: uml
# timeout: 120
# beside: yes
# run: --faulty-cswapd "--store @RUN@/store --size 64M --fault-report @RUN@/report --balloon-fault discard-never:every=3" --mem 256M

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

occupies() { # at most so much
	host blocks
	[ "$host_said" -le "$1" ]
}
occupies_more() {
	host blocks
	[ "$host_said" -ge "$1" ]
}

file=
for file in $CSWAP_INSMOD; do :; done # the driver comes last
dd if=/dev/urandom of="$disk" bs=1M seek=58 oflag=direct 2>/dev/null
wait_until 20 occupies_more 6144 || fail "only $host_said KiB in the store for 6 MiB written"
rmmod virtio_cswap || die "rmmod"
host arm
# shellcheck disable=SC2086	# words
insmod "$file" $CSWAP_MODULE_ARGS || die "insmod"
wait_until 20 occupies 64 || fail "what was left at the end of the disk occupies $host_said KiB"
left=$host_said
host disarm
expect "DISCARDs that weren't answered" "$(fault 0 ops)" -le 1
finish "$left KiB of 6 MiB at the end of the disk are left when the third DISCARD isn't answered"
