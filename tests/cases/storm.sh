#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A storm of swapping, in and out, by processes and threads at once, with every page verified.
# Proves: what was stored comes back; one operation in flight a slot (I1); freed slots return disk
# space (issue: DISCARD). Traps A2, A6, A21, C17. The daemon refuses requests that aren't framed as
# they must be, and none may fail.
# Checks: driver-vq-one-way, driver-request-range, driver-store-page, driver-response-page
# Checks: driver-response-ack-size
#
# beds: uml uml-debug uml-smp vm-newest vm-6.1 tdx-newest
# fast vm-newest: mem
# fast uml: file
# fast uml-debug: mem
# fast uml-smp: mem file
# fast vm-6.1: mem
# fast tdx-newest: mem
# slow: uml vm-6.12 snp-newest tdx-6.12 snp-6.12
# timeout: 900
# beside: yes
# run uml: --env MIB=14 --env LIMIT=6
# run uml-smp: --cpus 2 --queues 2
# run uml-debug uml-smp: --mem 256M
# run vm: --mem 384M --cpus 2 --queues 2 --env MIB=40 --env LIMIT=20
# variant file: --cswapd "--store @RUN@/store --size 160M" --env STORE=file
# variant mem: --cswapd "--store mem --size 160M"

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

small() {
	host blocks
	[ "$host_said" -lt 1024 ]
}

swap_on
stress --mib "$MIB" --limit "$LIMIT" --procs 2 --threads 2 --rewrite 50
expect_clean
if [ "${STORE-mem}" = file ]; then
	# Everything was freed when the program ended: the file shrinks to nearly nothing.
	wait_until 20 small || fail "the store still occupies $host_said KiB"
	expect "no slot was discarded" "$(counter discards)" -gt 0
fi
swap_off
stored=$(counter stores) checked=$(figure checked)
finish "$checked pages checked, 0 wrong, $stored stores, $(counter loads) loads, $(counter pool_loads) from the pool"
