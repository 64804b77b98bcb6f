"""Ctrl-C and SIGTERM as a wish that the run asks about between its steps."""

import os
import signal
from types import FrameType, TracebackType
from typing import Any

from stillhouse.launch.errors import INTERRUPTED, TERMINATED

_CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}


class StopSignals:
    """While entered, a first signal asks the run to stop; a second one ends it where it is.

    Attributes:
        code: the exit code that the signal stands for, None while there was none.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def asked(self) -> bool:
        """Return whether the run should stop."""
        return self.code is not None

    def __enter__(self) -> "StopSignals":
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
        if self.code is not None:
            raise KeyboardInterrupt
        self.code = _CODES[signal.Signals(number)]
        # Not `print`: the signal may have come in the middle of one.
        os.write(2, b"\nstopping after this step; once more to stop at once\n")
