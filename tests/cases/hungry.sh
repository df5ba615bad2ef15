#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The device is reset while the pool is full of pages that the host doesn't take, and there is no memory to
# make its rings again: five times that ends with an error, and each time the driver's worker looks for
# memory itself first, and finds no free page (tests/kmod/reset).
# Proves: the worker waits for none of the pages that only it can bring out: it tries again, nobody
# hangs, nothing is given up, and every page can be read. (Trap of a reset that needs what waits for it;
# lockdep watches.)
#
# beds: uml-debug
# fast uml-debug: asked
# slow: uml uml-smp
# timeout: 300
# beside: yes
# module: tests/kmod/reset
# run: --mem 256M --env MIB=6 --env LEAVE=40 --module-args "stall_ms=500"
# run uml-smp: --cpus 2 --queues 2
# run: --faulty-cswapd "--store mem --size 64M --fault-report @RUN@/report --fault stall"
# variant asked: --env ASK=1
# variant transport: --env ASK=3

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

parameters=/sys/module/cswap_reset/parameters
often=5

available() {
	awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo
}
goes_on() {
	[ "$(counter resets)" -ge 1 ] && [ "$(cat "$parameters/failures")" = 0 ]
}

insmod "$MODULE" || die "insmod $MODULE"
swap_on
# Memory that can't be swapped takes all but so much.
mkdir "$tmp/ballast"
mount -t ramfs none "$tmp/ballast"
have=$(available)
[ "$have" -gt "$LEAVE" ] || die "only $have MiB to begin with"
dd if=/dev/zero of="$tmp/ballast/file" bs=1M count=$((have - LEAVE)) 2>/dev/null
stress_begin --mib "$MIB" --rounds 1 --pageout
host arm
# More than the pool holds: what doesn't fit is refused, what fits stays.
stress --mib 12 --pageout
copies=$(counter copies)
expect "copies in use" "$(counter copies_used)" -gt $((copies * 9 / 10))
echo $often >$parameters/failures
echo $((2 * LEAVE)) >$parameters/hungry
echo "$ASK" >$parameters/ask
# The pages are read while there are no rings.
: >"$tmp/gate"
wait_until 60 goes_on || die "nobody went on with it: $(cat $parameters/failures) failures are left, resets: $(counter resets)"
expect "times that the worker found too little memory" "$(cat $parameters/starved)" -ge $often
echo 0 >$parameters/hungry
host disarm
cat <&7 >>"$tmp/stress.all"
exec 7<&-
wait "$stress_pid"
stress_status=$?
stress_judge
[ "$(dmesg | grep -c "can't be used any more")" = 0 ] || fail "it was given up"
for name in tampered retries protocol_errors load_errors load_timeouts store_errors; do
	expect "$name moved" "$(counter $name)" = 0
done
starved=$(cat $parameters/starved)
rm "$tmp/ballast/file"
swap_off
rmmod virtio_cswap || die "rmmod"
rmmod cswap_reset || die "rmmod cswap_reset"
finish "a full pool, no memory for the rings $starved times: $(figure checked) pages checked, 0 wrong"
