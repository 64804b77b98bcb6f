"""The three maps of the recursion on a band of displacements, with closed-form adjoints.

A covariance plane set is an array `[dj, h, w, *lanes]`: displacements in one row of the band, the
pixels p of the first image, and any trailing lanes (pairs of images). Entries whose p + d lies
outside the second image mean nothing before a ReLU and are 0 behind it.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from stillhouse.kernels.fused.relu import ANGLE_OVER_SINE

Array = jax.Array

# The sine that rounding leaves of equal patches, by the size of a number.
_EQUAL = {4: 1e-3, 8: 9e-8}
_OVER_2PI = 1 / (2 * math.pi)


class Variances(NamedTuple):
    """The variances before a ReLU, with what every displacement would need again.

    Attributes:
        value: the variances V; gradients flow to these alone.
        inverse_root: 1 / sqrt(V); 1 where V is 0, whose covariances are 0 too, so that c = 0. The
            padding beyond an image puts a 0 here, which tells it from a pixel without variance.
    """

    value: Array
    inverse_root: Array


def with_roots(value: Array) -> Variances:
    """Return variances with their inverse roots, as constants to differentiation."""
    root = jnp.sqrt(jnp.where(value > 0, value, 1))
    return Variances(value, lax.stop_gradient(1 / root))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def box(x: Array, width: int, axis: int) -> Array:
    """Return the sums over windows of odd `width` along `axis`, with zeros outside (SAME).

    The map is its own adjoint, which XLA would not find out by itself.
    """
    if width == 1:
        return x
    half = width // 2
    pad = [(half, half, 0) if i == axis else (0, 0, 0) for i in range(x.ndim)]
    padded = lax.pad(x, jnp.zeros((), x.dtype), pad)
    n = x.shape[axis]
    return sum(lax.slice_in_dim(padded, k, k + n, axis=axis) for k in range(width))  # type: ignore[return-value]


def _box_forward(x: Array, width: int, axis: int) -> tuple[Array, None]:
    return box(x, width, axis), None


def _box_backward(width: int, axis: int, _: None, cotangent: Array) -> tuple[Array]:
    return (box(cotangent, width, axis),)


box.defvjp(_box_forward, _box_backward)


@jax.custom_vjp
def relu(
    n: Array, t: Array | None, p: Variances, q: Variances, exact: Array | None
) -> tuple[Array, Array | None]:
    """Return the NNGP and NTK behind a ReLU, given those before it.

    With c = n / sqrt(P Q) and k0 = (pi - acos c) / (2 pi):
    n' = sqrt(P Q) sqrt(1 - c^2) / (2 pi) + k0 n and t' = t k0; both 0 outside the second image.

    Args:
        n: the NNGP, `[dj, h, w, *lanes]`.
        t: the NTK, likewise, or None where it is not asked for.
        p: variances of the first image's pixels p, broadcastable.
        q: variances of the second image's pixels p + d, broadcastable.
        exact: true where a pixel meets itself, broadcastable, or None. There c = 1.

    Where c is 1 the singular terms of the gradient cancel: n' = n / 2 and t' = t / 2.

    References:
        Cho, Saul. Kernel Methods for Deep Learning. NeurIPS 2009.
    """
    k0, h = _relu_parts(n, p, q, exact)
    return h * _OVER_2PI + k0 * n, None if t is None else t * k0


def _relu_parts(n: Array, p: Variances, q: Variances, exact: Array | None) -> tuple[Array, Array]:
    """Return k0 and h = sqrt(P Q - n^2), which is sqrt(P Q) sin(acos c).

    P Q - n^2 is taken from differences, which are exact where P, Q and |n| are nearly equal: with
    m = |n| and the smaller and the larger of P and Q it is small (large - m) + m (small - m), whose
    terms are never much larger than P Q. Patches that are equal or opposite up to rounding are
    taken to be so: h is 0 there. Without variance c is 0.
    """
    inverse = p.inverse_root * q.inverse_root
    magnitude = jnp.abs(n)
    small, large = jnp.minimum(p.value, q.value), jnp.maximum(p.value, q.value)
    square = small * (large - magnitude) + magnitude * (small - magnitude)
    h = jnp.sqrt(jnp.maximum(square, 0))
    differ = h * inverse > _EQUAL[n.dtype.itemsize]
    if exact is not None:
        differ &= ~exact
    h = jnp.where(differ, h, 0)
    angle = _angle(magnitude * inverse, h * inverse)
    k0 = jnp.where(n < 0, angle, 0.5 - angle)
    number = n.dtype.type  # of plain ones alone JAX would make an array in its default precision
    dead = number(0.25) if exact is None else jnp.where(exact, number(0.5), number(0.25))
    return jnp.where(small > 0, k0, jnp.where(inverse > 0, dead, 0)), h


def _angle(cosine: Array, sine: Array) -> Array:
    """Return an angle between 0 and pi / 2, over 2 pi."""
    if cosine.dtype == jnp.float64:
        return jnp.arctan2(sine, cosine) * _OVER_2PI
    gap = 1 - cosine
    ratio = jnp.full_like(gap, ANGLE_OVER_SINE[-1] * _OVER_2PI)
    for coefficient in ANGLE_OVER_SINE[-2::-1]:
        ratio = ratio * gap + coefficient * _OVER_2PI
    return sine * ratio


_Residuals = tuple[Array, Array | None, Variances, Variances, Array | None]


def _relu_forward(
    n: Array, t: Array | None, p: Variances, q: Variances, exact: Array | None
) -> tuple[tuple[Array, Array | None], _Residuals]:
    return relu(n, t, p, q, exact), (n, t, p, q, exact)


def _relu_backward(
    residuals: _Residuals, cotangents: tuple[Array, Array | None]
) -> tuple[Array, Array | None, Variances, Variances, None]:
    """The adjoint in closed form: the derivatives through c, P and Q share most of their terms."""
    n, t, p, q, exact = residuals
    cot_n, cot_t = cotangents
    k0, h = _relu_parts(n, p, q, exact)
    grad_n = cot_n * k0
    through_variance = cot_n * h * (_OVER_2PI / 2)
    grad_t = None
    if t is not None:
        assert cot_t is not None  # an NTK out has an NTK in
        grad_t = cot_t * k0
        differ = h > 0  # where not, equal or opposite patches, the singular terms cancel
        slope = jnp.where(differ, cot_t * t * _OVER_2PI / jnp.where(differ, h, 1), 0)
        grad_n = grad_n + slope
        through_variance = through_variance - slope * n / 2
    grad_p = _sum_to(through_variance, p.value) * p.inverse_root**2
    grad_q = _sum_to(through_variance, q.value) * q.inverse_root**2
    return (
        grad_n,
        grad_t,
        Variances(grad_p, jnp.zeros_like(p.inverse_root)),
        Variances(grad_q, jnp.zeros_like(q.inverse_root)),
        None,
    )


relu.defvjp(_relu_forward, _relu_backward)


def _sum_to(x: Array, like: Array) -> Array:
    """Sum `x` over the axes along which `like` was broadcast."""
    axes = tuple(i for i in range(x.ndim) if like.shape[i] == 1 and x.shape[i] != 1)
    return jnp.sum(x, axis=axes, keepdims=True)


def split_cells(x: Array, window: int, axis: int) -> tuple[Array, ...]:
    """Return, for each position inside a pool's cells along `axis`, the entries there."""
    cells = x.shape[axis] // window
    return tuple(
        lax.slice_in_dim(x, k, k + (cells - 1) * window + 1, window, axis=axis)
        for k in range(window)
    )


def pool_displacements(parts: tuple[Array, ...], axis: int, radius: int, out: int) -> Array:
    """Average over a pool's cells along one dimension of both images.

    out[D][P] = 1/k^2 sum over a, b in 0..k-1 of x[k D + b - a][k P + a].

    Args:
        parts: for each position a inside a cell, the entries x[d][k P + a].
        axis: the axis of the displacements d = -radius..radius.
        radius: the reach of the displacements given.
        out: the reach of the displacements D asked for.
    """
    k = len(parts)
    reach = k * out + k - 1
    total = None
    for a, part in enumerate(parts):
        if reach > radius:  # displacements as long as the image is large: nothing lies there
            more = [
                (reach - radius, reach - radius, 0) if i == axis else (0, 0, 0)
                for i in range(part.ndim)
            ]
            part = lax.pad(part, jnp.zeros((), part.dtype), more)
        middle = max(reach, radius)
        for b in range(k):
            first = middle - k * out + b - a
            term = lax.slice_in_dim(part, first, first + 2 * k * out + 1, k, axis=axis)
            total = term if total is None else total + term
    assert total is not None
    return total / k**2
