# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
# lib.sh - what the demo's two acts share: the guest they run in, what must hold, their tables.
#
# The guest is a confidential one, since that is what all of this is for: an emulated TD unless
# DEMO_GUEST says otherwise.
#
# A demo goes on when something doesn't hold: what it has found is still shown, and it fails at the end.

here=$repo/tests/demo
work=$repo/build/demo
value_bytes=4000
seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
failed=0

# choose_run: sets guest_kind, and run, what runs a guest of this kind.
choose_run() {
	guest_kind=${DEMO_GUEST:-tdx}
	case $guest_kind in
	tdx | snp) run=("$repo/tests/cvm-emu/run" "--$guest_kind") ;;
	vm | uml) run=("$repo/tests/$guest_kind/run") ;;
	*) usage >&2; exit 2 ;;
	esac
}

# What the tables call the guest.
kind_words() {
	case $guest_kind in
	tdx) echo "an emulated Intel TDX guest" ;;
	snp) echo "an emulated AMD SEV-SNP guest" ;;
	vm) echo "a plain virtual machine" ;;
	uml) echo "User-Mode Linux, a plain guest" ;;
	esac
}

is_confidential() {
	[[ $guest_kind == tdx || $guest_kind == snp ]]
}

# need_bed: what the guests run in is made, if it isn't there: all in one go, with its progress.
need_bed() {
	local things=()

	[[ -d $(root_dir) ]] || things+=(root)
	[[ $guest_kind != uml || -d $(uml_dir uml) ]] || things+=(uml)
	! is_confidential || [[ -d $(cvm_qemu_dir) ]] || things+=(cvm-qemu)
	((${#things[@]})) || return 0
	say "the first time only, what the guests run in is built; on two CPUs a Debian root takes 2 minutes,"
	say "... a QEMU that emulates confidential guests 5 to 8 (DEMO_GUEST=vm does without it)"
	"$bed/provision" "${things[@]}"
}

fail() {
	echo "FAILED: $*" >&2
	failed=1
}

# expect WORDS TEST...: TEST is for [.
expect() {
	[ "${@:2}" ] || fail "$1 (not: ${*:2})"
}

# found GUEST NAME: what the guest said of it.
found() {
	value_in "$work/$1/output" "$2"
}

rule=$(printf '%.0s-' {1..75})
