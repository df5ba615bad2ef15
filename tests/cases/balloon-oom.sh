#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# No swap, and the balloon has all that it can get: a program needs more than there is.
# Proves: the guest takes memory back before it kills anybody, without the host's leave; what it took
# so, the host doesn't get again at once, whatever it asks for. (Trap B10.) The control: where the
# same memory isn't there because something else has it, the program is killed.
# Checks: driver-target-pressure, driver-target-cool-down
#
# beds: uml snp-newest
# slow: uml-debug vm-newest uml-smp vm-6.12 vm-6.1 tdx-newest tdx-6.12 snp-6.12
# timeout: 900
# beside: yes
# run: --cswapd "--store mem --size 64M --release punch"
# run: --module-args "floor=48 brake_percent=0" --allow "swapstress invoked oom-killer"
# run uml: --mem 256M --aes
# run uml-smp: --cpus 2 --queues 2
# run vm: --mem 512M --cpus 2 --module-args "floor=160 brake_percent=0"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

oom_kills() {
	awk '$1 == "oom_kill" { print $2 }' /proc/vmstat
}

begin_balloon
# A program may ask for more than there is just now.
echo 1 >/proc/sys/vm/overcommit_memory
# Half of what is free goes, and the program wants more than the rest.
most=$(even $(($(memory MemAvailable) / 2)))
wanted=$(($(memory MemAvailable) - most + most / 2))

reach "$most"
stress --mib "$wanted" --rewrite 25
expect "killed beside the balloon" "$(oom_kills)" = 0
rescued=$(balloon rescued)
expect "MiB taken back when out of memory" "$rescued" -gt $((most / 4))
notices=$(balloon ooms)
expect "times out of memory" "$notices" -gt 0
expect "why it stopped: $(balloon stopped)" "$(balloon stopped)" = oom

# The program has gone and there is plenty, but the host has to wait for it.
left=$(balloon released)
expect "MiB left in the balloon" "$left" -lt $((most - most / 4))
for flap in 0 "$most" 0 "$most"; do
	ask "$flap"
	within 10 is_settled || fail "asked for $flap MiB, it's still $(balloon stopped)"
done
expect "MiB released in the cool-down" "$(balloon released)" -le "$left"
expect "why it stopped then: $(balloon stopped)" "$(balloon stopped)" = oom
end_balloon

# The control: the same program beside as much memory that nobody gives back.
ballast "$most"
swapstress --mib "$wanted" --once >"$tmp/control.out" 2>&1
expect "the control's status" $? != 0
expect "killed in the control" "$(oom_kills)" -gt 0
ballast_gone
finish "with $most MiB in the balloon $wanted MiB survived, $rescued taken back in $notices notices, the control was killed; $(figure checked) pages checked, 0 wrong"
