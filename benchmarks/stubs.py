"""A server and workers that sleep instead of computing; `scheduling.py` starts this as processes.

python benchmarks/stubs.py server WORKERS PORT ...    # prints what it cost
python benchmarks/stubs.py workers COUNT PORT ...     # prints for how long they slept

Blocks are of small images, so that calls are what costs; or of large ones, which go down to the
workers (`--kind=down`), or whose gradients come up (`--kind=up`).
"""

import argparse
import contextlib
import json
import resource
import socket
import threading
import time

import numpy as np

from stillhouse import __version__
from stillhouse.data.wire import digest, pack
from stillhouse.kernels import KernelSpec, fc
from stillhouse.launch.engines.courier_client import CourierServer
from stillhouse.launch.engines.courier_server import serve_courier
from stillhouse.launch.engines.grpc_client import GrpcServer
from stillhouse.launch.engines.grpc_server import serve_grpc
from stillhouse.methods.programs import KernelBlock, KernelBlockVjp
from stillhouse.methods.tasks import Task
from stillhouse.server.blobs import BlobStore
from stillhouse.server.pool import WorkerPool
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service
from stillhouse.workers.connection import Server, ServerGone
from stillhouse.workers.registration import registration

# Rows and columns of a block, and its images: small, so that calls are measured and not copying.
ROWS, COLUMNS, SMALL = 48, 50, (8, 8, 1)
LARGE = (32, 32, 3)
KINDS = ("calls", "down", "up")
MOST = 2  # tasks that a worker has at a time, as the real ones
PATIENCE = 600  # seconds that one measurement may take
DESCRIPTION = {
    "version": __version__,
    "config_hash": "",
    "backend": "xla",
    "summary": "sleeping",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("numbers", type=int, nargs="*", help="count and port")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS, default="calls")
    parser.add_argument("--transport", choices=("grpc", "courier"), default="grpc")
    options = parser.parse_args()
    print(json.dumps(ROLES[options.role](options, *options.numbers)))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("", 0))
        return listener.getsockname()[1]


def serve(options: argparse.Namespace, workers: int, port: int) -> dict[str, float]:
    """Be the server of so many workers, from when all are there until all tasks are done."""
    tasks = blocks(workers * options.rounds, options.kind)
    with WorkerPool(Scheduler(time.monotonic), BlobStore()) as pool:
        service = Counting(pool, DESCRIPTION)
        with listening(options, service, port):
            until = time.monotonic() + PATIENCE
            while len(service.status()["workers"]) < workers:
                assert time.monotonic() < until, "not all workers came"
                time.sleep(0.05)
            service.calls, before = 0, dict(service.traffic)
            processor, started = time.process_time(), time.monotonic()
            total = np.zeros((COLUMNS, *LARGE))
            for (result,) in pool.results(tasks):
                if result.shape == total.shape:  # As a step adds gradients.
                    total += result
            found = {
                "tasks": len(tasks),
                "seconds": time.monotonic() - started,
                "processor": time.process_time() - processor,
                "calls": service.calls,
                **{way: service.traffic[way] - before[way] for way in before},
                "memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
            }
            pool.close()
            time.sleep(2 * options.seconds + 1)  # Those who ask now are told to end.
    return found


def listening(
    options: argparse.Namespace, service: Service, port: int
) -> contextlib.AbstractContextManager[None]:
    if options.transport == "courier":
        return serve_courier(service, port)
    return serve_grpc(service, f"localhost:{port}", token=None)


def connection(options: argparse.Namespace, port: int) -> Server:
    kind = CourierServer if options.transport == "courier" else GrpcServer
    return kind(f"localhost:{port}", timeout=60)


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


def blocks(count: int, kind: str) -> list[Task]:
    """Return tasks as a step has them: rows of a matrix, each of ten blocks."""
    rng, shape = np.random.default_rng(0), SMALL if kind == "calls" else LARGE
    columns = [rng.normal(size=(COLUMNS, *shape)).astype(np.float32) for _ in range(10)]
    spec, tasks = KernelSpec(fc(1)), []
    row = rng.normal(size=(ROWS, *shape)).astype(np.float32)
    g = np.zeros((ROWS, COLUMNS), np.float32)
    while len(tasks) < count:
        if kind == "up":
            tasks += [Task(KernelBlockVjp(spec, (1,)), (row, column), (g,)) for column in columns]
            continue
        row = row + np.float32(1)
        tasks += [Task(KernelBlock(spec), (row, column)) for column in columns]
    return tasks[:count]


def work(options: argparse.Namespace, count: int, port: int) -> dict[str, float]:
    """Be so many workers until the server has nothing more: threads, each with a connection."""
    shape = (COLUMNS, *LARGE) if options.kind == "up" else (ROWS, COLUMNS)
    found = [Stub(connection(options, port), options.seconds, shape) for _ in range(count)]
    threads = [threading.Thread(target=stub.work, daemon=True) for stub in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return {"asleep": sum(stub.asleep for stub in found)}


class Stub:
    """A worker that sleeps. Its next task and images are there before this one is done."""

    def __init__(self, server: Server, seconds: float, shape: tuple[int, ...]) -> None:
        self._server, self._seconds = server, seconds
        self._result = [pack(np.zeros(shape, np.float32))]
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
            self._get_arrays(worker, answer["tasks"])
            waiting += answer["tasks"]
            if running is None and waiting:
                running, ends = waiting.pop(0), time.monotonic() + self._seconds
            elif running is None:
                time.sleep(answer["wait"])

    def _register(self) -> dict:
        info = registration("cpu", 1, "xla")
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self._server.register(info)
            except ServerGone:
                assert time.monotonic() < until, "no server"
                time.sleep(0.2)

    def _get_arrays(self, worker: str, tasks: list[dict]) -> None:
        blobs = {name: blob for task in tasks for name, blob in task["enclosed"].items()}
        missing = {name for task in tasks for name in task["shared"]} - self._cached - blobs.keys()
        if missing:
            blobs |= self._server.fetch(worker, sorted(missing))["blobs"]
        assert all(digest(blob) == name for name, blob in blobs.items())
        self._cached |= blobs.keys()


ROLES = {"server": serve, "workers": work}

if __name__ == "__main__":
    main()
