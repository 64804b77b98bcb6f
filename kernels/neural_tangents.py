"""The kernel as neural_tangents computes it: the oracle, and the way to kernels not written here.

neural_tangents keeps, for every pair of images, the covariance of every pixel with every pixel
(`4 (h w)^2` bytes, several times over), so pairs go through in small sub-blocks.

References:
    Novak et al. Neural Tangents: Fast and Easy Infinite Neural Networks in Python. ICLR 2020,
    https://arxiv.org/abs/1912.02803
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from stillhouse.kernels.architecture import (
    Architecture,
    AvgPool,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    Relu,
)
from stillhouse.kernels.inputs import checked_cotangent, checked_pair, checked_wrt
from stillhouse.kernels.spec import KernelSpec, Kind
from stillhouse.kernels.subblocks import padded, sub_blocks

_PAIR_BYTES = 1 << 26  # of covariances of a sub-block, before neural_tangents copies them


class NeuralTangentsKernel:
    """A kernel computed by a `kernel_fn` of neural_tangents.

    Attributes:
        backend: "neural_tangents".
    """

    backend = "neural_tangents"

    def __init__(
        self,
        kernel_fn: Callable[..., Any],
        kind: Kind = "ntk",
        *,
        spec: KernelSpec | None = None,
        pairs: int | None = None,
    ) -> None:
        """Take any `kernel_fn(x1, x2, get)`, such as `stax.serial` returns.

        Args:
            kernel_fn: the function; `kernel_fn(x1, x2, kind)` must return `[n1, n2]`.
            kind: which kernel to ask it for, "ntk" or "nngp".
            spec: the same kernel as a spec, where there is one.
            pairs: side of the square sub-blocks, by default as large as memory allows for
                covariances between all pixels.
        """
        if kind not in ("ntk", "nngp"):
            raise ValueError(f"`kind` must be 'ntk' or 'nngp', got {kind!r}")
        self._spec = spec
        self._pairs = pairs
        self._block = jax.jit(functools.partial(_evaluate, kernel_fn, kind))
        self._vjp = jax.jit(functools.partial(_differentiate, kernel_fn, kind))

    @classmethod
    def from_spec(cls, spec: KernelSpec) -> "NeuralTangentsKernel":
        """Return the kernel of `spec`.

        Raises:
            ValueError: if neural_tangents cannot be imported here.
        """
        return cls(_kernel_fn(spec.architecture), spec.kind, spec=spec)

    @property
    def spec(self) -> KernelSpec | None:
        """The architecture and kind, or None where only a `kernel_fn` was given."""
        return self._spec

    def block(self, x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
        """Return K(x1, x2), `[n1, n2]`; see `Kernel.block`."""
        x1, x2 = self._checked(x1, x2)
        size = self._size(x1, x2)
        result = np.empty((len(x1), len(x2)), x1.dtype)
        for rows, columns in sub_blocks(len(x1), len(x2), size):
            part = self._block(padded(x1[rows], size[0]), padded(x2[columns], size[1]))
            result[rows, columns] = part[: len(x1[rows]), : len(x2[columns])]
        return result

    def vjp(
        self,
        x1: np.ndarray,
        x2: np.ndarray,
        cotangent: np.ndarray,
        *,
        wrt: tuple[int, ...] = (0, 1),
    ) -> tuple[np.ndarray, ...]:
        """Return gradients of sum(cotangent * K(x1, x2)); see `Kernel.vjp`."""
        x1, x2 = self._checked(x1, x2)
        wrt = checked_wrt(wrt)
        cotangent = checked_cotangent(cotangent, (len(x1), len(x2)), x1.dtype)
        size = self._size(x1, x2)
        gradients = np.zeros_like(x1), np.zeros_like(x2)
        for rows, columns in sub_blocks(len(x1), len(x2), size):
            weights = np.zeros(size, x1.dtype)
            part = cotangent[rows, columns]
            weights[: part.shape[0], : part.shape[1]] = part
            grads = self._vjp(padded(x1[rows], size[0]), padded(x2[columns], size[1]), weights)
            gradients[0][rows] += grads[0][: part.shape[0]]
            gradients[1][columns] += grads[1][: part.shape[1]]
        return tuple(gradients[i] for i in wrt)

    def gram(self, x: np.ndarray) -> np.ndarray:
        """Return K(x, x), `[n, n]`; see `Kernel.gram`. The whole square is computed."""
        return self.block(x, x)

    def gram_vjp(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """Return the gradient of sum(cotangent * K(x, x)); see `Kernel.gram_vjp`.

        On the diagonal neural_tangents drops the singular terms only where rounding leaves them
        exactly singular, so in float32 this is right to about 1e-5.
        """
        first, second = self.vjp(x, x, cotangent)
        return first + second

    def _checked(self, x1: np.ndarray, x2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x1, x2 = checked_pair(x1, x2)
        if self._spec is not None:
            self._spec.architecture.check_image(*x1.shape[1:3])
        dtype = jax.dtypes.canonicalize_dtype(x1.dtype)
        return x1.astype(dtype, copy=False), x2.astype(dtype, copy=False)

    def _size(self, x1: np.ndarray, x2: np.ndarray) -> tuple[int, int]:
        pixels = x1.shape[1] * x1.shape[2]
        side = self._pairs or max(1, int((_PAIR_BYTES / (4 * pixels**2)) ** 0.5))
        return min(side, len(x1)), min(side, len(x2))


def _evaluate(kernel_fn: Callable[..., Any], kind: Kind, x1: Any, x2: Any) -> Any:
    # Where float64 is enabled, neural_tangents makes that of float32 images on its way.
    return kernel_fn(x1, x2, kind).astype(x1.dtype)


def _differentiate(
    kernel_fn: Callable[..., Any], kind: Kind, x1: Any, x2: Any, cotangent: Any
) -> Any:
    _, backward = jax.vjp(functools.partial(_evaluate, kernel_fn, kind), x1, x2)
    return backward(cotangent)


def _kernel_fn(architecture: Architecture) -> Callable[..., Any]:
    try:
        from neural_tangents import stax
    except Exception as error:  # it fails to import in several ways beside a JAX it does not know
        raise ValueError(
            "`backend` neural_tangents cannot be used here: neural_tangents does not import "
            f"({type(error).__name__}: {error}); install the `neural-tangents` extra on "
            "Python 3.10, or use backend='xla'"
        ) from error

    def layer_of(layer: Any) -> Any:
        if isinstance(layer, Conv):
            return stax.Conv(1, layer.window, padding="SAME", W_std=layer.W_std, b_std=layer.b_std)
        if isinstance(layer, Dense):
            return stax.Dense(1, W_std=layer.W_std, b_std=layer.b_std)
        if isinstance(layer, AvgPool):
            return stax.AvgPool(layer.window, strides=layer.window)
        return {Relu: stax.Relu, Flatten: stax.Flatten, GlobalAvgPool: stax.GlobalAvgPool}[
            type(layer)
        ]()

    return stax.serial(*map(layer_of, architecture.layers))[2]
