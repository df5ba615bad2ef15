#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host fails STOREs, or says that it stored and didn't.
# Proves: a store that fails loses no page (I2): it is kept and served from the pool, sent again, and
# when too many are kept new stores are refused and the swap core keeps the pages. A store that
# the host lied about is found at the next read.
# Checks: driver-store-keep, driver-store-failed, device-store-nospc
#
# beds: uml
# slow: uml-debug vm-newest tdx-newest snp-newest
# timeout: 300
# beside: yes
# run: --env MIB=12 --allow "swapstress.[0-9]+.: segfault at"
# run uml: --mem 256M
# variant nospc-all: --faulty-cswapd "--store mem --size 40M --fault-report @RUN@/report --fault nospc-store"
# variant eio-some: --faulty-cswapd "--store mem --size 40M --fault-report @RUN@/report --fault eio-store:every=97"
# variant eio-once: --faulty-cswapd "--store mem --size 40M --fault-report @RUN@/report --fault eio-store:every=3:times=1"
# variant lose-store: --faulty-cswapd "--store mem --size 40M --fault-report @RUN@/report --fault lose-store:every=3" --env TOLERATE=--tolerate-sigbus

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

swap_on
# Without a limit of memory, so that whatever can't be stored has where to stay.
# shellcheck disable=SC2086	# an option or nothing
stress_begin --mib "$MIB" --rounds 2 --rewrite 100 --pageout ${TOLERATE-}
expect "stores failed before there was a fault" "$(counter store_errors)" = 0
host arm
stress_to_gate
kept=$(counter kept) refused=$(counter store_refusals)
loads_from_pool=$(counter pool_loads)
host disarm
hits=$(fault 0 ops)
expect "the fault hit nothing" "$hits" -gt 10
wait_until 20 counter_is kept 0 || fail "$(counter kept) copies are still kept after the host recovered"
stress_end
errors=$(counter store_errors) sigbus=$(figure sigbus)
if [ -n "${TOLERATE-}" ]; then
	expect "lost stores weren't found" "$(counter tampered)" -gt 100
	expect "SIGBUS" "$sigbus" -gt 0
	expect "errors of stores" "$errors" = 0
else
	expect "errors of stores" "$errors" = "$hits"
	expect "pages given up" "$(counter tampered)" = 0
	expect "SIGBUS" "$sigbus" = 0
fi
case $(fault 0 kind) in
nospc-store) # all of them: more than may be kept
	expect "copies kept" "$kept" -gt 0
	expect "copies kept of $(counter copies)" "$kept" -le "$(counter copies)"
	expect "stores refused" "$refused" -gt 0
	;;
esac
for name in protocol_errors load_errors load_timeouts; do
	expect "$name moved" "$(counter $name)" = 0
done
# And all is as it was.
before=$(counter store_refusals)
stress --mib "$MIB" --pageout
expect "stores refused after the host recovered" "$(counter store_refusals)" = "$before"
swap_off
finish "$hits failed stores, $kept kept, $refused refused, $loads_from_pool pages from the pool, $(figure wrong) wrong pages, $sigbus SIGBUS"
