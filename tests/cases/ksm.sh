#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Pages that the kernel has merged (KSM) are swapped out, once for all who have them.
# Proves: each who has one finds it when it comes back; who writes to it writes to one of his own.
#
# beds: uml
# slow: uml-debug vm-newest vm-6.12 vm-6.1
# timeout: 240
# run: --cswapd "--store mem --size 48M" --mem 256M
# run vm: --mem 384M --cpus 2 --queues 2

# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317	# functions are called by wait_until
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-kinds.sh
. "$(dirname "$0")/lib-kinds.sh"

ksm=/sys/kernel/mm/ksm
group=/sys/fs/cgroup/ksm
mib=8

# Three of four pages are merged with a fourth: but for a few, which the kernel found busy.
merged() {
	[ "$(cat "$ksm/pages_sharing")" -gt $((mib * 256 * 2 / 3)) ]
}
# More is asked for than there is, so the answer is an error; and one try may not bring much.
half_is_out() {
	echo $((mib * 2))M >"$group/memory.reclaim" 2>/dev/null
	out=$(awk '/^VmSwap:/ { print $2 / 4 }' "/proc/$pid/status")
	[ "$out" -gt $((mib * 128)) ]
}
page_out() {
	wait_until 60 half_is_out || fail "pages that are out: $out"
}

[ -e $ksm/run ] || skip "the kernel has no KSM"
swap_on
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir $group
kinds_begin $group -- ksm $mib
echo 10000 >$ksm/pages_to_scan
echo 1 >$ksm/run
wait_until 60 merged || die "merged: $(cat "$ksm/pages_sharing")"
# What is merged from here on would have to be read first.
echo 0 >$ksm/run
sharing=$(cat "$ksm/pages_sharing")
before=$(counter stores)
page_out
stored=$(($(counter stores) - before))
say "$sharing pages have another's content; $stored stored, for $out that are out"
expect "pages stored, of which each is several that are out" "$stored" -lt $((out / 2))
kinds_to_gate
# Again, and now there is one of four who writes to what is out.
page_out
kinds_to_gate
page_out
kinds_end
expect "pages checked" "$(figure checked)" = $((mib * 512))
expect_clean
swap_off
finish "$sharing pages merged, $stored stored for $out; $(figure checked) pages checked, 0 wrong"
