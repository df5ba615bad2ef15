# SPDX-License-Identifier: GPL-2.0-only
"""counting - what the processes of a server did: their CPU, and events that perf counts."""
import os
import signal
import subprocess
import sys

from benchlib import need

TRACEFS = "/sys/kernel/tracing"


def processes(pid):
    """A process and those that it has started: cswapd serves the guest in one of its own."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [pid, *(p for child in f.read().split() for p in processes(int(child)))]


def cpu_seconds(pid):
    """User and system time of processes(pid)."""
    ticks = 0
    for process in processes(pid):
        with open(f"/proc/{process}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def can_count():
    """Whether perf can count trace events here: as root, with tracefs."""
    if os.geteuid():
        return False
    if not os.path.isdir(f"{TRACEFS}/events"):
        subprocess.run(["mount", "-t", "tracefs", "nodev", TRACEFS], check=False)
    return os.path.isdir(f"{TRACEFS}/events")


class Counter:
    """How often an event happens, by perf, between begin() and end()."""

    def __init__(self, event, *options):
        control, self.control = os.pipe()
        self.ack, ack = os.pipe()
        self.process = subprocess.Popen(
            [need("perf"), "stat", "-x,", "-D", "-1", "--control", f"fd:{control},{ack}", "-e", event,
             *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", pass_fds=(control, ack))
        os.close(control)
        os.close(ack)

    def begin(self):
        os.write(self.control, b"enable\n")
        os.read(self.ack, 8)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        text = self.process.communicate()[1]
        os.close(self.control)
        os.close(self.ack)
        counts = [line.split(",")[0] for line in text.splitlines() if "," in line]
        if len(counts) != 1 or not counts[0].isdigit():
            sys.exit(f"perf counts nothing: {text}")
        return int(counts[0])
