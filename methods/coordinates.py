"""The coordinates in which an optimiser sees images: pixels, or a cosine transform of them.

Adam scales every coordinate by itself, so it matters which ones there are. In pixels that are not
whitened, neighbours move alike, and coarse shapes hardly at all; in the frequencies of a cosine
transform each moves as fast as its own gradient lets it.
"""

import dataclasses
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from stillhouse.methods.options import option

if TYPE_CHECKING:
    import optax

COORDINATES = ("pixel", "dct")


def coordinates_option() -> Any:
    """Declare the setting `coordinates` of a method that learns images."""
    return option(
        "pixel",
        "in which coordinates the optimiser sees the images: pixel, or dct, a cosine transform",
        choices=COORDINATES,
    )


@dataclasses.dataclass(frozen=True)
class Rotation:
    """An orthonormal map of images `[s, h, w, c]`, and its transpose, which is its inverse.

    Attributes:
        there: from pixels to coordinates, of the same shape.
        back: from coordinates to pixels.
    """

    there: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]


def rotation(coordinates: str) -> Rotation:
    """Return the map of coordinates other than pixels: one channel is mapped as any other.

    Raises:
        ValueError: if there are no such coordinates.
    """
    if coordinates != "dct":
        known = ", ".join(COORDINATES)
        raise ValueError(f"`coordinates` must be one of {known}, got {coordinates!r}")
    import scipy.fft

    # Not by XLA: on a processor the bits of its products depend on the number of cores.
    return Rotation(
        lambda images: scipy.fft.dctn(_checked(images), axes=(1, 2), norm="ortho"),
        lambda images: scipy.fft.idctn(_checked(images), axes=(1, 2), norm="ortho"),
    )


def in_coordinates(
    optimiser: "optax.GradientTransformation",
    coordinates: str,
    *,
    images: Collection[str] = ("images",),
) -> "optax.GradientTransformation":
    """Return an optimiser that sees some arrays of a tree in other coordinates.

        u = R^T update(R g),  with R the rotation

    Parameters, gradients and updates stay in pixels; the optimiser's moments are of coordinates.
    It is for `Learned`, outside of `jax.jit`.

    Args:
        optimiser: the one to be wrapped; in pixels it is returned as it is.
        coordinates: one of `COORDINATES`.
        images: the names of the arrays, float32 `[s, h, w, c]`; the others stay as they are.

    Raises:
        ValueError: if there are no such coordinates; at an update, if an array is not of images.
    """
    if coordinates == "pixel":
        return optimiser
    turn = rotation(coordinates)
    import optax

    def mapped(tree: Any, map_images: Callable[[np.ndarray], np.ndarray]) -> Any:
        if tree is None:
            return None
        return {n: map_images(np.asarray(a)) if n in images else a for n, a in tree.items()}

    def init(params: Any) -> Any:
        return optimiser.init(mapped(params, turn.there))

    def update(gradients: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        gradients, params = mapped(gradients, turn.there), mapped(params, turn.there)
        updates, state = optimiser.update(gradients, state, params)
        return mapped(updates, turn.back), state

    return optax.GradientTransformation(init, update)


def _checked(images: np.ndarray) -> np.ndarray:
    if images.ndim != 4:
        raise ValueError(f"images must be [s, h, w, c], got shape {images.shape}")
    return images
