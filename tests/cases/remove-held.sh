#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The device goes while readers wait for pages that the host keeps back, more readers than may ask at once,
# and may wait for ever. In User-Mode Linux the daemon is killed; in QEMU the guest itself takes the device
# off its bus.
# Proves: taking the device away waits for no answer, and ends every read, with an error. (Trap of a reset
# that needs what waits for it.)
#
# beds: uml-debug
# slow: uml-smp vm-newest
# timeout: 240
# beside: yes
# run: --faulty-cswapd "--store mem --size 48M --fault-report @RUN@/report --fault stall" --daemon-may-die
# run: --env READERS=200 --mem 256M --module-args "load_timeout_s=0"
# run uml: --allow "WARNING: .*virtio_uml" --allow "WARNING: .*vu_del_vqs"
# run vm: --cpus 2 --queues 2

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-late.sh
. "$(dirname "$0")/lib-late.sh"

gone() {
	[ ! -e "$disk" ]
}
late_fill
host arm
late_start 1
wait_until 60 late_waits || fail "not all readers wait for the host"
if [ "$CSWAP_BED" = uml ]; then
	host kill
else
	echo 1 >"$(readlink -f "/sys/block/${disk##*/}/device/..")/remove"
fi
wait_until 20 gone || fail "the disk is still there"
late_end 20 || die "readers still wait, though the device is gone"
expect "reads that ended with an error" "$failed" = "$READERS"
finish "$READERS reads ended when the device went"
