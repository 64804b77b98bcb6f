"""Reading and writing `.npz` archives of plain arrays: never pickles, never half a file."""

import contextlib
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.npyio import NpzFile

from stillhouse.data.atomic import atomic_write

# What zipfile, zlib and numpy raise on files that are cut short, altered or encrypted; OSError too,
# for a position before the beginning. A file that cannot be opened at all is noticed before.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays into an uncompressed `.npz`, atomically; equal arrays give equal bytes.

    Raises:
        ValueError: if an array holds Python objects.
        OSError: if the file cannot be written.
    """
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise ValueError(f"array {name!r} holds Python objects, which are not written")

    named: dict[str, Any] = dict(arrays)

    def write(file: BinaryIO) -> None:
        np.savez(file, **named)

    atomic_write(path, write)


def npz_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the names of the arrays in a `.npz`.

    Raises:
        ValueError: if the file is not a `.npz`, or is damaged.
        OSError: if the file is missing or cannot be read.
    """
    with _opened(path) as archive:
        return tuple(archive.files)


def read_npz(path: str | os.PathLike[str], names: Iterable[str]) -> dict[str, np.ndarray]:
    """Read the named arrays of a `.npz`, and no other.

    Raises:
        ValueError: if the file is not a `.npz`, is damaged, lacks one of the arrays, or holds
            Python objects under one of the names.
        OSError: if the file is missing or cannot be read.
    """
    arrays = {}
    with _opened(path) as archive:
        for name in names:
            if name not in archive.files:
                raise ValueError(f"{os.fspath(path)}: no array named {name!r}")
            try:
                array = archive[name]
            except _DAMAGE as error:
                raise ValueError(f"{os.fspath(path)}: cannot read {name!r} ({error})") from error
            if not isinstance(array, np.ndarray):
                raise ValueError(f"{os.fspath(path)}: {name!r} is not an array")
            arrays[name] = array
    return arrays


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[NpzFile]:
    # Opened here, because `np.load` leaves a file open if it turns out to be damaged.
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{os.fspath(path)}: not a .npz file, or cut short")
        file.seek(0)
        try:
            archive = np.load(file, allow_pickle=False)
        except _DAMAGE as error:
            raise ValueError(f"{os.fspath(path)}: damaged .npz file ({error})") from error
        with archive:
            yield archive
