"""What is compiled to train a network."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from stillhouse.analysis.train_config import TrainConfig
from stillhouse.networks import Network, build_network
from stillhouse.networks.stable_rate import KernelProduct, tangent_kernel_product

_FREE = (
    *("steps", "label_scale", "learning_rate", "rate_factor", "batch_size"),
    *("seeds", "seed", "eval_every"),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Programs:
    """A network and its compiled functions, the same for all seeds and sets.

    Attributes:
        network: the network.
        optimiser: makes the moments that `step` takes.
        step: of parameters, moments, state, learning rate, images and targets; to the first three
            after a step, and the loss and accuracy before it, `[2]`.
        predict: of parameters, state and images; to the outputs.
        kernel_product: of `v`, parameters, state and images, see `tangent_kernel_product`.
    """

    network: Network
    optimiser: optax.GradientTransformation
    step: Callable[..., Any]
    predict: Callable[..., jax.Array]
    kernel_product: KernelProduct


def programs_for(config: TrainConfig, image_shape: tuple[int, ...], num_classes: int) -> Programs:
    """Return the programs of a configuration, compiled once a process for each size of batch.

    Raises:
        ValueError: if there is no such network for images of this shape.
    """
    rest: dict[str, Any] = {name: getattr(TrainConfig, name) for name in _FREE}
    part = dataclasses.replace(config, **rest)
    h, w, c = image_shape
    return _programs(part, (h, w, c), num_classes)


@functools.lru_cache(maxsize=8)
def _programs(config: TrainConfig, image_shape: tuple[int, int, int], num_classes: int) -> Programs:
    network = build_network(
        config.network,
        image_shape,
        num_classes,
        width=config.width,
        depth=config.depth,
        norm=config.norm,
        prepend=config.prepend,
        parameterisation=config.parameterisation,
    )
    optimiser = optax.trace(decay=config.momentum)

    def loss(params: Any, state: Any, x: jax.Array, y: jax.Array) -> tuple[jax.Array, Any]:
        outputs, state = network.apply(params, state, x, training=True)
        each = 0.5 * (outputs - y) ** 2
        if config.loss == "xent":
            each = optax.softmax_cross_entropy(outputs, y)
        right = outputs.argmax(axis=1) == y.argmax(axis=1)
        value = each.mean()
        weights = jax.tree_util.tree_leaves(network.weights(params))
        penalty = 0.5 * config.l2 * sum(jnp.vdot(w, w) for w in weights)
        return value + penalty, (state, jnp.stack([value, right.mean()]))

    # Each step is a call of its own: within a `lax.scan`, XLA computes convolutions on a processor
    # more than ten times slower, while a call costs a fraction of a millisecond.
    @jax.jit
    def step(
        params: Any, moments: Any, state: Any, rate: jax.Array, x: jax.Array, y: jax.Array
    ) -> tuple[Any, Any, Any, jax.Array]:
        gradient, (state, values) = jax.grad(loss, has_aux=True)(params, state, x, y)
        updates, moments = optimiser.update(gradient, moments, params)
        params = jax.tree_util.tree_map(lambda p, u: p - rate * u, params, updates)
        return params, moments, state, values

    @jax.jit
    def predict(params: Any, state: Any, x: jax.Array) -> jax.Array:
        return network.apply(params, state, x, training=False)[0]

    def outputs(params: Any, state: Any, x: jax.Array) -> jax.Array:
        return network.apply(params, state, x, training=True)[0]

    return Programs(network, optimiser, step, predict, tangent_kernel_product(outputs))
