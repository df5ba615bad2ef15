#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A program fills twice the memory that it may have, and touches nothing twice.
# Proves: what doesn't fit is written, and hardly anything else: a disk whose writes end when
# reclaim doesn't expect it has the same pages written that fit, too. And the device is told of
# pages by the dozen, in few requests, and answers without an interrupt for each few of them. What
# is read ahead comes back in few requests, too.
#
# beds: uml
# slow: vm-newest vm-6.12 vm-6.1
# timeout: 200
# run uml: --mem 128M
# run vm: --mem 384M
# run: --cswapd "--store @RUN@/store --size 160M"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

mib=48 limit=24
pages_per_mib=256

interrupts() {
	awk '/virtio/ { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) sum += $i } END { print sum + 0 }' \
		/proc/interrupts
}

swap_on
before=$(interrupts)
stress_begin --mib $mib --limit $limit --once
interrupted=$(($(interrupts) - before))
stores=$(counter stores)
overflow=$(((mib - limit) * pages_per_mib))
expect "pages stored of $overflow that didn't fit" "$stores" -ge $((overflow * 9 / 10))
expect "pages stored of $overflow that didn't fit" "$stores" -le $((overflow * 5 / 4))
expect "interrupts for $stores pages" "$interrupted" -le $((stores / 16))
expect "requests for $stores pages" "$(counter store_requests)" -le $((stores / 4))
stress_end
loads=$(counter loads) asked=$(counter load_requests)
expect "pages read" "$loads" -gt 1000
expect "requests for $loads pages" "$asked" -le $((loads / 4))
expect_clean
swap_off
finish "$stores pages stored of $overflow that did not fit, $(counter store_requests) requests, $interrupted interrupts; $loads read by $asked requests"
