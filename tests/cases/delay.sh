#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host takes its time with some requests, so that answers come in any order and operations meet
# that are still in flight.
# Proves: one operation in flight a slot (I1): a store of a slot whose older store or load is still
# on its way is kept waiting, and the newest version wins. (Trap A2.)
# Checks: driver-request-one-in-flight
#
# beds: uml
# slow: uml-debug uml-smp
# timeout: 300
# beside: yes
# run: --env MIB=10
# run uml-smp: --cpus 2 --queues 2
# run uml: --mem 256M
# variant store: --faulty-cswapd "--store mem --size 14M --fault-armed --fault-report @RUN@/report --fault delay-store:every=3:ms=20"
# variant both-ahead: --faulty-cswapd "--store mem --size 14M --fault-armed --fault-report @RUN@/report --fault delay-store:every=3:ms=20 --fault delay-load:every=40:ms=10"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

swap_on
stress --mib "$MIB" --limit 5 --threads 2 --rounds 2 --rewrite 100
for name in tampered retries protocol_errors load_errors load_timeouts store_errors; do
	expect "$name moved" "$(counter $name)" = 0
done
host disarm
expect "nothing was delayed" "$(fault 0 ops)" -gt 500
swap_off
finish "$(fault 0 ops) stores and $(fault 1 ops) loads delayed, $(counter pool_loads) pages from the pool, $(figure checked) checked, 0 wrong"
