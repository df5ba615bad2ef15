#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_check_abi.sh - can check-abi and check-claims fail? Changes copies of the chapter, the header
# and the tables of promises, one thing at a time, and expects a fault that names it. TAP.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
root=$here/../..
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

tests=0 failures=0
report() { # STATUS NAME
	tests=$((tests + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tests - $2"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $2"
		sed 's/^/# /' "$dir/out"
	fi
}

fresh() {
	rm -rf "$dir/spec" "$dir/include"
	cp -r "$root/spec" "$dir/spec"
	cp -r "$root/include/uapi" "$dir/include"
}
check() {
	"$here/check-abi" --spec "$dir/spec" --include "$dir/include" >"$dir/out" 2>&1
}

# refuses FILE SED-SCRIPT WORD: with the change, check-abi fails and its output has WORD.
description=spec/device-types/cswap/description.tex
header=include/linux/virtio_cswap.h
refuses() {
	fresh
	cp "$dir/$1" "$dir/before"
	sed -E -i "$2" "$dir/$1"
	if cmp -s "$dir/before" "$dir/$1"; then
		echo "the change did nothing" >"$dir/out"
		report 1 "$2"
	elif check; then
		report 1 "$2: not noticed"
	elif grep -qF -- "$3" "$dir/out"; then
		report 0 "$2"
	else
		report 1 "$2: noticed, but not as '$3'"
	fi
}

fresh
if check; then report 0 "the chapter as it is"; else report 1 "the chapter as it is"; fi

# --- constants, in the chapter and in the header ---
refuses $description 's/(define VIRTIO_CSWAP_MAX_RANGES +)64/\163/' VIRTIO_CSWAP_MAX_RANGES
refuses $description 's/(define VIRTIO_CSWAP_MAX_CAPACITY +0x1)0/\1/' VIRTIO_CSWAP_MAX_CAPACITY
refuses $description 's/(define VIRTIO_CSWAP_S_NOSPC +)2/\14/' VIRTIO_CSWAP_S_NOSPC
refuses $description '/define VIRTIO_CSWAP_S_UNSUPP/d' VIRTIO_CSWAP_S_UNSUPP
refuses $description 's/(define VIRTIO_CSWAP_VQ_RESPONSE.pair. .)2/\11/' 'VIRTIO_CSWAP_VQ_RESPONSE(0)'
refuses $description 's/^(\t.VIRTIO_CSWAP_TAGS_OFFSET) \+/\1 -/' 'VIRTIO_CSWAP_DATA_OFFSET(1)'
refuses $description 's/(define VIRTIO_CSWAP_NONCE_SIZE) /\1S /' VIRTIO_CSWAP_NONCE_SIZES
refuses $description 's/^13 .*/14/' 'device ID'
refuses $header 's/(define VIRTIO_ID_CSWAP\t+)13/\163/' VIRTIO_ID_CSWAP
refuses $header 's/(define VIRTIO_CSWAP_OP_LOAD.*)2/\13/' VIRTIO_CSWAP_OP_LOAD
refuses $header 's/^#define VIRTIO_CSWAP_F_REPORT/#define VIRTIO_CSWAP_F_MORE 3\n&/' VIRTIO_CSWAP_F_MORE

# --- structures ---
refuses $description 's/^  le16 num_queue_pairs/  le32 num_queue_pairs/' 'struct virtio_cswap_config'
refuses $description 's/^  le32 block_size;/  u8 block_size[4];/' 'type of virtio_cswap_config.block_size'
refuses $description 's/^  le16 type;/  le16 kind;/' 'struct virtio_cswap_response'
refuses $description '/^  le64 device;/{N;s/(.*)\n(.*)/\2\n\1/}' 'offset of virtio_cswap_aad.device'
refuses $description 's/^  le32 reserved1\[9\]/  le32 reserved1[8]/' 'type of virtio_cswap_config.reserved1'
refuses $description 's/VIRTIO_CSWAP_TAG_SIZE\];/VIRTIO_CSWAP_KEY_SIZE];/' 'struct virtio_cswap_tag'
refuses $description 's/(struct virtio_cswap_ack \{ ..) 16/\1 24/' 'stated size of virtio_cswap_ack'
refuses $description 's/(struct virtio_cswap_range \{) .*/\1/' 'struct virtio_cswap_range'
refuses $description 's/^  le64 reserved\[17\]/  le64 reserved[16]/' 'size of virtio_cswap_report'
refuses $description '/^  le64 swap_in;/d' 'struct virtio_cswap_report'
refuses $description 's/(define VIRTIO_CSWAP_STOP_OOM +)5/\13/' VIRTIO_CSWAP_STOP_OOM
refuses $description '/^  le64 target;/{N;s/target(.*)/goal\1/}' 'goal'
refuses $header 's/__le32 status;/__le64 status;/' 'struct virtio_cswap_ack'
refuses $header 's/^struct virtio_cswap_aad/struct virtio_cswap_extra { __u8 a; };\n&/' 'struct virtio_cswap_extra'

# --- the text ---
refuses $description 's/field\{max_request_pages\}/field{max_pages}/' 'max_pages'
refuses $description 's/VIRTIO_CSWAP_F_BALLOON \(1\)/VIRTIO_CSWAP_F_BALLOON (2)/' VIRTIO_CSWAP_F_BALLOON
refuses $description 's/The device MUST offer VIRTIO_F_VERSION_1/The device MUST offer VIRTIO_CSWAP_VERSION_1/' VIRTIO_CSWAP_VERSION_1
refuses $description 's/ref\{sec:Device Types . Cooperative Swap Device . Sealed pages\}/ref{sec:Sealed}/' 'sec:Sealed'
refuses $description '0,/^%: driver-/{/^%: driver-/d}' 'without a name'
refuses $description 's/^%: device-store-unit/%: driver-store-unit/' 'without a name'
refuses $description 's/^%: device-store-unit/%: device-store-page/' 'names two'
refuses $description 's/^The device MAY carry out requests/The device does carry out requests/' '0 keywords'
refuses $description 's/in any order\.$/in any order and MUST answer./' 'keywords'
refuses $description 's/^Slots keep their contents/Slots MUST keep their contents/' 'outside'
refuses $description '0,/^.end.description./{/^.end.description./d}' 'end'
refuses $description 's/emph\{outstanding\}/emph{outstanding/' 'braces'
refuses $description 's/.emph\{outstanding\}/\\emhp{outstanding}/' 'emhp'
refuses $description 's/^.subsubsection\{DISCARD\}/\\subsubsection{DISCARD \& co}/' 'special'
refuses $description '/^.subsubsection\{LOAD\}/s/Operation . LOAD/Operation \/ STORE/' 'twice'
refuses $description 's/^(.drivernormative.*)\{STORE\}/\1{LOAD}/' 'title'

# --- the conformance lists ---
refuses spec/device-types/cswap/driver-conformance.tex '/DISCARD/d' 'DISCARD'
refuses spec/device-types/cswap/device-conformance.tex '/RELEASE/{h;d};/RECLAIM/G' 'another order'
refuses spec/device-types/cswap/device-conformance.tex 's/devicenormative:(.*DISCARD)/drivernormative:\1/' 'DISCARD'
refuses $description '/^.devicenormative.*DISCARD/d' 'DISCARD'

# --- promises and their tests ---
claims() { # SED-SCRIPT WORD: with the change to SECURITY.md, check-claims fails and its output has WORD.
	sed -E "$1" "$root/SECURITY.md" >"$dir/SECURITY.md"
	if cmp -s "$root/SECURITY.md" "$dir/SECURITY.md"; then
		echo "the change did nothing" >"$dir/out"
		report 1 "$1"
	elif "$here/check-claims" "$dir/SECURITY.md" >"$dir/out" 2>&1; then
		report 1 "$1: not noticed"
	else
		report "$(grep -qF -- "$2" "$dir/out"; echo $?)" "$1"
	fi
}
claims 's/cases.tamper\.sh:stale/cases\/tempt.sh:stale/' "tests/cases/tempt.sh isn't there"
claims 's/tamper\.sh:stale/tamper.sh:stal/' "'stal' isn't in"
claims 's/`tests.cases.stall[^|]*/ /' 'names no test'
claims 's/INTERRUPT_PAGES/INTERRUPT_PAGE/' "'INTERRUPT_PAGE' isn't in guest/cswap_queue.c"
claims 's/^(.*absurd configuration [|]) /\1 | /' 'columns'
claims 's/proved by/told by/' 'no claim'

echo "1..$tests"
[ "$failures" = 0 ] || { echo "# $failures of $tests failed"; exit 1; }
