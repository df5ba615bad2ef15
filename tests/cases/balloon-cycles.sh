#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The balloon goes up and down again and again, beside a program whose pages go out and come back.
# Proves: each time all comes back to the page, nothing leaks (kmemleak), and content stays right.
#
# beds: uml-debug
# slow: short long uml uml-smp vm-newest vm-6.1 tdx-newest snp-newest tdx-6.12 snp-6.12
# timeout: 2400
# beside: yes
# run: --cswapd "--store mem --size 256M --release punch"
# run: --module-args "floor=48 brake_percent=0"
# run uml: --mem 256M --aes --env MIB=48
# run uml-debug: --kmemleak
# run uml-smp: --cpus 2 --queues 2
# run vm: --mem 512M --cpus 2 --queues 2 --env MIB=96
# variant short: --env CYCLES=15
# variant long: --env CYCLES=100

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

swap_on
begin_balloon
stress_begin --mib "$MIB" --rounds $((CYCLES / 5)) --random 200 --rewrite 10
cycle=0
while [ $cycle -lt "$CYCLES" ]; do
	cycle=$((cycle + 1))
	# Up to half, of another size each time.
	size=$(even $((total / 4 + cycle * 7 % (total / 4))))
	reach "$size" 120
	expect "KiB in MemTotal at $size MiB" "$(memory_kib MemTotal)" = $((total_kib - size * 1024))
	[ $((cycle % 5)) != 0 ] || [ $cycle = "$CYCLES" ] || stress_to_gate
	reach 0 120
	expect_total "in between"
	[ $failures = 0 ] || break
done
stress_end
taken=$(balloon taken)
end_balloon
expect "refusals" "$(balloon refusals)" = 0
swap_off
finish "$cycle times up and down, $taken MiB taken and returned, MemTotal as it was; $(figure checked) pages checked, 0 wrong"
