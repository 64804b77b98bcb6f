"""What happens to workers and tasks, told in a bounded number of lines."""

import collections
import logging
from collections.abc import Iterable

from stillhouse.server.leases import Event

# So many lines of one kind within so many seconds; what comes beyond is summed up in one more.
_MOST_LINES = 20
_SECONDS = 10.0


class BoundedLog:
    """Writes events to a log, each in a line, until there are too many of one kind at once.

    Args:
        log: where to.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._began: dict[str, float] = {}
        self._count: collections.Counter[str] = collections.Counter()
        self._last: dict[str, Event] = {}

    def tell(self, events: Iterable[Event], now: float) -> None:
        """Write what there is to be said by now, in seconds."""
        for kind in [kind for kind, began in self._began.items() if now - began >= _SECONDS]:
            self._sum_up(kind)
        for event in events:
            self._began.setdefault(event.kind, now)
            self._count[event.kind] += 1
            if self._count[event.kind] <= _MOST_LINES:
                self._say(event, event.message)
            else:
                self._last[event.kind] = event

    def close(self) -> None:
        """Write what is still to be summed up."""
        for kind in list(self._began):
            self._sum_up(kind)

    def _sum_up(self, kind: str) -> None:
        more = self._count.pop(kind) - _MOST_LINES
        del self._began[kind]
        if more > 0:
            last = self._last.pop(kind)
            self._say(last, f"{more:,} more lines of this kind ({kind}), the last: {last.message}")

    def _say(self, event: Event, message: str) -> None:
        self._log.log(logging.WARNING if event.is_trouble else logging.INFO, "%s", message)
