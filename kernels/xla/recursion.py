"""The kernel of pairs of images, level by level, on the displacement band.

Images lie in trailing lanes, so that the arithmetic of one pixel is contiguous over pairs: a pair
block has lanes `[n1, n2]`, reached by giving the first images lanes `[n1, 1]` and the second
`[1, n2]`; images with themselves have lanes `[n]` on both sides.

Covariances between levels are `[di, dj, h, w, *lanes]`, displacement 0 in the middle. A level
maps over di and computes all dj of a row at once, which keeps what XLA works on in the cache.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from stillhouse.kernels.architecture import Conv, Dense, Flatten, Relu
from stillhouse.kernels.band import Level, pair_levels, variance_levels
from stillhouse.kernels.spec import KernelSpec
from stillhouse.kernels.xla.ops import (
    Array,
    Variances,
    box,
    pool_displacements,
    relu,
    split_cells,
    with_roots,
)

# NNGP, and NTK where it is asked for and not yet 0.
Covariances = tuple[Array, Array | None]


def variances(spec: KernelSpec, x: Array) -> tuple[Array, ...]:
    """Return the variances before each ReLU, which every pair of an image needs again.

    Args:
        spec: the kernel.
        x: images `[h, w, c, n]`.

    Returns:
        One `[h_l, w_l, n]` for each ReLU on the image, then one `[n]` for each dense ReLU.
    """
    dense_layers = spec.architecture.dense_layers
    levels = variance_levels(spec.architecture, (x.shape[0], x.shape[1]))
    maps: list[Array] = []
    plane = jnp.sum(x * x, axis=2) / x.shape[2]
    covariances: Covariances | None = None
    clean = True
    for level, following in _with_next(levels):
        own = _plane_variances(level, plane)
        maps += own
        if following is None and not any(isinstance(layer, Relu) for layer in dense_layers):
            return tuple(maps)
        covariances = _level(
            spec,
            level,
            following,
            clean,
            (x, x),
            covariances,
            own,
            own,
            same=jnp.array(True),
            ntk=False,
        )
        if following is not None:
            plane = covariances[0][following.radius]
            clean = _divides(level)
    assert covariances is not None
    n = covariances[0]
    for layer in dense_layers:
        if isinstance(layer, Dense):
            n = layer.W_std**2 * n + layer.b_std**2
        else:
            maps.append(n)
            n = n / 2
    return tuple(maps)


def pairs(
    spec: KernelSpec,
    x1: Array,
    x2: Array,
    maps1: Sequence[Array],
    maps2: Sequence[Array],
    *,
    same: Array | None = None,
) -> Array:
    """Return the kernel of images whose lanes broadcast against each other.

    Args:
        spec: the kernel.
        x1: the first images, `[h, w, c, *lanes1]`.
        x2: the second images, `[h, w, c, *lanes2]`.
        maps1: `variances` of the first images, with `lanes1` trailing.
        maps2: likewise of the second.
        same: where an image meets itself, booleans that broadcast against the lanes; there the
            diagonal of the Gram matrix is exact. None if no image does.

    Returns:
        The kernel, with the broadcast lanes as its shape.
    """
    ntk = spec.kind == "ntk"
    covariances: Covariances | None = None
    clean = True
    used = 0
    levels = pair_levels(spec.architecture, (x1.shape[0], x1.shape[1]))
    if is_flat(spec):
        covariances, levels = (_flat_covariances(x1, x2), None), ()
    for level, following in _with_next(levels):
        own = slice(used, used + level.relus)
        covariances = _level(
            spec,
            level,
            following,
            clean,
            (x1, x2),
            covariances,
            maps1[own],
            maps2[own],
            same=same,
            ntk=ntk,
        )
        clean = _divides(level)
        used = own.stop
    assert covariances is not None
    n, t = covariances
    for layer in spec.architecture.dense_layers:
        if isinstance(layer, Dense):
            n = layer.W_std**2 * n + layer.b_std**2
            if ntk:
                t = n if t is None else layer.W_std**2 * t + n
        else:
            n, t = relu(n, t, with_roots(maps1[used]), with_roots(maps2[used]), same)
            used += 1
    return n if t is None else t


def is_flat(spec: KernelSpec) -> bool:
    """Whether a network sees its images as vectors, so that blocks are matrix products."""
    return not spec.architecture.image_layers and isinstance(spec.architecture.readout, Flatten)


def _flat_covariances(x1: Array, x2: Array) -> Array:
    """Return the inner products of images as vectors, over their length."""
    length = x1.shape[0] * x1.shape[1] * x1.shape[2]
    if x1.ndim == 5:  # lanes [n1, 1] against [1, n2]
        precision = lax.Precision.HIGHEST
        return jnp.einsum("hwcay,hwcxb->ab", x1, x2, precision=precision) / length
    return jnp.sum(x1 * x2, axis=(0, 1, 2)) / length


def _with_next(levels: Sequence[Level]) -> list[tuple[Level, Level | None]]:
    return list(zip_longest(levels, levels[1:]))


def _divides(level: Level) -> bool:
    """Whether a level's pool leaves no rows or columns over.

    Where it does, pooled entries can hold pixels of the second image that the pool dropped.
    """
    return level.pool is None or all(
        n % k == 0 for n, k in zip(level.shape, level.pool, strict=True)
    )


def _plane_variances(level: Level, plane: Array) -> list[Array]:
    """Follow d = 0 of an image with itself through a level: there a ReLU halves the variance."""
    result = []
    for layer in level.layers:
        if isinstance(layer, Conv):
            plane, _ = _convolve(layer, plane, None, axis=0, ntk=False)
        else:
            result.append(plane)
            plane = plane / 2
    return result


def _level(
    spec: KernelSpec,
    level: Level,
    following: Level | None,
    clean: bool,
    images: tuple[Array, Array],
    covariances: Covariances | None,
    maps1: Sequence[Array],
    maps2: Sequence[Array],
    *,
    same: Array | None,
    ntk: bool,
) -> Covariances:
    """Take covariances through a level: to the next level's band, or to the readout's numbers.

    Args:
        spec: the kernel.
        level: the level.
        following: the next one, or None before the readout.
        clean: entries outside the second image are 0 at the level's entry.
        images: both images, for the first level's covariances.
        covariances: those of the level's entry, or None at the first level.
        maps1: the variances before the level's ReLUs, of the first images.
        maps2: likewise of the second.
        same: where an image meets itself, or None.
        ntk: follow the NTK too.
    """
    (h, w), (ri, rj) = level.shape, level.radius
    x1, x2 = images
    shifted = None if covariances is not None else _Shifted.over(x2, level.radius)
    first = [Variances(*(z[None] for z in with_roots(v))) for v in maps1]
    second = [[_Shifted.over(z, level.radius) for z in with_roots(v)] for v in maps2]
    inside = _Shifted.over(jnp.ones((h, w) + (1,) * (x1.ndim - 3), x1.dtype), level.radius)

    def row(given: tuple[Array, Covariances | None]) -> tuple[tuple[Array, ...], ...]:
        di, entry = given
        if entry is None:
            assert shifted is not None
            n, t = _image_covariances(x1, shifted.row(di)), None
        else:
            n, t = entry
        exact = None
        if same is not None:  # a pixel meets itself where the displacement is 0 as well
            zero = (jnp.arange(2 * rj + 1) == rj) & (di == ri)
            exact = zero.reshape((-1,) + (1,) * (n.ndim - 1)) & same
        is_clean, relus = clean, iter(zip(first, second, strict=True))
        for layer in level.layers:
            if isinstance(layer, Conv):
                n, t = (n, t) if is_clean else _times(n, t, inside.row(di))
                n, t = _convolve(layer, n, t, axis=1, ntk=ntk)
                is_clean = False
            else:
                p, q = next(relus)
                n, t = relu(n, t, p, Variances(*(z.row(di) for z in q)), exact)
                is_clean = True
        n, t = (n, t) if is_clean else _times(n, t, inside.row(di))
        return tuple(_leave_row(level, following, z) for z in (n, t) if z is not None)

    rows = jnp.arange(2 * ri + 1)
    parts = lax.map(jax.checkpoint(row), (rows, covariances))
    flatten = isinstance(spec.architecture.readout, Flatten)
    out = [_leave_level(level, following, flatten, z) for z in parts]
    return out[0], (out[1] if len(out) > 1 else None)


class _Shifted(NamedTuple):
    """Maps of the second image, padded so that any row of displacements is a slice."""

    padded: Array
    radius: tuple[int, int]

    @classmethod
    def over(cls, x: Array, radius: tuple[int, int]) -> "_Shifted":
        pad = [(r, r, 0) for r in radius] + [(0, 0, 0)] * (x.ndim - 2)
        return cls(lax.pad(x, jnp.zeros((), x.dtype), pad), radius)

    def row(self, di: Array) -> Array:
        """Return `[dj, h, w, ...]`: entry p + d for every p, 0 where that lies outside."""
        ri, rj = self.radius
        h, w = self.padded.shape[0] - 2 * ri, self.padded.shape[1] - 2 * rj
        rows = lax.dynamic_slice_in_dim(self.padded, di, h, axis=0)
        return jnp.stack([lax.slice_in_dim(rows, dj, dj + w, axis=1) for dj in range(2 * rj + 1)])


def _image_covariances(x1: Array, shifted: Array) -> Array:
    """Return sum over channels of x1[p] x2[p + d], over the number of channels."""
    channels = x1.shape[2]
    total = sum(x1[None, :, :, c] * shifted[:, :, :, c] for c in range(channels))
    return total / channels  # type: ignore[return-value]


def _times(n: Array, t: Array | None, mask: Array) -> Covariances:
    return n * mask, None if t is None else t * mask


def _convolve(layer: Conv, n: Array, t: Array | None, axis: int, ntk: bool) -> Covariances:
    """Return the covariances behind a SAME convolution, whose height lies along `axis`.

    Borders count zeros and the divisor stays that of a whole window.
    """
    fh, fw = layer.window
    scale = layer.W_std**2 / (fh * fw)

    def mean(z: Array) -> Array:
        return box(box(z, fh, axis), fw, axis + 1) * scale

    n = mean(n) + layer.b_std**2
    if not ntk:
        return n, None
    return n, n if t is None else mean(t) + n


def _leave_row(level: Level, following: Level | None, x: Array) -> tuple[Array, ...]:
    """Pool a row `[dj, h, w, *lanes]` along the width; or sum it, before the readout."""
    if following is None:
        return (jnp.sum(x, axis=(0, 1, 2)),)
    assert level.pool is not None
    kh, kw = level.pool
    x = pool_displacements(split_cells(x, kw, 2), 0, level.radius[1], following.radius[1])
    return split_cells(x, kh, 1)


def _leave_level(
    level: Level, following: Level | None, flatten: bool, parts: tuple[Array, ...]
) -> Array:
    """Put the rows `[di, ...]` together: pool along the height, or average for the readout."""
    if following is None:
        pixels = level.shape[0] * level.shape[1]
        return jnp.sum(parts[0], axis=0) / (pixels if flatten else pixels**2)
    return pool_displacements(parts, 0, level.radius[0], following.radius[0])
