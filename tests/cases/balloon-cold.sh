#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Nine tenths of the guest are one program's cold memory. The host asks for half of the guest, and
# gets it: what was there goes to the store.
# Proves: the balloon's need is what drives cold pages out, and the floor is on the guest's size, not on
# what is "available" in it, which is next to nothing here (trap B8); the host's memory falls by what
# was released; every page is right afterwards.
#
# slow: uml vm-newest vm-6.12 vm-6.1 tdx-newest snp-newest
# timeout: 900
# beside: yes
# run: --cswapd "--store mem --size 1G --release punch"
# run uml: --mem 256M --aes
# run vm: --mem 512M --cpus 2 --queues 2

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

swap_on
begin_balloon
half=$(even $((total / 2)))
touch_all
# What the kernel and this script need is not the program's; the rest is, and a little more than there is.
cold=$((total * 9 / 10))
stress_begin --mib $cold --once
available=$(memory MemAvailable)
expect "MiB available before" "$available" -lt $((half / 2))
host_measure
before=$host_kib absent=$host_absent_kib
pages=$(awk '$1 == "pswpout" { print $2 }' /proc/vmstat)

reach "$half" 240
inflated=$took
swapped=$(($(awk '$1 == "pswpout" { print $2 }' /proc/vmstat) - pages))
expect "MiB in MemTotal" "$(memory MemTotal)" -le $((total - half))
expect "MiB swapped out for it" $((swapped / 256)) -ge $((half - available - 16))
expect_freed "$before" "$absent" "$half"
stress_end
expect_clean
# What the brakes took back meanwhile, they did to spare the program; it's no failure.
kept=$(balloon released)
end_balloon 120
swap_off
finish "$half of $total MiB released in $inflated s with $available available, $((swapped / 256)) MiB swapped for it, host measures $((freed_kib / 1024)); $(figure checked) pages checked, 0 wrong, $kept still released then"
