"""Images as the pixels that they were made from: a quarter of the bytes, and the same bits."""

import dataclasses

import numpy as np

from stillhouse.data.transforms.standardise import Standardise
from stillhouse.data.transforms.transform import Identity, Transform

LEVELS = 256


@dataclasses.dataclass(frozen=True, eq=False)
class PixelImages:
    """Float32 images `[n, h, w, c]` whose every value stands for a byte of its channel.

    To whoever asks for shape, dtype, length or a slice they are the float32 images; as an array,
    by `np.asarray`, they become these, in new memory. What each byte stands for comes with them, so
    nobody need know the transform.

    Attributes:
        pixels: uint8 `[n, h, w, c]`.
        values: what each of the 256 bytes stands for in each channel, float32 `[256, c]`.

    Raises:
        ValueError: if these are of other shapes or dtypes.
    """

    pixels: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        pixels, values = self.pixels, self.values
        if pixels.dtype != np.uint8 or pixels.ndim != 4:
            raise ValueError(
                f"`pixels` must be uint8 [n, h, w, c], got {pixels.dtype} {list(pixels.shape)}"
            )
        if values.dtype != np.float32 or values.shape != (LEVELS, pixels.shape[3]):
            raise ValueError(
                f"`values` must be float32 {[LEVELS, pixels.shape[3]]}, got {values.dtype} "
                f"{list(values.shape)}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the images."""
        return self.pixels.shape

    @property
    def dtype(self) -> np.dtype:
        """That of the images, float32."""
        return self.values.dtype

    @property
    def nbytes(self) -> int:
        """What they take as they are."""
        return self.pixels.nbytes + self.values.nbytes

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, part: slice) -> "PixelImages":
        return PixelImages(self.pixels[part], self.values)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        images = np.empty(self.shape, np.float32)
        for channel in range(self.shape[3]):
            images[..., channel] = self.values[:, channel][self.pixels[..., channel]]
        return images if dtype is None else images.astype(dtype, copy=False)


def is_seen_as_pixels(transform: str, dtype: np.dtype) -> bool:
    """Return whether raw images of a dtype are still pixels when seen through such a transform."""
    return dtype == np.uint8 and transform in (Standardise.kind, Identity.kind)


Images = np.ndarray | PixelImages


def seen_through(transform: Transform, images: np.ndarray) -> Images:
    """Return raw images as the kernel sees them, as pixels where that is the same to the bit.

    It is where each value of the result goes back to one byte: raw images are uint8, and the
    transform looks at each value alone. Whitening mixes all values of an image.
    """
    if not is_seen_as_pixels(transform.kind, images.dtype):
        return transform.apply(images)
    ramp = np.arange(LEVELS, dtype=np.uint8)[:, None, None, None]
    every = np.broadcast_to(ramp, (LEVELS, 1, 1, images.shape[3]))
    return PixelImages(images, transform.apply(every).reshape(LEVELS, -1))
