"""Kernels and their vjps in float64 from covariances of every pixel with every pixel, in NumPy.

It shares nothing with the product but the architecture: no band, no lanes, no sub-blocks, angles by
arctan2, adjoints of whole tensors. It is slow and large in memory, for images of a few pixels.

The conventions at degenerate points are those of docs/mathematics.md: the singular terms are 0
where two pixels' patches are equal or opposite, and c is 0 where one has no variance.
"""

from typing import NamedTuple

import numpy as np

from stillhouse.kernels import AvgPool, Conv, Dense, Flatten, KernelSpec, Relu

# The 1 - |c| that rounding may leave of equal patches.
_EQUAL = 4e-15

# Of the first images with themselves, of the second, and of both: `[n1, h, w, h, w]`,
# `[n2, h, w, h, w]` and `[n1, n2, h, w, h, w]`. Behind the readout h = w = 1.
Blocks = tuple[np.ndarray, np.ndarray, np.ndarray]


class State(NamedTuple):
    """NNGP and NTK of all pairs of pixels, or their cotangents."""

    n: Blocks
    t: Blocks


def block(spec: KernelSpec, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    """Return K(x1, x2), `[n1, n2]`."""
    return _results(spec, _states(spec, x1, x2)[-1])[2]


def gram(spec: KernelSpec, x: np.ndarray) -> np.ndarray:
    """Return K(x, x), `[n, n]`, whose diagonal knows that each image meets itself."""
    own, _, both = _results(spec, _states(spec, x, x)[-1])
    return both - np.diag(np.diag(both)) + np.diag(own)


def vjp(
    spec: KernelSpec, x1: np.ndarray, x2: np.ndarray, cotangent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of sum(cotangent * K(x1, x2))."""
    zeros = np.zeros(len(x1)), np.zeros(len(x2))
    return _backward(spec, x1, x2, (*zeros, np.asarray(cotangent, float)))


def gram_vjp(spec: KernelSpec, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """Return the gradient of sum(cotangent * K(x, x))."""
    own = np.diag(cotangent).astype(float)
    both = cotangent - np.diag(own)
    return np.sum(_backward(spec, x, x, (own, np.zeros(len(x)), both)), axis=0)


def _results(spec: KernelSpec, last: State) -> Blocks:
    own, other, both = last.t if spec.kind == "ntk" else last.n
    return own[:, 0, 0, 0, 0], other[:, 0, 0, 0, 0], both[:, :, 0, 0, 0, 0]


def _states(spec: KernelSpec, x1: np.ndarray, x2: np.ndarray) -> list[State]:
    """Return the covariances before each layer, and behind the last."""
    x1, x2 = np.asarray(x1, float), np.asarray(x2, float)
    channels = x1.shape[3]
    n = (
        np.einsum("aijc,aklc->aijkl", x1, x1) / channels,
        np.einsum("bijc,bklc->bijkl", x2, x2) / channels,
        np.einsum("aijc,bklc->abijkl", x1, x2) / channels,
    )
    states = [State(n, tuple(map(np.zeros_like, n)))]
    for layer in spec.architecture.layers:
        states.append(_forward(layer, *states[-1]))
    return states


def _forward(layer: object, n: Blocks, t: Blocks) -> State:
    if isinstance(layer, Relu):
        duals = [_duals(k, *_variances(n, i)) for i, k in enumerate(n)]
        return State(
            tuple(d.scale * d.s / (2 * np.pi) + k * d.k0 for k, d in zip(n, duals, strict=True)),
            tuple(k * d.k0 for k, d in zip(t, duals, strict=True)),
        )
    if isinstance(layer, Conv | Dense):
        after = tuple(layer.W_std**2 * _mean(layer, k) + layer.b_std**2 for k in n)
        return State(
            after,
            tuple(layer.W_std**2 * _mean(layer, k) + m for k, m in zip(t, after, strict=True)),
        )
    return State(tuple(_pool(layer, k) for k in n), tuple(_pool(layer, k) for k in t))


def _backward(
    spec: KernelSpec, x1: np.ndarray, x2: np.ndarray, cotangents: Blocks
) -> tuple[np.ndarray, np.ndarray]:
    states = _states(spec, x1, x2)
    given = tuple(g[..., None, None, None, None] for g in cotangents)
    zeros = tuple(map(np.zeros_like, given))
    g = State(zeros, given) if spec.kind == "ntk" else State(given, zeros)
    for layer, before in zip(
        reversed(spec.architecture.layers), reversed(states[:-1]), strict=True
    ):
        g = _adjoint(layer, before, g)
    own, other, both = g.n
    channels = x1.shape[3]
    x1, x2 = np.asarray(x1, float), np.asarray(x2, float)
    first = np.einsum("abijkl,bklc->aijc", both, x2)
    first += np.einsum("aijkl,aklc->aijc", own + own.transpose(0, 3, 4, 1, 2), x1)
    second = np.einsum("abijkl,aijc->bklc", both, x1)
    second += np.einsum("bijkl,bklc->bijc", other + other.transpose(0, 3, 4, 1, 2), x2)
    return first / channels, second / channels


def _adjoint(layer: object, before: State, g: State) -> State:
    if isinstance(layer, Conv | Dense):
        scale = layer.W_std**2
        return State(
            tuple(scale * _mean(layer, a + b) for a, b in zip(*g, strict=True)),
            tuple(scale * _mean(layer, b) for b in g.t),
        )
    if isinstance(layer, Relu):
        return _relu_adjoint(before, g)
    shape = before.n[0].shape[1:]
    return State(
        tuple(_unpool(layer, k, shape) for k in g.n), tuple(_unpool(layer, k, shape) for k in g.t)
    )


class _Duals(NamedTuple):
    k0: np.ndarray
    s: np.ndarray
    scale: np.ndarray
    singular: np.ndarray  # 1 / (2 pi sqrt(P Q) s), 0 where it is not defined


def _variances(n: Blocks, i: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return P and Q of block i, broadcast, and whether images meet themselves in it."""
    own, other = (np.einsum("zijij->zij", k) for k in n[:2])
    if i < 2:
        v = (own, other)[i]
        return v[:, :, :, None, None], v[:, None, None], True
    return own[:, None, :, :, None, None], other[None, :, None, None], False


def _duals(n: np.ndarray, p: np.ndarray, q: np.ndarray, selves: bool) -> _Duals:
    root = np.sqrt(p) * np.sqrt(q)
    alive = root > 0
    c = np.clip(np.divide(n, root, out=np.zeros_like(n), where=alive), -1, 1)
    if selves:  # exactly 1 where a pixel meets itself
        i, j = np.indices(n.shape[1:3])
        c[:, i, j, i, j] = 1.0
    gap = np.where(1 - np.abs(c) < _EQUAL, 0, 1 - np.abs(c))
    s = np.sqrt(gap * (1 + np.abs(c)))
    angle = np.arctan2(s, np.where(gap > 0, c, np.sign(c)))
    k0 = (np.pi - angle) / (2 * np.pi)
    singular = np.divide(1, 2 * np.pi * root * s, out=np.zeros_like(n), where=root * s > 0)
    return _Duals(k0, s, root, singular)


def _relu_adjoint(before: State, g: State) -> State:
    result_n, result_t, to_p, to_q = [], [], [], []
    for i, (n, t) in enumerate(zip(*before, strict=True)):
        p, q, selves = _variances(before.n, i)
        d = _duals(n, p, q, selves)
        correction = g.t[i] * t * d.singular
        result_n.append(g.n[i] * d.k0 + correction)
        result_t.append(g.t[i] * d.k0)
        through = (g.n[i] * d.scale * d.s / (2 * np.pi) - correction * n) / 2
        to_p.append(np.divide(through, p, out=np.zeros_like(n), where=p > 0))
        to_q.append(np.divide(through, q, out=np.zeros_like(n), where=q > 0))
    own = to_p[0].sum((3, 4)) + to_q[0].sum((1, 2)) + to_p[2].sum((1, 4, 5))
    other = to_p[1].sum((3, 4)) + to_q[1].sum((1, 2)) + to_q[2].sum((0, 2, 3))
    i, j = np.indices(own.shape[1:])
    result_n[0][:, i, j, i, j] += own
    result_n[1][:, i, j, i, j] += other
    return State(tuple(result_n), tuple(result_t))


def _mean(layer: Conv | Dense, k: np.ndarray) -> np.ndarray:
    """Average over the filter's window, at the same offset in both images, zeros outside."""
    if not isinstance(layer, Conv):
        return k
    (fh, fw), (h, w) = layer.window, k.shape[-2:]
    p, q = fh // 2, fw // 2
    big = np.pad(k, [(0, 0)] * (k.ndim - 4) + [(p, p), (q, q), (p, p), (q, q)])
    total = np.zeros_like(k)
    for i in range(fh):
        for j in range(fw):
            total += big[..., i : i + h, j : j + w, i : i + h, j : j + w]
    return total / (fh * fw)


def _cells(layer: object, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return how many windows of a pool or readout there are down and across, and their size."""
    kh, kw = layer.window if isinstance(layer, AvgPool) else shape[-2:]
    return shape[-2] // kh, shape[-1] // kw, kh, kw


def _pool(layer: object, k: np.ndarray) -> np.ndarray:
    if isinstance(layer, Flatten):
        pixels = k.shape[-1] * k.shape[-2]
        return (np.einsum("...ijij->...", k) / pixels)[..., None, None, None, None]
    a, b, kh, kw = _cells(layer, k.shape)
    cut = k[..., : a * kh, : b * kw, : a * kh, : b * kw]
    return cut.reshape(*k.shape[:-4], a, kh, b, kw, a, kh, b, kw).mean((-7, -5, -3, -1))


def _unpool(layer: object, g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    result = np.zeros((*g.shape[:-4], *shape))
    if isinstance(layer, Flatten):
        i, j = np.indices(shape[-2:])
        result[..., i, j, i, j] = g[..., 0, 0] / (shape[-1] * shape[-2])
        return result
    a, b, kh, kw = _cells(layer, shape)
    for axis, k in zip((-4, -3, -2, -1), (kh, kw, kh, kw), strict=True):
        g = np.repeat(g, k, axis)
    result[..., : a * kh, : b * kw, : a * kh, : b * kw] = g / (kh * kw) ** 2
    return result
