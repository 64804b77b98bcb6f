"""What every transform can do, and the transform that does nothing."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

from stillhouse.data.arrays import stack_images


class Transform(Protocol):
    """A map from raw images to the space that the kernel sees, and back."""

    @property
    def kind(self) -> str:
        """Its name in files and flags."""
        ...

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Bring raw images `[n, h, w, c]` into the kernel's space, float32 `[n, h, w, c]`."""
        ...

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return `apply(images)`."""
        ...

    def invert(self, images: np.ndarray) -> np.ndarray:
        """Bring images of the kernel's space back to raw pixels, float32 `[n, h, w, c]`."""
        ...

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all that is needed to make the same transform again."""
        ...


@dataclasses.dataclass(frozen=True)
class Identity:
    """The transform `none`: raw pixels, as float32."""

    kind: ClassVar[str] = "none"

    @classmethod
    def fit(cls, x_train: np.ndarray) -> "Identity":
        """Return the transform: there is nothing to measure."""
        return cls()

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Return the images as float32."""
        return as_batch(images).astype(np.float32, copy=False)

    __call__ = apply

    def invert(self, images: np.ndarray) -> np.ndarray:
        """Return the images as float32."""
        return as_batch(images).astype(np.float32, copy=False)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return no arrays: there is nothing to remember."""
        return {}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Identity":
        """Return the transform: there is nothing to remember."""
        return cls()


def as_batch(images: Any) -> np.ndarray:
    """Return images to be transformed as an array `[n, h, w, c]`.

    Raises:
        ValueError: if they are not images, or no numbers.
    """
    array = stack_images(images, "`images`")
    if array.ndim != 4 or array.dtype.kind not in "uifb":
        raise ValueError(
            f"`images` must be numbers [n, h, w, c], got {array.dtype} of shape {array.shape}"
        )
    return array


def stored_array(
    kind: str, arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int | None, ...]
) -> np.ndarray:
    """Return one array of a stored transform as float64, of the given shape (None: any length).

    Raises:
        ValueError: if it is missing, is not numbers, has another shape, or is not finite.
    """
    if name not in arrays:
        raise ValueError(f"the stored transform `{kind}` lacks the array `{name}`")
    array = np.asarray(arrays[name])
    fits = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if array.dtype.kind not in "uif" or not fits:
        wanted = "[" + ", ".join("n" if n is None else str(n) for n in shape) + "]"
        raise ValueError(
            f"`{name}` of the stored transform `{kind}` must be numbers of shape {wanted}, "
            f"got {array.dtype} of shape {array.shape}"
        )
    floats = array.astype(np.float64)
    if not np.isfinite(floats).all():
        raise ValueError(f"`{name}` of the stored transform `{kind}` must be finite")
    return floats
