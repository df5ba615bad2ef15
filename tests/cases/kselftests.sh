#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel's own selftests of memory, those that page out what they look at (tests/bed/build-kselftests,
# which make check-slow runs before). LTP, which has such tests too, isn't in Debian.
# Proves: what they say of pages holds when these have been to the device: copy-on-write, huge pages that
# are made of swapped ones, what userfaultfd protects. What a kernel doesn't have they skip.
#
# slow: vm-newest
# timeout: 1800
# run: --cswapd "--store mem --size 512M" --env KSELFTESTS=$repo/build/bed/kselftests --file $repo/build/bed/kselftests
# run: --mem 768M --cpus 2 --queues 2
# run: --allow "rcu.*(stall|detected)" --allow "soft lockup"

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# ran NAME ARG...: one of them; it prints TAP or exits 4 if it can't run. After its tests with swapped pages
# khugepaged wants a gigabyte of huge pages, which a guest with little memory hasn't.
ran() {
	local name=$1 status
	shift
	(cd "$KSELFTESTS" && exec "./$name" "$@") >"$tmp/$name" 2>&1
	status=$?
	grep -E '^(not ok|# Totals|Bail out)' "$tmp/$name" | sed "s/^/$name: /"
	if [ $status = 4 ]; then
		skipped=$((skipped + 1))
	elif [ $status != 0 ] && ! grep -q '^Bail out! Failed to allocate huge page$' "$tmp/$name"; then
		fail "$name ended with $status"
		tail -n 20 "$tmp/$name"
	fi
	passed=$((passed + $(grep -ciE '^(ok|\[ *ok *\]|.*\.\.\. *(ok|done)$)' "$tmp/$name")))
	out=$(counter stores)
	echo "$name: $((out - before)) pages stored"
	before=$out
}

passed=0 skipped=0 before=0
swap_on
ran khugepaged all:anon
ran uffd-wp-mremap
ran cow
for name in tampered retries protocol_errors load_errors store_errors load_timeouts; do
	expect "$name moved" "$(counter $name)" = 0
done
expect "tests that passed" "$passed" -gt 100
expect "pages stored" "$(counter stores)" -gt 100
swap_off
expect "pages loaded" "$(counter loads)" -gt 100
finish "$passed of the kernel's tests passed, $skipped programs had nothing to run; $(counter stores) pages stored, $(counter loads) loaded"
