"""Writing files so that a reader sees the old one or the new one, and nothing between."""

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from typing import BinaryIO


def atomic_write(path: str | os.PathLike[str], write: Callable[[BinaryIO], None]) -> None:
    """Write a file by way of a temporary one beside it, flushed to the disk before the rename.

    If anything fails, whatever stood at `path` before still stands there and the temporary file is
    gone. The file gets the usual permissions of a new one.

    Args:
        path: the file to make or replace.
        write: called once with the open file.

    Raises:
        OSError: naming `path`, if it is a folder, or its folder is missing or cannot be written;
            or if the disk is full.
    """
    folder, name = os.path.split(os.path.abspath(path))
    if not os.fspath(path) or os.path.isdir(path):
        raise IsADirectoryError(
            errno.EISDIR, "a folder, where a file is to be written", os.fspath(path) or folder
        )
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", folder)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "no such folder", folder)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        _write(temporary, path, write)
    except OSError as error:
        if error.filename != temporary:
            raise
        # The caller knows the other name.
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    _sync_folder(folder)


def _write(temporary: str, path: str | os.PathLike[str], write: Callable[[BinaryIO], None]) -> None:
    # Not `tempfile`: it makes files that only their owner may read.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write content that is at hand, as `atomic_write` does.

    Raises:
        OSError: if it cannot be written.
    """

    def write(file: BinaryIO) -> None:
        file.write(content)

    atomic_write(path, write)


def _sync_folder(folder: str) -> None:
    """Make the rename itself durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
