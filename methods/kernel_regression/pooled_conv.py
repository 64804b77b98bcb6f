"""A convolution of few channels, ReLU and average pool, as one matrix product: for processors.

A first layer has some twenty inputs for each of its outputs, too few for what a processor's
convolution spends on each, and its outputs are the largest array of a network. So each window of
the pool is one row: the patch that all of its outputs see, times the filter at each of their
places. There are more multiplications, of zeros, and they take a third of the time.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from stillhouse.kernels.architecture import Architecture, AvgPool, Conv, Relu

Array = jax.Array | np.ndarray
_FEW_CHANNELS = 4


def begins_pooled(architecture: Architecture, channels: int) -> bool:
    """Return whether a network begins with a convolution of few channels, ReLU and a pool."""
    first = tuple(type(layer) for layer in architecture.layers[:3])
    return first == (Conv, Relu, AvgPool) and channels <= _FEW_CHANNELS


def pooled_conv(x: jax.Array, W: Array, b: Array, pool: tuple[int, int]) -> jax.Array:
    """Return averages over windows of relu(conv(x, W) + b); what is over at the end is left out.

    Args:
        x: images `[n, h, w, c]`.
        W: the filter `[rows, columns, c, o]`, applied with padding SAME.
        b: the biases `[o]`.
        pool: rows and columns of a window.

    Returns:
        `[n, h // pool rows, w // pool columns, o]`.
    """
    rows, columns, _, outputs = W.shape
    n, places = len(x), math.prod(pool)
    h, w = x.shape[1] // pool[0], x.shape[2] // pool[1]
    x = _pad_same(x, rows, columns)
    # Columns, then rows: as many copies as a patch has sides, not as it has pixels.
    x = _side_by_side(x, 2, columns + pool[1] - 1, w, pool[1])
    x = _side_by_side(x, 1, rows + pool[0] - 1, h, pool[0])
    at_each_place = [
        jnp.pad(W, ((i, pool[0] - 1 - i), (j, pool[1] - 1 - j), (0, 0), (0, 0)))
        for i in range(pool[0])
        for j in range(pool[1])
    ]
    filters = jnp.stack(at_each_place, axis=3).reshape(-1, places * outputs)
    y = jax.nn.relu(x.reshape(n * h * w, -1) @ filters + jnp.tile(b, places))
    total = functools.reduce(jax.lax.add, jnp.split(y, places, axis=1))
    return (total * np.float32(1 / places)).reshape(n, h, w, outputs)


def _pad_same(x: jax.Array, rows: int, columns: int) -> jax.Array:
    """Return images with the zeros around them that SAME has for a filter."""
    above, left = (rows - 1) // 2, (columns - 1) // 2
    around = ((0, 0), (above, rows - 1 - above), (left, columns - 1 - left), (0, 0))
    return jnp.pad(x, around)


def _side_by_side(x: jax.Array, axis: int, seen: int, count: int, stride: int) -> jax.Array:
    """Return for each of `count` windows of an axis, `stride` apart, all it sees as channels."""
    last = stride * (count - 1) + 1
    parts = [jax.lax.slice_in_dim(x, i, i + last, stride, axis) for i in range(seen)]
    return jnp.concatenate(parts, axis=-1)
