#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host doesn't answer the LOADs of a few slots until long after the reader was told no.
# Proves: load_timeout_s ends the wait with SIGBUS, nobody hangs; the answer that comes after all is
# for nobody, and the slot is as good as any other. (Traps A7, I3.)
#
# beds: uml
# slow: uml-debug
# timeout: 240
# beside: yes
# run: --env MIB=12 --allow "swapstress.[0-9]+.: segfault at"
# run uml: --mem 256M
# run: --faulty-cswapd "--store mem --size 40M --fault-report @RUN@/report --fault stall:every=301" --module-args "load_timeout_s=2"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

swap_on
stress_begin --mib "$MIB" --rounds 2 --rewrite 0 --pageout --tolerate-sigbus
host arm
stress_to_gate
timeouts=$(counter load_timeouts)
host disarm
held=$(fault 0 ops)
expect "nothing was held back" "$held" -gt 0
expect "time-outs" "$timeouts" -gt 0
in_log 1 'slot [0-9]+: no answer from the device; the page is given up'
# The late answers are here: from now on every page is read, and every page is right. The first
# program's sum counts what failed before, so another one shows that there is no more.
stress_end
sigbus=$(figure sigbus)
expect "SIGBUS" "$sigbus" -gt 0
before=$(counter load_timeouts)
stress --mib "$MIB" --seed 3 --pageout
expect "time-outs after the host recovered" "$(counter load_timeouts)" = "$before"
for name in tampered load_errors store_errors; do
	expect "$name moved" "$(counter $name)" = 0
done
swap_off
finish "$held requests held, $timeouts time-outs, $sigbus SIGBUS, $(figure wrong) wrong pages"
