"""Ctrl-C and SIGTERM as a wish that the run asks about between its steps."""

import abc
import logging
import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Any, NoReturn, TypeVar

from stillhouse.launch.errors import INTERRUPTED, TERMINATED

C = TypeVar("C", bound="CaughtSignals")
_CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}


def end_now(code: int) -> NoReturn:
    """End the process with this exit code, though a kernel is still being computed in a thread.

    An ordinary end would destroy XLA under that thread, and the process end by SIGABRT.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


class CaughtSignals(abc.ABC):
    """While entered, Ctrl-C and SIGTERM are given to `receive`.

    Attributes:
        code: the exit code that the first one stands for, None while there was none.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    @abc.abstractmethod
    def receive(self, *, first: bool) -> None:
        """Take a signal."""

    def __enter__(self: C) -> C:
        self._before = {number: signal.signal(number, self._receive) for number in _CODES}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        first = self.code is None
        if first:
            self.code = _CODES[signal.Signals(number)]
        self.receive(first=first)


class StopSignals(CaughtSignals):
    """While entered, a first signal asks the run to stop; a second one ends it where it is.

    Args:
        after: what is finished first, for the message.
    """

    def __init__(self, after: str = "this step") -> None:
        super().__init__()
        self._message = f"\nstopping after {after}; once more to stop at once\n".encode()

    def asked(self) -> bool:
        """Return whether the run should stop."""
        return self.code is not None

    def receive(self, *, first: bool) -> None:
        """Say what happens, or end the process where it is."""
        if not first:
            raise KeyboardInterrupt
        # Not `print`: the signal may have come in the middle of one.
        os.write(2, self._message)
