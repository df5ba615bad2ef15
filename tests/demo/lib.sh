# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
# lib.sh - what the demo's two acts share: the bed they run in, what must hold, their tables.
#
# A demo goes on when something doesn't hold: what it has found is still shown, and it fails at the end.

here=$repo/tests/demo
work=$repo/build/demo
value_bytes=4000
seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
failed=0

# The emulated TDX guest shows more, where its QEMU has been built; nobody is made to wait for that.
demo_bed() {
	if [[ ${BED:-} ]]; then
		echo "$BED"
	elif [[ -d $(cvm_qemu_dir) ]]; then
		echo tdx
	else
		echo vm
	fi
}

# choose_run: sets bed_name, and run, what runs a guest in it.
choose_run() {
	bed_name=$(demo_bed)
	case $bed_name in
	tdx) run=("$repo/tests/cvm-emu/run" --tdx) ;;
	vm | uml) run=("$repo/tests/$bed_name/run") ;;
	*) usage >&2; exit 2 ;;
	esac
}

need_bed() {
	need root "$(root_dir)"
	[[ $bed_name != uml ]] || need uml "$(uml_dir uml)"
	[[ $bed_name != tdx ]] || need cvm-qemu "$(cvm_qemu_dir)"
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
