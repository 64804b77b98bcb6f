"""How the loss of a network bends at its weights: its Hessian, known by products with vectors."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from stillhouse.data.arrays import slices
from stillhouse.data.sampling import rng_for
from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.losses import loss_of
from stillhouse.networks.network import Network

_BATCH = 250
# Of the largest eigenvalue, relative: a picture shows no more.
_TOLERANCE = 1e-3
# Dampings grow by this factor, so often at most.
_GROWTH, _GROWN = 10.0, 6
Product = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Compiled:
    """Functions of parameters `theta [p]`, whatever else the weights hold, images and targets.

    Attributes:
        network: the network.
        value: the mean loss.
        gradient: its gradient, `[p]`.
        product: of `v [p]` before them: the Hessian times v.
        slopes: of `v [p]` before them: the derivative of the loss of each image along v, `[n]`.
    """

    network: Network
    value: Callable[..., jax.Array]
    gradient: Callable[..., jax.Array]
    product: Callable[..., jax.Array]
    slopes: Callable[..., jax.Array]


@functools.lru_cache(maxsize=8)
def compiled(
    spec: NetworkSpec, loss: str, image_shape: tuple[int, int, int], num_classes: int
) -> Compiled:
    """Return the functions of a network, compiled once a process for each size of batch.

    Raises:
        ValueError: if there is no such network for images of this shape.
    """
    network = build_network(spec, image_shape, num_classes)
    error = loss_of(loss)

    def outputs(theta: jax.Array, rest: jax.Array, x: jax.Array) -> jax.Array:
        params, state = network.unpack(jnp.concatenate([theta, rest]))
        return network.apply(params, state, x, training=False)[0]

    def value(theta: jax.Array, rest: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
        return error(outputs(theta, rest, x), y)

    def each(theta: jax.Array, rest: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
        by_image = jax.vmap(lambda p, q: error(p[None], q[None]))
        return by_image(outputs(theta, rest, x), y)

    def product(v: jax.Array, theta: jax.Array, *others: Any) -> jax.Array:
        # Forward over reverse: the memory of a gradient, and about twice its time.
        def gradient(t: jax.Array) -> jax.Array:
            return jax.grad(value)(t, *others)

        return jax.jvp(gradient, (theta,), (v,))[1]

    def slopes(v: jax.Array, theta: jax.Array, *others: Any) -> jax.Array:
        return jax.jvp(lambda t: each(t, *others), (theta,), (v,))[1]

    return Compiled(
        network, jax.jit(value), jax.jit(jax.grad(value)), jax.jit(product), jax.jit(slopes)
    )


class LossSurface:
    """The mean loss of a network over images as a function of its p parameters, near its weights.

    Batch norm stands by its running averages. A Hessian is never formed: a product with a vector
    costs some three passes of every image. Sums over batches are float64.

    Args:
        spec: which network.
        weights: as `Network.pack` returns them, `[size]`; the derivatives are of their dtype.
        images: as the network sees them, `[n, h, w, c]`.
        targets: `[n, k]`.
        loss: one of `stillhouse.networks.objective.LOSSES`.
        batch: images at a time.

    Attributes:
        size: the number of parameters p.

    Raises:
        ValueError: if there is no such network for these images, or the weights are another's.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        weights: np.ndarray,
        images: np.ndarray,
        targets: np.ndarray,
        *,
        loss: str = "xent",
        batch: int = _BATCH,
    ) -> None:
        h, w, c = images.shape[1:]
        self._compiled = compiled(spec, loss, (h, w, c), targets.shape[1])
        network = self._compiled.network
        network.unpack(weights)  # Raises if they are another's.
        self.size = network.num_parameters
        self._theta, self._rest = weights[: self.size], weights[self.size :]
        self._parts = [(images[part], targets[part]) for part in slices(len(images), batch)]
        self._count = len(images)

    def value(self) -> float:
        """Return the mean loss."""
        return float(self._mean(self._compiled.value))

    def gradient(self) -> np.ndarray:
        """Return the gradient of the mean loss, float64 `[p]`."""
        return np.asarray(self._mean(self._compiled.gradient))

    def product(self, v: np.ndarray) -> np.ndarray:
        """Return the Hessian of the mean loss times a vector `[p]`, float64 `[p]`.

        Raises:
            FloatingPointError: if it is not finite.
        """
        vector = v.astype(self._theta.dtype)
        found = np.asarray(self._mean(functools.partial(self._compiled.product, vector)))
        if not np.isfinite(found).all():
            raise FloatingPointError("the Hessian of the loss holds NaN or infinite values")
        return found

    def slopes(self, v: np.ndarray) -> np.ndarray:
        """Return the derivative of the loss of each image along a vector `[p]`, float64 `[n]`."""
        vector = v.astype(self._theta.dtype)
        parts = [
            np.asarray(self._compiled.slopes(vector, self._theta, self._rest, x, y), np.float64)
            for x, y in self._parts
        ]
        return np.concatenate(parts)

    def _mean(self, function: Callable[..., Any]) -> Any:
        parts = (
            len(x) * np.asarray(function(self._theta, self._rest, x, y), np.float64)
            for x, y in self._parts
        )
        return sum(parts) / self._count


def trace_samples(product: Product, size: int, probes: int, seed: int) -> np.ndarray:
    """Return v^T H v for random signs v, float64 `[probes]`: their mean estimates the trace of H.

    The standard error of that mean is their standard deviation by the root of their number.

    Args:
        product: multiplies a symmetric matrix by a vector `[size]`.
        size: its rows.
        probes: how many vectors.
        seed: of the vectors: the same for the same seed and size, whatever the matrix.

    References:
        Hutchinson. A stochastic estimator of the trace of the influence matrix for Laplacian
        smoothing splines. 1989
        Yao, Gholami, Keutzer, Mahoney. PyHessian: Neural Networks Through the Lens of the Hessian.
        2019, https://arxiv.org/abs/1912.07145
    """
    found = np.empty(probes)
    for number in range(probes):
        signs = rng_for(seed, "trace probe", number).integers(0, 2, size) * 2.0 - 1.0
        found[number] = signs @ product(signs)
    return found


def largest_eigenvalue(product: Product, size: int) -> float:
    """Return the algebraically largest eigenvalue of a symmetric matrix, by Lanczos iterations.

    Args:
        product: multiplies it by a vector `[size]`.
        size: its rows, two or more.
    """
    start = rng_for(0, "largest eigenvalue").standard_normal(size)
    operator = LinearOperator((size, size), matvec=lambda v: product(v.ravel()), dtype=np.float64)
    (largest,) = eigsh(
        operator, k=1, which="LA", v0=start, tol=_TOLERANCE, return_eigenvectors=False
    )
    return float(largest)


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """An approximate solution x of (H + damping I) x = b.

    Attributes:
        x: float64 `[p]`.
        damping: that it was found with.
        residual: the norm of what is left of b, by that of b.
        iterations: products with H, those of dampings that were too small included.
    """

    x: np.ndarray
    damping: float
    residual: float
    iterations: int


def solve_damped(
    product: Product,
    b: np.ndarray,
    *,
    damping: float,
    iterations: int = 100,
    tolerance: float = 1e-3,
) -> Solution:
    """Solve (H + damping I) x = b by conjugate gradients.

    The Hessian of a network need not be positive. Where a direction shows that H + damping I is
    not, conjugate gradients begin again with ten times the damping.

    Args:
        product: multiplies H by a vector `[p]`.
        b: float64 `[p]`.
        damping: to begin with, positive.
        iterations: products for one damping, at most.
        tolerance: the residual, by the norm of b, at which x is good enough.

    Raises:
        ValueError: if the damping is not positive.
        FloatingPointError: if no damping up to a million times the first makes H positive.

    References:
        Hestenes, Stiefel. Methods of Conjugate Gradients for Solving Linear Systems. 1952
        Martens. Deep learning via Hessian-free optimization. ICML 2010 (the damping)
    """
    if not damping > 0:
        raise ValueError(f"`damping` must be positive, got {damping}")
    length, spent = float(np.linalg.norm(b)), 0
    if not length:
        return Solution(np.zeros_like(b), damping, 0.0, 0)
    for _ in range(_GROWN + 1):
        x, left = np.zeros_like(b), b.copy()
        direction, square = left.copy(), length**2
        for _ in range(iterations):
            bent = product(direction) + damping * direction
            spent += 1
            along = float(direction @ bent)
            if along <= 0:
                break
            x += square / along * direction
            left -= square / along * bent
            square, before = float(left @ left), square
            if square <= (tolerance * length) ** 2:
                return Solution(x, damping, square**0.5 / length, spent)
            direction = left + square / before * direction
        else:
            return Solution(x, damping, square**0.5 / length, spent)
        damping *= _GROWTH
    raise FloatingPointError(
        f"the Hessian is not positive even with a damping of {damping / _GROWTH:g}; "
        "the network is far from where its loss is least: train it longer"
    )
