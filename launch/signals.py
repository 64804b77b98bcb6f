"""Ctrl-C and SIGTERM as a wish that the run asks about between its steps."""

import logging
import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Any, NoReturn

from stillhouse.launch.errors import INTERRUPTED, TERMINATED

_CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}


def end_now(code: int) -> NoReturn:
    """End the process with this exit code, though a kernel is still being computed in a thread.

    An ordinary end would destroy XLA under that thread, and the process end by SIGABRT.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


class StopSignals:
    """While entered, a first signal asks the run to stop; a second one ends it where it is.

    Args:
        after: what is finished first, for the message.

    Attributes:
        code: the exit code that the signal stands for, None while there was none.
    """

    def __init__(self, after: str = "this step") -> None:
        self.code: int | None = None
        self._message = f"\nstopping after {after}; once more to stop at once\n".encode()
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
        os.write(2, self._message)
