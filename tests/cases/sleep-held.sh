#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest is to sleep while readers wait for pages that the host keeps back.
# Proves: that ends: the guest doesn't sleep, since its programs can't be frozen, and goes on; when the host
# answers, every read ends, and then the guest sleeps and wakes. (Trap of a reset that needs what waits for it.)
#
# slow: vm-newest vm-6.12
# timeout: 300
# After this sleep QEMU's ACPI can't power off any more.
# run: --env CSWAP_END=reboot
# beside: yes
# run: --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault stall" --mem 256M --cpus 2 --queues 2
# run: --env READERS=8 --module-args "load_timeout_s=0" --allow "Freezing .* failed" --allow "blocked for more"

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-late.sh
. "$(dirname "$0")/lib-late.sh"

alarm() {
	echo 0 >/sys/class/rtc/rtc0/wakealarm
	echo "+$1" >/sys/class/rtc/rtc0/wakealarm
}

[ -w /sys/power/state ] || skip "this kernel doesn't sleep"
[ -w /sys/class/rtc/rtc0/wakealarm ] || skip "no clock to wake it"
late_fill
host arm
late_start 1
wait_until 60 late_waits || fail "not all readers wait for the host"
echo 3000 >/sys/power/pm_freeze_timeout
alarm 30
echo mem >/sys/power/state 2>/dev/null && fail "it slept, with readers that wait"
late_waits || fail "the readers don't wait any more"
host disarm
late_end 30 || die "a read doesn't end"
expect "reads that failed" "$failed" = 0
echo 20000 >/sys/power/pm_freeze_timeout
alarm 2
echo mem >/sys/power/state || fail "it did not sleep"
late_start 1
late_end 30 || die "a read doesn't end"
expect "reads that failed after it slept" "$failed" = 0
for name in tampered retries protocol_errors load_errors load_timeouts store_errors; do
	expect "$name moved" "$(counter $name)" = 0
done
finish "it didn't sleep while $READERS readers waited, and slept afterwards"
