"""How long tasks take, which take too long, and when a worker is given up over one."""

import collections
import statistics
from collections.abc import Hashable

from stillhouse.server.leases import TaskRecord

# Enough for a median that one straggler does not move, and follows a change within moments.
_RECENT = 65
# What takes a moment is never late, whatever others take even less; less so where it is a guess
# from other kinds, whose first call compiles nothing any more.
_SHORTEST, _SHORTEST_GUESSED = 0.25, 2.0
# When to compute a task elsewhere too, where nothing is known at all.
_LATE_UNKNOWN = 30.0
# How many times longer than usual is no dawdling any more, but a worker that does not come back.
# Never before five minutes: the first task of a worker may compile for as long as that.
_LIMIT_FACTOR, _SHORTEST_LIMIT = 30.0, 300.0
# Where nothing is known, a task may be the training of a network.
_LIMIT_UNKNOWN = 6 * 3600.0
# A share of the limit, after which the log warns of it; at the latest after so many seconds.
_WARNED_SHARE, _WARNED_AT_LATEST = 0.1, 600.0
_MOST_DOUBLINGS = 10


class Pace:
    """What the last tasks of each kind took for each work unit.

    Where no task of a kind has ended yet, the slowest kind counted in the same units tells.

    Args:
        factor: how many times longer than their median is too long.
        limit: seconds that a task may take at all; None for what its kind usually takes, many
            times over.
    """

    def __init__(self, factor: float, limit: float | None = None) -> None:
        self._factor = factor
        self._limit = limit
        self._rates: dict[Hashable, collections.deque[float]] = {}
        self._medians: dict[Hashable, float] = {}
        self._kinds: dict[str, set[Hashable]] = collections.defaultdict(set)

    def add(self, record: TaskRecord, seconds: float) -> None:
        """Note that a task took so long."""
        if record.kind not in self._rates:
            self._rates[record.kind] = collections.deque(maxlen=_RECENT)
            self._kinds[record.unit].add(record.kind)
        self._rates[record.kind].append(seconds / max(record.work, 1))
        self._medians.pop(record.kind, None)

    def usual(self, record: TaskRecord) -> float | None:
        """Return the seconds that a task is expected to take; None where nothing is known."""
        kinds = {record.kind} if record.kind in self._rates else self._kinds.get(record.unit, ())
        if not kinds:
            return None
        return max(map(self._median, kinds)) * max(record.work, 1)

    def is_late(self, record: TaskRecord, seconds: float, copies: int = 1) -> bool:
        """Return whether a task takes so long that one more worker should have it.

        Args:
            record: the task.
            seconds: for which it has been computed.
            copies: how many have it; each doubles the time until the next.
        """
        usual, shortest = self.usual(record), _SHORTEST
        late = _LATE_UNKNOWN if usual is None else self._factor * usual
        if record.kind not in self._rates:
            shortest = _SHORTEST_GUESSED
        return seconds > max(late, shortest) * 2 ** (copies - 1)

    def limit(self, record: TaskRecord, overruns: int = 0, own: float = 0.0) -> float:
        """Return the seconds after which a worker with a task is given up.

        Args:
            record: the task.
            overruns: how many were given up over it; each doubles the time.
            own: what the worker itself would usually take, which may be a slow one.
        """
        usual = self.usual(record)
        if self._limit is not None:
            limit = self._limit
        elif usual is None:
            limit = _LIMIT_UNKNOWN
        else:
            limit = max(_LIMIT_FACTOR * max(usual, own), _SHORTEST_LIMIT)
        return limit * 2.0 ** min(overruns, _MOST_DOUBLINGS)

    def _median(self, kind: Hashable) -> float:
        if kind not in self._medians:
            self._medians[kind] = statistics.median(self._rates[kind])
        return self._medians[kind]


def warned_after(limit: float) -> float:
    """Return the seconds after which the log warns of a task with such a limit."""
    return min(_WARNED_SHARE * limit, _WARNED_AT_LATEST)
