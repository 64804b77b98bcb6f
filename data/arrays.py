"""Arrays from anywhere, brought into the two forms that this package works with.

Images are `[n, h, w, c]`, uint8 or float32; integer labels are int64 `[n]`. What cannot be brought
into these forms without a guess is refused here, once, with the reason.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from stillhouse.data.arguments import shown

ArrayLike = np.ndarray | Sequence[Any]

# More than any dataset of images has; a larger label is no class, but something else.
MOST_CLASSES = 2**16


def as_images(images: ArrayLike, name: str) -> np.ndarray:
    """Return images as uint8 or float32 `[n, h, w, c]`, copying only where it must.

    uint8 stays; all else becomes float32 with the values it has. Which of the two depends on the
    type alone and never on the values, so that two parts of one dataset agree.

    Args:
        images: `[n, h, w, c]`, grey `[n, h, w]`, or a sequence of images of one size.
        name: what errors call the argument.

    Raises:
        ValueError: if there is no image, the sizes are mixed, the shape is not one of the above,
            the values are not real numbers, or a pixel is NaN or infinite.
    """
    array = stack_images(images, name)
    if array.dtype.kind not in "uifb":
        raise ValueError(f"{name} must hold numbers, got an array of {array.dtype}")
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim == 2:
        raise ValueError(f"{name} has flat images, shape {array.shape}: {_unflatten(array)}")
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
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
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


def as_image_splits(
    train: ArrayLike, test: ArrayLike, names: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of both splits, as `as_images`, of one dtype.

    uint8 beside other integers becomes float32 with them.

    Args:
        train: as for `as_images`.
        test: as for `as_images`.
        names: what errors call the arguments.

    Raises:
        ValueError: as `as_images`, and if they differ in size, one split holds integers and the
            other one floats, or one lies in -1 to 1 and the other one far outside.
    """
    raw = [stack_images(images, name) for images, name in zip((train, test), names, strict=True)]
    x_train, x_test = (as_images(array, name) for array, name in zip(raw, names, strict=True))
    if x_train.shape[1:] != x_test.shape[1:]:
        raise ValueError(
            f"images must have one size: {names[0]} holds {size_name(x_train.shape[1:])}, "
            f"{names[1]} {size_name(x_test.shape[1:])}"
        )
    if x_train.dtype != x_test.dtype:
        if "f" in (raw[0].dtype.kind, raw[1].dtype.kind):
            raise ValueError(
                f"{names[0]} is {x_train.dtype} and {names[1]} {x_test.dtype}: give both splits in "
                "the same pixel scale and dtype"
            )
        x_train, x_test = x_train.astype(np.float32), x_test.astype(np.float32)
    if x_train.dtype == np.float32:
        _check_scales(x_train, x_test, names)
    return x_train, x_test


def _check_scales(train: np.ndarray, test: np.ndarray, names: tuple[str, str]) -> None:
    ranges = [(float(x.min()), float(x.max())) for x in (train, test)]
    sizes = [max(-low, high) for low, high in ranges]
    if 0 < min(sizes) <= 1 and max(sizes) >= 100:
        shown = [f"{low:g} to {high:g}" for low, high in ranges]
        raise ValueError(
            f"{names[0]} lies in {shown[0]} and {names[1]} in {shown[1]}: give both splits in the "
            "same pixel scale"
        )


def as_labels(labels: ArrayLike, name: str) -> np.ndarray:
    """Return class labels as int64 `[n]`.

    Args:
        labels: integers, or floats that are whole numbers, `[n]` or `[n, 1]`.
        name: what errors call the argument.

    Raises:
        ValueError: if the labels are soft or one-hot (`[n, k]`), are not numbers, or are not whole.
    """
    array = label_array(labels, name)
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


def label_array(labels: ArrayLike, name: str) -> np.ndarray:
    """Return labels of any kind as an array.

    Raises:
        ValueError: if they are none, or rows that differ in length.
    """
    if not isinstance(labels, Iterable) or isinstance(labels, str | bytes):
        raise ValueError(f"{name} must be labels [n], got {shown(labels)}")
    try:
        return np.asarray(labels)
    except ValueError as error:  # NumPy's own.
        raise ValueError(f"{name} must be labels [n], got rows that differ in length") from error


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


def _unflatten(array: np.ndarray) -> str:
    side, channels = math.isqrt(array.shape[1]), math.isqrt(array.shape[1] // 3)
    if side > 1 and side * side == array.shape[1]:
        return f"make them images, by `reshape(-1, {side}, {side})` if they are grey squares"
    if channels > 1 and 3 * channels * channels == array.shape[1]:
        size = f"{channels}, {channels}"
        return (
            f"make them images, by `reshape(-1, {size}, 3)`, or as CIFAR has its colours by "
            f"`reshape(-1, 3, {size}).transpose(0, 2, 3, 1)`"
        )
    return "make them [n, h, w, c], or [n, h, w] for grey images, by `reshape`"


def stack_images(images: ArrayLike, name: str) -> np.ndarray:
    """Return a sequence of images of one size as one array, and an array as it is.

    Raises:
        ValueError: if the sizes are mixed, or it is no sequence of arrays.
    """
    if hasattr(images, "__array__"):
        array = np.asarray(images)
        if array.dtype != object:
            return array
    if not isinstance(images, Iterable) or isinstance(images, str | bytes):
        raise ValueError(f"{name} must be images [n, h, w, c], got {shown(images)}")
    try:
        items = [np.asarray(image) for image in images]
    except ValueError as error:  # NumPy's, of rows that differ in length.
        raise ValueError(f"{name} must hold images, each an array [h, w, c]") from error
    for i, item in enumerate(items):
        if item.shape != items[0].shape:
            raise ValueError(
                f"{name} must have one size: image {i} is {size_name(item.shape)}, "
                f"image 0 is {size_name(items[0].shape)}"
            )
    return np.stack(items) if items else np.empty((0, 0, 0, 0))
