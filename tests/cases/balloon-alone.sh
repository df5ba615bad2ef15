#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A balloon that this guest has no use for: it frees what the guest converts to shared memory, where
# this guest has nothing to convert; or its blocks are larger than the guest's.
# Proves: the guest says so in one line and swaps as ever; it doesn't agree on the balloon, so that the
# host knows; it sends neither RELEASE nor EVENT, so the host's target is nothing to it.
# Checks: driver-config-store-alone, driver-release-unconverted, driver-feature-again
#
# beds: uml
# slow: uml-debug vm-newest
# timeout: 240
# beside: yes
# run uml: --mem 256M
# variant convert: --cswapd "--store mem --size 48M --release convert" --env "WHY=--release punch"
# variant large: --cswapd "--store mem --size 48M --release punch --block-size 4M" --env "WHY=larger than 2 MiB"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-balloon.sh
. "$(dirname "$0")/lib-balloon.sh"

expect "lines that say why" "$(dmesg | grep -c "balloon off: .*$WHY")" = 1
features=$(cat "/sys/block/${disk##*/}/device/features")
expect "BALLOON and AGAIN are accepted" "${features:1:1}${features:3:1}" = 00
swap_on
free=$(memory MemFree)
ask 64
stress --mib 24 --rounds 2 --pageout
host balloon
expect "what the host knows of the balloon" "$(host_value balloon)" = declined
expect "MiB that the host claims to have" "$(host_value claimed)" = 0
for name in target released requests events; do
	expect "balloon_$name" "$(balloon $name)" = 0
done
expect "MiB gone" $((free - $(memory MemFree))) -lt 32
expect_clean
swap_off
finish "$(figure checked) pages checked, 0 wrong, nothing released"
