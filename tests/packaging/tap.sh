# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
# tap.sh - what tests share that are scripts: a check, told in TAP. $work is their folder.
#
# Tests are numbered from where the script sets $number; one that runs in parts, of which none knows
# how many came before, leaves it unset.

failures=0

# check NAME COMMAND...: passes if it succeeds. If not, what it said is shown, and what `explain` says,
# if there is one. What it said in TAP's comments is shown either way.
check() {
	local name=$1
	shift
	[[ -z ${number-} ]] || number=$((number + 1))
	if "$@" >"$work/out" 2>&1 </dev/null; then
		echo "ok${number:+ $number} - $name"
		grep '^# ' "$work/out" || true
		return
	fi
	failures=$((failures + 1))
	echo "not ok${number:+ $number} - $name"
	{
		tail -n 30 "$work/out"
		! declare -F explain >/dev/null || explain
	} | sed 's/^\(# \)\?/# /'
}

# check_with PROGRAM NAME COMMAND...: skipped where that program isn't installed.
check_with() {
	local program=$1
	shift
	if command -v "$program" >/dev/null; then
		check "$@"
	else
		[[ -z ${number-} ]] || number=$((number + 1))
		echo "ok${number:+ $number} - $1 # SKIP $program isn't installed"
	fi
}
