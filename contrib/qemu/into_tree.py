#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
into_tree - puts vhost-user-cswap into a QEMU source tree, 10.0 or newer.

Theory of operation: the files here are written for QEMU 11. DIFFERENCES says by what an older tree is known (a
pattern in one of its files), and how a file is to be changed for it. EDITS says which of the tree's own files are
changed: each function takes a text and gives the new one, and ends the run if the tree isn't as expected, so that
nothing is left out in silence. tools/qemu-series makes patches of the same.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
WIRE_FORMAT = os.path.join(HERE, "../../include/uapi/linux/virtio_cswap.h")


class Unexpected(Exception):
    """The tree is not as expected."""


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def substitute(pattern, replacement, text, what):
    changed, count = re.subn(pattern, replacement, text, flags=re.M)
    if not count:
        raise Unexpected(f"{what}: nothing matches {pattern!r}")
    return changed


# --- what older trees call by another name ---

# (file of the tree, pattern in it, whether that is to be there, {file here: [(pattern, replacement)]})
DEVICE = "hw/virtio/vhost-user-cswap.c"
PCI = "hw/virtio/vhost-user-cswap-pci.c"
HEADER = "include/hw/virtio/vhost-user-cswap.h"
MIGRATION = "hw/virtio/vhost-user-cswap-migration.c"
QTEST = "tests/qtest/vhost-user-cswap-test.c"
DIFFERENCES = [
    ("include/hw/core/qdev-properties.h", r"", False, {
        DEVICE: [(r'"hw/core/qdev-', '"hw/qdev-')],
        PCI: [(r'"hw/core/qdev-', '"hw/qdev-')],
    }),
    ("include/chardev/char-fe.h", r"\bstruct CharFrontend\b", False, {
        HEADER: [(r"\bCharFrontend\b", "CharBackend")],
    }),
    ("include/qom/object.h", r"\(\*class_init\)\(ObjectClass \*klass, const void \*data\)", False, {
        DEVICE: [(r"(ObjectClass \*klass, )const ", r"\1")],
        PCI: [(r"(ObjectClass \*klass,\s+)const ", r"\1")],
    }),
    ("include/hw/virtio/virtio.h", r"\bint \(\*set_status\)", False, {
        DEVICE: [(r"^static int vu_cswap_set_status\([^{]*\{(?:.*\n)*?\}\n\n", ""),
                 (r"\bvu_cswap_follow_status\b", "vu_cswap_set_status")],
    }),
    # Stable trees whose queues all have the maximum's size, for compatibility
    ("hw/virtio/virtio.c", r"^    queue_size = VIRTQUEUE_MAX_SIZE;", True, {
        DEVICE: [(r"^( +)virtio_add_queue\(vdev, s->queue_size, .*\n",
                  r"\g<0>\1virtio_queue_lower_max_num(vdev, i, s->queue_size);\n")],
    }),
]


def tree_has(tree, path, pattern):
    return os.path.exists(os.path.join(tree, path)) and bool(re.search(pattern, read(tree, path), re.M))


def source(tree, path):
    """One of the files here, for @tree."""
    text = read(HERE, path)
    for where, pattern, there, changes in DIFFERENCES:
        if tree_has(tree, where, pattern) != there:
            continue
        for change in changes.get(path, []):
            text = substitute(*change, text, path)
    return text


def wire_format():
    """As QEMU's scripts/update-linux-headers.sh would import it."""
    text = read(WIRE_FORMAT)
    for pattern, replacement in ((r"\b__(?:u|le)(\d+)\b", r"uint\1_t"),
                                 (r"<linux/types\.h>", '"standard-headers/linux/types.h"')):
        text = substitute(pattern, replacement, text, WIRE_FORMAT)
    return text


# --- what the tree's own files need ---

def kconfig(text):
    return substitute(r"^config VHOST_USER_SCMI\n",
                      "config VHOST_USER_CSWAP\n    bool\n    default y\n"
                      "    depends on VIRTIO && VHOST_USER\n\n\\g<0>", text, "hw/virtio/Kconfig")


def meson(text):
    what = "hw/virtio/meson.build"
    text = substitute(r"^( +system_virtio_ss\.add\(when: )'CONFIG_VHOST_USER_SND', if_true: files\('.*\n",
                      r"\g<0>\1'CONFIG_VHOST_USER_CSWAP',"
                      "\n                         if_true: files('vhost-user-cswap.c'))\n", text, what)
    return substitute(r"^( +system_virtio_ss\.add\(when: \['CONFIG_VIRTIO_PCI', )'CONFIG_VHOST_USER_SND'\],\n"
                      r"( +if_true: files\()'vhost-user-snd-pci\.c'\)\)\n",
                      r"\g<0>\1'CONFIG_VHOST_USER_CSWAP'],\n\2'vhost-user-cswap-pci.c'))\n", text, what)


def meson_migration(text):
    return substitute(r"files\('vhost-user-cswap\.c'\)", "files('vhost-user-cswap.c',\n"
                      "                                        'vhost-user-cswap-migration.c')",
                      text, "hw/virtio/meson.build")


def lower_max_num(text):
    return substitute(r"^int virtio_queue_get_max_num\(",
                      "/* For a realize function: virtio_add_queue() always makes the maximum */\n"
                      "void virtio_queue_lower_max_num(VirtIODevice *vdev, int n, unsigned int num)\n{\n"
                      "    assert(num && num <= vdev->vq[n].vring.num_default);\n"
                      "    vdev->vq[n].vring.num = num;\n    vdev->vq[n].vring.num_default = num;\n}\n\n\\g<0>",
                      text, "hw/virtio/virtio.c")


def lower_max_num_header(text):
    return substitute(r"^int virtio_queue_get_max_num\(.*\n", r"\g<0>"
                      "void virtio_queue_lower_max_num(VirtIODevice *vdev, int n, unsigned int num);\n",
                      text, "include/hw/virtio/virtio.h")


def docs_folder(tree):
    """Where vhost-user devices are described."""
    for folder in ("docs/system/devices/virtio", "docs/system/devices"):
        if os.path.exists(os.path.join(tree, folder, "vhost-user.rst")):
            return folder
    raise Unexpected("no vhost-user.rst in docs/system/devices")


def docs_index(tree):
    folder = docs_folder(tree)
    return f"{folder}/index.rst" if folder.endswith("/virtio") else "docs/system/device-emulation.rst"


def docs_table(text):
    return substitute(r"^  \* - vhost-user-fs\n", "  * - vhost-user-cswap\n    - Sealed swap of a confidential guest\n"
                      "    - :ref:`vhost_user_cswap`\n\\g<0>", text, "vhost-user.rst")


def docs_toctree(text):
    return substitute(r"^( +)((?:devices/)?)vhost-user\.rst\n", r"\g<0>\1\2vhost-user-cswap.rst\n", text, "the index")


def maintainers(entry):
    def edit(text):
        return substitute(r"^vhost-user-scmi\n", lambda match: entry.rstrip("\n") + "\n\n" + match[0], text, "MAINTAINERS")
    return edit


def qtest_meson(text):
    what = "tests/qtest/meson.build"
    text = substitute(r"^( +\(config_all_devices\.has_key\()'CONFIG_VTD'\) \? .*\n",
                      r"\g<0>\1'CONFIG_VHOST_USER_CSWAP') and\n"
                      r"   config_all_devices.has_key('CONFIG_Q35') ? ['vhost-user-cswap-test'] : []) +"
                      r"              \\" "\n", text, what)
    return text


def always_maximum(tree):
    return tree_has(tree, "hw/virtio/virtio.c", r"^    queue_size = VIRTQUEUE_MAX_SIZE;")


# --- all of it at once ---

def put(tree, path, text):
    os.makedirs(os.path.dirname(os.path.join(tree, path)), exist_ok=True)
    with open(os.path.join(tree, path), "w", encoding="utf-8") as file:
        file.write(text)


def edit(tree, path, *functions):
    text = read(tree, path)
    for function in functions:
        text = function(text)
    put(tree, path, text)


def main():
    if len(sys.argv) != 2 or not os.path.exists(f"{sys.argv[1]}/hw/virtio/vhost-user.c"):
        sys.exit("Usage: into_tree.py TREE    (a QEMU source tree, 10.0 or newer, without the device)")
    tree = sys.argv[1]
    if os.path.exists(f"{tree}/{DEVICE}"):
        sys.exit(f"into_tree: {tree} has the device already: unpack it anew")
    try:
        files = {path: source(tree, path) for path in (DEVICE, MIGRATION, PCI, HEADER)}
        if always_maximum(tree):
            edit(tree, "hw/virtio/virtio.c", lower_max_num)
            edit(tree, "include/hw/virtio/virtio.h", lower_max_num_header)
        edit(tree, "hw/virtio/Kconfig", kconfig)
        edit(tree, "hw/virtio/meson.build", meson, meson_migration)
        for path, text in files.items():
            put(tree, path, text)
        put(tree, "include/standard-headers/linux/virtio_cswap.h", wire_format())
    except Unexpected as why:
        sys.exit(f"into_tree: {tree} is not as expected: {why}")


if __name__ == "__main__":
    main()
