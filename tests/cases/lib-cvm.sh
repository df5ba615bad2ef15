# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# lib-cvm.sh - for cases in the emulated confidential guest: its counters, and the deeds of cswap_cvm_test.
#
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

deeds=/sys/kernel/debug/cswap_cvm

# ---- the counters, which its host reads


# cvm_value NAME: now.
cvm_value() {
	host cvm "$1"
	host_value "$1"
}

# cvm_note NAME...: remember them, for cvm_moved NAME: by how much it went up.
cvm_note() {
	counted || return 0
	host cvm "$@"
	cvm_noted=$host_said
}
cvm_moved() {
	local before
	before=$(echo "$cvm_noted" | tr ' ' '\n' | sed -n "s/^$1=//p")
	echo $(($(cvm_value "$1") - before))
}

# expect_moved WHAT NAME TEST...: it went up by that, if anybody counts it.
expect_moved() {
	local what=$1 name=$2
	shift 2
	counted || return 0
	expect "$what" "$(cvm_moved "$name")" "$@"
}

# What must be so at any time: nobody touched memory in another way than it is.
cvm_quiet() {
	counted || return 0
	host cvm violations pages-implicit pages-stray first-stray-at pages-pending
	expect "violations" "$(host_value violations)" = 0
	expect "implicit conversions" "$(host_value pages-implicit)" = 0
	expect "private pages that a device touched, one at $(host_value first-stray-at)" \
		"$(host_value pages-stray)" = 0
	expect "pages mapped but not accepted" "$(host_value pages-pending)" = 0
}

# The hypervisor starts an SNP guest's CPUs from the second one on, and all have the same MTRRs. A TD's start by INIT, which
# clears these in QEMU.
cvm_cpus_alike() {
	[ "$CSWAP_BED" = snp ] || return 0
	expect "lines of inconsistent MTRRs" "$(dmesg | grep -c 'inconsistent .*MTRR')" = 0
}

# found_in WHERE COUNT: the marker is there so often. See tests/cases/host.
found_in() {
	host search "$marker" "$1"
	expect "the marker in $1" "$(host_value found)" = "$2"
	expect "KiB searched in $1" "$(host_value kib)" -gt 0
}

# ---- cswap_cvm_test

# deed WORD...: have it done; deed_value NAME is of its result.
deed() {
	echo "$*" >"$deeds" || fail "the deed failed: $*"
	deed_said=$(cat "$deeds")
}
deed_value() {
	echo "$deed_said" | tr ' ' '\n' | sed -n "s/^$1=//p"
}
