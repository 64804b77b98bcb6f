import collections
import threading

import numpy as np
import pytest

from stillhouse.data.wire import digest, pack, unpack
from stillhouse.kernels.architecture import fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.programs import (
    KernelBlock,
    KernelBlockVjp,
    KernelGram,
    KernelGramVjp,
    program_to_json,
)
from stillhouse.methods.tasks import Task
from stillhouse.workers import leased
from stillhouse.workers.loop import work

PATIENCE = 60

SPEC = KernelSpec(fc(1))


class StandIn:
    """A server with a list of tasks, that does what a test wants of it.

    `next_answers[method]` are answers to give, or errors to raise, in place of the true ones.
    """

    def __init__(self, tasks=(), *, backend="xla", heartbeat=0.05):
        self.blobs, self.entries, self.results = {}, {}, {}
        self.backend, self.heartbeat_seconds = backend, heartbeat
        self.next_answers = collections.defaultdict(collections.deque)
        self.calls, self.beats, self.infos = [], [], []
        self.failures, self.revoked, self.left = {}, set(), []
        self.stops = True
        self._lock = threading.Lock()
        for i, task in enumerate(tasks):
            self.add(f"t{i}", task)
        self.queue = list(self.entries)

    def add(self, name, task):
        shared = [self.put(pack(x)) for x in task.shared]
        self.entries[name] = {
            "id": name,
            "program": program_to_json(task.program),
            "shared": shared,
            "own": [pack(array) for array in task.own],
            "work": task.work,
        }

    def put(self, data):
        self.blobs[digest(data)] = data
        return digest(data)

    def called(self, method):
        return [arguments for name, *arguments in self.calls if name == method]

    def register(self, info):
        self.infos.append(info)
        run = {"version": "", "config_hash": "", "backend": self.backend, "summary": "a run"}
        worker = f"w{len(self.infos)}"
        return self._answer("register", [info], worker=worker, heartbeat=self.heartbeat_seconds,
                            run=run, max_bytes=1 << 30)  # fmt: skip

    def lease(self, worker, most):
        return self._answer("lease", [worker, most], self._tasks, most)

    def fetch(self, worker, hashes):
        blobs = {name: self.blobs[name] for name in hashes if name in self.blobs}
        return self._answer("fetch", [worker, hashes], blobs=blobs)

    def complete(self, worker, task, results, seconds, most):
        def accept():
            self.results.setdefault(task, tuple(map(unpack, results)))
            return self._tasks(most) | {"accepted": "first"}

        return self._answer("complete", [worker, task, results, seconds, most], accept)

    def fail(self, worker, task, kind, reason):
        self.failures[task] = kind, reason
        return self._answer("fail", [worker, task, kind, reason])

    def heartbeat(self, worker, tasks, stats):
        self.beats.append((worker, tasks, stats))
        revoked = [task for task in tasks if task in self.revoked]
        return self._answer("heartbeat", [worker, tasks, stats], revoked=revoked)

    def leave(self, worker):
        self.left.append(worker)
        return self._answer("leave", [worker])

    def _tasks(self, most):
        tasks = [self.entries[name] for name in self.queue[:most]]
        del self.queue[:most]
        held = set(self.entries) - set(self.queue) - set(self.results) - set(self.failures)
        over = self.stops and not tasks and held <= self.revoked
        return {"status": "stop"} if over else {"status": "ok", "tasks": tasks, "wait": 0.01}

    def _answer(self, method, arguments, function=None, *inputs, **entries):
        with self._lock:
            self.calls.append((method, *arguments))
            if self.next_answers[method]:
                answer = self.next_answers[method].popleft()
                if isinstance(answer, Exception):
                    raise answer
                if answer is not None:
                    return answer
            return function(*inputs) if function else {"status": "ok", **entries}


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(0).normal(size=(12, 2, 3, 1)).astype(np.float32)


@pytest.fixture(scope="session")
def tasks(images):
    """One of every program, of the same kernel; two share their images."""
    g = np.random.default_rng(1).normal(size=(12, 12)).astype(np.float32)
    x1, x2 = images[:5], images[5:]
    return (
        Task(KernelGram(SPEC), (x1,)),
        Task(KernelBlock(SPEC), (x1, x2)),
        Task(KernelGramVjp(SPEC), (x2,), (g[5:, 5:],)),
        Task(KernelBlockVjp(SPEC, (0, 1)), (x1, x2), (g[:5, 5:],)),
        Task(KernelBlockVjp(SPEC, (1,)), (x1, x2), (g[:5, 5:],)),
    )


@pytest.fixture
def stand_in():
    return StandIn


@pytest.fixture
def slowly(monkeypatch):
    """Let what is computed first wait for an event, and say when it has begun."""

    class Slowly:
        begun, goes_on = threading.Event(), threading.Event()

    def compute(context, task):
        Slowly.begun.set()
        assert Slowly.goes_on.wait(PATIENCE)
        return original(context, task)

    original = leased.compute
    monkeypatch.setattr(leased, "compute", compute)
    yield Slowly
    Slowly.goes_on.set()


@pytest.fixture
def background():
    """Let a worker work in a thread; its result is what the function returned gives."""
    threads = []

    def start(*arguments, **options):
        outcome = []
        thread = threading.Thread(target=lambda: outcome.append(work(*arguments, **options)))
        threads.append(thread)
        thread.start()

        def result():
            thread.join(PATIENCE)
            return outcome[0]

        return result

    yield start
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
