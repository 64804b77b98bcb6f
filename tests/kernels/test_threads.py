"""Results come in order, a bounded number ahead, and errors come through."""

import threading
import time

import pytest

from stillhouse.kernels.threads import Workers, default_threads


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_the_items(threads):
    def slow_first(i):
        time.sleep(0.02 if i % 3 == 0 else 0)
        return i

    with Workers(threads) as workers:
        assert list(workers.in_order(slow_first, range(20))) == list(range(20))


def test_no_more_work_is_taken_than_is_waited_for():
    started = []
    with Workers(2) as workers:
        results = workers.in_order(started.append, range(1000))
        next(results)
        time.sleep(0.05)
        assert len(started) < 20


def test_both_threads_work_at_the_same_time():
    barrier = threading.Barrier(2, timeout=10)
    with Workers(2) as workers:
        assert len(list(workers.in_order(lambda _: barrier.wait(), range(2)))) == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_chunk_is_raised(threads):
    with Workers(threads) as workers, pytest.raises(ZeroDivisionError):
        list(workers.in_order(lambda i: 1 // i, [1, 0, 1]))


def test_one_thread_for_each_core_by_default():
    assert default_threads() >= 1
