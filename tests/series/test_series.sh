#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_series.sh - tools/series makes patches of the repository as it is, for a tree of a few lines, and
# refuses what it doesn't know. TAP.
set -euo pipefail

root=$(realpath "$(dirname "$0")/../..")
for program in unifdef git python3; do
	command -v "$program" >/dev/null || { echo "1..0 # SKIP needs $program"; exit 4; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source-path=SCRIPTDIR source=../packaging/tap.sh
. "$root/tests/packaging/tap.sh"
number=0
export GIT_AUTHOR_NAME=Author GIT_AUTHOR_EMAIL=author@example.org
export GIT_COMMITTER_NAME=Author GIT_COMMITTER_EMAIL=author@example.org

# A copy of what the tool reads, to break.
copy=$work/copy tree=$work/tree
mkdir -p "$copy"
(cd "$root" && cp -r --parents guest include tools tests/unit tests/kunit tests/vectors tests/selftests "$copy")
rm -f "$copy"/guest/*.{o,ko,mod,mod.c} "$copy"/guest/.*.cmd
mkdir -p "$tree"/{drivers/block,tools/testing/selftests,Documentation/admin-guide/blockdev,include/{linux,uapi/linux}}
printf 'VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n' >"$tree/Makefile"
printf 'menuconfig BLK_DEV\nif BLK_DEV\nendif # BLK_DEV\n' >"$tree/drivers/block/Kconfig"
printf 'obj-y += a.o\n' >"$tree/drivers/block/Makefile"
printf 'TARGETS += a\nTARGETS += damon\n' >"$tree/tools/testing/selftests/Makefile"
printf '.. toctree::\n   :maxdepth: 1\n\n   ublk\n   zram\n' >"$tree/Documentation/admin-guide/blockdev/index.rst"
printf 'VIRTIO CORE\nM:\tA <a@b>\n\nVIRTIO DRIVERS FOR S390\nM:\tA <a@b>\n' >"$tree/MAINTAINERS"
printf '#define ACR_FLAGS_NONE 0\n' >"$tree/include/linux/gfp.h"
printf '#define kzalloc_obj(p, ...)\n' >"$tree/include/linux/slab.h"
: >"$tree/include/linux/blkdev.h"

series() {
	"$copy/tools/series" "$tree" "$work/patches"
}
# refused WORDS: it ends, and says why.
refused() {
	local status=0
	series >"$work/said" 2>&1 || status=$?
	cat "$work/said"
	[[ $status != 0 ]] && grep -qF "$1" "$work/said"
}
applied=$work/applied
applies() {
	mkdir "$applied" && cp -r "$tree/." "$applied" && git -C "$applied" init -q &&
		git -C "$applied" apply "$work"/patches/000[1-9]-*.patch
}
files() {
	grep -rlE "$1" "$applied/drivers" "$applied/tools" "$applied/include/uapi"
}
no_files() {
	! files "$1"
}
no_files_of_driver() {
	! grep -rlE "$1" "$applied/drivers"
}
# The driver's files in the tree are those of guest/, but for the one that is called otherwise there.
same_files() {
	diff <(cd "$root/guest" && find . -name '*.[ch]' ! -name '*.mod.c' | sed s/compat.h/cswap_kernel.h/ | sort) \
		<(cd "$applied/drivers/block/cswap" && find . -maxdepth 1 -name '*.[ch]' | sort)
}
nothing_stands_in() {
	[[ ! -e $applied/drivers/block/cswap/cswap_later.c ]] && no_files cswap_later
}

check "patches are made" series
check "eight, and a letter" test "$(find "$work/patches" -name '*.patch' | wc -l)" = 9
check "they apply" applies
check "every source is there" same_files
check "nothing stands in for anything in the end" nothing_stands_in
check "no other kernel is asked for" no_files 'LINUX_VERSION_CODE|KERNEL_VERSION|CSWAP_HAVE_'
check "the newest kernel's branch is there" files virtqueue_add_inbuf_premapped
check "and no older one's" no_files 'virtqueue_set_dma_premapped|swap_slot_rw_page|blk_queue_flag_set'
check "KUnit has the unit tests' cases" files 'KUNIT_CASE\(floor_is_never_crossed\)'
check "each of them once" test "$(grep -c 'KUNIT_CASE' "$applied/drivers/block/cswap/tests/policy_kunit.c")" = \
	"$(grep -c 'cmocka_unit_test(' "$root/tests/unit/test_policy.c")"
check "and nothing of a process" no_files_of_driver 'pthread|cmocka_|__atomic_|mmap\('
check "no line of a message is longer than checkpatch bears" \
	sh -c "! grep -nE '^[^	].{75}' '$copy'/tools/kernel/messages/*.txt"
check "signed off by who makes them" grep -q '^Signed-off-by: Author <author@example.org>' "$work"/patches/0005-*

# What it doesn't know.
touch "$copy/guest/cswap_new.c"
check "a source that no patch has" refused "guest/cswap_new.c is in no patch"
rm "$copy/guest/cswap_new.c"
mv "$copy/guest/cswap_pool.c" "$work"
check "a patch's source that isn't there" refused "cswap_pool.c is in the table of patches, and isn't there"
mv "$work/cswap_pool.c" "$copy/guest"
cp "$copy/guest/Kbuild" "$work"
sed -i 's/cswap_pool.o//' "$copy/guest/Kbuild"
check "an object that Kbuild doesn't have" refused "guest/Kbuild and the table of patches differ in cswap_pool"
cp "$work/Kbuild" "$copy/guest"
cp "$copy/guest/cswap_pool.c" "$work"
printf '#ifdef SOME_KERNELS_NAME\n#endif\n' >>"$copy/guest/cswap_pool.c"
check "a condition that it can't resolve" refused "guest/cswap_pool.c asks for what this tool doesn't know: SOME_KERNELS_NAME"
cp "$work/cswap_pool.c" "$copy/guest"
sed -i 's/^int main(void)/static void use(void) { pthread_self(); }\n&/' "$copy/tests/unit/test_policy.c"
check "a case that needs a process" refused "tests/unit/test_policy.c has what the kernel hasn't: pthread_self"
echo "1..$number"
((failures == 0))
