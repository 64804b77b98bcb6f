"""How a command ends other than well: one line, and an exit code."""

import contextlib
import os
from collections.abc import Iterator

BAD_INPUT = 2
STOPPED = 1
# "Try again later": a server that no worker came to.
DESERTED = 75
INTERRUPTED = 130
TERMINATED = 143


class Note(UserWarning):
    """What a user should know of settings that are right all the same."""


class CommandError(Exception):
    """A command that cannot go on, for a reason that its user can mend.

    Attributes:
        code: the exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@contextlib.contextmanager
def bad_input() -> Iterator[None]:
    """Turn a `ValueError` or `OSError` inside into a `CommandError` with exit code 2.

    Put only what reads and checks a user's input inside: elsewhere these are mistakes of ours,
    and want their traceback.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        raise CommandError(one_line(error), BAD_INPUT) from error


def one_line(error: BaseException) -> str:
    """Return the message of an error as one line; of an `OSError`, the file and the reason."""
    # Imported here: --help has no need of the data room.
    from stillhouse.data.printing import printable

    if isinstance(error, OSError) and error.strerror:
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        return printable(f"{name}: {error.strerror}") if name else error.strerror
    return printable(" ".join(str(error).split())) or type(error).__name__
