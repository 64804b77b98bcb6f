"""Checks of what callers hand to a kernel, shared by the backends."""

from typing import Any

import numpy as np


def checked_images(x: Any, name: str) -> np.ndarray:
    """Return images as an array of float32 or float64 in C order.

    Raises:
        ValueError: if `x` is not `[n, h, w, c]` with at least one image, not numbers, or not
            finite.
    """
    array = _numbers(x, name)
    if array.ndim != 4 or 0 in array.shape:
        raise ValueError(
            f"`{name}` must be images [n, h, w, c] with at least one of each, "
            f"got an array of shape {array.shape}"
        )
    if array.dtype != np.float64:
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        image = int(np.argmin(np.isfinite(array).all(axis=(1, 2, 3))))
        raise ValueError(f"`{name}` holds NaN or infinite pixels, first in image {image}")
    return np.ascontiguousarray(array)


def checked_pair(x1: Any, x2: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return both inputs of a block as `checked_images` of one dtype and image shape."""
    first, second = checked_images(x1, "x1"), checked_images(x2, "x2")
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"`x1` and `x2` must hold images of one shape [h, w, c], "
            f"got {first.shape[1:]} and {second.shape[1:]}"
        )
    dtype = np.result_type(first, second)
    return first.astype(dtype, copy=False), second.astype(dtype, copy=False)


def checked_cotangent(cotangent: Any, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """Return a cotangent of the block's `shape` and `dtype`.

    Raises:
        ValueError: if it has another shape, or is not finite.
    """
    array = _numbers(cotangent, "cotangent").astype(dtype, copy=False)
    if array.shape != shape:
        raise ValueError(f"`cotangent` must have the block's shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("`cotangent` holds NaN or infinite entries")
    return array


def _numbers(value: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:  # NumPy's own, of rows that differ in length.
        raise ValueError(f"`{name}` must be an array, got rows that differ in length") from error
    # Types of other libraries, such as bfloat16, are of the kind V.
    if array.dtype.kind not in "uifbV":
        raise ValueError(f"`{name}` must hold real numbers, got an array of {array.dtype}")
    return array


def checked_wrt(wrt: tuple[int, ...]) -> tuple[int, ...]:
    """Return `wrt`, if it names the inputs 0 and 1 only, each at most once."""
    if (
        not isinstance(wrt, tuple | list)
        or not wrt
        or any(i not in (0, 1) for i in wrt)
        or len(set(wrt)) != len(wrt)
    ):
        raise ValueError(f"`wrt` must be (0,), (1,) or (0, 1), got {wrt}")
    return tuple(wrt)
