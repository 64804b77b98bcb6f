"""Arrays from anywhere, brought into the two forms that this package works with.

Images are `[n, h, w, c]`, uint8 or float32; integer labels are int64 `[n]`. What cannot be brought
into these forms without a guess is refused here, once, with the reason.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

ArrayLike = np.ndarray | Sequence[Any]


def as_images(images: ArrayLike, name: str) -> np.ndarray:
    """Return images as uint8 or float32 `[n, h, w, c]`, copying only where it must.

    Integers that fit in 0 to 255 become uint8; wider integers, booleans and floats become float32.

    Args:
        images: `[n, h, w, c]`, grey `[n, h, w]`, or a sequence of images of one size.
        name: what errors call the argument.

    Raises:
        ValueError: if there is no image, the sizes are mixed, the shape is not one of the above,
            the values are not real numbers, or a pixel is NaN or infinite.
    """
    array = _stack(images, name)
    if array.dtype.kind not in "uifb":
        raise ValueError(f"{name} must hold numbers, got an array of {array.dtype}")
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4:
        raise ValueError(
            f"{name} must be [n, h, w, c], or [n, h, w] for grey images, got shape {array.shape}"
        )
    if 0 in array.shape:
        raise ValueError(f"{name} holds no images: its shape is {array.shape}")
    if array.shape[1] in (1, 3) and array.shape[3] > 4:
        raise ValueError(
            f"{name} has shape {array.shape}, which looks like channels first; "
            "transpose it to [n, h, w, c] with `transpose(0, 2, 3, 1)`"
        )
    if array.dtype.kind in "ui" and array.min() >= 0 and array.max() <= 255:
        return np.ascontiguousarray(array, dtype=np.uint8)
    with np.errstate(over="ignore"):  # what overflows is reported below, as infinite
        floats = np.ascontiguousarray(array, dtype=np.float32)
    finite = np.isfinite(floats)
    if not finite.all():
        at = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name} must be finite: image {at[0]} has the pixel value {array[at]} "
            f"at row {at[1]}, column {at[2]}, channel {at[3]}"
        )
    return floats


def as_labels(labels: ArrayLike, name: str) -> np.ndarray:
    """Return class labels as int64 `[n]`.

    Args:
        labels: integers, or floats that are whole numbers, `[n]` or `[n, 1]`.
        name: what errors call the argument.

    Raises:
        ValueError: if the labels are soft or one-hot (`[n, k]`), are not numbers, or are not whole.
    """
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        raise ValueError(
            f"{name} has shape {array.shape}: a dataset needs one integer class per image, "
            "not soft or one-hot labels (`labels.argmax(axis=1)` would make them)"
        )
    if array.ndim != 1:
        raise ValueError(f"{name} must be [n] or [n, 1], got shape {array.shape}")
    if array.dtype.kind not in "uifb":
        raise ValueError(f"{name} must be integers, got an array of {array.dtype}")
    with np.errstate(invalid="ignore"):  # NaN and infinity are reported below
        integers = array.astype(np.int64)
    wrong = np.flatnonzero(integers != array)
    if wrong.size:
        raise ValueError(
            f"{name} must be integers: label {wrong[0]} is {array[wrong[0]]} "
            f"({wrong.size} of {array.size} are not whole numbers)"
        )
    return integers


def check_classes(labels: np.ndarray, num_classes: int, name: str) -> None:
    """Raise `ValueError` if a label is outside 0 to `num_classes - 1`."""
    outside = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if outside.size:
        raise ValueError(
            f"{name} must be classes 0 to {num_classes - 1}: label {outside[0]} is "
            f"{labels[outside[0]]} ({outside.size} of {labels.size} are outside)"
        )


def slices(length: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices of at most `size` that cover `range(length)`."""
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def size_name(shape: Sequence[int]) -> str:
    """Return an image shape as people write it, such as `32x32x3`."""
    return "x".join(str(n) for n in shape)


def _stack(images: ArrayLike, name: str) -> np.ndarray:
    if hasattr(images, "__array__"):
        array = np.asarray(images)
        if array.dtype != object:
            return array
    items = [np.asarray(image) for image in images]
    for i, item in enumerate(items):
        if item.shape != items[0].shape:
            raise ValueError(
                f"{name} must have one size: image {i} is {size_name(item.shape)}, "
                f"image 0 is {size_name(items[0].shape)}"
            )
    return np.stack(items) if items else np.empty((0, 0, 0, 0))
