"""Datasets in the IDX format of MNIST."""

import gzip
import math
import pathlib
import re
import struct
import zlib
from typing import Any

import numpy as np

from stillhouse.data.arrays import as_images, as_labels
from stillhouse.data.dataset import Dataset, dataset_from_arrays
from stillhouse.data.sources.naming import naming

_FILE = re.compile(r"(.*?)(train|t10k|test)-(images|labels)[-.]idx\d-ubyte(\.gz)?")
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def has_idx(folder: pathlib.Path) -> bool:
    """Return whether a folder holds IDX files under the names of MNIST."""
    return any(_FILE.fullmatch(path.name) for path in folder.iterdir())


def load_idx(folder: pathlib.Path, *, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Read a folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, and `t10k-...`.

    The files may be gzipped (`.gz`), written with a dot (`train-images.idx3-ubyte`), begin with
    the dataset's name (`emnist-digits-train-images-idx3-ubyte`), and say `test` for `t10k`.

    Args:
        folder: the folder.
        test_fraction: the share held out where there are no test files.
        seed: the seed of that split.

    Raises:
        ValueError: naming the file, if one is missing or damaged, or if they are no dataset.
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
    for split in ("train", "test"):
        pair = [files.get((split, kind)) for kind in ("images", "labels")]
        if split == "test" and pair == [None, None]:
            continue
        if pair[0] is None or pair[1] is None:
            kind, digit = ("images", 3) if pair[0] is None else ("labels", 1)
            name = "train" if split == "train" else "t10k"
            raise ValueError(f"{folder}: no file {name}-{kind}-idx{digit}-ubyte (or .gz)")
        with naming(pair[0]):
            arrays[f"x_{split}"] = as_images(read_idx(pair[0]), "images")
        with naming(pair[1]):
            arrays[f"y_{split}"] = as_labels(read_idx(pair[1]), "labels")
    with naming(folder):
        return dataset_from_arrays(
            **arrays, name=folder.name, test_fraction=test_fraction, seed=seed
        )


def read_idx(path: pathlib.Path) -> np.ndarray:
    """Read one IDX file: a big-endian array behind a header of its type and shape.

    Raises:
        ValueError: if it is not an IDX file, or its length does not fit its header.
        OSError: if it cannot be read.

    References:
        LeCun, Cortes, Burges. The MNIST database of handwritten digits,
        http://yann.lecun.com/exdb/mnist/
    """
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"damaged gzip file ({error})") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _DTYPES or data[3] == 0:
        raise ValueError(f"not an IDX file: it begins with the bytes {data[:4].hex(' ')}")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise ValueError(f"an IDX file cut short: the header alone takes {start} bytes")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    dtype = np.dtype(_DTYPES[data[2]])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise ValueError(
            f"damaged IDX file: a {dtype.name} array of shape {shape} takes {expected} bytes, "
            f"found {len(data)}"
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape)
