"""Corruption: a part of every image is noise, and stays it, so that less of the data is in it."""

import dataclasses
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from stillhouse.data.sampling import rng_for
from stillhouse.methods.options import option

if TYPE_CHECKING:
    import optax


def _share(value: float) -> str | None:
    return None if 0 <= value < 1 else "a share from 0 to below 1"


def corruption_option() -> Any:
    """Declare the setting `corruption` of a method."""
    return option(0.0, "the share of the pixels that are noise and never learned", check=_share)


def check_corruption(share: float, coordinates: str) -> None:
    """Check that what is held still are the coordinates in which images are learned.

    Args:
        share: the setting `corruption`.
        coordinates: the setting `coordinates`.

    Raises:
        ValueError: if not.
    """
    if share and coordinates != "pixel":
        raise ValueError(
            f"`--corruption` is of pixels, and --coordinates={coordinates} moves them all "
            "at once; use --coordinates=pixel"
        )


@dataclasses.dataclass(frozen=True)
class Corruption:
    """Which values of a set's images are standard normal noise: a function of seed and shape.

    Each channel of a pixel is a value of its own. With a share of 0 nothing is.

    Attributes:
        share: of all values, from 0 to below 1; each is drawn by itself.
        seed: of which they are, and of the noise.

    Raises:
        ValueError: if the share is out of its range.

    References:
        Nguyen, Chen, Lee. Dataset Meta-Learning from Kernel Ridge-Regression. ICLR 2021,
        https://arxiv.org/abs/2011.00050 (rho-corruption)
    """

    share: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"`corruption` must be from 0 to below 1, got {self.share}")

    def mask(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return which values of images of a shape are noise, bool."""
        return rng_for(self.seed, "corruption").random(shape) < self.share

    def of(self, images: np.ndarray) -> np.ndarray:
        """Return images with noise where it belongs; with a share of 0, the same."""
        if not self.share:
            return images
        noise = rng_for(self.seed, "corruption noise").standard_normal(images.shape, np.float32)
        return np.where(self.mask(images.shape), noise, images)

    def held(
        self,
        optimiser: "optax.GradientTransformation",
        *,
        images: Collection[str] = ("images",),
    ) -> "optax.GradientTransformation":
        """Return an optimiser that sees no gradient where there is noise, which so stays.

        Its state is that of the one it wraps; it is for `Learned`, outside of `jax.jit`.

        Args:
            optimiser: one that leaves alone what never had a gradient, such as Adam or SGD.
            images: the names of the arrays that hold images; the others stay as they are.
        """
        if not self.share:
            return optimiser
        import optax

        def update(gradients: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
            seen = {
                name: np.where(self.mask(g.shape), np.float32(0), g) if name in images else g
                for name, g in gradients.items()
            }
            return optimiser.update(seen, state, params)

        return optax.GradientTransformation(optimiser.init, update)
