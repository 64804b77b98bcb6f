"""What the two kinds of networks, with and without convolutions, have in common."""

import dataclasses
from typing import Any, Protocol

import numpy as np

from stillhouse.kernels.threads import Workers

OUT_OF_RANGE = (
    "the kernel of these images leaves the range of float32; scale their pixels, or the "
    "architecture's `W_std`, towards 1"
)


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Some images with what is known of each alone.

    Attributes:
        size: how many images.
        images: in the form the loops want.
        n: covariance of each image's readout with itself, float64 `[size]`; zeros if not asked.
        t: tangent kernel of the same, `[size]`.
    """

    size: int
    images: Any
    n: np.ndarray
    t: np.ndarray


@dataclasses.dataclass
class Gradient:
    """The gradient of some images, as far as it is known.

    Attributes:
        pixels: of the pixels, float64 `[size, pixels]`.
        deviations: of the deviations times the deviations, `[size, map pixels]`, see `tables`.
        n: of each image's n with itself, `[size]`.
        t: the same of t.
    """

    pixels: np.ndarray
    deviations: np.ndarray
    n: np.ndarray
    t: np.ndarray


class Body(Protocol):
    """All layers up to the readout.

    Attributes:
        panel: how many images to prepare at a time, so that memory stays bounded.
        smallest_gap: the 1 - |c| of its results below which no digit is correct.
    """

    panel: int
    smallest_gap: float

    def prepare(self, images: np.ndarray, workers: Workers, *, selves: bool) -> Prepared:
        """Return images `[size, h, w, c]` prepared; n and t of each with itself if `selves`."""
        ...

    def pairs(
        self, rows: Prepared, columns: Prepared, workers: Workers, *, upper: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return n and t `[n1, n2]` of the readout; above the diagonal only if `upper`."""
        ...

    def gradient(self, images: Prepared) -> Gradient:
        """Return zeros to add to."""
        ...

    def add_pairs_vjp(
        self,
        rows: Prepared,
        columns: Prepared,
        g_n: np.ndarray,
        g_t: np.ndarray,
        gradients: tuple[Gradient | None, Gradient | None],
        workers: Workers,
        *,
        upper: bool = False,
    ) -> None:
        """Add the vjp of `pairs` to the gradients of both sides, where they are wanted."""
        ...

    def finish(self, images: Prepared, gradient: Gradient, workers: Workers) -> np.ndarray:
        """Return the gradient `[size, h, w, c]`, with what went through the images' own kernels."""
        ...
