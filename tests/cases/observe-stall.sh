#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host stands still, until stores are refused and the driver resets the device for want of an answer, while
# somebody looks at tracepoints.
# Proves: every refused store is traced with its slot, and each reset, when the rings go and when they are
# there again.
#
# beds: uml
# slow: uml-debug vm-newest
# timeout: 200
# beside: yes
# run: --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault stall" --mem 256M
# run: --module-args "stall_ms=500 load_timeout_s=9"

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

tracing=/sys/kernel/tracing
[ -e $tracing/events ] || mount -t tracefs tracefs $tracing

# traced REGEX: how often.
traced() {
	grep -cE " $1\$" "$tmp/trace"
}
is_reset() {
	[ "$(counter resets)" -gt 0 ]
}

dd if=/dev/urandom of="$tmp/page" bs=4k count=1 2>/dev/null
dd if="$tmp/page" of="$disk" bs=4k seek=12000 oflag=direct conv=notrunc 2>/dev/null || die "storing"
wait_until 20 counter_is copies_used 0 || die "the page isn't stored"
mkswap "$disk" 40000 >/dev/null || die "mkswap"
swapon "$disk" || die "swapon"
echo 1 >$tracing/events/virtio_cswap/enable
echo 8192 >$tracing/buffer_size_kb
host arm
stress --mib 12 --pageout
refused=$(counter store_refusals)
expect "stores refused" "$refused" -gt 50
# The reset comes at a third of the time that this may wait.
dd if="$disk" of="$tmp/got" bs=4k skip=12000 count=1 iflag=direct 2>/dev/null &
reader=$!
wait_until 60 is_reset || fail "the device wasn't reset"
host disarm
wait $reader || fail "the page wasn't read"
cmp -s "$tmp/page" "$tmp/got" || fail "another page was read"
refused=$(counter store_refusals)
echo 0 >$tracing/events/virtio_cswap/enable
cat $tracing/trace >"$tmp/trace"

stalls=$(traced 'cswap_stall: cswap0 pair=[0-9]+ slot=[0-9]+ copies_free=[0-9]+')
expect "refused stores traced" "$stalls" -ge "$refused"
expect "refused stores traced" "$stalls" -le "$(counter store_refusals)"
expect "resets traced, the rings gone" "$(traced 'cswap_reset: cswap0 running=0')" = "$(counter resets)"
expect "resets traced, the rings there" "$(traced 'cswap_reset: cswap0 running=1')" = "$(counter resets)"
swap_off
finish "$stalls of $(counter store_refusals) refusals and $(counter resets) resets traced"
