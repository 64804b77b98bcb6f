"""Where the command `stillhouse` begins: Ctrl-C counts from its first line to its last.

While modules are imported a KeyboardInterrupt may be lost: extension modules turn it into an error
of their own, or pass over it. So until the command is there, Ctrl-C ends the process where it is;
nothing has been begun by then. Later it is a KeyboardInterrupt, which C code that calls Python may
still pass over: where it has not ended the command in some seconds, the process ends where it is.
"""

import os
import signal
import sys
from types import FrameType

_INTERRUPTED = 130
_PATIENCE = 10.0  # seconds in which an interrupted command has to end by itself


def start() -> int:
    """Run the command of this process, and return its exit code."""
    guard()
    from stillhouse.launch.main import main

    return main()


def guard() -> None:
    """Let Ctrl-C end the process where it is, until the command is `ready`."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # And is not ignored.
        signal.signal(signal.SIGINT, _leave)


def ready() -> None:
    """Let Ctrl-C raise KeyboardInterrupt from here on: what the command needs is imported."""
    if signal.getsignal(signal.SIGINT) is _leave:
        sys.unraisablehook = _pass_over
        signal.signal(signal.SIGALRM, _leave)
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
    raise KeyboardInterrupt


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
