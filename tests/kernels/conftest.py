"""Independent references: the whole pixel-by-pixel covariance in NumPy, and neural_tangents."""

from collections.abc import Callable, Iterator

import jax
import numpy as np
import pytest

from stillhouse.kernels.architecture import Architecture, AvgPool, Conv, Dense, Flatten, Relu
from stillhouse.kernels.spec import KernelSpec

Reference = Callable[[KernelSpec, np.ndarray, np.ndarray], np.ndarray]


@pytest.fixture
def x64() -> Iterator[None]:
    """Compute in float64 for the length of a test."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture
def fully_compiled() -> Iterator[None]:
    """Compile as users do, for the length of a test: what it compiles itself, all else is kept."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="session")
def brute_force() -> Reference:
    """Return K(x1, x2) in float64 from covariances `[h, w, h, w]` of every pixel with every pixel.

    It shares nothing with the product: no band, no lanes, no sub-blocks, and the angle by arccos.
    """
    return lambda spec, x1, x2: np.array([[_pair(spec, a, b) for b in x2] for a in x1])


@pytest.fixture(scope="session")
def directional_derivative(brute_force: Reference) -> Callable[..., float]:
    """Return d/de of f(x + e v) at 0 by central differences, for a scalar function f."""

    def derivative(f: Callable[[np.ndarray], float], x: np.ndarray, v: np.ndarray) -> float:
        e = 1e-5
        return (f(x + e * v) - f(x - e * v)) / (2 * e)

    return derivative


def _pair(spec: KernelSpec, x1: np.ndarray, x2: np.ndarray) -> float:
    """Return the kernel of two images `[h, w, c]`."""
    both = [(a, b) for a in (x1, x2) for b in (x1, x2)]  # (1,1), (1,2), (2,1), (2,2)
    n = [np.einsum("ijc,klc->ijkl", a.astype(float), b.astype(float)) / a.shape[2] for a, b in both]
    t = [np.zeros_like(k) for k in n]
    for layer in spec.architecture.layers:
        n, t = _layer(layer, n, t)
    return float((t if spec.kind == "ntk" else n)[1])


def _layer(
    layer: object, n: list[np.ndarray], t: list[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    if isinstance(layer, Relu):
        v1, v2 = n[0], n[3]
        if v1.ndim == 4:
            v1, v2 = (np.einsum("ijij->ij", v) for v in (v1, v2))
        variances = [(a, b) for a in (v1, v2) for b in (v1, v2)]
        return (
            [_relu(k, *v)[0] for k, v in zip(n, variances, strict=True)],
            [s * _relu(k, *v)[1] for s, k, v in zip(t, n, variances, strict=True)],
        )
    if isinstance(layer, Dense | Conv):
        n_out = [layer.W_std**2 * _mean(layer, k) + layer.b_std**2 for k in n]
        return n_out, [layer.W_std**2 * _mean(layer, s) + k for s, k in zip(t, n_out, strict=True)]
    reduce = {AvgPool: lambda k: _pool(k, layer), Flatten: _trace}.get(type(layer), np.mean)
    return [np.asarray(reduce(k)) for k in n], [np.asarray(reduce(s)) for s in t]


def _relu(k: np.ndarray, v1: np.ndarray, v2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = np.sqrt(np.multiply.outer(v1, v2))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.where(scale > 0, np.clip(k / scale, -1, 1), 0)
    k0 = np.where(scale > 0, (np.pi - np.arccos(cosine)) / (2 * np.pi), 0)
    return scale * (np.sqrt(1 - cosine**2) / (2 * np.pi) + k0 * cosine), k0


def _mean(layer: object, k: np.ndarray) -> np.ndarray:
    """Average over the filter's window, at the same offset in both images, zeros outside."""
    if not isinstance(layer, Conv):
        return k
    (fh, fw), (h, w) = layer.window, k.shape[:2]
    p, q = fh // 2, fw // 2
    big = np.pad(k, [(p, p), (q, q), (p, p), (q, q)])
    windows = [
        big[i : i + h, j : j + w, i : i + h, j : j + w] for i in range(fh) for j in range(fw)
    ]
    return np.sum(windows, axis=0) / (fh * fw)


def _pool(k: np.ndarray, layer: AvgPool) -> np.ndarray:
    (kh, kw), (h, w) = layer.window, k.shape[:2]
    k = k[: h // kh * kh, : w // kw * kw, : h // kh * kh, : w // kw * kw]
    return k.reshape(h // kh, kh, w // kw, kw, h // kh, kh, w // kw, kw).mean((1, 3, 5, 7))


def _trace(k: np.ndarray) -> np.ndarray:
    return np.einsum("ijij->", k) / (k.shape[0] * k.shape[1])


@pytest.fixture(scope="session")
def odd_architecture() -> Architecture:
    """Return a network with everything at once: unlike windows, two dense layers, own stds."""
    return Architecture(
        (
            Conv((3, 5), W_std=1.2, b_std=0.3),
            Conv((1, 3), b_std=0.0),
            Relu(),
            AvgPool((2, 3)),
            Conv(),
            AvgPool((2, 1)),
            Flatten(),
            Dense(0.8, 0.2),
            Relu(),
            Dense(),
        )
    )
