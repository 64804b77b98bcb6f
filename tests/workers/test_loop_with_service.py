"""Real workers and the real server, in one process."""

import threading
import time

import numpy as np
import pytest

import stillhouse
from stillhouse.data.pixel_images import seen_through
from stillhouse.data.transforms import fit_transform
from stillhouse.kernels.architecture import fc
from stillhouse.kernels.spec import KernelSpec
from stillhouse.methods.kernel_regression.tiled import TiledComputer
from stillhouse.server.blobs import BlobStore
from stillhouse.server.pool import WorkerPool
from stillhouse.server.scheduler import Scheduler
from stillhouse.server.service import Service
from stillhouse.workers import leased
from stillhouse.workers.local import LocalComputer
from stillhouse.workers.loop import Refused, ServerGone, work

PATIENCE = 300
_SPEC = KernelSpec(fc(1))


@pytest.fixture(scope="module")
def problem():
    """Enough images for several tiles of every kind."""
    rng = np.random.default_rng(0)
    x_s, x_t = rng.normal(size=(300, 2, 3, 1)), rng.normal(size=(700, 2, 3, 1))
    g_ss, g_ts = rng.normal(size=(300, 300)), rng.normal(size=(700, 300))
    return tuple(array.astype(np.float32) for array in (x_s, x_t, g_ss, g_ts))


@pytest.fixture(scope="module")
def expected(problem):
    return results(LocalComputer("xla", threads=1), problem)


def results(computer, problem):
    x_s, x_t, _, _ = problem
    return (*computer.forward(_SPEC, x_s, x_t), computer.backward(_SPEC, *problem))


def assert_same_bits(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def pool():
    ends = time.monotonic() + PATIENCE
    # Beats are late where many processes share the machine: no task is given up for that.
    scheduler = Scheduler(time.monotonic, heartbeat=0.3, max_losses=10**6)
    with WorkerPool(scheduler, BlobStore(), should_stop=lambda: time.monotonic() > ends) as pool:
        yield pool


@pytest.fixture
def service(pool):
    config = {
        "version": stillhouse.__version__,
        "config_hash": "f00",
        "backend": "xla",
        "summary": "a run",
    }
    return Service(pool, config)


@pytest.fixture
def workers(pool):
    """Start workers in threads; after the pool has closed they all end."""
    threads, done = [], []

    def start(*servers, **options):
        for server in servers:

            def run(server=server):
                done.append(work(server, **{"threads": 1, "max_idle": PATIENCE, **options}))

            threads.append(threading.Thread(target=run))
            threads[-1].start()
        return done

    yield start
    pool.close()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


class Unreliable:
    """A server behind a line that fails from the n-th call of one method on, for so many calls."""

    def __init__(self, server, method, *, calls, failures):
        self._server, self._method = server, method
        self._calls, self._failures = calls, failures

    def __getattr__(self, name):
        def call(*arguments):
            if name == self._method or self._calls < 0:
                self._calls -= 1
                if self._calls < 0 and self._failures > 0:
                    self._failures -= 1
                    raise ServerGone("the line is down")
            return getattr(self._server, name)(*arguments)

        return call


def test_two_workers_give_the_bits_of_one_process(service, pool, workers, problem, expected):
    done = workers(service, service)
    computer = TiledComputer(pool)
    assert_same_bits(results(computer, problem), expected)
    pool.close()
    until = time.monotonic() + PATIENCE
    while len(done) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert [one.end for one in done] == ["finished"] * 2
    assert sum(one.work["kernel elements"] for one in done) >= computer.elements


def test_pixels_travel_as_such_and_give_the_same_bits(service, pool, workers, problem):
    x_s = problem[0]
    pixels = np.random.default_rng(1).integers(0, 256, (700, *x_s.shape[1:]), np.uint8)
    x_t = seen_through(fit_transform("standardise", pixels), pixels)
    workers(service, service)
    found = TiledComputer(pool).cross(_SPEC, x_t, x_s)
    np.testing.assert_array_equal(
        found, LocalComputer("xla", threads=1).cross(_SPEC, np.asarray(x_t), x_s)
    )
    tables = 2**10 * 4
    assert service.traffic["down"] < 2 * (x_s.nbytes + pixels.nbytes + tables)


@pytest.mark.parametrize("method", ["fetch", "lease", "complete", "heartbeat"])
def test_one_that_dies_does_not_change_the_bits(service, pool, workers, problem, expected, method):
    dying = Unreliable(service, method, calls=1, failures=10**9)
    workers(dying, max_idle=1.0)
    workers(service)
    assert_same_bits(results(TiledComputer(pool), problem), expected)


def test_one_whose_line_was_down_goes_on(service, pool, workers, problem, expected):
    # Long enough for the server to give it up and forget it.
    line = Unreliable(service, "complete", calls=2, failures=4)
    done = workers(line)
    assert_same_bits(results(TiledComputer(pool), problem), expected)
    assert not done


def test_a_late_worker_is_welcome(service, pool, workers, problem, expected):
    def when_tasks_wait():
        until = time.monotonic() + PATIENCE
        while not pool.counts()["queued"] and time.monotonic() < until:
            time.sleep(0.01)
        workers(service)

    later = threading.Thread(target=when_tasks_wait)
    later.start()
    assert_same_bits(results(TiledComputer(pool), problem), expected)
    later.join(PATIENCE)


def test_too_little_memory_is_no_end(service, pool, workers, problem, monkeypatch):
    # Every task fails at its first attempt.
    original, seen = leased.compute, set()

    def once_too_little(kernel, task):
        name = threading.current_thread().name
        if name not in seen:
            seen.add(name)
            raise MemoryError("little")
        return original(kernel, task)

    monkeypatch.setattr(leased, "compute", once_too_little)
    workers(service, service)
    x = problem[0]
    found = TiledComputer(pool).gram(_SPEC, x)
    np.testing.assert_array_equal(found, LocalComputer("xla", threads=1).gram(_SPEC, x))


def test_images_that_leave_float32_end_the_run_by_name(service, pool, workers, problem):
    workers(service, service)
    x = problem[0] * np.float32(1e30)
    with np.errstate(over="ignore"), pytest.raises(FloatingPointError, match="not finite"):
        TiledComputer(pool).gram(_SPEC, x)
    assert {worker["state"] for worker in service.status()["workers"]} <= {"idle", "busy"}


def test_the_server_refuses_whose_bits_would_differ(service):
    with pytest.raises(Refused, match="the run computes by xla, this worker by fused"):
        work(service, backend_override="fused")


def test_after_the_end_nobody_is_taken_in(service, pool):
    pool.close()
    assert work(service).end == "finished"
    assert service.status()["workers"] == []
