"""The tasks of studies: what trained networks answer, computed by whoever computes tasks."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from stillhouse.analysis.studies.materials import Materials, StudiedSet
from stillhouse.methods.programs import PredictClasses, TrainAndPredict
from stillhouse.methods.tasks import Task
from stillhouse.networks.pool import Pool

MOMENTUM = 0.9
"""Of every training that a study asks for."""
# Weights of a task: enough that a call is nothing beside it, few enough that workers share.
_SNAPSHOTS = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Lesson:
    """What a network is trained on, and from which seed.

    Attributes:
        learned: a set; None for real images alone.
        rows: of training images beside it, int64 `[r]`.
        seed: of its weights and of the order of images.
    """

    learned: StudiedSet | None
    rows: np.ndarray
    seed: int


def answers_after(materials: Materials, lessons: Sequence[Lesson]) -> Iterator[np.ndarray]:
    """Yield what a network answers for the test images after each lesson, int32 `[m]`.

    It is the network of the first pool, and sees images through the transform of that pool.
    """
    asked, sizes, data = materials.pools[0].pool, materials.sizes, materials.dataset
    arrays = asked.transform.to_arrays()
    program = TrainAndPredict(
        asked.info.network,
        data.num_classes,
        sizes.steps,
        sizes.learning_rate,
        MOMENTUM,
        sizes.batch_size,
        asked.transform.kind,
        tuple(arrays),
    )
    tests, _ = materials.tests
    nothing = np.empty((0, *data.image_shape), np.float32), np.empty(0, np.int64)
    # One array for each set, however often it is shown: it travels once.
    shown = {id(one): (one.images, one.classes) for one in materials.sets}
    shown[id(None)] = nothing
    tasks = [
        Task(
            program,
            (*shown[id(lesson.learned)], data.x_train, data.y_train, tests, *arrays.values()),
            (np.array([lesson.seed], np.int64), lesson.rows),
        )
        for lesson in lessons
    ]
    for (answers,) in materials.runner.results(tasks):
        yield answers


def pool_answers(
    materials: Materials, pool: Pool, images: np.ndarray, steps: Sequence[int | None] = (None,)
) -> np.ndarray:
    """Return what the networks of a pool answer, int32 `[networks, steps, n]`.

    Args:
        materials: whose runner computes.
        pool: the networks.
        images: raw, `[n, h, w, c]`.
        steps: of training after which they are asked, of the pool's own; None for the end.
    """
    arrays = pool.transform.to_arrays()
    outputs = len(pool.info.dataset.class_names)
    program = PredictClasses(pool.info.network, outputs, pool.transform.kind, tuple(arrays))
    parts = [
        (index, steps[start : start + _SNAPSHOTS])
        for index in range(len(pool))
        for start in range(0, len(steps), _SNAPSHOTS)
    ]
    tasks = [
        Task(
            program,
            (images, np.stack([pool.weights(index, step) for step in some]), *arrays.values()),
        )
        for index, some in parts
    ]
    found: list[list[np.ndarray]] = [[] for _ in range(len(pool))]
    for (index, _), (answers,) in zip(parts, materials.runner.results(tasks), strict=True):
        found[index].append(answers)
    return np.stack([np.concatenate(one) for one in found])


def spread(steps: Sequence[int], most: int) -> list[int]:
    """Return at most so many of the steps, evenly spread, the first and the last among them.

    Args:
        steps: ascending.
        most: how many, two at least; 0 for all.
    """
    if not 0 < most < len(steps):
        return list(steps)
    chosen = np.linspace(0, len(steps) - 1, max(most, 2)).round().astype(int)
    return [steps[index] for index in np.unique(chosen)]


def in_turn(images: Sequence[np.ndarray]) -> tuple[np.ndarray, list[slice]]:
    """Return images of several sets as one array float32, and where each of them lies in it."""
    ends = np.cumsum([len(one) for one in images])
    parts = [slice(end - len(one), end) for one, end in zip(images, ends, strict=True)]
    return np.concatenate([one.astype(np.float32, copy=False) for one in images]), parts
