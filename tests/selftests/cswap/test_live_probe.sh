#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Those who look at the disk while it is in use as swap (udev, blkid, a curious dd) do no harm: they
# read what they can, and the pages stay right.
# shellcheck source-path=SCRIPTDIR source=cswap_lib.sh
. "$(dirname "$0")/cswap_lib.sh"
ktap_begin
command -v swap_verify >/dev/null || skip_all "swap_verify was not built"
swap_begin
dir=$(mktemp -d) || skip_all "no place for temporary files"
at_exit "rm -rf '$dir'"
mib=$(some_mib)
bad_begin

mkfifo "$dir/go"
swap_verify -w "$mib" <"$dir/go" >"$dir/out" 2>&1 &
pid=$!
exec 8>"$dir/go"
check "pages are out" wait_until 60 grep -q '^out' "$dir/out"

dd if="$disk" of=/dev/null bs=1M count=$((mib + 1)) 2>"$dir/dd"
check "the disk can be read through the page cache" test $? = 0
# The page after the header holds a sealed page's content, or zeros; the header is mkswap's.
dd if="$disk" bs=4096 count=1 2>/dev/null | tail -c 10 | grep -q SWAPSPACE2
check "its first block is the swap header" test $? = 0
if command -v blkid >/dev/null; then
	check "blkid knows it for swap" sh -c "blkid -p '$disk' | grep -q swap"
else
	skip "blkid knows it for swap" "no blkid"
fi
if command -v udevadm >/dev/null && udevadm control --ping 2>/dev/null; then
	check "udev looks at it" udevadm trigger --settle --action=change --name-match="$disk"
else
	skip "udev looks at it" "no udev"
fi
if swapon "$disk" 2>/dev/null; then
	fail "it was swapped on twice"
else
	pass "it can't be swapped on twice"
fi

echo go >&8
exec 8>&-
wait $pid
check "every page came back right" test $? = 0
check "no page was refused" bad_end
ktap_end
