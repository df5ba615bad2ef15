#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The hypervisor of the emulated confidential guest answers conversions with RETRY (SNP: its batches end
# early). A TD's fails them, too, or gets stuck, and the TDX module fails an acceptance: at every Nth
# call, at an address. (Any of these ends an SNP guest: tests/cvm-emu/canary-check.)
# Proves: that each fault is there when it is asked for, is counted, and leaves memory as it says; so
# a test that relies on one has had it.
#
# beds: tdx-newest
# slow: tdx-6.12 snp-newest snp-6.12
# timeout: 600
# beside: yes
# module: tests/cvm-emu/kmod
# The kernel warns once when a conversion fails, and rightly.
# run: --mem 512M --no-driver --allow "WARNING: .*(__set_memory_enc_pgtable|set_memory.c|tdx)"

# shellcheck source-path=SCRIPTDIR source=lib-cvm.sh
. "$(dirname "$0")/lib-cvm.sh"

insmod "$MODULE" || die "insmod"
deed where
gpa=$(deed_value gpa)
at() {
	printf '0x%x' $((gpa + $1 * 4096))
}
# expect_deed RC WORD...: with -5 for EIO.
expect_deed() {
	local rc=$1
	shift
	deed "$@"
	expect "$*: rc" "$(deed_value rc)" = "$rc"
}

# RETRY, each time: everything is converted all the same, in two halves.
cvm_note retries-injected pages-to-shared pages-to-private
host cvm retry-shared=1 retry-private=1
expect_deed 0 shared 0 512
expect_deed 0 private 0 512
expect_deed 0 shared 7 1
expect_deed 0 private 7 1
expect "RETRYs" "$(cvm_moved retries-injected)" = 4
expect "pages that became shared" "$(cvm_moved pages-to-shared)" = 513
expect "pages that became private" "$(cvm_moved pages-to-private)" = 513
host cvm retry-shared=0 retry-private=0
if [ "$CSWAP_BED" = snp ]; then
	# Many pages a batch: each seventh ends one early, and is done when the guest goes on there.
	cvm_note retries-injected pages-to-shared
	host cvm retry-shared=7
	expect_deed 0 shared 3 200
	host cvm retry-shared=0
	expect "batches that ended early" "$(cvm_moved retries-injected)" = $((200 / 7))
	expect "pages that became shared" "$(cvm_moved pages-to-shared)" = 200
	expect_deed 0 private 3 200
	cvm_quiet
	finish "RETRY $(cvm_value retries-injected) times"
fi

# Failure, every second time: nothing happens, or all.
cvm_note map-failures-injected pages-to-shared
host cvm fail-shared=2
expect_deed 0 shared 0 16
expect_deed -5 shared 16 16
expect "failures" "$(cvm_moved map-failures-injected)" = 1
expect "pages that became shared" "$(cvm_moved pages-to-shared)" = 16
host cvm fail-shared=0
expect_deed 0 private 0 16

# Failure at an address, in both directions, and beside it none.
host cvm "fail-shared-at=$(at 100)"
expect_deed -5 shared 64 64
expect_deed 0 shared 32 32
host cvm fail-shared-at=0 "fail-private-at=$(at 40)"
expect_deed -5 private 32 32
host cvm fail-private-at=0
expect_deed 0 private 32 32

# Stuck: what is before the address is converted, the rest is not, and the kernel gives up.
cvm_note pages-to-shared retries-injected
host cvm "stuck-shared-at=$(at 200)"
expect_deed -5 shared 192 16
expect "pages before the address" "$(cvm_moved pages-to-shared)" = 8
expect "RETRYs until the kernel gave up" "$(cvm_moved retries-injected)" -gt 1
host cvm stuck-shared-at=0
# Whoever doesn't know what is shared may make all of it so.
expect_deed 0 shared 192 16
expect_deed 0 private 192 16

# Acceptance fails: of a page that can't be had otherwise, and each.
expect_deed 0 shared 0 512
cvm_note accept-failures-injected accepts-4k
host cvm "fail-accept-at=$(at 300)"
expect_deed -5 private 0 512
expect "failures" "$(cvm_moved accept-failures-injected)" = 2
expect "pages accepted before it" "$(cvm_moved accepts-4k)" = 300
host cvm fail-accept-at=0 pages-pending
expect "pages that are mapped and not accepted" "$(host_value pages-pending)" = 212
expect_deed 0 shared 0 512
host cvm fail-accept=1
expect_deed -5 private 0 512
host cvm fail-accept=0
expect_deed 0 shared 0 512
expect_deed 0 private 0 512

cvm_quiet
host cvm retries-injected map-failures-injected accept-failures-injected
finish "RETRY $(host_value retries-injected), MapGPA failed $(host_value map-failures-injected), \
ACCEPT failed $(host_value accept-failures-injected) times"
