"""How near a student that learns from a set comes to where an expert went, and its derivatives.

    L = || theta_N - theta* ||^2 / || theta_0 - theta* ||^2,   theta_{i+1} = theta_i - a grad l(S_i)

The reverse pass goes back along the steps one by one, as that of `stillhouse.methods.unrolling`,
and keeps nothing but the weights of each.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stillhouse.data.siamese import Draw
from stillhouse.methods.unrolling.unroll import StepPrograms
from stillhouse.networks.network import Params, State
from stillhouse.networks.siamese import augmented_by, augmented_vjp


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


def match_trajectory(
    programs: StepPrograms,
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
        programs: of the network, with the loss "xent".
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
    loss, g = _distance(params, first, expert)
    by_images, by_rate = np.zeros(images.shape), 0.0
    for lesson, (params, x, y) in zip(reversed(lessons), reversed(way), strict=True):
        g, g_rate, g_x, _ = programs.pull_back(params, state, rate, x, y, g)
        if lesson.draw is not None:
            g_x = augmented_vjp(g_x, lesson.draw.kind, lesson.draw.numbers)
        np.add.at(by_images, lesson.rows, np.asarray(g_x))
        by_rate += float(g_rate)
    return TrajectoryMatched(float(loss), by_images, by_rate)


@jax.jit
def _distance(last: Params, first: Params, expert: Params) -> tuple[jax.Array, Params]:
    """Return L, and its gradient by the last parameters of the student."""
    way = _squared(first, expert)
    return jax.value_and_grad(lambda last: _squared(last, expert) / way)(last)


def _squared(a: Params, b: Params) -> jax.Array:
    """Return the squared distance of two trees."""
    pairs = zip(jax.tree_util.tree_leaves(a), jax.tree_util.tree_leaves(b), strict=True)
    return sum((jnp.sum(jnp.square(x - y)) for x, y in pairs), jnp.zeros((), jnp.float32))
