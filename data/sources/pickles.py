"""Pickles of NumPy arrays, lists, dicts and texts, read without running what they name."""

import io
import pickle
from typing import Any

import numpy as np

_CONVERT = (
    "with the Python that you trust it in: import pickle, numpy; "
    'd = pickle.load(open("FILE", "rb"), encoding="bytes"); '
    'numpy.savez("data.npz", images=..., labels=...)'
)


class _Array:
    """Stands for the class of arrays, which is handed to `_reconstruct` and not called."""


def _reconstruct(cls: Any, shape: Any, typecode: Any) -> np.ndarray:
    """Return the empty array that is filled next; a pickle's own shape might ask for anything."""
    return np.zeros(0, np.uint8)


def _dtype(name: Any, *_: Any) -> "np.dtype[Any]":
    dtype = np.dtype(str(name))
    if dtype.kind not in "uifb":
        raise pickle.UnpicklingError(f"an array of {dtype}")
    return dtype


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """Return an array as protocol 5 has it; its values are in the pickle itself."""
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Return the bytes that Python 3 writes as a text for Python 2."""
    return str(text).encode("latin1")


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _KNOWN[module, name]


def read_pickle(data: bytes) -> Any:
    """Read a pickle of arrays of numbers, lists, dicts, numbers and texts.

    Nothing that it names is imported or called: what NumPy writes of an array is known here, and
    all else is refused. Texts of Python 2 are read as Latin-1.

    Raises:
        ValueError: if it is damaged, or holds anything else.
    """
    try:
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()
    # A pickle is a program of its own, and fails in as many ways.
    except Exception as error:
        raise ValueError(
            f"not a pickle of arrays and texts alone ({error}); nothing of it was run. If you "
            f"trust it, convert it {_CONVERT}"
        ) from error
