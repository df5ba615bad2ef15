#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Pages go out to the disk and come back right: small and huge ones, once and again, and by swapoff.
# shellcheck source-path=SCRIPTDIR source=cswap_lib.sh
. "$(dirname "$0")/cswap_lib.sh"
ktap_begin
command -v swap_verify >/dev/null || skip_all "swap_verify was not built"
swap_begin
dir=$(mktemp -d) || skip_all "no place for temporary files"
at_exit "rm -rf '$dir'"
mib=$(some_mib)
pages=$((mib * 1048576 / $(getconf PAGESIZE 2>/dev/null || echo 4096)))
bad_begin

# swap_out NAME PAGES OPTION...: all pages come back right; and they have been on the disk.
swap_out() {
	name=$1 expected=$2
	shift 2
	stores=$(counter stores)
	swap_verify "$@" "$mib" >"$dir/out" 2>&1
	check "$name: every page came back right" test $? = 0
	sed 's/^/# /' "$dir/out"
	swapped=$(sed -n 's/^swapped \([0-9]*\) of .*/\1/p' "$dir/out")
	# The kernel may pass over some that are busy, but not over most.
	check "$name: the pages were swapped out" test "${swapped:-0}" -ge $((expected * 9 / 10))
	check "$name: and sealed" test "$(since stores "$stores")" -ge $((expected * 9 / 10))
}

swap_out "small pages" "$pages"
swap_out "three rounds" $((pages * 3)) -r 3
# What is written and not yet reclaimed would come back from the swap cache.
reclaim=/sys/fs/cgroup/memory.reclaim
if [ -w $reclaim ]; then
	loads=$(counter loads) pool_loads=$(counter pool_loads)
	mkfifo "$dir/read"
	swap_verify -w "$mib" <"$dir/read" >"$dir/out" 2>&1 &
	pid=$!
	exec 8>"$dir/read"
	wait_until 60 grep -q '^out' "$dir/out"
	# it may fail for what it can't find: what it has reclaimed is gone
	echo "$((2 * mib))M" 2>/dev/null >$reclaim || :
	echo go >&8
	exec 8>&-
	wait $pid
	check "read back: every page came back right" test $? = 0
	check "pages were opened" \
		test $(($(since loads "$loads") + $(since pool_loads "$pool_loads"))) \
		-ge $((pages / 2))
else
	skip "pages were opened" "there is no $reclaim"
fi
if [ -e /sys/kernel/mm/transparent_hugepage/enabled ]; then
	swap_out "huge pages" "$pages" -t
else
	skip "huge pages" "this kernel has none"
fi

# swapoff reads everything back while its owner waits.
if [ -n "$(awk -v d="$disk" 'NR > 1 && $1 != d' /proc/swaps)" ]; then
	skip "swapoff" "there is other swap that pages could go to"
else
	mkfifo "$dir/go"
	swap_verify -w "$mib" <"$dir/go" >"$dir/out" 2>&1 &
	pid=$!
	exec 8>"$dir/go"
	wait_until 60 grep -q '^out' "$dir/out"
	check "swapoff with pages out" swapoff "$disk"
	echo go >&8
	exec 8>&-
	wait $pid
	check "swapoff: every page came back right" test $? = 0
	swap_on
	check "swapon again" in_use
fi
check "no page was refused" bad_end
ktap_end
