"""Networks without convolutions: the covariance of two images is their scalar product."""

import numpy as np

from stillhouse.kernels.fused.sides import Gradient, Prepared
from stillhouse.kernels.threads import Workers

_PANEL_NUMBERS = 1 << 20
_MAX_PANEL = 512


class FlatBody:
    """A Flatten and nothing before it: n = <x, x'> / (h w c), t = 0, in float64 by the BLAS."""

    smallest_gap = 1e-14

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        """Take the images' shape `[h, w, c]`."""
        self._shape = image_shape
        self._pixels = int(np.prod(image_shape))
        self.panel = max(16, min(_MAX_PANEL, _PANEL_NUMBERS // self._pixels))

    def prepare(self, images: np.ndarray, workers: Workers, *, selves: bool) -> Prepared:
        """Flatten the images; their own n costs nothing."""
        flat = images.reshape(len(images), self._pixels).astype(np.float64)
        n = np.einsum("ij,ij->i", flat, flat) / self._pixels
        return Prepared(len(images), flat, n, np.zeros_like(n))

    def pairs(
        self, rows: Prepared, columns: Prepared, workers: Workers, *, upper: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return all scalar products, whatever `upper` says."""
        n = rows.images @ columns.images.T / self._pixels
        return n, np.zeros_like(n)

    def gradient(self, images: Prepared) -> Gradient:
        """Return zeros to add to."""
        zeros = np.zeros(images.size)
        return Gradient(np.zeros_like(images.images), np.zeros((0, 0)), zeros, zeros.copy())

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
        """Add the other side's images, weighted; t is constant."""
        if gradients[0] is not None:
            gradients[0].pixels += g_n @ columns.images / self._pixels
        if gradients[1] is not None:
            gradients[1].pixels += g_n.T @ rows.images / self._pixels

    def finish(self, images: Prepared, gradient: Gradient, workers: Workers) -> np.ndarray:
        """Add the images themselves, weighted by the cotangents of their own n."""
        own = 2 * gradient.n[:, None] * images.images / self._pixels
        return (gradient.pixels + own).reshape(-1, *self._shape)
