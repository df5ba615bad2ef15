#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The device asks to be reset (NEEDS_RESET) in the middle of a storm of swapping, again and again; the
# last time in vain. tests/kmod/reset says it in its stead.
# Proves: it's reset each time, with key, slots and pool kept: no page is lost, none wrong, nobody gets
# an error. A device that asks all the time is granted it only now and then. When the reset fails, it's
# said once, readers get errors at once, and the module goes.
#
# beds: uml-debug
# slow: uml-smp
# timeout: 300
# module: tests/kmod/reset
# run: --env MIB=6 --cswapd "--store mem --size 48M" --allow "swapstress.[0-9]+.: segfault at"
# run uml: --mem 256M
# run uml-debug: --kmemleak
# run uml-smp: --cpus 2 --queues 2

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"

parameters=/sys/module/cswap_reset/parameters
# The driver's own count: the device is reset twice each time, and the second ends a wish that comes before it.
resets_are() {
	[ "$(counter resets)" -ge "$1" ]
}
is_given_up() {
	[ "$(said "can't be used any more")" = 1 ]
}
said() {
	dmesg | grep -cE "$1"
}

insmod "$MODULE" || die "insmod $MODULE"
swap_on
stress_begin --mib "$MIB" --procs 2 --seed 5 --rounds 3 --rewrite 60 --pageout
times=0
while [ $times -lt 3 ]; do
	# The storm goes on: the gate opens before the device asks.
	: >"$tmp/gate"
	before=$(counter resets)
	echo 1 >"$parameters/ask"
	wait_until 20 resets_are $((before + 1)) || fail "it was not reset"
	times=$((times + 1))
	[ $times = 3 ] || stress_await
done
cat <&7 >>"$tmp/stress.all"
exec 7<&-
wait "$stress_pid"
stress_status=$?
stress_judge
expect_clean
expect "times that the driver said so" "$(said 'asks to be reset')" = 3
checked=$(figure checked)

# As fast as it can: of twenty wishes within a moment few are granted.
before=$(said 'asks to be reset') began=$SECONDS
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	echo 1 >"$parameters/ask"
done
expect "resets granted" $(($(said 'asks to be reset') - before)) -le $((2 + (SECONDS - began) / 4))
echo 0 >"$parameters/ask"

# In vain.
stress_begin --mib "$MIB" --seed 6 --rounds 1 --pageout --tolerate-sigbus
echo 2 >"$parameters/ask"
wait_until 20 is_given_up || fail "nothing was said of it"
began=$SECONDS
stress_end_lost
expect "SIGBUS" "$(figure sigbus)" -gt 100
expect "seconds" $((SECONDS - began)) -le 30
swap_off
echo 0 >"$parameters/ask"
rmmod virtio_cswap || die "rmmod"
rmmod cswap_reset || die "rmmod cswap_reset"
finish "reset $times times amid a storm: $checked pages checked, 0 wrong; then in vain: $(figure sigbus) SIGBUS"
