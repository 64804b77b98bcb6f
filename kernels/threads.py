"""Chunks of work on threads, their results in order."""

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_WAITING_PER_THREAD = 2


def default_threads() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """Threads that live as long as one call of a kernel, so that no fork inherits idle ones."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def in_order(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Yield `function(item)` in the order of the items, a bounded number of them ahead.

        The order is what makes sums over results independent of the number of threads.
        """
        if self._pool is None:
            yield from map(function, items)
            return
        running: collections.deque[Future[R]] = collections.deque()
        for item in items:
            running.append(self._pool.submit(function, item))
            if len(running) > _WAITING_PER_THREAD * self._threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
