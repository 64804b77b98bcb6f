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
from stillhouse.methods.kernel_regression.one_thread import usual_threads


@dataclasses.dataclass(frozen=True, eq=False)
class BatchesAhead(TargetBatches):
    """Target batches of which the one that follows is there, or on its way.

    Attributes:
        ahead: makes it.
    """

    ahead: "Ahead" = dataclasses.field(kw_only=True)

    def obtain(self, make: Callable[[int], Any], step: int) -> Any:
        """Return what `make` makes of a step, or has made of it already."""
        return self.ahead.take(make, step)


class Ahead:
    """Makes what is likely to be asked for next, in one thread."""

    def __init__(self, maker: ThreadPoolExecutor) -> None:
        self._maker = maker
        self._expected: tuple[str, int] | None = None
        self._made: Future[Any] | None = None

    def take(self, make: Callable[[int], Any], step: int) -> Any:
        """Return what `make` makes of a step, and have it begin with the one after that.

        But not where this step was not the expected one: groups of batches that are kept come up in
        any order at first, and what is made for nothing keeps the next one waiting.
        """
        is_expected = self._expected in (None, (make.__name__, step))
        made = self._made if is_expected else None
        found = (made or self._maker.submit(_make, make, step)).result()
        self._expected = make.__name__, step + 1
        self._made = self._maker.submit(_make, make, step + 1) if is_expected else None
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
