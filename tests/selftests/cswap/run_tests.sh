#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# run_tests.sh [TEST...] - the tests one after the other, as lib.mk would. TAP; exit 1 if one failed,
# 4 if all were skipped.
cd "$(dirname "$0")" || exit 1
[ $# -gt 0 ] || set -- test_*.sh

output=$(mktemp) || exit 1
trap 'rm -f "$output"' EXIT

echo "TAP version 13"
echo "1..$#"
number=0 failed=0 skipped=0
for test; do
	number=$((number + 1))
	status=0
	"./$test" >"$output" 2>&1 || status=$?
	sed 's/^/# /' "$output"
	case $status in
	0) echo "ok $number selftests: cswap: $test" ;;
	4)
		skipped=$((skipped + 1))
		echo "ok $number selftests: cswap: $test # SKIP"
		;;
	*)
		failed=$((failed + 1))
		echo "not ok $number selftests: cswap: $test # exit=$status"
		;;
	esac
done
[ "$failed" = 0 ] || exit 1
[ "$skipped" -lt "$number" ] || exit 4
