#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The disk as a disk: what is written is read, what was discarded reads as zeros by the page cache,
# and pieces of blocks are refused.
# shellcheck source-path=SCRIPTDIR source=cswap_lib.sh
. "$(dirname "$0")/cswap_lib.sh"
ktap_begin
in_use && skip_all "$disk is in use as swap"

dir=$(mktemp -d) || skip_all "no place for temporary files"
at_exit "rm -rf '$dir'"
blocks=64
last=$(($(cat "/sys/block/${disk##*/}/size") / 8 - 1))

put() { # FILE BLOCK
	dd if="$1" of="$disk" bs=4096 seek="$2" oflag=direct conv=notrunc 2>/dev/null
}
get() { # BLOCK COUNT
	dd if="$disk" bs=4096 skip="$1" count="$2" iflag=direct 2>/dev/null
}
get_cached() {
	dd if="$disk" bs=4096 skip="$1" count="$2" 2>/dev/null
}

bad_begin
dd if=/dev/urandom of="$dir/one" bs=4096 count=$blocks 2>/dev/null
dd if=/dev/urandom of="$dir/two" bs=4096 count=$blocks 2>/dev/null
head -c 4096 "$dir/one" >"$dir/block"
before=$(counter stores)
check "writes" put "$dir/one" 0
check "each block is sealed" test "$(since stores "$before")" -ge $blocks
get 0 $blocks | cmp -s - "$dir/one"
check "reads what was written" test $? = 0
check "writes over it" put "$dir/two" 0
get 0 $blocks | cmp -s - "$dir/two"
check "reads the newer" test $? = 0

i=0
while [ $i -lt 16 ]; do
	put "$dir/one" 0
	put "$dir/two" 0
	i=$((i + 1))
done
get 0 $blocks | cmp -s - "$dir/two"
check "reads the newest of many" test $? = 0

check "writes the last block" put "$dir/block" "$last"
get "$last" 1 | cmp -s - "$dir/block"
check "reads the last block" test $? = 0
check "nothing is behind it" test "$(get $((last + 1)) 1 | wc -c)" = 0

# busybox's dd goes on through the page cache when O_DIRECT is refused.
if ! dd --version >/dev/null 2>&1; then
	skip "a piece of a block is refused" "not GNU dd"
elif dd if="$dir/one" of="$disk" bs=512 count=1 oflag=direct conv=notrunc 2>/dev/null; then
	fail "a piece of a block was written"
else
	pass "a piece of a block is refused"
fi

get_cached 0 $blocks | cmp -s - "$dir/two"
check "reads through the page cache" test $? = 0
head -c 100 "$dir/one" | dd of="$disk" bs=1 seek=50 conv=notrunc,fsync 2>/dev/null
{
	head -c 50 "$dir/two"
	head -c 100 "$dir/one"
	tail -c +151 "$dir/two"
} >"$dir/mixed"
get 0 $blocks | cmp -s - "$dir/mixed"
check "writes a piece through the page cache" test $? = 0

if command -v blkdiscard >/dev/null && blkdiscard -l $((blocks * 4096)) "$disk" 2>/dev/null; then
	echo 1 >/proc/sys/vm/drop_caches
	get_cached 0 $blocks | cmp -s -n $((blocks * 4096)) - /dev/zero
	check "discarded blocks read as zeros through the page cache" test $? = 0
	put "$dir/one" 0
	get 0 $blocks | cmp -s - "$dir/one"
	check "and can be written again" test $? = 0
else
	skip "discarded blocks read as zeros through the page cache" "no blkdiscard"
fi
check "no page was refused" bad_end
ktap_end
