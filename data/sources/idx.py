"""Datasets in the IDX format of MNIST."""

import contextlib
import gzip
import math
import os
import pathlib
import re
import struct
import zlib
from typing import Any, BinaryIO

import numpy as np

from stillhouse.data.dataset import Dataset, dataset_from_arrays
from stillhouse.data.limits import check_unpacked
from stillhouse.data.sources.naming import naming, source_name

_FILE = re.compile(r"(.*?)(train|t10k|test)-(images|labels)[-.]idx\d-ubyte(\.gz)?")
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def has_idx(folder: pathlib.Path) -> bool:
    """Return whether a folder holds IDX files under the names of MNIST."""
    return any(_FILE.fullmatch(path.name) for path in folder.iterdir())


def load_idx(
    folder: pathlib.Path,
    *,
    test_fraction: float | None = None,
    seed: int = 0,
    max_bytes: int | None = None,
) -> Dataset:
    """Read a folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, and `t10k-...`.

    The files may be gzipped (`.gz`), written with a dot (`train-images.idx3-ubyte`), begin with
    the dataset's name (`emnist-digits-train-images-idx3-ubyte`), and say `test` for `t10k`.

    Args:
        folder: the folder.
        test_fraction: the share held out where there are no test files.
        seed: the seed of that split.
        max_bytes: what an array may take; None for the rule of `limits.check_unpacked`.

    Raises:
        ValueError: naming the file, if one is missing, damaged or unpacks to too much, or if they
            are no dataset.
        OSError: if a file cannot be read.
    """
    files: dict[tuple[str, str], pathlib.Path] = {}
    prefixes = set()
    # In descending order, so that a plain file comes after its gzipped copy and is the one kept.
    for path in sorted(folder.iterdir(), reverse=True):
        match = _FILE.fullmatch(path.name)
        if match:
            split = "train" if match[2] == "train" else "test"
            files[split, match[3]] = path
            prefixes.add(match[1])
    if len(prefixes) > 1:
        raise ValueError(
            f"{folder}: IDX files of several datasets ({', '.join(sorted(prefixes))}): "
            "give each a folder of its own"
        )
    arrays: dict[str, Any] = {}
    called = []
    for split in ("train", "test"):
        pair = [files.get((split, kind)) for kind in ("images", "labels")]
        if split == "test" and pair == [None, None]:
            continue
        if pair[0] is None or pair[1] is None:
            kind, digit = ("images", 3) if pair[0] is None else ("labels", 1)
            name = "train" if split == "train" else "t10k"
            raise ValueError(f"{folder}: no file {name}-{kind}-idx{digit}-ubyte (or .gz)")
        for letter, file in (("x", pair[0]), ("y", pair[1])):
            with naming(file):
                arrays[f"{letter}_{split}"] = read_idx(file, max_bytes=max_bytes)
            called.append(file.name)
    with naming(folder):
        names = tuple(called) if len(called) == 4 else (*called, "", "")
        return dataset_from_arrays(
            **arrays,
            argument_names=names,
            name=source_name(folder),
            test_fraction=test_fraction,
            seed=seed,
        )


def read_idx(path: pathlib.Path, *, max_bytes: int | None = None) -> np.ndarray:
    """Read one IDX file: a big-endian array behind a header of its type and shape.

    Raises:
        ValueError: if it is not an IDX file, its length does not fit its header, or it unpacks to
            more than `max_bytes`, or than the rule of `limits.check_unpacked`.
        OSError: if it cannot be read.

    References:
        LeCun, Cortes, Burges. The MNIST database of handwritten digits,
        http://yann.lecun.com/exdb/mnist/
    """
    with contextlib.ExitStack() as stack:
        file: BinaryIO = stack.enter_context(path.open("rb"))
        packed = os.fstat(file.fileno()).st_size
        if path.suffix == ".gz":
            file = stack.enter_context(gzip.GzipFile(fileobj=file))  # type: ignore[assignment]
        try:
            return _read(file, packed, max_bytes)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"damaged gzip file ({error})") from error


def _read(file: BinaryIO, packed: int, max_bytes: int | None) -> np.ndarray:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or magic[3] == 0:
        raise ValueError(f"not an IDX file: it begins with the bytes {magic.hex(' ')}")
    header = file.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise ValueError(f"an IDX file cut short: the header alone takes {4 + 4 * magic[3]} bytes")
    shape = struct.unpack(f">{magic[3]}I", header)
    dtype = np.dtype(_DTYPES[magic[2]])
    expected = math.prod(shape) * dtype.itemsize
    check_unpacked(expected, packed, max_bytes)
    data = file.read(expected + 1)  # One more than there should be, to see the end.
    if len(data) != expected:
        found = "more" if len(data) > expected else len(data)
        raise ValueError(
            f"damaged IDX file: a {dtype.name} array of shape {shape} takes {expected} bytes "
            f"behind its header, found {found}"
        )
    return np.frombuffer(data, dtype).reshape(shape)
