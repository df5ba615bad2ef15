#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Pages go out and come back, and some don't open, while somebody looks at tracepoints, at the
# histogram in debugfs, and listens for uevents.
# Proves: each request, each page read and each that doesn't open is traced with its slot; the
# histogram has each page read; a page that is given up is told of by a uevent.
#
# beds: uml
# guest-programs: udevadm
# slow: vm-newest vm-6.1 uml-debug vm-6.12
# timeout: 200
# beside: yes
# run: --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault flip:every=16" --mem 256M
# run: --allow "swapstress.[0-9]+.: segfault at"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

tracing=/sys/kernel/tracing
[ -e $tracing/events ] || mount -t tracefs tracefs $tracing
histogram=/sys/kernel/debug/$(basename "$CSWAP_DISK")/load_us

# traced EVENT: how often.
traced() {
	grep -c " $1: " "$tmp/trace"
}

# sum: of the histogram's pages.
waited() {
	awk '{ sum += $2 } END { print sum + 0 }' "$histogram"
}

swap_on
echo 1 >$tracing/events/virtio_cswap/enable
echo 8192 >$tracing/buffer_size_kb
stores=$(counter store_requests) loads=$(counter load_requests) pages=$(waited)
udevadm monitor --kernel --property --subsystem-match=block >"$tmp/uevents" 2>/dev/null &
listener=$!
stress_begin --mib 6 --pageout --tolerate-sigbus
host arm
stress_end
host disarm
echo 0 >$tracing/events/virtio_cswap/enable
cat $tracing/trace >"$tmp/trace"

expect "STOREs traced" "$(traced cswap_store)" = $(($(counter store_requests) - stores))
# one may have been on its way before
expect "STOREs that ended" "$(traced cswap_stored)" -ge "$(traced cswap_store)"
expect "LOADs traced" "$(traced cswap_load)" = $(($(counter load_requests) - loads))
expect "pages read" "$(traced cswap_loaded)" -gt 1000
# Four tries a page, which is one in the histogram.
tampered=$(counter tampered)
expect "pages in the histogram" $(($(waited) - pages)) = $(($(traced cswap_loaded) - 3 * tampered))
expect "pages given up" "$tampered" -gt 10
expect "pages that didn't open" "$(traced cswap_not_open)" = $((4 * tampered))
expect "a traced page's slot" "$(grep ' cswap_not_open: ' "$tmp/trace" | sed 's/.*slot=//; s/ .*//' |
	awk '$1 % 16 { wrong++ } END { print wrong + 0 }')" = 0

told() {
	grep -q "^CSWAP_TAMPERED=$tampered$" "$tmp/uevents"
}
wait_until 60 told || fail "no uevent tells of $tampered pages"
kill $listener
swap_off
finish "$(traced cswap_store) STOREs, $(traced cswap_load) LOADs, $(traced cswap_loaded) pages traced, $tampered given up and told of"
