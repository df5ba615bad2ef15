#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_packaging.sh - what is installed is complete, and what is put into a kernel tree too. TAP.
set -euo pipefail

root=$(realpath "$(dirname "$0")/../..")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

tests=0 failures=0
check() { # NAME COMMAND...
	local name=$1
	shift
	tests=$((tests + 1))
	if "$@" >"$dir/out" 2>&1; then
		echo "ok $tests - $name"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $name"
		sed 's/^/# /' "$dir/out"
	fi
}

# objects_exist DIRECTORY: each object that Kbuild names has its source there, and each header that is
# included by name.
objects_exist() {
	local object header

	# shellcheck disable=SC2013	# one word a line
	for object in $(sed -n '/-y := /,$p' "$1/Kbuild" | sed '/^CFLAGS_/d' | grep -o '[a-z_]*\.o'); do
		[ -f "$1/${object%.o}.c" ] || { echo "$object has no source"; return 1; }
	done
	# shellcheck disable=SC2013
	for header in $(sed -n 's/^#include "\(.*\)"/\1/p' "$1"/*.[ch]); do
		[ -f "$1/$header" ] || { echo "$header is missing"; return 1; }
	done
}
counts() { # COUNT PATTERN FILE
	[ "$(grep -c -- "$2" "$3")" = "$1" ]
}
finds() { # WORD FILE
	grep -qF -- "$1" "$2"
}

# --- install-guest ---
check "make install-guest" env MAKEFLAGS= make -C "$root" install-guest DESTDIR="$dir/guest"
source=$(echo "$dir"/guest/usr/src/virtio-cswap-*)
rules=$dir/guest/usr/lib/udev/rules.d/59-cswap.rules
check "the module's sources are complete" objects_exist "$source/guest"
check "with the header, where Kbuild looks for it" test -f "$source/include/uapi/linux/virtio_cswap.h"
check "the folder has DKMS's version" \
	test "$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$source/dkms.conf")" = "${source##*-}"
check "DKMS's module is the one that Kbuild makes" \
	finds "$(sed -n 's/^BUILT_MODULE_NAME\[0\]="\(.*\)"/\1.o/p' "$source/dkms.conf")" "$source/guest/Kbuild"
check "the rule wants the unit" finds "cswap-swapon@%k.service" "$rules"
check "every swap unit asks the guard" finds "Requires=cswap-guard@%p.service" \
	"$dir/guest/usr/lib/systemd/system/swap.d/50-cswap-guard.conf"
check "and waits for its answer" finds "After=cswap-guard@%p.service" \
	"$dir/guest/usr/lib/systemd/system/swap.d/50-cswap-guard.conf"

# understood UNIT-FILE PROGRAM: systemd has nothing to say of it. Its name is said if it has.
understood() {
	local copy
	copy=$dir/$(basename "$1" | sed 's/@/@cswap0/')
	sed "s|$2|$dir/guest$2|" "$1" >"$copy"
	! systemd-analyze verify --man=no "$copy" 2>&1 | grep "$(basename "$copy")"
}
for unit in "$dir"/guest/usr/lib/systemd/system/cswap-{swapon@,guard@,reclaim}.service; do
	program=$(sed -n 's/^ExecStart=:\?\([^ ]*\).*/\1/p' "$unit")
	check "$(basename "$unit"): its program is installed" test -x "$dir/guest$program"
	! command -v systemd-analyze >/dev/null ||
		check "$(basename "$unit"): systemd understands it" understood "$unit" "$program"
done

# --- the host's units ---
# what_restarts UNIT-FILE: a mistake in the configuration doesn't, and what does has a pause.
what_restarts() {
	grep -q '^Restart=' "$1" || return 0
	# A server that can't reach its storage yet ends like one with a mistake.
	[ "${1##*/}" != cswapd-nbd@.service ] || { finds Restart=always "$1" && finds RestartSec= "$1"; return; }
	finds RestartPreventExitStatus=2 "$1" && finds RestartSec= "$1"
}
# Programs that aren't installed where a unit says are none of systemd's business here.
host_understood() {
	local copy
	copy=$dir/$(basename "$1" | sed 's/@\./@web1./')
	sed 's!@\(S\?BIN\|LIBEXEC\)DIR@/[a-z-]*!/bin/true!g' "$1" >"$copy"
	! systemd-analyze verify --man=no "$copy" 2>&1 | grep "$(basename "$copy")"
}
for unit in "$root"/host/*/*.service; do
	check "$(basename "$unit"): a mistake isn't made again and again" what_restarts "$unit"
	# This one isn't whole without a drop-in.
	[ "${unit##*/}" = cswapd-nbd@.service ] || ! command -v systemd-analyze >/dev/null ||
		check "$(basename "$unit"): systemd understands it" host_understood "$unit"
done
# with_example UNIT EXAMPLE: the unit with this drop-in.
with_example() {
	local folder=$dir/units/${2##*/} copy
	copy=$folder/$(basename "$1" | sed 's/@\./@web1./')
	mkdir -p "$copy.d"
	sed 's!@\(S\?BIN\|LIBEXEC\)DIR@/[a-z-]*!/bin/true!g' "$1" >"$copy"
	sed -E 's#^(Exec[A-Za-z]*=-?)[^ ]+#\1/bin/true#' "$2" >"$copy.d/example.conf"
	! systemd-analyze verify --man=no "$copy" 2>&1 | grep -e "$(basename "$copy")" -e example.conf
}
for example in "$root"/host/cswapd-nbd/examples/*.conf; do
	unit=$root/host/cswapd-nbd/cswapd-nbd@.service
	! finds "A drop-in of cswapd@" "$example" || unit=$root/host/cswapd/cswapd@.service
	! command -v systemd-analyze >/dev/null ||
		check "${example##*/}: systemd understands it" with_example "$unit" "$example"
done
check "a store's server is there before its daemon, and after it" \
	finds 'Before=cswapd@%i.service' "$root/host/cswapd-nbd/cswapd-nbd@.service"

# --- whose lock is taken away: a client of another host may be alive
mkdir "$dir/fake"
cat >"$dir/fake/rbd" <<'EOT'
#!/bin/sh
[ "$2" = rm ] && echo "$@" >"$(dirname "$0")/removed" && exit
cat "$(dirname "$0")/lock"
EOT
chmod +x "$dir/fake/rbd"
unlock_with() { # LOCK
	rm -f "$dir/fake/removed"
	echo "$1" >"$dir/fake/lock"
	PATH=$dir/fake:$PATH "$root/host/cswapd-nbd/rbd-unlock" cswap/web1
}
unlocks() {
	unlock_with '[{"id":"auto 139","locker":"client.4711","address":"127.0.0.1:0/42"}]' &&
		[ "$(cat "$dir/fake/removed")" = "lock rm cswap/web1 auto 139 client.4711" ]
}
leaves_locked() {
	unlock_with '[{"id":"auto 139","locker":"client.4711","address":"192.0.2.7:0/42"}]' && [ ! -e "$dir/fake/removed" ] &&
		unlock_with '[{"id":"auto 139","locker":"client.4711","address":"[2001:db8::7]:0/42"}]' &&
		[ ! -e "$dir/fake/removed" ] && unlock_with '[]' && [ ! -e "$dir/fake/removed" ]
}
check "rbd-unlock: this host's lock is taken away" unlocks
check "rbd-unlock: another host's isn't" leaves_locked

check "a guest's daemon needs its configuration" finds 'AssertPathExists=/etc/cswapd/%i.conf' "$root/host/cswapd/cswapd@.service"
for unit in libvirtd.service virtqemud.service virt-guest-shutdown.target libvirt-guests.service; do
	check "a guest's daemon comes before $unit" \
		sh -c "grep ^Before= '$root/host/cswapd/cswapd@.service' | grep -qw $unit"
done
check "what a balancer did to cgroups is undone after its end" finds 'ExecStopPost=@SBINDIR@/cswap-balancer --undo' \
	"$root/host/cswap-balancer/cswap-balancer.service"

# --- a kernel tree ---
tree=$dir/tree
mkdir -p "$tree"/{drivers/block,include/uapi/linux,tools/testing/selftests}
check "an empty folder is not a kernel tree" sh -c "! '$root/tools/in-tree' '$dir/guest'"
printf 'menuconfig BLK_DEV\nif BLK_DEV\nconfig A\nif A\nendif\nendif # BLK_DEV\n' >"$tree/drivers/block/Kconfig"
printf 'obj-y += a.o\n' >"$tree/drivers/block/Makefile"
printf 'TARGETS += a\nTARGETS += damon\nTARGETS += zram\n' >"$tree/tools/testing/selftests/Makefile"
cp -al "$tree" "$dir/linked"
(cd "$tree" && find . -type f -exec md5sum {} +) >"$dir/sums"
check "in-tree" "$root/tools/in-tree" "$tree"
check "what the tree was a hard link to is as it was" sh -c "cd '$dir/linked' && md5sum --quiet -c '$dir/sums'"
check "in-tree again" "$root/tools/in-tree" "$tree"
check "the driver's sources are complete" objects_exist "$tree/drivers/block/cswap"
check "its header is there" test -f "$tree/include/uapi/linux/virtio_cswap.h"
check "Kconfig names it once" counts 1 cswap "$tree/drivers/block/Kconfig"
check "before the last endif" test "$(tail -n 2 "$tree/drivers/block/Kconfig" | head -n 1)" = \
	'source "drivers/block/cswap/Kconfig"'
check "Makefile names it once" counts 1 'CONFIG_VIRTIO_CSWAP) += cswap/' "$tree/drivers/block/Makefile"
check "the selftests are named once" counts 1 '^TARGETS += cswap' "$tree/tools/testing/selftests/Makefile"
check "Kconfig's symbol is Kbuild's" finds "CONFIG_$(sed -n 's/^config //p' "$root/guest/Kconfig")" "$root/guest/Kbuild"

# --- selftests ---
selftests=$root/tests/selftests/cswap
for test in "$selftests"/test_*.sh; do
	check "${test##*/} is run" finds "${test##*/}" "$selftests/Makefile"
done
if [ ! -e /dev/cswap0 ]; then
	check "without a disk they are skipped" sh -c "'$selftests/run_tests.sh'; [ \$? = 4 ]"
fi

echo "1..$tests"
[ "$failures" = 0 ] || { echo "# $failures of $tests failed"; exit 1; }
