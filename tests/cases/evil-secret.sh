#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A planted text is swapped while the device lies, and all that a host could ever see is kept and
# searched: what passed the rings, the pool and the rings as they were at any time, the store, its tags,
# what the control socket said, the daemon's log.
# Proves: the text is nowhere there, nor is any of the driver's keys, or a single one of the round keys
# that ciphers make of it, or the key that tags are made with. The control: both are in the guest's
# private memory. The keys are known by a cipher that tells them (tests/kmod/leak).
# Checks: driver-seal-private, driver-seal-key
#
# beds: uml-debug
# slow: uml-smp
# timeout: 900
# beside: yes
# module: tests/kmod/leak
# run: --allow "swapstress.[0-9]+.: segfault at"
# run uml: --mem 256M
# run uml-smp: --cpus 2 --queues 2
# run: --evil-cswapd "--store @RUN@/store --tags @RUN@/store.tags --size 32M --rate 6 --report @RUN@/report --keep @RUN@/kept" --module-args "load_timeout_s=1 stall_ms=200 rekey_pages=700"

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-evil.sh
. "$(dirname "$0")/lib-evil.sh"

everything="kept store store.tags cswapd.log status.json"
keys() {
	cat /sys/module/cswap_leak/parameters/keys
}
enough_keys() {
	[ "$(keys | wc -l)" -ge 2 ]
}

rmmod virtio_cswap || die "rmmod"
wait_until 20 gone || die "the disk is still there"
insmod "$MODULE" || die "insmod $MODULE"
# shellcheck disable=SC2086	# words
insmod "$driver" $CSWAP_MODULE_ARGS || die "insmod"
wait_until 20 here || die "no disk with the cipher that tells its keys"
expect "the cipher" "$(counter cipher)" = gcm-aes-s390

marker=planted-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
swap_on
stress_begin --mib 3 --procs 2 --marker "$marker" --rounds 2 --rewrite 60 --pageout --tolerate-sigbus
host arm
stress_to_gate
wait_until 60 enough_keys || fail "keys: $(keys | wc -l)"
host disarm
lies=$(fault 0 ops)
expect "lies told" "$lies" -gt 0
host status

# While the keys are in use, and the pages that are out are stored.
number=0
for key in $(keys); do
	number=$((number + 1))
	# shellcheck disable=SC2086	# words
	host key "$key" $everything
	expect "key $number in what the host saw" "$(host_value found)" = 0
	expect "KiB searched" "$(host_value kib)" -gt 10000
	kib=$(host_value kib)
done
host key "$(keys | tail -n 1)" memory
control_key=$(host_value found)
expect "the newest key's parts in the guest's memory" "$control_key" -gt 10
host search "$marker" memory
control_text=$(host_value found)
expect "the text in the guest's memory" "$control_text" -gt 0
stress_end
swap_off
rmmod virtio_cswap || die "rmmod"
for file in $everything; do
	host search "$marker" "$file"
	expect "the text in $file" "$(host_value found)" = 0
done
finish "$number keys and a text searched for in $kib KiB of what the host saw, after $lies lies: found 0 times; \
in the guest's memory $control_key parts of a key, the text $control_text times"
