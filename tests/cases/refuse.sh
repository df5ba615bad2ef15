#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Eleven devices whose configuration makes no sense, and one that lacks a feature without which this guest
# has none, beside one that is as it should be.
# Proves: each is refused with one clear line, without a disk and without harm to anything else.
# Checks: driver-config-range, driver-config-reserved, driver-feature-version-1
# Checks: driver-feature-access-platform
#
# beds: uml-debug tdx-newest
# slow: vm-newest vm-6.12 vm-6.1 tdx-6.12 snp-newest snp-6.12
# timeout: 240
# run: --cswapd "--store mem --size 32M"
# run uml: --mem 256M
# run vm: --mem 256M
# run: --daemon 13 "build/bed/cswapd-faulty --socket @SOCK@ --store mem --size 8M --bad-config capacity=0"
# run: --daemon 13 "build/bed/cswapd-faulty --socket @SOCK@ --store mem --size 8M --bad-config capacity=0x1000000001"
# run: --daemon 13 "build/bed/cswapd-faulty --socket @SOCK@ --store mem --size 8M --bad-config capacity=0x100000000"
# run: --daemon 13 "build/bed/cswapd-faulty --socket @SOCK@ --store mem --size 8M --bad-config slot_size=8192"
# run: --daemon 13 "build/bed/cswapd-faulty --socket @SOCK@ --store mem --size 8M --bad-config slot_size=0"
# run: --daemon 13 "build/bed/cswapd-faulty --socket @SOCK@ --store mem --size 8M --bad-config num_queue_pairs=0"
# run: --daemon 13 "build/bed/cswapd-faulty --socket @SOCK@ --store mem --size 8M --bad-config num_queue_pairs=65"
# run: --daemon 13 "build/bed/cswapd-faulty --socket @SOCK@ --store mem --size 8M --bad-config max_request_pages=0"
# run: --daemon 13 "build/bed/cswapd-faulty --socket @SOCK@ --store mem --size 8M --bad-config max_request_pages=65535"
# run: --daemon 13 "build/bed/cswapd-faulty --socket @SOCK@ --store mem --size 8M --bad-config reserved0=1"
# run: --daemon 13 "build/bed/cswapd-faulty --socket @SOCK@ --store mem --size 8M --bad-config reserved1=1"
# run uml: --daemon 13 "build/bed/cswapd-faulty --socket @SOCK@ --store mem --size 8M --bad-config withhold=32"
# run tdx snp: --daemon 13 "build/bed/cswapd-faulty --socket @SOCK@ --store mem --size 8M --access-platform off" --qemu "-set device.device1.iommu_platform=off"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

devices=0
# refused COUNT REGEX: so many devices were refused with these words.
refused() {
	devices=$((devices + $1))
	said=$(dmesg | grep -E 'virtio_cswap .*: not used' | grep -cE "$2")
	expect "lines that say: $2" "$said" = "$1"
}

refused 1 'makes no sense \(capacity is zero\)'
refused 1 'makes no sense \(capacity is absurd\)'
refused 1 'a capacity of 4294967296 slots would take 32768 MiB'
refused 2 'makes no sense \(slot size is not 4096\)'
refused 1 'makes no sense \(no queue pair\)'
refused 1 'makes no sense \(too many queue pairs\)'
refused 2 'makes no sense \(pages a request out of range\)'
refused 2 'makes no sense \(a reserved field is not zero\)'
# QEMU itself refuses a device that is not of version 1.
[ "$CSWAP_BED" != uml ] || refused 1 "doesn't offer VIRTIO_F_VERSION_1"
! is_cvm || refused 1 "doesn't offer VIRTIO_F_ACCESS_PLATFORM"
expect "lines of refusal in all" "$(dmesg | grep -cE 'virtio_cswap .*: not used')" = "$devices"
set -- /sys/block/cswap*
expect "disks" $# = 1

swap_on
stress --mib 6 --pageout
expect_clean
swap_off
finish "$devices devices refused, $(figure checked) pages checked on the good one, 0 wrong"
