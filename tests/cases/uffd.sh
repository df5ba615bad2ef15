#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A program provides its own pages (userfaultfd), as VMMs and garbage collectors do, and they are swapped.
# Proves: what is out comes back from the store, and not from the program; what was thrown away while it
# was out comes from the program again; what is write-protected is so still when it comes back.
#
# beds: uml
# slow: vm-newest uml-debug vm-6.12 vm-6.1
# timeout: 240
# run: --cswapd "--store mem --size 48M" --mem 256M
# run vm: --mem 384M --cpus 2 --queues 2

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

swap_on
memkinds uffd 4 >"$tmp/stress.all" 2>&1 || fail "memkinds ended with $?"
say "$(cat "$tmp/stress.all")"
pages=$(figure pages)
expect "pages" "$pages" = 1024
expect "pages with wrong content" "$(figure wrong)" = 0
expect "pages that were swapped out" "$(figure swapped)" -gt $((pages / 2))
expect "pages provided at first" "$(figure missing)" = "$pages"
expect "pages provided though they were swapped" "$(figure missing_again)" = 0
expect "pages provided again" "$(figure missing_dropped)" = "$(figure dropped)"
if [ "$CSWAP_BED" != uml ]; then # UML's page tables have no bit for it
	expect "protected pages that were swapped out" "$(figure swapped_protected)" -gt $((pages / 2))
	expect "faults by writing" "$(figure protected)" = "$(figure written)"
fi
expect_clean
swap_off
finish "$(figure checked) pages checked, 0 wrong; $(figure swapped) swapped, $(figure dropped) thrown away, $(figure protected) protected ones written"
