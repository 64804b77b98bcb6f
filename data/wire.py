"""Arrays as bytes that say what they are and can be checked.

What travels between machines, or lies in a store under the hash of its content, is a header (magic,
version, dtype, number of axes, checksum, shape) and the values in C order, little endian. Reading
one runs no code and copies nothing, whatever the bytes.
"""

import hashlib
import math
import struct
import zlib

import numpy as np

VERSION = 1

_MAGIC = b"SHAR"
# Magic, version, dtype, axes, one byte of padding, and the CRC-32 of the shape and the values.
_HEADER = struct.Struct("<4sBBBxI")
_AXIS = struct.Struct("<Q")
_MOST_AXES = 8
_DTYPES: dict[int, np.dtype] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    4: np.dtype("<i8"),
    5: np.dtype("u1"),
    6: np.dtype("?"),
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


class WireError(ValueError):
    """Bytes that are not an array, or not the array that was sent."""


def pack(array: np.ndarray) -> bytes:
    """Return an array as bytes.

    Raises:
        WireError: if its dtype is not float32, float64, int32, int64, uint8 or bool, or it has
            more than eight axes.
    """
    array = np.asarray(array)
    code = _CODES.get(array.dtype.newbyteorder("<"))
    if code is None:
        raise WireError(f"an array of {array.dtype} cannot be sent, only of {_names()}")
    if array.ndim > _MOST_AXES:
        raise WireError(f"an array of {array.ndim} axes cannot be sent, only up to {_MOST_AXES}")
    values = np.ascontiguousarray(array, _DTYPES[code]).tobytes()
    shape = b"".join(_AXIS.pack(length) for length in array.shape)
    checksum = zlib.crc32(values, zlib.crc32(shape))
    return _HEADER.pack(_MAGIC, VERSION, code, array.ndim, checksum) + shape + values


def unpack(data: bytes, *, max_bytes: int | None = None) -> np.ndarray:
    """Return the array that `pack` made bytes of, read only, without a copy.

    Args:
        data: the bytes.
        max_bytes: how many there may be.

    Raises:
        WireError: if they are anything else, too many, cut short or changed.
    """
    if not isinstance(data, bytes):
        raise WireError(f"an array comes as bytes, got {type(data).__name__}")
    if max_bytes is not None and len(data) > max_bytes:
        raise WireError(f"an array of {len(data):,} bytes, where {max_bytes:,} are allowed")
    if len(data) < _HEADER.size:
        raise WireError(f"{len(data)} bytes are too few for an array")
    magic, version, code, axes, checksum = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise WireError(f"bytes that begin with {magic!r} are no array")
    if version != VERSION:
        raise WireError(f"an array of format {version}, where {VERSION} is known")
    if code not in _DTYPES:
        raise WireError(f"an array of the unknown dtype {code}")
    start = _HEADER.size + axes * _AXIS.size
    if axes > _MOST_AXES or len(data) < start:
        raise WireError(f"an array of {axes} axes in {len(data)} bytes")
    shape = struct.unpack_from(f"<{axes}Q", data, _HEADER.size)
    dtype = _DTYPES[code]
    # In Python's integers: a shape made to overflow does not.
    if math.prod(shape) * dtype.itemsize != len(data) - start:
        raise WireError(f"an array of shape {list(shape)} and {dtype} in {len(data) - start} bytes")
    if zlib.crc32(memoryview(data)[_HEADER.size :]) != checksum:
        raise WireError("an array whose checksum is wrong: it was changed on its way")
    if dtype == np.bool_ and np.frombuffer(data, np.uint8, offset=start).max(initial=0) > 1:
        raise WireError("an array of bool with other values than 0 and 1")
    try:
        return np.frombuffer(data, dtype, offset=start).reshape(shape)
    except ValueError as error:  # An empty array whose other axes are beyond any size.
        raise WireError(f"an array of shape {list(shape)}: {error}") from error


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal: the name under which they are stored."""
    return hashlib.sha256(data).hexdigest()


def _names() -> str:
    return ", ".join(dtype.name for dtype in _DTYPES.values())
