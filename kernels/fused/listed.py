"""The kernel in float64 of pairs that are listed, for those that float32 cannot tell apart.

Sixteen pairs lie in the lanes at a time, an image of each side in each. Everything is computed for
each pair anew, the variances too: pairs that are nearly equal have gradients that are small
differences of large ones, which must meet before they are rounded.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from stillhouse.kernels.fused.backward import backward_lanes, backward_selves
from stillhouse.kernels.fused.dense import DenseTail
from stillhouse.kernels.fused.forward import forward_lanes, forward_selves
from stillhouse.kernels.fused.lane_arrays import Buffers, in_lanes, padded, tables_of
from stillhouse.kernels.fused.lanes import LANES, lane_zeros
from stillhouse.kernels.fused.network import averaged, averaged_vjp
from stillhouse.kernels.fused.plan import input_pool, make_plan
from stillhouse.kernels.fused.tables import Side, SideGradient
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.threads import Workers

# The 1 - |c| of dense layers below which float64 leaves no correct digit.
_SMALLEST_GAP = 2e-15


class _Readout(NamedTuple):
    """n and t of some pairs at the readout, `[k]`, and n of their images with themselves."""

    n: np.ndarray
    t: np.ndarray
    v1: np.ndarray
    v2: np.ndarray


class _Convolutional:
    """The image layers of an architecture with a convolution, for up to `LANES` pairs."""

    def __init__(self, spec: KernelSpec, image_shape: tuple[int, int, int], own: bool) -> None:
        """Lay out the loops; with `own` the images' own n are asked for."""
        with_t = spec.kind == "ntk"
        self._shape = image_shape
        self._own = own
        plan = make_plan(spec.architecture, image_shape)
        few = make_plan(spec.architecture, image_shape, variances_only=True)
        self._whole = tables_of(plan, image_shape[2], with_t), Buffers(plan, np.float64)
        self._few = tables_of(few, image_shape[2], False), Buffers(few, np.float64)
        self._maps = plan.map_pixels

    def sides(self, *images: np.ndarray) -> Iterator[tuple[Side, np.ndarray, np.ndarray]]:
        """Yield images in lanes with their variances, and n and t of each with itself."""
        tables, buffers = self._whole if self._own else self._few
        for x in images:
            pixels = in_lanes(x.reshape(len(x), -1), np.float64)
            side = Side(pixels, *(lane_zeros(self._maps, np.float64) for _ in range(2)))
            n, t = lane_zeros(1, np.float64), lane_zeros(1, np.float64)
            forward_selves(tables, side, buffers.sums, buffers.work, n, t)
            yield side, n[0, : len(x)], t[0, : len(x)]

    def pairs(self, x1: np.ndarray, x2: np.ndarray) -> tuple[tuple[Side, Side], _Readout]:
        """Return the sides and what the readout has of each pair."""
        (first, v1, _), (second, v2, _) = self.sides(x1, x2)
        n, t = lane_zeros(1, np.float64), lane_zeros(1, np.float64)
        tables, buffers = self._whole
        forward_lanes(tables, first, second, buffers.sums, buffers.work, n, t)
        return (first, second), _Readout(n[0, : len(x1)], t[0, : len(x1)], v1, v2)

    def pairs_vjp(self, sides: tuple[Side, Side], g: _Readout) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of both sides."""
        tables, buffers = self._whole
        gradients = self._zeros(), self._zeros()
        backward_lanes(
            tables,
            *sides,
            buffers.sums,
            buffers.cotangents,
            buffers.work,
            padded(g.n[None], np.float64),
            padded(g.t[None], np.float64),
            *gradients,
        )
        zeros = np.zeros_like(g.n)
        first = self.selves_vjp(sides[0], g.v1, zeros, gradients[0])
        return first, self.selves_vjp(sides[1], g.v2, zeros, gradients[1])

    def selves_vjp(
        self,
        side: Side,
        g_n: np.ndarray,
        g_t: np.ndarray,
        gradient: SideGradient | None = None,
    ) -> np.ndarray:
        """Return the gradient of images for the cotangents of their own n and t `[k]`."""
        gradient = self._zeros() if gradient is None else gradient
        tables, buffers = self._whole if np.any(g_n) or np.any(g_t) else self._few
        backward_selves(
            tables,
            side,
            buffers.sums,
            buffers.cotangents,
            buffers.work,
            padded(g_n[None], np.float64),
            padded(g_t[None], np.float64),
            gradient,
        )
        return gradient.pixels.T[: len(g_n)].reshape(-1, *self._shape)

    def _zeros(self) -> SideGradient:
        pixels = lane_zeros(int(np.prod(self._shape)), np.float64)
        return SideGradient(pixels, lane_zeros(self._maps, np.float64), True)


class _Flat:
    """A network that sees its images as vectors: n is their scalar product, and t is 0."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        self._pixels = int(np.prod(image_shape))

    def sides(self, *images: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield images, and n and t of each with itself."""
        for x in images:
            n = np.einsum("khwc,khwc->k", x, x) / self._pixels
            yield x, n, np.zeros_like(n)

    def pairs(
        self, x1: np.ndarray, x2: np.ndarray
    ) -> tuple[tuple[np.ndarray, np.ndarray], _Readout]:
        """Return the images and what the readout has of each pair."""
        (_, v1, zeros), (_, v2, _) = self.sides(x1, x2)
        n = np.einsum("khwc,khwc->k", x1, x2) / self._pixels
        return (x1, x2), _Readout(n, zeros, v1, v2)

    def pairs_vjp(
        self, sides: tuple[np.ndarray, np.ndarray], g: _Readout
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of both sides."""
        n, v1, v2 = (part[:, None, None, None] / self._pixels for part in (g.n, g.v1, g.v2))
        x1, x2 = sides
        return n * x2 + 2 * v1 * x1, n * x1 + 2 * v2 * x2

    def selves_vjp(self, side: np.ndarray, g_n: np.ndarray, g_t: np.ndarray) -> np.ndarray:
        """Return the gradient of images for the cotangents of their own n `[k]`."""
        return 2 * g_n[:, None, None, None] * side / self._pixels


class ListedPairs:
    """One kernel at one image size, in float64 by the loops of this package."""

    def __init__(self, spec: KernelSpec, image_shape: tuple[int, int, int]) -> None:
        """Take images `[h, w, c]`; nothing is compiled before the first pair."""
        architecture = spec.architecture
        height, width, channels = image_shape
        self._shape = image_shape
        self._is_ntk = spec.kind == "ntk"
        self._tail = DenseTail(architecture.dense_layers, smallest_gap=_SMALLEST_GAP)
        self._pool = input_pool(architecture, height, width)
        pooled = (height // self._pool[0], width // self._pool[1], channels)
        self._body: _Convolutional | _Flat = _Flat(pooled)
        if architecture.is_convolutional:
            self._body = _Convolutional(spec, pooled, own=not self._tail.is_linear)
        self._selves: _Convolutional | _Flat = self._body
        if self._tail.is_linear and isinstance(self._body, _Convolutional):
            self._selves = _Convolutional(spec, pooled, own=True)

    def pairs(self, x1: np.ndarray, x2: np.ndarray, workers: Workers) -> np.ndarray:
        """Return the kernel `[k]` of each of x1 with the one at its place in x2, `[k, h, w, c]`."""

        def compute(part: slice) -> np.ndarray:
            _, readout = self._body.pairs(self._given(x1[part]), self._given(x2[part]))
            n, t = self._tail.pairs(*readout)
            return t if self._is_ntk else n

        return np.concatenate(list(workers.in_order(compute, _groups(len(x1)))))

    def pairs_vjp(
        self, x1: np.ndarray, x2: np.ndarray, cotangent: np.ndarray, workers: Workers
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield which pairs, and the gradients of their images on either side."""

        def compute(part: slice) -> tuple[np.ndarray, np.ndarray]:
            sides, readout = self._body.pairs(self._given(x1[part]), self._given(x2[part]))
            back = self._tail.pairs_vjp(*self._split(cotangent[part]), *readout)
            first, second = self._body.pairs_vjp(sides, _Readout(*back))  # type: ignore[arg-type]
            return self._back(first), self._back(second)

        parts = _groups(len(x1))
        for part, gradients in zip(parts, workers.in_order(compute, parts), strict=True):
            yield part, *gradients

    def selves(self, x: np.ndarray, workers: Workers) -> np.ndarray:
        """Return the kernel `[k]` of images with themselves."""

        def compute(part: slice) -> np.ndarray:
            ((_, n, t),) = self._selves.sides(self._given(x[part]))
            n, t = self._tail.selves(n, t)
            return t if self._is_ntk else n

        return np.concatenate(list(workers.in_order(compute, _groups(len(x)))))

    def selves_vjp(self, x: np.ndarray, cotangent: np.ndarray, workers: Workers) -> np.ndarray:
        """Return the gradient `[k, h, w, c]` of sum(cotangent * selves(x))."""

        def compute(part: slice) -> np.ndarray:
            ((side, _, _),) = self._selves.sides(self._given(x[part]))
            g_n, g_t = self._tail.selves_vjp(*self._split(cotangent[part]))
            return self._back(self._selves.selves_vjp(side, g_n, g_t))  # type: ignore[arg-type]

        return np.concatenate(list(workers.in_order(compute, _groups(len(x)))))

    def _given(self, x: np.ndarray) -> np.ndarray:
        return averaged(x.astype(np.float64), self._pool)

    def _back(self, gradient: np.ndarray) -> np.ndarray:
        return averaged_vjp(gradient, self._shape, self._pool)

    def _split(self, cotangent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the cotangents of n and t."""
        weights = cotangent.astype(np.float64)
        zeros = np.zeros_like(weights)
        return (zeros, weights) if self._is_ntk else (weights, zeros)


def _groups(count: int) -> list[slice]:
    return [slice(start, min(start + LANES, count)) for start in range(0, count, LANES)]
