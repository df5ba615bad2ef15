#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Many processes swap at the same time, on all CPUs; none sees another's page.
# shellcheck source-path=SCRIPTDIR source=cswap_lib.sh
. "$(dirname "$0")/cswap_lib.sh"
ktap_begin
command -v swap_verify >/dev/null || skip_all "swap_verify was not built"
swap_begin
total=$(some_mib)
tasks=$(($(nproc 2>/dev/null || echo 2) * 4))
[ "$tasks" -le "$total" ] || tasks=$total
each=$((total / tasks))
before=$(counter stores)
bad_begin

pids=
i=0
while [ $i -lt "$tasks" ]; do
	swap_verify -r 2 "$each" >/dev/null &
	pids="$pids $!"
	i=$((i + 1))
done
wrong=0
for pid in $pids; do
	wait "$pid" || wrong=$((wrong + 1))
done
check "$tasks processes with $each MiB each: all pages right" test $wrong = 0
check "the pages were on the disk" \
	test "$(since stores "$before")" -ge $((tasks * each * 256 * 2 * 9 / 10))
check "no page was refused" bad_end
ktap_end
