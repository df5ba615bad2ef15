# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# lib.sh - what the bed scripts share: the cache's layout, its keys, progress lines.
#
# Everything expensive lives in the cache under a name that ends in a key: a hash of the recipe
# that made it. A directory with a key is complete, because it gets that name by a rename as its
# last step; what is still being made is called *.partial. So nobody ever has to ask whether a
# bed is whole or current: it is, or it is not there.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
bed=$repo/tests/bed
cache=${CSWAP_CACHE:-$HOME/.cache/virtio-cswap}
[[ $cache == /* ]] || cache=$PWD/$cache

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# value_in OUTPUT NAME: of a guest's last line NAME=VALUE; a console ends lines with a CR.
value_in() {
	sed -n "s/^$2=\([^\r]*\)\r\?$/\1/p" "$1" 2>/dev/null | tail -n 1
}

# say WORDS: one line of progress, with the seconds since the script began.
say() {
	printf '[%4ds] %s\n' "$SECONDS" "$*" >&2
}

# The key of whatever its arguments, which are names of files, contain.
key_of_files() {
	cat -- "$@" | sha256sum | cut -c1-12
}

root_key() {
	key_of_files "$bed/recipe.sh"
}

root_dir() {
	echo "$cache/root-$(root_key)"
}

# The UML kernels are built from the root's kernel source by the root's compiler. These patches cure
# what makes UML lose what programs write to their memory (docs/upstream/um-lost-writes.md).
uml_patches=("$repo"/docs/upstream/um-[1-9]-*.patch)

uml_source_dir() {
	echo "$cache/uml-source-$(key_of_files "$bed/recipe.sh" "${uml_patches[@]}")"
}

# uml_configs KERNEL: the files that make up its configuration; later ones win.
uml_configs() {
	echo "$repo/tests/uml/uml.config"
	[[ $1 == uml ]] || echo "$repo/tests/uml/uml-debug.config"
	[[ $1 != uml-smp ]] || echo "$repo/tests/uml/uml-smp.config"
}

# uml_dir KERNEL: where a UML kernel's build directory is.
uml_dir() {
	local configs

	case $1 in
	# tests/bed/build-in-tree makes these.
	uml-builtin | uml-module) echo "$repo/build/bed/in-tree/${1#uml-}"; return ;;
	esac
	mapfile -t configs < <(uml_configs "$1")
	echo "$cache/$1-$(key_of_files "$bed/recipe.sh" "${uml_patches[@]}" "${configs[@]}")"
}

# The QEMU that emulates confidential guests is built from the root's source package, the device (contrib/qemu) and
# tests/cvm-emu.
# Who works on it names a folder that has one (tests/cvm-emu/README.md).
cvm_qemu_dir() {
	local files

	[[ -z ${CSWAP_CVM_QEMU-} ]] || { echo "$CSWAP_CVM_QEMU"; return; }
	mapfile -t files < <(find "$repo/tests/cvm-emu/qemu" "$repo/contrib/qemu/hw" "$repo/contrib/qemu/include" \
		"$repo/contrib/qemu/into_tree.py" "$repo/include/uapi/linux/virtio_cswap.h" -type f | LC_ALL=C sort)
	echo "$cache/cvm-qemu-$(key_of_files "$bed/recipe.sh" "$repo/tests/cvm-emu/build-qemu" \
		"$bed/qemu.sh" "$repo/tests/cvm-emu/hooks.patch" "${files[@]}")"
}

# kernel_release NAME: the release string of one of the root's packaged kernels (newest, 6.12, 6.1).
kernel_release() {
	cat "$(root_dir)/etc/cswap-bed/kernel-$1"
}

# need THING DIR: make what is not in the cache yet.
need() {
	[[ -d $2 ]] || "$bed/provision" "$1"
}

# Sparse, and what checkpatch and the like need: not everybody who has the root needs them, so they are added once.
need_sparse() {
	"$bed/enter" sh -c 'command -v sparse && perl -MPod::Usage -e 1' >/dev/null 2>&1 && return
	say "adding sparse to the provisioned root"
	"$bed/enter" sh -c 'apt-get -q update
		DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install sparse perl'
}

# Is this the inside of the provisioned root?
in_root() {
	[[ -e /etc/cswap-bed/key ]]
}
