"""Augmentation of target batches, in raw pixels.

The published recipe: a fraction of the target images is rotated, shifted, flipped left to right
and shifted in its channels, before the transform. The support set is never augmented.
"""

import dataclasses
import math

import numpy as np
from scipy import ndimage


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What may happen to a target image; each draw is uniform and independent.

    Attributes:
        fraction: the share of a batch that is augmented, 0 to 1.
        flip: flip left to right, with a probability of one half. Not for digits and letters.
        shift: the largest shift, up or down and left or right, as a share of height and width.
        rotation: the largest angle, in degrees, either way.
        channel_shift: the largest value added to a channel, either way, as a share of the image's
            own range of pixel values; the result stays within that range.

    Raises:
        ValueError: if a number lies outside its range.

    References:
        Nguyen, Novak, Xiao, Lee. Dataset Distillation with Infinitely Wide Convolutional Networks.
        NeurIPS 2021, https://arxiv.org/abs/2107.13034
    """

    fraction: float = 0.5
    flip: bool = True
    shift: float = 0.1
    rotation: float = 10.0
    channel_shift: float = 0.1

    def __post_init__(self) -> None:
        for field, largest in (("fraction", 1), ("shift", 1), ("rotation", 180)):
            value = getattr(self, field)
            if not 0 <= value <= largest:
                raise ValueError(f"`{field}` must be between 0 and {largest}, got {value}")
        if not (math.isfinite(self.channel_shift) and self.channel_shift >= 0):
            raise ValueError(f"`channel_shift` must not be negative, got {self.channel_shift}")


FLIPS = Augmentation(fraction=1, shift=0, rotation=0, channel_shift=0)
"""Flips alone."""


def augment(images: np.ndarray, augmentation: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Augment a random part of a batch.

    Args:
        images: raw pixels `[n, h, w, c]`, uint8 or float.
        augmentation: what may happen.
        rng: the source of randomness; the result is a function of it and the other arguments.

    Returns:
        float32 `[n, h, w, c]`, raw pixels, in the order given.
    """
    n, h, w, c = images.shape
    augmented = images.astype(np.float32)
    chosen = np.sort(rng.permutation(n)[: round(augmentation.fraction * n)])
    # All draws first, in a fixed order and number, whatever is switched on.
    flips = rng.random(len(chosen)) < 0.5
    angles = rng.uniform(-1, 1, len(chosen)) * augmentation.rotation
    shifts = rng.uniform(-1, 1, (len(chosen), 2)) * augmentation.shift * (h, w)
    offsets = rng.uniform(-1, 1, (len(chosen), c)) * augmentation.channel_shift
    for i, flip, angle, (down, right), offset in zip(
        chosen, flips, angles, shifts, offsets, strict=True
    ):
        image = augmented[i]
        low, high = image.min(), image.max()
        if augmentation.flip and flip:
            image = image[:, ::-1]
        if angle or down or right:
            image = rotate_and_shift(image, angle, down, right)
        augmented[i] = np.clip(image + (offset * (high - low)).astype(np.float32), low, high)
    return augmented


def rotate_and_shift(image: np.ndarray, angle: float, down: float, right: float) -> np.ndarray:
    """Rotate an image about its centre, then shift it; bilinear, edges repeated.

    Args:
        image: `[h, w, c]`.
        angle: in degrees, anticlockwise as the image is seen.
        down: in pixels.
        right: in pixels.

    Returns:
        An array of the same shape and dtype.
    """
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    # From an output pixel to the input pixel it shows: shift back, then turn back.
    matrix = np.array([[cosine, sine], [-sine, cosine]])
    centre = (np.array(image.shape[:2]) - 1) / 2
    offset = centre - matrix @ (centre + (down, right))
    moved = np.empty_like(image)
    for channel in range(image.shape[2]):
        ndimage.affine_transform(
            image[..., channel], matrix, offset, order=1, mode="nearest", output=moved[..., channel]
        )
    return moved
