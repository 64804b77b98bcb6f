"""How far the gradient on synthetic images is from that on real ones, and its derivative."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.losses import cross_entropy
from stillhouse.networks.network import Network
from stillhouse.networks.precision import full_precision
from stillhouse.networks.siamese import augmented

Matching = Callable[..., tuple[jax.Array, jax.Array]]
_EPSILON = 1e-6  # As published.


@functools.lru_cache(maxsize=8)
def gradient_matching(
    spec: NetworkSpec, image_shape: tuple[int, int, int], num_classes: int, augments: bool
) -> tuple[Network, Matching]:
    """Return a network, and the distance of its gradients on two sets of images of one class.

        D( grad l(A(x_t)), grad l(A(x_s)) ),    l the mean cross entropy

    The second is compiled: from parameters, state, the class, x_s `[s, h, w, c]`, x_t
    `[t, h, w, c]` and, where it augments, the kind and the numbers of the draw A; to the distance
    and its gradient by x_s.

    Args:
        spec: the network.
        image_shape: height, width and channels.
        num_classes: the number of its outputs k.
        augments: whether it takes a draw.

    References:
        Zhao, Mopuri, Bilen. Dataset Condensation with Gradient Matching. ICLR 2021,
        https://arxiv.org/abs/2006.05929 (equations 9 and 10)
        Zhao, Bilen. Dataset Condensation with Differentiable Siamese Augmentation. ICML 2021,
        https://arxiv.org/abs/2102.08259
    """
    network = build_network(spec, image_shape, num_classes)

    def loss(params: Any, state: Any, x: jax.Array, number: Any, draw: tuple[Any, ...]) -> Any:
        x = augmented(x, *draw) if augments else x
        outputs = network.apply(params, state, x, training=True)[0]
        targets = jax.nn.one_hot(jnp.full(len(x), number), num_classes, dtype=outputs.dtype)
        return cross_entropy(outputs, targets)

    @jax.jit
    def match(
        params: Any, state: Any, number: Any, x_s: jax.Array, x_t: jax.Array, *draw: Any
    ) -> tuple[jax.Array, jax.Array]:
        real = jax.grad(loss)(params, state, x_t, number, draw)

        def distance(x_s: jax.Array) -> jax.Array:
            return gradient_distance(jax.grad(loss)(params, state, x_s, number, draw), real)

        return jax.value_and_grad(distance)(x_s)

    return network, match


def gradient_distance(a: Any, b: Any) -> jax.Array:
    """Return one minus the cosine of each output channel's gradients, summed over all channels.

    Of biases and of what norms learn, which have one number a channel, nothing is counted, as
    published.

    Args:
        a: a gradient by the parameters: a tree of arrays `[outputs, ...]`.
        b: another.
    """
    pairs = zip(jax.tree_util.tree_leaves(a), jax.tree_util.tree_leaves(b), strict=True)
    with full_precision():
        return sum(
            (_by_channel(x, y) for x, y in pairs if x.size > x.shape[0]), jnp.zeros((), jnp.float32)
        )


def _by_channel(a: jax.Array, b: jax.Array) -> jax.Array:
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    products = jnp.sum(a * b, axis=1)
    return jnp.sum(1 - products / (_norms(a) * _norms(b) + _EPSILON))


def _norms(rows: jax.Array) -> jax.Array:
    """Return the length of each row; of one of zeros its derivative is zero too."""
    squares = jnp.sum(rows * rows, axis=1)
    some = squares > 0
    return jnp.where(some, jnp.sqrt(jnp.where(some, squares, 1.0)), 0.0)
