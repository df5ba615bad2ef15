#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kselftests, as they will run in a kernel tree.
#
# beds: uml
# slow: vm-newest uml-debug vm-6.12 vm-6.1 tdx-newest snp-newest tdx-6.12 snp-6.12
# timeout: 900
# run: --cswapd "--store mem --size 256M" --file $repo/tests/selftests/cswap --env SELFTESTS=$repo/tests/selftests/cswap
# run uml: --mem 256M
# run vm: --mem 384M --cpus 2 --queues 2
# guest-programs: blkid

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

bash "$SELFTESTS/run_tests.sh" >"$tmp/tap" 2>&1
status=$?
sed 's/^/# /' "$tmp/tap"
[ $status = 0 ] || fail "run_tests.sh ended with $status"
grep '^not ok' "$tmp/tap" | sed 's/^/wrong: /'
expect "selftests that passed" "$(grep -c '^ok' "$tmp/tap")" -gt 3
finish "$(grep -c '^ok' "$tmp/tap") selftests, $(grep -c '^# ok' "$tmp/tap") checks in them"
