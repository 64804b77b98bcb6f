"""The progress of what can be counted: a bar on a terminal, a few lines in a log elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from tqdm import tqdm

from stillhouse.launch.progress import seconds_between_lines, short_time

T = TypeVar("T")


class Bar:
    """Counts, and shows it.

    Where there is no terminal a line is due after five seconds, then less and less often, to one a
    minute: a pipe or a batch system's log tells that something goes on, and is not filled.

    Args:
        total: how many there are; None where that is not known.
        text: what is being done.
        unit: what is counted.
        at_once: whether the first count is worth a line, as it is of what takes long.
    """

    def __init__(
        self, total: int | None, text: str, *, unit: str = "it", at_once: bool = False
    ) -> None:
        # It shows nothing where there is no terminal.
        self._bar = tqdm(total=total, desc=text, unit=unit, disable=None, leave=False)
        self._total, self._text, self._unit = total, text, unit
        self.count = 0
        self._details = ""
        self._began = time.monotonic()
        self._line_at = float("-inf") if at_once else self._began

    def __enter__(self) -> "Bar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()

    def update(self, count: int = 1) -> None:
        """Count so many more."""
        self.count += count
        self._bar.update(count)
        now = time.monotonic()
        if self._bar.disable and now - self._line_at > seconds_between_lines(now - self._began):
            self._line_at = now
            print(self._line(now), file=sys.stderr, flush=True)

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """Yield each item, and count it when the next one is asked for."""
        for item in items:
            yield item
            self.update()

    def say(self, *, text: str | None = None, details: str | None = None) -> None:
        """Change what is said to be done, or what is shown beside it."""
        if text is not None:
            self._text = text
            self._bar.set_description(text)
        if details is not None:
            self._details = details
            self._bar.set_postfix_str(details, refresh=False)

    def write(self, line: str) -> None:
        """Write a line to the standard output, above the bar."""
        self._bar.write(line)

    def _line(self, now: float) -> str:
        of = "" if self._total is None else f"/{self._total:,}"
        parts = [f"{self._text}: {self._unit} {self.count:,}{of}", self._details]
        if self._total is not None and 1 < self.count < self._total:
            per_one = (now - self._began) / self.count
            parts.append(f"{short_time(per_one * (self._total - self.count))} left")
        return "  ".join(filter(None, parts))
