"""How far the mean features of synthetic images are from those of real ones, and its gradient."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.network import Network
from stillhouse.networks.siamese import augmented

Matching = Callable[..., tuple[jax.Array, jax.Array]]


@functools.lru_cache(maxsize=8)
def feature_matching(
    spec: NetworkSpec, image_shape: tuple[int, int, int], num_classes: int, augments: bool
) -> tuple[Network, Matching]:
    """Return a network, and the distance of the mean features of two sets of images in it.

        || mean phi(A(x_t)) - mean phi(A(x_s)) ||^2

    The second is compiled: from parameters, state, a class, which does not matter, x_s
    `[s, h, w, c]`, x_t `[t, h, w, c]` and, where it augments, the kind and the numbers of the draw
    A; to the distance and its gradient by x_s.

    Args:
        spec: the network, whose features are what its last layer sees.
        image_shape: height, width and channels.
        num_classes: the number of its outputs.
        augments: whether it takes a draw.

    References:
        Zhao, Bilen. Dataset Condensation with Distribution Matching. WACV 2023,
        https://arxiv.org/abs/2110.04181
    """
    network = build_network(spec, image_shape, num_classes)

    def mean_features(params: Any, state: Any, x: jax.Array, draw: tuple[Any, ...]) -> jax.Array:
        x = augmented(x, *draw) if augments else x
        return network.features(params, state, x, training=True)[0].mean(axis=0)

    @jax.jit
    def match(
        params: Any, state: Any, number: int, x_s: jax.Array, x_t: jax.Array, *draw: Any
    ) -> tuple[jax.Array, jax.Array]:
        real = mean_features(params, state, x_t, draw)

        def distance(x_s: jax.Array) -> jax.Array:
            return jnp.sum((mean_features(params, state, x_s, draw) - real) ** 2)

        return jax.value_and_grad(distance)(x_s)

    return network, match
