"""How long tasks take, and which take too long."""

import collections
import statistics
from collections.abc import Hashable

from stillhouse.server.leases import TaskRecord

# Enough for a median that one straggler does not move, and follows a change within moments.
_RECENT = 65
# What takes a moment is never late, whatever others take even less.
_SHORTEST = 0.25


class Pace:
    """What the last tasks of each kind took for each work unit.

    Args:
        factor: how many times longer than their median is too long.
    """

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._rates: dict[Hashable, collections.deque[float]] = {}
        self._medians: dict[Hashable, float] = {}

    def add(self, record: TaskRecord, seconds: float) -> None:
        """Note that a task took so long."""
        if record.kind not in self._rates:
            self._rates[record.kind] = collections.deque(maxlen=_RECENT)
        self._rates[record.kind].append(seconds / max(record.work, 1))
        self._medians.pop(record.kind, None)

    def is_late(self, record: TaskRecord, seconds: float) -> bool:
        """Return whether a task takes too long; never where none of its kind has ended."""
        if record.kind not in self._rates or seconds < _SHORTEST:
            return False
        if record.kind not in self._medians:
            self._medians[record.kind] = statistics.median(self._rates[record.kind])
        return seconds > self._factor * self._medians[record.kind] * max(record.work, 1)
