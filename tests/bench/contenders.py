# SPDX-License-Identifier: GPL-2.0-only
"""contenders - cswapd and other ways to the same storage, under the same load: one run of one of them.

Theory of operation: a contender is a server (cswapd, or qemu-storage-daemon's vhost-user-blk), which a process of
its own drives: the guest simulator, with one load loop for both. It stops between its phases (--step), so that
nothing of the fill is in what is measured: neither time nor CPU. Then the page cache of the files is dropped,
and whoever counts begins to. fio is client and server in one.

The server's CPU is that of all processes on the host's side: cswapd's both, io_uring's kernel threads, and an
NBD server behind them, if there is one. The guest's is the simulator's.
"""
import contextlib
import json
import os
import subprocess
import sys
import time

from benchlib import Missing, need
from counting import Counter, cpu_seconds, processes
from serving import server

PAGE = 4096
BLOCK = 1 << 20
FREED_PASSES = 6

# What a guest does, after it has stored every page once (but "sparse"); the options are the simulator's.
WORKLOADS = {
    "out": {"what": "random out, over what is stored", "options": ["--read", "0"]},
    "in": {"what": "random in", "options": ["--read", "100"]},
    "mixed": {"what": "random, half out and half in", "options": ["--read", "50"]},
    "sparse": {"what": "random out, each page for the first time", "options": ["--sparse", "--scatter"]},
    "freed": {"what": "half is freed, and stored again at random",
              "options": ["--passes", str(FREED_PASSES), "--scatter"]},
}


class Bench:
    """What is the same for all runs, and where things are."""

    def __init__(self, bin_dir, folder, mib, seconds):
        self.cswapd = os.path.abspath(os.path.join(bin_dir, "cswapd"))
        self.sim = os.path.abspath(os.path.join(bin_dir, "cswap-sim"))
        self.folder = folder
        self.pages = mib * (BLOCK // PAGE)
        self.seconds = seconds
        self.base = None                # another cswapd, to compare with
        # An NBD server that somebody else has started: (socket, export), and whom its CPU is counted of.
        self.given = None
        self.given_pids = []
        # Storage that qemu-storage-daemon reaches by itself, as --blockdev describes it.
        self.blockdev = None
        self.options = []              # more of cswapd's
        self.counts_calls = False
        for program in (self.cswapd, self.sim):
            if not os.access(program, os.X_OK):
                sys.exit(f"{program} isn't built: make host sim")

    def path(self, name):
        return os.path.join(self.folder, name)

    @property
    def bytes(self):
        return self.pages * PAGE


class Load:
    """One row of a table: a workload, how deep, by how many queues and cswapd's workers."""

    def __init__(self, workload, depth, queues=1, workers=1):
        self.workload, self.depth, self.queues, self.workers = workload, depth, queues, workers

    def key(self):
        return (self.workload, self.depth, self.queues, self.workers)

    def __str__(self):
        return f"{WORKLOADS[self.workload]['what']}, {self.depth} deep"


# --- the files ---

def write_out(path, size):
    """No holes and no unwritten extents."""
    block = os.urandom(BLOCK)
    with open(path, "wb") as f:
        for _ in range(size // BLOCK):
            f.write(block)


def drop_cache(path):
    """Nothing of the file is in the page cache, nothing is to be written."""
    with open(path, "rb") as f:
        os.fsync(f.fileno())
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def prepare(bench, name, load):
    """A file of a contender's own, written or (sparse) with nothing but a size."""
    path = bench.path(name)
    if load.workload == "sparse" or not os.path.exists(path) or os.stat(path).st_blocks * 512 < bench.bytes:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        if load.workload == "sparse":
            with open(path, "wb") as f:
                os.truncate(f.fileno(), bench.bytes)
        else:
            write_out(path, bench.bytes)
    drop_cache(path)
    return path


# --- the simulator ---

def sim_options(bench, load):
    options = list(WORKLOADS[load.workload]["options"])
    if load.workload in ("out", "in", "mixed"):
        options += ["--seconds", str(bench.seconds)]
    # A cswap ring of 256 has room for 32 LOADs, one of virtio-blk for 85 requests.
    ring = 256 if load.depth <= 32 else 1024
    return ["--pairs", str(load.queues), "--pages", str(bench.pages), "--depth", str(load.depth),
            "--ring", str(ring), *options]


def begin_phases(sim, number):
    # If it has ended, what it answers says so.
    with contextlib.suppress(BrokenPipeError):
        os.write(sim.stdin.fileno(), b"\n" * number)


def simulate(bench, load, pids, extra):
    """A run of the simulator on the server that is there: figures of all but the fill."""
    command = [bench.sim, "--socket", bench.path("socket"), "--json", "--step", *sim_options(bench, load), *extra,
               "load"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as sim:
        fill = None
        if load.workload != "sparse":
            begin_phases(sim, 1)
            fill = json.loads(sim.stdout.readline() or "null")
        for name in ("store", "blk", "behind"):
            if os.path.exists(bench.path(name)):
                drop_cache(bench.path(name))
        calls = None
        if bench.counts_calls:
            calls = Counter("raw_syscalls:sys_enter", "-p", ",".join(str(p) for pid in pids for p in processes(pid)))
            calls.begin()
        cpu, begin = sum(map(cpu_seconds, pids)), time.monotonic()
        begin_phases(sim, FREED_PASSES if load.workload == "freed" else 1)
        # A server may end with its guest: its CPU is read when the last phase has been told.
        phases = [json.loads(sim.stdout.readline() or "null")
                  for _ in range(FREED_PASSES if load.workload == "freed" else 1)]
        cpu, seconds = sum(map(cpu_seconds, pids)) - cpu, time.monotonic() - begin
        calls = calls.end() if calls else None
        sim.stdin.close()
        sim.stdout.read()
    if sim.returncode or not all(phases):
        sys.exit(f"the guest fails: {' '.join(command)}")
    return figures(load, fill, phases, cpu, seconds, calls)


def figures(load, fill, phases, cpu, seconds, calls):
    ops = sum(p[way]["ops"] for p in phases for way in ("out", "in") if way in p)
    # To free counts where it belongs to the work.
    if load.workload != "freed":
        seconds = sum(p["seconds"] for p in phases)
    way = "in" if load.workload == "in" else "out"
    last = phases[-1]
    result = {"mb_s": ops * PAGE / 1e6 / seconds, "p50": last[way]["p50_us"], "p99": last[way]["p99_us"],
              "server_us": cpu * 1e6 / ops, "guest_us": sum(p["cpu_seconds"] for p in phases) * 1e6 / ops,
              "interrupts": last["interrupts_per_1000"]}
    if calls is not None:
        result["calls"] = calls / ops
    if fill:
        result["fill"] = fill["out"]["mb_s"]
    return result


# --- contenders ---

def cswapd_command(bench, load, store, program=None):
    return [program or bench.cswapd, "--socket", bench.path("socket"), "--store", store, "--size", str(bench.bytes),
            "--queues", str(load.queues), "--workers", str(load.workers), "--log-level", "warning",
            *bench.options]


def run_cswapd(bench, load, *extra, program=None):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(bench.path("store"))
    with server(cswapd_command(bench, load, bench.path("store"), program), bench.path("socket"), bench.path("log")) as process:
        return simulate(bench, load, [process.pid], extra)


def run_base(bench, load):
    if not bench.base:
        raise Missing("no --base")
    return run_cswapd(bench, load, "--no-seal", program=bench.base)


def storage_daemon(bench, load, blockdev, *extra):
    return [need("qemu-storage-daemon"), *blockdev, "--object", "iothread,id=thread", *extra,
            "--export", "type=vhost-user-blk,id=export,node-name=disk,writable=on,iothread=thread,"
            f"num-queues={load.queues},addr.type=unix,addr.path={bench.path('socket')}"]


def file_node(name, path, aio="io_uring"):
    return ["--blockdev", f"driver=file,node-name={name},cache.direct=on,aio={aio},discard=unmap,filename={path}"]


def run_blk(bench, load):
    path = prepare(bench, "blk", load)
    command = storage_daemon(bench, load, file_node("disk", path))
    with server(command, bench.path("socket"), bench.path("log")) as process:
        return simulate(bench, load, [process.pid], ["--blk"])


def run_fio(bench, load, *options):
    if load.workload == "freed":
        raise Missing("fio can't free")
    path = prepare(bench, "fio", load)
    once = load.workload == "sparse"
    kind = {"in": "randread", "mixed": "randrw"}.get(load.workload, "randwrite")
    share = bench.bytes // load.queues
    command = [need("fio"), "--name=bench", f"--filename={path}", "--ioengine=io_uring", "--direct=1", "--bs=4k",
               f"--iodepth={load.depth}", f"--iodepth_batch_submit={load.depth}", f"--rw={kind}", "--thread",
               f"--numjobs={load.queues}", f"--size={share}", f"--offset_increment={share}", "--group_reporting",
               "--randrepeat=0", "--output-format=json", *options]
    if not once:
        command += ["--time_based", f"--runtime={bench.seconds}"]
    out = subprocess.run(command, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    job = json.loads(out[out.index("{"):])["jobs"][0]
    ops = job["read"]["total_ios"] + job["write"]["total_ios"]
    ways = [job[way] for way in ("read", "write") if job[way]["total_ios"]]
    seconds = max(way["runtime"] for way in ways) / 1e3
    latency = ways[-1]["clat_ns"]["percentile"]
    return {"mb_s": ops * PAGE / 1e6 / seconds, "p50": latency["50.000000"] / 1e3, "p99": latency["99.000000"] / 1e3,
            "server_us": (job["usr_cpu"] + job["sys_cpu"]) / 100 * seconds * load.queues * 1e6 / ops}


def run_fio_batched(bench, load):
    """
    fio waits for one request, by itself, and submits the next in its place: its batches are of one request.
    Whoever serves a guest gets requests in batches; so fio takes all that has ended here, and submits as many.
    """
    return run_fio(bench, load, f"--iodepth_batch_complete_max={load.depth}")


# --- behind an NBD server ---

@contextlib.contextmanager
def nbd_server(bench, load):
    """(socket, export, whose CPU counts): qemu-storage-daemon with a file, or the server that was named."""
    if bench.given:
        if load.workload == "sparse":
            raise Missing("what is at a server that others started stays there")
        yield (*bench.given, bench.given_pids)
        return
    path, socket = prepare(bench, "behind", load), bench.path("nbd")
    with open(path, "ab") as f:
        # The daemon has a head before its pages.
        os.truncate(f.fileno(), bench.bytes + (16 << 20))
    # As docs/stores.md says: a file's writes have ended when the process has.
    command = [need("qemu-storage-daemon"), *file_node("file", path, "threads"),
               "--nbd-server", f"addr.type=unix,addr.path={socket},max-connections={load.workers}",
               "--export", "type=nbd,id=export,node-name=file,name=store,writable=on"]
    with server(command, socket, bench.path("nbd.log")) as process:
        yield socket, "store", [process.pid]


def run_cswapd_nbd(bench, load):
    with nbd_server(bench, load) as (socket, export, pids):
        command = [*cswapd_command(bench, load, f"nbd:{socket}:{export}"), "--format"]
        with server(command, bench.path("socket"), bench.path("log")) as process:
            return simulate(bench, load, [process.pid, *pids], ["--no-seal"])


def run_blk_nbd(bench, load):
    with nbd_server(bench, load) as (socket, export, pids):
        node = ["--blockdev", "driver=nbd,node-name=disk,discard=unmap,"
                f"server.type=unix,server.path={socket},export={export}"]
        with server(storage_daemon(bench, load, node), bench.path("socket"), bench.path("log")) as process:
            return simulate(bench, load, [process.pid, *pids], ["--blk"])


def run_blk_given(bench, load):
    """qemu-storage-daemon that reaches the storage itself: what a hop less is worth."""
    if not bench.blockdev or load.workload == "sparse":
        raise Missing("no --blockdev")
    with server(storage_daemon(bench, load, ["--blockdev", f"{bench.blockdev},node-name=disk"]),
                bench.path("socket"), bench.path("log")) as process:
        return simulate(bench, load, [process.pid], ["--blk"])


CONTENDERS = {
    "fio": run_fio,
    "fio, batched": run_fio_batched,
    "vhost-user-blk": run_blk,
    "cswapd": lambda bench, load: run_cswapd(bench, load, "--no-seal"),
    "cswapd, base": run_base,
    "cswapd, sealed": run_cswapd,
    "vhost-user-blk, NBD": run_blk_nbd,
    "cswapd, NBD": run_cswapd_nbd,
    "vhost-user-blk, --blockdev": run_blk_given,
}
