"""Where the command `stillhouse` begins: Ctrl-C counts from its first line.

While modules are imported a KeyboardInterrupt may be lost: extension modules turn it into an error
of their own, or pass over it. So until the command is there, Ctrl-C ends the process where it is;
nothing has been begun by then.
"""

import os
import signal
import sys
from types import FrameType

_INTERRUPTED = 130


def start() -> int:
    """Run the command of this process, and return its exit code."""
    guard()
    from stillhouse.launch.main import main

    return main()


def guard() -> None:
    """Let Ctrl-C end the process where it is, until the command is `ready`."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # And is not ignored.
        signal.signal(signal.SIGINT, _leave)
        sys.unraisablehook = _pass_over


def ready() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again: what the command needs is imported."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"stillhouse: error: interrupted\n")
    os._exit(_INTERRUPTED)


def _pass_over(unraisable: "sys.UnraisableHookArgs") -> None:
    """Say what Python passes over, such as an error in a callback; but Ctrl-C counts there too."""
    if unraisable.exc_type is KeyboardInterrupt:
        _leave(signal.SIGINT, None)
    sys.__unraisablehook__(unraisable)


if __name__ == "__main__":
    sys.exit(start())
