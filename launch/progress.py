"""The progress of a run: a bar on a terminal, lines in a log elsewhere, all of it in a file."""

import logging
import sys
import time
from pathlib import Path
from types import TracebackType

from absl import logging as absl_logging
from tqdm import tqdm

from stillhouse.server.schedule import Progress

_SECONDS_BETWEEN_LINES = 5.0  # at first; then a twentieth of the time that it has run,
_MOST_SECONDS_BETWEEN_LINES = 60.0  # up to this
_HALF_LIFE = 10  # steps, of the speed that is shown


class ProgressReporter:
    """Reports a run: call it with each `Progress`.

    A line is due after each evaluation, and otherwise every few seconds, later every minute.

    Args:
        log: the file that all lines go to.
        bar: show a bar and keep the lines off the screen; None for a terminal only.
    """

    def __init__(self, log: Path, *, bar: bool | None = None) -> None:
        self._handler = logging.FileHandler(log, encoding="utf-8", delay=True)
        self._handler.setFormatter(absl_logging.PythonFormatter())
        self._shows_bar = sys.stderr.isatty() if bar is None else bar
        self._bar: tqdm | None = None
        self._speeds: dict[str, float] = {}
        self._first_step: int | None = None
        self._timed_from: tuple[int, float] | None = None
        self._began = time.monotonic()
        self._line_at = 0.0
        self._test_accuracy: float | None = None

    def __enter__(self) -> "ProgressReporter":
        logging.getLogger().addHandler(self._handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if error is not None:
            # The screen is told by whoever catches it; here it would not be known any more.
            self._write(logging.ERROR, f"ended: {str(error) or type(error).__name__}")
        logging.getLogger().removeHandler(self._handler)
        self._handler.close()

    def __call__(self, progress: Progress) -> None:
        """Report the progress."""
        now = time.monotonic()
        if self._first_step is None:
            self._first_step = progress.step
            if progress.step:
                self._log(f"going on after step {progress.step}")
        elif self._timed_from is None:
            self._timed_from = progress.step, now
        for unit, speed in progress.speeds.items():
            share = 2 ** (-1 / _HALF_LIFE) if unit in self._speeds else 0.0
            self._speeds[unit] = share * self._speeds.get(unit, 0.0) + (1 - share) * speed
        self._test_accuracy = progress.values.get("test_accuracy", self._test_accuracy)
        if self._shows_bar:
            self._show(progress)
        evaluated = "test_accuracy" in progress.values
        if evaluated or now - self._line_at > seconds_between_lines(now - self._began):
            self._line_at = now
            self._log(f"step {progress.step}/{progress.steps}  {self._text(progress)}")

    def _show(self, progress: Progress) -> None:
        if self._bar is None:
            form = "{percentage:3.0f}%|{bar:12}| {n_fmt}/{total_fmt}  {remaining} left{postfix}"
            self._bar = tqdm(
                total=progress.steps,
                initial=progress.step,
                bar_format=form,
                mininterval=0.2,
                dynamic_ncols=True,
                file=sys.stderr,
            )
        self._bar.set_postfix_str(self._text(progress, time_left=False), refresh=False)
        self._bar.update(progress.step - self._bar.n)
        if progress.step == progress.steps:
            self._bar.refresh()

    def _text(self, progress: Progress, *, time_left: bool = True) -> str:
        values, parts = progress.values, []
        if "loss" in values:
            parts.append(f"loss {values['loss']:.5f}")
        if "accuracy" in values:
            parts.append(f"accuracy {values['accuracy']:.3f}")
        if self._test_accuracy is not None:
            parts.append(f"test {self._test_accuracy:.3f}")
        for unit, speed in self._speeds.items():
            parts.append(f"{tqdm.format_sizeof(speed)} {unit}/s")
        left = self._seconds_left(progress)
        if time_left and left is not None:
            parts.append(f"{short_time(left)} left")
        return "  ".join(parts)

    def _seconds_left(self, progress: Progress) -> float | None:
        """Return the time that is left, from the second step on: the first one compiles."""
        if self._timed_from is None or progress.step == progress.steps:
            return None
        step, started = self._timed_from
        if progress.step == step:
            return None
        per_step = (time.monotonic() - started) / (progress.step - step)
        return per_step * (progress.steps - progress.step)

    def _log(self, line: str) -> None:
        if not self._shows_bar:
            absl_logging.info("%s", line)
            return
        self._write(logging.INFO, line)

    def _write(self, level: int, line: str) -> None:
        """Write a line to the file alone."""
        self._handler.handle(logging.LogRecord("absl", level, __file__, 0, line, None, None))


def seconds_between_lines(seconds: float) -> float:
    """Return how long a log of what has run for so long stays silent."""
    return min(max(seconds / 20, _SECONDS_BETWEEN_LINES), _MOST_SECONDS_BETWEEN_LINES)


def short_time(seconds: float) -> str:
    """Return a time as people say it: `0.4 s`, `42 s`, `3 min 20 s`, `5 h 12 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
