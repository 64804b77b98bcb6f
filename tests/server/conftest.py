import contextlib
import dataclasses
import threading
import time

import numpy as np
import pytest

import stillhouse
from stillhouse.data.batches import TargetBatches
from stillhouse.data.dataset import dataset_from_arrays
from stillhouse.data.labels import centred_one_hot
from stillhouse.data.transforms import fit_transform
from stillhouse.data.wire import pack
from stillhouse.kernels.architecture import fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.algorithm import Interrupted
from stillhouse.methods.kernel_regression.evaluation import KrrScoring
from stillhouse.methods.kernel_regression.kip import Kip, KipConfig
from stillhouse.methods.kernel_regression.label_solve import LabelSolve
from stillhouse.methods.kernel_regression.tiled import TiledComputer
from stillhouse.methods.programs import (
    Context,
    KernelBlock,
    KernelBlockVjp,
    KernelGram,
    KernelGramVjp,
)
from stillhouse.methods.tasks import PROTOCOL, Tally, Task
from stillhouse.server.blobs import BlobStore
from stillhouse.server.distillation import distil
from stillhouse.server.leases import TaskRecord, WorkerInfo
from stillhouse.server.pool import WorkerPool
from stillhouse.server.run_folder import RunFolder
from stillhouse.server.schedule import Schedule
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service
from stillhouse.workers.local import LocalRunner

SPEC = KernelSpec(fc(1))
CLASSES, TARGETS = 3, 24


@dataclasses.dataclass
class Workshop:
    """A small problem, and runs of it."""

    dataset: object
    transform: object
    tally: Tally

    @property
    def computer(self):
        return TiledComputer(self.tally)

    def start(self):
        first = np.concatenate([np.flatnonzero(self.dataset.y_train == c)[:2] for c in range(3)])
        labels = centred_one_hot(self.dataset.y_train[first], CLASSES)
        return self.transform.apply(self.dataset.x_train[first]), labels

    def batches(self):
        return TargetBatches(self.dataset, self.transform, TARGETS, 0)

    def kip(self, **options):
        config = KipConfig((SPEC,), **options)
        return Kip(config, self.batches(), self.computer, self.start, self.scoring())

    def label_solve(self, chunk=20):
        parts = (SPEC, 1e-6, self.dataset, self.transform, chunk, self.computer, self.start)
        return LabelSolve(*parts, self.scoring())

    def scoring(self, **options):
        return KrrScoring(self.computer, {"fc:1": SPEC}, self.batches(), 1e-6, **options)

    def distil(self, path, algorithm, schedule, should_stop=lambda: False, **options):
        folder = RunFolder(path)
        scoring = dataclasses.replace(algorithm.scoring, should_stop=should_stop)
        with folder.opened({"seed": 0}, {}):
            return distil(
                dataclasses.replace(algorithm, scoring=scoring),
                schedule=schedule,
                tally=self.tally,
                folder=folder,
                should_stop=should_stop,
                **options,
            )


@pytest.fixture(scope="session")
def workshop():
    rng = np.random.default_rng(0)
    y = np.arange(150) % CLASSES
    x = rng.normal(size=(150, 4, 4, 1)) + np.eye(16)[y].reshape(-1, 4, 4, 1) * 3
    dataset = dataset_from_arrays(x.astype(np.float32), y, name="spots")
    transform = fit_transform("standardise", dataset.x_train)
    return Workshop(dataset, transform, Tally(LocalRunner(Context())))


@pytest.fixture
def schedule():
    return Schedule(7, checkpoint_every=3, eval_every=2)


class Clock:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


class Desk:
    """A scheduler, its clock, and short words for what is done to it."""

    def __init__(self, **options):
        self.clock = Clock()
        self.scheduler = Scheduler(self.clock, **options)
        self.events = []

    def submit(self, count, work=10, blobs=()):
        return self.scheduler.submit([TaskRecord(work, tuple(blobs))] * count)

    def worker(self, host="host"):
        return self.scheduler.register(WorkerInfo(host, 7))

    def wait(self, seconds, *alive):
        """Let time go by, while these workers beat for what they hold."""
        until = self.clock.seconds + seconds
        while self.clock.seconds < until:
            self.clock.seconds = min(self.clock.seconds + 1.0, until)
            for worker in alive:
                self.scheduler.renew(worker, self.held(worker))
            self.events += self.scheduler.tick()

    def held(self, worker):
        return list(self.scheduler.roster.get(worker).held)

    def said(self, kind):
        return [event.message for event in self.events if event.kind == kind]

    def counts(self, *names):
        counts = self.scheduler.counts()
        return tuple(counts[name] for name in names)


class House:
    """A service with one task of each kind to lend, and somebody who waits for their results."""

    run = {"version": stillhouse.__version__, "config_hash": "c0", "backend": "xla", "summary": "s"}
    info = {
        **{"version": stillhouse.__version__, "protocol": PROTOCOL, "host": "there", "pid": 7},
        **{"device": "gpu:0", "device_kind": "NVIDIA A", "processor": "Intel P (avx2)"},
        **{"backend": "", "threads": 2, "config_hash": ""},
    }

    def __init__(self, kinds=None, tasks=None, **run):
        self.tasks = all_kinds_of_tasks() if tasks is None else tasks
        self.clock = Clock()
        self.blobs = BlobStore()
        self.pool = WorkerPool(Scheduler(self.clock), self.blobs)
        self.service = Service(self.pool, {**self.run, **run}, kinds, clock=self.clock)
        self.results = []
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()
        while self.pool.counts()["queued"] < len(self.tasks):
            time.sleep(0.0001)

    def _wait(self):
        with contextlib.suppress(Interrupted):
            self.results += self.pool.results(self.tasks)

    def join(self, **info):
        return self.service.register({**self.info, **info})["worker"]

    def task_of(self, entry):
        return self.tasks[int(entry["id"].split("-")[1]) - 1]

    def hand_in(self, worker, entry, most=0):
        """Complete a task with results of the right shapes."""
        types = self.task_of(entry).results
        results = [pack(np.ones(each.shape, each.dtype)) for each in types]
        return self.service.complete(worker, entry["id"], results, 0.1, most)

    def finish(self):
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.results

    def close(self):
        self.pool.close()
        self._thread.join(60)


def all_kinds_of_tasks():
    x1, x2 = (np.full((n, 4, 4, 1), n, np.float32) for n in (2, 3))
    g = np.ones((2, 3), np.float32)
    return [
        Task(KernelGram(SPEC), (x1,)),
        Task(KernelBlock(SPEC), (x1, x2)),
        Task(KernelGramVjp(SPEC), (x1,), (g[:, :2],)),
        Task(KernelBlockVjp(SPEC, (0, 1)), (x1, x2), (g,)),
    ]


@pytest.fixture(scope="session")
def make_house():
    return House


@pytest.fixture
def house():
    house = House()
    yield house
    house.close()


@pytest.fixture(scope="session")
def make_desk():
    return Desk


@pytest.fixture
def desk():
    return Desk()
