#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""test_strangers.py DIR - what a daemon that was taken over can say to cswapctl and cswap-balancer (TAP).

DIR is where these were built. The daemons here are threads that answer what they like.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

PATIENCE = 60
GIB = 1 << 30
bin_dir = os.path.abspath(sys.argv[1])
# A line of the journal's, a series of another guest's, a terminal's title, and C1's way to clear it.
NASTY = "x\n<0>forged\"} 1\ncswap_up{guest=\"other\"} 0\n#\x1b]0;owned\x07\x1b[2J\x9b2J\x7f"


class Failed(Exception):
    pass


class Daemon(threading.Thread):
    """A control socket; answer() says what every request gets."""

    def __init__(self, path, answer):
        super().__init__(daemon=True)
        os.makedirs(os.path.dirname(path))
        self.answer, self.asked = answer, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(8)
        self.start()

    def run(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, client.makefile("rb") as lines:
            for _ in lines:
                self.asked += 1
                try:
                    client.sendall(json.dumps(self.answer()).encode() + b"\n")
                except OSError:
                    return


def status(**more):
    return {"ok": True, "balloon": "ready", "release": "punch", "memory_bytes": GIB, "target_bytes": 0, "told_bytes": 0,
            "claimed": {"released_bytes": 0}, "measured": {"memory_file_bytes": GIB, "cgroup_bytes": None, "cgroup": None},
            "report": {"number": 1, "age_ms": 5, "size_bytes": GIB, "available_bytes": GIB, "stopped": "none"},
            "store": {"stored_pages": 0, "loaded_pages": 0}, **more}


def nasty():
    more = status(balloon=NASTY, release=NASTY)
    more["report"]["stopped"] = NASTY
    more["measured"].update(cgroup=NASTY, cgroup_bytes=GIB)
    more["store"].update(file=NASTY, state=NASTY)
    return more


def nasty_reason():
    more = status()
    more["report"]["stopped"] = NASTY
    return more


def refusal():
    return {"ok": False, "error": NASTY}


class Host:
    def __init__(self, **answers):
        self.dir = tempfile.mkdtemp()
        self.daemons = {name: Daemon(self.path("run", name, "control"), answer) for name, answer in answers.items()}

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def ctl(self, *words):
        """What it prints, on either."""
        done = subprocess.run([os.path.join(bin_dir, "cswapctl"), "--directory", self.path("run"), "--balancer",
                               self.path("balancer"), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=PATIENCE, check=False)
        return done.stdout.decode()

    def close(self):
        shutil.rmtree(self.dir)


def expect_plain(text):
    controls = [c for c in text if c != "\n" and (c < " " or "\x7f" <= c <= "\x9f")]
    if controls or not text:
        raise Failed("%r has %r" % (text, controls))
    if any(line.startswith("<0>") for line in text.splitlines()):
        raise Failed("a line was forged: %r" % text)


def terminals_are_not_steered(host):
    for words in ["list"], ["status", "bad"], ["status", "reason"], ["status", "refuses"], ["target", "0", "bad"]:
        expect_plain(host.ctl(*words))
    text = host.ctl("--json", "status", "bad")
    expect_plain(text)
    if json.loads(text)["balloon"] != NASTY:
        raise Failed("not the daemon's words: %r" % text)
    expect_plain(host.ctl("--json", "list"))


def words_that_are_unknown_are_called_so(host):
    text = host.ctl("status", "bad")
    if "balloon              unknown, by unknown\n" not in text:
        raise Failed(text)


def figures_are_its_own(host):
    text = host.ctl("metrics")
    expect_plain(text)
    of_other = [line for line in text.splitlines() if line.startswith("cswap_up{guest=\"other\"")]
    if of_other != ["cswap_up{guest=\"other\"} 1"]:
        raise Failed("of another guest: %r" % of_other)
    if "cswap_report_stopped{guest=\"reason\",reason=\"unknown\"} 1\n" not in text:
        raise Failed(text)


def figures_go_nowhere_else(host):
    """The folder is the exporter's user's, and we may be root."""
    os.mkdir(host.path("out"))
    with open(host.path("victim"), "w", encoding="ascii") as f:
        f.write("a secret\n")
    os.chmod(host.path("victim"), 0o600)
    os.symlink(host.path("victim"), host.path("out", "cswap.prom.partial"))
    for _ in range(2):
        text = host.ctl("metrics", "--output", host.path("out", "cswap.prom"))
        with open(host.path("victim"), encoding="ascii") as f:
            if f.read() != "a secret\n" or os.stat(host.path("victim")).st_mode & 0o777 != 0o600:
                raise Failed("written through a symbolic link " + text)
        mode = os.lstat(host.path("out", "cswap.prom")).st_mode
        with open(host.path("out", "cswap.prom"), encoding="ascii") as f:
            if text or mode != 0o100644 or "cswap_up{guest=\"other\"} 1\n" not in f.read():
                raise Failed("%s, mode %o" % (text, mode))
        if os.listdir(host.path("out")) != ["cswap.prom"]:
            raise Failed("something is left: %r" % os.listdir(host.path("out")))
        # One that a program left that was killed.
        with open(host.path("out", "cswap.prom.partial"), "w", encoding="ascii") as f:
            f.write("half of a ")


def a_balancers_log_is_its_own(host):
    with open(host.path("conf"), "w", encoding="ascii") as conf:
        conf.write("guests = %s\ninterval = 100ms\n" % host.path("run"))
    with open(host.path("log"), "wb") as log, subprocess.Popen(
            [os.path.join(bin_dir, "cswap-balancer"), "--config", host.path("conf"), "--control",
             host.path("balancer")], stdout=log, stderr=log) as balancer:
        try:
            # Many refusals, few lines: what was dropped is told when the next line is due.
            end = time.monotonic() + PATIENCE
            text = ""
            while "such lines dropped before" not in text:
                if time.monotonic() > end or balancer.poll() is not None:
                    raise Failed("asked %d times: %s" % (host.daemons["refuses"].asked, text[-2000:]))
                time.sleep(0.1)
                with open(host.path("log"), encoding="utf-8") as f:
                    text = f.read()
        finally:
            balancer.terminate()
    expect_plain(text)
    if "guest refuses: its daemon refuses: x?<0>forged" not in text:
        raise Failed(text)


def main():
    tests = [terminals_are_not_steered, words_that_are_unknown_are_called_so, figures_are_its_own,
             figures_go_nowhere_else, a_balancers_log_is_its_own]
    failures = 0
    print("1..%d" % len(tests))
    for number, test in enumerate(tests, 1):
        host = Host(bad=nasty, reason=nasty_reason, refuses=refusal, other=status)
        try:
            test(host)
            print("ok %d - %s" % (number, test.__name__))
        except (Failed, OSError, subprocess.SubprocessError) as error:
            failures += 1
            print("not ok %d - %s\n# %s" % (number, test.__name__, str(error).replace("\n", "\n# ")))
        finally:
            host.close()
        sys.stdout.flush()
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
