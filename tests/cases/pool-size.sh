#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The owner says how large the pool is, while the host stops answering.
# Proves: the pool has that size, rounded up to whole blocks of 2 MiB, and holds as many pages more; how much
# of it is in use can be read: all of it while nothing is answered, nothing when all is.
#
# beds: uml
# slow: vm-newest uml-debug vm-6.12 vm-6.1
# timeout: 200
# beside: yes
# run: --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault stall" --mem 256M
# variant small: --module-args "pool_kib=512 stall_ms=500" --env KIB=512
# variant rounded: --module-args "pool_kib=3072 stall_ms=500" --env KIB=4096
# variant large: --module-args "pool_kib=8192 stall_ms=500" --env KIB=8192

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

idle() {
	[ "$(counter copies_used)" = 0 ]
}

swap_on
copies=$(counter copies)
expect "the pool's size" "$(counter pool_kib)" = "$KIB"
expect "room for pages in $KIB KiB" "$copies" -gt $((KIB / 4 * 4 / 10))
expect "room for pages in $KIB KiB" "$copies" -lt $((KIB / 4))
wait_until 60 idle || fail "copies in use though nobody swaps: $(counter copies_used)"
stress_begin --mib 16
host arm
# More than the pool holds: what doesn't fit is refused, what fits stays.
stress --mib 12 --pageout
expect "copies in use while the host stalls" "$(counter copies_used)" -gt $((copies * 9 / 10))
host disarm
stress_end
wait_until 60 idle || fail "copies in use though all is answered: $(counter copies_used)"
swap_off
finish "a pool of $KIB KiB holds $copies pages, full while the host stalled, empty later"
