"""The largest learning rate at which gradient descent on a finite network is stable."""

from collections.abc import Callable
from typing import Any, cast

import jax
import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from stillhouse.data.sampling import rng_for

_TOLERANCE = 1e-3  # Relative, of the eigenvalue: ample for a learning rate.
# The largest eigenvalue stands far from the others, since the outputs of a ReLU network have a
# common part: so small a basis finds it, and a product is dear.
_BASIS = 6

Params = Any
KernelProduct = Callable[..., jax.Array]


def tangent_kernel_product(function: Callable[..., jax.Array]) -> KernelProduct:
    """Return a compiled function that multiplies the empirical neural tangent kernel by a vector.

    The kernel `Theta = J J^T [n k, n k]`, with J the Jacobian of all outputs by all parameters, has
    every pair of outputs in it, no trace over them. It is never formed, and neither is J: a product
    costs about two gradients of a batch of n, in the memory of one.

    Args:
        function: from parameters, and further arguments, to the outputs `[n, k]`.

    Returns:
        A function of `v [n, k]`, the parameters and the further arguments, to `Theta v [n, k]`.
    """

    @jax.jit
    def product(v: jax.Array, params: Params, *arguments: Any) -> jax.Array:
        def outputs(params: Params) -> jax.Array:
            return function(params, *arguments)

        _, pull_back = jax.vjp(outputs, params)
        _, pushed = jax.jvp(outputs, (params,), pull_back(v))
        return cast(jax.Array, pushed)

    return cast(KernelProduct, product)


def largest_stable_rate(
    product: KernelProduct,
    shape: tuple[int, int],
    params: Params,
    *arguments: Any,
    momentum: float = 0.0,
) -> float:
    """Return the learning rate above which gradient descent on the linearised network diverges.

    For the loss `1/2 mean((f - y)^2)` over n images and k outputs a step with learning rate eta
    multiplies the error by `I - eta Theta / (n k)`, which shrinks it in every direction as long as
    `eta < 2 n k / lambda_max(Theta)`. Heavy-ball momentum beta, undamped, raises the bound to
    `2 (1 + beta) n k / lambda_max`. Cross entropy averaged over the images has, where all classes
    are still as likely, the curvature 1/k too, so that the same rate serves it.

    `lambda_max` is found by Lanczos iterations, to a thousandth: some ten products.

    Args:
        product: what `tangent_kernel_product` returned.
        shape: n and k.
        params: the parameters.
        arguments: further ones of the function, with the n images.
        momentum: beta, zero or positive and below one.

    Raises:
        FloatingPointError: if the kernel is not finite.
        ValueError: if the outputs do not depend on the parameters.

    References:
        Lee, Xiao et al. Wide Neural Networks of Any Depth Evolve as Linear Models Under Gradient
        Descent. NeurIPS 2019, https://arxiv.org/abs/1902.06720
        Polyak. Some methods of speeding up the convergence of iteration methods. 1964
    """

    def multiply(v: np.ndarray) -> np.ndarray:
        vector = v.reshape(shape).astype(np.float32)
        result = np.asarray(product(vector, params, *arguments), np.float64)
        if not np.isfinite(result).all():
            raise FloatingPointError("the network's tangent kernel holds NaN or infinite values")
        return result.ravel()

    size = shape[0] * shape[1]
    start = rng_for(0, "largest stable rate").standard_normal(size)
    if not multiply(start).any():
        raise ValueError("the network's outputs do not depend on its parameters")
    operator = LinearOperator((size, size), matvec=multiply, dtype=np.float64)
    (largest,) = eigsh(
        operator,
        k=1,
        which="LA",
        v0=start,
        ncv=min(_BASIS, size),
        tol=_TOLERANCE,
        return_eigenvectors=False,
    )
    return 2.0 * (1.0 + momentum) * size / float(largest)
