"""The `xla` backend: blocks, Gram matrices and their vjps from compiled sub-blocks of pairs."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from stillhouse.kernels.architecture import Conv
from stillhouse.kernels.band import pair_levels
from stillhouse.kernels.fused.refined import RefinedKernel
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.subblocks import sub_blocks
from stillhouse.kernels.threads import Workers
from stillhouse.kernels.xla.memory import block_bytes, pair_bytes
from stillhouse.kernels.xla.prepared import Prepared
from stillhouse.kernels.xla.recursion import is_flat, pairs, variances

# Bytes of one row of the band, [dj, h, w, lanes], which on the CPU should about fit in a core's
# cache; elsewhere a block should keep the device busy.
_CPU_ROW_BYTES = 1 << 22
# Of a device: one block is computed while the next is made ready. Each takes its memory.
_DEVICE_THREADS = 2
_MAX_LANES = 1024
_LANE_WIDTH = 32  # of the second images, contiguous in memory
_IMAGES_AT_ONCE = 64
_FLAT_SIDE = 512  # images on either side of a matrix product

A = TypeVar("A")
B = TypeVar("B")


class XlaKernel(RefinedKernel):
    """A kernel computed by XLA on JAX's default device.

    Attributes:
        spec: the architecture and kind.
        backend: "xla".
    """

    backend = "xla"

    def __init__(self, spec: KernelSpec, *, threads: int | None = None) -> None:
        """Make the kernel; nothing is compiled before the first block.

        Raises:
            ValueError: if a filter has an even side, which SAME padding would shift by half a
                pixel.
        """
        for i, layer in enumerate(spec.architecture.layers):
            if isinstance(layer, Conv) and any(k % 2 == 0 for k in layer.window):
                raise ValueError(
                    f"Conv (layer {i}) has the even `window` {layer.window}, which the xla "
                    "backend cannot compute; use an odd one, or backend='neural_tangents'"
                )
        super().__init__(spec, threads=threads)
        self._variances, self._all_pairs, self._listed_pairs = _programs(spec)

    def _block(self, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
        if len(x1) > len(x2):  # the larger side belongs in the contiguous lanes
            return self._block(x2, x1).T
        first, second = self._prepared(x1), self._prepared(x2)
        size = self._block_size(first, second)

        def compute(part: tuple[slice, slice]) -> np.ndarray:
            a, b = first.take(part[0], size[0]), second.take(part[1], size[1])
            return np.asarray(self._all_pairs.forward(a, b))

        result = np.empty((len(first), len(second)), x1.dtype)
        parts = sub_blocks(len(first), len(second), size)
        for part, values in zip(parts, self._in_order(compute, parts), strict=True):
            shape = result[part].shape
            result[part] = values[: shape[0], : shape[1]]
        return result

    def _vjp(
        self, x1: np.ndarray, x2: np.ndarray, weights: np.ndarray, wrt: tuple[int, ...]
    ) -> tuple[np.ndarray, ...]:
        if len(x1) > len(x2):
            return self._vjp(x2, x1, weights.T, tuple(1 - i for i in wrt))
        prepared = self._prepared(x1), self._prepared(x2)
        size = self._block_size(*prepared)

        def compute(part: tuple[slice, slice]) -> Any:
            a, b = prepared[0].take(part[0], size[0]), prepared[1].take(part[1], size[1])
            some = np.zeros(size, weights.dtype)
            given = weights[part]
            some[: given.shape[0], : given.shape[1]] = given
            return jax.device_get(self._all_pairs.backward(some, a, b))

        gradients = prepared[0].zeros(), prepared[1].zeros()
        parts = sub_blocks(len(x1), len(x2), size)
        for part, grads in zip(parts, self._in_order(compute, parts), strict=True):
            for i in wrt:
                gradients[i].add(part[i], grads[i])
        return tuple(self._through_variances(prepared[i], gradients[i]) for i in wrt)

    def _gram(self, x: np.ndarray) -> np.ndarray:
        images = self._prepared(x)
        parts, size = self._upper_triangle(images)

        def compute(part: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
            a, b = (images.take(index, size) for index in part)
            return np.asarray(self._listed_pairs.forward(a, b, _same(part, size)))

        result = np.empty((len(x), len(x)), x.dtype)
        for (i, j), values in zip(parts, self._in_order(compute, parts), strict=True):
            result[i, j] = result[j, i] = values[: len(i)]
        return result

    def _gram_vjp(self, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
        images = self._prepared(x)
        parts, size = self._upper_triangle(images)

        def compute(part: tuple[np.ndarray, np.ndarray]) -> Any:
            i, j = part
            some = np.zeros(size, weights.dtype)
            some[: len(i)] = np.where(i == j, weights[i, j], weights[i, j] + weights[j, i])
            a, b = images.take(i, size), images.take(j, size)
            return jax.device_get(self._listed_pairs.backward(some, a, b, _same(part, size))[:2])

        gradients = images.zeros()
        for part, grads in zip(parts, self._in_order(compute, parts), strict=True):
            for index, grad in zip(part, grads, strict=True):
                gradients.add(index, grad)
        return self._through_variances(images, gradients)

    def _upper_triangle(self, images: Prepared) -> tuple[list[tuple[np.ndarray, np.ndarray]], int]:
        """Return the index pairs i <= j in lists of a fixed size (the last may be shorter)."""
        i, j = np.triu_indices(len(images))
        size = min(self._lanes(images), len(i))
        return [(i[run], j[run]) for run in _runs(len(i), size)], size

    def _checked(self, *inputs: np.ndarray) -> list[np.ndarray]:
        self.spec.architecture.check_image(*inputs[0].shape[1:3])
        dtype = jax.dtypes.canonicalize_dtype(inputs[0].dtype)
        return [x.astype(dtype, copy=False) for x in inputs]

    def _prepared(self, x: np.ndarray) -> Prepared:
        """Return images `[n, h, w, c]` in lanes, with their variances."""
        images = np.ascontiguousarray(np.moveaxis(x, 0, -1))
        bare = Prepared(images, ())

        def compute(part: slice) -> Any:
            return jax.device_get(self._variances.forward(bare.take(part, size)[0]))

        size = min(_IMAGES_AT_ONCE, len(x))
        parts = _runs(len(x), size)
        columns = [
            [m[..., : part.stop - part.start] for m in maps]
            for part, maps in zip(parts, self._in_order(compute, parts), strict=True)
        ]
        maps = tuple(np.concatenate(m, axis=-1) for m in zip(*columns, strict=True))
        return Prepared(images, maps)

    def _through_variances(self, prepared: Prepared, gradients: Prepared) -> np.ndarray:
        """Return the gradient `[n, h, w, c]` with respect to images, directly and by variance."""

        def compute(part: slice) -> Any:
            some = gradients.take(part, size)[1]
            return jax.device_get(self._variances.backward(some, prepared.take(part, size)[0]))[0]

        size = min(_IMAGES_AT_ONCE, len(prepared))
        parts = _runs(len(prepared), size)
        if prepared.maps:
            for part, grads in zip(parts, self._in_order(compute, parts), strict=True):
                gradients.images[..., part] += grads[..., : part.stop - part.start]
        return np.ascontiguousarray(np.moveaxis(gradients.images, -1, 0))

    def _lanes(self, prepared: Prepared) -> int:
        """Return how many pairs go through the compiled functions at once."""
        h, w = prepared.images.shape[:2]
        widest = max(
            (2 * level.radius[1] + 1) * level.shape[0] * level.shape[1]
            for level in pair_levels(self.spec.architecture, (h, w))
        )
        itemsize = prepared.images.itemsize
        lanes = _CPU_ROW_BYTES // (widest * itemsize)
        if jax.default_backend() != "cpu":
            lanes = block_bytes() // pair_bytes(self.spec.architecture, (h, w), itemsize)
        return max(1, min(_MAX_LANES, lanes))

    def _block_size(self, first: Prepared, second: Prepared) -> tuple[int, int]:
        if is_flat(self.spec):
            return min(_FLAT_SIDE, len(first)), min(_FLAT_SIDE, len(second))
        lanes = self._lanes(first)
        columns = min(lanes, _LANE_WIDTH, len(second))
        return min(max(1, lanes // columns), len(first)), columns

    def _in_order(self, compute: Callable[[A], B], parts: Sequence[A]) -> Iterator[B]:
        """Compute all parts on the threads; hand the results out in the order of the parts."""
        on_device = jax.default_backend() != "cpu"
        threads = min(self._threads, _DEVICE_THREADS) if on_device else self._threads
        with Workers(threads) as workers:
            yield from workers.in_order(compute, parts)


class _Compiled(NamedTuple):
    """A function and its vjp, `backward(cotangent, *arguments)`, both compiled."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]


def _compiled(function: Callable[..., Any]) -> _Compiled:
    return _Compiled(
        jax.jit(function),
        jax.jit(lambda cotangent, *arguments: jax.vjp(function, *arguments)[1](cotangent)),
    )


@functools.lru_cache(maxsize=64)
def _programs(spec: KernelSpec) -> tuple[_Compiled, _Compiled, _Compiled]:
    """Return variances, all pairs and listed pairs: kernels of one spec compile them once."""
    return (
        _compiled(lambda images: variances(spec, images)),
        _compiled(lambda a, b: _all_pairs(spec, a, b)),
        _compiled(lambda a, b, same: _listed_pairs(spec, a, b, same)),
    )


def _all_pairs(spec: KernelSpec, a: Any, b: Any) -> Any:
    """Pair all of the first lanes with all of the second, `[n1, n2]`."""
    first, second = (
        jax.tree_util.tree_map(lambda z: z[..., :, None], a),
        jax.tree_util.tree_map(lambda z: z[..., None, :], b),
    )
    return pairs(spec, first[0], second[0], first[1], second[1])


def _listed_pairs(spec: KernelSpec, a: Any, b: Any, same: Any) -> Any:
    """Pair each of the first lanes with the second at its place, `[n]`."""
    return pairs(spec, a[0], b[0], a[1], b[1], same=same)


def _runs(n: int, size: int) -> list[slice]:
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


def _same(part: tuple[np.ndarray, np.ndarray], size: int) -> np.ndarray:
    """Return where an image meets itself, for each lane."""
    result = np.zeros(size, bool)
    result[: len(part[0])] = part[0] == part[1]
    return result
