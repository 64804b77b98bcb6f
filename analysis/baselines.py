"""Sets of real images that a distilled set of the same size must beat, made alike each time."""

from collections.abc import Callable

import numpy as np

from stillhouse.analysis.training import Report, TrainConfig, TrainResult, train_on_draws
from stillhouse.data.dataset import Dataset
from stillhouse.data.transforms import Transform
from stillhouse.methods.coresets import Coreset, class_average, kmeans_centres, random_subset

_METHODS: dict[str, Callable[..., Coreset]] = {
    "random": random_subset,
    "kmeans": kmeans_centres,
    "average": class_average,
}
BASELINES = tuple(_METHODS)


def baseline_set(
    kind: str, dataset: Dataset, transform: Transform, size: int, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a set of real images, k-means centres or class averages, as many of each class.

    They are made of raw training images, then transformed.

    Args:
        kind: one of `BASELINES`.
        dataset: whose training images they are made of.
        transform: brings them into the space of the distilled set.
        size: the number of images s.
        seed: of the choice.

    Returns:
        Images float32 `[s, h, w, c]` and integer classes `[s]`.

    Raises:
        ValueError: if the kind is unknown, `size` is no positive multiple of the classes, or a
            class has too few images.

    References:
        Wang, Zhu, Torralba, Efros. Dataset Distillation. 2018,
        https://arxiv.org/abs/1811.10959 (the three baselines)
    """
    if kind not in _METHODS:
        raise ValueError(f"unknown baseline {kind!r}, expected one of {', '.join(BASELINES)}")
    images, classes = _METHODS[kind](
        dataset.x_train, dataset.y_train, size, num_classes=dataset.num_classes, seed=seed
    )
    return transform.apply(images), classes


def train_baseline(
    config: TrainConfig,
    kind: str,
    dataset: Dataset,
    transform: Transform,
    size: int,
    *,
    progress: Report | None = None,
) -> TrainResult:
    """Train networks on a baseline as on any set; those on random images get a draw each.

    Args:
        config: what to train, and how; its seeds are those of the sets too.
        kind: as of `baseline_set`, and so are the next three.
        dataset: whose test images are predicted.
        transform: see there.
        size: see there.
        progress: as of `train_networks`.

    Raises:
        ValueError: as `baseline_set` and `train_networks`.
        FloatingPointError: as `train_networks`.
    """
    fixed = None
    if kind != "random":
        fixed = baseline_set(kind, dataset, transform, size, seed=config.seed)

    def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
        return fixed or baseline_set(kind, dataset, transform, size, seed=seed)

    x_test = transform.apply(dataset.x_test)
    return train_on_draws(config, draw, x_test, dataset.y_test, progress=progress)
