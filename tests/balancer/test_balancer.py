#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""test_balancer.py DIR [--part=N/M] [NAME...] - cswap-balancer beside real daemons with simulated guests (TAP).

DIR is where cswap-balancer, cswapd, cswapctl and cswap-sim were built. The host's memory is a
folder that looks like a cgroup's; a guest is "cswap-sim obey": 64 MiB that can be released, and a
floor of 16 MiB of its own. What waits here waits for an answer that says so, not for a while.
"""
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

MIB = 1 << 20
PATIENCE = 60
bin_dir = os.path.abspath(sys.argv[1])


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def ask(path, request):
    """One request, one answer; a daemon that doesn't answer is an error."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(PATIENCE)
        s.connect(path)
        s.sendall(request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            more = s.recv(65536)
            if not more:
                raise Failed("no answer to %r" % request)
            answer += more
    return json.loads(answer)


class Host:
    """A folder for guests, a pretended cgroup, a balancer."""

    def __init__(self, config="", guests=("a", "b", "c")):
        self.dir = tempfile.mkdtemp()
        self.processes = {}
        os.mkdir(self.path("run"))
        os.mkdir(self.path("cgroup"))
        self.limit = 4096 * MIB
        self.memory(0)
        defaults = {"guests": self.path("run"), "cgroup": self.path("cgroup"), "interval": "100ms",
                    "reserve": "32M", "band": "4M", "floor": "8M", "step": "10%", "cool_down": "1s",
                    "patience": "1s"}
        with open(self.path("conf"), "w", encoding="ascii") as f:
            # A key may stand there once.
            f.writelines("%s = %s\n" % (key, value) for key, value in defaults.items()
                         if not re.search(r"^%s\b" % key, config, re.MULTILINE))
            f.write(config)
        for name in guests:
            self.daemon(name)
            self.guest(name)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def memory(self, used):
        for name, value in ("memory.max", self.limit), ("memory.current", used):
            with open(self.path("new"), "w", encoding="ascii") as f:
                f.write("%d\n" % value)
            os.rename(self.path("new"), self.path("cgroup", name))

    def start(self, name, *command, descriptors=None):
        def limit():
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        log = open(self.path(name + ".log"), "ab")
        self.processes[name] = subprocess.Popen(
            [os.path.join(bin_dir, command[0]), *command[1:]], stdout=log, stderr=log, start_new_session=True,
            preexec_fn=limit)
        log.close()

    def said(self, name, text):
        with open(self.path(name + ".log"), encoding="utf-8", errors="replace") as f:
            return text in f.read()

    def daemon(self, name):
        os.makedirs(self.path("run", name), exist_ok=True)
        before = os.path.exists(self.path("d-" + name + ".log"))
        if before:
            os.unlink(self.path("d-" + name + ".log"))
        self.start("d-" + name, "cswapd", "--socket", self.path("run", name, "socket"),
                   "--control", self.path("run", name, "control"), "--store", "mem", "--size", "64M",
                   "--release", "punch", "--report-period", "100")
        self.until("the daemon listens", lambda: self.said("d-" + name, "ready"))

    def guest(self, name):
        self.start("g-" + name, "cswap-sim", "--socket", self.path("run", name, "socket"), "obey")

    def balancer(self, *options, descriptors=None):
        if os.path.exists(self.path("balancer.log")):
            os.rename(self.path("balancer.log"), self.path("balancer.old"))
        self.start("balancer", "cswap-balancer", "--config", self.path("conf"),
                   "--control", self.path("control"), *options, descriptors=descriptors)
        self.until("the balancer is ready", lambda: self.said("balancer", "ready"))

    def ask(self, request, **more):
        return ask(self.path("control"), dict(more, request=request))

    def list(self):
        return {g["name"]: g for g in self.ask("list")["guests"]}

    def state(self, name):
        return self.list().get(name, {}).get("state")

    def target(self, name):
        """As the daemon knows it."""
        return ask(self.path("run", name, "control"), {"request": "status"})["target_bytes"]

    def measured(self):
        """What the guests' memory occupies."""
        return sum(g["used_bytes"] or 0 for g in self.list().values())

    def lack(self, mib):
        """From now on so much of the reserve is missing, as long as the guests keep what they hold."""
        self.limit = self.measured() + (32 - mib) * MIB

    def until(self, what, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise Failed("it never came to this: " + what)
            # The pretended cgroup uses what the guests do, as a real one does by itself.
            if "balancer" in self.processes and self.said("balancer", "ready"):
                self.memory(self.measured())
            time.sleep(0.02)

    @staticmethod
    def without_asking(what, condition):
        end = time.monotonic() + PATIENCE
        while not (result := condition()):
            if time.monotonic() > end:
                raise Failed("it never came to this: " + what)
            time.sleep(0.02)
        return result

    def decided(self, times):
        """So many decisions later."""
        first = self.ask("status")["decisions"]
        self.until("decisions", lambda: self.ask("status")["decisions"] >= first + times)

    def settled(self, names="abc"):
        """The targets, once they have been the same for a while of decisions."""
        calm = {"targets": None, "since": 0}

        def is_calm():
            now = self.ask("status")["decisions"]
            targets = [self.target(n) for n in names]
            if targets != calm["targets"]:
                calm.update(targets=targets, since=now)
            return now - calm["since"] >= 20

        self.until("the targets settle", is_calm)
        return calm["targets"]

    def send(self, name, number):
        """To all of it: a daemon has children."""
        os.killpg(self.processes[name].pid, number)

    def end(self, name, number=signal.SIGTERM):
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(PATIENCE)

    def close(self):
        for process in self.processes.values():
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        shutil.rmtree(self.dir)


class PlayedDaemon:
    """The control socket of a daemon whose guest does at once as it is told; @said replaces what its status says."""

    def __init__(self, host, name, mib, **said):
        self.target, self.size, self.said, self.number, self.lock = 0, mib * MIB, said, 0, threading.Lock()
        os.makedirs(host.path("run", name), exist_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(host.path("run", name, "control"))
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client = self.listener.accept()[0]
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            with client, client.makefile("rb") as requests:
                for line in requests:
                    client.sendall(json.dumps(self.answer(json.loads(line))).encode() + b"\n")
        except OSError:
            pass

    def answer(self, request):
        with self.lock:
            self.target = request.get("bytes", self.target)
            self.number += 1
            return dict({
                "ok": True, "balloon": "ready", "release": "punch", "memory_bytes": self.size,
                "target_bytes": self.target, "claimed": {"released_bytes": self.target},
                "report": {"number": self.number, "age_ms": 0, "available_bytes": 0, "swap_in_ns": 0,
                           "refault_pages": 0, "stopped": "none"},
                "measured": {"memory_file_bytes": self.size - self.target, "cgroup_bytes": None},
                "store": {"loaded_pages": 0, "tags_memory_bytes": 0},
            }, **self.said)


def expect(what, condition):
    if not condition:
        raise Failed("not so: " + what)


def all_managed(host, names="abc"):
    """And have touched their memory: what they use is what they have."""
    host.until("all are managed", lambda: all(host.state(n) == "managed" for n in names))
    host.until("all is touched", lambda: all((host.list()[n]["used_bytes"] or 0) +
                                             host.target(n) >= 64 * MIB for n in names))


# --- the tests ---

def finds_guests_and_leaves_them_alone(host):
    host.balancer()
    all_managed(host)
    host.decided(5)
    expect("nothing is asked for", all(host.target(n) == 0 for n in "abc"))
    status = host.ask("status")
    expect("the sums", status["guests"]["known"] == 3 and status["guests"]["managed"] == 3)
    expect("the limit", status["host"]["limit_bytes"] == 4096 * MIB)
    expect("reasons", all(g["reason"] == "hold" for g in host.list().values()))


def is_heard_with_the_first_answer(host):
    """The first decision counts those who have answered before it: the next one is a minute away."""
    host.until("guests are there", lambda: all(
        ask(host.path("run", n, "control"), {"request": "status"})["balloon"] == "ready" for n in "abc"))
    host.balancer()
    host.until("it decides", lambda: host.ask("status")["decisions"])
    expect("all are managed", all(host.state(n) == "managed" for n in "abc"))
    expect("nothing was decided since", host.ask("status")["decisions"] == 1)


def restores_the_reserve(host):
    host.balancer()
    all_managed(host)
    used = host.measured()
    host.lack(60)
    host.until("memory is released", lambda: host.measured() <= used - 52 * MIB)
    targets = host.settled()
    host.decided(30)
    expect("calm afterwards", all(abs(host.target(n) - t) <= 4 * MIB for n, t in zip("abc", targets)))
    expect("what was missing, and no more", 50 * MIB <= sum(targets) <= 84 * MIB)
    told = host.ask("explain", guest="a")
    expect("it explains itself", told["steps"] and told["history"] and told["inputs"]["fair_bytes"])
    expect("never below the floor", all(g["size_bytes"] - g["target_bytes"] >= g["floor_bytes"]
                                        for g in host.list().values()))
    host.limit = 4096 * MIB
    host.until("it's given back", lambda: all(host.target(n) == 0 for n in "abc"))


def private_memory_is_in_no_file(host):
    """A confidential guest's files hold its shared memory alone: they are no measure of what it uses."""
    files = {"memory_file_bytes": 64 * MIB, "cgroup_bytes": None}
    PlayedDaemon(host, "private", 2048, release="convert", measured=files)
    PlayedDaemon(host, "swaps", 2048, release="off", measured=files)
    PlayedDaemon(host, "seen", 2048, release="convert", measured=dict(files, cgroup_bytes=2100 * MIB))
    PlayedDaemon(host, "plain", 2048)
    host.limit = 10240 * MIB
    host.memory(8192 * MIB)
    host.balancer()
    host.without_asking("all are managed",
                        lambda: all(host.state(n) == "managed" for n in ("private", "swaps", "seen", "plain")))
    first = host.ask("status")["decisions"]
    host.without_asking("decisions", lambda: host.ask("status")["decisions"] >= first + 20)
    guests = host.list()
    expect("what isn't measured isn't known", guests["private"]["used_bytes"] is None)
    expect("nor is it where nothing is given back", guests["swaps"]["used_bytes"] is None)
    expect("the cgroup counts", guests["seen"]["used_bytes"] == 2100 * MIB)
    expect("and so do a plain guest's files", guests["plain"]["used_bytes"] == 2048 * MIB)
    expect("there is enough for all: %r" % {n: g["target_bytes"] for n, g in guests.items()},
           not any(g["target_bytes"] for g in guests.values()))


def the_cache_of_files_is_no_guests(host):
    """The VMM's cgroup counts the cache of a disk's image, and the host has it available: it's there once."""
    played = {name: PlayedDaemon(host, name, 2048) for name in "ab"}
    for mib, name in (4096, "a"), (1024, "b"):
        played[name].said = {"measured": {"memory_file_bytes": 1024 * MIB, "cgroup_bytes": mib * MIB,
                                          "cgroup_cache_bytes": 3072 * MIB if name == "a" else None}}
    host.memory(2048 * MIB)
    host.balancer()
    host.without_asking("all are managed", lambda: all(host.state(n) == "managed" for n in "ab"))
    first = host.ask("status")["decisions"]
    host.without_asking("decisions", lambda: host.ask("status")["decisions"] >= first + 5)
    guests = host.list()
    expect("what it uses is without the cache", guests["a"]["used_bytes"] == 1024 * MIB)
    expect("where no cache is known, none is", guests["b"]["used_bytes"] == 1024 * MIB)
    budget = host.ask("explain", guest="a")["inputs"]["budget_bytes"]
    expect("the budget: %d" % budget, budget == (4096 - 32) * MIB)
    played["b"].said["measured"]["cgroup_cache_bytes"] = 4096 * MIB
    host.without_asking("no less than nothing", lambda: host.list()["b"]["used_bytes"] == 0)


def dry_run_does_nothing(host):
    host.balancer("--dry-run")
    all_managed(host)
    host.lack(64)
    host.until("it says what it would do", lambda: host.said("balancer", "if this were earnest"))
    host.decided(10)
    expect("nothing was asked for", all(host.target(n) == 0 for n in "abc"))
    expect("it says that it's a dry run", host.ask("status")["dry_run"])
    history = [(c["from_bytes"], c["to_bytes"], c["reason"]) for c in host.ask("explain", guest="a")["history"]]
    expect("the same isn't told twice", history and all(a != b for a, b in zip(history, history[1:])))


def obeys_its_operator(host):
    host.balancer()
    all_managed(host)
    expect("paused", host.ask("pause", guest="a")["guest"]["state"] == "paused")
    host.lack(64)
    host.until("others are asked", lambda: host.target("b") and host.target("c"))
    expect("the paused one isn't", host.target("a") == 0)
    host.limit = 4096 * MIB
    expect("draining", host.ask("drain", guest="b")["guest"]["state"] == "draining")
    host.until("it has its memory back", lambda: host.target("b") == 0)
    expect("resumed", host.ask("resume", guest="a")["guest"]["state"] != "paused")
    host.ask("pause")
    host.lack(64)
    before = [host.target(n) for n in "abc"]
    host.decided(10)
    expect("all are paused", [host.target(n) for n in "abc"] == before)
    host.ask("resume")
    host.until("it goes on", lambda: [host.target(n) for n in "abc"] != before)


def drain_goes_on_from_the_operators_target(host):
    """What the operator has set meanwhile, not what the balancer had in mind, is where memory is given back from."""
    host.balancer()
    all_managed(host)
    host.lack(90)
    host.until("all are asked", lambda: all(host.target(n) > 16 * MIB for n in "abc"))

    def set_target(name, mib):
        ask(host.path("run", name, "control"), {"request": "target", "bytes": mib * MIB})
    host.ask("pause", guest="a")
    set_target("a", 6)
    host.decided(5)
    expect("paused, it stays", host.target("a") == 6 * MIB)
    host.ask("drain", guest="a")
    host.decided(10)
    explained = host.ask("explain", guest="a")
    changes = [c for c in explained["history"] if c["reason"] == "drain"]
    expect("nothing is taken: %r" % changes, all(c["to_bytes"] < c["from_bytes"] <= 6 * MIB for c in changes))
    expect("nor was it", host.target("a") <= 6 * MIB)
    host.ask("pause")
    set_target("b", 2)
    changes = len(host.ask("explain", guest="b")["history"])
    host.ask("resume")
    host.until("it is asked again", lambda: len(host.ask("explain", guest="b")["history"]) > changes or
               changes == 16 and host.target("b") > 2 * MIB)
    history = host.ask("explain", guest="b")["history"]
    first = [c for c in reversed(history) if c["from_bytes"] == 2 * MIB]
    expect("from its target, by a step: %r" % history, first and first[0]["to_bytes"] <= 2 * MIB + host.list()["b"]["size_bytes"] // 10 + 1)


def an_operators_word_outlasts_restarts(host):
    """Of the guest's daemon, with which systemd removes its folder, and of the balancer."""
    host.balancer()
    all_managed(host)
    host.ask("pause", guest="a")
    host.ask("drain", guest="b")
    states = {"a": "paused", "b": "draining", "c": "managed"}

    def are_back():
        host.until("all are there", lambda: all(host.state(n) not in (None, "late", "unready") for n in "abc"))
        expect("as they were: %r" % [host.state(n) for n in "abc"], all(host.state(n) == states[n] for n in "abc"))
    for name in "ab":
        os.rename(host.path("run", name), host.path("gone"))
        host.until("it's gone", lambda: host.state(name) is None)
        os.rename(host.path("gone"), host.path("run", name))
        are_back()
    for number in signal.SIGTERM, signal.SIGKILL:
        host.end("balancer", number)
        host.balancer()
        are_back()
    host.ask("pause")
    host.end("balancer", signal.SIGKILL)
    host.balancer()
    expect("all are paused still", host.ask("status")["paused"])
    host.ask("resume")
    host.ask("resume", guest="a")
    host.ask("resume", guest="b")
    states = dict.fromkeys("abc", "managed")
    host.end("balancer")
    host.balancer()
    expect("none is any more", not host.ask("status")["paused"])
    are_back()


def explains_who_has_no_guest(host):
    host.daemon("d")
    host.balancer()
    host.until("it's seen", lambda: host.state("d") == "unready")
    host.decided(1)
    told = host.list()["d"]
    expect("there is no guest: %r" % told, told["reason"] == "unready" and "no guest is there" in told["why"])
    all_managed(host)
    reasons = {host.ask("resume", guest="a")["guest"]["reason"] for _ in range(50)}
    reasons |= {host.ask("pause", guest="a")["guest"]["reason"], host.list()["a"]["reason"]}
    expect("nobody is said to be late: %r" % reasons, "late" not in reasons)


def cswapctl_speaks_to_it(host):
    host.balancer()
    all_managed(host)

    def ctl(*words):
        done = subprocess.run([os.path.join(bin_dir, "cswapctl"), "--balancer", host.path("control"), *words],
                              capture_output=True, text=True, check=False, timeout=PATIENCE)
        expect("%r ends well: %s" % (words, done.stderr), done.returncode == 0)
        return done.stdout
    expect("why", "enough for all" in ctl("explain", "--guest", "a"))
    ctl("pause", "--guest", "a")
    expect("paused", host.state("a") == "paused")
    ctl("drain", "--guest", "a")
    expect("draining", host.state("a") == "draining")
    ctl("resume", "--guest", "a")
    expect("managed", host.state("a") == "managed")
    ctl("pause")
    expect("all", host.ask("status")["paused"])


def guests_have_one_balancer(host):
    """Wherever its control socket is: two would take back what the other has decided. A dry run decides nothing."""
    def other(control, *options):
        os.makedirs(host.path(control), exist_ok=True)
        host.start(control, "cswap-balancer", "--config", host.path("conf"),
                   "--control", host.path(control, "control"), *options)

    def is_refused():
        return host.processes["second"].wait(PATIENCE) == 1 and host.said(
            "second", "%s: another cswap-balancer manages the guests there" % host.path("run"))
    host.balancer()
    other("second")
    expect("the second one ends", is_refused())
    other("dry", "--dry-run")
    host.without_asking("a dry run begins", lambda: host.said("dry", "ready: guests"))
    host.end("balancer", signal.SIGKILL)
    other("second")
    host.without_asking("another one begins", lambda: host.said("second", "ready: guests"))
    host.end("second")
    # A folder that comes later, or anew, is one balancer's as well.
    os.rename(host.path("run"), host.path("old"))
    host.balancer()
    other("third")
    host.without_asking("without a folder it begins", lambda: host.said("third", "ready: guests"))
    os.mkdir(host.path("run"))
    host.without_asking("one has it", lambda: host.said("balancer", "another cswap-balancer manages") !=
                        host.said("third", "another cswap-balancer manages"))


def refuses_nonsense(host):
    host.balancer()
    for request in (b"{}\n", b"[]\n", b"nonsense\n", b'{"request":"list","more":1}\n',
                    b'{"request":"explain"}\n', b'{"request":"explain","guest":"nobody"}\n',
                    b'{"request":"drain"}\n', b'{"request":"status","guest":"a"}\n', b'{"request":7}\n'):
        expect("%r is refused" % request, not ask(host.path("control"), request)["ok"])
    expect("it still serves", host.ask("status")["ok"])


def one_that_hangs_disturbs_nobody(host):
    host.balancer()
    all_managed(host)
    host.send("d-a", signal.SIGSTOP)
    host.until("it is seen", lambda: host.state("a") == "late")
    host.lack(48)
    host.until("others are asked", lambda: host.target("b") and host.target("c"))
    first = host.ask("status")["decisions"]
    start = time.monotonic()
    host.decided(10)
    expect("at its pace", time.monotonic() - start < 10 and first)
    host.send("d-a", signal.SIGCONT)
    host.until("it's back", lambda: host.state("a") == "managed")


def guests_come_and_go(host):
    host.balancer()
    all_managed(host)
    host.daemon("d")
    host.guest("d")
    host.until("a new one is managed", lambda: host.state("d") == "managed")
    host.end("g-d")
    host.until("without a guest", lambda: host.state("d") == "late")
    if "d-d" in host.processes:
        host.end("d-d", signal.SIGKILL)
    shutil.rmtree(host.path("run", "d"))
    host.until("gone", lambda: host.state("d") is None)
    # A daemon that dies, and one that comes back.
    host.end("d-a", signal.SIGKILL)
    host.until("it is seen", lambda: host.state("a") == "late")
    host.processes.pop("g-a").wait(PATIENCE)
    host.daemon("a")
    host.guest("a")
    host.until("it's managed again", lambda: host.state("a") == "managed")
    # The whole folder anew.
    os.rename(host.path("run"), host.path("old"))
    host.until("all are gone", lambda: not host.list())
    os.rename(host.path("old"), host.path("run"))
    all_managed(host)


def keeps_the_place_of_one_that_comes_back(host, leave, come_back, why):
    """Guest a leaves and comes back; then it leaves for good. Returns how the balancer lists it in the end."""
    played = {name: PlayedDaemon(host, name, 2048) for name in "abc"}
    played["a"].said = little = {"measured": {"memory_file_bytes": 256 * MIB, "cgroup_bytes": None}}

    def allotted():
        return sum(2048 * MIB - p.target for p in played.values())
    host.balancer()
    host.until("all are managed", lambda: all(host.state(n) == "managed" for n in "abc"))
    host.until("they fit", lambda: allotted() <= 4070 * MIB)
    before = host.settled()
    leave(played["a"])
    host.until("it's seen", lambda: host.state("a") != "managed")
    expect("it's late", host.state("a") == "late")
    host.decided(5)
    now = host.list().get("a")
    expect("nobody gets what it was left: %d" % (allotted() // MIB), allotted() <= 4070 * MIB or not now)
    expect("it's said why: %r" % now, not now or why in now["why"])
    come_back(played["a"])
    played["a"].said = little
    host.until("it's back", lambda: host.state("a") == "managed")
    expect("it has the target that it had", abs(played["a"].target - before[0]) <= 64 * MIB)
    # For good: others may have its memory when it's forgotten.
    leave(played["a"])
    host.until("others get it", lambda: allotted() > 4200 * MIB)
    return host.list().get("a")


def a_daemons_restart_gives_its_guests_memory_to_nobody(host):
    """systemd removes the folder when the daemon ends. The VMM runs on, and may take what it was left at any moment."""
    end = keeps_the_place_of_one_that_comes_back(
        host, lambda a: os.rename(host.path("run", "a"), host.path("gone")),
        lambda a: os.rename(host.path("gone"), host.path("run", "a")), "its daemon doesn't answer")
    expect("it's forgotten: %r" % end, end is None)


def a_vmm_that_connects_again_has_its_memory(host):
    """The daemon is back before the VMM has found it, and says that no guest is there."""
    def leave(daemon):
        daemon.said = {"balloon": "absent", "memory_bytes": None, "claimed": {"released_bytes": 0}, "report": None,
                       "measured": {"memory_file_bytes": None, "cgroup_bytes": None}}
    end = keeps_the_place_of_one_that_comes_back(host, leave, lambda a: None, "its VMM")
    expect("no guest is there: %r" % end, end["reason"] == "unready" and end["size_bytes"] is None)
    with open(host.path("order"), encoding="ascii") as f:
        kept = f.read().splitlines()
    expect("whoever comes there next has come last: %r" % kept, kept[-1] == "a")


def first_come_first_admitted(host):
    """Whoever is restarted, a daemon or the balancer. Three floors don't fit into the host."""
    def states(**wanted):
        host.without_asking("so: %r" % wanted, lambda: {n: host.state(n) for n in wanted} == wanted)
    host.memory(3072 * MIB)
    host.balancer()
    for name, state in ("c", "managed"), ("a", "managed"), ("b", "refused"):
        PlayedDaemon(host, name, 2048)
        states(**{name: state})
    os.rename(host.path("run", "c"), host.path("gone"))
    states(c="late")
    os.rename(host.path("gone"), host.path("run", "c"))
    states(c="managed", a="managed", b="refused")
    host.end("balancer", signal.SIGKILL)
    host.balancer()
    states(c="managed", a="managed", b="refused")
    host.end("balancer")
    with open(host.path("order"), encoding="ascii") as f:
        kept = f.read().splitlines()
    expect("the order is kept: %r" % kept, kept == ["c", "a", "b"])
    # In one of both orders the folder isn't read. What makes no sense, and who is there no more, hurts nobody.
    with open(host.path("order"), "w", encoding="ascii") as f:
        f.write("../b\n\nb\nnobody\nb\n" + "x" * 300 + "\na\nc\n")
    host.balancer()
    states(b="managed", a="managed", c="refused")
    host.until("who never came is forgotten", lambda: host.state("nobody") is None)


def guests_beyond_its_descriptors_are_left_out(host):
    for i in range(20):
        os.mkdir(host.path("run", "g%d" % i))
    host.balancer(descriptors=34)
    host.without_asking("it's said", lambda: host.said("balancer", "18 guests aren't managed: there are descriptors for 2"))
    expect("an operator is served", host.ask("status")["guests"]["known"] == 2)
    for i in range(18):
        if "g%d" % i not in host.list():
            os.rmdir(host.path("run", "g%d" % i))
            os.rmdir(host.path("run", list(host.list())[0]))
            break
    host.until("another has the place", lambda: host.list().keys() <= set(os.listdir(host.path("run"))) and
               len(host.list()) == 2)
    expect("it ends when asked", host.end("balancer") == 0)
    host.balancer(descriptors=16)
    host.without_asking("it's said", lambda: host.said("balancer", "18 guests aren't managed: there are descriptors for 0"))
    expect("an operator is served all the same", host.ask("status")["guests"]["known"] == 0)
    expect("it ends when asked, too", host.end("balancer") == 0)


def out_of_descriptors_it_forgets_nobody(host):
    host.balancer()
    all_managed(host)
    balancer = host.processes["balancer"]
    before = resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE, (5, resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE)[1]))
    host.without_asking("it's said", lambda: host.said("balancer", "can't read %s: Too many open files" % host.path("run")))
    with socket.socket(socket.AF_UNIX) as operator:
        operator.settimeout(PATIENCE)
        operator.connect(host.path("control"))
        operator.sendall(b'{"request":"status"}\n')
        resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE, before)
        expect("who came meanwhile is served", operator.recv(10))
    all_managed(host)
    expect("nobody was given up", not host.said("balancer", ": gone"))
    resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE, (5, before[1]))
    expect("it ends when asked", host.end("balancer") == 0)


def cswapctl_asks_as_many_as_there_are(host):
    host.until("guests are there", lambda: all(
        ask(host.path("run", n, "control"), {"request": "status"})["balloon"] == "ready" for n in "abc"))

    def metrics(soft, hard):
        return subprocess.run([os.path.join(bin_dir, "cswapctl"), "--directory", host.path("run"), "metrics"],
                              capture_output=True, text=True, check=False, timeout=PATIENCE,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))
    done = metrics(5, 64)
    expect("all are up: " + done.stdout[:300], all('cswap_up{guest="%s"} 1' % n in done.stdout for n in "abc"))
    done = metrics(5, 5)
    expect("none is said to be down: %s %s" % (done.stdout[:300], done.stderr),
           done.returncode == 1 and not done.stdout and "3 guests can't be asked at once" in done.stderr)


def goes_on_after_its_death(host):
    host.balancer()
    all_managed(host)
    used = host.measured()
    host.lack(60)
    host.until("memory is released", lambda: host.measured() <= used - 52 * MIB)
    before = host.settled()
    host.end("balancer", signal.SIGKILL)
    expect("targets stay", [host.target(n) for n in "abc"] == before)
    host.balancer()
    all_managed(host)
    host.decided(10)
    after = host.list()
    expect("and it goes on from there: %s, %s" %
           (before, [(after[n]["target_bytes"], after[n]["reason"]) for n in "abc"]),
           all(abs(host.target(n) - t) <= 4 * MIB for n, t in zip("abc", before)))
    expect("it ends when asked", host.end("balancer") == 0)
    expect("targets stay again", all(abs(host.target(n) - t) <= 4 * MIB for n, t in zip("abc", before)))


def stuck_guest_is_answered(host):
    host.balancer()
    all_managed(host, "ac")
    host.send("g-a", signal.SIGSTOP)
    host.lack(80)
    host.until("it's seen", lambda: host.list()["a"]["reason"] == "stuck" or
               host.state("a") in ("slowed", "frozen", "held"))
    expect("it's reported", host.said("balancer", "guest a: makes no progress\n"))
    host.until("slowed", lambda: host.read("cpu.max") == "10000 100000")
    host.until("frozen", lambda: host.read("cgroup.freeze") == "1")
    expect("no longer slowed", host.read("cpu.max") == "max 100000")
    host.until("held", lambda: host.read("memory.max").isdigit())
    expect("thawed", host.read("cgroup.freeze") == "0")
    host.send("g-a", signal.SIGCONT)
    host.until("forgiven", lambda: host.read("memory.max") == "max")
    host.until("managed", lambda: host.state("a") == "managed")
    expect("that, too", host.said("balancer", "guest a: makes progress again\n"))


class AnswersHost(Host):
    """Guest a has a cgroup of its own, which is a folder with such files, and answers."""

    def __init__(self, answers="report slow freeze hold", cgroup=None, **limits):
        super().__init__(guests=("a", "c"))
        self.vmm = cgroup or self.path("vmm")
        if not cgroup:
            self.make_cgroup(**limits)
        with open(self.path("conf"), "a", encoding="ascii") as f:
            f.write("answers = %s\n[guest a]\ncgroup = %s\n" % (answers, self.vmm))

    def make_cgroup(self, cpu="max 100000", memory="max"):
        os.mkdir(self.vmm)
        for name, text in ("cpu.max", cpu), ("cgroup.freeze", "0"), ("memory.max", memory):
            self.write(name, text)

    def write(self, name, text):
        with open(os.path.join(self.vmm, name), "w", encoding="ascii") as f:
            f.write(text + "\n")

    def read(self, name):
        with open(os.path.join(self.vmm, name), encoding="ascii") as f:
            return f.read().strip()

    def refuse(self):
        """Guest a stands still, so it gives nothing, and the host is short of memory."""
        self.balancer()
        all_managed(self, "ac")
        self.send("g-a", signal.SIGSTOP)
        self.lack(80)
        self.memory(self.measured())

    def relent(self):
        """The host isn't short any more."""
        self.limit = 4096 * MIB
        self.memory(0)

    def notes(self):
        return os.listdir(self.path("answers"))

    def undo(self):
        return subprocess.run([os.path.join(bin_dir, "cswap-balancer"), "--undo", "--control", self.path("control")],
                              capture_output=True, text=True, check=False, timeout=PATIENCE)


def answers_are_undone_after_a_kill(host):
    host.refuse()
    host.until("frozen", lambda: host.read("cgroup.freeze") == "1")
    host.end("balancer", signal.SIGKILL)
    expect("it is noted", host.notes() == ["a"])
    host.balancer()
    host.until("thawed by the next one", lambda: host.read("cgroup.freeze") == "0")
    host.until("and frozen again", lambda: host.read("cgroup.freeze") == "1")
    host.end("balancer", signal.SIGKILL)
    done = host.undo()
    expect("undone by --undo: " + done.stderr, not done.returncode and host.read("cgroup.freeze") == "0")
    expect("nothing is noted any more", host.notes() == [])
    expect("to undo nothing is no failure", not host.undo().returncode)
    host.balancer()
    expect("while one runs it isn't undone from outside", host.undo().returncode == 1)


def open_pipe(path):
    """To write, if somebody reads."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def answers_are_noted_before_they_are_given(host):
    """A balancer that is killed in the middle of it: a pipe holds it when it opens the file to write."""
    host.refuse()
    freeze = os.path.join(host.vmm, "cgroup.freeze")
    os.unlink(freeze)
    os.mkfifo(freeze)
    # It reads what was there before. Nobody can ask it anything while it stands there.
    pipe = host.without_asking("it reads", lambda: open_pipe(freeze))
    os.write(pipe, b"0\n")
    os.close(pipe)
    host.without_asking("the note comes first", lambda: host.notes() == ["a"])
    host.end("balancer", signal.SIGKILL)
    os.unlink(freeze)
    host.write("cgroup.freeze", "1")
    host.relent()
    host.balancer()
    host.until("thawed by the next one", lambda: host.read("cgroup.freeze") == "0")


def answers_end_with_the_guest(host):
    host.refuse()
    host.until("frozen", lambda: host.read("cgroup.freeze") == "1")
    os.rename(host.path("run", "a"), host.path("gone"))
    host.until("it's seen", lambda: host.said("balancer", "guest a: its folder is gone"))
    expect("its daemon may be on its way", host.read("cgroup.freeze") == "1" or host.said("balancer", "guest a: gone"))
    host.until("thawed", lambda: host.read("cgroup.freeze") == "0")
    host.until("it's gone", lambda: host.said("balancer", "guest a: gone"))
    # It's thawed first: a balancer that dies in between leaves the note.
    host.until("nothing is noted any more", lambda: host.notes() == [])
    os.rename(host.path("gone"), host.path("run", "a"))
    host.until("it's known again", lambda: host.state("a"))


def answers_end_with_the_balancer(host):
    host.refuse()
    host.until("held", lambda: host.read("memory.max") not in ("", "900000000"))
    expect("the balancer ends", host.end("balancer") == 0)
    expect("as it was", host.read("memory.max") == "900000000")


def answers_end_with_a_pause(host):
    host.refuse()
    host.until("frozen", lambda: host.read("cgroup.freeze") == "1")
    host.ask("pause", guest="a")
    host.until("thawed", lambda: host.read("cgroup.freeze") == "0")
    host.decided(30)
    expect("and left alone", host.read("cgroup.freeze") == "0")
    host.ask("resume", guest="a")
    host.until("frozen again", lambda: host.read("cgroup.freeze") == "1")
    host.ask("pause")
    host.until("thawed with all others", lambda: host.read("cgroup.freeze") == "0")


def the_owners_quota_comes_back(host):
    host.refuse()
    host.until("slowed", lambda: host.read("cpu.max") == "10000 100000")
    host.relent()
    host.until("as it was, with its period", lambda: host.read("cpu.max") == "50000 200000")
    host.until("nothing is noted any more", lambda: host.notes() == [])


def a_stricter_owner_is_obeyed(host):
    """Who is slower, or held to less, by the owner's word isn't given more."""
    host.refuse()
    for name, value in ("cpu.max", "5000 100000"), ("memory.max", "8388608"):
        host.until("seen", lambda: host.said("balancer", "%s is \"%s\" already" % (name, value)))
        expect("as it was", host.read(name) == value and host.notes() == [])


def another_hand_is_respected(host):
    host.refuse()
    host.until("slowed", lambda: host.read("cpu.max") == "10000 100000")
    host.write("cpu.max", "30000 100000")
    host.relent()
    host.until("it's said", lambda: host.said("balancer", "cpu.max is left at \"30000 100000\""))
    expect("as the owner wants it", host.read("cpu.max") == "30000 100000")
    host.until("nothing is noted any more", lambda: host.notes() == [])


def another_cgroup_is_left_alone(host):
    host.refuse()
    host.until("slowed", lambda: host.read("cpu.max") == "10000 100000")
    host.end("balancer", signal.SIGKILL)
    host.relent()
    os.rename(host.vmm, host.path("old"))
    host.make_cgroup()
    host.write("cpu.max", "10000 100000")
    expect("undone", not host.undo().returncode and host.notes() == [])
    expect("the new one's own", host.read("cpu.max") == "10000 100000")


def a_cgroup_that_is_gone_is_forgotten(host):
    host.refuse()
    host.until("slowed", lambda: host.read("cpu.max") == "10000 100000")
    shutil.rmtree(host.vmm)
    host.relent()
    host.until("forgotten", lambda: host.notes() == [])


def a_real_cgroup_is_frozen_and_thawed(host):
    host.refuse()
    with subprocess.Popen(["sleep", "infinity"]) as sleeper:
        try:
            host.write("cgroup.procs", str(sleeper.pid))
            host.until("frozen", lambda: "frozen 1" in host.read("cgroup.events"))
            host.end("balancer", signal.SIGKILL)
            expect("frozen still", "frozen 1" in host.read("cgroup.events"))
            done = host.undo()
            expect("undone: " + done.stderr, not done.returncode and host.read("cgroup.freeze") == "0")
            host.balancer()
            host.until("frozen again", lambda: "frozen 1" in host.read("cgroup.events"))
            host.relent()
            host.until("thawed", lambda: "frozen 0" in host.read("cgroup.events"))
        finally:
            sleeper.kill()


class RealAnswersHost(AnswersHost):
    def __init__(self):
        with open("/proc/mounts", encoding="utf-8") as f:
            mounts = [line.split()[1] for line in f if line.split()[2] == "cgroup2"]
        cgroup = os.path.join(mounts[0], "cswap-test-%d" % os.getpid()) if mounts else None
        try:
            os.mkdir(cgroup or "/proc/none")
        except OSError as error:
            raise Skipped("no cgroup can be made here: %s" % error) from None
        super().__init__("freeze", cgroup)

    def close(self):
        super().close()
        end = time.monotonic() + PATIENCE
        while True:
            try:
                os.rmdir(self.vmm)
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)


def what_cant_be_undone_is_tried_again(host):
    host.refuse()
    host.until("slowed", lambda: host.read("cpu.max") == "10000 100000")
    quota = os.path.join(host.vmm, "cpu.max")
    os.rename(quota, quota + ".away")
    os.mkdir(quota)
    host.until("it's said", lambda: host.said("balancer", "can't read %s: Is a directory" % quota))
    host.decided(30)
    expect("no other answer meanwhile", host.read("cgroup.freeze") == "0" and host.notes() == ["a"])
    os.rmdir(quota)
    os.rename(quota + ".away", quota)
    host.until("the next answer", lambda: host.read("cgroup.freeze") == "1")
    expect("after the first was undone", host.read("cpu.max") == "max 100000")


def check_says(host, text, error, status=2):
    with open(host.path("bad"), "w", encoding="ascii") as f:
        f.write(text + "\n")
    done = subprocess.run([os.path.join(bin_dir, "cswap-balancer"), "--check", "--config", host.path("bad")],
                          capture_output=True, text=True, check=False)
    expect("%r: %r in %r" % (text[:40], error, done.stderr), done.returncode == status and error in done.stderr)


def configurations_that_dont_fit_are_refused(host):
    vmm, pretended = host.vmm, "cgroup = %s\n" % host.path("cgroup")
    check_says(host, "cgroup = /etc", "can't be measured: /etc/memory.current: No such file")
    check_says(host, "cgroup = /etc/passwd", "can't be measured: /etc/passwd/memory.current: Not a directory")
    check_says(host, "cgroup = /nosuch/cgroup", "cgroup = /nosuch/cgroup isn't there now", 0)
    check_says(host, pretended + "floor = 2T", "floor = 2097152 MiB: with the reserve of 409 MiB that is more than the 4096")
    check_says(host, pretended + "[guest a]\nfloor = 3900M", "guest a: floor = 3900 MiB: with the reserve")
    check_says(host, pretended + "floor = 3600M", "", 0)
    check_says(host, pretended + "reserve = 2T", "reserve = 2097152 MiB: there are 4096 MiB in all")
    check_says(host, "floor = 2T", "floor = 2097152 MiB")
    check_says(host, "answers = report freeze", "answers = freeze: no guest has a cgroup")
    check_says(host, "answers = hold\n[guest a]\nshares = 10", "answers = hold: no guest has a cgroup")
    check_says(host, "[guest a]\ncgroup = /etc", ":1: guest a: cgroup = /etc has no cgroup.freeze")
    check_says(host, "[guest a]\ncgroup = /nosuch/a", "a: cgroup = /nosuch/a isn't there now", 0)
    guest = "answers = slow\n[guest a]\ncgroup = " + vmm
    check_says(host, guest, "", 0)
    check_says(host, guest + "\n[guest b]\ncgroup = " + vmm, "is guest a's")
    check_says(host, "cgroup = %s\n%s" % (vmm, guest), "is that of all guests")
    os.unlink(os.path.join(vmm, "cpu.max"))
    check_says(host, guest, "has no cpu.max")
    # What --check refuses isn't started either.
    done = subprocess.run([os.path.join(bin_dir, "cswap-balancer"), "--control", host.path("control"), "--config",
                           host.path("bad")], capture_output=True, text=True, check=False, timeout=PATIENCE)
    expect("not started: " + done.stderr, done.returncode == 2 and "has no cpu.max" in done.stderr)


def says_what_it_cant_measure(host):
    host.balancer()
    host.decided(2)
    current = host.path("cgroup", "memory.current")
    os.rename(current, current + ".away")
    decisions = host.ask("status")["decisions"]
    host.without_asking("it's said", lambda: host.said("balancer", "can't be measured: %s: No such file" % current))
    # What was measured once isn't what there is: the figures' reader sees that there are none.
    memory = host.ask("list")["host"]
    expect("what isn't measured isn't told: %r" % memory,
           memory["available_bytes"] is None and memory["limit_bytes"] is None and memory["deficit_bytes"] is None)
    os.rename(current + ".away", current)
    host.without_asking("it goes on", lambda: host.ask("status")["decisions"] > decisions + 10)
    with open(host.path("balancer.log"), encoding="utf-8") as f:
        expect("it's said once", f.read().count("can't be measured") == 1)
    expect("and told again", host.ask("list")["host"]["available_bytes"] is not None)
    expect("its end, too", host.said("balancer", "the host's memory can be measured"))


def configuration_errors_name_their_line(host):
    cases = {
        "reserve = much": ":1: reserve = much: should be a size",
        "# fine\nreserve = 10%\nreserv = 1G": ":3: reserv is not known",
        "reserve 1G": ":1: reserve 1G is neither",
        "[gast a]": ":1: [gast a] is no section",
        "[guest a]\nshares = 0": ":2: shares = 0: should be a whole number",
        "[guest a]\n[guest a]": ":2: a has a section already",
        "[guest a]\ninterval = 1s": ":2: interval is not known in a guest's section",
        "answers = freeze shout": "should be a list of report",
        "interval = 5": "should be a time in ms, s or min",
        "floor = 0.0005T": "with three digits behind the point at most",
        "slo = 0.0009%": "with three digits behind the point at most",
        "floor = 120%": "should be a percentage up to 100%",
        "floor = 0.05%": ":1: floor = 0.05%: should be a percentage, 0.1% at least",
        "reserve = 0.099%": "should be a percentage, 0.1% at least",
        "band = 0.05%": "should be a percentage, 0.1% at least",
        "slo = 0.05%": "should be a percentage, 0.1% at least",
        "tax = 0.9%": "should be a percentage, 1% at least",
        "floor = 33554432T": ":1: floor = 33554432T: should be a size up to 64T",
        "floor = 16777216T": "should be a size up to 64T",
        "floor = 99999999999999T": "should be a size up to 64T",
        "floor = 64.1T": "should be a size up to 64T",
        "floor = 67108865M": "should be a size up to 64T",
        "x" * 600: ":1: the line is too long",
        "band = 4M\nreserve = 1G\nband = 8M": ":3: band = 8M: should be there once",
        "[guest a]\nshares = 1\n[guest b]\nshares = 1\nshares = 2": ":5: shares = 2: should be there once",
    }
    for text, error in cases.items():
        check_says(host, text, error)
    for text in "floor = 0%", "floor = 0.1%", "floor = 0.5K", "tax = 0%", "tax = 1%":
        check_says(host, text, "", 0)
    done = subprocess.run([os.path.join(bin_dir, "cswap-balancer"), "--check", "--config", host.dir],
                          capture_output=True, text=True, check=False)
    expect("a folder is no configuration: " + done.stderr,
           done.returncode == 2 and host.dir + ": Is a directory" in done.stderr)
    example = os.path.join(os.path.dirname(__file__), "../../host/cswap-balancer/cswap-balancer.conf")
    done = subprocess.run([os.path.join(bin_dir, "cswap-balancer"), "--check", "--config", example],
                          capture_output=True, text=True, check=False)
    expect("the example is right: " + done.stderr, done.returncode == 0)


tests = [
    (finds_guests_and_leaves_them_alone, Host),
    (restores_the_reserve, Host),
    (is_heard_with_the_first_answer, lambda: Host("interval = 60s\n")),
    (private_memory_is_in_no_file, lambda: Host(guests=())),
    (the_cache_of_files_is_no_guests, lambda: Host(guests=())),
    (dry_run_does_nothing, Host),
    (obeys_its_operator, Host),
    # The history has 16 decisions: it isn't to be over before it is asked for.
    (drain_goes_on_from_the_operators_target, lambda: Host("interval = 400ms\n")),
    (an_operators_word_outlasts_restarts, Host),
    (explains_who_has_no_guest, Host),
    (cswapctl_speaks_to_it, Host),
    (guests_have_one_balancer, lambda: Host(guests=())),
    (refuses_nonsense, Host),
    (one_that_hangs_disturbs_nobody, Host),
    (guests_come_and_go, Host),
    (a_daemons_restart_gives_its_guests_memory_to_nobody, lambda: Host(guests=())),
    (a_vmm_that_connects_again_has_its_memory, lambda: Host(guests=())),
    (first_come_first_admitted, lambda: Host("floor = 1500M\n", guests=())),
    (guests_beyond_its_descriptors_are_left_out, lambda: Host(guests=())),
    (out_of_descriptors_it_forgets_nobody, Host),
    (cswapctl_asks_as_many_as_there_are, Host),
    (goes_on_after_its_death, Host),
    (stuck_guest_is_answered, AnswersHost),
    (answers_are_undone_after_a_kill, lambda: AnswersHost("freeze")),
    (answers_are_noted_before_they_are_given, lambda: AnswersHost("freeze")),
    (answers_end_with_the_guest, lambda: AnswersHost("freeze")),
    (answers_end_with_the_balancer, lambda: AnswersHost("hold", memory="900000000")),
    (answers_end_with_a_pause, lambda: AnswersHost("freeze")),
    (the_owners_quota_comes_back, lambda: AnswersHost("slow", cpu="50000 200000")),
    (a_stricter_owner_is_obeyed, lambda: AnswersHost("slow hold", cpu="5000 100000", memory="8388608")),
    (another_hand_is_respected, lambda: AnswersHost("slow")),
    (another_cgroup_is_left_alone, lambda: AnswersHost("slow")),
    (a_cgroup_that_is_gone_is_forgotten, lambda: AnswersHost("slow")),
    (what_cant_be_undone_is_tried_again, lambda: AnswersHost("slow freeze")),
    (a_real_cgroup_is_frozen_and_thawed, RealAnswersHost),
    (configuration_errors_name_their_line, lambda: Host(guests=())),
    (configurations_that_dont_fit_are_refused, AnswersHost),
    (says_what_it_cant_measure, lambda: Host(guests=())),
]


def main():
    failed = 0
    wanted = sys.argv[2:]
    part, parts = 0, 1
    if wanted and wanted[0].startswith("--part="):
        part, parts = (int(number) for number in wanted.pop(0)[7:].split("/"))
    for number, (test, make) in enumerate(tests, 1):
        if (wanted and test.__name__ not in wanted) or number % parts != part % parts:
            continue
        try:
            host = make()
        except Skipped as why:
            print("ok %d - %s # SKIP %s" % (number, test.__name__, why), flush=True)
            continue
        try:
            test(host)
            print("ok %d - %s" % (number, test.__name__), flush=True)
        except (Failed, OSError, KeyError, subprocess.TimeoutExpired) as error:
            failed = 1
            print("not ok %d - %s: %r" % (number, test.__name__, error))
            for name in "balancer", "d-a", "g-a":
                if os.path.exists(host.path(name + ".log")):
                    with open(host.path(name + ".log"), encoding="utf-8", errors="replace") as f:
                        print("".join("# %s: %s\n" % (name, line) for line in f.read().splitlines()[-15:]),
                              end="", flush=True)
        finally:
            host.close()
    print("1..%d" % len(tests))
    return failed


sys.exit(main())
