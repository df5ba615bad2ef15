#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test_version.sh PROGRAM... - programs, module, packages and documents have the version that VERSION says. TAP.
set -euo pipefail

root=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source-path=SCRIPTDIR source=tap.sh
. "$root/tests/packaging/tap.sh"
number=0
version=$(cat "$root/VERSION")
commit=$(git -C "$root" rev-parse --short=12 HEAD 2>/dev/null) || commit=

says() { # PROGRAM
	local wanted
	wanted="$(basename "$1") $version${commit:+ ($commit)}"
	"$1" --version | tee "$work/said"
	[[ $(cat "$work/said") == "$wanted" ]] || { echo "wanted: $wanted"; return 1; }
}
# is FILE SED: what sed finds first is the version.
is() {
	local found
	found=$(sed -n "$2" "$root/$1" | head -n 1)
	echo "$1: $found"
	[[ $found == "$version" ]]
}

check "VERSION is three numbers" grep -qxE '[0-9]+\.[0-9]+\.[0-9]+' "$root/VERSION"
for program; do
	check "$(basename "$program") --version" says "$program"
done
check "the module's" is guest/virtio_cswap.c 's/^MODULE_VERSION("\(.*\)");/\1/p'
check "DKMS's" is guest/dkms.conf 's/^PACKAGE_VERSION="\(.*\)"/\1/p'
check "Debian's packages'" is debian/changelog '1s/^virtio-cswap (\([^-)]*\)[^)]*) .*/\1/p'
check "the RPM's" is contrib/rpm/virtio-cswap.spec 's/^Version: *//p'
check "the newest changes'" is CHANGELOG.md 's/^## \([0-9.]*\).*/\1/p'
echo "1..$number"
((failures == 0))
