"""The metrics of a run: a line of JSON for each step, and the same as TensorBoard events."""

import contextlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from stillhouse.server.run_folder import write_text

_log = logging.getLogger(__name__)

# Where a value stands in TensorBoard.
_TAGS = {
    "loss": "loss",
    "accuracy": "accuracy/train_batch",
    "test_accuracy": "accuracy/test",
    "test_mse": "mse/test",
}


class MetricsLog:
    """Writes the metrics of a run, one line and one set of events a step.

    On resuming, lines of steps after the checkpoint are dropped, since those steps come again;
    TensorBoard is told to forget them.

    Args:
        path: the file of the lines.
        events: the folder of the events.
        last_step: the step that the run goes on from, None for a new run.

    Raises:
        OSError: if a file cannot be written.
    """

    def __init__(self, path: Path, events: Path, *, last_step: int | None = None) -> None:
        kept = [] if last_step is None else read_metrics(path)
        kept = [values for values in kept if last_step is not None and values["step"] <= last_step]
        write_text(path, "".join(_line(values) for values in kept))
        if last_step is not None:
            _say_missing(path, kept, last_step)
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 - closed by `close`
        self._unwritten = b""
        self._fails = False
        # The synchronous writer, since the other one's thread dies silently when a disk is full.
        # It names a file by the second, and would write over one of the same; readers go by names.
        count = len(list(events.iterdir()))
        self._events = EventsWriter(str(events / "events"), f".{count:06d}")
        start = SessionLog(status=SessionLog.START)
        next_step = 0 if last_step is None else last_step + 1
        self._events.write_event(Event(step=next_step, session_log=start))

    def write(self, step: int, values: Mapping[str, float], *, wall_time: float) -> None:
        """Write the values of a step; what a full disk refuses comes with a later step, or `sync`.

        A killed process loses none of it; `sync` is for a machine that stops.
        """
        self._unwritten += _line({"step": step, **values}).encode()
        try:
            self._write()
            self._write_events(step, values, wall_time)
            self._fails = False
        except OSError as error:
            if not self._fails:
                _log.warning(
                    "the metrics of step %d are not written yet (%s); the run goes on",
                    *(step, error.strerror or error),
                )
            self._fails = True

    def _write(self) -> None:
        while self._unwritten:
            written = self._file.write(self._unwritten) or 0
            self._unwritten = self._unwritten[written:]

    def _write_events(self, step: int, values: Mapping[str, float], wall_time: float) -> None:
        for name in values:
            tag = name if name.endswith("_per_second") else _TAGS.get(name)
            if tag is not None:
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=values[name])])
                self._events.write_event(Event(wall_time=wall_time, step=step, summary=summary))

    def sync(self) -> None:
        """Have all that was written on the disk.

        Raises:
            OSError: if a file cannot be written.
        """
        self._write()
        os.fsync(self._file.fileno())
        self._events.flush()

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A full disk has been told of already, if there is an error on the way.
        with contextlib.suppress(OSError) if error else contextlib.nullcontext():
            with self._file:
                self._write()
            self._events.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the values of each step, in order; what cannot be read is left out, with a warning.

    A last line cut short is that of a process that was killed, or that writes it now: it is left
    out without one.

    Raises:
        OSError: if the file is there and cannot be read.
    """
    if not path.exists():
        return []
    records, damaged = [], 0
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            values = json.loads(line)  # Also of bytes that are no text a ValueError.
            records.append({**values, "step": int(values["step"])})
        except (ValueError, TypeError, KeyError):
            damaged += line.endswith(b"\n") or not line.isascii()
    if damaged:
        _log.warning("%s: %d damaged lines are left out", path, damaged)
    return records


def _say_missing(path: Path, kept: Sequence[Mapping[str, Any]], last_step: int) -> None:
    """Warn of steps up to the checkpoint that are not there: they do not come again."""
    missing = sorted(set(range(1, last_step + 1)) - {values["step"] for values in kept})
    if missing:
        _log.warning(
            "%s lacks %d of the %d steps before the checkpoint, the first of them step %d: the run "
            "goes on, its curves have a gap",
            *(path, len(missing), last_step, missing[0]),
        )


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, allow_nan=False) + "\n"
