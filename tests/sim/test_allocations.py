#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""test_allocations.py - to serve a page, cswapd allocates nothing: who is short of memory waits for it. TAP.

    test_allocations.py DIR      where cswapd, cswap-sim and count-allocations.so were built

The threads that serve must not allocate while a guest stores and loads, whatever the store is; nor while it frees.
"""
import contextlib
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

OPS = 4000
bin_dir = os.path.abspath(sys.argv[1])
work = tempfile.mkdtemp(prefix="cswap-allocations.", dir=os.environ.get("TMPDIR", "/var/tmp"))
number = failures = 0


def path(name):
    return os.path.join(work, name)


def result(good, name, why=""):
    global number, failures
    number += 1
    failures += not good
    print(f"{'ok' if good else 'not ok'} {number} - {name}", flush=True)
    for line in "" if good else why.splitlines()[-12:]:
        print(f"# {line}")


def counts():
    """By threads that serve, by all others."""
    with open(path("counts"), "rb") as f:
        return struct.unpack("QQ", f.read(16))


@contextlib.contextmanager
def running(command, ready, **environment):
    """A program, from when a line of its has @ready in it."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", cwd=work,
                          env={**os.environ, **environment}) as process:
        log = ""
        for line in process.stdout:
            log += line
            if ready in line:
                break
        else:
            raise RuntimeError(log)
        try:
            yield
        finally:
            process.terminate()
            process.communicate()


def load(*options):
    command = [f"{bin_dir}/cswap-sim", "--socket", path("socket"), "--pages", "2048", "--verify", *options, "load"]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, encoding="utf-8")


def serves(name, *store):
    """Stores, loads and discards; nothing is allocated by whom others wait for, and something is counted."""
    with open(path("counts"), "wb") as f:
        os.truncate(f.fileno(), 4096)
    command = [f"{bin_dir}/cswapd", "--socket", path("socket"), "--size", "16M", "--workers", "2", *store]
    with running(command, " ready: ", LD_PRELOAD=f"{bin_dir}/count-allocations.so", COUNT_ALLOCATIONS=path("counts")):
        for what, options in (("stores and loads", ("--ops", str(OPS))), ("discards", ("--passes", "4"))):
            done = load(*options)
            serving, others = counts()
            result(not done.returncode and not serving and others, f"{name}: {what} allocate nothing",
                   f"{serving} calls of the allocator by threads that serve, {others} by others; the guest ended with {done.returncode}\n{done.stdout}")


def skip(name, why):
    global number
    number += 1
    print(f"ok {number} - {name} # SKIP {why}")


def main():
    serves("memory", "--store", "mem")
    serves("a file, tags in memory", "--store", "store")
    serves("a file, tags in a file", "--store", "other", "--tags", "tags")
    if shutil.which("nbdkit"):
        # It's in the background when it serves.
        subprocess.run(["nbdkit", "--unix", path("nbd"), "--pidfile", path("pid"), "--filter=limit", "memory", "32M",
                        "limit=2"], check=True)
        serves("an NBD server", "--store", f"nbd:{path('nbd')}", "--format")
        with open(path("pid"), encoding="ascii") as f:
            os.kill(int(f.read()), signal.SIGTERM)
    else:
        skip("an NBD server: allocates nothing", "no nbdkit")
    print(f"1..{number}")
    return failures > 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        shutil.rmtree(work)
