"""Standardisation: each channel to mean zero and standard deviation one."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from stillhouse.data.arrays import as_images, slices
from stillhouse.data.transforms.transform import as_batch, stored_array

_CHUNK = 1024  # images converted to float64 at a time, to bound the memory of `fit`


@dataclasses.dataclass(frozen=True, eq=False)
class Standardise:
    """The transform `standardise`: `(x - mean) / std`, per channel over the train set.

    A channel that never changes has a standard deviation of zero; it is divided by one.

    Attributes:
        mean: float64 `[c]`, in raw pixel values.
        std: float64 `[c]`, in raw pixel values, positive.

    Raises:
        ValueError: if `mean` and `std` differ in length, or `std` is not positive.
    """

    kind: ClassVar[str] = "standardise"

    mean: np.ndarray
    std: np.ndarray

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape:
            raise ValueError(
                f"`mean` and `std` must be [c], got shapes {self.mean.shape} and {self.std.shape}"
            )
        if not (self.std > 0).all():
            raise ValueError(f"`std` must be positive, got {self.std.tolist()}")

    @classmethod
    def fit(cls, x_train: np.ndarray) -> "Standardise":
        """Measure mean and standard deviation, in float64 and two passes.

        Args:
            x_train: raw images `[n, h, w, c]`.
        """
        images = as_images(x_train, "`x_train`")
        pixels = images[..., 0].size
        axes = (0, 1, 2)
        mean = np.zeros(images.shape[3])
        for part in slices(len(images), _CHUNK):
            mean += images[part].sum(axis=axes, dtype=np.float64)
        mean /= pixels
        variance = np.zeros_like(mean)
        for part in slices(len(images), _CHUNK):
            variance += np.square(images[part] - mean).sum(axis=axes)
        std = np.sqrt(variance / pixels)
        # Sums of equal float32 values are exact in float64: a constant channel has exactly zero.
        return cls(mean, np.where(std == 0.0, 1.0, std))

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Return standardised float32 `[n, h, w, c]`.

        Raises:
            ValueError: if the images have another number of channels.
        """
        images = self._checked(images)
        floats = np.subtract(images, self.mean.astype(np.float32), dtype=np.float32)
        floats /= self.std.astype(np.float32)
        return floats

    __call__ = apply

    def invert(self, images: np.ndarray) -> np.ndarray:
        """Return raw pixel values, float32 `[n, h, w, c]`.

        Raises:
            ValueError: if the images have another number of channels.
        """
        images = self._checked(images)
        floats = np.multiply(images, self.std.astype(np.float32), dtype=np.float32)
        floats += self.mean.astype(np.float32)
        return floats

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return `mean` and `std`."""
        return {"mean": self.mean, "std": self.std}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Standardise":
        """Make the transform from what `to_arrays` returned.

        Raises:
            ValueError: if an array is missing or wrong.
        """
        mean = stored_array(cls.kind, arrays, "mean", (None,))
        return cls(mean, stored_array(cls.kind, arrays, "std", (None,)))

    def _checked(self, images: np.ndarray) -> np.ndarray:
        images = as_batch(images)
        if images.shape[3] != len(self.mean):
            raise ValueError(
                f"the transform was fitted to images [n, h, w, {len(self.mean)}], "
                f"got shape {images.shape}"
            )
        return images
