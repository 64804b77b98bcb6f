"""How many workers one server keeps busy, by stubs that sleep instead of computing.

    python benchmarks/scheduling.py                          # prints the tables
    python benchmarks/scheduling.py --write docs             # also writes docs/scheduling.md
    python benchmarks/scheduling.py --workers 8 --rounds 2   # a quick look

First for real: a server as `stillhouse serve` has it, and stubs that lease, fetch, sleep and
complete over Courier on this machine, as threads of a few processes. All of them share its cores
with the server, so this is a lower bound. Then simulated, with the same scheduler on a virtual
clock, and the costs that were measured: processor time of the server for each call.
"""

import argparse
import dataclasses
import json
import os
import platform
import resource
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from stillhouse import __version__
from stillhouse.data.wire import digest, pack
from stillhouse.kernels import KernelSpec, fc
from stillhouse.launch.engines.courier_client import CourierServer
from stillhouse.launch.engines.courier_server import serve_courier
from stillhouse.methods.tasks import Task
from stillhouse.server.blobs import BlobStore
from stillhouse.server.pool import WorkerPool
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service
from stillhouse.workers.connection import PROTOCOL, ServerGone

# Rows and columns of a block, and its images: small, so that calls are measured and not copying.
ROWS, COLUMNS, IMAGE = 48, 50, (8, 8, 1)
MOST = 2  # tasks that a worker has at a time, as the real ones
PATIENCE = 600  # seconds that one measurement may take


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one measurement found: wall clock and processor time of the server, and the rest."""

    workers: int
    tasks: int
    seconds: float
    busy: float
    processor: float
    calls: int
    memory_gb: float

    @property
    def call_seconds(self) -> float:
        """Processor time of the server for each call."""
        return self.processor / self.calls


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[32, 128, 256, 512])
    parser.add_argument("--seconds", type=float, default=0.5, help="what a block takes")
    parser.add_argument("--rounds", type=int, default=20, help="blocks for each worker")
    parser.add_argument("--processes", type=int, default=4, help="that hold the stubs")
    parser.add_argument("--simulated", type=int, nargs="+", default=[512, 1024, 2048, 4096])
    parser.add_argument("--write", type=Path, help="folder for scheduling.md")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        role, *arguments = options.child
        result = {"server": serve, "stubs": stubs}[role](options, *map(int, arguments))
        print(json.dumps(result))
        return
    measured = [measure(workers, options) for workers in options.workers]
    lines = report(measured, options)
    print("\n".join(lines))
    if options.write:
        (options.write / "scheduling.md").write_text("\n".join(lines) + "\n")


def measure(workers: int, options: argparse.Namespace) -> Measured:
    """Start a server and its stubs, and return what they found."""
    port = free_port()
    server = child(options, "server", workers, port)
    shares = [len(range(i, workers, options.processes)) for i in range(options.processes)]
    stubs = [child(options, "stubs", share, port) for share in shares if share]
    try:
        outputs = [process.communicate(timeout=PATIENCE)[0] for process in (server, *stubs)]
    finally:
        for process in (server, *stubs):
            process.kill()
    served, *slept = (json.loads(output) for output in outputs)
    asleep = sum(found["asleep"] for found in slept)
    found = Measured(workers=workers, busy=asleep / (workers * served["seconds"]), **served)
    print(f"{workers} workers: busy {found.busy:.1%}", file=sys.stderr)
    return found


def child(options: argparse.Namespace, *role: object) -> subprocess.Popen:
    flags = [f"--seconds={options.seconds}", f"--rounds={options.rounds}"]
    command = [sys.executable, __file__, *flags, "--child", *map(str, role)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("", 0))
        return listener.getsockname()[1]


def serve(options: argparse.Namespace, workers: int, port: int) -> dict[str, float]:
    """Be the server of so many workers, from when all are there until all tasks are done."""
    tasks = blocks(workers * options.rounds)
    with WorkerPool(Scheduler(time.monotonic), BlobStore(), should_stop=lambda: False) as pool:
        description = {
            "version": __version__,
            "config_hash": "",
            "backend": "xla",
            "summary": "sleeping",
        }
        service = Counting(pool, description)
        with serve_courier(service, port):
            until = time.monotonic() + PATIENCE
            while len(service.status()["workers"]) < workers:
                assert time.monotonic() < until, "not all workers came"
                time.sleep(0.05)
            service.calls = 0
            processor, started = time.process_time(), time.monotonic()
            for _ in pool.results(tasks):
                pass
            found = {
                "tasks": len(tasks),
                "seconds": time.monotonic() - started,
                "processor": time.process_time() - processor,
                "calls": service.calls,
                "memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
            }
            pool.close()
            time.sleep(2 * options.seconds + 1)  # Those who ask now are told to end.
    return found


class Counting(Service):
    """A service that counts the calls of workers."""

    calls = 0

    def lease(self, *arguments, **keywords):
        self.calls += 1
        return super().lease(*arguments, **keywords)

    def fetch(self, *arguments, **keywords):
        self.calls += 1
        return super().fetch(*arguments, **keywords)

    def complete(self, *arguments, **keywords):
        self.calls += 1
        return super().complete(*arguments, **keywords)

    def heartbeat(self, *arguments, **keywords):
        self.calls += 1
        return super().heartbeat(*arguments, **keywords)


def blocks(count: int) -> list[Task]:
    """Return tasks as a step has them: rows of a matrix, each of ten blocks."""
    rng = np.random.default_rng(0)
    columns = [rng.normal(size=(COLUMNS, *IMAGE)).astype(np.float32) for _ in range(10)]
    spec, tasks = KernelSpec(fc(1)), []
    while len(tasks) < count:
        row = rng.normal(size=(ROWS, *IMAGE)).astype(np.float32)
        tasks += [Task("block", spec, (row, column)) for column in columns]
    return tasks[:count]


def stubs(options: argparse.Namespace, count: int, port: int) -> dict[str, float]:
    """Be so many workers, as threads, until the server has nothing more."""
    server = CourierServer(f"localhost:{port}", timeout=60)
    found = [Stub(server, options.seconds) for _ in range(count)]
    threads = [threading.Thread(target=stub.work, daemon=True) for stub in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return {"asleep": sum(stub.asleep for stub in found)}


class Stub:
    """A worker that sleeps. Its next task and images are there before this one is done."""

    def __init__(self, server: CourierServer, seconds: float) -> None:
        self._server, self._seconds = server, seconds
        self._result = [pack(np.zeros((ROWS, COLUMNS), np.float32))]
        self._cached: set[str] = set()
        self.asleep = 0.0

    def work(self) -> None:
        answer = self._register()
        worker, beat = answer["worker"], answer["heartbeat"]
        waiting: list[dict] = []
        running, ends, beats = None, 0.0, time.monotonic() + beat
        while True:
            try:
                if running is None and not waiting:
                    answer = self._server.lease(worker, MOST)
                elif running is not None and time.monotonic() >= ends:
                    room = MOST - len(waiting)
                    self.asleep += self._seconds
                    # While this travels the next one would be computed.
                    done, running = running, waiting.pop(0) if waiting else None
                    ends = max(ends, time.monotonic() - self._seconds) + self._seconds
                    answer = self._server.complete(
                        worker, done["id"], self._result, self._seconds, room
                    )
                elif time.monotonic() >= beats:
                    held = [t["id"] for t in (running, *waiting) if t]
                    beats += beat
                    self._server.heartbeat(worker, held, {})
                    continue
                else:
                    time.sleep(max(min(ends, beats) - time.monotonic(), 0))
                    continue
            except ServerGone:
                return
            if answer["status"] != "ok":
                return
            self._fetch(worker, answer["tasks"])
            waiting += answer["tasks"]
            if running is None and waiting:
                running, ends = waiting.pop(0), time.monotonic() + self._seconds
            elif running is None:
                time.sleep(answer["wait"])

    def _register(self) -> dict:
        info = {"version": __version__, "protocol": PROTOCOL, "host": socket.gethostname()}
        info |= {"pid": os.getpid(), "device": "cpu", "backend": "xla", "threads": 1}
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self._server.register(info | {"config_hash": ""})
            except ServerGone:
                assert time.monotonic() < until, "no server"
                time.sleep(0.2)

    def _fetch(self, worker: str, tasks: list[dict]) -> None:
        missing = {name for task in tasks for name in task["images"]} - self._cached
        if missing:
            blobs = self._server.fetch(worker, sorted(missing))["blobs"]
            assert all(digest(blob) == name for name, blob in blobs.items())
            self._cached |= missing


def report(measured: list[Measured], options: argparse.Namespace) -> list[str]:
    """Return the tables, as Markdown."""
    return [platform.platform(), *(str(found) for found in measured)]


if __name__ == "__main__":
    main()
