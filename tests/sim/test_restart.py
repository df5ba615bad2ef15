#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""test_restart.py - cswapd restarted under a guest at work, with right options and with wrong ones. TAP.

    test_restart.py DIR      where cswapd and cswap-sim were built

It keeps descriptors as systemd's descriptor store does, for tags in memory and for those in a file. A restart that would put another store under the
guest's pages is refused, and what is kept stays for a right one: then the guest has seen a pause. What of a guest can't be kept ends its connection.
"""
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PATIENCE_S = 120
# The same number on every architecture that is newer than these.
SYS_KCMP = {"x86_64": 312, "s390x": 343, "ppc64le": 354}.get(os.uname().machine, 272)
KCMP_FILE = 0
SYS_PIDFD_GETFD = 438
LIBC = ctypes.CDLL(None, use_errno=True)
bin_dir = os.path.abspath(sys.argv[1])
work = tempfile.mkdtemp(prefix="cswap-restart.", dir=os.environ.get("TMPDIR", "/var/tmp"))
number = failures = 0


def path(name):
    return os.path.join(work, name)


def same_file(a, b):
    """Two descriptors of one open file, as systemd compares them."""
    order = LIBC.syscall(SYS_KCMP, os.getpid(), os.getpid(), KCMP_FILE, a, b)
    if order < 0:
        raise OSError(ctypes.get_errno(), "kcmp")
    return order == 0


class Keeper:
    """What systemd does for a unit with FileDescriptorStoreMax=: it keeps an open file once, by its first name."""

    def __init__(self):
        self.kept = {}
        self.pause_s = 0
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(path("notify"))
        self.read_end, self.write_end = os.pipe()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            time.sleep(self.pause_s)
            message, fds, _, _ = socket.recv_fds(self.notify, 65536, 16)
            fields = dict(line.split("=", 1) for line in message.decode().split("\n") if "=" in line)
            if "BARRIER" in fields:
                os.write(self.write_end, b"x")
            if "FDSTORE" in fields and not any(same_file(fd, fds[0]) for fd in self.kept.values()):
                self.kept[fields["FDNAME"]] = fds.pop()
            if "FDSTOREREMOVE" in fields:
                fd = self.kept.pop(fields["FDNAME"], None)
                if fd is not None:
                    os.close(fd)
            for fd in fds:
                os.close(fd)

    def settle(self):
        """All that was sent is seen: messages come in order."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"BARRIER=1", path("notify"))
        os.read(self.read_end, 1)

    def names(self):
        self.settle()
        return set(self.kept)


class Daemon:
    def __init__(self, keeper, *options):
        self.log = ""
        read_end, write_end = os.pipe()
        # systemd reads what a process has said before it sees the process's end.
        keeper.settle()
        kept = list(keeper.kept.items())
        self.pid = os.fork()
        if not self.pid:
            self.become(kept, write_end, options)
        os.close(write_end)
        self.lines = os.fdopen(read_end, "r", encoding="utf-8", errors="replace")
        self.ready = False
        for line in self.lines:
            self.log += line
            if " ready: " in line:
                self.ready = True
                break

    def become(self, kept, log, options):
        # Out of the way of those that are passed.
        high = [os.dup2(fd, 200 + i, inheritable=False) for i, (_, fd) in enumerate(kept)]
        os.dup2(log, 2)
        os.dup2(log, 1)
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)
        os.environ.update(NOTIFY_SOCKET=path("notify"), LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(kept)),
                          LISTEN_FDNAMES=":".join(name for name, _ in kept))
        if not kept:
            del os.environ["LISTEN_FDS"]
        os.execv(f"{bin_dir}/cswapd", ["cswapd", "--socket", path("socket"), *options])

    def end(self, sig=signal.SIGTERM):
        os.kill(self.pid, sig)
        return self.wait()

    def wait(self):
        for line in self.lines:
            self.log += line
        self.lines.close()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Guest:
    """Stores and loads until told to end; every page is compared. Its memory is one file that shows in three places."""

    def __init__(self):
        self.process = subprocess.Popen(
            [f"{bin_dir}/cswap-sim", "--socket", path("socket"), "--regions", "3", "--pages", "2048",
             "--seconds", "3600", "--verify", "load"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.output = ""
        for line in self.process.stdout:
            self.output += line
            if line.startswith("# fill"):
                break

    def end(self):
        self.process.send_signal(signal.SIGUSR1)
        self.output += self.process.communicate(timeout=PATIENCE_S)[0]
        return self.process.returncode == 0


def result(good, name, *explanations):
    global number, failures
    number += 1
    print(f"{'ok' if good else 'not ok'} {number} - {name}", flush=True)
    if not good:
        failures += 1
        for text in explanations:
            print("".join(f"# {line}\n" for line in text.splitlines()[-12:]), end="")


RIGHT = ("--store", "store", "--size", "16M")
FILES = ("store",)


def keep_tags_in_a_file():
    global RIGHT, FILES
    RIGHT += ("--tags", "store.tags")
    FILES += ("store.tags",)


def tags_of(store):
    return ("--tags", f"{store}.tags") if len(FILES) > 1 else ()


def refused(keeper, name, says, *options):
    """It doesn't start, says why, and leaves all that is kept."""
    before = keeper.names()
    daemon = Daemon(keeper, *options)
    code = daemon.end() if daemon.ready else daemon.wait()
    after = keeper.names()
    result(not daemon.ready and code not in (0, 2) and before == after and all(text in daemon.log for text in says),
           f"refused: {name}", daemon.log, f"kept {len(before)}, then {len(after)}; code {code}")


def others_are_refused(keeper):
    daemon = Daemon(keeper, *RIGHT)
    guest = Guest()
    daemon.end()
    result({"cswapd-state", "cswapd-front-end", "cswapd-data", "cswapd-tags"} <= keeper.names(),
           "state, connection and store are kept", str(keeper.kept))
    refused(keeper, "another --store", (path("store"), path("other")), "--store", "other", *tags_of("other"),
            "--size", "16M")
    says = (path("store.tags"), path("other.tags")) if len(FILES) > 1 else ("--tags",)
    refused(keeper, "other --tags", says, *RIGHT, "--tags", "other.tags")
    if len(FILES) > 1:
        refused(keeper, "tags in memory", ("--tags", path("store.tags")), *RIGHT[:-2])
    refused(keeper, "--store mem", ("--store",), "--store", "mem", "--size", "16M")
    refused(keeper, "another --size", ("--size",), "--store", "store", "--size", "32M")
    refused(keeper, "other --queues", ("--queues",), *RIGHT, "--queues", "2")
    result(not os.path.exists("other") and not os.path.exists("other.tags"), "and nothing is made for it")
    for name in FILES:
        os.rename(name, "aside")
        shutil.copyfile("aside", name)
        refused(keeper, f"a copy in place of {name}", (path(name),), *RIGHT)
        os.rename("aside", name)
    daemon = Daemon(keeper, *RIGHT)
    result(daemon.ready and "going on where another daemon ended" in daemon.log, "a right start goes on", daemon.log)
    result(guest.end(), "and the guest has all its pages", guest.output)
    return daemon


def removed_files_are_held(keeper):
    guest = Guest()
    os.unlink("store")
    if len(FILES) > 1:
        os.rename("store.tags", "moved")
    return guest


def what_is_lost_ends_the_guest(keeper, what):
    """Of what a guest has shared systemd has kept a part. Its VMM hears of that, and the next guest is served."""
    daemon = Daemon(keeper, *RIGHT)
    guest = Guest()
    daemon.end()
    keeper.settle()
    lost = [name for name, fd in keeper.kept.items()
            if what in os.readlink(f"/proc/self/fd/{fd}") and name.removeprefix("cswapd-").isdigit()]
    os.close(keeper.kept.pop(lost[0]))
    daemon = Daemon(keeper, *RIGHT)
    guest.process.wait(timeout=PATIENCE_S)
    result(daemon.ready and not guest.end() and "hung up" in guest.output,
           f"a guest one of whose descriptors is lost ({what}) is told so", daemon.log, guest.output)
    result(Guest().end(), "and the next one is served")
    daemon.end()
    result("is given up: systemd kept" in daemon.log, "the log says why", daemon.log)


def slow_keeper_has_it_all(keeper):
    """A guest whose rings run has all of its descriptors kept, however busy systemd is."""
    for name in ("store", "store.tags"):
        if os.path.exists(name):
            os.unlink(name)
    keeper.pause_s = 0.01
    daemon = Daemon(keeper, *RIGHT)
    guest = Guest()
    daemon.end(signal.SIGKILL)
    keeper.settle()
    daemon = Daemon(keeper, *RIGHT)
    result(daemon.ready and guest.end(), "killed as soon as the guest runs, under a slow systemd: nothing is lost",
           daemon.log, guest.output)
    daemon.end()
    keeper.pause_s = 0


def away_ms():
    """As the status says; a process that has just begun doesn't answer yet."""
    while True:
        status = subprocess.run([f"{bin_dir}/cswapctl", "--socket", path("control"), "--json", "status"],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if not status.returncode:
            return json.loads(status.stdout)["store"]["server_away_ms"]
        time.sleep(0.01)


def kill_worker(daemon):
    """The process that serves; another one is there when this returns."""
    def children():
        with open(f"/proc/{daemon.pid}/task/{daemon.pid}/children", encoding="ascii") as file:
            return file.read().split()

    old = children()
    os.kill(int(old[0]), signal.SIGKILL)
    while children() in (old, []):
        time.sleep(0.01)


def server_is_gone_on_with(keeper):
    """All of the daemon is killed, with and without its server: another one has connections of its own."""
    if not shutil.which("nbdkit"):
        result(True, "a store at a server # SKIP nbdkit isn't installed")
        return
    subprocess.run(["truncate", "-s", "40M", "export"], check=True)
    tags = ("--tags", "export.tags") if len(FILES) > 1 else ()
    store = ("--store", f"nbd:{path('nbd')}", *tags, "--size", "16M", "--control", path("control"))
    # One thread: see tests/sim/run-nbd.
    command = ["nbdkit", "-f", "-t", "1", "-U", path("nbd"), "--filter=limit", "file", "export", "limit=1"]

    def serve():
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not os.path.exists("nbd"):
            time.sleep(0.01)
        return server

    def kill(server):
        server.kill()
        server.wait()
        os.unlink("nbd")

    server = serve()
    daemon = Daemon(keeper, *store)
    guest = Guest()
    daemon.end(signal.SIGKILL)
    daemon = Daemon(keeper, *store)
    result(daemon.ready and "going on where another daemon ended" in daemon.log,
           "a daemon whose store is at a server is killed, and another goes on", daemon.log)
    kill(server)
    daemon.end(signal.SIGKILL)
    daemon = Daemon(keeper, *store)
    result(daemon.ready, "and so without the server", daemon.log)
    before = away_ms()
    kill_worker(daemon)
    code = daemon.end()
    daemon = Daemon(keeper, *store)
    result(code == 0 and daemon.ready and away_ms() > before > 0,
           "restarted without it, too; for how long it has been away is counted on", daemon.log)
    server = serve()
    result(guest.end(), "and the guest has all its pages", guest.output)
    result(daemon.end() == 0, "it ends in order", daemon.log)
    kill(server)
    os.unlink("export")


def device_is_let_go(keeper):
    """It's held exclusively by whoever has the descriptor that was kept."""
    subprocess.run(["truncate", "-s", "40M", "disk"], check=True)
    made = subprocess.run(["losetup", "-f", "--show", "disk"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, check=False) if os.geteuid() == 0 else None
    if not made or made.returncode:
        result(True, "a block device is let go # SKIP no loop devices here")
        return
    device = made.stdout.strip()
    try:
        tags = ("--tags", "disk.tags") if len(FILES) > 1 else ()
        store = ("--store", device, *tags, "--size")
        daemon = Daemon(keeper, *store, "16M")
        daemon.end()
        daemon = Daemon(keeper, *store, "32M")
        result(daemon.ready, "a block device is let go for a start with other options", daemon.log)
        if daemon.ready:
            daemon.end()
        # And for one that is of another store.
        daemon = Daemon(keeper, "--store", "other", *tags_of("other"), "--size", "32M")
        result(daemon.ready, "and for another store", daemon.log)
        if daemon.ready:
            daemon.end()
        keeper.settle()
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


def cut_channel(pid):
    """The monitor's end of what it talks to the process that serves by. False: nobody may do that here."""
    pidfd = os.pidfd_open(pid)
    try:
        for number in (int(name) for name in os.listdir(f"/proc/{pid}/fd")):
            fd = LIBC.syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
            if fd < 0 or not os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                if fd >= 0:
                    os.close(fd)
                continue
            with socket.socket(fileno=fd) as end:
                if end.type == socket.SOCK_SEQPACKET:
                    end.shutdown(socket.SHUT_RDWR)
                    return True
        return False
    finally:
        os.close(pidfd)


def worker_without_its_monitor_is_followed(keeper):
    """It can't have kept what the next one needs, so it ends as if it had died; the monitor and the guest stay."""
    daemon = Daemon(keeper, *RIGHT)
    guest = Guest()
    if not cut_channel(daemon.pid):
        result(True, "a worker that can't tell the monitor is followed by another # SKIP not permitted here")
        guest.end()
        daemon.end()
        return
    result(guest.end(), "a worker that can't tell the monitor is followed by another", guest.output)
    code = daemon.end()
    result(code == 0 and "worker ended with 1" in daemon.log, "and has ended with 1", daemon.log, str(code))


def removed():
    for name in os.listdir("."):
        if os.path.isfile(name):
            os.unlink(name)


def run(keeper):
    daemon = others_are_refused(keeper)
    guest = removed_files_are_held(keeper)
    daemon.end()
    daemon = Daemon(keeper, *RIGHT)
    result(daemon.ready and "is gone" in daemon.log and not os.path.exists("store"),
           "what has no name any more is gone on with", daemon.log)
    result(guest.end(), "and the guest has all its pages", guest.output)
    daemon.end()
    daemon = Daemon(keeper, "--store", "other", *tags_of("other"), "--size", "32M")
    result(daemon.ready, "without a guest any store will do", daemon.log)
    code = daemon.end()
    result(code == 0, "it ends in order", daemon.log)
    what_is_lost_ends_the_guest(keeper, "memfd:guest")
    what_is_lost_ends_the_guest(keeper, "eventfd")
    worker_without_its_monitor_is_followed(keeper)
    slow_keeper_has_it_all(keeper)
    device_is_let_go(keeper)
    server_is_gone_on_with(keeper)


def main():
    os.chdir(work)
    keeper = Keeper()
    run(keeper)
    # What is kept of the last one is of a store that isn't wanted any more.
    removed()
    print("# tags in a file")
    keep_tags_in_a_file()
    run(keeper)
    print(f"1..{number}")


try:
    main()
finally:
    shutil.rmtree(work)
sys.exit(failures > 0)
