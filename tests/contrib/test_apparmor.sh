#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_apparmor.sh - contrib's AppArmor profile, in force: cswapd serves a simulated guest in a virtual machine whose
# kernel (Debian's) has AppArmor. TAP.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../bed/lib.sh
. "$(dirname "$0")/../bed/lib.sh"

((EUID == 0)) || { echo "1..0 # SKIP needs root"; exit 4; }
command -v apparmor_parser >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install apparmor \
	>/dev/null 2>&1 || { echo "1..0 # SKIP apparmor can't be installed here"; exit 4; }
bin=$repo/build/bed
"$bed/enter" make -s -C "$repo" O=build/bed host sim >&2
policy=$bin/cswapd.apparmor
apparmor_parser --skip-kernel-load --skip-cache --stdout "$repo/contrib/apparmor/usr.sbin.cswapd" >"$policy" 2>/dev/null
run=("$repo/tests/vm/run" --kernel "${1:-newest}" --mem 512M --timeout 900 --no-driver --file "$policy" --append "apparmor=1")
# Programs for their libraries, as they were when the initramfs was made, and files for what they are now.
for program in cswapd cswapctl cswap-sim; do
	run+=(--program "$bin/$program" --file "$bin/$program")
done
"${run[@]}" "$repo/tests/contrib/apparmor-guest" "$policy" "$bin"
