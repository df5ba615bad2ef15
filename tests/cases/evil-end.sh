#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The device comes to an end while it lies, again and again: by a used ring that makes no sense (what is
# no buffer, or a buffer twice; on the control queue, too), by going away, or by a configuration that
# makes no sense when the driver comes.
# Proves: each is said in one line; whoever waits is told no at once, nobody hangs; there's never a wrong
# page; the module goes, and the next device, or the same one reset, works.
# Checks: driver-config-range, driver-config-reserved, driver-security-broken
#
# beds: uml-debug
# fast uml-debug: broken-ahead
# slow: broken-ahead uml-smp
# timeout: 900
# beside: yes
# guest-programs: blkdiscard
# run: --allow "swapstress.[0-9]+.: segfault at" --daemon-may-die
# run: --allow "WARNING: .*virtio_uml" --allow "WARNING: .*vu_del_vqs"
# run uml: --mem 256M
# run uml-debug: --kmemleak
# run uml-smp: --cpus 2 --queues 2
# variant broken-ahead: --evil-cswapd "--store mem --size 32M --rate 60 --only wild-id,chain-wild-id --report @RUN@/report --log @RUN@/lies" --module-args "stall_ms=200" --env END=broken --env TIMES=8
# variant removed-ahead: --evil-cswapd "--store mem --size 32M --rate 4 --report @RUN@/report --log @RUN@/lies" --module-args "load_timeout_s=1 stall_ms=200" --env END=removed --env TIMES=4
# variant same-ahead: --evil-cswapd "--store mem --size 32M --rate 60 --only same-id,chain-same-id --report @RUN@/report --log @RUN@/lies" --module-args "load_timeout_s=1 stall_ms=200" --env END=same --env TIMES=8
# variant control: --evil-cswapd "--store mem --size 32M --rate 2 --only control-wild-id --report @RUN@/report --log @RUN@/lies" --module-args "stall_ms=200" --env END=control --env TIMES=4
# variant discard: --evil-cswapd "--store mem --size 32M --rate 1 --only control-wild-id --report @RUN@/report --log @RUN@/lies" --module-args "reports=0 stall_ms=20000" --env END=discard --env TIMES=3
# variant config: --evil-cswapd "--store mem --size 32M --rate 1 --only config --report @RUN@/report --log @RUN@/lies" --env END=config --env TIMES=40

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-evil.sh
. "$(dirname "$0")/lib-evil.sh"

said() {
	dmesg | grep -cE "$1"
}
another_disk() {
	for disk in /dev/cswap*; do
		stats=/sys/block/${disk##*/}/cswap
		[ -b "$disk" ] && [ -r "$stats/stores" ] && return 0
	done
	return 1
}

# A queue ends in the middle of it all. load_timeout_s is three minutes here: nobody waits for that.
end_broken() {
	local began
	swap_on
	before=$(said 'queue pair [0-9]+: .* is broken')
	host arm
	began=$SECONDS
	stress --mib 3 --procs 2 --seed "$1" --pageout --tolerate-sigbus
	host disarm
	expect "queues that ended" $(($(said 'queue pair [0-9]+: .* is broken') - before)) -ge 1
	expect "seconds that it took" $((SECONDS - began)) -le 60
	sigbus=$((sigbus + $(figure sigbus)))
	swap_off
	reload_driver
}

# A buffer is used twice: the second time it may be the guest's again, and is an answer to nothing then. So
# the queue ends, or an answer is ignored; which, the moment decides.
end_same() {
	swap_on
	before=$(said 'queue pair [0-9]+: .* is broken')
	host arm
	stress --mib 3 --procs 2 --seed "$1" --pageout --tolerate-sigbus
	host disarm
	noticed=$((noticed + $(said 'queue pair [0-9]+: .* is broken') - before + $(counter protocol_errors)))
	sigbus=$((sigbus + $(figure sigbus)))
	swap_off
	reload_driver
}

# The control queue ends. Pages go on to be stored and loaded, but for the slots whose DISCARD nobody
# answers: to store one would be undone if it's done yet.
end_control() {
	swap_on
	host arm
	stress --mib 3 --procs 2 --seed "$1" --rounds 2 --rewrite 60 --pageout
	host disarm
	swap_off
	reload_driver
}

# The control queue ends with a DISCARD of some slots of more than the pool has copies. They can't be
# stored, which is said at once: stall_ms is 20 seconds here. All others can.
end_discard() {
	local began
	dd if=/dev/urandom of="$disk" bs=4k count=1024 oflag=direct 2>/dev/null || die "dd"
	before=$(said 'slots that were being discarded')
	host arm
	blkdiscard -l 4M "$disk" || die "blkdiscard"
	wait_until 20 queue_is_lost || fail "nothing says that the control queue is broken"
	host disarm
	lost=$((lost + $(dmesg | sed -n 's/.*broken; \([0-9]*\) slots that were being discarded.*/\1/p' | tail -1)))
	began=$SECONDS
	dd if=/dev/zero of="$disk" bs=4k count=1024 oflag=direct 2>/dev/null &&
		fail "slots were stored that a DISCARD may hit"
	expect "seconds that it took to refuse" $((SECONDS - began)) -le 10
	dd if=/dev/urandom of="$tmp/page" bs=4k count=1024 2>/dev/null
	dd if="$tmp/page" of="$disk" bs=4k seek=2048 oflag=direct 2>/dev/null ||
		fail "other slots can't be stored"
	dd if="$disk" bs=4k skip=2048 count=1024 iflag=direct 2>/dev/null | cmp - "$tmp/page" ||
		fail "other slots hold something else"
	reload_driver
}
queue_is_lost() {
	[ "$(said 'slots that were being discarded')" -gt "$before" ]
}

end_removed() {
	swap_priority=$((10 + $1))
	swap_on
	stress_begin --mib 3 --procs 2 --seed "$1" --rounds 2 --pageout --tolerate-sigbus
	host arm
	: >"$tmp/gate"
	host kill
	wait_until 20 gone || fail "the disk is still there"
	stress_await
	stress_end_lost
	sigbus=$((sigbus + $(figure sigbus)))
	host attach cswapd-evil --store mem --size 32M --rate 4
	wait_until 20 another_disk || die "no disk after the device came back"
}

end_config() {
	host arm
	rmmod virtio_cswap || die "rmmod"
	wait_until 20 gone || die "the disk is still there"
	# shellcheck disable=SC2086	# words
	insmod "$driver" $CSWAP_MODULE_ARGS || die "insmod"
	if [ -b "$disk" ]; then
		taken=$((taken + 1))
	else
		refused=$((refused + 1))
	fi
}

round=0 sigbus=0 lost=0 taken=0 refused=0 noticed=0
while [ $round -lt "$TIMES" ]; do
	"end_$END" $((round + 1))
	round=$((round + 1))
done
case $END in
broken)
	expect "SIGBUS" $sigbus -gt 0 ;;
same)
	expect "lies told" "$(fault 0 ops)" -gt 0
	expect "lies noticed" $noticed -gt 0 ;;
control)
	expect "lies told" "$(fault 0 ops)" -gt 0
	expect "lines of the ring" "$(said 'virtio_cswap.*id [0-9]+ out of range')" -gt 0 ;;
discard)
	expect "slots whose DISCARD was lost" "$lost" -gt 100 ;;
config)
	host disarm
	expect "configurations refused" $refused -gt $((TIMES / 4))
	expect "lines of refusal" "$(said 'virtio_cswap .*: not used')" = $refused
	reload_driver ;;
removed)
	swap_priority=$((20 + TIMES))
	expect "SIGBUS" $sigbus -gt 0 ;;
esac
expect_honest
finish "$TIMES times $END: $sigbus touches given up, $taken configurations taken, $refused refused; \
$(figure checked) pages checked afterwards, 0 wrong"
