"""Batches that come ahead of need change nothing but the time."""

import threading

import numpy as np
import pytest

from stillhouse.launch.engines.loaders import AHEAD, Arrivals, LoadedBatches, load
from stillhouse.launch.prepare import prepare
from stillhouse.launch.settings.run import DataConfig, DistillConfig
from stillhouse.methods.kernel_regression.kip_settings import KipSettings


@pytest.fixture
def job(spots, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = DistillConfig(
        data=DataConfig(dataset=str(spots)),
        own=KipSettings(architecture="fc", steps=9, target_batch=30, augment=True),
    )
    return prepare(config)


@pytest.fixture
def batches(job):
    return job.batches(job.fit_transform(), augmented=True)


def marked(step):
    """A batch that nobody would make."""
    return np.full((2, 6, 6, 1), step, np.float32), np.zeros((2, 3), np.float32)


def arrived(steps, eventually, most=10):
    """Arrivals that have received these steps in this order, as far as they take them."""
    left = iter(steps)
    asked = threading.Event()

    def receive():
        step = next(left, None)
        if step is None:
            asked.set()
            return None
        return step, marked(step)

    arrivals = Arrivals(receive, most)
    arrivals.__enter__()
    return arrivals, asked


def test_a_batch_that_came_is_taken_once_and_older_ones_are_forgotten(eventually):
    arrivals, asked = arrived([2, 0, 1, 5], eventually)
    assert asked.wait(10)
    x_t, _ = arrivals.take(1)
    assert (x_t == 1).all()
    assert arrivals.take(0) is None and arrivals.take(1) is None
    assert arrivals.take(3) is None
    assert (arrivals.take(5)[0] == 5).all()
    arrivals.__exit__()


def test_a_batch_that_comes_too_late_is_dropped(eventually):
    gate, items = threading.Event(), iter([3, 7])

    def receive():
        gate.wait(10)
        step = next(items, None)
        return None if step is None else (step, marked(step))

    with Arrivals(receive, 10) as arrivals:
        assert arrivals.take(4) is None
        gate.set()
        eventually(lambda: 7 in arrivals._batches, "received", 10)
        assert list(arrivals._batches) == [7]


def test_no_more_are_received_than_may_be_held(eventually):
    received = []

    def receive():
        received.append(len(received))
        return received[-1], marked(received[-1])

    with Arrivals(receive, 3) as arrivals:
        eventually(lambda: len(received) == 3, "received", 10)
        arrivals.take(0)
        eventually(lambda: len(received) == 4, "received", 10)
    assert len(received) == 4


def test_an_error_of_the_queue_is_told_once_and_outlived(caplog, eventually):
    calls = []

    def receive():
        calls.append(1)
        if len(calls) < 4:
            raise RuntimeError("the queue is away")
        return (7, marked(7)) if len(calls) == 4 else None

    with Arrivals(receive, 3) as arrivals:
        eventually(lambda: 7 in arrivals._batches, "received", 10)
    assert len([r for r in caplog.records if "the queue is away" in r.message]) == 1


def test_what_did_not_come_is_made_here(job, batches, eventually):
    arrivals, asked = arrived([1], eventually)
    assert asked.wait(10)
    loaded = LoadedBatches.over(batches, arrivals=arrivals)
    for step in (0, 2):
        for found, expected in zip(loaded.batch(step), batches.batch(step), strict=True):
            assert found.tobytes() == expected.tobytes()
    arrivals.__exit__()


@pytest.mark.filterwarnings("ignore:distutils Version:DeprecationWarning")
def test_loaders_queue_the_batches_of_a_run(job, batches, eventually):
    reverb = pytest.importorskip("reverb", reason="needs Reverb, which is for Python 3.10")
    from stillhouse.launch.engines.loaders import queue_tables, receive_from

    server = reverb.Server(tables=queue_tables(2))
    client = reverb.Client(f"localhost:{server.port}")
    receive = receive_from(client)
    assert receive() is None
    ended = threading.Event()
    threads = [
        threading.Thread(
            target=load,
            args=(job, client),
            kwargs={"index": index, "loaders": 2, "should_stop": ended.is_set},
        )
        for index in range(2)
    ]
    try:
        for thread in threads:
            thread.start()
        # They wait for the queue, which is full.
        table = lambda: client.server_info(timeout=2)["targets"]  # noqa: E731
        eventually(lambda: table().current_size == 2 * AHEAD, "full", 20)
        assert all(thread.is_alive() for thread in threads)
        found = {}
        eventually(lambda: found.update([receive() or (-1, None)]) or len(found) > 9, "read", 20)
        del found[-1]
        assert sorted(found) == list(range(9))
        for step, (x_t, y_t) in found.items():
            expected = batches.batch(step)
            assert (x_t.dtype, y_t.dtype) == (np.float32, np.float32)
            assert (x_t.tobytes(), y_t.tobytes()) == tuple(a.tobytes() for a in expected)
    finally:
        ended.set()
        for thread in threads:
            thread.join(20)
        server.stop()
