"""Folders that one process at a time writes into."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

LOCK = ".lock"


def check_writable(path: Path) -> Path:
    """Check that a folder can be written, or made, and write nothing.

    Returns:
        The folder, or the nearest one above it that is there.

    Raises:
        NotADirectoryError: if that is none.
        PermissionError: if it cannot be written.
    """
    there = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not there.is_dir():
        raise NotADirectoryError(20, "is a file, not a folder", str(there))
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(13, "no permission to write in this folder", str(there))
    return there


@contextlib.contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Make a folder if need be, and keep every other process from writing in it.

    What is left of atomic writes whose process was killed is removed.

    Raises:
        ValueError: if another process is at it.
        OSError: if it cannot be made or written.
    """
    path.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path / LOCK, blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise ValueError(
            f"`--out`: another process is writing in {path}; wait for it, or give another folder"
        ) from error
    with lock:
        for leftover in path.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        yield
