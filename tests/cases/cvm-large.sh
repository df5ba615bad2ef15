#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# An emulated confidential guest of 4 CPUs and 5 GiB, which has memory above 4 GiB.
# Proves: all CPUs start and are told alike; a pair of queues for each swaps; blocks above and below 4 GiB are
# released, and accepted when they come back.
#
# beds:
# slow: tdx-newest snp-newest snp-6.12
# timeout: 900
# beside: yes
# run: --mem 5G --cpus 4 --queues 4 --cswapd "--store mem --size 256M" --module-args "floor=48 brake_percent=0 stall_ms=60000"

# shellcheck source-path=SCRIPTDIR source=lib-cvm.sh
. "$(dirname "$0")/lib-cvm.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

target=3200
expect "CPUs" "$(nproc)" = 4
cvm_cpus_alike
begin_balloon
swap_on
stress --mib 24 --limit 12 --procs 4
cvm_note private-resident-bytes
# More than there is on either side of 4 GiB.
reach $target 300
expect "MiB that the host got back" $((-$(cvm_moved private-resident-bytes) / mib)) -ge $((target * 99 / 100))
end_balloon 300
stress --mib 24 --limit 12 --procs 4
expect_clean
swap_off
cvm_quiet
finish "$total MiB, 4 CPUs; $target MiB released and accepted again; $(figure checked) pages checked, 0 wrong"
