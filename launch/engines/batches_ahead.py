"""The next target batch, made while workers compute the step of this one.

Whitening thousands of images takes a server longer than fast workers need for a step. A batch is a
function of the seed and the step, so it is the same whenever it is made.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from stillhouse.data.batches import TargetBatches
from stillhouse.data.pixel_images import Images
from stillhouse.methods.kernel_regression.one_thread import usual_threads


@dataclasses.dataclass(frozen=True, eq=False)
class BatchesAhead(TargetBatches):
    """Target batches of which the one that follows is there, or on its way.

    Attributes:
        ahead: makes it.
    """

    ahead: "Ahead" = dataclasses.field(kw_only=True)

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the target batch of a step."""
        return self.ahead.take(step, super().batch)

    def pixel_batch(self, step: int) -> tuple[Images, np.ndarray]:
        """Return it as `TargetBatches.pixel_batch` does."""
        return self.ahead.take(step, super().pixel_batch)


class Ahead:
    """Makes what is likely to be asked for next, in one thread."""

    def __init__(self, maker: ThreadPoolExecutor) -> None:
        self._maker = maker
        self._next: tuple[Any, Future[Any]] | None = None

    def take(self, step: int, make: Callable[[int], Any]) -> Any:
        """Return what `make` makes of a step, and have it begin with the one after that."""
        wanted, made = self._next or (None, None)
        if made is None or wanted != (make.__name__, step):
            made = self._maker.submit(_make, make, step)
        found = made.result()
        self._next = (make.__name__, step + 1), self._maker.submit(_make, make, step + 1)
        return found


def _make(make: Callable[[int], Any], step: int) -> Any:
    # What is not finite stops the run anyway, and numpy's warnings are each thread's own.
    with usual_threads(), np.errstate(over="ignore", invalid="ignore"):
        return make(step)


@contextlib.contextmanager
def batches_ahead() -> Iterator[Callable[[TargetBatches], TargetBatches]]:
    """Give what turns target batches into such that are made ahead, until its end."""
    maker = ThreadPoolExecutor(1, "batches")
    try:
        yield functools.partial(BatchesAhead.over, ahead=Ahead(maker))
    finally:
        maker.shutdown(wait=True, cancel_futures=True)
