"""One kernel at one image size: the image layers, the dense layers, and which kernel is wanted."""

import functools
from collections.abc import Callable, Iterator

import numpy as np

from stillhouse.kernels.fused.convolutional import ConvolutionalBody
from stillhouse.kernels.fused.dense import DenseTail
from stillhouse.kernels.fused.flat import FlatBody
from stillhouse.kernels.fused.plan import input_pool
from stillhouse.kernels.fused.sides import Body, Gradient, Prepared
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.threads import Workers


class Network:
    """Kernels of panels: as many images on either side as may be prepared at a time."""

    def __init__(
        self,
        spec: KernelSpec,
        image_shape: tuple[int, int, int],
        *,
        convolutional: Callable[[tuple[int, int, int]], Body] | None = None,
    ) -> None:
        """Lay out the work for images `[h, w, c]`.

        Args:
            spec: the architecture and kind.
            image_shape: `[h, w, c]`.
            convolutional: makes the image layers of a network with convolutions, from the shape of
                the images that the first of them sees; by default those of the fused loops.
        """
        height, width, channels = image_shape
        architecture = spec.architecture
        self._shape = image_shape
        self._pool = input_pool(architecture, height, width)
        pooled = (height // self._pool[0], width // self._pool[1], channels)
        self._is_ntk = spec.kind == "ntk"
        self._body: Body
        if architecture.is_convolutional:
            make = convolutional or functools.partial(
                ConvolutionalBody, architecture, with_t=self._is_ntk
            )
            self._body = make(pooled)
        else:
            self._body = FlatBody(pooled)
        self._tail = DenseTail(architecture.dense_layers, smallest_gap=self._body.smallest_gap)

    def panels(
        self, x: np.ndarray, workers: Workers, *, start: int = 0, selves: bool = False
    ) -> Iterator[tuple[slice, Prepared]]:
        """Yield images `[n, h, w, c]` from `start` on, prepared, and which they are.

        Args:
            x: all images.
            workers: threads.
            start: the first one wanted.
            selves: whether `selves` will be asked about them.
        """
        for first in range(start, len(x), self._body.panel):
            part = slice(first, min(first + self._body.panel, len(x)))
            images = averaged(x[part], self._pool)
            needed = selves or not self._tail.is_linear
            yield part, self._body.prepare(images, workers, selves=needed)

    def pairs(
        self, rows: Prepared, columns: Prepared, workers: Workers, *, upper: bool = False
    ) -> np.ndarray:
        """Return the kernel `[n1, n2]`; only what lies above the diagonal is right if `upper`."""
        n, t = self._body.pairs(rows, columns, workers, upper=upper)
        n, t = self._tail.pairs(n, t, rows.n[:, None], columns.n[None])
        return t if self._is_ntk else n

    def selves(self, images: Prepared) -> np.ndarray:
        """Return the kernel of each image with itself, `[size]`."""
        n, t = self._tail.selves(images.n, images.t)
        return t if self._is_ntk else n

    def gradient(self, images: Prepared) -> Gradient:
        """Return zeros to add to."""
        return self._body.gradient(images)

    def add_pairs_vjp(
        self,
        rows: Prepared,
        columns: Prepared,
        cotangent: np.ndarray,
        gradients: tuple[Gradient | None, Gradient | None],
        workers: Workers,
        *,
        upper: bool = False,
    ) -> None:
        """Add the vjp of `pairs` to the gradients that are wanted.

        The cotangent must be zero on and below the diagonal if `upper`.
        """
        weights = cotangent.astype(np.float64)
        zeros = np.zeros_like(weights)
        n, t = zeros, zeros
        if not self._tail.is_linear:
            n, t = self._body.pairs(rows, columns, workers, upper=upper)
        g_n, g_t = (zeros, weights) if self._is_ntk else (weights, zeros)
        back = self._tail.pairs_vjp(g_n, g_t, n, t, rows.n[:, None], columns.n[None])
        for gradient, own in zip(gradients, (back.v1, back.v2), strict=True):
            if gradient is not None:
                gradient.n += own.ravel()
        self._body.add_pairs_vjp(rows, columns, back.n, back.t, gradients, workers, upper=upper)

    def add_selves_vjp(self, cotangent: np.ndarray, gradient: Gradient) -> None:
        """Add the vjp of `selves` to the gradient of the same images."""
        weights = cotangent.astype(np.float64)
        zeros = np.zeros_like(weights)
        g_n, g_t = (zeros, weights) if self._is_ntk else (weights, zeros)
        g_n, g_t = self._tail.selves_vjp(g_n, g_t)
        gradient.n += g_n
        gradient.t += g_t

    def finish(self, images: Prepared, gradient: Gradient, workers: Workers) -> np.ndarray:
        """Return the gradient of the images, `[size, h, w, c]`."""
        return averaged_vjp(self._body.finish(images, gradient, workers), self._shape, self._pool)


def averaged(x: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """Return the means of images over windows; rows and columns left over are dropped."""
    if window == (1, 1):
        return x
    (k, m), (h, w) = window, (x.shape[1] // window[0], x.shape[2] // window[1])
    cut = x[:, : h * k, : w * m].reshape(len(x), h, k, w, m, x.shape[3])
    return cut.mean(axis=(2, 4), dtype=np.float64).astype(x.dtype)


def averaged_vjp(g: np.ndarray, shape: tuple[int, int, int], window: tuple[int, int]) -> np.ndarray:
    """Return the vjp of `averaged` for images of `shape`."""
    if window == (1, 1):
        return g
    (k, m), (h, w) = window, g.shape[1:3]
    result = np.zeros((len(g), *shape))
    result[:, : h * k, : w * m] = g.repeat(k, axis=1).repeat(m, axis=2) / (k * m)
    return result
