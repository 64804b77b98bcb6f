import itertools
import threading
import time

import numpy as np
import pytest

from stillhouse.data.wire import pack, unpack
from stillhouse.kernels.architecture import fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.algorithm import Interrupted
from stillhouse.methods.kernel_regression.tiled import TiledComputer
from stillhouse.methods.programs import KernelGram
from stillhouse.methods.tasks import Task, TaskFailedError
from stillhouse.server.blobs import BlobStore
from stillhouse.server.leases import WorkerInfo
from stillhouse.server.pool import WorkerPool
from stillhouse.server.scheduler import Scheduler
from stillhouse.workers.local import LocalComputer, LocalRunner

SPEC = KernelSpec(fc(1))


def tasks_of(count, rows=3):
    x = np.random.default_rng(0).normal(size=(rows * count, 4, 4, 1)).astype(np.float32)
    return [Task(KernelGram(SPEC), (x[i * rows : (i + 1) * rows],)) for i in range(count)]


def result_of(task, value=1.0):
    return [pack(np.full(each.shape, value, each.dtype)) for each in task.results]


class Crew:
    """Threads that compute what a pool lends; what they do is a function of the task's number."""

    def __init__(self, pool, blobs, size, compute):
        self.pool, self.blobs, self.compute = pool, blobs, compute
        self.threads = [threading.Thread(target=self.work) for _ in range(size)]

    def work(self):
        worker = self.pool.register(WorkerInfo())
        while not self.pool.is_closed:
            if self.pool.state(worker)[0] == "unknown":  # The machine was busy.
                worker = self.pool.register(WorkerInfo())
            offers = self.pool.lease(worker, 2)
            for offer in offers:
                # Else the results are not waited for any more.
                if set(self.pool.fetch(worker, offer.shared)) == set(offer.shared):
                    self.compute(self.pool, worker, offer)
            if not offers:
                time.sleep(0.001)

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_):
        self.pool.close()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture
def blobs():
    return BlobStore()


@pytest.fixture
def pool(blobs):
    with WorkerPool(Scheduler(time.monotonic), blobs) as pool:
        yield pool


def gram(x):
    """As good a kernel as any, in no time."""
    return x.reshape(len(x), -1) @ x.reshape(len(x), -1).T


def honest(pool, worker, offer):
    (data,) = pool.fetch(worker, offer.shared).values()
    time.sleep(hash(offer.id) % 5 / 1000)  # So that they end in any order.
    pool.complete(worker, offer.id, [pack(gram(unpack(data)))])


def test_results_are_those_of_the_tasks_in_their_order(pool, blobs):
    tasks = tasks_of(50)
    with Crew(pool, blobs, 3, honest):
        results = list(pool.results(tasks))
    assert len(results) == len(tasks)
    for task, (result,) in zip(tasks, results, strict=True):
        assert result.tobytes() == gram(*task.shared).tobytes()
    assert (len(blobs), pool.counts()["done"]) == (0, 50)


def test_no_tasks_no_results(pool):
    assert list(pool.results([])) == []


def test_only_so_many_are_ahead_of_what_was_taken(pool, blobs):
    tasks = tasks_of(200)
    results = pool.results(tasks)
    worker = pool.register(WorkerInfo())
    handed_in, most = 0, 0

    def hand_in():
        nonlocal handed_in, most
        while handed_in < len(tasks) and not pool.is_closed:
            for offer in pool.lease(worker, 2):
                pool.complete(worker, offer.id, result_of(offer.task))
                handed_in += 1
            most = max(most, pool.counts()["queued"], len(blobs))

    with Crew(pool, blobs, 0, None):
        thread = threading.Thread(target=hand_in)
        thread.start()
        next(results)
        time.sleep(0.3)
        assert handed_in <= 64
        assert len(list(results)) == len(tasks) - 1
        thread.join(60)


def test_two_may_ask_at_once(pool, blobs):
    first, second = tasks_of(9), tasks_of(7, rows=2)
    with Crew(pool, blobs, 2, lambda pool, w, o: pool.complete(w, o.id, result_of(o.task))):
        pairs = list(itertools.zip_longest(pool.results(first), pool.results(second)))
    assert [a[0].shape for a, _ in pairs] == [(3, 3)] * 9
    assert [b[0].shape for _, b in pairs if b is not None] == [(2, 2)] * 7


def test_whoever_wants_no_more_leaves_nothing_behind(pool, blobs):
    results = pool.results(tasks_of(9))
    with Crew(pool, blobs, 1, lambda pool, w, o: pool.complete(w, o.id, result_of(o.task))):
        next(results)
        results.close()
        assert len(blobs) == 0
        assert pool.counts()["queued"] == 0


def test_junk_is_bad_and_the_task_goes_to_another(pool, blobs):
    (task,) = tasks_of(1)
    junk = [
        [],
        [b"junk"],
        result_of(task) * 2,
        [pack(np.ones((3, 2), np.float32))],
        [pack(np.ones((3, 3), np.float64))],
        [pack(np.ones(2**16, np.float32))],
        result_of(task, np.nan),
    ]
    refused = iter(junk)
    said = []

    def compute(pool, worker, offer):
        said.append(pool.complete(worker, offer.id, next(refused, result_of(task))))

    # On three workers of one host it would be the task's fault.
    pool._scheduler._blame._max_failures = len(junk) + 1
    with Crew(pool, blobs, 4, compute):
        assert len(list(pool.results([task]))) == 1
    assert said == ["bad"] * len(junk) + ["first"]


@pytest.mark.parametrize(
    ("kind", "error"),
    [("value", FloatingPointError), ("memory", TaskFailedError), ("other", TaskFailedError)],
)
def test_what_fails_everywhere_is_an_error(pool, blobs, kind, error):
    with Crew(pool, blobs, 2, lambda pool, w, o: pool.fail(w, o.id, "so it goes", kind)):
        with pytest.raises(error, match="so it goes"):
            list(pool.results(tasks_of(3)))
        assert (len(blobs), pool.counts()["queued"]) == (0, 0)


def test_nan_from_everybody_is_a_floating_point_error(pool, blobs):
    def compute(pool, worker, offer):
        pool.complete(worker, offer.id, result_of(offer.task, np.inf))

    with Crew(pool, blobs, 3, compute), pytest.raises(FloatingPointError, match="infinity"):
        list(pool.results(tasks_of(1)))


def test_a_lost_worker_is_logged_and_its_task_done_by_another(blobs, caplog):
    pool = WorkerPool(Scheduler(time.monotonic, heartbeat=0.3, backup_factor=1e9), blobs)
    results = pool.results(tasks_of(3))
    silent = pool.register(WorkerInfo("far", 9))
    thread = threading.Thread(target=lambda: taken.extend(results))
    taken = []
    thread.start()
    while not pool.lease(silent, 1):
        time.sleep(0.001)
    with Crew(pool, blobs, 1, honest):
        thread.join(60)
        assert len(taken) == 3
    assert pool.counts()["retries"] == 1
    (line,) = [r for r in caplog.records if "lost" in r.message]
    assert line.levelname == "WARNING"
    assert "far:9" in line.message and "silent for" in line.message


@pytest.mark.parametrize("how", ["should_stop", "close"])
def test_waiting_for_workers_can_be_interrupted(blobs, how, caplog):
    asked = threading.Event()
    scheduler = Scheduler(time.monotonic)
    with WorkerPool(scheduler, blobs, should_stop=asked.is_set) as pool:
        timer = threading.Timer(0.2, asked.set if how == "should_stop" else pool.close)
        timer.start()
        began = time.monotonic()
        with pytest.raises(Interrupted):
            list(pool.results(tasks_of(3)))
        assert time.monotonic() - began < 10
        assert len(blobs) == 0
        timer.join()


def test_it_says_so_when_nobody_is_there(blobs, caplog):
    times = iter(range(0, 10_000, 3))
    asked = iter([False] * 8 + [True])
    scheduler = Scheduler(lambda: float(next(times)))
    with WorkerPool(scheduler, blobs, should_stop=lambda: next(asked)) as pool:
        with pytest.raises(Interrupted):
            list(pool.results(tasks_of(3)))
    lines = [record.message for record in caplog.records if "no worker" in record.message]
    assert lines and "3 tasks wait" in lines[0]


def test_a_whole_step_has_the_bits_of_one_process(pool, blobs):
    rng = np.random.default_rng(0)
    x_s = rng.normal(size=(12, 4, 4, 1)).astype(np.float32)
    x_t = rng.normal(size=(40, 4, 4, 1)).astype(np.float32)
    local, here = LocalComputer("auto", 1), threading.Lock()
    expected = local.forward(SPEC, x_s, x_t)

    def compute(pool, worker, offer):
        with here:
            (result,) = LocalRunner(local.context).results([offer.task])
        pool.complete(worker, offer.id, [pack(part) for part in result])

    with Crew(pool, blobs, 2, compute):
        computer = TiledComputer(pool)
        got = computer.forward(SPEC, x_s, x_t)
        gradient = computer.backward(SPEC, x_s, x_t, *got)
    assert [k.tobytes() for k in got] == [k.tobytes() for k in expected]
    assert gradient.tobytes() == local.backward(SPEC, x_s, x_t, *expected).tobytes()
