"""The layers behind the readout, where a pair of images is three numbers: plain matrix code.

A Dense layer maps n to W^2 n + b^2 and t to W^2 t + n'. A ReLU is that of the image layers. All of
it is computed in float64; it is never the costly part.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stillhouse.kernels.architecture import Dense, Relu

_TWO_PI = 2 * np.pi


class PairCotangents(NamedTuple):
    """Cotangents of n and t, and of the images' own n, in the shapes of their values."""

    n: np.ndarray
    t: np.ndarray
    v1: np.ndarray
    v2: np.ndarray


class DenseTail:
    """The dense layers of an architecture.

    Attributes:
        is_linear: whether no ReLU is among them, so that a vjp needs no values.
    """

    def __init__(self, layers: Sequence[Dense | Relu], *, smallest_gap: float) -> None:
        """Take the layers.

        Args:
            layers: those behind the readout.
            smallest_gap: the 1 - |c| below which rounding of n leaves no correct digit of it.
        """
        self._layers = tuple(layers)
        self._smallest_gap = smallest_gap
        self.is_linear = not any(isinstance(layer, Relu) for layer in self._layers)

    def pairs(
        self, n: np.ndarray, t: np.ndarray, v1: np.ndarray, v2: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return n and t of the output from those of the readout.

        Args:
            n: covariances, `[n1, n2]`, or `[k]` of listed pairs.
            t: tangent kernel, the same shape.
            v1: n of the first images with themselves, `[n1, 1]` or `[k]`.
            v2: n of the second images with themselves, `[1, n2]` or `[k]`.
        """
        values = n, t, v1, v2
        for layer in self._layers:
            values = self._step(layer, *values)
        return values[:2]

    def selves(self, n: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return n and t `[n]` of images with themselves, where a ReLU halves both exactly."""
        for layer in self._layers:
            if isinstance(layer, Dense):
                n = _dense(layer, n)
                t = layer.W_std**2 * t + n
            else:
                n, t = n / 2, t / 2
        return n, t

    def pairs_vjp(
        self,
        g_n: np.ndarray,
        g_t: np.ndarray,
        n: np.ndarray,
        t: np.ndarray,
        v1: np.ndarray,
        v2: np.ndarray,
    ) -> PairCotangents:
        """Return the cotangents of the arguments of `pairs` for those of its results.

        Where `is_linear` the values are not looked at.
        """
        inputs = [(n, t, v1, v2)]
        for layer in self._layers[:-1]:
            inputs.append(self._step(layer, *inputs[-1]))
        g_v1, g_v2 = np.zeros_like(v1), np.zeros_like(v2)
        for layer, (n, t, v1, v2) in zip(reversed(self._layers), reversed(inputs), strict=True):
            if isinstance(layer, Dense):
                scale = layer.W_std**2
                g_n, g_t, g_v1, g_v2 = scale * (g_n + g_t), scale * g_t, scale * g_v1, scale * g_v2
            else:
                s2 = np.sqrt(v1 * v2)
                singular, k0, s = self._duals(n, s2)
                correction = g_t * t * singular
                to_variances = (g_n * s2 * s / _TWO_PI - correction * n) / 2
                g_v1 = g_v1 / 2 + _divide(_sum_like(to_variances, v1), v1)
                g_v2 = g_v2 / 2 + _divide(_sum_like(to_variances, v2), v2)
                g_n, g_t = g_n * k0 + correction, g_t * k0
        return PairCotangents(g_n, g_t, g_v1, g_v2)

    def selves_vjp(self, g_n: np.ndarray, g_t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the cotangents of the arguments of `selves`, which is linear."""
        for layer in reversed(self._layers):
            if isinstance(layer, Dense):
                g_n, g_t = layer.W_std**2 * (g_n + g_t), layer.W_std**2 * g_t
            else:
                g_n, g_t = g_n / 2, g_t / 2
        return g_n, g_t

    def _step(
        self, layer: Dense | Relu, n: np.ndarray, t: np.ndarray, v1: np.ndarray, v2: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return n, t, v1 and v2 behind one layer."""
        if isinstance(layer, Dense):
            n, v1, v2 = (_dense(layer, value) for value in (n, v1, v2))
            return n, layer.W_std**2 * t + n, v1, v2
        s2 = np.sqrt(v1 * v2)
        _, k0, s = self._duals(n, s2)
        return s2 * s / _TWO_PI + n * k0, t * k0, v1 / 2, v2 / 2

    def _duals(self, n: np.ndarray, s2: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return 1 / (2 pi s2 s), k0 and s at c = n / s2, where s = sqrt(1 - c^2)."""
        c = np.clip(_divide(n, s2), -1, 1)
        s = np.sqrt((1 - c) * (1 + c))
        regular = 1 - np.abs(c) > self._smallest_gap
        singular = np.where(regular, _divide(np.ones_like(s), _TWO_PI * s2 * s), 0)
        return singular, (np.pi - np.arccos(c)) / _TWO_PI, s


def _dense(layer: Dense, n: np.ndarray) -> np.ndarray:
    return layer.W_std**2 * n + layer.b_std**2


def _sum_like(a: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Sum over the axes along which `like` was broadcast."""
    axes = tuple(i for i, size in enumerate(like.shape) if size != a.shape[i])
    return a.sum(axis=axes, keepdims=True)


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a / b, and 0 where b is 0: an image without variance has no covariance either."""
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)
