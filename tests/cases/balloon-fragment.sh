#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A used guest: a program's pages are all over its memory, and in a part of it one page in 64 can't
# be moved at all.
# Proves: what isn't pinned is got all the same, by moving what lies there (tier 2); the rest isn't, and
# it's said why; when the pins go, the balloon goes on by itself. The program's pages are right
# throughout. (Trap B9.) The figures are what the tiers yielded.
# Checks: driver-release-in-use, driver-target-partial
#
# beds: uml
# slow: vm-newest uml-debug uml-smp vm-6.12 vm-6.1 tdx-newest snp-newest
# timeout: 900
# beside: yes
# module: tests/kmod/fragment
# run: --cswapd "--store mem --size 512M --release punch"
# run: --module-args "floor=32 brake_percent=0"
# run uml: --mem 256M --aes
# run uml-smp: --cpus 2 --queues 2
# run vm: --mem 512M --cpus 2 --queues 2 --module-args "floor=128 brake_percent=0"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

parameter() {
	cat "/sys/module/cswap_fragment/parameters/$1"
}

swap_on
begin_balloon
# Two programs' pages take turns in memory, and one of them goes: there are free pages everywhere.
hold=$(($(memory MemFree) * 3 / 10))
swapstress --mib $hold --gate "$tmp/interleaved" >"$tmp/interleaved.out" 2>&1 &
other=$!
mkfifo "$tmp/interleaved"
stress_begin --mib $hold --rounds 3
wait_until 60 grep -qs gate "$tmp/interleaved.out" || die "the other program doesn't start"
kill $other
wait $other 2>/dev/null
# A quarter of memory is pinned, in part.
insmod "$MODULE" every=64 mib=$((total / 4)) || die "insmod"
blocks=$(parameter blocks) pinned=$(parameter pinned)
expect "blocks with a pinned page" "$blocks" -ge $((total / 8 - 4))
say "$(tr '\n' ' ' </proc/buddyinfo)"

# More than there is without the pinned blocks.
ask $((total - 2 * blocks))
within 120 is_settled || fail "it's still $(balloon stopped)"
got=$(balloon released) why=$(balloon stopped) moved=$(balloon moved_blocks) tries=$(balloon pinned_blocks)
expect "why it stopped: $why" "$why" = memory
expect "MiB got" "$got" -ge $((total / 4))
expect "MiB got, of those without a pinned page" "$got" -le $((total - 2 * blocks))
expect "blocks got by moving what lay there" "$moved" -gt 0
expect "blocks tried in vain" "$tries" -gt 0
stress_to_gate

rmmod cswap_fragment || fail "rmmod"
# Not all that was pinned: kernels with KASAN have memory of their own all over the place.
more=$(even $((got + blocks * 3 / 4)))
ask "$more"
within 120 released_at_least "$more" || fail "without the pins $(balloon released) MiB: $(balloon stopped)"
stress_to_gate
stress_end
end_balloon
swap_off
finish "of $((total / 2)) blocks $blocks had one of $pinned pinned pages: got $((got / 2)), $moved of them by moving, $tries tries in vain; without the pins $((more / 2)); $(figure checked) pages checked, 0 wrong"
