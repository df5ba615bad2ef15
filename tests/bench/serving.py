# SPDX-License-Identifier: GPL-2.0-only
"""serving - a program that serves a socket while a benchmark runs."""
import contextlib
import os
import subprocess
import sys
import time

READY_S = 20
STOP_S = 5


def listens(socket):
    """There's a file before anybody can connect."""
    with open("/proc/net/unix", encoding="ascii", errors="replace") as f:
        sockets = [line.split() for line in f]
    return any(s[-1] == socket and s[3] == "00010000" for s in sockets)


@contextlib.contextmanager
def server(command, socket, log):
    """Run a program that serves a socket, from when it does until we're done."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(socket)
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + READY_S
        while not listens(socket):
            if process.poll() is not None or time.monotonic() > deadline:
                with open(log, encoding="utf-8") as out:
                    sys.exit(f"{command[0]} doesn't serve: {out.read()}")
            time.sleep(0.01)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            # qemu-storage-daemon 7.2 now and then misses that its client has gone.
            process.kill()
            process.wait()
