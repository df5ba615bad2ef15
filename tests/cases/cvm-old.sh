#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# An SEV-SNP guest with Debian's 6.1, which can't map memory that is shared already: the driver can't say
# what the host reads.
# Proves: the driver refuses the device with one clear line, without a disk; it shares and converts
# nothing; the guest goes on.
#
# beds:
# slow: snp-6.1
# timeout: 240
# beside: yes
# module: guest
# run: --mem 384M --cpus 2 --no-driver --cswapd "--store mem --size 32M"

# shellcheck source-path=SCRIPTDIR source=lib-cvm.sh
. "$(dirname "$0")/lib-cvm.sh"

in_log 1 'Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP'
expect "CPUs" "$(nproc)" = 2
cvm_note pages-shared
insmod "$MODULE" || die "insmod"
wait_until 20 eval 'dmesg | grep -q "virtio_cswap .*: .*not used"' || fail "the driver says nothing"
in_log 1 "virtio_cswap .*: this kernel can't map rings' buffers beforehand, which a confidential guest needs: not used"
expect "lines of refusal" "$(dmesg | grep -cE 'virtio_cswap .*: .*not used')" = 1
set -- /sys/block/cswap*
expect "a disk at $1" ! -e "$1"
rmmod virtio_cswap || fail "rmmod"
expect "pages that stay shared" "$(cvm_moved pages-shared)" = 0
cvm_quiet
finish "refused, $(cvm_value pages-shared) pages shared by others"
