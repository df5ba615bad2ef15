# SPDX-License-Identifier: GPL-2.0-only
"""benchlib - what the benchmarks share: naming the machine, medians and spreads."""
import contextlib
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

HUGE_PAGES = "/proc/sys/vm/nr_hugepages"


class Missing(Exception):
    """Something that a contender needs isn't there."""


def need(program):
    path = shutil.which(program)
    if not path:
        raise Missing(f"{program} is not installed")
    return path


def version(program, *options):
    try:
        out = subprocess.run([need(program), *options], stdout=subprocess.PIPE, check=False,
                             encoding="utf-8").stdout
        return out.splitlines()[0] if out else program
    except Missing as why:
        return str(why)


def spread(runs, field, digits=0):
    """The median of a field and, in brackets, its smallest and largest value."""
    values = [r[field] for r in runs if field in r]
    if not values:
        return "-"
    return (f"{statistics.median(values):.{digits}f} "
            f"({min(values):.{digits}f}..{max(values):.{digits}f})")


def machine(directory):
    """The machine that figures were measured on, and the file system of @directory."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":")[1].strip() for line in f
                      if line.startswith("model name")), "unknown CPU")
    kind = subprocess.run(["df", "--output=fstype", directory], stdout=subprocess.PIPE,
                          check=True, encoding="utf-8").stdout.split()[-1]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (f"{model}, {os.cpu_count()} CPUs, {memory:.0f} GiB, "
            f"Linux {platform.release()}, {kind}")


def git(tree, *words):
    return subprocess.run(["git", "-C", tree, *words], stdout=subprocess.PIPE, check=True,
                          encoding="utf-8").stdout.strip()


def patched(here, patch):
    """Two clones of what the patch is for, that is of the commit it came with; the second with it."""
    patch = os.path.abspath(patch)
    commit = git(here, "log", "-1", "--format=%H", "--", patch)
    if not commit:
        sys.exit(f"{patch} isn't committed: what it is for isn't known")
    trees = {}
    for name in ["base", "this"]:
        tree = trees[name] = os.path.join(here, "build/bench", name)
        shutil.rmtree(tree, ignore_errors=True)
        git(here, "clone", "--quiet", "--shared", "--no-checkout", here, tree)
        git(tree, "checkout", "--quiet", "--detach", commit)
    git(trees["this"], "apply", patch)
    return trees


@contextlib.contextmanager
def huge_pages(mib):
    """So many MiB more in the host's pool of huge pages, for as long."""
    def add(pages):
        with open(HUGE_PAGES, encoding="ascii") as f:
            wanted = int(f.read()) + pages
        with open(HUGE_PAGES, "w", encoding="ascii") as f:
            f.write(str(wanted))
        with open(HUGE_PAGES, encoding="ascii") as f:
            return int(f.read()) - wanted
    missing = add(mib // 2)
    try:
        if missing:
            sys.exit(f"the host lacks {-missing} huge pages")
        yield
    finally:
        add(-(mib // 2 + missing))


@contextlib.contextmanager
def huge_tmpfs(mib):
    """A folder for so many MiB, in huge pages while the host has free ones. QEMU's root has /tmp, too."""
    with tempfile.TemporaryDirectory(prefix="cswap-bench.", dir="/tmp") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"huge=always,size={mib}M", "none", folder], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)
