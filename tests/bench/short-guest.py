#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""short-guest.py DIR SECONDS - short-bench's inner half, in a kernel of its own that plays the host.

DIR has cswapd and cswap-sim. The daemon and others share a cgroup that is too small for all; the guest (the
simulator) is outside. A line of JSON goes out for each run.
"""
import glob
import json
import os
import resource
import signal
import subprocess
import sys

CGROUP = "/sys/fs/cgroup/short"
LIMIT_MIB = 64
ANON_MIB = 47
READ_MIB = 40
PAGE = 4096
PAGES = 4096
bin_dir, seconds = sys.argv[1], sys.argv[2]
tmp = os.environ["TMPDIR"]


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def stalled_us():
    """For how long somebody in the cgroup has waited for memory."""
    return int(read(f"{CGROUP}/memory.pressure").splitlines()[0].rsplit("=", 1)[1])


def enter():
    write(f"{CGROUP}/cgroup.procs", str(os.getpid()))


def enter_as_hog():
    """What they take is to be memory, and as little of the CPU as may be."""
    enter()
    os.nice(19)


def enter_as_daemon():
    """As its unit has it."""
    enter()
    write("/proc/self/oom_score_adj", "-800")


def enter_locked():
    enter_as_daemon()
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def enter_unlocked():
    """No limit that lets it lock anything: the daemon goes without."""
    enter_as_daemon()
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))


# Without the right to raise the limit again, as under its unit.
DROP = ["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]


def name_of(pid):
    """Nothing, of one that has ended meanwhile."""
    try:
        return read(f"/proc/{pid}/comm").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def major_faults():
    """Of the daemon's processes."""
    pids = [pid for pid in read(f"{CGROUP}/cgroup.procs").split() if name_of(pid) == "cswapd"]
    return sum(int(read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[9]) for pid in pids)


def some_files():
    """Twice what is left for files: what was read last is gone when it's read again."""
    chosen, total = [], 0
    for name in sorted(glob.glob("/usr/lib/x86_64-linux-gnu/*.so*")):
        if total < READ_MIB << 20 and not os.path.islink(name):
            chosen.append(name)
            total += os.stat(name).st_size
    return chosen


def hogs():
    """Who needs more than there is: memory that can't go, and files that are read again and again."""
    anon = f"x = bytearray({ANON_MIB} << 20); import signal; signal.pause()"
    files = "while :; do cat \"$@\" >/dev/null; done"
    return [subprocess.Popen([sys.executable, "-c", anon], preexec_fn=enter_as_hog, start_new_session=True),
            *(subprocess.Popen(["sh", "-c", files, "sh", *some_files()], preexec_fn=enter_as_hog, start_new_session=True)
              for _ in range(4))]


def end(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(locked, short):
    command = [*DROP, f"{bin_dir}/cswapd", "--socket", f"{tmp}/socket", "--store", "/dev/bed/disk0", "--format", "--size",
               str(PAGES * PAGE), "--queues", "1", "--log-level", "info"]
    with open(f"{tmp}/log", "w", encoding="utf-8") as log:
        daemon = subprocess.Popen(command, stderr=log, preexec_fn=enter_locked if locked else enter_unlocked,
                                  start_new_session=True)
    while " ready: " not in read(f"{tmp}/log"):
        if daemon.poll() is not None:
            sys.exit(read(f"{tmp}/log"))
    sim = subprocess.Popen([f"{bin_dir}/cswap-sim", "--socket", f"{tmp}/socket", "--json", "--step", "--pairs", "1", "--pages", str(PAGES),
                            "--depth", "1", "--read", "100", "--seconds", seconds, "load"],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", bufsize=1)
    sim.stdin.write("\n")
    if not sim.stdout.readline():
        sys.exit("the guest has failed: " + read(f"{tmp}/log"))
    others = hogs() if short else []
    # They are at it when somebody has waited for memory for a second.
    begin = stalled_us()
    while short and stalled_us() - begin < 1000000:
        pass
    faults, stalled = major_faults(), stalled_us()
    sim.stdin.write("\n")
    phase = json.loads(sim.stdout.readline() or sys.exit("the guest has failed: " + read(f"{tmp}/log")))
    faults, stalled = major_faults() - faults, stalled_us() - stalled
    for other in others:
        end(other)
    sim.stdin.close()
    sim.wait()
    end(daemon)
    print(json.dumps({"locked": locked, "short": short, "loads_s": phase["in"]["ops"] / phase["seconds"],
                      "p50": phase["in"]["p50_us"], "p99": phase["in"]["p99_us"], "max_ms": phase["in"]["max_us"] / 1e3,
                      "faults": faults * 1000 / phase["in"]["ops"], "pressure": stalled / 1e4 / phase["seconds"],
                      "said": "isn't locked" in read(f"{tmp}/log")}), flush=True)


write("/sys/fs/cgroup/cgroup.subtree_control", "+memory")
os.mkdir(CGROUP)
write(f"{CGROUP}/memory.max", str(LIMIT_MIB << 20))
for locked_now, short_now in ((True, False), (False, True), (True, True)):
    run(locked_now, short_now)
