"""Reading and writing `.npz` archives of plain arrays: never pickles, never half a file."""

import contextlib
import math
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

import numpy as np
from numpy.lib.npyio import NpzFile

from stillhouse.data.atomic import atomic_write
from stillhouse.data.limits import check_unpacked
from stillhouse.data.printing import printable

_MAGIC = np.lib.format.MAGIC_PREFIX
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
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

    def write(file: BinaryIO) -> None:
        # As `np.savez`, which leaves an archive that cannot be written open, to complain later.
        with zipfile.ZipFile(file, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)

    atomic_write(path, write)


def npz_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the names of the arrays in a `.npz`.

    Raises:
        ValueError: if the file is not a `.npz`, or is damaged.
        OSError: if the file is missing or cannot be read.
    """
    with _opened(path) as archive:
        return tuple(archive.files)


def listed(names: Iterable[str]) -> str:
    """Return the first names as a message says what was found instead."""
    return ", ".join(printable(name[:60]) for name in list(names)[:8]) or "none"


def read_npz(
    path: str | os.PathLike[str], names: Iterable[str], *, max_bytes: int | None = None
) -> dict[str, np.ndarray]:
    """Read the named arrays of a `.npz`, and no other.

    Args:
        path: the file.
        names: of the arrays.
        max_bytes: what they may take together; None for the rule of `check_unpacked`.

    Raises:
        ValueError: if the file is not a `.npz`, is damaged, lacks one of the arrays, holds Python
            objects under one of the names, or unpacks to too much.
        OSError: if the file is missing or cannot be read.
    """
    arrays = {}
    with _opened(path) as archive:
        names = list(names)
        for name in names:
            if name not in archive.files:
                raise ValueError(f"{os.fspath(path)}: no array named {name!r}")
        try:
            unpacked = sum(_member(archive, name).file_size for name in names)
            check_unpacked(unpacked, os.stat(path).st_size, max_bytes)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from error
        for name in names:
            try:
                _check_header(archive, name)
                array = archive[name]
            except _DAMAGE as error:
                raise ValueError(f"{os.fspath(path)}: cannot read {name!r} ({error})") from error
            if not isinstance(array, np.ndarray):
                raise ValueError(f"{os.fspath(path)}: {name!r} is not an array")
            arrays[name] = array
    return arrays


def _zip_of(archive: NpzFile) -> zipfile.ZipFile:
    assert archive.zip is not None  # Until it is closed.
    return archive.zip


def _member(archive: NpzFile, name: str) -> zipfile.ZipInfo:
    members = _zip_of(archive).NameToInfo
    return members.get(f"{name}.npy") or members[name]


def _check_header(archive: NpzFile, name: str) -> None:
    """Check that an array takes no more than its part of the file has, which is known to be fine.

    NumPy would make room for what the header says before it reads a value.
    """
    member = _member(archive, name)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("compressed in a way that NumPy does not write")  # Some ask for gigabytes.
    with _zip_of(archive).open(member) as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return  # Something else than an array, which is all that NumPy will say of it.
        file.seek(0)
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"an array of format {version}, which no array of numbers needs")
        try:
            shape, _, dtype = _HEADERS[version](file)
        # A literal of Python that is none is told in Python's own words.
        except (ValueError, SyntaxError, TypeError) as error:
            raise ValueError("its header is damaged") from error
    if dtype.hasobject:
        raise ValueError("an array of Python objects")
    # Texts of no length take no room, but each becomes an object.
    odd = any(n < 0 or n > member.file_size for n in shape)
    if odd or math.prod(shape) * max(dtype.itemsize, 1) > member.file_size:
        raise ValueError(f"an array of shape {shape} in {member.file_size} bytes")


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
