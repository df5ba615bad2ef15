#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Huge pages go out whole: bios of 2 MiB, more than a small pool holds at once. Under a limit of
# memory, by request, and with two at once.
# Proves: they are stored without waiting for what they hold themselves, and come back right.
# (Trap A6.)
#
# beds: vm-newest vm-6.1
# slow: vm-6.12 tdx-newest snp-newest tdx-6.12 snp-6.12
# timeout: 300
# run: --mem 384M --cpus 2 --queues 2 --cswapd "--store mem --size 160M"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

thp() {
	awk -v name="$1" '$1 == name { print $2 }' /proc/vmstat
}

echo always >/sys/kernel/mm/transparent_hugepage/enabled
swap_on
before=$(thp thp_swpout)
stress --mib 24 --thp --pageout --threads 2 --rewrite 50
checked=$(figure checked)
stress --mib 32 --limit 16 --thp --random 200
checked=$((checked + $(figure checked)))
whole=$(($(thp thp_swpout) - before))
expect "huge pages that went out whole" "$whole" -gt 4
expect_clean
swap_off
finish "$whole huge pages out whole, $(thp thp_swpout_fallback) split, $checked pages checked, 0 wrong"
