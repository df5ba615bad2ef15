#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest whose memory virtio-mem plugs and unplugs while the balloon has some of it.
# Proves: plugged memory counts for the balloon; virtio-mem gets none of what the balloon has, nor the balloon what
# is unplugged; what the balloon gives back virtio-mem can have, and in the end all of its memory.
#
# beds: vm-newest
# slow: vm-6.12 vm-6.1
# timeout: 900
# beside: yes
# run: --mem 512M --qemu "-m maxmem=4G -object memory-backend-memfd,id=vmem0,size=512M,share=on"
# run: --qemu "-device virtio-mem-pci,id=vmem,memdev=vmem0,requested-size=0"
# run: --cswapd "--store mem --size 256M --release punch" --module-args "floor=128 brake_percent=0"

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by within
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

# What of it is plugged, as QEMU counts it.
plugged() {
	host plugged
	plugged=$(($(host_value plugged) / mib))
}
plugged_at_most() {
	plugged
	[ "$plugged" -le "$1" ]
}
total_at_least() {
	[ "$(memory MemTotal)" -ge "$1" ]
}
# Memory that virtio-mem has taken offline isn't the balloon's any more; as much is taken elsewhere, but for the floor.
has_settled() {
	local released
	released=$(balloon released)
	plugged
	[ "$released" = "$held" ] ||
		{ [ "$(balloon stopped)" = floor ] && [ "$released" -ge $((held - 512 + plugged)) ]; }
}
total_at_most() {
	[ "$(memory MemTotal)" -le "$1" ]
}

swap_on
had=$(memory MemTotal)
echo online_movable >/sys/devices/system/memory/auto_online_blocks
modprobe virtio_mem || die "no virtio_mem"
host plug 512
within 120 total_at_least $((had + 500)) || fail "$(memory MemTotal) MiB with 512 plugged, $had before"
begin_balloon
stress_begin --mib 48 --limit 24 --rounds 4
reach 640
held=$(balloon released)
expect "MiB that the guest keeps" "$(memory MemTotal)" -le $((total - held))

# virtio-mem looks at all of its memory, and takes what nobody has.
host plug 0
within 60 plugged_at_most 511 || say "virtio-mem got nothing while the balloon had $held MiB"
plugged
kept=$plugged
within 60 has_settled ||
	fail "the balloon had $held MiB, and has $(balloon released), with $plugged plugged: $(balloon stopped)"
expect "MiB that virtio-mem left, of which the balloon has some" "$kept" -ge 128
stress_to_gate

# It asks no sooner than after a minute, unless it's told again.
reach 0
host plug 256
within 120 plugged_at_most 256 || fail "$plugged MiB plugged, 256 wanted, without a balloon"
now=$(memory MemTotal)
reach 256
expect "MiB that the guest keeps with a half plugged" "$(memory MemTotal)" = $((now - 256))
stress_to_gate
reach 0
host plug 0
within 120 plugged_at_most 0 || fail "$plugged MiB plugged, none wanted"
within 60 total_at_most "$had" || fail "$(memory MemTotal) MiB, $had at first"
host plug 512
within 120 total_at_least $((had + 500)) || fail "$(memory MemTotal) MiB with 512 plugged again"
reach 640
stress_to_gate
end_balloon 60
stress_end
expect_clean
swap_off
finish "$had MiB and 512 of virtio-mem's: the balloon had $held, and virtio-mem kept $kept plugged meanwhile; all unplugged without it; $(figure checked) pages checked, 0 wrong"
