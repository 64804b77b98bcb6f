"""What training minimises."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

Loss = Callable[[jax.Array, jax.Array], jax.Array]


def squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return half the mean squared error over images and outputs, both `[n, k]`."""
    return jnp.mean(0.5 * jnp.square(outputs - targets))


def cross_entropy(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the mean cross entropy of the softmax of outputs `[n, k]` with targets `[n, k]`."""
    return jnp.mean(optax.softmax_cross_entropy(outputs, targets))


def loss_of(name: str) -> Loss:
    """Return one of `stillhouse.networks.objective.LOSSES`."""
    return {"mse": squared_error, "xent": cross_entropy}[name]
