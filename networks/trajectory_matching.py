"""How near a student that learns from a set comes to where an expert went, and its derivatives.

    L = || theta_N - theta* ||^2 / || theta_0 - theta* ||^2,   theta_{i+1} = theta_i - a grad l(S_i)

The reverse pass is written by hand: it calls one compiled derivative of a step N times, and keeps
nothing but the weights of each step. Within a loop of XLA's a convolution would take ten times as
long on a processor.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stillhouse.data.siamese import Draw
from stillhouse.networks import NetworkSpec, build_network
from stillhouse.networks.losses import cross_entropy
from stillhouse.networks.network import Network, Params, State
from stillhouse.networks.siamese import augmented_by, augmented_vjp


@dataclasses.dataclass(frozen=True, eq=False)
class StudentPrograms:
    """A network and what is compiled to let a student walk, and to go back along its way.

    Attributes:
        network: the network.
        update: of parameters, state, learning rate, images and one-hot labels; to the parameters
            after a step.
        pull_back: of the same and dL/d(parameters after); to dL/d of parameters before, learning
            rate and images.
        distance: of the student's last parameters, its first and the expert's; to L and
            dL/d(last parameters).
    """

    network: Network
    update: Callable[..., Params]
    pull_back: Callable[..., tuple[Params, jax.Array, jax.Array]]
    distance: Callable[..., tuple[jax.Array, Params]]


@dataclasses.dataclass(frozen=True, eq=False)
class Lesson:
    """What a student is shown in a step.

    Attributes:
        rows: the images of the set, by their numbers.
        draw: how they are changed; None for not at all.
    """

    rows: np.ndarray
    draw: Draw | None


@dataclasses.dataclass(frozen=True, eq=False)
class TrajectoryMatched:
    """What came of a student.

    Attributes:
        loss: L.
        images: dL/d(images of the set), float64 of their shape.
        rate: dL/d(learning rate).
    """

    loss: float
    images: np.ndarray
    rate: float


@functools.lru_cache(maxsize=8)
def student_programs(
    spec: NetworkSpec, image_shape: tuple[int, int, int], num_classes: int
) -> StudentPrograms:
    """Return the programs of a network, compiled once a process for each size of batch."""
    network = build_network(spec, image_shape, num_classes)

    def loss(params: Params, state: State, x: jax.Array, y: jax.Array) -> jax.Array:
        return cross_entropy(network.apply(params, state, x, training=True)[0], y)

    @jax.jit
    def update(params: Params, state: State, a: jax.Array, x: jax.Array, y: jax.Array) -> Params:
        gradient = jax.grad(loss)(params, state, x, y)
        return jax.tree_util.tree_map(lambda p, g: p - a * g, params, gradient)

    # With s = <grad l, g> the cotangents are g - a ds/dtheta, -s and -a ds/dx: the gradient of a
    # derivative along g, which is cheaper than that of a gradient.
    @jax.jit
    def pull_back(
        params: Params, state: State, a: jax.Array, x: jax.Array, y: jax.Array, g: Params
    ) -> tuple[Params, jax.Array, jax.Array]:
        def along(params: Params, x: jax.Array) -> jax.Array:
            return jax.jvp(lambda p: loss(p, state, x, y), (params,), (g,))[1]

        s, (by_params, by_x) = jax.value_and_grad(along, (0, 1))(params, x)
        before = jax.tree_util.tree_map(lambda g, h: g - a * h, g, by_params)
        return before, -s, -a * by_x

    @jax.jit
    def distance(last: Params, first: Params, expert: Params) -> tuple[jax.Array, Params]:
        way = _squared(first, expert)
        return jax.value_and_grad(lambda last: _squared(last, expert) / way)(last)

    return StudentPrograms(network, update, pull_back, distance)


def match_trajectory(
    programs: StudentPrograms,
    images: np.ndarray,
    labels: np.ndarray,
    rate: Any,
    first: Params,
    expert: Params,
    state: State,
    lessons: Sequence[Lesson],
) -> TrajectoryMatched:
    """Let a student learn from a set, and differentiate how near it came to an expert.

    Args:
        programs: of the network.
        images: those of the set, `[s, h, w, c]`.
        labels: one-hot, `[s, k]`.
        rate: the student's learning rate, a scalar.
        first: the parameters it starts from, which were the expert's.
        expert: those that the expert came to.
        state: of the network, which stays as it is.
        lessons: what it is shown, a step each.

    References:
        Cazenavette, Wang, Torralba, Efros, Zhu. Dataset Distillation by Matching Training
        Trajectories. CVPR 2022, https://arxiv.org/abs/2203.11932
    """
    params, way = first, []
    for lesson in lessons:
        x: Any = images[lesson.rows]
        x = x if lesson.draw is None else augmented_by(x, lesson.draw)
        way.append((params, x, labels[lesson.rows]))
        params = programs.update(params, state, rate, x, labels[lesson.rows])
    loss, g = programs.distance(params, first, expert)
    by_images, by_rate = np.zeros(images.shape), 0.0
    for lesson, (params, x, y) in zip(reversed(lessons), reversed(way), strict=True):
        g, g_rate, g_x = programs.pull_back(params, state, rate, x, y, g)
        if lesson.draw is not None:
            g_x = augmented_vjp(g_x, lesson.draw.kind, lesson.draw.numbers)
        np.add.at(by_images, lesson.rows, np.asarray(g_x))
        by_rate += float(g_rate)
    return TrajectoryMatched(float(loss), by_images, by_rate)


def _squared(a: Params, b: Params) -> jax.Array:
    """Return the squared distance of two trees."""
    pairs = zip(jax.tree_util.tree_leaves(a), jax.tree_util.tree_leaves(b), strict=True)
    return sum((jnp.sum(jnp.square(x - y)) for x, y in pairs), jnp.zeros((), jnp.float32))
