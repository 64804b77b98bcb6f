"""A transform that knows in what scale its images came."""

import dataclasses
import math

import numpy as np

from stillhouse.data.arrays import size_name, stack_images
from stillhouse.data.transforms.transform import Transform


@dataclasses.dataclass(frozen=True)
class Checked:
    """The transform of a distilled set, which refuses images of another shape or scale.

    Images divided by 255, where the set came of 0 to 255, would become nearly black without a word,
    and every prediction from them wrong.

    Attributes:
        inner: the transform itself.
        image_shape: height, width and channels of the dataset.
        pixel_range: the smallest and the largest raw pixel value of its train images.
    """

    inner: Transform
    image_shape: tuple[int, int, int]
    pixel_range: tuple[float, float]

    @property
    def kind(self) -> str:
        """Its name in files and flags."""
        return self.inner.kind

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Bring raw images `[n, h, w, c]` into the kernel's space, float32 `[n, h, w, c]`.

        Raises:
            ValueError: if they have another shape, or are in another scale.
        """
        images = stack_images(images, "`images`")
        self.check(images)
        return self.inner.apply(images)

    __call__ = apply

    def check(self, images: np.ndarray) -> None:
        """Raise `ValueError` if images have another shape or scale, or a pixel is not finite."""
        self._check_shape(images)
        if images.dtype.kind not in "uifb":
            raise ValueError(f"`images` must hold numbers, got an array of {images.dtype}")
        if not images.size:
            return
        smallest, largest = float(images.min()), float(images.max())
        found = max(largest, -smallest)
        if not math.isfinite(found):
            raise ValueError(f"`images` must be finite, got pixels up to {found}")
        advice = self._advice(smallest, found, floats=images.dtype.kind == "f")
        if advice is not None:
            low, high = self.pixel_range
            raise ValueError(
                f"images lie in {smallest:g} to {largest:g}, those that the set was distilled from "
                f"in {low:g} to {high:g}: {advice}"
            )

    def _advice(self, smallest: float, found: float, *, floats: bool) -> str | None:
        """Return what brings images to the right scale; None where they are in it.

        Args:
            smallest: their smallest pixel.
            found: the largest absolute one.
            floats: whether they may have fractions.
        """
        low, high = self.pixel_range
        size = max(-low, high)
        # Pixels have no such sign: somebody took a mean away. A little of it is left by filters.
        if low >= 0 > smallest and (found < size / 10 or -smallest > (high - low) / 2):
            return "give them as they were before they were normalised"
        small = floats and 0 < found <= 1.0 and size >= 100
        large = 0 < size <= 1.0 and found >= 100
        if not (small or large):
            return None
        if low < 0:
            return "bring them to that scale"
        scale = max(size, found)
        return f"{'multiply' if small else 'divide'} them by {255 if scale <= 255 else scale:g}"

    def invert(self, images: np.ndarray) -> np.ndarray:
        """Bring images of the kernel's space back to raw pixels, float32 `[n, h, w, c]`.

        Raises:
            ValueError: if they have another shape.
        """
        images = stack_images(images, "`images`")
        self._check_shape(images)
        return self.inner.invert(images)

    def _check_shape(self, images: np.ndarray) -> None:
        if images.ndim != 4 or images.shape[1:] != self.image_shape:
            raise ValueError(
                f"`images` must be [n, {', '.join(map(str, self.image_shape))}], as those that the "
                f"set was distilled from ({size_name(self.image_shape)}), got shape {images.shape}"
            )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all that is needed to make the same transform again."""
        return self.inner.to_arrays()
