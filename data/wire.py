"""Arrays as bytes that say what they are and can be checked.

What travels between machines, or lies in a store under the hash of its content, is a header (magic,
version, dtype, number of axes, checksum, shape) and the values in C order, little endian. Reading
one runs no code and copies nothing, whatever the bytes, save that images sent as pixels become the
float32 that they stand for.
"""

import hashlib
import math
import struct

import numpy as np
import xxhash

from stillhouse.data.pixel_images import LEVELS, Images, PixelImages

VERSION = 2

_MAGIC = b"SHAR"
# Magic, version, dtype, axes, one byte of padding, and the XXH3 of the shape and the values.
_HEADER = struct.Struct("<4sBBBxQ")
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
# What each byte stands for, float32 [256, c], and then the bytes, uint8 [n, h, w, c].
_PIXELS = 7


class WireError(ValueError):
    """Bytes that are not an array, or not the array that was sent."""


def pack(array: Images) -> bytes:
    """Return an array as bytes.

    Raises:
        WireError: if its dtype is not float32, float64, int32, int64, uint8 or bool, or it has
            more than eight axes.
    """
    if isinstance(array, PixelImages):
        values = _values(array.values, _DTYPES[1]), _values(array.pixels, _DTYPES[5])
        return _framed(_PIXELS, array.shape, *values)
    array = np.asarray(array)
    code = _CODES.get(array.dtype.newbyteorder("<"))
    if code is None:
        raise WireError(f"an array of {array.dtype} cannot be sent, only of {_names()}")
    if array.ndim > _MOST_AXES:
        raise WireError(f"an array of {array.ndim} axes cannot be sent, only up to {_MOST_AXES}")
    return _framed(code, array.shape, _values(array, _DTYPES[code]))


def _values(array: np.ndarray, dtype: np.dtype) -> memoryview:
    """Return the bytes of an array's values, where they lie if they can stay there."""
    return np.ascontiguousarray(array, dtype).reshape(-1).view(np.uint8).data


def _framed(code: int, lengths: tuple[int, ...], *values: memoryview) -> bytes:
    shape = b"".join(_AXIS.pack(length) for length in lengths)
    checksum = xxhash.xxh3_64(shape)
    for part in values:
        checksum.update(part)
    header = _HEADER.pack(_MAGIC, VERSION, code, len(lengths), checksum.intdigest())
    return b"".join((header, shape, *values))


def unpack(data: bytes, *, max_bytes: int | None = None) -> np.ndarray:
    """Return the array that `pack` made bytes of, read only, without a copy but of pixels.

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
    if code not in _DTYPES and code != _PIXELS:
        raise WireError(f"an array of the unknown dtype {code}")
    start = _HEADER.size + axes * _AXIS.size
    if axes > _MOST_AXES or len(data) < start:
        raise WireError(f"an array of {axes} axes in {len(data)} bytes")
    shape = struct.unpack_from(f"<{axes}Q", data, _HEADER.size)
    dtype = _DTYPES.get(code, np.dtype("u1"))
    table = _table_bytes(code, shape)
    # In Python's integers: a shape made to overflow does not.
    if math.prod(shape) * dtype.itemsize + table != len(data) - start:
        raise WireError(f"an array of shape {list(shape)} and {dtype} in {len(data) - start} bytes")
    if xxhash.xxh3_64_intdigest(memoryview(data)[_HEADER.size :]) != checksum:
        raise WireError("an array whose checksum is wrong: it was changed on its way")
    if dtype == np.bool_ and np.frombuffer(data, np.uint8, offset=start).max(initial=0) > 1:
        raise WireError("an array of bool with other values than 0 and 1")
    try:
        array = np.frombuffer(data, dtype, offset=start + table).reshape(shape)
        return _from_pixels(array, data[start : start + table]) if code == _PIXELS else array
    except ValueError as error:  # An empty array whose other axes are beyond any size.
        raise WireError(f"an array of shape {list(shape)}: {error}") from error


def _table_bytes(code: int, shape: tuple[int, ...]) -> int:
    """Return the bytes before the values: none, but of pixels what each stands for."""
    if code != _PIXELS:
        return 0
    if len(shape) != 4:
        raise WireError(f"images of shape {list(shape)}, where [n, h, w, c] belongs")
    return LEVELS * shape[3] * _DTYPES[1].itemsize


def _from_pixels(pixels: np.ndarray, table: bytes) -> np.ndarray:
    values = np.frombuffer(table, _DTYPES[1]).reshape(LEVELS, pixels.shape[3])
    images = np.asarray(PixelImages(pixels, values.astype(np.float32, copy=False)))
    images.flags.writeable = False
    return images


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal: the name under which they are stored."""
    return hashlib.sha256(data).hexdigest()


def _names() -> str:
    return ", ".join(dtype.name for dtype in _DTYPES.values())
