"""Gradient steps on a small set, and the derivative of what comes of them by the set.

    theta_{i+1} = theta_i - a_i grad l(x_i, y_i; theta_i),    L = sum_j w_j l_j(theta_n)

The reverse pass is written by hand: it calls one compiled derivative of a step n times. So it
compiles once, whatever n, and keeps the weights of each step alone. In a loop inside XLA a
convolution would take ten times as long on a processor.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.memory import program_bytes
from stillhouse.networks.network import Network, Params, State

# Weights along the way that are all kept; of more, every so many, and the others made again.
_KEPT_BYTES = 2**30
# Targets at a time on a processor, whose caches hold no more: an image of 512 takes twice as long.
_CHUNK = 64


@dataclasses.dataclass(frozen=True, eq=False)
class StepPrograms:
    """A network and what is compiled to go through steps, and back through them.

    Attributes:
        network: the network.
        update: of parameters, state, step size, images and targets; to the parameters after a step.
        pull_back: of the same and dL/d(parameters after); to dL/d of parameters before, step size,
            images and targets.
        outer: of parameters, state, images, targets and their weights w; to L and the sum of the w
            whose class is right, `[2]`, and dL/d(parameters).
        add: of two trees of parameters; to their sum.
    """

    network: Network
    update: Callable[..., Params]
    pull_back: Callable[..., tuple[Params, jax.Array, jax.Array, jax.Array]]
    outer: Callable[..., tuple[jax.Array, Params]]
    add: Callable[[Params, Params], Params]


@functools.lru_cache(maxsize=8)
def step_programs(
    spec: NetworkSpec, loss: str, image_shape: tuple[int, int, int], num_classes: int
) -> StepPrograms:
    """Return the programs of a network, compiled once a process for each size of batch.

    Args:
        spec: the network.
        loss: of steps and of targets: "xent", cross entropy, or "mse", half the mean squared error.
        image_shape: height, width and channels.
        num_classes: the number of outputs k.

    Raises:
        ValueError: if there is no such network for images of this shape.
    """
    network = build_network(spec, image_shape, num_classes)

    def losses(params: Params, state: State, x: jax.Array, y: jax.Array) -> tuple[Any, Any]:
        outputs, _ = network.apply(params, state, x, training=True)
        if loss == "xent":
            each = optax.softmax_cross_entropy(outputs, y)
        else:
            each = jnp.mean(0.5 * jnp.square(outputs - y), axis=1)
        return each, outputs

    def mean_loss(params: Params, state: State, x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.mean(losses(params, state, x, y)[0])

    @jax.jit
    def update(params: Params, state: State, a: jax.Array, x: jax.Array, y: jax.Array) -> Params:
        gradient = jax.grad(mean_loss)(params, state, x, y)
        return jax.tree_util.tree_map(lambda p, g: p - a * g, params, gradient)

    # With s = <grad l, g> the cotangents are g - a ds/dtheta, -s, -a ds/dx and -a ds/dy: the
    # gradient of a directional derivative, which is cheaper than that of a gradient.
    @jax.jit
    def pull_back(
        params: Params, state: State, a: jax.Array, x: jax.Array, y: jax.Array, g: Params
    ) -> tuple[Params, jax.Array, jax.Array, jax.Array]:
        def along(params: Params, x: jax.Array, y: jax.Array) -> jax.Array:
            return jax.jvp(lambda p: mean_loss(p, state, x, y), (params,), (g,))[1]

        s, (by_params, by_x, by_y) = jax.value_and_grad(along, (0, 1, 2))(params, x, y)
        before = jax.tree_util.tree_map(lambda g, h: g - a * h, g, by_params)
        return before, -s, -a * by_x, -a * by_y

    @jax.jit
    def outer(
        params: Params, state: State, x: jax.Array, y: jax.Array, w: jax.Array
    ) -> tuple[jax.Array, Params]:
        def total(params: Params) -> tuple[jax.Array, jax.Array]:
            each, outputs = losses(params, state, x, y)
            right = outputs.argmax(axis=1) == y.argmax(axis=1)
            value = jnp.vdot(w, each)
            return value, jnp.stack([value, jnp.vdot(w, right.astype(w.dtype))])

        gradient, values = jax.grad(total, has_aux=True)(params)
        return values, gradient

    @jax.jit
    def add(one: Params, other: Params) -> Params:
        return jax.tree_util.tree_map(jnp.add, one, other)

    return StepPrograms(network, update, pull_back, outer, add)


@functools.lru_cache(maxsize=1)
def first_weights(network: Network, seed: int) -> tuple[Params, State]:
    """Return what a network begins with; a fixed one, with the same before every update.

    Args:
        network: the network.
        seed: of its weights.
    """
    return network.init(seed)


@dataclasses.dataclass(frozen=True, eq=False)
class Unrolled:
    """What came of steps on a set, and its derivatives.

    Attributes:
        loss: L.
        accuracy: the share of the targets' weight whose class is right.
        images: dL/d(images), of their shape; float64, as the others.
        labels: dL/d(labels).
        step_sizes: dL/da `[n]`; zero where a step is not looked at.
    """

    loss: float
    accuracy: float
    images: np.ndarray
    labels: np.ndarray
    step_sizes: np.ndarray


def unrolled_gradient(
    programs: StepPrograms,
    params: Params,
    state: State,
    images: np.ndarray,
    labels: np.ndarray,
    step_sizes: np.ndarray,
    order: np.ndarray,
    targets: tuple[np.ndarray, np.ndarray, np.ndarray],
    *,
    end: int | None = None,
    window: int | None = None,
) -> Unrolled:
    """Take steps on a set, and return the loss at their end and its derivatives.

    Args:
        programs: from `step_programs`.
        params: the parameters to begin with.
        state: the network's state, which stays.
        images: the set's, `[s, h, w, c]`.
        labels: what a step's loss compares with, `[s, k]`.
        step_sizes: a of each step `[n]`, n a multiple of T.
        order: the images of each of the T steps of an epoch, as rows `[T, b]`.
        targets: real images `[t, h, w, c]`, their targets `[t, k]` and weights `[t]`.
        end: after how many of the steps the loss is taken; None for n.
        window: the derivative is through so many steps before that; None for all.

    References:
        Wang, Zhu, Torralba, Efros. Dataset Distillation. 2018, https://arxiv.org/abs/1811.10959
        Feng, Vedantam, Kempe. Embarrassingly Simple Dataset Distillation. ICLR 2024,
        https://arxiv.org/abs/2311.07025 (the window at a random place)
    """
    end = len(step_sizes) if end is None else end
    first = 0 if window is None else max(end - window, 0)
    shown = [(jnp.asarray(images[rows]), jnp.asarray(labels[rows])) for rows in order]

    def advance(params: Params, i: int) -> Params:
        return programs.update(params, state, step_sizes[i], *shown[i % len(shown)])

    for i in range(first):
        params = advance(params, i)
    every = kept_every(end - first, programs.network.size)
    kept: dict[int, Params] = {}
    for i in range(first, end):
        if (i - first) % every == 0:
            kept[i] = params
        params = advance(params, i)
    values, g = _outer(programs, params, state, *targets)
    parts = []
    for start in sorted(kept, reverse=True):
        along = [kept.pop(start)]
        for i in range(start, min(start + every, end) - 1):
            along.append(advance(along[-1], i))
        for i in reversed(range(start, start + len(along))):
            step = i % len(shown)
            g, by_a, by_x, by_y = programs.pull_back(
                along[i - start], state, step_sizes[i], *shown[step], g
            )
            parts.append((i, by_a, by_x, by_y))
    return _gathered(values, parts, images, labels, step_sizes, order)


def _outer(
    programs: StepPrograms,
    params: Params,
    state: State,
    x: np.ndarray,
    y: np.ndarray,
    w: np.ndarray,
) -> tuple[np.ndarray, Params]:
    """Return L and the share of w whose class is right, and dL/d(parameters): a chunk at a time."""
    size = len(x) if jax.default_backend() != "cpu" else min(_CHUNK, len(x))
    values, gradient = np.zeros(2), None
    for start in range(0, len(x), size):
        part = [_filled(array[start : start + size], size) for array in (x, y, w)]
        more, by_params = programs.outer(params, state, *part)
        values += np.asarray(more, np.float64)
        gradient = by_params if gradient is None else programs.add(gradient, by_params)
    return values / (1.0, w.sum(dtype=np.float64)), gradient


def _filled(array: np.ndarray, size: int) -> np.ndarray:
    """Return an array with zeros behind it, so that all chunks are of one size."""
    missing = [(0, size - len(array))] + [(0, 0)] * (array.ndim - 1)
    return np.pad(array, missing) if len(array) < size else array


def _gathered(
    values: np.ndarray,
    parts: Sequence[tuple[int, jax.Array, jax.Array, jax.Array]],
    images: np.ndarray,
    labels: np.ndarray,
    step_sizes: np.ndarray,
    order: np.ndarray,
) -> Unrolled:
    by_images, by_labels = np.zeros(images.shape), np.zeros(labels.shape)
    by_sizes = np.zeros(len(step_sizes))
    for i, by_a, by_x, by_y in parts:
        rows = order[i % len(order)]
        by_sizes[i] = by_a
        by_images[rows] += np.asarray(by_x, np.float64)
        by_labels[rows] += np.asarray(by_y, np.float64)
    loss, accuracy = (float(value) for value in values)
    return Unrolled(loss, accuracy, by_images, by_labels, by_sizes)


def kept_every(steps: int, size: int) -> int:
    """Return how many steps lie between two whose weights are kept: 1, or about sqrt(steps).

    Args:
        steps: through which the derivative goes.
        size: numbers in the network's weights.
    """
    return 1 if 4 * size * steps <= _KEPT_BYTES else math.isqrt(steps - 1) + 1


def unroll_bytes(
    programs: StepPrograms,
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    batch: int,
    targets: int,
    steps: int,
) -> dict[str, int]:
    """Return what an unrolled gradient takes at most, in bytes by name.

    Args:
        programs: of the network.
        image_shape: height, width and channels.
        num_classes: k.
        batch: images of a step.
        targets: real images.
        steps: through which the derivative goes.
    """
    network = programs.network
    params, state = network.shapes

    def floats(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, np.float32)

    x, y, a = floats(batch, *image_shape), floats(batch, num_classes), floats()
    chunk = min(targets, _CHUNK)  # On a GPU it is all of them, in a memory of its own.
    x_t, y_t = floats(chunk, *image_shape), floats(chunk, num_classes)
    step = program_bytes(programs.pull_back, params, state, a, x, y, params)
    outer = program_bytes(programs.outer, params, state, x_t, y_t, floats(chunk))
    every = kept_every(steps, network.size)
    kept = 4 * network.size * (math.ceil(steps / every) + (every if every > 1 else 0) + 1)
    return {"a step and back": max(step, outer), "weights of the steps": kept}
